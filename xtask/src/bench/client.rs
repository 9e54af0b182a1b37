//! `cargo xtask bench client`: the client beside libvirt's C library, in one run.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use virtwire_testbed::{Config, Daemon, Root, Testbed, run, run_for};

use super::rows::{self, Aim, Bound, Program, Row, Server, Subject};
use crate::libvirt::{self, Libvirt};

/// What the C client is made with.
const COMPILER: [&str; 3] = ["gcc", "libc6-dev", "libvirt-dev"];
/// How long one run of one program may take.
const LIMIT: Duration = Duration::from_secs(300);
/// How many descriptors a process may have open: 1 000 connections and some.
const DESCRIPTORS: u64 = 8192;

/// `cargo xtask bench client [--rounds N] [ROW...]`
pub(super) fn main(args: &[String]) -> Result<()> {
    let (rounds, wanted) = parse(args)?;
    let rows = rows::all();
    let chosen: Vec<_> = rows
        .iter()
        .filter(|row| wanted.is_empty() || wanted.iter().any(|text| row.name.contains(text)))
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no row contains {wanted:?}; there are:\n{}",
        rows.iter().map(|row| format!("  {}\n", row.name)).collect::<String>()
    );
    let bench = Bench::prepare()?;
    println!(
        "Medians of {rounds} rounds; a ratio is the median of the rounds' own ratios, with the least and most."
    );
    for row in chosen {
        match bench.measure(row, rounds) {
            Ok(results) => print!("\n{}", table(row, &results)),
            // The other rows are worth having all the same.
            Err(error) => println!("\n{}: not measured: {error:#}", row.name),
        }
    }
    Ok(())
}

fn parse(args: &[String]) -> Result<(usize, Vec<&str>)> {
    let mut rounds = 5;
    let mut wanted = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let Some(number) = arg.strip_prefix("--rounds=") {
            rounds = number.parse().context("--rounds wants a number")?;
        } else if arg == "--rounds" {
            rounds = args.next().and_then(|number| number.parse().ok()).context("--rounds wants a number")?;
        } else if arg.starts_with('-') {
            bail!("{arg:?} is no option of `bench client`");
        } else {
            wanted.push(arg.as_str());
        }
    }
    ensure!(rounds > 0, "--rounds wants at least 1");
    Ok((rounds, wanted))
}

/// The programs, and the servers that they ask.
struct Bench {
    c: PathBuf,
    ours: PathBuf,
    daemon: Daemon,
    canned: Canned,
}

impl Bench {
    fn prepare() -> Result<Self> {
        allow_descriptors()?;
        let workspace = crate::protocol::root();
        let c = compile(&workspace)?;
        let ours = build(&workspace)?;
        let testbed = testbed()?;
        // Its other settings are what every libvirtd has: 5 calls of one client at once.
        let config = Config::new().set("max_clients", 5000).set("max_anonymous_clients", 5000);
        let daemon = Daemon::start(&testbed, config)?;
        println!("xtask: libvirtd {}, {}", testbed.version(), run(Command::new(&c).arg("version"))?.trim());
        let canned = Canned::start(&ours)?;
        Ok(Self { c, ours, daemon, canned })
    }

    /// All rounds of a row: in each, one run of every subject. Gives what each told, round by round.
    fn measure(&self, row: &Row, rounds: usize) -> Result<Vec<Vec<Told>>> {
        println!("\nxtask: {} (load {})", row.name, load());
        let mut told = vec![Vec::new(); row.subjects.len()];
        for _ in 0..rounds {
            for (subject, told) in row.subjects.iter().zip(&mut told) {
                let one = if row.one_cpu { Some(OneCpu::share_with(self.pid(row.server))?) } else { None };
                let output = self.run(row.server, subject)?;
                drop(one);
                told.push(output);
            }
        }
        Ok(told)
    }

    fn pid(&self, server: Server) -> u32 {
        match server {
            Server::Libvirtd => self.daemon.pid(),
            Server::Canned => self.canned.child.id(),
        }
    }

