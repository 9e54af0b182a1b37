//! Arguments, answers, events and errors to test with.

use std::fs::File;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, Procedure};
use virtwire_proto::xdr::Text;

pub(crate) fn domain() -> NonnullDomain {
    NonnullDomain { name: Text::from("demo"), uuid: uuid::Uuid::from_bytes([7; 16]), id: 3 }
}

pub(crate) fn pool() -> NonnullStoragePool {
    NonnullStoragePool { name: Text::from("images"), uuid: uuid::Uuid::from_bytes([8; 16]) }
}

fn volume() -> NonnullStorageVol {
    NonnullStorageVol { pool: Text::from("images"), name: Text::from("v1"), key: Text::from("/images/v1") }
}

/// A call without arguments, and its answer.
pub(crate) const VERSION: ConnectGetLibVersionArgs = ConnectGetLibVersionArgs {};

pub(crate) fn version(lib_ver: u64) -> ConnectGetLibVersionRet {
    ConnectGetLibVersionRet { lib_ver }
}

pub(crate) fn lookup(name: impl Into<Text>) -> DomainLookupByNameArgs {
    DomainLookupByNameArgs { name: name.into() }
}

/// Opens a stream that the client reads.
pub(crate) fn download() -> StorageVolDownloadArgs {
    StorageVolDownloadArgs { vol: volume(), offset: 0, length: 0, flags: 0 }
}

pub(crate) const DOWNLOAD: &Procedure = StorageVolDownloadArgs::PROCEDURE;

/// Opens a stream that the client writes.
pub(crate) fn upload() -> StorageVolUploadArgs {
    StorageVolUploadArgs { vol: volume(), offset: 0, length: 0, flags: 0 }
}

/// Opens a stream that both sides write.
pub(crate) fn console() -> DomainOpenConsoleArgs {
    DomainOpenConsoleArgs { dom: domain(), dev_name: None, flags: 0 }
}

/// Carries a descriptor to the server.
pub(crate) fn graphics() -> DomainOpenGraphicsFdArgs {
    DomainOpenGraphicsFdArgs { dom: domain(), idx: 0, flags: 0 }
}

pub(crate) fn register_domain() -> ConnectDomainEventCallbackRegisterAnyArgs {
    ConnectDomainEventCallbackRegisterAnyArgs { event_id: 0, dom: None }
}

pub(crate) fn registered_domain(callback_id: i32) -> ConnectDomainEventCallbackRegisterAnyRet {
    ConnectDomainEventCallbackRegisterAnyRet { callback_id }
}

pub(crate) fn register_pool() -> ConnectStoragePoolEventRegisterAnyArgs {
    ConnectStoragePoolEventRegisterAnyArgs { event_id: 0, pool: None }
}

pub(crate) fn registered_pool(callback_id: i32) -> ConnectStoragePoolEventRegisterAnyRet {
    ConnectStoragePoolEventRegisterAnyRet { callback_id }
}

/// A domain's event, which `detail` tells from others.
pub(crate) fn domain_event(callback_id: i32, detail: i32) -> DomainEventCallbackLifecycleMsg {
    let msg = DomainEventLifecycleMsg { dom: domain(), event: 2, detail };
    DomainEventCallbackLifecycleMsg { callback_id, msg }
}

/// A pool's event, which `detail` tells from others.
pub(crate) fn pool_event(callback_id: i32, detail: i32) -> StoragePoolEventLifecycleMsg {
    StoragePoolEventLifecycleMsg { callback_id, pool: pool(), event: 2, detail }
}

/// An error with every field set.
pub(crate) fn error(code: i32) -> MessageError {
    virtwire_proto::error::raised(ErrorNumber(code), ErrorDomain::QEMU, "it failed: %s", "because")
}

/// A descriptor.
pub(crate) fn descriptor() -> Descriptor {
    File::open("/dev/null").expect("there is a /dev/null").into()
}
