//! Reads libvirt's API XML: functions, enums and macros, with the version that each appeared in.

use anyhow::{Context, Result};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::path::Path;

/// What the XML files of a folder say together.
#[derive(Debug, Default)]
pub(super) struct Api {
    /// Functions and the versions that they appeared in, by name.
    pub(super) functions: BTreeMap<String, String>,
    /// The enums whose values the functions' numeric arguments take, by function and argument, as far as the
    /// arguments' descriptions name them.
    pub(super) values: BTreeMap<String, IndexMap<String, String>>,
    pub(super) enums: IndexMap<String, Enum>,
    pub(super) macros: Vec<Macro>,
    /// The libvirt that the files describe: "12.8.0".
    pub(super) version: String,
}

/// A C enum.
#[derive(Debug, Default)]
pub(super) struct Enum {
    /// The header that it stands in: "libvirt-domain".
    pub(super) header: String,
    pub(super) since: Option<String>,
    /// Whether its values are written as shifts.
    pub(super) bits: bool,
    pub(super) values: Vec<Value>,
}

/// An enumerator.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: String,
    /// A number, or the name of another enumerator.
    raw: String,
    pub(super) value: i64,
    pub(super) since: Option<String>,
}

/// A macro.
#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: String,
    pub(super) header: String,
    /// The string that it stands for, where it is one.
    pub(super) string: Option<String>,
    /// What it stands for otherwise.
    pub(super) raw: Option<String>,
    pub(super) since: Option<String>,
}

impl Api {
    /// Reads the files of libvirt, libvirt-admin, libvirt-qemu and libvirt-lxc in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut api = Self::default();
        for name in ["libvirt", "libvirt-admin", "libvirt-qemu", "libvirt-lxc"] {
            let path = dir.join(format!("{name}-api.xml"));
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let document =
                roxmltree::Document::parse(&text).with_context(|| format!("in {}", path.display()))?;
            for node in document.descendants() {
                api.symbol(&node).with_context(|| format!("in {}", path.display()))?;
            }
        }
        let number = api.constant("LIBVIR_VERSION_NUMBER").context("no LIBVIR_VERSION_NUMBER")?;
        api.version = format!("{}.{}.{}", number / 1_000_000, number / 1000 % 1000, number % 1000);
        api.resolve()?;
        Ok(api)
    }

    /// Gives every enumerator its number.
    fn resolve(&mut self) -> Result<()> {
        let raw: BTreeMap<String, (String, bool)> = self
            .enums
            .values()
            .flat_map(|of| of.values.iter().map(|value| (value.name.clone(), (value.raw.clone(), of.bits))))
            .collect();
        for of in self.enums.values_mut() {
            for value in &mut of.values {
                let mut text = &value.raw;
                let number = loop {
                    if let Ok(number) = text.parse() {
                        break number;
                    }
                    let (other, bits) = raw.get(text).with_context(|| format!("{} is {text}", value.name))?;
                    text = other;
                    of.bits |= bits;
                };
                value.value = number;
            }
            of.values.sort_by_key(|value| value.value);
        }
        // A few typedefs are names for something else, such as a bool.
        self.enums.retain(|_, of| !of.values.is_empty());
        // What the descriptions name is an enum only now that all are known. That strings are understood is said
        // beside other flags.
        let Self { enums, values, .. } = self;
        for arguments in values.values_mut() {
            arguments.retain(|_, of| {
                let named = of
                    .split(|c: char| !c.is_ascii_alphanumeric())
                    .find(|word| enums.contains_key(*word) && *word != "virTypedParameterFlags");
                named.map(str::to_owned).is_some_and(|named| {
                    *of = named;
                    true
                })
            });
        }
        Ok(())
    }

    fn symbol(&mut self, node: &roxmltree::Node<'_, '_>) -> Result<()> {
        let text = |key| node.attribute(key).map(str::to_owned);
        let Some(name) = text("name") else { return Ok(()) };
        let since = text("version");
        let header = text("file").unwrap_or_default();
        match node.tag_name().name() {
            "function" => {
                let arguments = node.children().filter(|of| of.has_tag_name("arg")).filter_map(|of| {
                    let is_number = matches!(of.attribute("type")?, "int" | "unsigned int");
                    is_number.then_some((of.attribute("name")?.to_owned(), of.attribute("info")?.to_owned()))
                });
                self.values.insert(name.clone(), arguments.collect());
                self.functions.insert(name, since.unwrap_or_default());
            }
            "typedef" if node.attribute("type") == Some("enum") => {
                let of = self.enums.entry(name).or_default();
                of.header = header;
                of.since = since;
            }
            "enum" => {
                let ty = text("type").with_context(|| format!("{name} belongs to no enum"))?;
                let raw = text("value").with_context(|| format!("{name} has no value"))?;
                let of = self.enums.entry(ty).or_default();
                if of.header.is_empty() {
                    of.header = header;
                }
                of.bits |= node.has_attribute("value_bitshift");
                of.values.push(Value { name, raw, value: 0, since });
            }
            "macro" if !node.has_attribute("params") => {
                self.macros.push(Macro { name, header, string: text("string"), raw: text("raw"), since });
            }
            _ => {}
        }
        Ok(())
    }

    /// The version that a function or an enumerator appeared in.
    pub(super) fn since(&self, name: &str) -> Option<&str> {
        let enumerators = || self.enums.values().flat_map(|of| &of.values).find(|of| of.name == name);
        let since = self.functions.get(name).or_else(|| enumerators()?.since.as_ref());
        since.map(String::as_str)
    }

    /// The value of a macro that stands for a number or a sum of numbers.
    pub(super) fn constant(&self, name: &str) -> Option<i64> {
        let raw = self.macros.iter().find(|of| of.name == name)?.raw.as_deref()?;
        sum(raw)
    }
}

/// "(256 + 1)" as a number.
pub(super) fn sum(raw: &str) -> Option<i64> {
    let raw = raw.split_once("/*").map_or(raw, |(raw, _)| raw);
    let raw = raw.trim().trim_start_matches('(').trim_end_matches(')');
    raw.split('+').map(|part| super::xdr::number(part.trim().trim_end_matches("LL"))).sum()
}

/// "12.8.0" as numbers that compare.
pub(super) fn parts(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}
