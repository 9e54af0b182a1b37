//! `virtwire encode`: packets of JSON.

use std::io::{BufReader, Write};
use std::path::Path;

use bytes::BytesMut;
use serde_json::{Deserializer, Value};

use super::{open, unreadable};
use crate::failure::Failure;
use crate::json::{hex, packet_from_json};

/// Writes the packets that the objects in `file` or standard input describe.
pub(crate) fn run(hex: bool, file: Option<&Path>, output: &mut dyn Write) -> Result<(), Failure> {
    let values = Deserializer::from_reader(BufReader::new(open(file)?)).into_iter::<Value>();
    let mut packet = BytesMut::new();
    for (index, value) in values.enumerate() {
        let value = value.map_err(|error| match error.io_error_kind() {
            Some(kind) => unreadable(file, &kind.into()),
            None => Failure::usage(format_args!("object {}: {error}", index + 1)),
        })?;
        // A line that was no packet goes back as it was, to the only form that has lines.
        if let (true, Some(line)) = (hex, value.get("line").and_then(Value::as_str)) {
            writeln!(output, "{line}").map_err(Failure::output)?;
            continue;
        }
        packet.clear();
        packet_from_json(&value, &mut packet)
            .map_err(|error| Failure::usage(format_args!("object {}: {error}", index + 1)))?;
        let written =
            if hex { writeln!(output, "{}", hex::to_hex(&packet)) } else { output.write_all(&packet) };
        written.map_err(Failure::output)?;
    }
    Ok(())
}
