//! Follows a release of libvirt: reads its definitions and API XML, and writes `protocol/`.
//!
//! Only facts are taken: names, numbers, types, limits, annotations and versions.

mod api;
pub(crate) mod delta;
mod functions;
mod symbols;
mod xdr;

use crate::protocol::{self, Fields, Implementation, Kind, Priority, Procedure, Program, Stream, squash};
use anyhow::{Context, Result, bail, ensure};
use api::Api;
use delta::Delta;
use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where a program's definitions are, and what its names begin with.
struct Source {
    name: &'static str,
    file: &'static str,
    prefix: &'static str,
    constant_prefix: &'static str,
    /// The constants that hold the program's number and version.
    number: [&'static str; 2],
    uses: &'static [&'static str],
    /// The C function of a procedure, in lower case and without underscores, from the procedure's name.
    function: fn(&str) -> Option<String>,
}

const SOURCES: [Source; 8] = [
    Source {
        name: "net",
        file: "src/rpc/virnetprotocol.x",
        prefix: "virNet",
        constant_prefix: "VIR_NET_",
        number: ["", ""],
        uses: &[],
        function: |_| None,
    },
    Source {
        name: "remote",
        file: "src/remote/remote_protocol.x",
        prefix: "remote_",
        constant_prefix: "REMOTE_",
        number: ["REMOTE_PROGRAM", "REMOTE_PROTOCOL_VERSION"],
        uses: &[],
        function: |name| Some(format!("vir{}", squash(name))),
    },
    Source {
        name: "qemu",
        file: "src/remote/qemu_protocol.x",
        prefix: "qemu_",
        constant_prefix: "QEMU_",
        number: ["QEMU_PROGRAM", "QEMU_PROTOCOL_VERSION"],
        uses: &["remote"],
        function: |name| Some(format!("vir{}", squash(name).replacen("domain", "domainqemu", 1))),
    },
    Source {
        name: "lxc",
        file: "src/remote/lxc_protocol.x",
        prefix: "lxc_",
        constant_prefix: "LXC_",
        number: ["LXC_PROGRAM", "LXC_PROTOCOL_VERSION"],
        uses: &["remote"],
        function: |name| Some(format!("vir{}", squash(name).replacen("domain", "domainlxc", 1))),
    },
    Source {
        name: "admin",
        file: "src/admin/admin_protocol.x",
        prefix: "admin_",
        constant_prefix: "ADMIN_",
        number: ["ADMIN_PROGRAM", "ADMIN_PROTOCOL_VERSION"],
        uses: &[],
        function: |name| Some(format!("viradm{}", squash(name))),
    },
    Source {
        name: "lock",
        file: "src/locking/lock_protocol.x",
        prefix: "virLockSpaceProtocol",
        constant_prefix: "VIR_LOCK_SPACE_PROTOCOL_",
        number: ["VIR_LOCK_SPACE_PROTOCOL_PROGRAM", "VIR_LOCK_SPACE_PROTOCOL_PROGRAM_VERSION"],
        uses: &[],
        function: |_| None,
    },
    Source {
        name: "log",
        file: "src/logging/log_protocol.x",
        prefix: "virLogManagerProtocol",
        constant_prefix: "VIR_LOG_MANAGER_PROTOCOL_",
        number: ["VIR_LOG_MANAGER_PROTOCOL_PROGRAM", "VIR_LOG_MANAGER_PROTOCOL_PROGRAM_VERSION"],
        uses: &[],
        function: |_| None,
    },
    Source {
        name: "keepalive",
        file: "src/rpc/virkeepaliveprotocol.x",
        prefix: "keepalive_",
        constant_prefix: "KEEPALIVE_",
        number: ["KEEPALIVE_PROGRAM", "KEEPALIVE_PROTOCOL_VERSION"],
        uses: &[],
        function: |_| None,
    },
];

/// What the definitions leave out, by program and procedure. Written by hand.
type Corrections = IndexMap<String, IndexMap<String, Correction>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Correction {
    /// The symbol of the API that it came with.
    since_of: Option<String>,
    /// The version that it came with, where no symbol of the API says so.
    since: Option<String>,
    stream: Option<Stream>,
    stream_parameter: Option<u8>,
    /// Enums of arguments that the API XML does not name.
    values: IndexMap<String, String>,
}

