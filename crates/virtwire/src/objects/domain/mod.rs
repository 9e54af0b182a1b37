//! Domains: virtual machines and containers.

mod cpus;
mod devices;
mod migrate;

pub use migrate::MigrateParams;

use super::info::{DomainBlockJobInfo, DomainStateReason, DomainStatsRecord};
use super::{STRING_OKAY, count, object, time_at};
use crate::error::ProtocolError;
use crate::{Connection, Error, Result};
use std::time::SystemTime;
use uuid::Uuid;
use virtwire_proto::enums::{DomainBlockJobType, DomainState};
use virtwire_proto::flags::{
    DomainBlockJobInfoFlags, DomainModificationImpact, DomainSetTimeFlags, DomainStatsTypes,
    GetAllDomainStatsFlags,
};
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::{self, NonnullDomain};
use virtwire_proto::typed_params::TypedParams;
use virtwire_proto::xdr::Text;

object! {
    /// A domain of a connection's: a virtual machine or a container.
    ///
    /// It names the domain, and keeps its connection open; what the domain does meanwhile, or whether it still is
    /// there, only a call tells.
    ///
    /// # Examples
    #[cfg_attr(all(unix, feature = "embedded"), doc = "```")]
    #[cfg_attr(not(all(unix, feature = "embedded")), doc = "```no_run")]
    /// use virtwire::Connection;
    /// use virtwire::enums::DomainState;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> virtwire::Result<()> {
    /// let connection = Connection::open("test:///default").await?;
    /// let domain = connection.domain_lookup_by_name("test").await?;
    /// domain.suspend().await?;
    /// let (state, reason) = domain.state().await?;
    /// assert_eq!(state, DomainState::PAUSED);
    /// println!("{}: {state}, {reason}, {} KiB", domain.name(), domain.info().await?.memory);
    /// domain.resume().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virDomain")]
    #[doc(alias = "virDomainPtr")]
    pub struct Domain(NonnullDomain) of Connection, made by domain;
    same: uuid;
    shown: name, uuid, id;
}

impl Domain {
    /// Its name.
    #[doc(alias = "virDomainGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its UUID.
    #[doc(alias = "virDomainGetUUID")]
    #[doc(alias = "virDomainGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }

    /// Its number among the active domains when this was made; `None` where it was not active.
    #[doc(alias = "virDomainGetID")]
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        u32::try_from(self.handle.id).ok()
    }

    /// Its state, and why it is in it.
    ///
    /// Since libvirt 0.9.2. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::enums::DomainPausedReason;
    /// use virtwire::info::DomainStateReason;
    /// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
    /// let (state, reason) = domain.state().await?;
    /// println!("{}: {state}, {reason}", domain.name());
    /// if reason == DomainStateReason::Paused(DomainPausedReason::IOERROR) {
    ///     println!("{:?}", domain.disk_errors().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virDomainGetState")]
    pub async fn state(&self) -> Result<(DomainState, DomainStateReason)> {
        let args = remote::DomainGetStateArgs { dom: self.handle.clone(), flags: 0 };
        let reply = self.connection.call(&args).await?;
        let state = DomainState(reply.state);
        Ok((state, DomainStateReason::new(state, reply.reason)))
    }

    /// Gives it another name. It must not be active. The domain that this gives has the new one.
    ///
    /// Since libvirt 1.2.19. Permissions: `domain:write`, `domain:save`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainRename")]
    pub async fn rename(&self, new_name: impl Into<Text>) -> Result<Self> {
        let name = new_name.into();
        let args =
            remote::DomainRenameArgs { dom: self.handle.clone(), new_name: Some(name.clone()), flags: 0 };
        self.connection.call(&args).await?;
        Ok(self.connection.domain(NonnullDomain { name, ..self.handle.clone() }))
    }

    /// The time in the guest, by its agent.
    ///
    /// Since libvirt 1.2.5. Permissions: `domain:write`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Protocol`] where it is none that this system can hold.
    #[doc(alias = "virDomainGetTime")]
    pub async fn time(&self) -> Result<SystemTime> {
        let args = remote::DomainGetTimeArgs { dom: self.handle.clone(), flags: 0 };
        let remote::DomainGetTimeRet { seconds, nseconds } = self.connection.call(&args).await?;
        time_at(seconds, nseconds).ok_or_else(|| Error::Protocol {
            procedure: remote::DomainGetTimeArgs::PROCEDURE,
            source: ProtocolError::Other(format!("expected a time, got {seconds} s and {nseconds} ns")),
        })
    }

    /// Sets the time in the guest, by its agent. With the flag `SYNC` the guest takes it from its own hardware clock,
    /// and `time` does not matter.
    ///
    /// Since libvirt 1.2.5. Permissions: `domain:set_time`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainSetTime")]
    pub async fn set_time(&self, time: SystemTime, flags: DomainSetTimeFlags) -> Result<()> {
        let (seconds, nseconds) = seconds_of(time);
        let args =
            remote::DomainSetTimeArgs { dom: self.handle.clone(), seconds, nseconds, flags: flags.bits() };
        self.connection.call(&args).await
    }

    /// The job of a disk; `None` where it has none. `path` is the target's name of the disk such as "vda", or its
    /// source.
    ///
    /// Since libvirt 0.9.4. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetBlockJobInfo")]
    pub async fn block_job_info(
        &self,
        path: impl Into<Text>,
        flags: DomainBlockJobInfoFlags,
    ) -> Result<Option<DomainBlockJobInfo>> {
        let args = remote::DomainGetBlockJobInfoArgs {
            dom: self.handle.clone(),
            path: path.into(),
            flags: flags.bits(),
        };
        let reply = self.connection.call(&args).await?;
        Ok((reply.found != 0).then_some(DomainBlockJobInfo {
            kind: DomainBlockJobType(reply.type_),
            bandwidth: reply.bandwidth,
            current: reply.cur,
            end: reply.end,
        }))
    }

    /// The name of the scheduler that the host runs it by, such as "posix", and how many parameters that has at most.
    ///
    /// Since libvirt 0.2.3. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetSchedulerType")]
    pub async fn scheduler_type(&self) -> Result<(Text, u32)> {
        let reply = self.scheduler().await?;
        let count = count::<remote::DomainGetSchedulerTypeArgs>(reply.nparams)?;
        Ok((reply.type_, count))
    }

    /// How the host's scheduler treats it: fields of [`names::scheduler`](crate::proto::names::scheduler).
    ///
    /// Since libvirt 0.2.3, with flags since 0.9.2. Permissions: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetSchedulerType")]
    #[doc(alias = "virDomainGetSchedulerParameters")]
    #[doc(alias = "virDomainGetSchedulerParametersFlags")]
    pub async fn scheduler_parameters(&self, flags: DomainModificationImpact) -> Result<TypedParams> {
        let nparams = self.scheduler().await?.nparams;
        let dom = self.handle.clone();
        if nparams == 0 {
            return Ok(TypedParams::new());
        }
        // Not all drivers have the call with flags.
        if flags.is_empty() {
            let args = remote::DomainGetSchedulerParametersArgs { dom, nparams };
            return Ok(self.connection.call(&args).await?.params.into());
        }
        let flags = flags.bits() | STRING_OKAY;
        let args = remote::DomainGetSchedulerParametersFlagsArgs { dom, nparams, flags };
        Ok(self.connection.call(&args).await?.params.into())
    }

    async fn scheduler(&self) -> Result<remote::DomainGetSchedulerTypeRet> {
        self.connection.call(&remote::DomainGetSchedulerTypeArgs { dom: self.handle.clone() }).await
    }
}

