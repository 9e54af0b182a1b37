//! What domains have done: statistics of disks, interfaces and memory.

use crate::Domain;
use virtwire_proto::enums::{DomainDiskErrorCode, DomainMemoryStatTags};
use virtwire_proto::program::remote;
use virtwire_proto::typed_params::TypedParams;
use virtwire_proto::xdr::Text;

/// Statistics of one domain (virDomainStatsRecord).
#[doc(alias = "virDomainStatsRecord")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DomainStatsRecord {
    /// The domain.
    pub domain: Domain,
    /// Fields of [`names::domain_stats`](crate::proto::names::domain_stats).
    pub params: TypedParams,
}

/// What a disk has done (virDomainBlockStats).
#[doc(alias = "virDomainBlockStats")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainBlockStats {
    /// Requests to read.
    pub read_requests: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Requests to write.
    pub write_requests: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Errors, where the hypervisor counts them (Xen).
    pub errors: Option<u64>,
}

impl From<remote::DomainBlockStatsRet> for DomainBlockStats {
    fn from(stats: remote::DomainBlockStatsRet) -> Self {
        Self {
            read_requests: known(stats.rd_req),
            read_bytes: known(stats.rd_bytes),
            write_requests: known(stats.wr_req),
            write_bytes: known(stats.wr_bytes),
            errors: known(stats.errs),
        }
    }
}

/// What an interface has done (virDomainInterfaceStats).
#[doc(alias = "virDomainInterfaceStats")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainInterfaceStats {
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// Packets received.
    pub rx_packets: Option<u64>,
    /// Errors while receiving.
    pub rx_errors: Option<u64>,
    /// Packets dropped while receiving.
    pub rx_dropped: Option<u64>,
    /// Bytes sent.
    pub tx_bytes: Option<u64>,
    /// Packets sent.
    pub tx_packets: Option<u64>,
    /// Errors while sending.
    pub tx_errors: Option<u64>,
    /// Packets dropped while sending.
    pub tx_dropped: Option<u64>,
}

impl From<remote::DomainInterfaceStatsRet> for DomainInterfaceStats {
    fn from(stats: remote::DomainInterfaceStatsRet) -> Self {
        Self {
            rx_bytes: known(stats.rx_bytes),
            rx_packets: known(stats.rx_packets),
            rx_errors: known(stats.rx_errs),
            rx_dropped: known(stats.rx_drop),
            tx_bytes: known(stats.tx_bytes),
            tx_packets: known(stats.tx_packets),
            tx_errors: known(stats.tx_errs),
            tx_dropped: known(stats.tx_drop),
        }
    }
}

/// A number that is -1 where it is not known.
fn known(number: i64) -> Option<u64> {
    u64::try_from(number).ok()
}

/// What a guest does with its memory (virDomainMemoryStatStruct): what is known of it, each once.
#[doc(alias = "virDomainMemoryStatStruct")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DomainMemoryStats {
    /// What is known, and its value: in KiB, unless the tag's name says otherwise.
    pub stats: Vec<(DomainMemoryStatTags, u64)>,
}

impl DomainMemoryStats {
    /// The value of this tag, where it is known.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::enums::DomainMemoryStatTags;
    /// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
    /// let stats = domain.memory_stats().await?;
    /// println!("{:?} KiB are in use", stats.get(DomainMemoryStatTags::RSS));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn get(&self, tag: DomainMemoryStatTags) -> Option<u64> {
        self.stats.iter().find(|(of, _)| *of == tag).map(|(_, value)| *value)
    }
}

impl From<remote::DomainMemoryStatsRet> for DomainMemoryStats {
    fn from(ret: remote::DomainMemoryStatsRet) -> Self {
        Self { stats: ret.stats.into_iter().map(|of| (DomainMemoryStatTags(of.tag), of.val)).collect() }
    }
}

/// How large a domain's disk is (virDomainBlockInfo).
#[doc(alias = "virDomainBlockInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainBlockInfo {
    /// What the guest sees, in bytes.
    pub capacity: u64,
    /// What is taken of the host's storage, in bytes: the highest that was written, for a block device.
    pub allocation: u64,
    /// How large the file or block device is on the host, in bytes.
    pub physical: u64,
}

impl From<remote::DomainGetBlockInfoRet> for DomainBlockInfo {
    fn from(info: remote::DomainGetBlockInfoRet) -> Self {
        Self { capacity: info.capacity, allocation: info.allocation, physical: info.physical }
    }
}

/// A disk that has had an I/O error (virDomainDiskError).
#[doc(alias = "virDomainDiskError")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainDiskError {
    /// Its target's name, such as "vda".
    pub disk: Text,
    /// The error.
    pub error: DomainDiskErrorCode,
}

impl From<remote::DomainDiskError> for DomainDiskError {
    fn from(error: remote::DomainDiskError) -> Self {
        Self { disk: error.disk, error: DomainDiskErrorCode(error.error) }
    }
}
