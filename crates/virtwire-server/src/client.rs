//! A client, as services see it.

use crate::Peer;
use crate::callbacks::Object;
use crate::connection::Shared;
use bytes::Bytes;
use std::sync::Arc;
use virtwire_proto::connection::{CallId, CloseReason};
use virtwire_proto::packet::PacketError;
use virtwire_proto::program::remote::ConnectEventConnectionClosedMsg;
use virtwire_proto::program::{Event, EventClass, Procedure};
use virtwire_proto::xdr::to_bytes;

/// A client: the caller of a call, and where events go. Cheap to clone, and usable from anywhere; once the
/// client has gone, what is sent to it goes nowhere.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    /// The call that this handle came with.
    pub(crate) call: Option<CallId>,
}

impl Client {
    /// A number that no other client of the same server has or had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Who it is.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// Whether it may only read: its listener is for reading only, or it has opened its connection so.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.shared.lock().read_only
    }

    /// Sends an event to it.
    ///
    /// Never waits. Where the client does not read and more than
    /// [`max_waiting_events`](crate::Config::max_waiting_events) bytes of events wait for it, it is
    /// disconnected.
    ///
    /// # Errors
    /// The message passes a maximum of libvirt's definitions: nothing was sent.
    pub fn emit<E: Event>(&self, message: &E) -> Result<(), PacketError> {
        let payload = encode(message)?;
        self.shared.emit(E::PROCEDURE, payload);
        Ok(())
    }

    /// Sends an event whose message is encoded already.
    pub fn emit_raw(&self, event: &'static Procedure, payload: Bytes) {
        self.shared.emit(event, payload);
    }

    /// Registers for an event of a class, of one object or of all; gives the registration's identifier, which
    /// is unique in the class for this client.
    ///
    /// With the handle that a call came with, the registration is that call's: what happens before its answer
    /// is on its way is sent behind the answer, and where the answer is an error the registration is void.
    #[must_use = "the identifier is what ends the registration"]
    pub fn register(&self, class: EventClass, event: i32, object: Option<Object>) -> i32 {
        self.shared.lock().callbacks.register(class, event, object, self.call)
    }

    /// Ends a registration: gives its event's number, or nothing where there is no such registration. No event
    /// goes to it afterwards.
    pub fn deregister(&self, class: EventClass, callback: i32) -> Option<i32> {
        self.shared.lock().callbacks.deregister(class, callback)
    }

    /// Sends an event to every registration that it is for: of its class, its number, and either of all
    /// objects or of this one. `message` makes the message for a registration's identifier. Gives how many
    /// there were.
    ///
    /// # Errors
    /// A message passes a maximum of libvirt's definitions: it was not sent, nor was anything behind it.
    pub fn notify<E: Event>(
        &self,
        class: EventClass,
        event: i32,
        object: Option<&Object>,
        mut message: impl FnMut(i32) -> E,
    ) -> Result<usize, PacketError> {
        let matching = self.shared.lock().callbacks.matching(class, event, object);
        let mut sent = 0;
        for callback in matching {
            let payload = encode(&message(callback))?;
            sent += usize::from(self.shared.emit_to(class, callback, E::PROCEDURE, payload));
        }
        Ok(sent)
    }

    /// Tells the client that the service's own connection to what it manages is lost, if the client has
    /// registered for that; `reason` is a `virConnectCloseReason`.
    pub fn connection_closed(&self, reason: i32) {
        if self.shared.lock().close_callback {
            // Numbers pass no maximum.
            let _ = self.emit(&ConnectEventConnectionClosedMsg { reason });
        }
    }

    /// Starts sending PINGs into its silence, as [`Config::keepalive`](crate::Config::keepalive) says. To be
    /// called once it has shown that it answers them; [`Programs`](crate::Programs) does so by itself.
    pub fn start_keepalive(&self) {
        let now = self.shared.now();
        let keepalive = self.shared.config.keepalive;
        self.shared.change(|state| state.machine.start_keepalive(keepalive, now));
    }

    /// Takes no further calls from it, and disconnects it once those that are worked on are answered and their
    /// answers written.
    pub fn finish(&self) {
        self.shared.change(|state| state.closing = true);
    }

    /// Disconnects it at once.
    pub fn disconnect(&self) {
        self.shared.close(CloseReason::Local);
    }

    /// Waits until it has gone; gives why.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.shared.closed.subscribe();
        // The sender lives in what this handle holds.
        closed
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or(CloseReason::Local)
    }

    /// Whether it has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.borrow().is_some()
    }
}

fn encode<E: Event>(message: &E) -> Result<Bytes, PacketError> {
    to_bytes(message).map_err(|source| PacketError::Value { procedure: E::PROCEDURE, source })
}
