//! Events of domains.

use super::{DomainEventDetail, EventIds, Subscription, decode};
use crate::{Connection, Domain, Result};
use bytes::Bytes;
use virtwire_proto::enums::{
    DomainBlockJobType, DomainEventAgentLifecycleReason, DomainEventAgentLifecycleState,
    DomainEventBlockJobStatus, DomainEventChannelLifecycleReason, DomainEventChannelLifecycleState,
    DomainEventDiskChangeReason, DomainEventGraphicsAddressType, DomainEventGraphicsPhase, DomainEventId,
    DomainEventIoErrorAction, DomainEventTrayChangeReason, DomainEventType, DomainEventWatchdogAction,
    DomainMemoryFailureActionType, DomainMemoryFailureRecipientType, DomainMetadataType,
};
use virtwire_proto::flags::DomainMemoryFailureFlags;
use virtwire_proto::program::{Procedure, remote};
use virtwire_proto::typed_params::TypedParams;
use virtwire_proto::xdr::Text;

/// An event of a domain's: a variant for each [`DomainEventId`].
///
/// Devices go by their aliases, as the domain's XML has them (`<alias name='virtio-disk0'/>`).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DomainEvent {
    /// It was defined, started, stopped, and so on ([`DomainEventId::LIFECYCLE`]).
    #[doc(alias = "virConnectDomainEventCallback")]
    Lifecycle {
        /// The domain.
        domain: Domain,
        /// What happened.
        event: DomainEventType,
        /// How or why.
        detail: DomainEventDetail,
    },
    /// Its guest restarted ([`DomainEventId::REBOOT`]).
    Reboot {
        /// The domain.
        domain: Domain,
    },
    /// Its guest set its clock ([`DomainEventId::RTC_CHANGE`]).
    #[doc(alias = "virConnectDomainEventRTCChangeCallback")]
    RtcChange {
        /// The domain.
        domain: Domain,
        /// How many seconds the guest's clock is ahead of UTC now.
        offset: i64,
    },
    /// Its watchdog device fired ([`DomainEventId::WATCHDOG`]).
    #[doc(alias = "virConnectDomainEventWatchdogCallback")]
    Watchdog {
        /// The domain.
        domain: Domain,
        /// What is done about it.
        action: DomainEventWatchdogAction,
    },
    /// A disk failed to read or write ([`DomainEventId::IO_ERROR`]).
    #[doc(alias = "virConnectDomainEventIOErrorCallback")]
    IoError {
        /// The domain.
        domain: Domain,
        /// The disk's source on the host; empty where it has none.
        source: Text,
        /// The disk's alias.
        device: Text,
        /// What is done about it.
        action: DomainEventIoErrorAction,
    },
    /// Somebody connected to its display, or left it ([`DomainEventId::GRAPHICS`]).
    #[doc(alias = "virConnectDomainEventGraphicsCallback")]
    Graphics {
        /// The domain.
        domain: Domain,
        /// How far the client has come.
        phase: DomainEventGraphicsPhase,
        /// The display's address.
        local: GraphicsAddress,
        /// The client's address.
        remote: GraphicsAddress,
        /// How the client authenticates.
        auth_scheme: Text,
        /// Who the client is, by each authentication.
        subject: Vec<GraphicsIdentity>,
    },
    /// A disk failed to read or write, with the reason ([`DomainEventId::IO_ERROR_REASON`]).
    #[doc(alias = "virConnectDomainEventIOErrorReasonCallback")]
    IoErrorReason {
        /// The domain.
        domain: Domain,
        /// The disk's source on the host; empty where it has none.
        source: Text,
        /// The disk's alias.
        device: Text,
        /// What is done about it.
        action: DomainEventIoErrorAction,
        /// Why, such as "enospc"; empty where it is not known.
        reason: Text,
    },
    /// libvirt cannot control it any more, for example since the emulator's monitor broke ([`DomainEventId::CONTROL_ERROR`]).
    ControlError {
        /// The domain.
        domain: Domain,
    },
    /// A block job came to an end or to a turn; the disk is named by its source ([`DomainEventId::BLOCK_JOB`]).
    #[doc(alias = "virConnectDomainEventBlockJobCallback")]
    BlockJob {
        /// The domain.
        domain: Domain,
        /// The disk's source on the host.
        source: Text,
        /// Which job.
        kind: DomainBlockJobType,
        /// What became of it.
        status: DomainEventBlockJobStatus,
    },
    /// A disk has another source ([`DomainEventId::DISK_CHANGE`]).
    #[doc(alias = "virConnectDomainEventDiskChangeCallback")]
    DiskChange {
        /// The domain.
        domain: Domain,
        /// The source until now.
        old_source: Option<Text>,
        /// The source from now on; `None` where the medium was dropped.
        new_source: Option<Text>,
        /// The disk's alias.
        device: Text,
        /// Why.
        reason: DomainEventDiskChangeReason,
    },
    /// The tray of a removable disk moved ([`DomainEventId::TRAY_CHANGE`]).
    #[doc(alias = "virConnectDomainEventTrayChangeCallback")]
    TrayChange {
        /// The domain.
        domain: Domain,
        /// The disk's alias.
        device: Text,
        /// Which way.
        reason: DomainEventTrayChangeReason,
    },
    /// Its guest woke up ([`DomainEventId::PMWAKEUP`]).
    #[doc(alias = "virConnectDomainEventPMWakeupCallback")]
    PmWakeup {
        /// The domain.
        domain: Domain,
        /// Always 0 so far.
        reason: i32,
    },
    /// Its guest suspended to memory ([`DomainEventId::PMSUSPEND`]).
    #[doc(alias = "virConnectDomainEventPMSuspendCallback")]
    PmSuspend {
        /// The domain.
        domain: Domain,
        /// Always 0 so far.
        reason: i32,
    },
    /// Its guest's memory balloon has another size ([`DomainEventId::BALLOON_CHANGE`]).
    #[doc(alias = "virConnectDomainEventBalloonChangeCallback")]
    BalloonChange {
        /// The domain.
        domain: Domain,
        /// How much memory the guest has now, in KiB.
        memory: u64,
    },
    /// Its guest suspended to disk ([`DomainEventId::PMSUSPEND_DISK`]).
    #[doc(alias = "virConnectDomainEventPMSuspendDiskCallback")]
    PmSuspendDisk {
        /// The domain.
        domain: Domain,
        /// Always 0 so far.
        reason: i32,
    },
    /// A device is gone: the guest has let go of it ([`DomainEventId::DEVICE_REMOVED`]).
    #[doc(alias = "virConnectDomainEventDeviceRemovedCallback")]
    DeviceRemoved {
        /// The domain.
        domain: Domain,
        /// The device's alias.
        device: Text,
    },
    /// A block job came to an end or to a turn; the disk is named by its target, such as "vda" ([`DomainEventId::BLOCK_JOB_2`]).
    #[doc(alias = "virConnectDomainEventBlockJobCallback")]
    BlockJob2 {
        /// The domain.
        domain: Domain,
        /// The disk's target in the guest.
        target: Text,
        /// Which job.
        kind: DomainBlockJobType,
        /// What became of it.
        status: DomainEventBlockJobStatus,
    },
    /// Settings that can be tuned while it runs have other values ([`DomainEventId::TUNABLE`]).
    #[doc(alias = "virConnectDomainEventTunableCallback")]
    Tunable {
        /// The domain.
        domain: Domain,
        /// The new values (VIR_DOMAIN_TUNABLE_*).
        params: TypedParams,
    },
    /// Its guest agent came or went ([`DomainEventId::AGENT_LIFECYCLE`]).
    #[doc(alias = "virConnectDomainEventAgentLifecycleCallback")]
    AgentLifecycle {
        /// The domain.
        domain: Domain,
        /// Whether it is there.
        state: DomainEventAgentLifecycleState,
        /// Why.
        reason: DomainEventAgentLifecycleReason,
    },
    /// It has a device more ([`DomainEventId::DEVICE_ADDED`]).
    #[doc(alias = "virConnectDomainEventDeviceAddedCallback")]
    DeviceAdded {
        /// The domain.
        domain: Domain,
        /// The device's alias.
        device: Text,
    },
    /// Its migration begins to copy the guest's memory once more ([`DomainEventId::MIGRATION_ITERATION`]).
    #[doc(alias = "virConnectDomainEventMigrationIterationCallback")]
    MigrationIteration {
        /// The domain.
        domain: Domain,
        /// Which round it is.
        iteration: i32,
    },
    /// A job of its, such as a migration or a backup, is done ([`DomainEventId::JOB_COMPLETED`]).
    #[doc(alias = "virConnectDomainEventJobCompletedCallback")]
    JobCompleted {
        /// The domain.
        domain: Domain,
        /// The job's statistics (VIR_DOMAIN_JOB_*).
        params: TypedParams,
    },
    /// The guest does not let go of a device ([`DomainEventId::DEVICE_REMOVAL_FAILED`]).
    #[doc(alias = "virConnectDomainEventDeviceRemovalFailedCallback")]
    DeviceRemovalFailed {
        /// The domain.
        domain: Domain,
        /// The device's alias.
        device: Text,
    },
    /// Its title, its description or a metadata element was changed ([`DomainEventId::METADATA_CHANGE`]).
    #[doc(alias = "virConnectDomainEventMetadataChangeCallback")]
    MetadataChange {
        /// The domain.
        domain: Domain,
        /// What was changed.
        kind: DomainMetadataType,
        /// The element's XML namespace, where it is an element.
        uri: Option<Text>,
    },
    /// A write went beyond the threshold that was set for a block device ([`DomainEventId::BLOCK_THRESHOLD`]).
    #[doc(alias = "virConnectDomainEventBlockThresholdCallback")]
    BlockThreshold {
        /// The domain.
        domain: Domain,
        /// The block device, such as "vda", or "vda\[1\]" for what is behind it.
        device: Text,
        /// Its source on the host, where it has one.
        path: Option<Text>,
        /// The threshold in bytes; it is spent now.
        threshold: u64,
        /// By how many bytes the write went beyond it.
        excess: u64,
    },
    /// Memory of the host that it uses has failed ([`DomainEventId::MEMORY_FAILURE`]).
    #[doc(alias = "virConnectDomainEventMemoryFailureCallback")]
    MemoryFailure {
        /// The domain.
        domain: Domain,
        /// Whose memory it was.
        recipient: DomainMemoryFailureRecipientType,
        /// What was done about it.
        action: DomainMemoryFailureActionType,
        /// More about it.
        flags: DomainMemoryFailureFlags,
    },
    /// The guest took memory from a virtio memory device, or gave some back ([`DomainEventId::MEMORY_DEVICE_SIZE_CHANGE`]).
    #[doc(alias = "virConnectDomainEventMemoryDeviceSizeChangeCallback")]
    MemoryDeviceSizeChange {
        /// The domain.
        domain: Domain,
        /// The device's alias.
        device: Text,
        /// How much of it the guest has now, in KiB.
        size: u64,
    },
    /// The guest changed the MAC address of a network card ([`DomainEventId::NIC_MAC_CHANGE`]).
    #[doc(alias = "virConnectDomainEventNICMACChangeCallback")]
    NicMacChange {
        /// The domain.
        domain: Domain,
        /// The card's alias.
        device: Text,
        /// The address until now.
        old_mac: Text,
        /// The address from now on.
        new_mac: Text,
    },
    /// A virtual CPU is gone: the guest has let go of it ([`DomainEventId::VCPU_REMOVED`]).
    #[doc(alias = "virConnectDomainEventVcpuRemovedCallback")]
    VcpuRemoved {
        /// The domain.
        domain: Domain,
        /// The CPU's number.
        vcpu: u32,
    },
    /// The guest opened or closed its end of a channel ([`DomainEventId::CHANNEL_LIFECYCLE`]).
    #[doc(alias = "virConnectDomainEventChannelLifecycleCallback")]
    ChannelLifecycle {
        /// The domain.
        domain: Domain,
        /// The channel's name, such as "org.qemu.guest_agent.0".
        channel: Text,
        /// Whether it is open.
        state: DomainEventChannelLifecycleState,
        /// Why.
        reason: DomainEventChannelLifecycleReason,
    },
    /// An event without a form of its own here: its message decodes as the struct that implements
    /// [`Event`](virtwire_proto::program::Event).
    Other {
        /// Which event.
        procedure: &'static Procedure,
        /// Its message, encoded.
        payload: Bytes,
    },
}

