//! Answers that take more than asking the model: bounds that the protocol sets, and shapes of its own.

use crate::error::{Result, bad_argument, check_flags, error, not_running};
use crate::node::Node;
use crate::{DomainRef, NodeInfo, VcpuInfo};
use bytes::Bytes;
use std::collections::HashSet;
use uuid::Uuid;
use virtwire_proto::enums::{DomainControlState, ErrorDomain, ErrorNumber};
use virtwire_proto::flags::{DomainStatsTypes, DomainXmlFlags, GetAllDomainStatsFlags};
use virtwire_proto::program::remote::{
    self, ConnectGetAllDomainStatsArgs, ConnectGetAllDomainStatsRet, ConnectListAllDomainsArgs,
    ConnectListAllDomainsRet, DomainGetControlInfoRet, DomainGetVcpuPinInfoArgs, DomainGetVcpuPinInfoRet,
    DomainGetVcpusRet, DomainSetMetadataArgs, DomainStatsRecord, NodeGetCpuMapArgs, NodeGetCpuMapRet,
    NodeGetInfoRet, NonnullDomain, limits,
};
use virtwire_proto::typed_params::TypedParam;
use virtwire_proto::xdr::Text;

/// An error of the server's own, about a call that it does not pass on.
fn internal(detail: impl Into<String>) -> crate::Error {
    error(ErrorDomain::RPC, ErrorNumber::INTERNAL_ERROR, detail)
}

/// A number of something in an answer. There is never more than memory holds.
pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// How many entries a client lets an answer have; `name` is the argument's and `function` the call's, in C.
///
/// # Errors
/// Below zero, or more than an answer can hold.
pub(super) fn room(function: &str, name: &str, max: i32, limit: (u32, &str)) -> Result<usize> {
    if max > i32::try_from(limit.0).unwrap_or(i32::MAX) {
        return Err(internal(format!("{name} > {}", limit.1)));
    }
    usize::try_from(max).map_err(|_| {
        let message = format!("{name} in {function} must be zero or greater");
        bad_argument(ErrorDomain::NONE, function, name, message)
    })
}

/// The limit of lists of domains.
pub(super) const DOMAINS: (u32, &str) = (limits::DOMAIN_LIST_MAX, "REMOTE_DOMAIN_LIST_MAX");

/// The list that a client asks for, or only how long it is.
///
/// # Errors
/// As [`Node::list_all_domains`], or more domains than an answer can hold.
pub(super) fn list_all_domains(
    node: &Node,
    args: &ConnectListAllDomainsArgs,
) -> Result<ConnectListAllDomainsRet> {
    let found = node.list_all_domains(args.flags)?;
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    if count > limits::DOMAIN_LIST_MAX {
        return Err(internal(format!("Too many domains '{count}' for limit '{}'", limits::DOMAIN_LIST_MAX)));
    }
    let domains = if args.need_results == 0 {
        Vec::new()
    } else {
        found.into_iter().map(NonnullDomain::from).collect()
    };
    Ok(ConnectListAllDomainsRet { domains, ret: count })
}

pub(super) fn node_info(info: &NodeInfo) -> NodeGetInfoRet {
    let mut model = [0; 32];
    // The last byte stays zero.
    for (to, from) in model.iter_mut().take(31).zip(info.model.bytes()) {
        *to = from;
    }
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    NodeGetInfoRet {
        model,
        memory: info.memory,
        cpus: number(info.cpus),
        mhz: number(info.mhz),
        nodes: number(info.nodes),
        sockets: number(info.sockets),
        cores: number(info.cores),
        threads: number(info.threads),
    }
}

/// The CPUs, of which only what is asked for is told.
///
/// # Errors
/// As [`Node::cpu_map`].
pub(super) fn cpu_map(node: &Node, args: &NodeGetCpuMapArgs) -> Result<NodeGetCpuMapRet> {
    let (map, online, ret) = node.cpu_map(args.flags)?;
    let cpumap = if args.need_map == 0 { Bytes::new() } else { map.into() };
    Ok(NodeGetCpuMapRet { cpumap, online: if args.need_online == 0 { 0 } else { online }, ret })
}

