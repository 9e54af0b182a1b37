//! An asynchronous server of libvirt's RPC protocol, on tokio.
//!
//! A [`Server`] offers a [`Service`] to whoever comes to its [`Listener`]s, or to streams that are handed to
//! it. [`Programs`] makes a service of typed ones: implement [`RemoteService`] and the methods that your
//! hypervisor has; all others answer as libvirt does where a driver lacks a function.
//!
//! # Who does what
//! | | |
//! | --- | --- |
//! | the state machine ([`virtwire_proto::connection::Server`]) | packets, unknown programs and procedures, AUTH_LIST, PING and PONG, at most [`max_client_requests`](Config::max_client_requests) calls at once |
//! | the server | sockets, tasks, backpressure, shutdown, a panic's or an overlong answer's error |
//! | [`Programs`] | decoding and encoding; that a connection is opened first and once; read-only connections; the features of the protocol itself in CONNECT_SUPPORTS_FEATURE; CONNECT_CLOSE; registering for [`Client::connection_closed`] |
//! | your service | everything else |
//!
//! # Examples
//! ```no_run
//! use std::sync::Arc;
//! use virtwire_proto::program::remote::{ConnectGetHostnameArgs, ConnectGetHostnameRet, ConnectOpenArgs};
//! use virtwire_server::{Client, Listener, Programs, RemoteService, Result, Server};
//!
//! struct Hypervisor;
//!
//! impl RemoteService for Hypervisor {
//!     async fn connect_open(&self, _: &Client, _: ConnectOpenArgs) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     async fn connect_get_hostname(&self, _: &Client, _: ConnectGetHostnameArgs) -> Result<ConnectGetHostnameRet> {
//!         Ok(ConnectGetHostnameRet { hostname: "example".into() })
//!     }
//! }
//!
//! # async fn example() -> std::io::Result<()> {
//! let server = Server::new(Arc::new(Programs::new().remote(Arc::new(Hypervisor))));
//! server.listen(Listener::unix("/tmp/libvirt-sock", 0o700)?);
//! server.listen(Listener::tcp("127.0.0.1:0").await?);
//! # Ok(())
//! # }
//! ```

mod callbacks;
mod client;
mod config;
mod connection;
mod error;
mod listener;
mod peer;
mod server;
pub mod service;
mod stream;
mod transport;

pub use callbacks::Object;
pub use client::Client;
pub use config::Config;
pub use error::{Error, Result};
pub use listener::{ListenAddress, Listener};
pub use peer::{Credentials, Peer};
pub use server::Server;
pub use service::remote::RemoteService;
pub use service::{Programs, Reply, Request, Service};
pub use stream::{Stream, StreamError, StreamItem, StreamReceiver, StreamSender};
pub use virtwire_proto::connection::CloseReason;