/// One end of a connection to a display (virDomainEventGraphicsAddress).
#[doc(alias = "virDomainEventGraphicsAddress")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphicsAddress {
    /// What kind of address it is.
    pub family: DomainEventGraphicsAddressType,
    /// The host's address, or the socket's path.
    pub node: Text,
    /// The port; empty where it is a socket's path.
    pub service: Text,
}

impl From<remote::DomainEventGraphicsAddress> for GraphicsAddress {
    fn from(address: remote::DomainEventGraphicsAddress) -> Self {
        let remote::DomainEventGraphicsAddress { family, node, service } = address;
        Self { family: DomainEventGraphicsAddressType(family), node, service }
    }
}

/// Who a display's client is, by one authentication (virDomainEventGraphicsSubjectIdentity).
#[doc(alias = "virDomainEventGraphicsSubjectIdentity")]
#[doc(alias = "virDomainEventGraphicsSubject")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphicsIdentity {
    /// What kind of name it is, such as "x509dname" or "saslUsername".
    pub kind: Text,
    /// The name.
    pub name: Text,
}

impl From<remote::DomainEventGraphicsIdentity> for GraphicsIdentity {
    fn from(identity: remote::DomainEventGraphicsIdentity) -> Self {
        Self { kind: identity.type_, name: identity.name }
    }
}

