//! `virtwire decode`: packets as JSON.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::{open, unreadable, write_json};
use crate::failure::Failure;
use crate::json::{Capture, line_to_json};

/// Prints the packets of `file` or standard input.
pub(crate) fn run(hex: bool, file: Option<&Path>, output: &mut dyn Write) -> Result<(), Failure> {
    let input = open(file)?;
    if hex { lines(BufReader::new(input), file, output) } else { packets(input, file, output) }
}

fn packets(mut input: impl Read, file: Option<&Path>, output: &mut dyn Write) -> Result<(), Failure> {
    let mut capture = Capture::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => capture.finish(),
            Ok(length) => capture.push(&chunk[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(file, &error)),
        }
        while let Some(piece) = capture.next() {
            write_line(&piece.to_json(), output)?;
        }
        // What has come is shown before more is waited for: the input may be a connection.
        output.flush().map_err(Failure::output)?;
        if capture.is_finished() {
            return Ok(());
        }
    }
}

fn lines(mut input: impl BufRead, file: Option<&Path>, output: &mut dyn Write) -> Result<(), Failure> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(|error| unreadable(file, &error))? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            write_line(&line_to_json(text.trim()), output)?;
            output.flush().map_err(Failure::output)?;
        }
    }
}

fn write_line(value: &Value, output: &mut dyn Write) -> Result<(), Failure> {
    write_json(value, output)?;
    output.write_all(b"\n").map_err(Failure::output)
}
