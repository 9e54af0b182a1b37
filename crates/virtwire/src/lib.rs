//! An asynchronous client for libvirt daemons: libvirt's RPC protocol in Rust, without C.

mod connection;
mod domain;
mod driver;
mod error;
mod events;
mod node;
mod stream;
mod transport;

pub use connection::{Builder, CallOptions, Connection, RawReply};
pub use domain::{Domain, DomainInfo};
pub use driver::Chunk;
pub use error::{Error, LibvirtError, ProtocolError, Result};
pub use events::{DomainEvent, Subscription};
pub use node::NodeInfo;
pub use stream::Stream;

pub use uuid::Uuid;
pub use virtwire_proto as proto;
pub use virtwire_proto::xdr::Text;
