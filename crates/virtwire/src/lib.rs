//! An asynchronous client for libvirt daemons: libvirt's RPC protocol in Rust, without C.

mod connection;
mod domain;
mod driver;
mod error;
mod events;
mod node;
mod transport;

pub use connection::{Builder, CallOptions, Connection, RawReply};
pub use domain::{Domain, DomainInfo};
pub use error::{Error, LibvirtError, ProtocolError, Result};
pub use events::{DomainEvent, Subscription};
pub use node::NodeInfo;

pub use virtwire_proto as proto;
