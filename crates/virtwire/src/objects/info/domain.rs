//! What a domain is doing, and its CPUs, threads and labels.

use super::text;
use crate::CpuSet;
use std::time::Duration;
use virtwire_proto::enums::{DomainControlErrorReason, DomainControlState, DomainState, VcpuState};
use virtwire_proto::program::remote;
use virtwire_proto::xdr::Text;

/// What a domain is doing, and what it takes (virDomainInfo).
#[doc(alias = "virDomainInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainInfo {
    /// Its state.
    pub state: DomainState,
    /// The memory that it may have, in KiB.
    pub max_memory: u64,
    /// The memory that it has, in KiB.
    pub memory: u64,
    /// Its virtual CPUs.
    pub vcpus: u16,
    /// The CPU time that it has taken.
    pub cpu_time: Duration,
}

impl From<remote::DomainGetInfoRet> for DomainInfo {
    fn from(info: remote::DomainGetInfoRet) -> Self {
        Self {
            state: DomainState(info.state.into()),
            max_memory: info.max_mem,
            memory: info.memory,
            vcpus: info.nr_virt_cpu,
            cpu_time: Duration::from_nanos(info.cpu_time),
        }
    }
}

/// Whether a daemon can control a domain now (virDomainControlInfo).
#[doc(alias = "virDomainControlInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainControlInfo {
    /// Whether it can.
    pub state: DomainControlState,
    /// Why it cannot, where the state is ERROR.
    pub details: DomainControlErrorReason,
    /// How long it has been in this state; zero where it can be controlled.
    pub since: Duration,
}

impl From<remote::DomainGetControlInfoRet> for DomainControlInfo {
    fn from(info: remote::DomainGetControlInfoRet) -> Self {
        Self {
            state: DomainControlState(info.state.cast_signed()),
            details: DomainControlErrorReason(info.details.cast_signed()),
            since: Duration::from_millis(info.state_time),
        }
    }
}

/// A virtual CPU (virVcpuInfo).
#[doc(alias = "virVcpuInfo")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VcpuInfo {
    /// Its number.
    pub number: u32,
    /// What it is doing.
    pub state: VcpuState,
    /// The CPU time that it has taken.
    pub cpu_time: Duration,
    /// The CPU of the host that it runs on; `None` where it does not run or that is not known.
    pub cpu: Option<u32>,
    /// The CPUs of the host that it may run on.
    pub affinity: CpuSet,
}

/// An I/O thread (virDomainIOThreadInfo).
#[doc(alias = "virDomainIOThreadInfo")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainIoThreadInfo {
    /// Its number.
    pub id: u32,
    /// The CPUs of the host that it may run on.
    pub affinity: CpuSet,
}

/// A security label of a domain's process (virSecurityLabel).
#[doc(alias = "virSecurityLabel")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityLabel {
    /// The label. Empty where there is none.
    pub label: Text,
    /// Whether the host enforces it.
    pub enforcing: bool,
}

impl From<remote::DomainGetSecurityLabelRet> for SecurityLabel {
    fn from(label: remote::DomainGetSecurityLabelRet) -> Self {
        Self { label: text(&label.label), enforcing: label.enforcing != 0 }
    }
}