/// The memory of cells.
///
/// # Errors
/// As [`Node::cells_free_memory`], or no or too many cells are asked for.
pub(super) fn cells_free_memory(node: &Node, start: i32, max: i32) -> Result<Vec<u64>> {
    const FUNCTION: &str = "virNodeGetCellsFreeMemory";
    let refuse = |name: &str, must: &str| {
        let message = format!("{name} in {FUNCTION} must be {must}");
        Err(bad_argument(ErrorDomain::NONE, FUNCTION, name, message))
    };
    let room = room(FUNCTION, "maxcells", max, (limits::NODE_MAX_CELLS, "REMOTE_NODE_MAX_CELLS"))?;
    if room == 0 {
        return refuse("maxCells", "greater than zero");
    }
    if start < 0 {
        return refuse("startCell", "zero or greater");
    }
    node.cells_free_memory(start, room)
}

/// A domain's document. Secrets are not for those who may only read.
///
/// # Errors
/// As [`Node::domain_xml_desc`], or the client may only read and asks for what is secret.
pub(super) fn xml_desc(node: &Node, domain: &DomainRef, flags: u32, read_only: bool) -> Result<String> {
    let secret = DomainXmlFlags::SECURE | DomainXmlFlags::MIGRATABLE;
    if read_only && DomainXmlFlags::from(flags).intersects(secret) {
        let message = "virDomainGetXMLDesc with secure flag";
        return Err(error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_DENIED, message));
    }
    node.domain_xml_desc(domain, flags)
}

/// Sets or removes a title, a description or a metadata element.
///
/// # Errors
/// As [`Node::domain_set_metadata`], or an argument is not UTF-8.
pub(super) fn set_metadata(node: &Node, args: DomainSetMetadataArgs) -> Result<()> {
    let DomainSetMetadataArgs { dom, type_, metadata, key, uri, flags } = args;
    let metadata = utf8("virDomainSetMetadata", "metadata", metadata.as_ref())?;
    let key = utf8("virDomainSetMetadata", "key", key.as_ref())?;
    let uri = utf8("virDomainSetMetadata", "uri", uri.as_ref())?;
    node.domain_set_metadata(&dom.into(), type_, metadata, key, uri, flags)
}

/// A text that goes into a document.
///
/// # Errors
/// It is not UTF-8.
pub(super) fn utf8<'a>(function: &str, name: &str, text: Option<&'a Text>) -> Result<Option<&'a str>> {
    text.map(Text::to_str).transpose().map_err(|_| {
        let message = format!("{name} in {function} must be UTF-8");
        bad_argument(ErrorDomain::DOMAIN, function, name, message)
    })
}

/// A text in the form in which security labels travel: with a zero at the end.
pub(super) fn with_zero(text: &str) -> Bytes {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes.into()
}

/// How well the hypervisor controls a domain: it does, whenever the domain is active.
///
/// # Errors
/// Any flag, or the domain is not active.
pub(super) fn control_info(node: &Node, domain: &DomainRef, flags: u32) -> Result<DomainGetControlInfoRet> {
    check_flags("virDomainGetControlInfo", flags, 0)?;
    if !node.domain_is_active(domain)? {
        return Err(not_running());
    }
    Ok(DomainGetControlInfoRet { state: DomainControlState::OK.0.cast_unsigned(), ..Default::default() })
}

