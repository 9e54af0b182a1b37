//! TCP, in the clear.

use crate::transport::Transport;
use crate::{Error, Result};
use std::sync::Arc;
use tokio::net::TcpStream;
use virtwire_proto::uri::{TCP_PORT, Uri};

pub(super) async fn connect(uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
    let socket = Target::of(uri, TCP_PORT).connect().await?;
    #[cfg(unix)]
    return Ok(Arc::new(crate::transport::Socket(socket)));
    #[cfg(not(unix))]
    return Ok(Arc::new(crate::transport::AnyIo::new(socket, crate::transport::Privacy::Public)));
}

/// A port of a host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    port: u16,
}

impl<'a> Target<'a> {
    /// What the URI says.
    pub(super) fn of(uri: Option<&'a Uri>, default_port: u16) -> Self {
        Self {
            host: uri.and_then(Uri::host).unwrap_or("localhost"),
            port: uri.and_then(Uri::port).unwrap_or(default_port),
        }
    }

    pub(super) async fn connect(self) -> Result<TcpStream> {
        let connect = async {
            let socket = TcpStream::connect((self.host, self.port)).await?;
            // A call is one small write that waits for its answer.
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        connect.await.map_err(|source| Error::Connect { to: self.to_string(), source })
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}
