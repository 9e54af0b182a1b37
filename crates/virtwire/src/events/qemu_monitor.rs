//! Events of QEMU's monitor, as QEMU sends them.

use super::{Subscription, decode_message};
use crate::{Connection, Domain, Result, objects};
use bytes::Bytes;
use std::time::SystemTime;
use virtwire_proto::flags::DomainQemuMonitorEventRegisterFlags;
use virtwire_proto::program::{Procedure, qemu};
use virtwire_proto::xdr::Text;

/// An event of QEMU's monitor (QMP), which libvirt passes on and does not interpret.
#[doc(alias = "virConnectDomainQemuMonitorEventCallback")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QemuMonitorEvent {
    /// The domain.
    pub domain: Domain,
    /// The event's name, such as "BLOCK_JOB_READY".
    pub event: Text,
    /// When QEMU sent it: whole seconds since the beginning of 1970.
    pub seconds: i64,
    /// Microseconds beyond [`seconds`](Self::seconds).
    pub micros: u32,
    /// What QEMU says about it, as JSON, where it says anything.
    pub details: Option<Text>,
}

impl QemuMonitorEvent {
    /// When QEMU sent it; `None` where no clock can say so.
    #[must_use]
    pub fn time(&self) -> Option<SystemTime> {
        objects::time_at(self.seconds, self.micros.checked_mul(1000)?)
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let message: qemu::DomainMonitorEventMsg = decode_message(procedure, payload)?;
        let qemu::DomainMonitorEventMsg { dom, event, seconds, micros, details, .. } = message;
        Ok(Self { domain: connection.domain(dom), event, seconds, micros, details })
    }
}

impl Connection {
    /// Subscribes to events of the QEMU monitors of all domains: to all, or to those that `event` names. It is a
    /// whole name, or with [`REGEX`](DomainQemuMonitorEventRegisterFlags::REGEX) a regular expression of POSIX that
    /// a part of the name matches; with [`NOCASE`](DomainQemuMonitorEventRegisterFlags::NOCASE), upper and lower
    /// case are the same.
    ///
    /// Since libvirt 1.2.3. Permissions: `connect:search_domains`, `connect:write`. Filtered by: `domain:getattr`. What
    /// QEMU sends may change with each version of it.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::flags::DomainQemuMonitorEventRegisterFlags;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let flags = DomainQemuMonitorEventRegisterFlags::REGEX;
    /// let mut events = connection.qemu_monitor_events(Some("^BLOCK_JOB_"), flags).await?;
    /// while let Some(event) = events.next().await.transpose()? {
    ///     println!("{}: {} {:?}", event.domain.name(), event.event, event.details);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectDomainQemuMonitorEventRegister")]
    pub async fn qemu_monitor_events(
        &self,
        event: Option<&str>,
        flags: DomainQemuMonitorEventRegisterFlags,
    ) -> Result<Subscription<QemuMonitorEvent>> {
        let event = event.map(Text::from);
        let args = qemu::ConnectDomainMonitorEventRegisterArgs { dom: None, event, flags: flags.bits() };
        self.subscribe_with([args], QemuMonitorEvent::decode).await
    }
}

impl Domain {
    /// Subscribes to events of this domain's QEMU monitor alone, as [`Connection::qemu_monitor_events`] does.
    ///
    /// Since libvirt 1.2.3. Permissions: `connect:search_domains`, `connect:write`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectDomainQemuMonitorEventRegister")]
    pub async fn qemu_monitor_events(
        &self,
        event: Option<&str>,
        flags: DomainQemuMonitorEventRegisterFlags,
    ) -> Result<Subscription<QemuMonitorEvent>> {
        let (dom, event) = (Some(self.handle().clone()), event.map(Text::from));
        let args = qemu::ConnectDomainMonitorEventRegisterArgs { dom, event, flags: flags.bits() };
        self.connection().subscribe_with([args], QemuMonitorEvent::decode).await
    }
}
