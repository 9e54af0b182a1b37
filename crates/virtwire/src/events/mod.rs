//! Events: subscriptions as streams, and what they carry, typed, class by class.

mod domain;
mod domain_detail;
mod hypervisor;
mod ids;
mod network;
mod node_device;
mod qemu_monitor;
mod secret;
mod storage_pool;

pub use domain::{DomainEvent, GraphicsAddress, GraphicsIdentity};
pub use domain_detail::DomainEventDetail;
pub use hypervisor::HypervisorClosed;
pub use ids::EventIds;
pub use network::NetworkEvent;
pub use node_device::NodeDeviceEvent;
pub use qemu_monitor::QemuMonitorEvent;
pub use secret::SecretEvent;
pub use storage_pool::StoragePoolEvent;

use crate::driver::{Ended, Next, SubscriptionSlot};
use crate::error::ProtocolError;
use crate::{Connection, Error, Result};
use bytes::Bytes;
use futures_core::Stream;
use std::borrow::Borrow;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use virtwire_proto::program::{Call, Event, EventClass, Procedure};
use virtwire_proto::xdr::from_bytes;

/// Events of one class, as a [`Stream`]: of one kind or of several, of one object or of all. Dropping it ends its
/// registrations, without waiting.
///
/// Each item is an event, or an error that says why one is missing: [`Error::Lagged`] where this was slower than
/// they came and the oldest were dropped (it goes on), [`Error::Protocol`] where one could not be understood (it
/// goes on), [`Error::Gap`] where the connection was lost and [opened again](crate::Builder::reconnect) (it goes
/// on: behind what came before the loss, ahead of what comes from then on), and last [`Error::Closed`] with the end of
/// the connection, or what the daemon answered where it would not register for the events again. However slow its consumer is, nothing
/// else on the connection waits for it. How many events wait for it at most is
/// [`Builder::max_queued_events`](crate::Builder::max_queued_events).
///
/// Once it is there, events of several kinds come in the order in which the daemon sent them. It keeps its connection
/// alive, and whoever handles an event may call anything on it. Equal subscriptions on one connection share what is
/// registered at the daemon, which takes it only once, and are all told.
#[doc(alias = "virConnectDomainEventDeregisterAny")]
#[doc(alias = "virConnectDomainEventDeregister")]
#[doc(alias = "virConnectNetworkEventDeregisterAny")]
#[doc(alias = "virConnectStoragePoolEventDeregisterAny")]
#[doc(alias = "virConnectNodeDeviceEventDeregisterAny")]
#[doc(alias = "virConnectSecretEventDeregisterAny")]
#[doc(alias = "virConnectDomainQemuMonitorEventDeregister")]
pub struct Subscription<E> {
    slot: SubscriptionSlot,
    // Behind the slot: the registrations end before the connection may.
    connection: Connection,
    /// What an event is made of, in the consumer's task.
    decode: Decode<E>,
}

type Decode<E> = fn(&Connection, &'static Procedure, Bytes) -> Result<E>;

impl<E> Subscription<E> {
    /// The next item; `None` behind the last. Dropping what this gives loses nothing.
    ///
    /// # Errors
    /// What is said at [`Subscription`].
    pub async fn next(&mut self) -> Option<Result<E>> {
        poll_fn(|cx| self.poll_next_event(cx)).await
    }

    fn poll_next_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<E>>> {
        self.slot.poll_next(cx).map(|next| {
            Some(match next? {
                Next::Event(procedure, payload) => (self.decode)(&self.connection, procedure, payload),
                Next::Lagged(count) => Err(Error::Lagged(count)),
                Next::Gap(gap) => Err(Error::Gap(gap)),
                Next::Ended(Ended::Closed(reason)) => Err(Error::Closed { procedure: None, reason }),
                Next::Ended(Ended::Refused(procedure, error)) => {
                    Err(Error::from_call(procedure, error, None))
                }
            })
        })
    }
}

impl<E> Stream for Subscription<E> {
    type Item = Result<E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<E>>> {
        self.poll_next_event(cx)
    }
}

impl<E> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Connection {
    /// Subscribes to the events that `register` registers for, a call such as
    /// CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, as messages `M` of the wire's own types.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Panics
    /// If the procedure registers for no events.
    pub async fn subscribe<C: Call, M: Event>(&self, register: &C) -> Result<Subscription<M>> {
        self.subscribe_with::<C, M>([register], |_, procedure, payload| {
            if procedure != M::PROCEDURE {
                let source = ProtocolError::WrongEvent { got: procedure };
                return Err(Error::Protocol { procedure: M::PROCEDURE, source });
            }
            decode_message(procedure, payload)
        })
        .await
    }

    /// Registers by all of these calls at once, for one subscription. It is all or nothing: where one is refused,
    /// the others are undone.
    async fn subscribe_with<C: Call, E>(
        &self,
        registrations: impl IntoIterator<Item = impl Borrow<C>>,
        decode: Decode<E>,
    ) -> Result<Subscription<E>> {
        // Domains alone had events before callbacks were numbered.
        if C::PROCEDURE.event_class == Some(EventClass::Domain) && !self.opened().event_callback {
            return Err(Error::Unsupported { procedure: C::PROCEDURE, since: C::PROCEDURE.since });
        }
        let timeout = self.call_timeout();
        let mut slot = self.shared().subscription(self.max_queued_events());
        let started: Vec<_> = registrations
            .into_iter()
            .map(|args| slot.register(self.shared(), args.borrow(), |now| timeout.map(|after| now + after)))
            .collect();
        for pending in started {
            let registered = match pending {
                Ok(pending) => pending.await.map(drop),
                Err(error) => Err(error),
            };
            registered.map_err(|error| Error::from_call(C::PROCEDURE, error, timeout))?;
        }
        Ok(Subscription { slot, connection: self.clone(), decode })
    }
}

fn decode_message<M: Event>(procedure: &'static Procedure, payload: Bytes) -> Result<M> {
    from_bytes(payload).map_err(|source| Error::malformed(procedure, source))
}

/// Makes an event of the message that it came as: an arm for each message, and `Other` for what none is for.
macro_rules! decode {
    (
        $procedure:ident, $payload:ident;
        $($message:path { $($fields:tt)* } => $event:expr,)+
    ) => {{
        $(
            if $procedure == <$message as virtwire_proto::program::Event>::PROCEDURE {
                let $message { $($fields)* } = $crate::events::decode_message($procedure, $payload)?;
                return Ok($event);
            }
        )+
        Ok(Self::Other { procedure: $procedure, payload: $payload })
    }};
}

use decode;