/// `cargo xtask import --source TREE --api DIR [--delta FILE]`
pub(crate) fn main(args: &[String]) -> Result<()> {
    let (mut source, mut dir, mut delta) = (None, None, None);
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let place = match option.as_str() {
            "--source" => &mut source,
            "--api" => &mut dir,
            "--delta" => &mut delta,
            other => bail!("{other:?} is no option of import"),
        };
        *place = Some(PathBuf::from(args.next().with_context(|| format!("{option} wants a path"))?));
    }
    let tree = source.context("--source TREE is wanted")?;
    let api = Api::read(&dir.context("--api DIR is wanted")?)?;
    let version = source_version(&tree)?;
    let delta = match delta {
        Some(path) => {
            let delta: Delta = protocol::read(&path)?;
            ensure!(
                delta.to == api.version,
                "the delta leads to {}, the API XML is of {}",
                delta.to,
                api.version
            );
            if api::parts(&version) < api::parts(&delta.to) { delta } else { Delta::default() }
        }
        None => Delta::default(),
    };
    let functions = functions::read(&tree)?;
    let corrections: Corrections = protocol::read(&protocol::path("corrections"))?;
    for source in SOURCES {
        let mut program = import(&source, &tree, &api, delta.program.get(source.name))
            .with_context(|| format!("in {}", source.file))?;
        for (name, correction) in corrections.get(source.name).into_iter().flatten() {
            correct(&mut program, name, correction, &api)?;
        }
        between(&mut program);
        checks(&source, &mut program, &functions);
        let functions = program.procedures.iter().filter(|procedure| procedure.c_name.is_some()).count();
        println!(
            "{}: {} procedures, {functions} with a C function, {} with a version, {} structs",
            program.name,
            program.procedures.len(),
            program.procedures.iter().filter(|procedure| procedure.since.is_some()).count(),
            program.structs.len()
        );
        std::fs::write(protocol::path(source.name), program.to_toml())?;
    }
    let (enums, flags, names) = symbols::import(&api, &tree)?;
    println!(
        "{} enums, {} flags, {} names of parameters",
        enums.enums.len(),
        flags.flags.len(),
        names.headers.values().map(IndexMap::len).sum::<usize>()
    );
    std::fs::write(protocol::path("enums"), enums.to_toml())?;
    std::fs::write(protocol::path("flags"), flags.to_toml())?;
    std::fs::write(protocol::path("typed_params"), names.to_toml())?;
    Ok(())
}

/// The libvirt that a source tree is of.
fn source_version(tree: &Path) -> Result<String> {
    let path = tree.join("meson.build");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("version: '"));
    let version = line.and_then(|line| line.split_once('\'')).context("meson.build has no version")?;
    Ok(version.0.to_owned())
}

