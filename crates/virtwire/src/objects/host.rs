//! The host that a daemon runs on: its CPUs and memory, and what the daemon's driver can do.

use super::info::{NodeCpuMap, NodeCpuStats, NodeMemoryStats};
use super::{CpuSet, count};
use crate::{Connection, Result};
use std::num::NonZeroUsize;
use std::ops::Range;
use virtwire_proto::enums::{DriverFeature, NodeGetCpuStatsAllCpus, NodeGetMemoryStatsAllCells};
use virtwire_proto::flags::NodeAllocPagesFlags;
use virtwire_proto::program::remote;

impl Connection {
    /// Whether the daemon or its driver has a feature.
    ///
    /// Since libvirt 0.3.2. Permissions: `connect:getattr`.
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

    /// What one of the host's CPUs has done, or all together.
    ///
    /// Since libvirt 0.9.3. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetCPUStats")]
    pub async fn node_cpu_stats(&self, cpu: Option<u32>) -> Result<NodeCpuStats> {
        let cpu_num = of_one_or_all(cpu, NodeGetCpuStatsAllCpus::ALL_CPUS.0);
        let args = remote::NodeGetCpuStatsArgs { cpu_num, nparams: 0, flags: 0 };
        let nparams = self.call(&args).await?.nparams;
        if nparams == 0 {
            return Ok(NodeCpuStats::default());
        }
        let params = self.call(&remote::NodeGetCpuStatsArgs { nparams, ..args }).await?.params;
        Ok(NodeCpuStats { stats: params.into_iter().map(|of| (of.field, of.value)).collect() })
    }

    /// The memory of one of the host's NUMA nodes, or of all together.
    ///
    /// Since libvirt 0.9.3. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetMemoryStats")]
    pub async fn node_memory_stats(&self, cell: Option<u32>) -> Result<NodeMemoryStats> {
        let cell_num = of_one_or_all(cell, NodeGetMemoryStatsAllCells::ALL_CELLS.0);
        let args = remote::NodeGetMemoryStatsArgs { nparams: 0, cell_num, flags: 0 };
        let nparams = self.call(&args).await?.nparams;
        if nparams == 0 {
            return Ok(NodeMemoryStats::default());
        }
        let params = self.call(&remote::NodeGetMemoryStatsArgs { nparams, ..args }).await?.params;
        Ok(NodeMemoryStats { stats: params.into_iter().map(|of| (of.field, of.value)).collect() })
    }

    /// How many pages of each of these sizes, in KiB, are free, in the order of the sizes: for each of these NUMA nodes,
    /// or once, for the host as a whole, where `cells` is `None`.
    ///
    /// Since libvirt 1.2.6. Permissions: `connect:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let sizes = [4, 2_048];
    /// for (node, free) in connection.node_free_pages(&sizes, Some(0..2)).await?.iter().enumerate() {
    ///     println!("node {node}: {} small pages, {} huge ones", free[0], free[1]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNodeGetFreePages")]
    pub async fn node_free_pages(
        &self,
        page_sizes: &[u32],
        cells: Option<Range<u32>>,
    ) -> Result<Vec<Vec<u64>>> {
        let (start_cell, cell_count) = of_cells(cells);
        let Some(of_each) = NonZeroUsize::new(page_sizes.len()).filter(|_| cell_count > 0) else {
            return Ok(Vec::new());
        };
        let args =
            remote::NodeGetFreePagesArgs { pages: page_sizes.to_vec(), start_cell, cell_count, flags: 0 };
        let counts = self.call(&args).await?.counts;
        Ok(counts.chunks(of_each.get()).map(<[u64]>::to_vec).collect())
    }

    /// Takes huge pages into use, or gives them back: pairs of a page's size in KiB and how many of them there are to be,
    /// or how many more where `flags` say so, on each of these NUMA nodes, or on the host, which spreads them, where
    /// `cells` is `None`. Gives on how many nodes that was done.
    ///
    /// Since libvirt 1.2.9. Permissions: `connect:write`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeAllocPages")]
    pub async fn node_alloc_pages(
        &self,
        pages: &[(u32, u64)],
        cells: Option<Range<u32>>,
        flags: NodeAllocPagesFlags,
    ) -> Result<u32> {
        let (start_cell, cell_count) = of_cells(cells);
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

/// The first of these NUMA nodes and how many they are, as the wire has it: -1 and 1 are the host as a whole.
fn of_cells(cells: Option<Range<u32>>) -> (i32, u32) {
    match cells {
        Some(cells) => (i32::try_from(cells.start).unwrap_or(i32::MAX), cells.len() as u32),
        None => (-1, 1),
    }
}

/// A number that the wire knows by an int, which has another for all.
fn of_one_or_all(one: Option<u32>, all: i32) -> i32 {
    // Numbers that an int cannot hold are nobody's: the daemon says so of the highest.
    one.map_or(all, |one| i32::try_from(one).unwrap_or(i32::MAX))
}
