//! The commands, one file each.

pub(crate) mod call;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod list;
pub(crate) mod procedures;
pub(crate) mod serve;
mod table;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;

use crate::failure::Failure;
use table::{Rule, Table};

/// The file to read, or standard input.
fn open(file: Option<&Path>) -> Result<Box<dyn Read>, Failure> {
    match file {
        Some(path) if path != Path::new("-") => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(unreadable(Some(path), &error)),
        },
        _ => Ok(Box::new(io::stdin().lock())),
    }
}

fn unreadable(file: Option<&Path>, error: &io::Error) -> Failure {
    let name = file.map_or("standard input".into(), Path::to_string_lossy);
    Failure::usage(format_args!("{name}: {error}"))
}

/// Writes a JSON array with an element a line, which tools for lines and tools for JSON can both read.
fn write_array<T: Serialize>(
    elements: impl IntoIterator<Item = T>,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut before = "[\n";
    for element in elements {
        output.write_all(before.as_bytes()).map_err(Failure::output)?;
        write_json(&element, output)?;
        before = ",\n";
    }
    let end = if before == "[\n" { "[]\n" } else { "\n]\n" };
    output.write_all(end.as_bytes()).map_err(Failure::output)
}

/// Writes a value's JSON in one line, without its end.
fn write_json<T: Serialize>(value: &T, output: &mut dyn Write) -> Result<(), Failure> {
    serde_json::to_writer(output, value).map_err(|error| Failure::output(error.into()))
}
