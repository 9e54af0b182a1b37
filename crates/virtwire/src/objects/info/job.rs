//! Jobs that run on a domain or on one of its disks.

use std::time::Duration;
use virtwire_proto::enums::{DomainBlockJobType, DomainJobOperation, DomainJobType};
use virtwire_proto::names::job;
use virtwire_proto::program::remote;
use virtwire_proto::typed_params::{TypedParams, TypedParamsExt};

/// How far a domain's job is (virDomainJobInfo). Amounts are in bytes.
#[doc(alias = "virDomainJobInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainJobInfo {
    /// Whether there is one, and how it goes.
    pub kind: DomainJobType,
    /// How long it has run.
    pub elapsed: Duration,
    /// How long it will go on, where `kind` is BOUNDED.
    pub remaining: Duration,
    /// All that is to be processed.
    pub data: JobAmount,
    /// The memory of it.
    pub memory: JobAmount,
    /// The files of it.
    pub files: JobAmount,
}

/// What a job has to process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct JobAmount {
    /// In all, as far as is known now.
    pub total: u64,
    /// Of it done.
    pub processed: u64,
    /// Of it left. What changes meanwhile is done again: the two need not add up to the total.
    pub remaining: u64,
}

impl From<remote::DomainGetJobInfoRet> for DomainJobInfo {
    fn from(info: remote::DomainGetJobInfoRet) -> Self {
        let amount = |total, processed, remaining| JobAmount { total, processed, remaining };
        Self {
            kind: DomainJobType(info.type_),
            elapsed: Duration::from_millis(info.time_elapsed),
            remaining: Duration::from_millis(info.time_remaining),
            data: amount(info.data_total, info.data_processed, info.data_remaining),
            memory: amount(info.mem_total, info.mem_processed, info.mem_remaining),
            files: amount(info.file_total, info.file_processed, info.file_remaining),
        }
    }
}

/// How far a domain's job is, or how one has gone, with all that the driver knows of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DomainJobStats {
    /// Whether there is one, and how it goes.
    pub kind: DomainJobType,
    /// Fields of [`names::job`](crate::proto::names::job).
    pub params: TypedParams,
}

impl DomainJobStats {
    /// What the job does, where the daemon says it: those since libvirt 3.3.0.
    #[must_use]
    pub fn operation(&self) -> Option<DomainJobOperation> {
        self.params.get_as(job::OPERATION).ok().flatten().map(DomainJobOperation)
    }
}

impl From<remote::DomainGetJobStatsRet> for DomainJobStats {
    fn from(stats: remote::DomainGetJobStatsRet) -> Self {
        Self { kind: DomainJobType(stats.type_), params: stats.params.into() }
    }
}

/// How far the job of a disk is (virDomainBlockJobInfo).
#[doc(alias = "virDomainBlockJobInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainBlockJobInfo {
    /// What it does.
    pub kind: DomainBlockJobType,
    /// The bound of its speed: MiB/s, or bytes/s where that was asked for; 0 means none.
    pub bandwidth: u64,
    /// How far it is, in units of its own.
    pub current: u64,
    /// Where it ends, in the same units. A copy that has reached its end goes on with what is written meanwhile.
    pub end: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_where_it_is_said() {
        let stats = |params: TypedParams| {
            DomainJobStats::from(remote::DomainGetJobStatsRet { type_: 1, params: params.into() })
        };
        let params = TypedParams::new().with(job::OPERATION, DomainJobOperation::SAVE.0);
        assert_eq!(stats(params).operation(), Some(DomainJobOperation::SAVE));
        assert_eq!(stats(TypedParams::new().with(job::OPERATION, "save")).operation(), None);
        assert_eq!(stats(TypedParams::new()).operation(), None);
    }
}
