//! `virtwire procedures`: the table of all procedures.

use std::io::Write;

use serde::Serialize;
use virtwire_proto::program::{Kind, PROGRAMS, Priority, Procedure, StreamDirection};

use super::{Rule, Table};
use crate::failure::Failure;

/// One row. The fields' names are the JSON's keys, which are a contract.
#[derive(Debug, Serialize)]
struct Row {
    program: &'static str,
    program_number: u32,
    version: u32,
    procedure: &'static str,
    number: i32,
    kind: &'static str,
    priority: &'static str,
    stream: &'static str,
    since: Option<String>,
    acl: &'static [&'static str],
    c_name: Option<&'static str>,
}

/// Prints all procedures, as a table or as an array with an element a line.
pub(crate) fn run(json: bool, output: &mut dyn Write) -> Result<(), Failure> {
    let rows = PROGRAMS.iter().flat_map(|program| program.procedures).map(Row::of);
    if json {
        return super::write_array(rows, output);
    }
    let mut table = Table::new([
        "PROGRAM",
        "NUMBER",
        "PROCEDURE",
        "KIND",
        "PRIORITY",
        "STREAM",
        "SINCE",
        "C FUNCTION",
        "PERMISSIONS",
    ]);
    rows.for_each(|row| table.push(row.cells()));
    table.write(Rule::Plain, output).map_err(Failure::output)
}

impl Row {
    fn of(procedure: &'static Procedure) -> Self {
        Self {
            program: procedure.program.name,
            program_number: procedure.program.number,
            version: procedure.program.version,
            procedure: procedure.name,
            number: procedure.number,
            kind: match procedure.kind {
                Kind::Call => "call",
                Kind::Event => "event",
            },
            priority: match procedure.priority {
                Priority::Low => "low",
                Priority::High => "high",
            },
            stream: match procedure.stream {
                StreamDirection::None => "none",
                StreamDirection::Read => "read",
                StreamDirection::Write => "write",
            },
            since: procedure.since.map(|version| version.to_string()),
            acl: procedure.acl,
            c_name: procedure.c_name,
        }
    }

    fn cells(self) -> [String; 9] {
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        [
            self.program.to_owned(),
            self.number.to_string(),
            self.procedure.to_owned(),
            self.kind.to_owned(),
            self.priority.to_owned(),
            self.stream.to_owned(),
            or_dash(&self.since.unwrap_or_default()),
            or_dash(self.c_name.unwrap_or_default()),
            or_dash(&self.acl.join(" ")),
        ]
    }
}
