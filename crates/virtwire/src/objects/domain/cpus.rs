//! A domain's virtual CPUs and threads: where they run, where they may, and what they have taken.

use super::Domain;
use crate::objects::info::{DomainIoThreadInfo, VcpuInfo};
use crate::objects::{CpuSet, STRING_OKAY, count};
use crate::{Connection, Result};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;
use virtwire_proto::enums::VcpuState;
use virtwire_proto::flags::{DomainModificationImpact, DomainVcpuFlags};
use virtwire_proto::program::remote;
use virtwire_proto::typed_params::{TypedParam, TypedParams};

impl Domain {
    /// Its virtual CPUs that are plugged in, with where they run and may run, of a domain that is active.
    ///
    /// Since libvirt 0.1.4. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetVcpus")]
    pub async fn vcpus(&self) -> Result<Vec<VcpuInfo>> {
        let map_len = self.connection.map_len().await?;
        let vcpus = self.info().await?.vcpus;
        let args = remote::DomainGetVcpusArgs {
            dom: self.handle.clone(),
            maxinfo: vcpus.into(),
            maplen: map_len.into(),
        };
        let reply = self.connection.call(&args).await?;
        // A daemon that sends fewer maps than CPUs has nothing to say of the last.
        let maps = sets(&reply.cpumaps, map_len).chain(std::iter::repeat_with(CpuSet::new));
        let vcpu = |(info, affinity): (remote::VcpuInfo, CpuSet)| VcpuInfo {
            number: info.number,
            state: VcpuState(info.state),
            cpu_time: Duration::from_nanos(info.cpu_time),
            cpu: u32::try_from(info.cpu).ok(),
            affinity,
        };
        Ok(reply.info.into_iter().zip(maps).map(vcpu).collect())
    }

    /// Which of the host's CPUs each of its virtual CPUs may run on, now or by its definition, as `flags` say: those that
    /// it may have at most, by their numbers.
    ///
    /// Since libvirt 0.9.3. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetVcpuPinInfo")]
    pub async fn vcpu_pin_info(&self, flags: DomainModificationImpact) -> Result<Vec<CpuSet>> {
        let map_len = self.connection.map_len().await?;
        // The bits of what is changed are the same for both.
        let which = DomainVcpuFlags::MAXIMUM | DomainVcpuFlags::from_bits_retain(flags.bits());
        let vcpus = self.vcpus_flags(which).await?;
        let args = remote::DomainGetVcpuPinInfoArgs {
            dom: self.handle.clone(),
            ncpumaps: i32::try_from(vcpus).unwrap_or(i32::MAX),
            maplen: map_len.into(),
            flags: flags.bits(),
        };
        let reply = self.connection.call(&args).await?;
        let num = count::<remote::DomainGetVcpuPinInfoArgs>(reply.num)?;
        Ok(sets(&reply.cpumaps, map_len).take(num as usize).collect())
    }

    /// Which of the host's CPUs the emulator's own threads may run on, now or by its definition, as `flags` say.
    ///
    /// Since libvirt 0.10.0. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetEmulatorPinInfo")]
    pub async fn emulator_pin_info(&self, flags: DomainModificationImpact) -> Result<CpuSet> {
        let args = remote::DomainGetEmulatorPinInfoArgs {
            dom: self.handle.clone(),
            maplen: self.connection.map_len().await?.into(),
            flags: flags.bits(),
        };
        Ok(CpuSet::from_map(&self.connection.call(&args).await?.cpumaps))
    }

    /// Its I/O threads, now or by its definition, as `flags` say.
    ///
    /// Since libvirt 1.2.14. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetIOThreadInfo")]
    pub async fn io_thread_info(&self, flags: DomainModificationImpact) -> Result<Vec<DomainIoThreadInfo>> {
        let args = remote::DomainGetIothreadInfoArgs { dom: self.handle.clone(), flags: flags.bits() };
        let threads = self.connection.call(&args).await?.info;
        let thread = |of: remote::DomainIothreadInfo| DomainIoThreadInfo {
            id: of.iothread_id,
            affinity: CpuSet::from_map(&of.cpumap),
        };
        Ok(threads.into_iter().map(thread).collect())
    }

