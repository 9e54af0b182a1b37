//! The client's methods: one for each procedure that is regular, on the object that it belongs to.

mod argument;
mod documentation;
mod result;

use super::model::{Model, Type, args_name, type_name};
use super::{names, symbols};
use crate::protocol::symbols::{Enums, Flags};
use crate::protocol::{Procedure, Program};
use anyhow::{Context, Result, bail, ensure};
use argument::{Argument, Source};
use indexmap::IndexMap;
use serde::Deserialize;
use std::fmt::Write as _;

/// The programs whose procedures are methods.
const PROGRAMS: [&str; 4] = ["remote", "qemu", "lxc", "admin"];

/// What the definitions do not say of the methods, by program and procedure: `protocol/methods.toml`.
pub(super) type Methods = IndexMap<String, IndexMap<String, Entry>>;

/// What is said of one procedure's method.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Entry {
    /// Whether the method, or what reaches the procedure in another way, is written by hand.
    hand: bool,
    /// The method's name, where it is not what follows from the C function's.
    name: Option<String>,
    /// What the method does, takes and gives.
    doc: String,
    /// Which errors are worth a word.
    errors: Option<String>,
    /// What shows how it is used: statements.
    example: Option<String>,
    /// Whether the example runs on the embedded hypervisor's default node.
    runs: bool,
    /// The object, where it is not the one whose handle the procedure takes first.
    object: Option<String>,
    /// What arguments are taken as, where it does not follow from their types.
    args: IndexMap<String, String>,
    /// What arguments are called, where their names in the definitions do not say it.
    names: IndexMap<String, String>,
    /// What the answer is given as, where it does not follow from its type.
    gives: Option<String>,
    /// The procedure that does the same on older daemons, where nothing is asked for that it does not know.
    plain: Option<String>,
    /// Whether the flag is set by which parameters may be strings.
    strings: bool,
}

/// An object of the client's.
struct Object {
    /// The Rust type.
    name: &'static str,
    /// The program and struct that the wire knows it by, without the program's prefix; nothing for a connection.
    handle: Option<(&'static str, &'static str)>,
    /// What the names of its own procedures and of procedures of its parts begin with.
    prefixes: &'static [&'static str],
    /// What the object is called in the connection's method that makes it.
    maker: &'static str,
}

const OBJECTS: [Object; 16] = [
    object("Connection", None, &["connect"], ""),
    object("Domain", Some(("remote", "nonnull_domain")), &["domain"], "domain"),
    object(
        "DomainSnapshot",
        Some(("remote", "nonnull_domain_snapshot")),
        &["domain_snapshot"],
        "domain_snapshot",
    ),
    object(
        "DomainCheckpoint",
        Some(("remote", "nonnull_domain_checkpoint")),
        &["domain_checkpoint"],
        "domain_checkpoint",
    ),
    object("Network", Some(("remote", "nonnull_network")), &["network"], "network"),
    object("NetworkPort", Some(("remote", "nonnull_network_port")), &["network_port"], "network_port"),
    object("Interface", Some(("remote", "nonnull_interface")), &["interface"], "interface"),
    object("NodeDevice", Some(("remote", "nonnull_node_device")), &["node_device"], "node_device"),
    object("NwFilter", Some(("remote", "nonnull_nwfilter")), &["nw_filter"], "nw_filter"),
    object(
        "NwFilterBinding",
        Some(("remote", "nonnull_nwfilter_binding")),
        &["nw_filter_binding"],
        "nw_filter_binding",
    ),
    object("Secret", Some(("remote", "nonnull_secret")), &["secret"], "secret"),
    object(
        "StoragePool",
        Some(("remote", "nonnull_storage_pool")),
        &["storage_pool", "storage"],
        "storage_pool",
    ),
    object("StorageVol", Some(("remote", "nonnull_storage_vol")), &["storage_vol"], "storage_vol"),
    object("AdminConnection", None, &["connect"], ""),
    object("AdminServer", Some(("admin", "nonnull_server")), &["server"], "server"),
    object("AdminClient", Some(("admin", "nonnull_client")), &["client"], "client"),
];