/// Statistics of the domains that are named, or else of all that the flags ask for. The hypervisor has those of
/// STATE; of IOTHREAD there is nothing to say.
///
/// # Errors
/// An unknown flag, statistics that there are not where all are a must, or more domains than an answer can hold.
pub(super) fn all_domain_stats(
    node: &Node,
    args: ConnectGetAllDomainStatsArgs,
) -> Result<ConnectGetAllDomainStatsRet> {
    const FUNCTION: &str = "virConnectGetAllDomainStats";
    const SUPPORTED: DomainStatsTypes = DomainStatsTypes::STATE.union(DomainStatsTypes::IOTHREAD);
    let ways = GetAllDomainStatsFlags::NOWAIT
        | GetAllDomainStatsFlags::BACKING
        | GetAllDomainStatsFlags::ENFORCE_STATS;
    let ConnectGetAllDomainStatsArgs { doms, stats, flags } = args;
    check_flags(FUNCTION, flags, GetAllDomainStatsFlags::all().bits())?;

    let stats = if stats == 0 { SUPPORTED } else { DomainStatsTypes::from(stats) };
    let missing = stats.difference(SUPPORTED);
    if flags & GetAllDomainStatsFlags::ENFORCE_STATS.bits() != 0 && !missing.is_empty() {
        let message = format!("Stats types bits 0x{:x} are not supported by this daemon", missing.bits());
        return Err(error(ErrorDomain::TEST, ErrorNumber::ARGUMENT_UNSUPPORTED, message));
    }

    // The other flags are those of listing.
    let listed = node.list_all_domains(flags & !ways.bits())?;
    let domains: Vec<DomainRef> = if doms.is_empty() {
        listed
    } else {
        let wanted: HashSet<Uuid> = listed.into_iter().map(|domain| domain.uuid).collect();
        doms.into_iter().filter(|domain| wanted.contains(&domain.uuid)).map(DomainRef::from).collect()
    };
    let of = |domain: DomainRef| {
        // One that has gone since is left out.
        let (state, reason) = node.domain_state(&domain, 0).ok()?;
        let mut params = Vec::new();
        if stats.contains(DomainStatsTypes::STATE) {
            params.push(TypedParam::new("state.state", state.0));
            params.push(TypedParam::new("state.reason", reason));
        }
        Some(DomainStatsRecord { dom: domain.into(), params })
    };
    Ok(ConnectGetAllDomainStatsRet { ret_stats: domains.into_iter().filter_map(of).collect() })
}

/// Its vCPUs and, one after the other, the maps of their CPUs.
///
/// # Errors
/// As [`Node::domain_vcpu_infos`], or more is asked for than an answer can hold.
pub(super) fn vcpus(node: &Node, domain: &DomainRef, max: i32, len: i32) -> Result<DomainGetVcpusRet> {
    let (max, len) = maps("virDomainGetVcpus", ("maxinfo", max), (len, 0))?;
    let found = node.domain_vcpu_infos(domain, max)?;
    let cpumaps = found.iter().flat_map(|vcpu| vcpu.cpu_map(len)).collect();
    let info = |vcpu: VcpuInfo| remote::VcpuInfo {
        number: vcpu.number,
        state: vcpu.state.0,
        cpu_time: vcpu.cpu_time,
        cpu: vcpu.cpu,
    };
    Ok(DomainGetVcpusRet { info: found.into_iter().map(info).collect(), cpumaps })
}

/// The maps of the CPUs that its vCPUs may run on, one after the other.
///
/// # Errors
/// As [`Node::domain_vcpu_pin_info`], or more is asked for than an answer can hold.
pub(super) fn vcpu_pin_info(node: &Node, args: DomainGetVcpuPinInfoArgs) -> Result<DomainGetVcpuPinInfoRet> {
    let DomainGetVcpuPinInfoArgs { dom, ncpumaps, maplen, flags } = args;
    let (max, len) = maps("virDomainGetVcpuPinInfo", ("ncpumaps", ncpumaps), (maplen, 1))?;
    let found = node.domain_vcpu_pin_info(&dom.into(), max, len, flags)?;
    let num = number(found.len());
    Ok(DomainGetVcpuPinInfoRet { cpumaps: found.concat().into(), num })
}

/// How many maps of CPUs a client lets an answer have, and how many bytes each: at least `least`.
///
/// # Errors
/// Less than that, or more than an answer can hold.
fn maps(function: &str, (name, max): (&str, i32), (len, least): (i32, i32)) -> Result<(usize, usize)> {
    let maps = room(function, name, max, (limits::VCPUINFO_MAX, "REMOTE_VCPUINFO_MAX"))?;
    for (name, value, least) in [(name, max, 1), ("maplen", len, least)] {
        if value < least {
            let message = format!("{name} in {function} must be at least {least}");
            return Err(bad_argument(ErrorDomain::DOMAIN, function, name, message));
        }
    }
    let bytes = usize::try_from(len).unwrap_or(usize::MAX);
    let most = usize::try_from(limits::CPUMAPS_MAX).unwrap_or(usize::MAX);
    if maps.saturating_mul(bytes) > most {
        return Err(internal("maxinfo * maplen > REMOTE_CPUMAPS_MAX"));
    }
    Ok((maps, bytes))
}
