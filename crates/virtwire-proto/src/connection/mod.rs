//! The connection's state machines, for a client and for a server: bytes, descriptors and time go in; bytes,
//! descriptors, events and the next deadline come out. No sockets, no clock, no tasks.
//!
//! Both sides are driven alike, from any loop:
//!
//! 1. whatever was read goes into `receive`, with the time;
//! 2. `event` says what happened, until it has nothing more to say;
//! 3. `transmit` gives what is to be written, until there is nothing left;
//! 4. at `deadline`, `timeout` is called with the time; then 2 and 3 again.
//!
//! Any other method (a call, a reply, a stream's data) may add to events and to what is to be written, so 2 and
//! 3 follow it too.
//!
//! # Examples
//! A client and a server joined in memory:
//! ```
//! use std::collections::VecDeque;
//! use bytes::BytesMut;
//! use virtwire_proto::connection::{Client, ClientConfig, ClientEvent, Server, ServerConfig, ServerEvent, Time};
//! use virtwire_proto::connection::Transmit;
//! use virtwire_proto::program::remote::{self, ConnectGetLibVersionArgs, ConnectGetLibVersionRet};
//!
//! let now = Time::START;
//! let mut client = Client::new(ClientConfig::default(), now);
//! let mut server = Server::new(ServerConfig::new(&[&remote::PROGRAM]), now);
//!
//! let serial = client.call(&ConnectGetLibVersionArgs {}, now)?;
//! let mut wire = BytesMut::new();
//! while let Some(Transmit::Bytes(bytes)) = client.transmit() {
//!     wire.extend_from_slice(&bytes);
//! }
//! server.receive(&mut wire, &mut VecDeque::new(), now)?;
//! let Some(ServerEvent::Call(call)) = server.event() else { panic!("the call arrived") };
//! server.reply(call.id, &ConnectGetLibVersionRet { lib_ver: 12_008_000 })?;
//! while let Some(Transmit::Bytes(bytes)) = server.transmit() {
//!     wire.extend_from_slice(&bytes);
//! }
//! client.receive(&mut wire, &mut VecDeque::new(), now)?;
//! let Some(ClientEvent::Reply { serial: answered, result }) = client.event() else { panic!("it was answered") };
//! assert_eq!(answered, serial);
//! assert_eq!(result?.decode::<ConnectGetLibVersionArgs>()?.lib_ver, 12_008_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod keepalive;
mod link;
mod outbox;
mod security;
mod serial_map;
mod server;

pub use client::{
    CallError, CallOptions, Client, ClientConfig, ClientEvent, Reply, SendError, StreamEvent, StreamFailure,
};
pub use keepalive::Keepalive;
pub use outbox::Transmit;
pub use security::{SecurityError, SecurityLayer};
pub use serial_map::SerialMap;
pub use server::{
    Authentication, CallId, IncomingCall, ReplyError, SaslReply, Server, ServerConfig, ServerEvent,
    ServerStreamEvent,
};

use crate::packet::FramingError;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment, as the time that has passed since a beginning of the caller's choice.
///
/// It must not go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The beginning.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment at which this much has passed since the beginning.
    #[must_use]
    pub const fn since_start(passed: Duration) -> Self {
        Self(passed)
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, passed: Duration) -> Self {
        Self(self.0.saturating_add(passed))
    }
}

impl Sub for Time {
    type Output = Duration;
    /// Nothing where `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("the connection was closed on this side")]
    Local,
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Peer,
    /// Nothing came from the peer for as long as the keepalive settings allow.
    #[error("nothing came from the peer for {silence:?}, with {unanswered} keepalive requests unanswered")]
    Keepalive {
        /// How long nothing came.
        silence: Duration,
        /// How many PINGs were sent meanwhile.
        unanswered: u32,
    },
    /// What came cannot be cut into packets.
    #[error("the peer broke the protocol: {0}")]
    Framing(#[from] FramingError),
    /// What came cannot be unsealed by the security layer.
    #[error("the peer broke the security layer: {0}")]
    Security(#[from] SecurityError),
    /// The peer does not read what is sent to it, as the one who drives the connection tells it.
    #[error("the peer does not read: {waiting} bytes wait for it, at most {max} may")]
    Backlog {
        /// How many bytes wait to be read by the peer.
        waiting: usize,
        /// How many may.
        max: usize,
    },
    /// The transport failed, as the one who drives the connection tells it.
    #[error("the transport failed: {0}")]
    Transport(alloc::string::String),
}
