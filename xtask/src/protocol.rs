//! The definitions in `protocol/`: their shape, and reading and writing them.

pub(crate) mod symbols;

use anyhow::{Context, Result};
use indexmap::IndexMap;
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The programs, in the order in which they are imported, generated and listed. "net" has no procedures: it is
/// what the packets of all of them share.
pub(crate) const PROGRAMS: [&str; 8] = ["net", "remote", "qemu", "lxc", "admin", "lock", "log", "keepalive"];

/// Fields of a struct and their types, or enumerators and their values, in order.
pub(crate) type Fields = IndexMap<String, String>;

/// A program: one file of `protocol/`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Program {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) number: Option<u32>,
    #[serde(default)]
    pub(crate) version: Option<u32>,
    /// What its types' names begin with.
    #[serde(default)]
    pub(crate) prefix: String,
    /// What its limits' and procedures' names begin with.
    #[serde(default)]
    pub(crate) constant_prefix: String,
    /// Programs whose types it uses.
    #[serde(default)]
    pub(crate) uses: Vec<String>,
    #[serde(default)]
    pub(crate) limits: IndexMap<String, u32>,
    #[serde(default)]
    pub(crate) types: Fields,
    #[serde(default, rename = "enum")]
    pub(crate) enums: IndexMap<String, IndexMap<String, i64>>,
    #[serde(default, rename = "union")]
    pub(crate) unions: IndexMap<String, Union>,
    #[serde(default, rename = "struct")]
    pub(crate) structs: IndexMap<String, Fields>,
    #[serde(default, rename = "procedure")]
    pub(crate) procedures: Vec<Procedure>,
}

/// A union: what its discriminant's values select.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Union {
    pub(crate) discriminant: String,
    pub(crate) cases: Fields,
}

/// A procedure of a program.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Procedure {
    pub(crate) number: i32,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) c_name: Option<String>,
    #[serde(default)]
    pub(crate) since: Option<String>,
    #[serde(default)]
    pub(crate) priority: Priority,
    #[serde(default)]
    pub(crate) acl: Vec<String>,
    #[serde(default)]
    pub(crate) acl_filter: Vec<String>,
    #[serde(default)]
    pub(crate) stream: Option<Stream>,
    #[serde(default)]
    pub(crate) stream_parameter: Option<u8>,
    #[serde(default)]
    pub(crate) sparse_flag: Option<String>,
    #[serde(default)]
    pub(crate) client: Implementation,
    #[serde(default)]
    pub(crate) server: Implementation,
    #[serde(default)]
    pub(crate) event_class: Option<String>,
    #[serde(default)]
    pub(crate) values: IndexMap<String, String>,
    #[serde(default)]
    pub(crate) error_domain: Option<String>,
    #[serde(default)]
    pub(crate) writes: bool,
    #[serde(default)]
    pub(crate) args: Option<String>,
    #[serde(default)]
    pub(crate) ret: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Call,
    Event,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    #[default]
    Low,
    High,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    Read,
    Write,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Implementation {
    Generated,
    #[default]
    Handwritten,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// A file of `protocol/`.
pub(crate) fn path(name: &str) -> PathBuf {
    root().join("protocol").join(format!("{name}.toml"))
}

/// Reads a TOML file.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("in {}", path.display()))
}

/// All programs, in the order of [`PROGRAMS`].
pub(crate) fn programs() -> Result<Vec<Program>> {
    PROGRAMS.iter().map(|name| read(&path(name))).collect()
}

impl Program {
    /// The file's text: one that a person reads and a diff shows well.
    pub(crate) fn to_toml(&self) -> String {
        let mut out = String::new();
        let _ =
            writeln!(out, "# Written by `cargo xtask import`; protocol/README.md says what the keys mean.");
        let _ = writeln!(out, "name = {:?}", self.name);
        if let (Some(number), Some(version)) = (self.number, self.version) {
            let _ = writeln!(out, "number = {number:#010x}\nversion = {version}");
        }
        let _ = writeln!(out, "prefix = {:?}\nconstant_prefix = {:?}", self.prefix, self.constant_prefix);
        list(&mut out, "uses", &self.uses);
        if !self.limits.is_empty() {
            out.push_str("\n[limits]\n");
            for (name, value) in &self.limits {
                let _ = writeln!(out, "{name} = {value}");
            }
        }
        fields(&mut out, "types", &self.types);
        for (name, values) in &self.enums {
            let _ = writeln!(out, "\n[enum.{name}]");
            for (name, value) in values {
                let _ = writeln!(out, "{name} = {value}");
            }
        }
        for (name, union) in &self.unions {
            let _ = writeln!(out, "\n[union.{name}]\ndiscriminant = {:?}", union.discriminant);
            fields(&mut out, &format!("union.{name}.cases"), &union.cases);
        }
        for (name, members) in &self.structs {
            fields(&mut out, &format!("struct.{name}"), members);
        }
        for procedure in &self.procedures {
            procedure.write(&mut out);
        }
        out
    }

    /// The procedure's struct, by the part of it behind the procedure's name: "args", "ret" or "msg".
    ///
    /// Names are compared without case and underscores: lock's CREATE_LOCKSPACE has …CreateLockSpaceArgs.
    pub(crate) fn struct_of(&self, procedure: &str, part: &str) -> Option<String> {
        let wanted = squash(&format!("{}{procedure}{part}", self.prefix));
        self.structs.keys().find(|name| squash(name) == wanted).cloned()
    }
}

/// A name without underscores, in lower case.
pub(crate) fn squash(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

impl Procedure {
    pub(crate) fn is_call(&self) -> bool {
        self.kind == Kind::Call
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "\n[[procedure]]\nnumber = {}\nname = {:?}", self.number, self.name);
        text(out, "kind", (self.kind == Kind::Event).then_some("event"));
        text(out, "c_name", self.c_name.as_deref());
        text(out, "since", self.since.as_deref());
        text(out, "priority", (self.priority == Priority::High).then_some("high"));
        list(out, "acl", &self.acl);
        list(out, "acl_filter", &self.acl_filter);
        text(
            out,
            "stream",
            self.stream.map(|stream| match stream {
                Stream::Read => "read",
                Stream::Write => "write",
            }),
        );
        if let Some(parameter) = self.stream_parameter {
            let _ = writeln!(out, "stream_parameter = {parameter}");
        }
        text(out, "sparse_flag", self.sparse_flag.as_deref());
        text(out, "client", (self.client == Implementation::Generated).then_some("generated"));
        text(out, "server", (self.server == Implementation::Generated).then_some("generated"));
        text(out, "event_class", self.event_class.as_deref());
        if !self.values.is_empty() {
            let values: Vec<_> = self.values.iter().map(|(field, of)| format!("{field} = {of:?}")).collect();
            let _ = writeln!(out, "values = {{ {} }}", values.join(", "));
        }
        text(out, "error_domain", self.error_domain.as_deref());
        if self.writes {
            out.push_str("writes = true\n");
        }
        text(out, "args", self.args.as_deref());
        text(out, "ret", self.ret.as_deref());
    }
}

fn fields(out: &mut String, name: &str, fields: &Fields) {
    if !fields.is_empty() {
        let _ = writeln!(out, "\n[{name}]");
        for (name, ty) in fields {
            let _ = writeln!(out, "{name} = {ty:?}");
        }
    }
}

fn list(out: &mut String, key: &str, values: &[String]) {
    if !values.is_empty() {
        let _ = writeln!(out, "{key} = {values:?}");
    }
}

fn text(out: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = writeln!(out, "{key} = {value:?}");
    }
}
