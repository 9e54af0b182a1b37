//! The public headers' enums, flags, constants and parameter names.

use super::names;
use crate::protocol::symbols::{Enum, Enums, Flags, Names};
use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Modules and the headers whose enums and flags they hold.
const MODULES: [(&str, &str, &str); 16] = [
    ("admin", "libvirt-admin", "The administration interface"),
    ("checkpoint", "libvirt-domain-checkpoint", "Domain checkpoints"),
    ("common", "libvirt-common", "Connections and typed parameters"),
    ("domain", "libvirt-domain", "Domains"),
    ("driver", "libvirt_internal", "Drivers"),
    ("error", "virterror", "Errors"),
    ("event", "libvirt-event", "Event loops"),
    ("host", "libvirt-host", "Hosts"),
    ("interface", "libvirt-interface", "Host interfaces"),
    ("network", "libvirt-network", "Networks"),
    ("node_device", "libvirt-nodedev", "Node devices"),
    ("nwfilter", "libvirt-nwfilter", "Network filters"),
    ("qemu", "libvirt-qemu", "The QEMU driver"),
    ("secret", "libvirt-secret", "Secrets"),
    ("snapshot", "libvirt-domain-snapshot", "Domain snapshots"),
    ("storage", "libvirt-storage", "Storage pools and volumes"),
];

/// One more header has streams, whose name is a word of its own in every module list.
const STREAM: (&str, &str, &str) = ("stream", "libvirt-stream", "Streams");

/// Groups of parameter names: what their macros begin with, their module, and what they are the names of. A
/// longer beginning stands before a shorter one that it begins with.
const GROUPS: [(&str, &str, &str); 28] = [
    ("VIR_CLIENT_INFO_", "client_info", "a daemon's client"),
    ("VIR_CONNECT_IDENTITY_", "identity", "the identity that a connection is given"),
    ("VIR_DOMAIN_ANNOUNCE_INTERFACE_", "announce_interface", "announcing a domain's interface"),
    ("VIR_DOMAIN_BANDWIDTH_", "bandwidth", "the bandwidth of a domain's interface"),
    ("VIR_DOMAIN_BLKIO_", "blkio", "a domain's block I/O tuning"),
    ("VIR_DOMAIN_BLOCK_COPY_", "block_copy", "a block copy"),
    ("VIR_DOMAIN_BLOCK_IOTUNE_", "block_io_tune", "the I/O throttling of a domain's disk"),
    ("VIR_DOMAIN_BLOCK_STATS_", "block_stats", "the statistics of a domain's disk"),
    ("VIR_DOMAIN_CPU_STATS_", "cpu_stats", "a domain's CPU statistics"),
    ("VIR_DOMAIN_GUEST_INFO_", "guest_info", "what a guest says of itself"),
    ("VIR_DOMAIN_IOTHREAD_", "iothread", "an I/O thread"),
    ("VIR_DOMAIN_JOB_", "job", "a domain's job"),
    ("VIR_DOMAIN_LAUNCH_SECURITY_", "launch_security", "a domain's launch security"),
    ("VIR_DOMAIN_MEMORY_", "memory", "a domain's memory tuning"),
    ("VIR_DOMAIN_NUMA_", "numa", "a domain's NUMA tuning"),
    ("VIR_DOMAIN_SAVE_PARAM_", "save", "saving and restoring a domain"),
    ("VIR_DOMAIN_SCHEDULER_", "scheduler", "a domain's scheduler"),
    ("VIR_DOMAIN_STATS_", "domain_stats", "the statistics of all domains"),
    ("VIR_DOMAIN_TUNABLE_", "tunable", "the event that a domain was tuned"),
    ("VIR_MIGRATE_PARAM_", "migrate", "a migration"),
    ("VIR_NETWORK_PORT_", "network_port", "a network port"),
    ("VIR_NODE_CPU_STATS_", "node_cpu_stats", "a host's CPU statistics"),
    ("VIR_NODE_MEMORY_STATS_", "node_memory_stats", "a host's memory statistics"),
    ("VIR_NODE_MEMORY_", "node_memory", "a host's memory tuning"),
    ("VIR_NODE_SEV_", "node_sev", "a host's SEV"),
    ("VIR_PERF_PARAM_", "perf", "a domain's perf events"),
    ("VIR_SERVER_CLIENTS_", "server_clients", "how many clients a daemon's server takes"),
    ("VIR_THREADPOOL_", "threadpool", "a daemon's pool of workers"),
];

