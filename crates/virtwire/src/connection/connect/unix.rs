//! UNIX sockets of this host's daemons.

use super::super::builder::is_root;
use super::{Builder, session};
use crate::transport::{Socket, Transport};
use crate::{Error, Result};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use virtwire_proto::socket_path::{Environment, SocketFinder};
use virtwire_proto::uri::Uri;

/// How long to wait before a socket is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(10);

impl Builder {
    pub(super) async fn connect_unix(&self, uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
        let mut environment = Environment::new(is_root(), |name| std::env::var(name).ok());
        if let Some(mode) = self.client_config("libvirt.conf")?.remote_mode {
            environment.mode = mode;
        }
        let found = SocketFinder::for_uri(uri, &environment)
            .and_then(|finder| finder.read_only(self.read_only).find(|path| Path::new(path).exists()))
            .map_err(|error| self.invalid(&error))?;
        let path = found.path.as_bytes();
        let socket = match &found.command {
            Some(command) => session::connect(path, command).await,
            None => connect_path(path).await,
        };
        let socket = socket
            .map_err(|source| Error::Connect { to: found.path.to_string_lossy().into_owned(), source })?;
        Ok(Arc::new(Socket(socket)))
    }
}

/// Connects to the socket at `path`; an `@` in front stands for the byte 0 of an abstract one.
pub(in crate::connection) async fn connect_path(path: &[u8]) -> io::Result<UnixStream> {
    let mut path = path.to_vec();
    if path.first() == Some(&b'@') {
        path[0] = 0;
    }
    let path = OsStr::from_bytes(&path);
    loop {
        match UnixStream::connect(path).await {
            // More clients wait there than the daemon lets. A socket that may block would wait for its turn;
            // nothing tells one that may not when to come again.
            Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}