impl DomainEvent {
    /// The domain that it is about; `None` where it is [`DomainEvent::Other`].
    #[must_use]
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Lifecycle { domain, .. }
            | Self::Reboot { domain, .. }
            | Self::RtcChange { domain, .. }
            | Self::Watchdog { domain, .. }
            | Self::IoError { domain, .. }
            | Self::Graphics { domain, .. }
            | Self::IoErrorReason { domain, .. }
            | Self::ControlError { domain, .. }
            | Self::BlockJob { domain, .. }
            | Self::DiskChange { domain, .. }
            | Self::TrayChange { domain, .. }
            | Self::PmWakeup { domain, .. }
            | Self::PmSuspend { domain, .. }
            | Self::BalloonChange { domain, .. }
            | Self::PmSuspendDisk { domain, .. }
            | Self::DeviceRemoved { domain, .. }
            | Self::BlockJob2 { domain, .. }
            | Self::Tunable { domain, .. }
            | Self::AgentLifecycle { domain, .. }
            | Self::DeviceAdded { domain, .. }
            | Self::MigrationIteration { domain, .. }
            | Self::JobCompleted { domain, .. }
            | Self::DeviceRemovalFailed { domain, .. }
            | Self::MetadataChange { domain, .. }
            | Self::BlockThreshold { domain, .. }
            | Self::MemoryFailure { domain, .. }
            | Self::MemoryDeviceSizeChange { domain, .. }
            | Self::NicMacChange { domain, .. }
            | Self::VcpuRemoved { domain, .. }
            | Self::ChannelLifecycle { domain, .. } => Some(domain),
            Self::Other { .. } => None,
        }
    }

    /// What was subscribed to for it; `None` where it is [`DomainEvent::Other`].
    #[must_use]
    pub fn id(&self) -> Option<DomainEventId> {
        Some(match self {
            Self::Lifecycle { .. } => DomainEventId::LIFECYCLE,
            Self::Reboot { .. } => DomainEventId::REBOOT,
            Self::RtcChange { .. } => DomainEventId::RTC_CHANGE,
            Self::Watchdog { .. } => DomainEventId::WATCHDOG,
            Self::IoError { .. } => DomainEventId::IO_ERROR,
            Self::Graphics { .. } => DomainEventId::GRAPHICS,
            Self::IoErrorReason { .. } => DomainEventId::IO_ERROR_REASON,
            Self::ControlError { .. } => DomainEventId::CONTROL_ERROR,
            Self::BlockJob { .. } => DomainEventId::BLOCK_JOB,
            Self::DiskChange { .. } => DomainEventId::DISK_CHANGE,
            Self::TrayChange { .. } => DomainEventId::TRAY_CHANGE,
            Self::PmWakeup { .. } => DomainEventId::PMWAKEUP,
            Self::PmSuspend { .. } => DomainEventId::PMSUSPEND,
            Self::BalloonChange { .. } => DomainEventId::BALLOON_CHANGE,
            Self::PmSuspendDisk { .. } => DomainEventId::PMSUSPEND_DISK,
            Self::DeviceRemoved { .. } => DomainEventId::DEVICE_REMOVED,
            Self::BlockJob2 { .. } => DomainEventId::BLOCK_JOB_2,
            Self::Tunable { .. } => DomainEventId::TUNABLE,
            Self::AgentLifecycle { .. } => DomainEventId::AGENT_LIFECYCLE,
            Self::DeviceAdded { .. } => DomainEventId::DEVICE_ADDED,
            Self::MigrationIteration { .. } => DomainEventId::MIGRATION_ITERATION,
            Self::JobCompleted { .. } => DomainEventId::JOB_COMPLETED,
            Self::DeviceRemovalFailed { .. } => DomainEventId::DEVICE_REMOVAL_FAILED,
            Self::MetadataChange { .. } => DomainEventId::METADATA_CHANGE,
            Self::BlockThreshold { .. } => DomainEventId::BLOCK_THRESHOLD,
            Self::MemoryFailure { .. } => DomainEventId::MEMORY_FAILURE,
            Self::MemoryDeviceSizeChange { .. } => DomainEventId::MEMORY_DEVICE_SIZE_CHANGE,
            Self::NicMacChange { .. } => DomainEventId::NIC_MAC_CHANGE,
            Self::VcpuRemoved { .. } => DomainEventId::VCPU_REMOVED,
            Self::ChannelLifecycle { .. } => DomainEventId::CHANNEL_LIFECYCLE,
            Self::Other { .. } => return None,
        })
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let domain = |handle| connection.domain(handle);
        decode! { procedure, payload;
            remote::DomainEventCallbackLifecycleMsg { msg: remote::DomainEventLifecycleMsg { dom, event, detail }, .. } => Self::Lifecycle { domain: domain(dom), event: DomainEventType(event), detail: DomainEventDetail::new(DomainEventType(event), detail) },
            remote::DomainEventCallbackRebootMsg { msg: remote::DomainEventRebootMsg { dom }, .. } => Self::Reboot { domain: domain(dom) },
            remote::DomainEventCallbackRtcChangeMsg { msg: remote::DomainEventRtcChangeMsg { dom, offset }, .. } => Self::RtcChange { domain: domain(dom), offset },
            remote::DomainEventCallbackWatchdogMsg { msg: remote::DomainEventWatchdogMsg { dom, action }, .. } => Self::Watchdog { domain: domain(dom), action: DomainEventWatchdogAction(action) },
            remote::DomainEventCallbackIoErrorMsg { msg: remote::DomainEventIoErrorMsg { dom, src_path, dev_alias, action }, .. } => Self::IoError { domain: domain(dom), source: src_path, device: dev_alias, action: DomainEventIoErrorAction(action) },
            remote::DomainEventCallbackGraphicsMsg { msg: remote::DomainEventGraphicsMsg { dom, phase, local, remote, auth_scheme, subject }, .. } => Self::Graphics { domain: domain(dom), phase: DomainEventGraphicsPhase(phase), local: local.into(), remote: remote.into(), auth_scheme, subject: subject.into_iter().map(Into::into).collect() },
            remote::DomainEventCallbackIoErrorReasonMsg { msg: remote::DomainEventIoErrorReasonMsg { dom, src_path, dev_alias, action, reason }, .. } => Self::IoErrorReason { domain: domain(dom), source: src_path, device: dev_alias, action: DomainEventIoErrorAction(action), reason },
            remote::DomainEventCallbackControlErrorMsg { msg: remote::DomainEventControlErrorMsg { dom }, .. } => Self::ControlError { domain: domain(dom) },
            remote::DomainEventCallbackBlockJobMsg { msg: remote::DomainEventBlockJobMsg { dom, path, type_, status }, .. } => Self::BlockJob { domain: domain(dom), source: path, kind: DomainBlockJobType(type_), status: DomainEventBlockJobStatus(status) },
            remote::DomainEventCallbackDiskChangeMsg { msg: remote::DomainEventDiskChangeMsg { dom, old_src_path, new_src_path, dev_alias, reason }, .. } => Self::DiskChange { domain: domain(dom), old_source: old_src_path, new_source: new_src_path, device: dev_alias, reason: DomainEventDiskChangeReason(reason) },
            remote::DomainEventCallbackTrayChangeMsg { msg: remote::DomainEventTrayChangeMsg { dom, dev_alias, reason }, .. } => Self::TrayChange { domain: domain(dom), device: dev_alias, reason: DomainEventTrayChangeReason(reason) },
            remote::DomainEventCallbackPmwakeupMsg { reason, msg: remote::DomainEventPmwakeupMsg { dom }, .. } => Self::PmWakeup { domain: domain(dom), reason },
            remote::DomainEventCallbackPmsuspendMsg { reason, msg: remote::DomainEventPmsuspendMsg { dom }, .. } => Self::PmSuspend { domain: domain(dom), reason },
            remote::DomainEventCallbackBalloonChangeMsg { msg: remote::DomainEventBalloonChangeMsg { dom, actual }, .. } => Self::BalloonChange { domain: domain(dom), memory: actual },
            remote::DomainEventCallbackPmsuspendDiskMsg { reason, msg: remote::DomainEventPmsuspendDiskMsg { dom }, .. } => Self::PmSuspendDisk { domain: domain(dom), reason },
            remote::DomainEventCallbackDeviceRemovedMsg { msg: remote::DomainEventDeviceRemovedMsg { dom, dev_alias }, .. } => Self::DeviceRemoved { domain: domain(dom), device: dev_alias },
            remote::DomainEventBlockJob2Msg { dom, dst, type_, status, .. } => Self::BlockJob2 { domain: domain(dom), target: dst, kind: DomainBlockJobType(type_), status: DomainEventBlockJobStatus(status) },
            remote::DomainEventCallbackTunableMsg { dom, params, .. } => Self::Tunable { domain: domain(dom), params: params.into() },
            remote::DomainEventCallbackAgentLifecycleMsg { dom, state, reason, .. } => Self::AgentLifecycle { domain: domain(dom), state: DomainEventAgentLifecycleState(state), reason: DomainEventAgentLifecycleReason(reason) },
            remote::DomainEventCallbackDeviceAddedMsg { dom, dev_alias, .. } => Self::DeviceAdded { domain: domain(dom), device: dev_alias },
            remote::DomainEventCallbackMigrationIterationMsg { dom, iteration, .. } => Self::MigrationIteration { domain: domain(dom), iteration },
            remote::DomainEventCallbackJobCompletedMsg { dom, params, .. } => Self::JobCompleted { domain: domain(dom), params: params.into() },
            remote::DomainEventCallbackDeviceRemovalFailedMsg { dom, dev_alias, .. } => Self::DeviceRemovalFailed { domain: domain(dom), device: dev_alias },
            remote::DomainEventCallbackMetadataChangeMsg { dom, type_, nsuri, .. } => Self::MetadataChange { domain: domain(dom), kind: DomainMetadataType(type_), uri: nsuri },
            remote::DomainEventBlockThresholdMsg { dom, dev, path, threshold, excess, .. } => Self::BlockThreshold { domain: domain(dom), device: dev, path, threshold, excess },
            remote::DomainEventMemoryFailureMsg { dom, recipient, action, flags, .. } => Self::MemoryFailure { domain: domain(dom), recipient: DomainMemoryFailureRecipientType(recipient), action: DomainMemoryFailureActionType(action), flags: flags.into() },
            remote::DomainEventMemoryDeviceSizeChangeMsg { dom, alias, size, .. } => Self::MemoryDeviceSizeChange { domain: domain(dom), device: alias, size },
            remote::DomainEventNicMacChangeMsg { dom, alias, old_mac, new_mac, .. } => Self::NicMacChange { domain: domain(dom), device: alias, old_mac, new_mac },
            remote::DomainEventVcpuRemovedMsg { dom, vcpuid, .. } => Self::VcpuRemoved { domain: domain(dom), vcpu: vcpuid },
            remote::DomainEventCallbackChannelLifecycleMsg { dom, channel_name, state, reason, .. } => Self::ChannelLifecycle { domain: domain(dom), channel: channel_name, state: DomainEventChannelLifecycleState(state), reason: DomainEventChannelLifecycleReason(reason) },
        }
    }
}

