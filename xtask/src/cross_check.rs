//! Compares `protocol/` with listings that libvirt's own tools made of the same definitions: the
//! `*_protocol-structs` files of a source tree, and the fields and values of its Wireshark dissector.

mod dissector;
mod listing;

use crate::import::delta::Delta;
use crate::protocol::{self, Program};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

/// What was compared, and where the two sides differ.
#[derive(Debug, Default)]
struct Report {
    structs: usize,
    fields: usize,
    enumerators: usize,
    /// Found on one side alone, but known to be newer than the listing.
    newer: usize,
    differences: Vec<String>,
}

impl Report {
    fn differs(&mut self, difference: String) {
        self.differences.push(difference);
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} structs, {} fields, {} enumerators compared; {} newer than the listing; {} differences",
            self.structs,
            self.fields,
            self.enumerators,
            self.newer,
            self.differences.len()
        );
        self.differences.iter().for_each(|difference| println!("  {difference}"));
    }
}

/// `cargo xtask cross-check [--source TREE [--delta FILE]] [--fields FILE --values FILE]`
pub(crate) fn main(args: &[String]) -> Result<()> {
    let (mut source, mut delta, mut fields, mut values) = (None, None, None, None);
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let place = match option.as_str() {
            "--source" => &mut source,
            "--delta" => &mut delta,
            "--fields" => &mut fields,
            "--values" => &mut values,
            other => bail!("{other:?} is no option of cross-check"),
        };
        *place = Some(PathBuf::from(args.next().with_context(|| format!("{option} wants a path"))?));
    }
    ensure!(source.is_some() || fields.is_some(), "--source TREE or --fields FILE is wanted");
    let programs = protocol::programs()?;
    let mut differences = 0;
    if let Some(tree) = source {
        let delta = delta.map_or_else(|| Ok(Delta::default()), |path| protocol::read::<Delta>(&path))?;
        for program in &programs {
            let Some(report) = listing::compare(program, &tree, delta.program.get(&program.name))? else {
                println!("{}: has no listing", program.name);
                continue;
            };
            report.print(&program.name);
            differences += report.differences.len();
        }
    }
    if let Some(fields) = fields {
        let values = values.context("--values FILE is wanted")?;
        let spoken: Vec<&Program> =
            programs.iter().filter(|of| dissector::PROGRAMS.contains(&of.name.as_str())).collect();
        let fields = std::fs::read_to_string(&fields).context("--fields")?;
        let values = std::fs::read_to_string(&values).context("--values")?;
        let report = dissector::compare(&programs, &spoken, &fields, &values)?;
        report.print("dissector");
        differences += report.differences.len();
    }
    ensure!(differences == 0, "{differences} differences");
    Ok(())
}
