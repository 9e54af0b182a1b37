//! The fuzz targets, as functions that take any bytes and panic where something does not hold.
//!
//! Each has a program in `fuzz_targets/` that libFuzzer drives, and a folder in `corpus/` with inputs to start from.
//! `cargo xtask fuzz` runs them, on a stable toolchain; `cargo fuzz run TARGET` (with `-s none` on a stable one) does so
//! too. `cargo test` runs every input of the corpora once.
//!
//! An input that breaks something can be looked at without libFuzzer:
//! `cargo run -p virtwire-fuzz --bin TARGET -- FILE`.

mod decoders;
mod descriptors;
mod input;
mod json;
mod memory;
mod operations;
mod packets;
pub mod seeds;
mod text;
mod typed_params;
mod xml;

pub use decoders::{
    Codec, MEMORY as DECODER_MEMORY, codecs, common_input, decoders, last_decoding, procedure_input,
};
pub use json::json;
pub use memory::{Bound, peak};
pub use operations::operations;
pub use packets::{packets, packets_input};
pub use text::{config, uri};
pub use typed_params::typed_params;
pub use xml::xml;

use std::path::PathBuf;
use std::{env, fs, io};

/// A fuzz target: what it is called, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("config", config),
    ("decoders", decoders),
    ("json", json),
    ("operations", operations),
    ("packets", packets),
    ("typed_params", typed_params),
    ("uri", uri),
    ("xml", xml),
];

/// Runs a target on the files, and on all files of the folders, that the program's arguments name: what a target's
/// program does where libFuzzer is not there.
///
/// # Errors
/// A file cannot be read.
pub fn run_files(target: fn(&[u8])) -> io::Result<()> {
    let mut waiting: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let mut count = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path)?.map(|entry| Ok(entry?.path()));
            waiting.extend(entries.collect::<io::Result<Vec<_>>>()?);
            continue;
        }
        println!("{}", path.display());
        target(&fs::read(&path)?);
        count += 1;
    }
    println!("{count} inputs, nothing found");
    Ok(())
}
