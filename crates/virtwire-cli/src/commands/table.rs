//! Rows in aligned columns.

use std::io::{self, Write};

/// Rows under headings, each column as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

/// How a table is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Two spaces between columns, and nothing else.
    Plain,
    /// As virsh does: three spaces between columns and one before the first, a line under the headings, an empty
    /// one at the end.
    Virsh,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned)] }
    }

    pub(super) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    pub(super) fn write(&self, rule: Rule, output: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or_default());
        let (before, between) = match rule {
            Rule::Plain => ("", "  "),
            Rule::Virsh => (" ", "   "),
        };
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(output, "{before}{}", cells.collect::<Vec<_>>().join(between).trim_end())?;
            if rule == Rule::Virsh && index == 0 {
                writeln!(output, "{}", "-".repeat(widths.iter().map(|width| width + between.len()).sum()))?;
            }
        }
        if rule == Rule::Virsh {
            writeln!(output)?;
        }
        Ok(())
    }
}
