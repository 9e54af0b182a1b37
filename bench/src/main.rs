//! What `cargo xtask bench client` runs beside libvirt's C library: the client, a server that does no work, and a
//! bare socket that pipelines calls. The C library's side is `client.c`, which takes the same arguments as the
//! client and prints the same lines.

mod canned;
mod client;
mod measure;
mod socket;

use anyhow::{Context, Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: virtwire-bench canned SOCKET
         serves until its standard input ends
       virtwire-bench socket SOCKET DEPTH COUNT
         keeps DEPTH calls on their way until COUNT are answered
       virtwire-bench many|one WHAT URI ...
         the client, on many threads or on one
           latency URI COUNT            calls, one behind the other
           calls URI CAP TASKS COUNT    calls of many tasks, CAP of them in flight (also: default, none)
           list URI COUNT               lists all domains
           download URI chunks|buffer   a volume, by chunks or into a buffer
           upload URI chunks|buffer     a volume, by chunks or out of a buffer
           idle URI COUNT TASKS SECS    connections opened by TASKS tasks, with keepalive of SECS (0: without)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("virtwire-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        ["canned", socket] => canned::serve(socket),
        ["socket", socket, depth, count] => socket::run(socket, number(depth)?, number(count)?),
        ["many", rest @ ..] => client::run(tokio::runtime::Builder::new_multi_thread(), rest),
        ["one", rest @ ..] => client::run(tokio::runtime::Builder::new_current_thread(), rest),
        _ => bail!("{args:?} is nothing to do\n\n{USAGE}"),
    }
}

fn number(text: &str) -> Result<usize> {
    text.parse().with_context(|| format!("expected a number, got {text:?}"))
}
