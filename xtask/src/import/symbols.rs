//! The public headers' enums, flags, constants and parameter names, and the driver features of the source.

use super::api::{self, Api};
use crate::protocol::symbols::{Constant, Enum, Enums, Flags, Name, Names};
use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use std::path::Path;

/// What the API XML and the source say, as the three files hold it.
pub(super) fn import(api: &Api, tree: &Path) -> Result<(Enums, Flags, Names)> {
    let mut enums = Enums::default();
    let mut flags = Flags::default();
    let mut names = Names::default();
    let mut all: Vec<_> = api.enums.iter().collect();
    all.sort_by_key(|(name, of)| (of.header.as_str(), name.as_str()));
    for (name, of) in all {
        // A flag that is another enum's under a second name is not written as a shift.
        let bits = of.bits || name.ends_with("Flags");
        let values = values(of, bits);
        let entry = Enum { header: of.header.clone(), since: of.since.clone(), values };
        if bits {
            flags.flags.insert(name.clone(), entry);
        } else {
            enums.enums.insert(name.clone(), entry);
        }
    }
    enums.enums.insert("virDrvFeature".to_owned(), driver_features(tree)?);
    for of in &api.macros {
        if let Some(string) = &of.string {
            let name = Name { name: string.clone(), since: of.since.clone() };
            names.headers.entry(of.header.clone()).or_default().insert(of.name.clone(), name);
        } else if let Some(value) = of.raw.as_deref().and_then(api::sum)
            && of.name != "LIBVIR_VERSION_NUMBER"
        {
            enums.constants.insert(of.name.clone(), Constant { value, since: of.since.clone() });
        }
    }
    names.headers.sort_keys();
    names.headers.values_mut().for_each(IndexMap::sort_keys);
    enums.constants.sort_keys();
    Ok((enums, flags, names))
}

/// An enum's values without the sentinel at its end, which is another number in every release.
fn values(of: &api::Enum, bits: bool) -> IndexMap<String, Constant> {
    let sentinel = of.values.iter().map(|value| value.value).max().filter(|highest| {
        !bits && of.values.iter().any(|value| value.value == *highest && value.name.ends_with("_LAST"))
    });
    of.values
        .iter()
        .filter(|value| Some(value.value) != sentinel)
        .map(|of| {
            // A flag of the highest bit is a negative number in C.
            let value = if bits { i64::from(of.value as u32) } else { of.value };
            (of.name.clone(), Constant { value, since: of.since.clone() })
        })
        .collect()
}

/// What CONNECT_SUPPORTS_FEATURE asks for. A private header of the source has it.
fn driver_features(tree: &Path) -> Result<Enum> {
    let path = tree.join("src/libvirt_internal.h");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let values: IndexMap<_, _> = text
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(" = "))
        .filter(|(name, _)| name.starts_with("VIR_DRV_FEATURE_"))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .map(|(name, value)| (name, Constant { value, since: None }))
        .collect();
    ensure!(!values.is_empty(), "no driver features in {}", path.display());
    Ok(Enum { header: "libvirt_internal".to_owned(), since: None, values })
}
