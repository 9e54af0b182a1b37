//! An asynchronous client for libvirt daemons: libvirt's RPC protocol in Rust, without C.
//!
//! ```no_run
//! use virtwire::Connection;
//! use virtwire::flags::ListAllDomainsFlags;
//!
//! # async fn example() -> virtwire::Result<()> {
//! let connection = Connection::open("qemu:///system").await?;
//! for domain in connection.list_all_domains(ListAllDomainsFlags::ACTIVE).await? {
//!     println!("{}: {} KiB", domain.name(), domain.info().await?.memory);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Connection`] is one connection to a daemon, shared by its clones. Any number of tasks call on it at once, and
//!   answers come in whatever order the daemon finishes them. [`Builder`] has its settings.
//! - Objects such as [`Domain`], [`Network`] or [`StorageVol`] come from it. Every procedure of libvirt's is a method of
//!   the object that it belongs to, named as in C, without the prefix and without `get`: virDomainGetXMLDesc is
//!   [`Domain::xml_desc`]. Search this documentation for the C name. [`info`] has what methods give beside objects.
//! - [`AdminConnection`] is a connection to the administration of a daemon.
//! - [`Connection::call`] calls any procedure of libvirt's programs by the type of its arguments, as the wire has it.
//! - [`Subscription`] is a stream of events, such as [`DomainEvent`]; [`Stream`] is the data of a volume, a console or
//!   a screenshot.
//! - [`Error`] is what does not work, in one family.
//! - [`proto`] is what the bytes mean: procedures, enums, flags, without I/O.
//!
//! It runs on tokio: a connection is opened in a runtime, with its I/O and time enabled, and lives as long as that
//! does.
//!
//! # What can be relied on
//! - **Cancel by dropping.** A call, a subscription or a stream that is dropped leaves nothing behind, here or in
//!   the daemon; a call that was sent already may have been carried out.
//! - **Nothing waits for ever.** A daemon that has died or does not answer keepalive ends the connection, and with it
//!   everything that is open on it, at once and with the reason. Calls have deadlines where they are asked for:
//!   [`Builder::call_timeout`], [`CallOptions::timeout`].
//! - **Nothing waits for a slow consumer.** A subscription loses its oldest events and says how many; a stream is
//!   slowed down ([`Builder::stream_buffer`]).
//! - **Memory is bounded** by the settings of the [`Builder`], and grows with what has arrived, never with what a
//!   daemon announces.
//! - **No call is too many**: those over [`Builder::max_calls_in_flight`] wait here for their turn.
//!
//! # URIs
//! Those of libvirt: `driver[+transport]://[user@][host][:port]/path[?parameters]`, aliases, defaults, sockets of
//! libvirtd and of modular daemons, of the system and of sessions. The transports `unix` and `tcp` are there; any
//! other byte stream can be brought along ([`Builder::open_over`], [`Builder::open_on`]).
//!
//! # Authentication
//! What the daemon asks for is done while the connection is opened: nothing, polkit, or SASL. `auth=sasl`,
//! `auth=sasl.MECHANISM` and `auth=polkit` of the URI narrow that down.
//!
//! Of SASL's mechanisms the best is taken that the daemon offers and the credentials serve: SCRAM-SHA-512, -256 and
//! -1, DIGEST-MD5, CRAM-MD5, PLAIN, then, without a password, EXTERNAL and ANONYMOUS. Over plain TCP it is DIGEST-MD5
//! alone, which encrypts all that follows, if weakly by today's measure. On a byte stream of the program's own PLAIN is
//! taken only where the URI names it. SCRAM and DIGEST-MD5 have the daemon prove that it knows the password too.
//!
//! [`Credentials`] come from the program ([`Builder::credentials`], [`Builder::ask_credentials`]), or else from libvirt's
//! auth.conf: LIBVIRT_AUTH_FILE, the URI's `authfile`, `$XDG_CONFIG_HOME/libvirt/auth.conf`,
//! `/etc/libvirt/auth.conf`. A user name that neither gives is the URI's.
//!
//! # Features
//! - `sasl`, on by default: authentication by SASL.
//! - `embedded`: `test:///default` and `test:///path/of/a/node.xml` open a hypervisor in memory, in this process, as
//!   libvirt's own client has its test driver. Nothing needs to be installed:
#![cfg_attr(all(unix, feature = "embedded"), doc = "```")]
#![cfg_attr(not(all(unix, feature = "embedded")), doc = "```no_run")]
//! use virtwire::Connection;
//! use virtwire::flags::ListAllDomainsFlags;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> virtwire::Result<()> {
//! let connection = Connection::open("test:///default").await?;
//! let domains = connection.list_all_domains(ListAllDomainsFlags::ACTIVE).await?;
//! assert_eq!(*domains[0].name(), "test");
//! # Ok(())
//! # }
//! ```

mod auth;
mod by_kind;
mod connection;
mod driver;
mod error;
mod events;
mod objects;
mod stream;
mod transport;

#[cfg(feature = "sasl")]
pub use auth::{CredentialError, CredentialRequest, Credentials};
pub use connection::{AdminConnection, Builder, CallOptions, Connection, RawReply};
pub use driver::Chunk;
pub use error::{Error, LibvirtError, MigrationError, ProtocolError, Result};
pub use events::{
    DomainEvent, DomainEventDetail, EventIds, GraphicsAddress, GraphicsIdentity, HypervisorClosed,
    NetworkEvent, NodeDeviceEvent, QemuMonitorEvent, SecretEvent, StoragePoolEvent, Subscription,
};
pub use objects::info;
pub use objects::{
    AdminClient, AdminServer, AgentTimeout, CpuSet, CpuSetError, Domain, DomainCheckpoint, DomainSnapshot,
    Interface, MigrateParams, Network, NetworkPort, NodeDevice, NwFilter, NwFilterBinding, OptionalText,
    Secret, StoragePool, StorageVol,
};
pub use stream::Stream;
#[cfg(unix)]
pub use stream::{Copied, FileCopy};

#[cfg(feature = "tls")]
pub use rustls;
pub use uuid::Uuid;
pub use virtwire_proto as proto;
pub use virtwire_proto::xdr::Text;
pub use virtwire_proto::{enums, flags};

/// What README.md shows runs as it is printed.
#[cfg(all(doctest, unix, feature = "embedded"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