const fn object(
    name: &'static str,
    handle: Option<(&'static str, &'static str)>,
    prefixes: &'static [&'static str],
    maker: &'static str,
) -> Object {
    Object { name, handle, prefixes, maker }
}

impl Object {
    /// The object that a struct is the handle of.
    fn of(program: &str, name: &str) -> Option<&'static Self> {
        let name = name.strip_prefix(&format!("{program}_"))?;
        OBJECTS.iter().find(|object| object.handle == Some((program, name)))
    }

    fn named(name: &str) -> Result<&'static Self> {
        OBJECTS.iter().find(|object| object.name == name).with_context(|| format!("no object {name}"))
    }

    /// The connection itself, as an expression in its methods or in its objects'.
    fn connection(&self) -> &'static str {
        if self.handle.is_some() { "self.connection()" } else { "self" }
    }
}

/// All that a method's text is made from.
struct Subject<'a> {
    model: &'a Model,
    program: &'a Program,
    procedure: &'a Procedure,
    entry: &'a Entry,
    object: &'static Object,
    symbols: &'a Symbols,
}

/// The names of enums and flags.
struct Symbols {
    enums: Vec<String>,
    flags: Vec<String>,
}

impl Symbols {
    /// The Rust type of a C enum, and whether its values are bits.
    fn resolve(&self, c_name: &str) -> Result<(String, bool)> {
        let is_flags = self.flags.iter().any(|name| name == c_name);
        ensure!(is_flags || self.enums.iter().any(|name| name == c_name), "{c_name} is no enum");
        let module = if is_flags { "flags" } else { "enums" };
        Ok((format!("{module}::{}", symbols::type_name(c_name)), is_flags))
    }

    /// The Rust type of an enum by its name in Rust.
    fn by_rust_name(&self, name: &str) -> Option<String> {
        let is = |c_name: &String| symbols::type_name(c_name) == name;
        if self.enums.iter().any(is) {
            return Some(format!("enums::{name}"));
        }
        self.flags.iter().any(is).then(|| format!("flags::{name}"))
    }
}

/// The files of generated methods: the objects' names in snake case, and the modules' bodies.
pub(super) fn methods(
    model: &Model,
    methods: &Methods,
    enums: &Enums,
    flags: &Flags,
) -> Result<Vec<(String, String)>> {
    let symbols = Symbols {
        enums: enums.enums.keys().cloned().collect(),
        flags: flags.flags.keys().cloned().collect(),
    };
    for (name, entries) in methods {
        let program = model.program(name)?;
        ensure!(PROGRAMS.contains(&name.as_str()), "{name} has no methods");
        for name in entries.keys() {
            let known = program.procedures.iter().any(|of| of.name == *name && of.is_call());
            ensure!(known, "{} has no procedure {name}", program.name);
        }
    }
    let mut bodies: IndexMap<&str, String> = OBJECTS.iter().map(|of| (of.name, String::new())).collect();
    for name in PROGRAMS {
        let program = model.program(name)?;
        let empty = IndexMap::new();
        let entries = methods.get(name).unwrap_or(&empty);
        let plain: Vec<_> = entries.values().filter_map(|entry| entry.plain.as_deref()).collect();
        for procedure in program.procedures.iter().filter(|of| of.is_call()) {
            if plain.contains(&procedure.name.as_str()) {
                ensure!(!entries.contains_key(&procedure.name), "{} is another's `plain`", procedure.name);
                continue;
            }
            let entry = entries.get(&procedure.name).with_context(|| {
                format!(
                    "protocol/methods.toml says nothing of {name}.{}: describe its method",
                    procedure.name
                )
            })?;
            if entry.hand {
                continue;
            }
            let text = Subject::new(model, program, procedure, entry, &symbols)
                .and_then(|of| Ok((of.object, of.method()?)))
                .with_context(|| format!("the method of {name}.{}", procedure.name))?;
            bodies[text.0.name].push_str(&text.1);
        }
    }
    let mut files = Vec::new();
    let mut root = "//! The methods that follow from the definitions.\n\n".to_owned();
    for (name, body) in bodies {
        let module = names::field(name);
        let _ = writeln!(root, "mod {module};");
        files.push((module, file(name, &body)));
    }
    files.push(("mod".to_owned(), root));
    Ok(files)
}

