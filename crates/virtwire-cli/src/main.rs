//! The `virtwire` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    virtwire_cli::run(std::env::args_os())
}