fn import(source: &Source, tree: &Path, api: &Api, delta: Option<&delta::ProgramDelta>) -> Result<Program> {
    let path = tree.join(source.file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = xdr::parse(&text)?;
    let number = |name: &str| resolve(&file, api, name);
    let mut program = Program {
        name: source.name.to_owned(),
        prefix: source.prefix.to_owned(),
        constant_prefix: source.constant_prefix.to_owned(),
        uses: source.uses.iter().map(|&name| name.to_owned()).collect(),
        ..Program::default()
    };
    if !source.number[0].is_empty() {
        program.number = Some(number(source.number[0])?);
        program.version = Some(number(source.number[1])?);
    }
    for name in file.constants.keys().filter(|name| !source.number.contains(&name.as_str())) {
        program.limits.insert(name.clone(), number(name)?);
    }
    let ty = |ty: &String| fixed_length(ty, &number);
    let fields = |fields: &Fields| {
        fields.iter().map(|(name, of)| Ok((name.clone(), ty(of)?))).collect::<Result<Fields>>()
    };
    program.types = fields(&file.types)?;
    for (name, of) in &file.structs {
        program.structs.insert(name.clone(), fields(of)?);
    }
    program.unions = file.unions.clone();
    let mut procedures = Vec::new();
    for (name, enumerators) in file.enums {
        if squash(&name) == squash(&format!("{}procedure", source.prefix)) {
            procedures = enumerators;
        } else {
            program.enums.insert(name, enumerators.into_iter().map(|of| (of.name, of.value)).collect());
        }
    }
    for enumerator in procedures {
        let name = enumerator.name.clone();
        program.procedures.push(procedure(source, &program, enumerator).with_context(|| name)?);
    }
    if let Some(delta) = delta {
        delta.apply(&mut program)?;
    }
    derive(source, &mut program, api);
    Ok(program)
}

/// A constant's value, which may be another constant or a macro of the public headers.
fn resolve(file: &xdr::File, api: &Api, name: &str) -> Result<u32> {
    let value = file.constants.get(name).map_or(name, String::as_str);
    let number = xdr::number(value).or_else(|| api.constant(value));
    u32::try_from(number.with_context(|| format!("{value} is not known"))?).context(name.to_owned())
}

/// A type with the length of an array as a number: `opaque[VIR_UUID_BUFLEN]`, `opaque[16]`. Maxima keep their
/// names.
fn fixed_length(ty: &str, number: &dyn Fn(&str) -> Result<u32>) -> Result<String> {
    match ty.split_once('[') {
        Some((element, length)) => Ok(format!("{element}[{}]", number(length.trim_end_matches(']'))?)),
        None => Ok(ty.to_owned()),
    }
}

fn procedure(source: &Source, program: &Program, enumerator: xdr::Enumerator) -> Result<Procedure> {
    let name = enumerator
        .name
        .strip_prefix(source.constant_prefix)
        .and_then(|name| name.strip_prefix("PROC_"))
        .context("expected a procedure's name")?
        .to_ascii_lowercase();
    let mut procedure = Procedure { number: i32::try_from(enumerator.value)?, name, ..Procedure::default() };
    for (key, value) in enumerator.annotations {
        match key.as_str() {
            "generate" => {
                let (client, server) = match value.as_str() {
                    "none" => (false, false),
                    "client" => (true, false),
                    "server" => (false, true),
                    "both" => (true, true),
                    other => bail!("@generate: {other}"),
                };
                let how = |generated| {
                    if generated { Implementation::Generated } else { Implementation::Handwritten }
                };
                (procedure.client, procedure.server) = (how(client), how(server));
            }
            "priority" => {
                procedure.priority = match value.as_str() {
                    "high" => Priority::High,
                    "low" => Priority::Low,
                    other => bail!("@priority: {other}"),
                }
            }
            "readstream" | "writestream" => {
                procedure.stream = Some(if key == "readstream" { Stream::Read } else { Stream::Write });
                procedure.stream_parameter = Some(value.parse().context("a stream's parameter")?);
            }
            "sparseflag" => procedure.sparse_flag = Some(value),
            "acl" => procedure.acl.push(value),
            "aclfilter" => procedure.acl_filter.push(value),
            other => bail!("the annotation @{other} is not known"),
        }
    }
    procedure.args = program.struct_of(&procedure.name, "args");
    procedure.ret = program.struct_of(&procedure.name, "ret");
    if let Some(message) = program.struct_of(&procedure.name, "msg") {
        ensure!(procedure.args.is_none() && procedure.ret.is_none(), "both a call and an event");
        procedure.kind = Kind::Event;
        procedure.args = Some(message);
    }
    Ok(procedure)
}

fn correct(program: &mut Program, name: &str, correction: &Correction, api: &Api) -> Result<()> {
    let procedure = program.procedures.iter_mut().find(|of| of.name == name);
    let procedure = procedure.with_context(|| format!("{} has no {name}", program.name))?;
    let of_symbol = correction
        .since_of
        .as_ref()
        .map(|symbol| api.since(symbol).map(str::to_owned).with_context(|| format!("no symbol {symbol}")));
    if let Some(since) = of_symbol.transpose()?.or_else(|| correction.since.clone()) {
        ensure!(procedure.since.is_none(), "{name} needs no correction of its version any more");
        procedure.since = Some(since);
    }
    if correction.stream.is_some() {
        ensure!(procedure.stream.is_none(), "{name} needs no correction of its stream any more");
        procedure.stream = correction.stream;
        procedure.stream_parameter = correction.stream_parameter;
    }
    for (argument, of) in &correction.values {
        let before = procedure.values.insert(argument.clone(), of.clone());
        ensure!(before.is_none(), "{name} needs no correction of {argument} any more");
    }
    Ok(())
}

/// What follows from the definitions and the API: the C function, the version, the event class.
fn derive(source: &Source, program: &mut Program, api: &Api) {
    let functions: IndexMap<String, (&String, &String)> =
        api.functions.iter().map(|(name, since)| (squash(name), (name, since))).collect();
    let mut procedures = std::mem::take(&mut program.procedures);
    for procedure in &mut procedures {
        if program.name == "keepalive" {
            // Both are messages that ask for no reply.
            procedure.kind = Kind::Event;
        }
        if procedure.kind == Kind::Call && procedure.c_name.is_none() {
            let function = (source.function)(&procedure.name);
            if let Some((name, since)) = function.and_then(|name| functions.get(&name)) {
                procedure.c_name = Some((*name).clone());
                procedure.since.get_or_insert_with(|| (*since).clone());
            }
        }
        procedure.values = values(program, procedure, api);
        procedure.event_class = event_class(program, procedure).map(str::to_owned);
        if procedure.since.is_none() {
            procedure.since = event_since(program, procedure, api);
        }
    }
    program.procedures = procedures;
}

/// The enums of a procedure's arguments: of those that its C function has, too.
fn values(program: &Program, procedure: &Procedure, api: &Api) -> IndexMap<String, String> {
    let fields = procedure.args.as_ref().and_then(|name| program.structs.get(name));
    let of_function = procedure.c_name.as_ref().and_then(|name| api.values.get(name));
    let (Some(fields), Some(of_function)) = (fields, of_function) else { return IndexMap::new() };
    fields.keys().filter_map(|field| Some((field.clone(), of_function.get(field)?.clone()))).collect()
}

/// What the function behind a call does before it reaches a driver. Some functions are libvirt's own, so that no
/// API has them.
fn checks(source: &Source, program: &mut Program, functions: &HashMap<String, functions::Function>) {
    for procedure in program.procedures.iter_mut().filter(|procedure| procedure.kind == Kind::Call) {
        let name = procedure.c_name.as_deref().map(squash).or_else(|| (source.function)(&procedure.name));
        if let Some(function) = name.and_then(|name| functions.get(&name)) {
            procedure.error_domain = Some(function.error_domain.clone());
            procedure.writes = function.writes;
        }
    }
}

/// The version of the identifier that clients name an event by: VIR_DOMAIN_EVENT_ID_REBOOT for
/// domain_event_reboot. Events that were there in an older generation are younger than their identifiers.
fn event_since(program: &Program, event: &Procedure, api: &Api) -> Option<String> {
    if event.kind != Kind::Event {
        return None;
    }
    let older = event.name.replace("_event_callback_", "_event_");
    let is_younger =
        older != event.name && program.structs.contains_key(&format!("{}{older}_msg", program.prefix));
    // The first event of all is older than the identifiers.
    if is_younger || event.name == "domain_event_lifecycle" {
        return None;
    }
    let identifier = format!("vir_{}", older.replace("_event_", "_event_id_")).to_ascii_uppercase();
    api.since(&identifier).map(str::to_owned)
}

/// Numbers are given in the order of time: a procedure between two of the same version is of that version, too.
fn between(program: &mut Program) {
    let known: Vec<_> = program.procedures.iter().map(|of| of.since.clone()).collect();
    for (index, procedure) in program.procedures.iter_mut().enumerate() {
        let before = known[..index].iter().rev().flatten().next();
        let behind = known[index..].iter().flatten().next();
        if procedure.since.is_none() && before == behind {
            procedure.since = before.cloned();
        }
    }
}

/// The numbering of the callback identifier that a procedure registers, deregisters or carries, by its field
/// `callbackID`: procedures of the older generation have none.
fn event_class(program: &Program, procedure: &Procedure) -> Option<&'static str> {
    let structs = [&procedure.args, &procedure.ret].into_iter().flatten();
    let has = |name: &String| program.structs.get(name).is_some_and(|of| of.contains_key("callbackID"));
    if !structs.into_iter().any(has) {
        return None;
    }
    if program.name == "qemu" {
        return Some("qemu_monitor");
    }
    let name = procedure.name.strip_prefix("connect_").unwrap_or(&procedure.name);
    ["domain", "network", "storage_pool", "node_device", "secret"]
        .into_iter()
        .find(|class| name.strip_prefix(class).is_some_and(|rest| rest.starts_with("_event_")))
}
