//! libvirt's numbers that this crate needs: flags as they stand in a call, and the numbers of reasons.

/// `VIR_DOMAIN_AFFECT_LIVE`
pub(crate) const AFFECT_LIVE: u32 = 1;
/// `VIR_DOMAIN_AFFECT_CONFIG`
pub(crate) const AFFECT_CONFIG: u32 = 2;
/// `VIR_DOMAIN_MEM_MAXIMUM`
pub(crate) const MEM_MAXIMUM: u32 = 4;
/// `VIR_DOMAIN_VCPU_MAXIMUM`
pub(crate) const VCPU_MAXIMUM: u32 = 4;

/// `VIR_DOMAIN_XML_SECURE`
pub(crate) const XML_SECURE: u32 = 1;
/// `VIR_DOMAIN_XML_INACTIVE`
pub(crate) const XML_INACTIVE: u32 = 2;
/// `VIR_DOMAIN_XML_MIGRATABLE`
pub(crate) const XML_MIGRATABLE: u32 = 8;

/// `VIR_DOMAIN_DEFINE_VALIDATE`
pub(crate) const DEFINE_VALIDATE: u32 = 1;
/// `VIR_DOMAIN_START_VALIDATE`
pub(crate) const START_VALIDATE: u32 = 16;
/// `VIR_DOMAIN_DESTROY_GRACEFUL`
pub(crate) const DESTROY_GRACEFUL: u32 = 1;
/// All of `virDomainRebootFlagValues`.
pub(crate) const REBOOT_ALL: u32 = 0x1f;
/// `VIR_DOMAIN_UNDEFINE_MANAGED_SAVE`
pub(crate) const UNDEFINE_MANAGED_SAVE: u32 = 1;
/// `VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA`
pub(crate) const UNDEFINE_SNAPSHOTS_METADATA: u32 = 2;
/// `VIR_DOMAIN_SAVE_BYPASS_CACHE`
pub(crate) const SAVE_BYPASS_CACHE: u32 = 1;
/// `VIR_DOMAIN_SAVE_RUNNING`
pub(crate) const SAVE_RUNNING: u32 = 2;
/// `VIR_DOMAIN_SAVE_PAUSED`
pub(crate) const SAVE_PAUSED: u32 = 4;

/// The bits of `virConnectListAllDomainsFlags`.
pub(crate) mod list {
    pub(crate) const ACTIVE: u32 = 1;
    pub(crate) const INACTIVE: u32 = 2;
    pub(crate) const PERSISTENT: u32 = 4;
    pub(crate) const TRANSIENT: u32 = 8;
    pub(crate) const RUNNING: u32 = 16;
    pub(crate) const PAUSED: u32 = 32;
    pub(crate) const SHUTOFF: u32 = 64;
    pub(crate) const OTHER: u32 = 128;
    pub(crate) const MANAGEDSAVE: u32 = 256;
    pub(crate) const NO_MANAGEDSAVE: u32 = 512;
    pub(crate) const AUTOSTART: u32 = 1024;
    pub(crate) const NO_AUTOSTART: u32 = 2048;
    pub(crate) const HAS_SNAPSHOT: u32 = 4096;
    pub(crate) const NO_SNAPSHOT: u32 = 8192;
    pub(crate) const HAS_CHECKPOINT: u32 = 16384;
    pub(crate) const NO_CHECKPOINT: u32 = 32768;
    pub(crate) const ALL: u32 = 0xffff;
}

/// `VIR_DOMAIN_RUNNING_BOOTED`
pub(crate) const RUNNING_BOOTED: i32 = 1;
/// `VIR_DOMAIN_RUNNING_UNPAUSED`
pub(crate) const RUNNING_UNPAUSED: i32 = 5;
/// `VIR_DOMAIN_PAUSED_USER`
pub(crate) const PAUSED_USER: i32 = 1;
/// `VIR_DOMAIN_SHUTOFF_SHUTDOWN`
pub(crate) const SHUTOFF_SHUTDOWN: i32 = 1;
/// `VIR_DOMAIN_SHUTOFF_DESTROYED`
pub(crate) const SHUTOFF_DESTROYED: i32 = 2;
/// `VIR_DOMAIN_SHUTOFF_SAVED`
pub(crate) const SHUTOFF_SAVED: i32 = 5;
