//! The project's own tools.

mod bench;
mod codegen;
mod cross_check;
mod fuzz;
mod import;
mod libvirt;
mod protocol;
mod test;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  bench codec [-- CRITERION ARGUMENTS]
        runs the benchmark and prints how it compares with its peer and with a plain copy of the same bytes
  bench client [--rounds N] [ROW...]
        measures the client beside libvirt's C library, on a real libvirtd and on a server that does no work, and
        prints how they compare; only the rows that contain one of the texts, if any is given
  codegen [--check]
        writes the generated code from protocol/, or fails where what is committed is not current
  cross-check [--source TREE [--delta FILE]] [--fields FILE --values FILE]
        compares protocol/ with the listings in a libvirt source tree, and with what `tshark -G fields` and
        `tshark -G values` print of libvirt's dissector
  fuzz [TARGET...] [--seconds N] [--jobs N] [--toolchain NAME] [--minimise] [--if-possible]
        builds the fuzz targets with libFuzzer, which takes a C++ compiler, and runs each for 30 seconds or as said
  import --source TREE --api DIR [--delta FILE]
        writes protocol/ from a libvirt source tree and a folder with its API XML
  test [--libvirt 9.0|11.3|12.8|none] [-- CARGO TEST ARGUMENTS]
        makes a real libvirt ready (by default the distribution's own) and runs all tests against it
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let Some((command, args)) = args.split_first() else { bail!("a command is wanted\n\n{USAGE}") };
    match command.as_str() {
        "bench" => bench::main(args),
        "cross-check" => cross_check::main(args),
        "codegen" => codegen::main(args),
        "fuzz" => fuzz::main(args),
        "import" => import::main(args),
        "test" => test::main(args),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("{other:?} is no command\n\n{USAGE}"),
    }
}
