//! What a newer libvirt has beyond the source that is read.

use crate::protocol::{Fields, Procedure, Program};
use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use serde::Deserialize;

/// What a newer libvirt has beyond the source that is read, by program. Written by hand.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delta {
    /// The libvirt that it leads to: applied where the source is older.
    pub(crate) to: String,
    pub(crate) program: IndexMap<String, ProgramDelta>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProgramDelta {
    pub(crate) limits: IndexMap<String, u32>,
    #[serde(rename = "struct")]
    pub(crate) structs: IndexMap<String, Fields>,
    #[serde(rename = "procedure")]
    pub(crate) procedures: Vec<Procedure>,
    pub(crate) renamed: Vec<Renamed>,
}

/// A field that has another name now.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renamed {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) structs: Vec<String>,
}

impl ProgramDelta {
    /// Adds to a program what it lacks.
    pub(super) fn apply(&self, program: &mut Program) -> Result<()> {
        for renamed in &self.renamed {
            for name in &renamed.structs {
                let fields = program.structs.get_mut(name).with_context(|| format!("no struct {name}"))?;
                ensure!(fields.contains_key(&renamed.from), "{name} has no field {}", renamed.from);
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, ty)| (if name == renamed.from { renamed.to.clone() } else { name }, ty))
                    .collect();
            }
        }
        for (name, limit) in &self.limits {
            ensure!(program.limits.insert(name.clone(), *limit).is_none(), "{name} is there already");
        }
        for (name, fields) in &self.structs {
            ensure!(
                program.structs.insert(name.clone(), fields.clone()).is_none(),
                "{name} is there already"
            );
        }
        for procedure in &self.procedures {
            let number = procedure.number;
            ensure!(program.procedures.iter().all(|of| of.number != number), "{number} is there already");
            program.procedures.push(procedure.clone());
        }
        Ok(())
    }
}
