//! Flags as the numbers that stand in a call, and the numbers of reasons.

use virtwire_proto::enums::{DomainPausedReason, DomainRunningReason, DomainShutoffReason};
use virtwire_proto::flags::{
    DomainCreateFlags, DomainDefineFlags, DomainDestroyFlags, DomainMemoryModFlags, DomainModificationImpact,
    DomainRebootFlags, DomainSaveRestoreFlags, DomainUndefineFlags, DomainVcpuFlags, DomainXmlFlags,
};

pub(crate) const AFFECT_LIVE: u32 = DomainModificationImpact::LIVE.bits();
pub(crate) const AFFECT_CONFIG: u32 = DomainModificationImpact::CONFIG.bits();
pub(crate) const MEM_MAXIMUM: u32 = DomainMemoryModFlags::MAXIMUM.bits();
pub(crate) const VCPU_MAXIMUM: u32 = DomainVcpuFlags::MAXIMUM.bits();

pub(crate) const XML_SECURE: u32 = DomainXmlFlags::SECURE.bits();
pub(crate) const XML_INACTIVE: u32 = DomainXmlFlags::INACTIVE.bits();
pub(crate) const XML_MIGRATABLE: u32 = DomainXmlFlags::MIGRATABLE.bits();

pub(crate) const DEFINE_VALIDATE: u32 = DomainDefineFlags::VALIDATE.bits();
pub(crate) const START_VALIDATE: u32 = DomainCreateFlags::VALIDATE.bits();
pub(crate) const DESTROY_GRACEFUL: u32 = DomainDestroyFlags::GRACEFUL.bits();
pub(crate) const REBOOT_ALL: u32 = DomainRebootFlags::all().bits();
pub(crate) const UNDEFINE_MANAGED_SAVE: u32 = DomainUndefineFlags::MANAGED_SAVE.bits();
pub(crate) const UNDEFINE_SNAPSHOTS_METADATA: u32 = DomainUndefineFlags::SNAPSHOTS_METADATA.bits();
pub(crate) const SAVE_BYPASS_CACHE: u32 = DomainSaveRestoreFlags::BYPASS_CACHE.bits();
pub(crate) const SAVE_RUNNING: u32 = DomainSaveRestoreFlags::RUNNING.bits();
pub(crate) const SAVE_PAUSED: u32 = DomainSaveRestoreFlags::PAUSED.bits();

pub(crate) const RUNNING_BOOTED: i32 = DomainRunningReason::BOOTED.0;
pub(crate) const RUNNING_UNPAUSED: i32 = DomainRunningReason::UNPAUSED.0;
pub(crate) const PAUSED_USER: i32 = DomainPausedReason::USER.0;
pub(crate) const SHUTOFF_SHUTDOWN: i32 = DomainShutoffReason::SHUTDOWN.0;
pub(crate) const SHUTOFF_DESTROYED: i32 = DomainShutoffReason::DESTROYED.0;
pub(crate) const SHUTOFF_SAVED: i32 = DomainShutoffReason::SAVED.0;
