//! The `virtwire` command, as a library: what its tests and other tools build on.
//!
//! [`json`] has the JSON forms of payloads and packets.

mod arguments;
mod commands;
mod connect;
mod failure;
pub mod json;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;
use tokio::runtime::Builder;

/// Runs the command with these arguments, of which the first is the command's own name, and gives the status to
/// end with: 0 done, 1 the server answered with an error, 2 usage, 3 no connection.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. Nobody is left to be told that they cannot be written.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let result = dispatch(arguments, &mut output).and_then(|()| output.flush().map_err(Failure::output));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: Arguments, output: &mut dyn Write) -> Result<(), Failure> {
    let uri = arguments.connect.as_deref();
    let (one_thread, many_threads) = (Builder::new_current_thread, Builder::new_multi_thread);
    match arguments.command {
        Command::Procedures { json } => commands::procedures::run(json, output),
        Command::Decode { hex, file } => commands::decode::run(hex, file.as_deref(), output),
        Command::Encode { hex, file } => commands::encode::run(hex, file.as_deref(), output),
        Command::Call { procedure, arguments } => {
            block_on(one_thread(), commands::call::run(uri, &procedure, arguments.as_deref(), output))
        }
        Command::Serve { listen, node } => {
            block_on(many_threads(), commands::serve::run(&listen, node.as_deref(), output))
        }
        Command::List { all, inactive, json } => {
            let choice = commands::list::Choice::new(all, inactive);
            block_on(one_thread(), commands::list::run(uri, choice, json, output))
        }
    }
}

/// Runs what talks to others.
fn block_on(mut runtime: Builder, command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    runtime.enable_all().build().map_err(Failure::connection)?.block_on(command)
}
