//! The public headers' enums, flags, constants and parameter names: `enums.toml`, `flags.toml`,
//! `typed_params.toml`.

use indexmap::IndexMap;
use serde::Deserialize;
use std::fmt::Write as _;

/// `enums.toml`: enums whose values stand for one thing each, and constants.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enums {
    #[serde(default, rename = "enum")]
    pub(crate) enums: IndexMap<String, Enum>,
    #[serde(default)]
    pub(crate) constants: IndexMap<String, Constant>,
}

/// `flags.toml`: enums whose values are bits.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flags {
    pub(crate) flags: IndexMap<String, Enum>,
}

/// `typed_params.toml`: the names of typed parameters, by header.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Names {
    pub(crate) headers: IndexMap<String, IndexMap<String, Name>>,
}

/// An enum, with its enumerators in the order of their values.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enum {
    /// Without its extension: "libvirt-domain".
    pub(crate) header: String,
    #[serde(default)]
    pub(crate) since: Option<String>,
    pub(crate) values: IndexMap<String, Constant>,
}

/// An enumerator, or a macro that stands for a number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constant {
    pub(crate) value: i64,
    #[serde(default)]
    pub(crate) since: Option<String>,
}

/// A macro that stands for a string.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Name {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) since: Option<String>,
}

const HEADER: &str = "# Written by `cargo xtask import`; protocol/README.md says what the keys mean.\n";

impl Enums {
    pub(crate) fn to_toml(&self) -> String {
        let mut out = HEADER.to_owned();
        section(&mut out, "enum", &self.enums, false);
        out.push_str("\n[constants]\n");
        self.constants.iter().for_each(|(name, of)| constant(&mut out, name, of, false));
        out
    }
}

impl Flags {
    pub(crate) fn to_toml(&self) -> String {
        let mut out = HEADER.to_owned();
        section(&mut out, "flags", &self.flags, true);
        out
    }
}

impl Names {
    pub(crate) fn to_toml(&self) -> String {
        let mut out = HEADER.to_owned();
        for (header, names) in &self.headers {
            let _ = writeln!(out, "\n[{header}]");
            for (name, of) in names {
                let _ = writeln!(out, "{name} = {{ name = {:?}{} }}", of.name, since(of.since.as_ref()));
            }
        }
        out
    }
}

fn section(out: &mut String, key: &str, enums: &IndexMap<String, Enum>, hexadecimal: bool) {
    for (name, of) in enums {
        let _ = writeln!(out, "\n[{key}.{name}]\nheader = {:?}", of.header);
        if let Some(since) = &of.since {
            let _ = writeln!(out, "since = {since:?}");
        }
        let _ = writeln!(out, "[{key}.{name}.values]");
        of.values.iter().for_each(|(name, value)| constant(out, name, value, hexadecimal));
    }
}

fn constant(out: &mut String, name: &str, of: &Constant, hexadecimal: bool) {
    let value = if hexadecimal { format!("{:#x}", of.value) } else { of.value.to_string() };
    let _ = writeln!(out, "{name} = {{ value = {value}{} }}", since(of.since.as_ref()));
}

fn since(since: Option<&String>) -> String {
    since.map_or_else(String::new, |since| format!(", since = {since:?}"))
}
