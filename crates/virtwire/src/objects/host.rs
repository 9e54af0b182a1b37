//! The host that a daemon runs on: its CPUs and memory, and what the daemon's driver can do.

use super::info::NodeCpuMap;
use super::{CpuSet, count};
use crate::{Connection, Result};
use std::num::NonZeroUsize;
use virtwire_proto::enums::{DriverFeature, NodeGetCpuStatsAllCpus, NodeGetMemoryStatsAllCells};
use virtwire_proto::flags::NodeAllocPagesFlags;
use virtwire_proto::program::remote;
use virtwire_proto::xdr::Text;

impl Connection {
    /// Whether the daemon or its driver has a feature.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn supports_feature(&self, feature: DriverFeature) -> Result<bool> {
        let args = remote::ConnectSupportsFeatureArgs { feature: feature.0 };
        Ok(self.call(&args).await?.supported != 0)
    }

    /// How many CPUs the host has, and which of them are online.
    ///
    /// Since libvirt 1.0.0. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetCPUMap")]
    pub async fn node_cpu_map(&self) -> Result<NodeCpuMap> {
        let args = remote::NodeGetCpuMapArgs { need_map: 1, need_online: 1, flags: 0 };
        let reply = self.call(&args).await?;
        Ok(NodeCpuMap {
            cpus: count::<remote::NodeGetCpuMapArgs>(reply.ret)?,
            online: CpuSet::from_map(&reply.cpumap),
        })
    }

    /// What one of the host's CPUs has done, or all together: times in nanoseconds, such as "user", "idle" and "iowait",
    /// or the "utilization" in per cent.
    ///
    /// Since libvirt 0.9.3. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetCPUStats")]
    pub async fn node_cpu_stats(&self, cpu: Option<u32>) -> Result<Vec<(Text, u64)>> {
        let cpu_num = of_one_or_all(cpu, NodeGetCpuStatsAllCpus::ALL_CPUS.0);
        let args = remote::NodeGetCpuStatsArgs { cpu_num, nparams: 0, flags: 0 };
        let nparams = self.call(&args).await?.nparams;
        if nparams == 0 {
            return Ok(Vec::new());
        }
        let params = self.call(&remote::NodeGetCpuStatsArgs { nparams, ..args }).await?.params;
        Ok(params.into_iter().map(|of| (of.field, of.value)).collect())
    }

    /// The memory of one of the host's NUMA nodes, or of all together, in KiB: "total", "free", "buffers", "cached".
    ///
    /// Since libvirt 0.9.3. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetMemoryStats")]
    pub async fn node_memory_stats(&self, cell: Option<u32>) -> Result<Vec<(Text, u64)>> {
        let cell_num = of_one_or_all(cell, NodeGetMemoryStatsAllCells::ALL_CELLS.0);
        let args = remote::NodeGetMemoryStatsArgs { nparams: 0, cell_num, flags: 0 };
        let nparams = self.call(&args).await?.nparams;
        if nparams == 0 {
            return Ok(Vec::new());
        }
        let params = self.call(&remote::NodeGetMemoryStatsArgs { nparams, ..args }).await?.params;
        Ok(params.into_iter().map(|of| (of.field, of.value)).collect())
    }

    /// How many pages of each of these sizes, in KiB, are free: for each of `cell_count` NUMA nodes from `start_cell` on,
    /// in the order of the sizes.
    ///
    /// Since libvirt 1.2.6. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetFreePages")]
    pub async fn node_free_pages(
        &self,
        page_sizes: &[u32],
        start_cell: i32,
        cell_count: u32,
    ) -> Result<Vec<Vec<u64>>> {
        let Some(of_each) = NonZeroUsize::new(page_sizes.len()) else { return Ok(Vec::new()) };
        let args =
            remote::NodeGetFreePagesArgs { pages: page_sizes.to_vec(), start_cell, cell_count, flags: 0 };
        let counts = self.call(&args).await?.counts;
        Ok(counts.chunks(of_each.get()).map(<[u64]>::to_vec).collect())
    }

    /// Takes huge pages into use, or gives them back: pairs of a page's size in KiB and how many of them there are to be,
    /// or how many more where `flags` say so, on each of `cell_count` NUMA nodes from `start_cell` on; start -1 and count
    /// 1 mean the host, which spreads them. Gives on how many nodes that was done.
    ///
    /// Since libvirt 1.2.9. Permissions: `connect:write`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeAllocPages")]
    pub async fn node_alloc_pages(
        &self,
        pages: &[(u32, u64)],
        start_cell: i32,
        cell_count: u32,
        flags: NodeAllocPagesFlags,
    ) -> Result<u32> {
        let args = remote::NodeAllocPagesArgs {
            page_sizes: pages.iter().map(|&(size, _)| size).collect(),
            page_counts: pages.iter().map(|&(_, count)| count).collect(),
            start_cell,
            cell_count,
            flags: flags.bits(),
        };
        count::<remote::NodeAllocPagesArgs>(self.call(&args).await?.ret)
    }
}

/// A number that the wire knows by an int, which has another for all.
fn of_one_or_all(one: Option<u32>, all: i32) -> i32 {
    // Numbers that an int cannot hold are nobody's: the daemon says so of the highest.
    one.map_or(all, |one| i32::try_from(one).unwrap_or(i32::MAX))
}
