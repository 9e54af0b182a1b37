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
//! - [`blocking`] is all of this for programs without a runtime.
//! - [`from_c`] says where libvirt's C library's functions and types are here.
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
//! - **A lost connection can come back.** With [`Builder::reconnect`] it is opened again; objects and subscriptions live
//!   on, calls wait for it, nothing is sent twice, and subscriptions say where events may be missing ([`Error::Gap`]).
//! - **No call is too many**: those over [`Builder::max_calls_in_flight`] wait here for their turn.
//!
//! # Tracing
//! By the crate `tracing`, with the target `virtwire`: a span `call` for each call (level DEBUG; `procedure`, `serial`, and
//! `error` where it failed or was given up), and events for opening and closing, a link that is lost, attempts to open it
//! again, packets that belong to nothing, and subscriptions that lose events.
//!
//! # URIs
//! Those of libvirt: `driver[+transport]://[user@][host][:port]/path[?parameters]`, aliases, defaults, sockets of
//! libvirtd and of modular daemons, of the system and of sessions. A session's daemon is started where none answers, as
//! libvirt does, unless `LIBVIRT_AUTOSTART` is `0`. Any other byte stream can be brought along
//! ([`Builder::open_over`], [`Builder::open_on`]).
//!
//! | transport | what it is | its parameters |
//! | --- | --- | --- |
//! | `unix` | a UNIX socket of this host; without transport and host | `socket`, `mode` |
//! | `tcp` | TCP, in the clear; port 16509 | |
//! | `tls` | TLS; port 16514; without transport and with a host | `pkipath`, `no_verify` |
//! | `ssh` | the system's `ssh`, with its user's configuration, agent and known hosts; on the far side virt-ssh-helper where it is installed, else netcat | `keyfile`, `no_tty`, `no_verify`, `known_hosts`, `known_hosts_verify`, `sshauth`, `command` (in place of `ssh`), `proxy`, `netcat`, `socket`, `mode` |
//! | `ext` | a command that carries the bytes on its standard input and output | `command`, `argv` |
//!
//! **TLS** takes libvirt's files: `/etc/pki/CA/cacert.pem` (and `cacrl.pem`), `/etc/pki/libvirt/clientcert.pem`,
//! `/etc/pki/libvirt/private/clientkey.pem`, in their place a user's own in `~/.pki/libvirt`, or all in the folder
//! `pkipath`; a client without certificate is one that shows none. A server's certificate has to name the host among
//! its alternative names: a common name alone is not enough. `no_sanity` changes nothing, since one's own certificates
//! are only read, not judged. `tls_priority` is in GnuTLS's notation and is refused in a URI, ignored in libvirt.conf:
//! `Builder::tls_config` takes a configuration of rustls in place of all this.
//!
//! **ssh**: `known_hosts_verify` is `normal`, `auto` (take what is not known yet) or `ignore`; `sshauth` a list of
//! `agent`, `privkey`, `password` and `keyboard-interactive`. libvirt leaves these two and `known_hosts` to `libssh` and
//! `libssh2`, whose place `ssh` takes here. With `socket` it is always netcat. A command ends with its connection, and
//! what it said on its standard error stands in the error.
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
//! - `tls`, on unless it is turned off: the transport tls. Its cryptography is graviola's: Rust and assembly, no C, for
//!   x86-64 (with ADX, AES, AVX2, BMI and PCLMULQDQ: since about 2015) and aarch64 (with AES, PMULL and SHA-2). Elsewhere, or for
//!   algorithms that it lacks, the process installs another one as its default in `virtwire::rustls`, or
//!   `Builder::tls_config` brings it.
//! - `ssh`, on unless it is turned off: the transports ssh and ext.
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
pub mod blocking;
mod by_kind;
mod connection;
mod driver;
mod error;
mod events;
pub mod from_c;
mod objects;
mod stream;
mod trace;
mod transport;

#[cfg(feature = "sasl")]
pub use auth::{CredentialError, CredentialRequest, Credentials};
pub use connection::{
    AdminConnection, Builder, CallOptions, Connection, Gap, LinkEvent, LinkEvents, RawReply, Reconnect,
};
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