    fn run(&self, server: Server, subject: &Subject) -> Result<Told> {
        let socket = match server {
            Server::Libvirtd => self.daemon.socket(),
            Server::Canned => self.canned.socket(),
        };
        let (program, first) = match subject.program {
            Program::C => (&self.c, None),
            Program::Many => (&self.ours, Some("many")),
            Program::One => (&self.ours, Some("one")),
            Program::Socket => (&self.ours, Some("socket")),
        };
        let args = subject
            .args
            .replace("{uri}", &Daemon::uri_at(&socket))
            .replace("{socket}", &socket.display().to_string());
        let mut command = Root::system().command(&program.display().to_string());
        command.args(first).args(args.split(' '));
        let output = run_for(&mut command, LIMIT)?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}: {}", subject.who, output.status, errors.trim());
        read(&String::from_utf8_lossy(&output.stdout))
    }
}

/// What one run told: values by name.
type Told = BTreeMap<String, f64>;

fn read(output: &str) -> Result<Told> {
    let line = |line: &str| {
        let (name, value) =
            line.split_once(' ').with_context(|| format!("{line:?} is no name with a value"))?;
        Ok((name.to_owned(), value.parse().with_context(|| format!("{value:?} is no number"))?))
    };
    output.lines().map(line).collect()
}

/// Our server that does no work. Dropping it ends it.
struct Canned {
    child: Child,
    folder: tempfile::TempDir,
}

impl Canned {
    fn start(ours: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(ours);
        // It ends when its standard input does.
        command.arg("canned").arg(folder.path().join("socket")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the canned server")?;
        let output = child.stdout.take().context("the canned server's output")?;
        let canned = Self { child, folder };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == "listening", "the canned server does not listen");
        Ok(canned)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// While it lives, this process, what it starts, and a server run on one CPU.
struct OneCpu {
    server: u32,
    before: CpuSet,
}

impl OneCpu {
    fn share_with(server: u32) -> Result<Self> {
        let before = sched_getaffinity(None).context("this process's CPUs")?;
        let first =
            (0..CpuSet::MAX_CPU).find(|&cpu| before.is_set(cpu)).context("this process has no CPU")?;
        let mut one = CpuSet::new();
        one.set(first);
        let shared = Self { server, before };
        shared.set(&one)?;
        Ok(shared)
    }

    fn set(&self, cpus: &CpuSet) -> Result<()> {
        sched_setaffinity(None, cpus)?;
        for thread in fs::read_dir(format!("/proc/{}/task", self.server))? {
            let number = thread?.file_name().to_string_lossy().parse()?;
            sched_setaffinity(Pid::from_raw(number), cpus)?;
        }
        Ok(())
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        if let Err(error) = self.set(&self.before) {
            println!("xtask: the CPUs of libvirtd stay as they are: {error:#}");
        }
    }
}

/// Raises how many descriptors this process, and what it starts, may have open.
fn allow_descriptors() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < DESCRIPTORS) {
        let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).context("open files")?;
    }
    Ok(())
}

/// The installed libvirtd; installed where it is not and may be.
fn testbed() -> Result<Testbed> {
    match Testbed::new(Root::system()) {
        Ok(testbed) => Ok(testbed),
        Err(_) => {
            libvirt::prepare(Libvirt::Installed)?;
            Ok(Testbed::new(Root::system())?)
        }
    }
}

/// Compiles the C client with the machine's compiler, on the machine's libvirt.
fn compile(workspace: &Path) -> Result<PathBuf> {
    let has_headers = || Path::new("/usr/include/libvirt/libvirt.h").exists();
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if !(Root::system().has_program(&compiler) && has_headers()) {
        libvirt::install_on_the_machine(&COMPILER)?;
    }
    let folder = workspace.join("target").join("bench");
    fs::create_dir_all(&folder)?;
    let client = folder.join("client");
    let mut command = Command::new(&compiler);
    command.args(["-O2", "-Wall", "-Wextra", "-o"]).arg(&client).arg(workspace.join("bench/client.c"));
    command.args(["-lvirt", "-lpthread"]);
    run(&mut command).with_context(|| {
        format!(
            "a C compiler and libvirt's headers are needed: install {} (or their like)",
            COMPILER.join(" ")
        )
    })?;
    Ok(client)
}

