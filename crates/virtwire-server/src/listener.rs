//! Where clients come in: UNIX sockets and TCP ports.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::{UnixSocket, unix_peer};

use std::fmt;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, ToSocketAddrs};

/// Where clients come in. It listens from its creation on; [`Server::listen`](crate::Server::listen) serves
/// who comes.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    pub(crate) read_only: bool,
    address: ListenAddress,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// Where a listener is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A TCP port: the one that it has got, where the system was to pick one.
    Tcp(SocketAddr),
    /// A UNIX socket.
    #[cfg(unix)]
    Unix(PathBuf),
}

/// "tcp:127.0.0.1:16509" or "unix:/run/libvirt/libvirt-sock".
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listener {
    /// A TCP port of this machine. With port 0 the system picks one: [`address`](Self::address) tells.
    ///
    /// # Errors
    /// The address is in use, is none of this machine's, or may not be used.
    pub async fn tcp(address: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = ListenAddress::Tcp(socket.local_addr()?);
        Ok(Self { socket: Socket::Tcp(socket), read_only: false, address })
    }

    /// A UNIX socket with these permissions (0o777 lets everybody connect, 0o700 its owner). A file that a
    /// server left behind there is replaced; one that is in use, or is no socket, is not.
    ///
    /// The file is removed with the listener.
    ///
    /// # Errors
    /// The path is in use or too long for a socket's address, or its folder is not there or may not be
    /// written.
    #[cfg(unix)]
    pub fn unix(path: impl AsRef<Path>, mode: u32) -> io::Result<Self> {
        let path = path.as_ref().to_path_buf();
        let socket = Socket::Unix(UnixSocket::bind(&path, mode)?);
        Ok(Self { socket, read_only: false, address: ListenAddress::Unix(path) })
    }

    /// The same for reading only, or not: libvirtd's libvirt-sock-ro.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Where it is to be found.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }
}
