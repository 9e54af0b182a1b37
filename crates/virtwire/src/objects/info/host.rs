//! What a host has.

use super::text;
use crate::CpuSet;
use std::time::Duration;
use virtwire_proto::names::{node_cpu_stats, node_memory_stats};
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

/// What a CPU of a host has done, or all together (virNodeCPUStats): what is known of it.
#[doc(alias = "virNodeCPUStats")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodeCpuStats {
    /// What is known, by the names of [`names::node_cpu_stats`](crate::proto::names::node_cpu_stats): nanoseconds, or
    /// per cent for the utilization.
    pub stats: Vec<(Text, u64)>,
}

impl NodeCpuStats {
    /// The number of this name, where it is known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        number_of(&self.stats, name)
    }

    /// Time in the kernel.
    #[must_use]
    pub fn kernel(&self) -> Option<Duration> {
        self.get(node_cpu_stats::KERNEL).map(Duration::from_nanos)
    }

    /// Time in processes.
    #[must_use]
    pub fn user(&self) -> Option<Duration> {
        self.get(node_cpu_stats::USER).map(Duration::from_nanos)
    }

    /// Time without anything to do.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.get(node_cpu_stats::IDLE).map(Duration::from_nanos)
    }

    /// Time without anything to do but to wait for I/O.
    #[must_use]
    pub fn iowait(&self) -> Option<Duration> {
        self.get(node_cpu_stats::IOWAIT).map(Duration::from_nanos)
    }

    /// Time in interrupts.
    #[must_use]
    pub fn intr(&self) -> Option<Duration> {
        self.get(node_cpu_stats::INTR).map(Duration::from_nanos)
    }

    /// How busy it is, in per cent, where the hypervisor gives no times.
    #[must_use]
    pub fn utilization(&self) -> Option<u64> {
        self.get(node_cpu_stats::UTILIZATION)
    }
}

/// The memory of a NUMA node of a host, or of all together (virNodeMemoryStats), in KiB: what is known of it.
#[doc(alias = "virNodeMemoryStats")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodeMemoryStats {
    /// What is known, by the names of [`names::node_memory_stats`](crate::proto::names::node_memory_stats).
    pub stats: Vec<(Text, u64)>,
}

impl NodeMemoryStats {
    /// The number of this name, where it is known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        number_of(&self.stats, name)
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.get(node_memory_stats::TOTAL)
    }

    /// What is free.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        self.get(node_memory_stats::FREE)
    }

    /// What buffers take.
    #[must_use]
    pub fn buffers(&self) -> Option<u64> {
        self.get(node_memory_stats::BUFFERS)
    }

    /// What caches take.
    #[must_use]
    pub fn cached(&self) -> Option<u64> {
        self.get(node_memory_stats::CACHED)
    }
}

fn number_of(stats: &[(Text, u64)], name: &str) -> Option<u64> {
    stats.iter().find(|(of, _)| *of == name).map(|(_, number)| *number)
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