/// Builds our side as users build theirs.
fn build(workspace: &Path) -> Result<PathBuf> {
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--package", "virtwire-bench"])
        .current_dir(workspace)
        .status()
        .context("cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(workspace.join(target).join("release/virtwire-bench"))
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg")
        .map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .unwrap_or_else(|_| "unknown".into())
}

/// A row's lines: for each metric, each subject's median, and its ratios beside what is aimed at.
fn table(row: &Row, results: &[Vec<Told>]) -> String {
    let mut out = String::new();
    for (metric, aims) in &row.metrics {
        out += &format!("{}: {}\n", row.name, metric.title());
        let values: Vec<Vec<f64>> = results
            .iter()
            .map(|rounds| rounds.iter().filter_map(|told| told.get(metric.key()).copied()).collect())
            .collect();
        for (subject, own) in row.subjects.iter().zip(&values) {
            let mut line = format!("    {:<36} {:>12}", subject.who, metric.show(median(own.clone())));
            for to in [Program::C, Program::Socket] {
                let base = row.subjects.iter().zip(&values).find(|(other, _)| other.program == to);
                let Some((_, base)) = base.filter(|_| subject.program != to) else { continue };
                if to == Program::Socket && !aims.iter().any(|aim| aim.to == to) {
                    continue;
                }
                let aim = aims.iter().find(|aim| aim.to == to && aim.concerns(subject.program));
                line += &format!("   {}", compared(own, base, to, aim));
            }
            out += line.trim_end();
            out.push('\n');
        }
    }
    out
}

fn compared(own: &[f64], base: &[f64], to: Program, aim: Option<&Aim>) -> String {
    let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
    let ratio = median(ratios.clone());
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let name = if to == Program::C { "of C's" } else { "of the socket's" };
    let aimed = aim.map_or(String::new(), |aim| {
        let sign = match aim.bound {
            Bound::AtMost(bound) => format!("≤ {bound}"),
            Bound::AtLeast(bound) => format!("≥ {bound}"),
        };
        format!(", aim {sign}: {}", if aim.is_met_by(ratio) { "met" } else { "NOT MET" })
    });
    format!("{ratio:.2} {name} ({least:.2} to {most:.2}){aimed}")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::Metric;

    #[test]
    fn options_and_rows_are_told_apart() {
        let args = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let line = args("list --rounds 3 idle");
        assert_eq!(parse(&line).unwrap(), (3, vec!["list", "idle"]));
        assert_eq!(parse(&[]).unwrap().0, 5);
        assert!(parse(&args("--rounds 0")).is_err());
        assert!(parse(&args("--round 3")).is_err());
    }

    #[test]
    fn what_programs_tell_is_read() {
        let told = read("rate 1.5e3\ncpu 2e-6\n").unwrap();
        assert_eq!(told, Told::from([("rate".into(), 1500.0), ("cpu".into(), 2e-6)]));
        assert!(read("rate\n").is_err());
    }

    #[test]
    fn ratios_are_of_the_same_round_and_measured_by_their_aims() {
        let row = rows::all().into_iter().find(|row| row.name.contains("canned: 32")).unwrap();
        let told = |values: [f64; 3]| -> Vec<Told> {
            values.into_iter().map(|rate| Told::from([("rate".into(), rate), ("cpu".into(), 1e-6)])).collect()
        };
        // C, the bare socket, many threads, one thread.
        let results = [
            told([10e3, 20e3, 30e3]),
            told([1e6, 1e6, 1e6]),
            told([200e3, 200e3, 300e3]),
            told([600e3, 600e3, 600e3]),
        ];
        let table = table(&row, &results);
        let line = |who: &str| table.lines().find(|line| line.contains(who)).unwrap();
        assert!(line("C, 32 threads").contains("20.0 k/s"), "{table}");
        let many = line("many threads");
        assert!(many.contains("10.00 of C's (10.00 to 20.00), aim ≥ 10: met"), "{table}");
        assert!(many.contains("0.20 of the socket's (0.20 to 0.30), aim ≥ 0.5: NOT MET"), "{table}");
        assert!(
            line("one thread").contains("0.60 of the socket's (0.60 to 0.60), aim ≥ 0.5: met"),
            "{table}"
        );
    }

    #[test]
    fn values_are_shown_in_their_units() {
        assert_eq!(Metric::Seconds.show(57.1e-6), "57.10 µs");
        assert_eq!(Metric::Seconds.show(1.5), "1.50 s");
        assert_eq!(Metric::Throughput.show(f64::from(3 << 20)), "3 MiB/s");
        assert_eq!(Metric::Memory.show(7168.0), "7.00 KiB");
    }
}