/// Rust's names for types where the rule's is not good.
const TYPE_NAMES: [(&str, &str); 4] = [
    ("virConnectFlags", "ConnectFlags"),
    ("virDrvFeature", "DriverFeature"),
    ("virAdmConnectDaemonShutdownFlags", "DaemonShutdownFlags"),
    ("virStorageXMLFlags", "StorageXmlFlags"),
];

/// What the values of a type begin with where the rule's answer is not good.
const PREFIXES: [(&str, &str); 6] = [
    ("virDomainBlockJobSetSpeedFlags", "VIR_DOMAIN_BLOCK_JOB_SPEED_"),
    ("virDomainCreateFlags", "VIR_DOMAIN_START_"),
    ("virErrorNumber", "VIR_ERR_"),
    ("virNodeGetCPUStatsAllCPUs", "VIR_NODE_CPU_STATS_"),
    ("virNodeGetMemoryStatsAllCells", "VIR_NODE_MEMORY_STATS_"),
    ("virTypedParameterFlags", "VIR_TYPED_PARAM_"),
];

/// Modules of open enums: their paths and bodies.
pub(super) fn enums(enums: &Enums) -> Result<Vec<(String, String)>> {
    let doc = "Open enums: every number survives, and those that libvirt's headers name have constants.\n//!\n\
               //! Sentinels such as VIR_DOMAIN_LAST are left out: they are another number in every release.";
    modules("enums", doc, &enums.enums, |out, name, of| {
        out.push_str(&open_enum(&doc_lines(name, of), &type_name(name), &values(name, of)?));
        Ok(())
    })
}

/// Modules of bit flags: their paths and bodies.
pub(super) fn flags(flags: &Flags) -> Result<Vec<(String, String)>> {
    let doc = "Bit flags. Bits that are not known survive: `from` keeps them, as `from_bits_retain` does.";
    modules("flags", doc, &flags.flags, |out, name, of| {
        out.push_str(&bit_flags(&doc_lines(name, of), &type_name(name), &values(name, of)?));
        Ok(())
    })
}

/// A value: its name here, its name in C, its number, and the version that it appeared in.
pub(super) struct Value<'a> {
    pub(super) short: String,
    pub(super) name: &'a str,
    pub(super) number: i64,
    pub(super) since: Option<&'a str>,
}

impl Value<'_> {
    /// The end of the value's line: its name in C and its version.
    fn facts(&self) -> String {
        let since = self.since.map_or_else(String::new, |since| format!(", {since:?}"));
        format!("{:?}{since};", self.name)
    }
}

