//! A connection to the administration of a daemon: its servers, their clients, and its logging.

use super::builder::{Builder, is_root};
use super::source::{Role, Source, Way};
use super::{CallOptions, Connection};
use crate::transport::Transport;
use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;
use virtwire_proto::connection::CloseReason;
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::{Call, admin};
use virtwire_proto::uri::Uri;
use virtwire_proto::xdr::Text;

/// A connection to the administration of a daemon.
///
/// Clones share one connection, and so does everything that comes from it. It lives in the tokio runtime that it was
/// opened in.
///
/// # Examples
/// ```no_run
/// # async fn example() -> virtwire::Result<()> {
/// let connection = virtwire::AdminConnection::open("libvirtd:///system").await?;
/// for server in connection.list_servers().await? {
///     println!("{}: {} clients", server.name(), server.list_clients().await?.len());
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virAdmConnect")]
#[doc(alias = "virAdmConnectPtr")]
#[derive(Clone)]
pub struct AdminConnection {
    connection: Connection,
}

impl AdminConnection {
    /// Opens a connection to a daemon's administration, on a UNIX socket of this host.
    ///
    /// The URI is `daemon:///system` or `daemon:///session`, with `?socket=` where it listens elsewhere: `libvirtd`,
    /// `virtqemud`, `virtlogd` and so on; or an alias of libvirt-admin.conf. An empty one means the default: what
    /// LIBVIRT_ADMIN_DEFAULT_URI says, else `uri_default` of libvirt-admin.conf, else this user's libvirtd.
    ///
    /// # Errors
    /// [`Error::InvalidUri`], [`Error::Connect`], [`Error::Timeout`], [`Error::Closed`], or what libvirt answers: only
    /// root, or the daemon's own user, may connect.
    #[doc(alias = "virAdmConnectOpen")]
    #[doc(alias = "virAdmGetDefaultURI")]
    pub async fn open(uri: &str) -> Result<Self> {
        Connection::builder(uri).open_admin().await
    }

    /// Calls a procedure of the program "admin": its arguments' type says which.
    ///
    /// Dropping what this gives cancels the call: its answer is dropped when it comes.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call<C: Call>(&self, args: &C) -> Result<C::Ret> {
        self.connection.call(args).await
    }

    /// Calls a procedure with options. Gives what it returned and the descriptors that came with it.
    ///
    /// # Errors
    /// As [`AdminConnection::call`].
    pub async fn call_with<C: Call>(
        &self,
        args: &C,
        options: CallOptions,
    ) -> Result<(C::Ret, Vec<Descriptor>)> {
        self.connection.call_with(args, options).await
    }

    /// The connection's URI.
    #[doc(alias = "virAdmConnectGetURI")]
    #[must_use]
    pub fn uri(&self) -> &Text {
        self.connection.uri()
    }

    /// Closes the connection: tells the daemon, then closes the socket. What is still open on it, on any clone,
    /// fails with [`Error::Closed`].
    ///
    /// # Errors
    /// As [`AdminConnection::call`]; the connection is closed nevertheless.
    #[doc(alias = "virAdmConnectClose")]
    pub async fn close(self) -> Result<()> {
        if !self.connection.shared().last_link() {
            return Ok(());
        }
        let left = self.call(&admin::ConnectCloseArgs).await;
        self.connection.shared().close(CloseReason::Local);
        left
    }

    /// Waits until the connection has ended, and says why.
    #[doc(alias = "virAdmConnectRegisterCloseCallback")]
    pub async fn closed(&self) -> CloseReason {
        self.connection.closed().await
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.connection.close_reason()
    }

    /// Whether the connection has not ended, as far as this side can tell.
    #[doc(alias = "virAdmConnectIsAlive")]
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.connection.is_alive()
    }
}

impl fmt::Debug for AdminConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminConnection")
            .field("uri", self.uri())
            .field("close_reason", &self.close_reason())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Opens a connection to the administration of a daemon: as [`AdminConnection::open`], with these settings.
    /// There is no keepalive: what its daemon answers for is on the same host.
    ///
    /// # Errors
    /// As [`AdminConnection::open`].
    pub async fn open_admin(self) -> Result<AdminConnection> {
        let uri = Some(self.resolve_admin()?);
        let source = Source { builder: self, uri, way: Way::Uri, role: Role::Admin };
        Ok(AdminConnection { connection: source.open().await? })
    }

    fn resolve_admin(&self) -> Result<Uri> {
        let own = if is_root() { "libvirtd:///system" } else { "libvirtd:///session" };
        let default = std::env::var("LIBVIRT_ADMIN_DEFAULT_URI").ok();
        let config = self.client_config("libvirt-admin.conf")?;
        let resolved = config.resolve(Some(&self.uri), default.as_deref());
        match resolved.map_err(|error| self.invalid(&error))? {
            Some(uri) => Ok(uri),
            None => own.parse().map_err(|error| self.invalid(&error)),
        }
    }
}

#[cfg(unix)]
mod sockets {
    use super::*;
    use crate::connection::connect::connect_path;
    use crate::transport::Socket;
    use tokio::net::UnixStream;
    use virtwire_proto::socket_path::{Environment, admin_socket};

    impl Builder {
        /// Opens a connection to a daemon's administration on a UNIX socket that the caller has connected. The URI is
        /// only what [`AdminConnection::uri`] says.
        ///
        /// # Errors
        /// As [`AdminConnection::open`].
        pub async fn open_admin_on(self, socket: UnixStream) -> Result<AdminConnection> {
            let source = Source { builder: self, uri: None, way: Way::Once, role: Role::Admin };
            Ok(AdminConnection { connection: source.open_on(Arc::new(Socket(socket))).await? })
        }

        pub(in crate::connection) async fn connect_admin(&self, uri: &Uri) -> Result<Arc<dyn Transport>> {
            let environment = Environment::new(is_root(), |name| std::env::var(name).ok());
            let path = admin_socket(uri, &environment).map_err(|error| self.invalid(&error))?;
            let socket = connect_path(path.as_bytes())
                .await
                .map_err(|source| Error::Connect { to: path.to_string(), source })?;
            Ok(Arc::new(Socket(socket)))
        }
    }
}

#[cfg(not(unix))]
impl Builder {
    pub(super) async fn connect_admin(&self, uri: &Uri) -> Result<Arc<dyn Transport>> {
        Err(Error::UnsupportedTransport { transport: uri.transport().to_string(), available: "none".into() })
    }
}
