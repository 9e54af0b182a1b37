//! What the hypervisor has none of, although libvirt's test driver does: networks, storage pools, interfaces, node
//! devices, snapshots and checkpoints. Lists of them are empty, and looking one up finds none, so that tools that
//! ask for them show nothing rather than an error. What would make one is not supported.

use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::program::EventClass;
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

/// Methods that look for one of a kind, and find none.
macro_rules! answer_not_found {
    ($($method:ident($args:ty) -> $ret:ty: $kind:ident, $by:ident;)*) => {$(
        async fn $method(&self, _: &Client, args: $args) -> Result<$ret> {
            Err($kind.no_match(stringify!($by), &args.$by))
        }
    )*};
}
pub(super) use answer_not_found;

/// The same in a domain, which must be there.
macro_rules! answer_not_found_in_a_domain {
    ($($method:ident($args:ty) -> $ret:ty: $kind:ident, $by:ident;)*) => {$(
        async fn $method(&self, _: &Client, args: $args) -> Result<$ret> {
            self.node()?.domain_is_active(&args.dom.into())?;
            Err($kind.no_match(stringify!($by), &args.$by))
        }
    )*};
}
pub(super) use answer_not_found_in_a_domain;

/// Methods that register for events that never come.
macro_rules! register_for_nothing {
    ($($method:ident($args:ty) -> $ret:ident: $class:path;)*) => {$(
        async fn $method(&self, client: &Client, args: $args) -> Result<$ret> {
            Ok($ret { callback_id: client.register($class, args.event_id, None) })
        }
    )*};
}
pub(super) use register_for_nothing;

/// Methods that end such a registration.
macro_rules! deregister_from_nothing {
    ($($method:ident($args:ty): $class:path;)*) => {$(
        async fn $method(&self, client: &Client, args: $args) -> Result<()> {
            deregister(client, $class, args.callback_id)
        }
    )*};
}
pub(super) use deregister_from_nothing;

/// A kind of thing that there is none of.
pub(super) struct Kind {
    code: ErrorNumber,
    /// The error's text, with `%s` for the detail.
    pattern: &'static str,
    name: &'static str,
}

impl Kind {
    const fn new(code: ErrorNumber, pattern: &'static str, name: &'static str) -> Self {
        Self { code, pattern, name }
    }

    /// None has this value.
    pub(super) fn no_match(&self, what: &str, value: &dyn std::fmt::Display) -> Error {
        self.none(&format!("no {} with matching {what} '{value}'", self.name))
    }

    /// There is none.
    pub(super) fn none(&self, detail: &str) -> Error {
        Error::raised(self.code, ErrorDomain::TEST, self.pattern, detail)
    }
}

pub(super) const NETWORK: Kind = Kind::new(ErrorNumber::NO_NETWORK, "Network not found: %s", "network");
pub(super) const POOL: Kind =
    Kind::new(ErrorNumber::NO_STORAGE_POOL, "Storage pool not found: %s", "storage pool");
pub(super) const INTERFACE: Kind =
    Kind::new(ErrorNumber::NO_INTERFACE, "Interface not found: %s", "interface");
pub(super) const DEVICE: Kind =
    Kind::new(ErrorNumber::NO_NODE_DEVICE, "Node device not found: %s", "node device");
pub(super) const SNAPSHOT: Kind =
    Kind::new(ErrorNumber::NO_DOMAIN_SNAPSHOT, "Domain snapshot not found: %s", "domain snapshot");
pub(super) const CHECKPOINT: Kind =
    Kind::new(ErrorNumber::NO_DOMAIN_CHECKPOINT, "Domain checkpoint not found: %s", "domain checkpoint");

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