impl Connection {
    /// Statistics of all domains that `flags` choose, in one call: of the groups `stats`, or of all groups where none
    /// is chosen. Fields of [`names::domain_stats`](crate::proto::names::domain_stats).
    ///
    /// Since libvirt 1.2.8. Permissions: `connect:search_domains`. Filtered by: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::{DomainStatsTypes, GetAllDomainStatsFlags};
    /// use virtwire::proto::typed_params::TypedParamsExt;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let stats = DomainStatsTypes::BALLOON | DomainStatsTypes::VCPU;
    /// for record in connection.all_domain_stats(stats, GetAllDomainStatsFlags::ACTIVE).await? {
    ///     println!("{}: {:?}", record.domain.name(), record.params.get_value("balloon.current"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectGetAllDomainStats")]
    pub async fn all_domain_stats(
        &self,
        stats: DomainStatsTypes,
        flags: GetAllDomainStatsFlags,
    ) -> Result<Vec<DomainStatsRecord>> {
        self.domain_stats(Vec::new(), stats, flags).await
    }

    /// Statistics of these domains, in one call; as [`Connection::all_domain_stats`] otherwise. No domain at all gives
    /// no statistics.
    ///
    /// Since libvirt 1.2.8. Permissions: `connect:search_domains`. Filtered by: `domain:read`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetAllDomainStats")]
    #[doc(alias = "virDomainListGetStats")]
    pub async fn domain_list_stats(
        &self,
        domains: &[Domain],
        stats: DomainStatsTypes,
        flags: GetAllDomainStatsFlags,
    ) -> Result<Vec<DomainStatsRecord>> {
        // None means all to the daemon.
        if domains.is_empty() {
            return Ok(Vec::new());
        }
        let domains = domains.iter().map(|domain| domain.handle.clone()).collect();
        self.domain_stats(domains, stats, flags).await
    }

    async fn domain_stats(
        &self,
        doms: Vec<NonnullDomain>,
        stats: DomainStatsTypes,
        flags: GetAllDomainStatsFlags,
    ) -> Result<Vec<DomainStatsRecord>> {
        let args = remote::ConnectGetAllDomainStatsArgs { doms, stats: stats.bits(), flags: flags.bits() };
        let records = self.call(&args).await?.ret_stats;
        let record = |of: remote::DomainStatsRecord| DomainStatsRecord {
            domain: self.domain(of.dom),
            params: of.params.into(),
        };
        Ok(records.into_iter().map(record).collect())
    }
}

/// How long after the beginning of 1970 it is: whole seconds, rounded down, and what is left in nanoseconds.
fn seconds_of(time: SystemTime) -> (i64, u32) {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanoseconds => (seconds.saturating_sub(1), 1_000_000_000 - nanoseconds),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::seconds_of;
    use crate::objects::time_at;

    #[test]
    fn times_before_and_after_1970() {
        for (seconds, nanoseconds) in [(0, 0), (1_700_000_000, 5), (-1, 0), (-1, 999_999_999), (-5, 1)] {
            let time = time_at(seconds, nanoseconds).expect("it can be held");
            assert_eq!(seconds_of(time), (seconds, nanoseconds));
        }
        // No time that a peer sends may overflow.
        for seconds in [i64::MIN, i64::MAX] {
            let _ = time_at(seconds, u32::MAX);
        }
    }
}
