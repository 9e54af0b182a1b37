//! The dissector's registered fields and values: what `tshark -G fields` and `tshark -G values` print.

use super::Report;
use crate::protocol::Program;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// The programs that the dissector knows, in the order in which it registers their procedures.
pub(super) const PROGRAMS: [&str; 4] = ["remote", "qemu", "lxc", "keepalive"];

/// Compares the structs and procedures of the programs in `spoken` with what the dissector registers.
pub(super) fn compare(all: &[Program], spoken: &[&Program], fields: &str, values: &str) -> Result<Report> {
    let mut report = Report::default();
    let mut registered = structs(fields);
    for program in spoken {
        for name in program.structs.keys() {
            let wanted = members(all, program, name)?;
            report.structs += 1;
            report.fields += wanted.len();
            match registered.remove(name) {
                Some(found) if found == wanted => {}
                Some(found) => report.differs(format!("{name}: {wanted:?} here, {found:?} registered")),
                None => report.differs(format!("{name} is here and not registered")),
            }
        }
    }
    // The rest is the dissector's own.
    let ours = |name: &&String| spoken.iter().any(|of| !of.prefix.is_empty() && name.starts_with(&of.prefix));
    for name in registered.keys().filter(ours) {
        report.differs(format!("{name} is registered and not here"));
    }

    // The values do not say which program they belong to, so their order has to.
    let found: Vec<_> = values
        .lines()
        .filter_map(|line| line.strip_prefix("V\tlibvirt.procedure\t"))
        .map(|line| line.replace('\t', " "))
        .collect();
    let wanted: Vec<_> = spoken
        .iter()
        .flat_map(|program| &program.procedures)
        .map(|of| format!("{} {}", of.number, of.name.to_ascii_uppercase()))
        .collect();
    report.enumerators += wanted.len();
    if found != wanted {
        let differ = found.iter().zip(&wanted).find(|(found, wanted)| found != wanted);
        report.differs(format!(
            "procedures: {} here, {} registered; the first that differ: {differ:?}",
            wanted.len(),
            found.len()
        ));
    }
    Ok(report)
}

/// Structs and their members, each with its Wireshark type, in order.
fn structs(fields: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all = BTreeMap::new();
    let mut members = Vec::new();
    for line in fields.lines().filter(|line| line.starts_with("F\t")) {
        let columns: Vec<_> = line.split('\t').collect();
        let (Some(path), Some(ty)) = (columns.get(2), columns.get(3)) else { continue };
        let Some(path) = path.strip_prefix("libvirt.") else { continue };
        match path.split_once('.') {
            Some((of, member)) => members.push((of.to_owned(), member.to_owned(), (*ty).to_owned())),
            // A struct's own field comes behind those of its members. The header's fields have none, and a
            // union has none of its own: its members stand before those of the struct that holds it.
            None => {
                let own = members.drain(..).filter_map(|(of, member, ty): (String, String, String)| {
                    (of == path).then_some((member, ty))
                });
                let own: Vec<_> = own.collect();
                if !own.is_empty() {
                    all.insert(path.to_owned(), own);
                }
            }
        }
    }
    all
}

/// What the dissector ought to register for a struct.
fn members(all: &[Program], program: &Program, name: &str) -> Result<Vec<(String, String)>> {
    let mut members = Vec::new();
    for (field, ty) in &program.structs[name] {
        let (mut kind, array) = kind(all, program, ty).with_context(|| format!("{name}.{field}"))?;
        if field == "type" {
            // libvirt's generator takes every member of this name for the header's field.
            kind = "FT_UINT32";
        }
        if array {
            members.push((format!("{field}.{field}"), kind.to_owned()));
            members.push((field.clone(), "FT_NONE".to_owned()));
        } else {
            members.push((field.clone(), kind.to_owned()));
        }
    }
    Ok(members)
}

/// A type's Wireshark type, and whether it is an array of it.
fn kind(all: &[Program], program: &Program, ty: &str) -> Result<(&'static str, bool)> {
    if let Some(ty) = ty.strip_suffix(" *") {
        return kind(all, program, ty);
    }
    if let Some((element, _)) = ty.split_once(['<', '[']) {
        return match element {
            "string" => Ok(("FT_STRING", false)),
            "opaque" => Ok(("FT_BYTES", false)),
            element => Ok((kind(all, program, element)?.0, true)),
        };
    }
    let number = match ty {
        "int" => Some("FT_INT32"),
        "unsigned int" => Some("FT_UINT32"),
        "hyper" => Some("FT_INT64"),
        "unsigned hyper" => Some("FT_UINT64"),
        "short" => Some("FT_INT16"),
        "unsigned short" => Some("FT_UINT16"),
        "char" => Some("FT_INT8"),
        "unsigned char" => Some("FT_UINT8"),
        "double" => Some("FT_DOUBLE"),
        _ => None,
    };
    if let Some(number) = number {
        return Ok((number, false));
    }
    if let Some(ty) = program.types.get(ty) {
        return kind(all, program, ty);
    }
    if program.enums.contains_key(ty) {
        return Ok(("FT_UINT32", false));
    }
    if program.structs.contains_key(ty) || program.unions.contains_key(ty) {
        return Ok(("FT_NONE", false));
    }
    let other = program.uses.iter().find_map(|name| all.iter().find(|of| of.name == *name));
    kind(all, other.with_context(|| format!("the type {ty:?} is not known"))?, ty)
}