impl Connection {
    /// Subscribes to events of all domains: of one kind, or of several.
    ///
    /// Since libvirt 1.2.2; each [`DomainEventId`] says since when it is there, and a daemon that does not know one
    /// refuses the subscription. Permissions: `connect:search_domains`. Filtered by: `domain:getattr`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Unsupported`](crate::Error::Unsupported) by a daemon from before callbacks
    /// were numbered.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::DomainEvent;
    /// use virtwire::enums::DomainEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let ids = [DomainEventId::LIFECYCLE, DomainEventId::DEVICE_REMOVED];
    /// let mut events = connection.domain_events(ids).await?;
    /// while let Some(event) = events.next().await {
    ///     match event? {
    ///         DomainEvent::Lifecycle { domain, event, detail } => {
    ///             println!("{}: {event} ({detail})", domain.name());
    ///         }
    ///         DomainEvent::DeviceRemoved { domain, device } => println!("{}: {device} is gone", domain.name()),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectDomainEventRegisterAny")]
    #[doc(alias = "virConnectDomainEventRegister")]
    pub async fn domain_events(
        &self,
        ids: impl Into<EventIds<DomainEventId>>,
    ) -> Result<Subscription<DomainEvent>> {
        let register = |id: DomainEventId| remote::ConnectDomainEventCallbackRegisterAnyArgs {
            event_id: id.0,
            dom: None,
        };
        self.subscribe_with(ids.into().into_iter().map(register), DomainEvent::decode).await
    }
}

impl Domain {
    /// Subscribes to events of this domain alone: of one kind, or of several.
    ///
    /// Since libvirt 1.2.2, as [`Connection::domain_events`] has it. Permissions: `connect:search_domains`.
    ///
    /// # Errors
    /// As [`Connection::domain_events`].
    #[doc(alias = "virConnectDomainEventRegisterAny")]
    pub async fn events(&self, ids: impl Into<EventIds<DomainEventId>>) -> Result<Subscription<DomainEvent>> {
        let register = |id: DomainEventId| remote::ConnectDomainEventCallbackRegisterAnyArgs {
            event_id: id.0,
            dom: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(ids.into().into_iter().map(register), DomainEvent::decode).await
    }
}