    /// What it has taken of all CPUs of the host together: fields of
    /// [`names::cpu_stats`](crate::proto::names::cpu_stats), in nanoseconds.
    ///
    /// Since libvirt 0.9.10. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetCPUStats")]
    pub async fn cpu_stats_total(&self) -> Result<TypedParams> {
        let nparams = self.cpu_stats_of(0, -1, 1).await?.nparams;
        let nparams = count::<remote::DomainGetCpuStatsArgs>(nparams)?;
        if nparams == 0 {
            return Ok(TypedParams::new());
        }
        Ok(self.cpu_stats_of(nparams, -1, 1).await?.params.into())
    }

    /// What it has taken of each of these CPUs of the host: fields of
    /// [`names::cpu_stats`](crate::proto::names::cpu_stats), in nanoseconds. CPUs behind the host's last are left out;
    /// [`Domain::cpu_stats_count`] says how many there are.
    ///
    /// Since libvirt 0.9.10. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetCPUStats")]
    pub async fn cpu_stats(&self, cpus: Range<u32>) -> Result<Vec<TypedParams>> {
        let cpus = cpus.start..cpus.end.min(self.cpu_stats_count().await?);
        if cpus.is_empty() {
            return Ok(Vec::new());
        }
        let first = i32::try_from(cpus.start).unwrap_or(i32::MAX);
        let nparams = self.cpu_stats_of(0, first, 1).await?.nparams;
        let nparams = count::<remote::DomainGetCpuStatsArgs>(nparams)?;
        let mut all = Vec::new();
        let mut start = cpus.start;
        while start < cpus.end && nparams > 0 {
            let number = (cpus.end - start).min(remote::limits::DOMAIN_GET_CPU_STATS_NCPUS_MAX);
            let reply = self.cpu_stats_of(nparams, i32::try_from(start).unwrap_or(i32::MAX), number).await?;
            // CPUs at the end that it has not touched may be missing.
            let of_each = usize::try_from(reply.nparams).ok().and_then(NonZeroUsize::new);
            let got = of_each.map(|of_each| reply.params.chunks(of_each.get()));
            let got = got.into_iter().flatten().map(<[TypedParam]>::to_vec).map(TypedParams::from);
            all.extend(got.chain(std::iter::repeat_with(TypedParams::new)).take(number as usize));
            start += number;
        }
        Ok(all)
    }

    /// How many CPUs of the host [`Domain::cpu_stats`] knows.
    ///
    /// Since libvirt 0.9.10. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetCPUStats")]
    pub async fn cpu_stats_count(&self) -> Result<u32> {
        let nparams = self.cpu_stats_of(0, 0, 0).await?.nparams;
        count::<remote::DomainGetCpuStatsArgs>(nparams)
    }

    async fn cpu_stats_of(
        &self,
        nparams: u32,
        start_cpu: i32,
        ncpus: u32,
    ) -> Result<remote::DomainGetCpuStatsRet> {
        let dom = self.handle.clone();
        let args = remote::DomainGetCpuStatsArgs { dom, nparams, start_cpu, ncpus, flags: STRING_OKAY };
        self.connection.call(&args).await
    }
}

impl Connection {
    /// How many bytes a map of the host's CPUs takes: 1 at least.
    async fn map_len(&self) -> Result<u16> {
        let cpus = match self.node_cpu_map().await {
            Ok(map) => map.cpus,
            // It came with libvirt 1.0.0, and not all drivers have it.
            Err(error) if error.is_unsupported() => {
                let node = self.node_info().await?;
                let of_node = node.sockets.saturating_mul(node.cores).saturating_mul(node.threads);
                node.nodes.saturating_mul(of_node)
            }
            Err(error) => return Err(error),
        };
        let len = cpus.div_ceil(8).clamp(1, remote::limits::CPUMAP_MAX);
        Ok(u16::try_from(len).unwrap_or(u16::MAX))
    }
}

/// Maps that stand one behind the other.
fn sets(maps: &[u8], map_len: u16) -> impl Iterator<Item = CpuSet> {
    maps.chunks(usize::from(map_len.max(1))).map(CpuSet::from_map)
}
