//! `cargo xtask fuzz`: the fuzz targets, built with libFuzzer and its coverage on any toolchain, and run for a while.

mod output;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::libvirt::install_on_the_machine;
use crate::protocol;
use output::Output;

/// What libFuzzer needs of the compiler: every edge counted, with a table of where it is, and comparisons told. All of
/// it is stable, but for the sanitizers, of which safe code needs none. What is checked in a debug build is checked here
/// too.
const FLAGS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "--cfg=fuzzing",
];

/// Seconds after which one input has taken too long, and MiB after which the process has taken too much.
const LIMITS: [&str; 2] = ["-timeout=10", "-rss_limit_mb=1024"];

/// Builds the targets and runs them, some at a time, from the corpora in `fuzz/corpus` and from what earlier runs have
/// found. Fails where one has found something.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let folders = Folders::of(&protocol::root());
    let all = folders.targets()?;
    let targets = match options.targets.as_slice() {
        [] => all,
        some => {
            if let Some(unknown) = some.iter().find(|name| !all.contains(name)) {
                bail!("{unknown:?} is no fuzz target; there are {}", all.join(", "));
            }
            some.to_vec()
        }
    };
    if !have_compiler()? {
        const WHAT: &str =
            "libFuzzer is C++, and there is no C++ compiler: install g++ or clang++, or name one in CXX";
        if options.if_possible {
            println!("xtask: fuzzing is left out: {WHAT}");
            return Ok(());
        }
        bail!("{WHAT}");
    }
    let programs = build(&options, &folders, &targets)?;
    if options.minimise {
        return targets.iter().try_for_each(|target| minimise(&folders, &programs, target));
    }
    println!("xtask: {} targets, {} s each, {} at a time", targets.len(), options.seconds, options.jobs);
    let waiting = Mutex::new(targets.iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(targets.len()) {
            scope.spawn(|| {
                loop {
                    // The guard is gone before the target runs.
                    let Some(target) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) else {
                        return;
                    };
                    let result = run(&options, &folders, &programs, target);
                    if let Ok(mut results) = results.lock() {
                        results.push((target, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().ok().context("a thread has panicked")?;
    results.sort_by_key(|(target, _)| *target);
    report(&folders, results)
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    targets: Vec<String>,
    seconds: u32,
    jobs: usize,
    toolchain: Option<String>,
    minimise: bool,
    if_possible: bool,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            targets: Vec::new(),
            seconds: 30,
            jobs: 2,
            toolchain: None,
            minimise: false,
            if_possible: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (name, given) =
                arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
            let mut value = || {
                given
                    .or_else(|| args.next().map(String::as_str))
                    .with_context(|| format!("{name} wants a value"))
            };
            let number = |text: &str| text.parse().with_context(|| format!("{text:?} is no number"));
            match name {
                "--seconds" => options.seconds = number(value()?)?,
                "--jobs" => options.jobs = number(value()?)?.max(1) as usize,
                "--toolchain" => options.toolchain = Some(value()?.to_owned()),
                "--minimise" => options.minimise = true,
                "--if-possible" => options.if_possible = true,
                _ if name.starts_with('-') => bail!("{arg:?} is no option of `fuzz`"),
                _ => options.targets.push(arg.clone()),
            }
        }
        Ok(options)
    }
}

/// Where everything is.
struct Folders {
    root: PathBuf,
    fuzz: PathBuf,
    /// What is built, found and logged: nothing of it is committed.
    work: PathBuf,
}

impl Folders {
    fn of(root: &Path) -> Self {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Self { root: root.to_owned(), fuzz: root.join("fuzz"), work: root.join(target).join("fuzz") }
    }

    /// The targets' names: those of the files in `fuzz_targets`.
    fn targets(&self) -> Result<Vec<String>> {
        let folder = self.fuzz.join("fuzz_targets");
        let mut names = Vec::new();
        for path in files(&folder)? {
            names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// What is committed to start from.
    fn corpus(&self, target: &str) -> PathBuf {
        self.fuzz.join("corpus").join(target)
    }

    /// What runs have found besides: each goes on from it.
    fn found(&self, target: &str) -> PathBuf {
        self.work.join("corpus").join(target)
    }

    /// The path from the workspace's folder, which is shorter to read.
    fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The files in a folder; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

/// Whether there is a C++ compiler, after one was installed where that can be done.
fn have_compiler() -> Result<bool> {
    match env::var("CXX") {
        Ok(named) => Ok(is_compiler(&named)),
        // What the build looks for where nothing is named.
        Err(_) => Ok(is_compiler("c++") || (install_on_the_machine(&["g++"])? && is_compiler("c++"))),
    }
}

/// Whether this command, a program and perhaps arguments, is there and runs.
fn is_compiler(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else { return false };
    let mut command = Command::new(program);
    command.args(words).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Builds the targets, and gives the folder with their programs.
fn build(options: &Options, folders: &Folders, targets: &[String]) -> Result<PathBuf> {
    let host = host(options)?;
    let mut command = tool(options, "cargo");
    command.current_dir(&folders.root);
    command.args(["build", "--package", "virtwire-fuzz", "--release", "--locked"]);
    // With a target named, build scripts and macros are built without the flags: they have no counters' runtime.
    command.args(["--target", &host]).arg("--target-dir").arg(&folders.work);
    for target in targets {
        command.args(["--bin", target]);
    }
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    println!("xtask: building {} for {host} with libFuzzer", targets.join(", "));
    let status = command.status().context("cargo")?;
    ensure!(status.success(), "the fuzz targets cannot be built: see above");
    Ok(folders.work.join(host).join("release"))
}

/// A program of the toolchain that is asked for.
fn tool(options: &Options, name: &str) -> Command {
    match &options.toolchain {
        Some(toolchain) => {
            let mut command = Command::new("rustup");
            command.args(["run", toolchain, name]);
            command
        }
        None => Command::new(env::var_os(name.to_uppercase()).unwrap_or_else(|| name.into())),
    }
}

/// The machine's own target.
fn host(options: &Options) -> Result<String> {
    let mut command = tool(options, "rustc");
    let output = command.arg("-vV").output().context("rustc")?;
    ensure!(output.status.success(), "rustc -vV: {}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}

/// Runs a target, with what it says kept in a file.
fn run(options: &Options, folders: &Folders, programs: &Path, target: &str) -> Result<Output> {
    let found = folders.found(target);
    let artifacts = folders.fuzz.join("artifacts").join(target);
    let logs = folders.work.join("logs");
    for folder in [&found, &artifacts, &logs] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = logs.join(format!("{target}.log"));
    let file = File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(programs.join(target));
    command.arg(format!("-max_total_time={}", options.seconds));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(LIMITS).arg("-print_final_stats=1");
    let dictionary = folders.fuzz.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.arg(&found).arg(folders.corpus(target));
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let start = Instant::now();
    let status = command.status().with_context(|| programs.join(target).display().to_string())?;
    let text = fs::read(&log).with_context(|| log.display().to_string())?;
    Ok(Output::read(&String::from_utf8_lossy(&text), status.success(), start.elapsed(), log))
}

/// Tells what came out, as a table; fails where something was found.
fn report(folders: &Folders, results: Vec<(&String, Result<Output>)>) -> Result<()> {
    println!(
        "\n{:14}{:>13}{:>11}{:>8}{:>10}{:>9}",
        "target", "executions", "a second", "edges", "features", "inputs"
    );
    let mut failed = Vec::new();
    for (target, result) in results {
        let output = result.with_context(|| target.clone())?;
        let per_second = output.executions as f64 / output.time.max(Duration::from_millis(1)).as_secs_f64();
        println!(
            "{target:14}{:>13}{per_second:>11.0}{:>8}{:>10}{:>9}",
            output.executions, output.edges, output.features, output.inputs
        );
        if !output.is_fine {
            failed.push((target, output));
        }
    }
    for (target, output) in &failed {
        println!("\n{target}: {}", output.finding.as_deref().unwrap_or("it ended with an error"));
        println!("  all that it said: {}", folders.shown(&output.log));
        if let Some(input) = &output.input {
            let input = folders.shown(input);
            println!("  the input:        {input}");
            println!("  once more:        cargo run --package virtwire-fuzz --bin {target} -- {input}");
        }
    }
    ensure!(failed.is_empty(), "{} of the targets found something", failed.len());
    Ok(())
}

/// Takes into the committed corpus what reaches code that its named inputs do not, as few and as short inputs as
/// possible: from what runs have found, and from what was there, whose place it takes.
fn minimise(folders: &Folders, programs: &Path, target: &str) -> Result<()> {
    let corpus = folders.corpus(target);
    let merged = folders.work.join("minimised").join(target);
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    let (named, others): (Vec<_>, Vec<_>) = files(&corpus)?.into_iter().partition(|path| !is_found(path));
    for path in &named {
        fs::copy(path, merged.join(path.file_name().context("a file has a name")?))?;
    }
    let mut command = Command::new(programs.join(target));
    // Edges alone: how often each is passed would keep many more.
    command.args(["-merge=1", "-use_counters=0"]).args(LIMITS);
    command.arg(&merged).arg(&corpus);
    let found = folders.found(target);
    if found.exists() {
        command.arg(found);
    }
    let output =
        command.stdin(Stdio::null()).output().with_context(|| programs.join(target).display().to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{target}: {}\n{said}", output.status);
    for path in &others {
        fs::remove_file(path)?;
    }
    let kept: Vec<_> = files(&merged)?.into_iter().filter(|path| is_found(path)).collect();
    let mut bytes = 0;
    for path in &kept {
        bytes += fs::copy(path, corpus.join(path.file_name().context("a file has a name")?))?;
    }
    println!("{target}: {} named inputs and {} found ones of {bytes} bytes", named.len(), kept.len());
    Ok(())
}

/// Whether this is an input that libFuzzer has found: it names them by their SHA-1.
fn is_found(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parse("uri --seconds 5 xml --jobs=3 --toolchain nightly").unwrap();
        assert_eq!(options.targets, ["uri", "xml"]);
        assert_eq!((options.seconds, options.jobs), (5, 3));
        assert_eq!(options.toolchain.as_deref(), Some("nightly"));
        let options = parse("").unwrap();
        assert_eq!((options.seconds, options.minimise, options.if_possible), (30, false, false));
        assert!(parse("--second 5").is_err());
        assert!(parse("--seconds").is_err());
        assert!(parse("--seconds five").is_err());
    }

    #[test]
    fn every_target_has_a_corpus() {
        let folders = Folders::of(&protocol::root());
        let targets = folders.targets().unwrap();
        assert!(targets.len() >= 7, "{targets:?}");
        for target in targets {
            assert!(!files(&folders.corpus(&target)).unwrap().is_empty(), "{target}");
        }
    }

    #[test]
    fn found_inputs_are_told_by_their_names() {
        assert!(is_found(Path::new("/corpus/uri/da39a3ee5e6b4b0d3255bfef95601890afd80709")));
        assert!(!is_found(Path::new("/corpus/uri/ssh")));
    }
}
