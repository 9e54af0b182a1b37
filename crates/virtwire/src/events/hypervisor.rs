//! The event that a daemon's own connection to its hypervisor has ended.

use super::{Subscription, decode_message};
use crate::{Connection, Error, Result};
use bytes::Bytes;
use virtwire_proto::enums::CloseReason;
use virtwire_proto::program::{Call, Procedure, remote};

/// The daemon's own connection to its hypervisor has ended: objects of this connection are of no use any more, while
/// the connection to the daemon itself goes on.
#[doc(alias = "virConnectCloseFunc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HypervisorClosed {
    /// Why.
    pub reason: CloseReason,
}

impl HypervisorClosed {
    fn decode(_: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let message: remote::ConnectEventConnectionClosedMsg = decode_message(procedure, payload)?;
        Ok(Self { reason: CloseReason(message.reason) })
    }
}

impl Connection {
    /// Subscribes to the end of the daemon's own connection to its hypervisor. Where that has ended before, the
    /// event is there at once. The end of the connection to the daemon is [`Connection::closed`], and the last item
    /// of every subscription.
    ///
    /// Since libvirt 0.10.0. No call is made: opening a connection registers for it. Only drivers have anything to
    /// tell that keep a connection of their own to a hypervisor elsewhere.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the daemon or its driver does not tell.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.hypervisor_events()?;
    /// if let Some(Ok(closed)) = events.next().await {
    ///     println!("the hypervisor is gone: {}", closed.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectRegisterCloseCallback")]
    #[doc(alias = "virConnectUnregisterCloseCallback")]
    pub fn hypervisor_events(&self) -> Result<Subscription<HypervisorClosed>> {
        if !self.opened().close_callback {
            let procedure = remote::ConnectRegisterCloseCallbackArgs::PROCEDURE;
            return Err(Error::Unsupported { procedure, since: procedure.since });
        }
        let slot = self.shared().hypervisor_subscription(self.max_queued_events());
        Ok(Subscription { slot, connection: self.clone(), decode: HypervisorClosed::decode })
    }
}
