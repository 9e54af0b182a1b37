//! `cargo xtask test`: all tests of the workspace, those that need a real libvirt included.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use virtwire_testbed::Testbed;

use crate::libvirt::{self, Libvirt};

/// Makes a libvirt ready, runs `cargo test`, and closes with one line that sums up all test programs. Ends the
/// process with status 1 when a test has failed.
pub(crate) fn main(args: &[String]) -> Result<()> {
    let (libvirt, rest) = parse(args)?;
    let value = libvirt::prepare(libvirt)?;

    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("test");
    if !rest.iter().take_while(|arg| *arg != "--").any(|arg| selects_packages(arg)) {
        command.arg("--workspace");
    }
    command.args(["--all-features", "--locked", "--no-fail-fast"]).args(rest);
    let shown: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
    let setting = value.as_deref().map_or("unset".into(), |value| value.to_string_lossy());
    println!("xtask: cargo {} ({} is {setting})", shown.join(" "), Testbed::VARIABLE);
    run(command, value)
}

/// The libvirt that is asked for, and the arguments for `cargo test`.
fn parse(args: &[String]) -> Result<(Libvirt, &[String])> {
    let mut libvirt = Libvirt::Installed;
    let mut index = 0;
    while let Some(arg) = args.get(index) {
        index += 1;
        if arg == "--" {
            break;
        } else if arg == "--libvirt" {
            libvirt = args.get(index).context("--libvirt wants a version")?.parse()?;
            index += 1;
        } else if let Some(version) = arg.strip_prefix("--libvirt=") {
            libvirt = version.parse()?;
        } else {
            bail!("{arg:?} is no option of `test`; what is for `cargo test` comes behind `--`");
        }
    }
    Ok((libvirt, &args[index..]))
}

/// Whether an argument of `cargo test` says which packages are meant.
fn selects_packages(arg: &str) -> bool {
    let (name, _) = arg.split_once('=').unwrap_or((arg, ""));
    name == "--package" || name == "--workspace" || (name.starts_with("-p") && !name.starts_with("--"))
}

fn run(mut command: Command, libvirt: Option<OsString>) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace's folder")?;
    command.current_dir(workspace).stdout(Stdio::piped()).env_remove(Testbed::VARIABLE);
    if let Some(libvirt) = libvirt {
        command.env(Testbed::VARIABLE, libvirt);
    }
    let mut child = command.spawn().context("cargo")?;
    let mut output = BufReader::new(child.stdout.take().context("cargo's output")?);
    let mut totals = Totals::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if output.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        std::io::stdout().write_all(&line)?;
        totals.read(&String::from_utf8_lossy(&line));
    }
    let status = child.wait()?;
    totals.end();
    if !status.success() && totals.failed == 0 {
        bail!("cargo test: {status}, and no test has failed: see above");
    }
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    if !status.success() || totals.failed > 0 {
        // The count is the last line: nothing more is to be said.
        std::process::exit(1);
    }
    Ok(())
}

/// The sum over the result lines of all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
    running: bool,
}

impl Totals {
    /// Takes in one line of `cargo test`'s output.
    fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(results) = line.strip_prefix("test result: ") {
            self.running = false;
            for part in results.split([';', '.']) {
                match part.trim().split_once(' ') {
                    Some((count, "passed")) => self.passed += count.parse().unwrap_or(0),
                    Some((count, "failed")) => self.failed += count.parse().unwrap_or(0),
                    Some((count, "ignored")) => self.skipped += count.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.end();
            self.running = true;
        }
    }

    /// A program that began and gave no result has died: that counts as one failure.
    fn end(&mut self) {
        self.failed += u64::from(std::mem::take(&mut self.running));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(output: &str) -> Totals {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read(line));
        totals.end();
        totals
    }

    #[test]
    fn results_of_all_programs_are_summed() {
        let output = "\nrunning 3 tests\ntest a ... ok\n\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; \
                      4 filtered out; finished in 0.22s\n\n     Running tests/x.rs\n\nrunning 1 test\n\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(totals(output), Totals { passed: 2, failed: 1, skipped: 1, running: false });
    }

    #[test]
    fn a_program_that_dies_is_a_failure() {
        let died = "running 3 tests\ntest a ... ok\n";
        assert_eq!(totals(died).failed, 1);
        let then = "running 3 tests\nrunning 1 test\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        assert_eq!((totals(then).passed, totals(then).failed), (1, 1));
    }

    #[test]
    fn options_and_cargos_arguments_are_told_apart() {
        let args = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let line = args("--libvirt 11.3 -- -p virtwire -- --exact name");
        let (libvirt, rest) = parse(&line).unwrap();
        assert_eq!(libvirt, "11.3".parse().unwrap());
        assert_eq!(rest, args("-p virtwire -- --exact name"));
        assert!(parse(&args("--libvirt 1.0")).is_err());
        assert!(parse(&args("name")).is_err());
        assert!(
            selects_packages("-pvirtwire")
                && selects_packages("--package=virtwire")
                && !selects_packages("name")
        );
    }
}
