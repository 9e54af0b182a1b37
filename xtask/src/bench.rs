//! `cargo xtask bench`: measurements beside others that do the same, in one run.

mod client;
mod codec;
mod rows;

use anyhow::{Result, bail};

/// `cargo xtask bench codec|client [ARGUMENTS]`
pub(crate) fn main(args: &[String]) -> Result<()> {
    match args.split_first() {
        Some((name, args)) if name == "codec" => codec::main(args),
        Some((name, args)) if name == "client" => client::main(args),
        _ => bail!("bench takes the name of a benchmark, codec or client, not {args:?}"),
    }
}
