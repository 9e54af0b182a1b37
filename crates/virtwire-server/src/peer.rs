//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;

/// Who is at the other end of a connection, and by which way it came.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Peer {
    /// Its address, over TCP.
    pub address: Option<SocketAddr>,
    /// The process that connected, over a UNIX socket.
    pub credentials: Option<Credentials>,
    /// Whether it came through a listener that is for reading only.
    pub read_only: bool,
}

impl Peer {
    /// A peer of which nothing is known, with all rights.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same at this address.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// The same as this process.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// The same for reading only, or not.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }
}

/// "tcp:127.0.0.1:40000", or "process 17 of user 0".
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.credentials) {
            (Some(address), _) => write!(f, "tcp:{address}"),
            (None, Some(Credentials { pid: Some(pid), uid, .. })) => write!(f, "process {pid} of user {uid}"),
            (None, Some(Credentials { pid: None, uid, .. })) => write!(f, "a process of user {uid}"),
            (None, None) => f.write_str("an unnamed peer"),
        }
    }
}

/// The process at the other end of a UNIX socket, as the kernel tells it of the moment of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Its number, where the system tells it.
    pub pid: Option<i32>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}
