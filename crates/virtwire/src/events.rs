//! Events: subscriptions as streams, and the typed events of domains.

use crate::driver::{Next, SubscriptionSlot};
use crate::error::ProtocolError;
use crate::{Connection, Domain, Error, Result};
use bytes::Bytes;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use virtwire_proto::connection;
use virtwire_proto::enums::{DomainEventId, DomainEventType};
use virtwire_proto::program::{Call, Event, Procedure, remote};
use virtwire_proto::xdr::from_bytes;

/// Events of one registration, as a [`Stream`]. Dropping it ends the registration, without waiting.
///
/// Each item is an event, or an error that says why one is missing: [`Error::Lagged`] where this was slower than
/// they came and the oldest were dropped (it goes on), [`Error::Protocol`] where one could not be understood (it
/// goes on), and last [`Error::Closed`] with the end of the connection. However slow its consumer is, nothing
/// else on the connection waits for it.
pub struct Subscription<E> {
    slot: SubscriptionSlot,
    // Behind the slot: the registration ends before the connection may.
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
                Next::Ended(reason) => Err(Error::Closed { procedure: None, reason }),
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

/// An event of a domain's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DomainEvent {
    /// It was defined, started, stopped, and so on ([`DomainEventId::LIFECYCLE`]).
    #[doc(alias = "virConnectDomainEventCallback")]
    Lifecycle {
        /// The domain.
        domain: Domain,
        /// What happened.
        event: DomainEventType,
        /// More about it: a number whose meaning the event decides (virDomainEventStartedDetailType and its like).
        detail: i32,
    },
    /// An event without a form of its own here: its message decodes as the struct that implements [`Event`].
    Other {
        /// Which event.
        procedure: &'static Procedure,
        /// Its message, encoded.
        payload: Bytes,
    },
}

impl DomainEvent {
    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        if procedure != remote::DomainEventCallbackLifecycleMsg::PROCEDURE {
            return Ok(Self::Other { procedure, payload });
        }
        let message: remote::DomainEventCallbackLifecycleMsg =
            from_bytes(payload).map_err(|source| Error::malformed(procedure, source))?;
        let remote::DomainEventLifecycleMsg { dom, event, detail } = message.msg;
        Ok(Self::Lifecycle { domain: connection.domain(dom), event: DomainEventType(event), detail })
    }
}

impl Connection {
    /// Subscribes to events of all domains.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::DomainEvent;
    /// use virtwire::proto::enums::DomainEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await?;
    /// while let Some(event) = events.next().await {
    ///     if let DomainEvent::Lifecycle { domain, event, .. } = event? {
    ///         println!("{}: {event}", domain.name());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectDomainEventRegisterAny")]
    #[doc(alias = "virConnectDomainEventRegister")]
    pub async fn domain_events(&self, id: DomainEventId) -> Result<Subscription<DomainEvent>> {
        let args = remote::ConnectDomainEventCallbackRegisterAnyArgs { event_id: id.0, dom: None };
        self.subscribe_with(&args, DomainEvent::decode).await
    }

    /// Subscribes to the events that `register` registers for, a call such as
    /// CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, as messages `M`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Panics
    /// If the procedure registers for no events.
    pub async fn subscribe<C: Call, M: Event>(&self, register: &C) -> Result<Subscription<M>> {
        self.subscribe_with(register, |_, procedure, payload| {
            if procedure != M::PROCEDURE {
                let source = ProtocolError::WrongEvent { got: procedure };
                return Err(Error::Protocol { procedure: M::PROCEDURE, source });
            }
            from_bytes(payload).map_err(|source| Error::malformed(procedure, source))
        })
        .await
    }

    async fn subscribe_with<C: Call, E>(&self, register: &C, decode: Decode<E>) -> Result<Subscription<E>> {
        if !self.opened().event_callback {
            return Err(Error::Unsupported { procedure: C::PROCEDURE, since: C::PROCEDURE.since });
        }
        let timeout = self.call_timeout();
        let started = self.shared().subscribe(self.max_queued_events(), |client, now| {
            let options =
                connection::CallOptions { deadline: timeout.map(|after| now + after), ..Default::default() };
            client.subscribe(register, options, now)
        });
        let registered = match started {
            Ok((slot, pending)) => pending.await.map(|_| slot),
            Err(error) => Err(error),
        };
        let slot = registered.map_err(|error| Error::from_call(C::PROCEDURE, error, timeout))?;
        Ok(Subscription { slot, connection: self.clone(), decode })
    }
}

impl Domain {
    /// Subscribes to events of this domain alone.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectDomainEventRegisterAny")]
    pub async fn events(&self, id: DomainEventId) -> Result<Subscription<DomainEvent>> {
        let args = remote::ConnectDomainEventCallbackRegisterAnyArgs {
            event_id: id.0,
            dom: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(&args, DomainEvent::decode).await
    }
}
