//! What storage pools and volumes are, and how large.

use virtwire_proto::enums::{StoragePoolState, StorageVolType};
use virtwire_proto::program::remote;

/// The state of a storage pool, and how full it is (virStoragePoolInfo).
#[doc(alias = "virStoragePoolInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoragePoolInfo {
    /// Its state.
    pub state: StoragePoolState,
    /// How much it can hold, in bytes.
    pub capacity: u64,
    /// How much of it is taken, in bytes.
    pub allocation: u64,
    /// How much of it is left, in bytes.
    pub available: u64,
}

impl From<remote::StoragePoolGetInfoRet> for StoragePoolInfo {
    fn from(info: remote::StoragePoolGetInfoRet) -> Self {
        Self {
            state: StoragePoolState(info.state.into()),
            capacity: info.capacity,
            allocation: info.allocation,
            available: info.available,
        }
    }
}

/// What a volume is, and how large (virStorageVolInfo).
#[doc(alias = "virStorageVolInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StorageVolInfo {
    /// What it is.
    pub kind: StorageVolType,
    /// How much it can hold, in bytes.
    pub capacity: u64,
    /// How much it takes of its pool, in bytes; or its physical size, where that was asked for.
    pub allocation: u64,
}

impl From<remote::StorageVolGetInfoRet> for StorageVolInfo {
    fn from(info: remote::StorageVolGetInfoRet) -> Self {
        Self { kind: StorageVolType(info.type_.into()), capacity: info.capacity, allocation: info.allocation }
    }
}

impl From<remote::StorageVolGetInfoFlagsRet> for StorageVolInfo {
    fn from(info: remote::StorageVolGetInfoFlagsRet) -> Self {
        Self { kind: StorageVolType(info.type_.into()), capacity: info.capacity, allocation: info.allocation }
    }
}
