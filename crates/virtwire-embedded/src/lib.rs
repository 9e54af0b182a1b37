//! A libvirt hypervisor in memory.
//!
//! A [`Node`] holds domains and does with them what libvirt's test driver does: the same default node, the same
//! states and reasons, the same events in the same order, the same errors by number and origin, the same layout
//! of XML. Nothing runs, nothing is read or written but the node files that a caller names, and no libvirt has
//! to be installed.
//!
//! [`Hypervisor`] offers nodes to clients by libvirt's protocol, as a libvirtd with the test driver does: virsh,
//! libvirt's library and everything on it work with its [`server`](Hypervisor::server) as with that. Within the
//! process, [`connect`] joins a client to it.
//!
//! ```
//! use virtwire_embedded::{DomainState, Node};
//!
//! # fn main() -> virtwire_embedded::Result<()> {
//! let node = Node::default();
//! let domain = node.domain_lookup_by_name("test")?;
//! assert_eq!(domain.id, 1);
//! node.domain_suspend(&domain)?;
//! assert_eq!(node.domain_state(&domain, 0)?.0, DomainState::PAUSED);
//! # Ok(())
//! # }
//! ```
//!
//! # What is simulated
//! - The node: its size, capabilities, cells, firmware document, host name, version.
//! - Domains: looking up, listing with every filter, defining, starting (from a definition or from a document),
//!   pausing, resuming, shutting down, rebooting, resetting, destroying, undefining, renaming, managed save;
//!   state with its reason, sizes, document, autostart, memory, vCPUs, title, description and metadata, each for
//!   the running guest and for the configuration that stays.
//! - Events: [`DomainEvent::Lifecycle`] and [`DomainEvent::MetadataChange`].
//! - Node files: the node's size, and its domains with the state that they start in.
//! - Connections: `test:///default`, shared by all clients, and `test:///path/of/a/node.xml`, private to each;
//!   read-only ones; both generations of registering for events.
//!
//! # What is not
//! - A domain's devices are kept as they are given and not looked into: what libvirt would refuse in them passes,
//!   and what it would add is left out, but for the kind and bus of a disk and the MAC address and host device
//!   of an interface. What libvirt would drop from a document is kept. Documents are not validated against a schema.
//! - A guest does nothing: it boots, reboots and shuts down at once, and its CPU time is simply the time.
//! - Jobs, statistics but the state, saving to files and everything about devices.
//! - Snapshots, checkpoints, networks, interfaces, storage and node devices. In a node file they are passed over, as
//!   are users: who may open the node is the server's affair. Clients find empty lists of them.
//!
//! Calls for what is not simulated answer that the driver does not support the function (`VIR_ERR_NO_SUPPORT`),
//! as they do where libvirt's own drivers lack one. The words of errors are not always libvirt's; their numbers and
//! origins are.
//!
//! # Documents
//! A document may have 65 536 parts (elements, attributes, texts), 256 levels and 1 024 attributes an element; one
//! with more, or that refers to entities of its own, is refused as malformed. A part that a domain has once counts
//! where it stands first. Comments between a domain's own parts are dropped, those within a part kept.
//!
//! # Flags and numbers
//! Methods take flags as the numbers that calls carry and refuse bits that they do not know, as libvirt does.
//! Which enum the bits are from stands in each method's text.

mod capabilities;
mod domain;
mod error;
mod events;
mod hypervisor;
mod node;
mod node_file;
mod numbers;
mod service;
mod xml;

pub use capabilities::{NodeInfo, SecurityModel};
pub use domain::{DomainInfo, DomainRef, SecurityLabel, VcpuInfo};
pub use error::{Error, Result};
pub use events::{DomainEvent, LifecycleEvent, Subscription};
pub use hypervisor::Hypervisor;
#[cfg(unix)]
pub use hypervisor::connect;
pub use node::{Builder, Node};
pub use virtwire_proto::enums::DomainState;