/// The invocation of the macro that declares an open enum. rustfmt leaves it as it is.
pub(super) fn open_enum(doc: &[String], rust: &str, values: &[Value<'_>]) -> String {
    let mut out = "\ncrate::open_enum::open_enum! {\n".to_owned();
    doc.iter().for_each(|line| out += &format!("    {line}\n"));
    let _ = writeln!(out, "    pub struct {rust} {{");
    for value in values {
        let _ = writeln!(out, "        {} = {}, {}", value.short, value.number, value.facts());
    }
    out + "    }\n}\n"
}

/// The invocation of the macro that declares bit flags.
pub(super) fn bit_flags(doc: &[String], rust: &str, values: &[Value<'_>]) -> String {
    let mut out = "\ncrate::bit_flags::bit_flags! {\n".to_owned();
    doc.iter().for_each(|line| out += &format!("    {line}\n"));
    let _ = writeln!(out, "    pub struct {rust} {{");
    let (none, some): (Vec<_>, Vec<_>) = values.iter().partition(|value| value.number == 0);
    for value in some {
        let _ = writeln!(out, "        {} = {:#x}, {}", value.short, value.number, value.facts());
    }
    out += "    }\n";
    if !none.is_empty() {
        out += "    none {\n";
        for value in none {
            let _ = writeln!(out, "        {}, {}", value.short, value.facts());
        }
        out += "    }\n";
    }
    out + "}\n"
}

/// The module of constants.
pub(super) fn constants(enums: &Enums) -> String {
    let mut out = "//! Numbers that libvirt's public headers name.\n".to_owned();
    for (name, of) in &enums.constants {
        let short = name.trim_start_matches("VIR_");
        let _ = writeln!(out, "\n{}pub const {short}: u64 = {};", doc(name, of.since.as_ref(), ""), of.value);
    }
    out
}

/// The module of parameter names.
pub(super) fn parameter_names(names: &Names) -> Result<String> {
    let all: Vec<_> = names.headers.values().flatten().collect();
    let mut out = "//! The names of typed parameters.\n//!\n//! A name that ends with a dot is the beginning of \
                   several, and one that begins with a dot is their end: between\n//! them stands a number or \
                   another name. `%u` stands for a number.\n"
        .to_owned();
    let mut found = 0;
    for (index, (prefix, module, what)) in GROUPS.iter().enumerate() {
        let _ = writeln!(out, "\n/// The names of parameters of {what}.\npub mod {module} {{");
        for (name, of) in &all {
            let of_other = |(other, ..): &(&str, &str, &str)| name.starts_with(other);
            let Some(short) = name.strip_prefix(prefix).filter(|_| !GROUPS[..index].iter().any(of_other))
            else {
                continue;
            };
            found += 1;
            let doc = doc(name, of.since.as_ref(), &format!("{:?}: ", of.name));
            let _ = writeln!(out, "{doc}pub const {short}: &str = {:?};", of.name);
        }
        out.push_str("}\n");
    }
    ensure!(found == all.len(), "{} parameter names belong to no group", all.len() - found);
    Ok(out)
}

fn modules(
    folder: &str,
    doc: &str,
    all: &IndexMap<String, Enum>,
    item: impl Fn(&mut String, &str, &Enum) -> Result<()>,
) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut root = format!("//! {doc}\n");
    let mut uses = String::new();
    let mut names = HashSet::new();
    let mut count = 0;
    for (module, header, what) in MODULES.iter().chain([&STREAM]) {
        let mut body = String::new();
        for (name, of) in all.iter().filter(|(_, of)| of.header == *header) {
            item(&mut body, name, of).with_context(|| name.clone())?;
            ensure!(names.insert(type_name(name)), "two types are called {}", type_name(name));
            count += 1;
        }
        if !body.is_empty() {
            let _ = writeln!(root, "mod {module};");
            let _ = writeln!(uses, "pub use {module}::*;");
            files.push((format!("{folder}/{module}.rs"), format!("//! {what}.\n{body}")));
        }
    }
    ensure!(count == all.len(), "a header has no module");
    files.push((format!("{folder}/mod.rs"), root + "\n" + &uses));
    Ok(files)
}

fn doc_lines(name: &str, of: &Enum) -> Vec<String> {
    doc(name, of.since.as_ref(), "").lines().map(str::to_owned).collect()
}

fn doc(name: &str, since: Option<&String>, before: &str) -> String {
    let since = since.map_or_else(String::new, |since| format!(", since libvirt {since}"));
    format!("/// {before}`{name}`{since}.\n#[doc(alias = {name:?})]\n")
}

/// `virConnectListAllDomainsFlags` as `ListAllDomainsFlags`, `virDomainUndefineFlagsValues` as
/// `DomainUndefineFlags`.
pub(super) fn type_name(name: &str) -> String {
    if let Some((_, rust)) = TYPE_NAMES.iter().find(|(c, _)| *c == name) {
        return (*rust).to_owned();
    }
    let short = name.strip_prefix("vir").unwrap_or(name);
    let short = short.strip_prefix("Connect").unwrap_or(short);
    let short = match short.strip_suffix("Values") {
        Some(short) if short.ends_with("Flag") => format!("{short}s"),
        Some(short) => short.to_owned(),
        None => short.to_owned(),
    };
    names::camel(&short)
}

/// The values of an enum.
fn values<'a>(name: &str, of: &'a Enum) -> Result<Vec<Value<'a>>> {
    let prefix = prefix(name, of);
    let mut seen = HashSet::new();
    of.values
        .iter()
        .map(|(name, of)| {
            // A value of another family, such as VIR_WAR_NO_NETWORK among VIR_ERR_…, keeps its own words.
            let common = names::common_prefix([prefix.as_str(), name].into_iter());
            let short = name[common.len()..].to_owned();
            ensure!(
                !short.is_empty() && !short.starts_with(|c: char| c.is_ascii_digit()),
                "{name} has no name"
            );
            ensure!(seen.insert(short.clone()), "{short} comes twice");
            Ok(Value { short, name, number: of.value, since: of.since.as_deref() })
        })
        .collect()
}

/// What the values of a type begin with: the words of the type's name where all begin with those, else what
/// they have in common.
fn prefix(name: &str, of: &Enum) -> String {
    if let Some((_, prefix)) = PREFIXES.iter().find(|(c, _)| *c == name) {
        return (*prefix).to_owned();
    }
    let mut words = names::words(name.strip_prefix("vir").unwrap_or(name));
    loop {
        let by_name = format!("VIR_{}_", words.join("_").to_ascii_uppercase());
        if of.values.keys().all(|value| value.starts_with(&by_name)) {
            return by_name;
        }
        if !matches!(words.pop().as_deref(), Some("flags" | "flag" | "values" | "type" | "types")) {
            return names::common_prefix(of.values.keys().map(String::as_str)).to_owned();
        }
    }
}
