//! What a host has.

use super::text;
use crate::CpuSet;
use virtwire_proto::program::remote;
use virtwire_proto::xdr::Text;

/// What a host has (virNodeInfo).
#[doc(alias = "virNodeInfo")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The CPU's model, such as "x86_64".
    pub model: Text,
    /// Memory in KiB.
    pub memory: u64,
    /// Active CPUs.
    pub cpus: u32,
    /// The CPUs' frequency in MHz; 0 where it is not known.
    pub mhz: u32,
    /// NUMA nodes; 1 where their topology is not uniform.
    pub nodes: u32,
    /// Sockets in each node.
    pub sockets: u32,
    /// Cores in each socket.
    pub cores: u32,
    /// Threads in each core.
    pub threads: u32,
}

impl From<remote::NodeGetInfoRet> for NodeInfo {
    fn from(info: remote::NodeGetInfoRet) -> Self {
        // A negative count would be a broken daemon's; it is none.
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        Self {
            model: text(&info.model),
            memory: info.memory,
            cpus: count(info.cpus),
            mhz: count(info.mhz),
            nodes: count(info.nodes),
            sockets: count(info.sockets),
            cores: count(info.cores),
            threads: count(info.threads),
        }
    }
}

/// The CPUs of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCpuMap {
    /// How many there are, those offline too: their numbers are lower.
    pub cpus: u32,
    /// Those that are online.
    pub online: CpuSet,
}

/// The security model of a host (virSecurityModel).
#[doc(alias = "virSecurityModel")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityModel {
    /// Its name, such as "selinux". Empty where there is none.
    pub model: Text,
    /// Its domain of interpretation.
    pub doi: Text,
}

impl From<remote::NodeGetSecurityModelRet> for SecurityModel {
    fn from(model: remote::NodeGetSecurityModelRet) -> Self {
        Self { model: text(&model.model), doi: text(&model.doi) }
    }
}
