//! The servers of a daemon, and their clients, as its administration knows them.

use super::object;
use crate::{AdminConnection, Error, Result};
use std::time::SystemTime;
use virtwire_proto::connection::CloseReason;
use virtwire_proto::enums::ClientTransport;
use virtwire_proto::flags::DaemonShutdownFlags;
use virtwire_proto::program::admin::{self, NonnullClient, NonnullServer};
use virtwire_proto::xdr::Text;

impl AdminConnection {
    /// Lets the daemon end, in order. `flags` may ask for what is active to be kept for its next start. The connection
    /// ends with it, be it before the answer: that is none of the errors.
    ///
    /// Since libvirt 11.2.0.
    ///
    /// # Errors
    /// As [`AdminConnection::call`].
    #[doc(alias = "virAdmConnectDaemonShutdown")]
    pub async fn daemon_shutdown(&self, flags: DaemonShutdownFlags) -> Result<()> {
        match self.call(&admin::ConnectDaemonShutdownArgs { flags: flags.bits() }).await {
            Err(Error::Closed { reason: CloseReason::Peer, .. }) => Ok(()),
            answered => answered,
        }
    }
}

object! {
    /// A server of a daemon's: it has clients and workers of its own.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::typed_params::TypedParams;
    /// # async fn example(connection: virtwire::AdminConnection) -> virtwire::Result<()> {
    /// let server = connection.lookup_server("libvirtd").await?;
    /// println!("{:?}", server.client_limits().await?);
    /// server.set_client_limits(TypedParams::new().with("nclients_max", 10_000_u32)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virAdmServer")]
    #[doc(alias = "virAdmServerPtr")]
    pub struct AdminServer(NonnullServer) of AdminConnection, made by server;
    same: name;
    shown: name;
}

impl AdminServer {
    /// Its name, such as "libvirtd" or "virtqemud".
    #[doc(alias = "virAdmServerGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }
}

object! {
    /// A client of a server's of a daemon's.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(server: virtwire::AdminServer) -> virtwire::Result<()> {
    /// for client in server.list_clients().await? {
    ///     println!("{} by {}: {:?}", client.id(), client.transport(), client.info().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virAdmClient")]
    #[doc(alias = "virAdmClientPtr")]
    pub struct AdminClient(NonnullClient) of AdminConnection, made by client;
    same: id, server;
    shown: id, server, transport;
}

impl AdminClient {
    /// Its number, which no other client of its server has had.
    #[doc(alias = "virAdmClientGetID")]
    #[must_use]
    pub fn id(&self) -> u64 {
        self.handle.id
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> AdminServer {
        self.connection.server(self.handle.srv.clone())
    }

    /// When it connected; `None` where that is a time that this system cannot hold.
    #[doc(alias = "virAdmClientGetTimestamp")]
    #[must_use]
    pub fn timestamp(&self) -> Option<SystemTime> {
        super::time_at(self.handle.timestamp, 0)
    }

    /// How it connected.
    #[doc(alias = "virAdmClientGetTransport")]
    #[must_use]
    pub fn transport(&self) -> ClientTransport {
        ClientTransport(self.handle.transport.cast_signed())
    }
}
