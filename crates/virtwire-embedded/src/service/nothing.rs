//! What the hypervisor has none of, although libvirt's test driver does: networks, storage pools, interfaces, node
//! devices, snapshots and checkpoints. Lists of them are empty, and looking one up finds none, so that tools that
//! ask for them show nothing rather than an error. What would make one is not supported.

use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::program::EventClass;
use virtwire_proto::xdr::Text;
use virtwire_server::{Client, Error, Result};

/// Methods that answer with an empty list or the number 0.
macro_rules! answer_nothing {
    ($($method:ident($args:ty) -> $ret:ty;)*) => {$(
        async fn $method(&self, _: &Client, _: $args) -> Result<$ret> {
            Ok(<$ret>::default())
        }
    )*};
}
pub(super) use answer_nothing;

/// The same for calls about a domain, which must be there.
macro_rules! answer_nothing_of_a_domain {
    ($($method:ident($args:ty) -> $ret:ty;)*) => {$(
        async fn $method(&self, _: &Client, args: $args) -> Result<$ret> {
            self.node()?.domain_is_active(&args.dom.into())?;
            Ok(<$ret>::default())
        }
    )*};
}
pub(super) use answer_nothing_of_a_domain;

pub(super) fn no_network(what: &str, value: impl std::fmt::Display) -> Error {
    let detail = format!("no network with matching {what} '{value}'");
    Error::raised(ErrorNumber::NO_NETWORK, ErrorDomain::TEST, "Network not found: %s", &detail)
}

pub(super) fn no_pool(what: &str, value: impl std::fmt::Display) -> Error {
    let detail = format!("no storage pool with matching {what} '{value}'");
    Error::raised(ErrorNumber::NO_STORAGE_POOL, ErrorDomain::TEST, "Storage pool not found: %s", &detail)
}

pub(super) fn no_interface(what: &str, value: impl std::fmt::Display) -> Error {
    let detail = format!("no interface with matching {what} '{value}'");
    Error::raised(ErrorNumber::NO_INTERFACE, ErrorDomain::TEST, "Interface not found: %s", &detail)
}

pub(super) fn no_device(what: &str, value: impl std::fmt::Display) -> Error {
    let detail = format!("no node device with matching {what} '{value}'");
    Error::raised(ErrorNumber::NO_NODE_DEVICE, ErrorDomain::TEST, "Node device not found: %s", &detail)
}

pub(super) fn no_snapshot(name: Text) -> Error {
    let detail = format!("no domain snapshot with matching name '{name}'");
    Error::raised(
        ErrorNumber::NO_DOMAIN_SNAPSHOT,
        ErrorDomain::TEST,
        "Domain snapshot not found: %s",
        &detail,
    )
}

pub(super) fn no_current_snapshot() -> Error {
    let detail = "the domain has no current snapshot";
    Error::raised(ErrorNumber::NO_DOMAIN_SNAPSHOT, ErrorDomain::TEST, "Domain snapshot not found: %s", detail)
}

pub(super) fn no_checkpoint(name: Text) -> Error {
    let detail = format!("no domain checkpoint with matching name '{name}'");
    let pattern = "Domain checkpoint not found: %s";
    Error::raised(ErrorNumber::NO_DOMAIN_CHECKPOINT, ErrorDomain::TEST, pattern, &detail)
}

/// Ends a registration for events that never come.
///
/// # Errors
/// There is none with this identifier.
pub(super) fn deregister(client: &Client, class: EventClass, callback: i32) -> Result<()> {
    match client.deregister(class, callback) {
        Some(_) => Ok(()),
        None => Err(Error::internal(format_args!("event callback {callback} not registered"))),
    }
}