fn file(object: &str, body: &str) -> String {
    let mut out =
        format!("//! The methods of [`{object}`](crate::{object}) that follow from the definitions.\n\n");
    for (path, names) in [
        ("crate", ["CallOptions", "Result", "Stream", object].as_slice()),
        ("crate::objects", &OBJECTS.map(|of| of.name)),
        ("crate::objects", &argument::HELPERS),
        ("crate::objects::info", &result::STRUCTS),
        ("bytes", &["Bytes"]),
        ("std::time", &["Duration"]),
        ("uuid", &["Uuid"]),
        ("virtwire_proto::program", &["Version", "remote", "qemu", "lxc", "admin"]),
        ("virtwire_proto::typed_params", &["TypedParam", "TypedParams"]),
        ("virtwire_proto::xdr", &["Text"]),
    ] {
        let is_used = |name: &&&str| names::mentions(body, name) && (path == "crate" || **name != object);
        let mut used: Vec<_> = names.iter().filter(is_used).copied().collect();
        if path == "crate" {
            used.push(object);
        }
        used.sort_unstable();
        used.dedup();
        if !used.is_empty() {
            let _ = writeln!(out, "use {path}::{{{}}};", used.join(", "));
        }
    }
    let modules: Vec<_> =
        ["enums", "flags"].into_iter().filter(|name| body.contains(&format!("{name}::"))).collect();
    if !modules.is_empty() {
        let _ = writeln!(out, "use virtwire_proto::{{{}}};", modules.join(", "));
    }
    let _ = writeln!(out, "\nimpl {object} {{\n{}}}", body.trim_start());
    out
}

impl<'a> Subject<'a> {
    fn new(
        model: &'a Model,
        program: &'a Program,
        procedure: &'a Procedure,
        entry: &'a Entry,
        symbols: &'a Symbols,
    ) -> Result<Self> {
        let connection = if program.name == "admin" { "AdminConnection" } else { "Connection" };
        let object = match &entry.object {
            Some(name) => Object::named(name)?,
            None => match fields(model, program, procedure.args.as_deref())?.first() {
                Some((_, Type::Struct(program, name))) => {
                    Object::of(program, name).with_context(|| format!("{name} is no object's"))?
                }
                _ => Object::named(connection)?,
            },
        };
        Ok(Self { model, program, procedure, entry, object, symbols })
    }

    /// The method's text.
    fn method(&self) -> Result<String> {
        ensure!(!self.entry.doc.is_empty(), "it has no `doc`");
        let arguments = self.arguments(self.procedure)?;
        for name in self.entry.args.keys().chain(self.entry.names.keys()) {
            ensure!(arguments.iter().any(|of| of.c == name), "there is no argument {name}");
        }
        let result = self.result()?;
        let parameters: Vec<_> = arguments
            .iter()
            .filter_map(|of| of.parameter.as_ref())
            .map(|(name, ty)| format!("{name}: {ty}"))
            .collect();
        let before: String = arguments.iter().filter_map(|of| of.before.as_deref()).collect();
        let call = result.call(self, &self.args(self.procedure, &arguments));
        let mut body = result.body(&call);
        if let Some(plain) = &self.entry.plain {
            let older = self.older(plain)?;
            let taken = self.arguments(older)?;
            let absent: Vec<_> = arguments
                .iter()
                .filter(|of| of.parameter.is_some() && taken.iter().all(|taken| taken.c != of.c))
                .map(Argument::is_absent)
                .collect::<Result<_>>()?;
            ensure!(!absent.is_empty(), "{plain} takes all that it takes");
            let older = result.call(self, &self.args(older, &taken));
            body = result.body_of_two(&absent.join(" && "), &older, &call);
        }
        Ok(format!(
            "{}pub async fn {}(&self{}{}) -> Result<{}> {{\n{before}{body}\n}}\n\n",
            self.doc()?,
            self.name()?,
            if parameters.is_empty() { "" } else { ", " },
            parameters.join(", "),
            result.ty,
        ))
    }

