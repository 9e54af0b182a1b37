//! How a URI becomes a transport: a file for each kind.

#[cfg(all(unix, feature = "ssh"))]
mod ext;
#[cfg(unix)]
mod session;
#[cfg(all(unix, feature = "ssh"))]
mod ssh;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(super) use unix::connect_path;

use super::Builder;
use crate::transport::Transport;
use crate::{Error, Result};
use std::sync::Arc;
use virtwire_proto::uri::{self, Uri};

/// The transports of this build.
const AVAILABLE: &[&str] = &[
    #[cfg(unix)]
    "unix",
    "tcp",
    #[cfg(feature = "tls")]
    "tls",
    #[cfg(all(unix, feature = "ssh"))]
    "ssh",
    #[cfg(all(unix, feature = "ssh"))]
    "ext",
];

impl Builder {
    /// Connects what the URI says: without one, a daemon of this host. It may be called any number of times, and
    /// leaves nothing behind where it is dropped.
    pub(super) async fn connect(&self, uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
        if uri.is_some_and(is_in_process) {
            return self.connect_in_process();
        }
        match uri.map_or(uri::Transport::Unix, Uri::transport) {
            #[cfg(unix)]
            uri::Transport::Unix => self.connect_unix(uri).await,
            uri::Transport::Tcp => tcp::connect(uri).await,
            #[cfg(feature = "tls")]
            uri::Transport::Tls => self.connect_tls(uri).await,
            #[cfg(all(unix, feature = "ssh"))]
            uri::Transport::Ssh => self.connect_ssh(uri),
            #[cfg(all(unix, feature = "ssh"))]
            uri::Transport::Ext => self.connect_ext(uri),
            other => Err(Error::UnsupportedTransport {
                transport: other.to_string(),
                available: AVAILABLE.join(", "),
            }),
        }
    }

    /// Connects libvirt's test driver in this process: a server of it, over a socket pair.
    #[cfg(all(unix, feature = "embedded"))]
    fn connect_in_process(&self) -> Result<Arc<dyn Transport>> {
        let socket = virtwire_embedded::connect()
            .map_err(|source| Error::Connect { to: "the embedded hypervisor".into(), source })?;
        Ok(Arc::new(crate::transport::Socket(socket)))
    }

    #[cfg(not(all(unix, feature = "embedded")))]
    fn connect_in_process(&self) -> Result<Arc<dyn Transport>> {
        let reason = "the driver test without a transport runs in the client's process, which takes the feature \
            embedded; test+unix:// asks a daemon for it";
        Err(self.invalid(&reason))
    }
}

/// Whether libvirt's client has the driver in its own process, with no daemon.
fn is_in_process(uri: &Uri) -> bool {
    uri.driver() == "test" && !uri.names_transport() && uri.host().is_none()
}

/// A path as the URI gives it.
#[cfg(all(unix, any(feature = "tls", feature = "ssh")))]
fn path(text: &virtwire_proto::xdr::Text) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(text.as_bytes()).into()
}

#[cfg(all(not(unix), feature = "tls"))]
fn path(text: &virtwire_proto::xdr::Text) -> std::path::PathBuf {
    text.to_string_lossy().into_owned().into()
}