    /// The procedure that does the same on older daemons.
    fn older(&self, name: &str) -> Result<&'a Procedure> {
        let found = self.program.procedures.iter().find(|of| of.name == name);
        found.with_context(|| format!("no procedure {name}"))
    }

    /// The method's name: the C function's without what the object's functions begin with, and without `get`.
    fn name(&self) -> Result<String> {
        if let Some(name) = &self.entry.name {
            return Ok(name.clone());
        }
        let c_name = match &self.procedure.c_name {
            Some(name) => names::field(name),
            None => format!("vir_{}", self.procedure.name),
        };
        let name = c_name.strip_prefix("vir_").context("a function begins with vir")?;
        let name = name.strip_prefix("adm_").unwrap_or(name);
        let name = self
            .object
            .prefixes
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix)?.strip_prefix('_'))
            .unwrap_or(name);
        let words: Vec<_> = name.split('_').filter(|word| *word != "get").collect();
        Ok(words.join("_"))
    }

    /// What the procedure takes, and where the method has it from.
    fn arguments(&self, procedure: &'a Procedure) -> Result<Vec<Argument<'a>>> {
        let mut arguments = Vec::new();
        for (index, (c, ty)) in
            fields(self.model, self.program, procedure.args.as_deref())?.into_iter().enumerate()
        {
            let is_self = index == 0
                && match &ty {
                    Type::Struct(program, name) => {
                        Object::of(program, name).is_some_and(|of| of.name == self.object.name)
                    }
                    // A node device is named, not handed over.
                    _ => self.object.name == "NodeDevice" && c == "name",
                };
            arguments.push(if is_self {
                Argument::of_self(c, &ty)
            } else {
                Argument::new(self, procedure, c, &ty).with_context(|| format!("the argument {c}"))?
            });
        }
        Ok(arguments)
    }

    /// The procedure's arguments as an expression.
    fn args(&self, procedure: &Procedure, arguments: &[Argument<'_>]) -> String {
        let name = format!("{}::{}", self.program.name, args_name(self.program, procedure));
        if arguments.is_empty() {
            return name;
        }
        let fields: Vec<_> = arguments
            .iter()
            .map(|of| {
                let field = names::field(of.c);
                let Source(value) = &of.value;
                if *value == field { field } else { format!("{field}: {value}") }
            })
            .collect();
        format!("{name} {{ {} }}", fields.join(", "))
    }

    fn result(&self) -> Result<result::Given> {
        let fields = fields(self.model, self.program, self.procedure.ret.as_deref())?;
        result::Given::new(self, &fields)
    }

    /// A type of the program's or of one that it uses, by its path.
    fn path(&self, program: &str, name: &str) -> Result<String> {
        Ok(format!("{program}::{}", type_name(self.model.program(program)?, name)))
    }
}

/// The fields of the struct that a procedure takes or gives.
fn fields<'a>(model: &Model, program: &'a Program, name: Option<&str>) -> Result<Vec<(&'a str, Type)>> {
    match name {
        Some(name) => model.fields(program, name),
        None => Ok(Vec::new()),
    }
}

/// A mistake in `protocol/methods.toml`.
fn unknown<T>(kind: &str, ty: &Type) -> Result<T> {
    bail!("{kind:?} is nothing that {ty:?} can be taken or given as")
}
