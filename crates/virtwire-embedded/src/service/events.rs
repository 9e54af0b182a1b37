//! Events: what a client has registered for, and how it is told.
//!
//! There are two generations of registering. In the newer, every registration has an identifier, which its events
//! carry; the older has at most one registration an event, whose events carry nothing but what happened. Both are
//! registrations with the server, so that nothing overtakes the answer to the registering call; the older ones
//! are under a number of their own for each event, below zero.

use crate::events::{DomainEvent, Subscription};
use crate::node::Node;
use std::sync::{Mutex, OnceLock, PoisonError};
use virtwire_proto::enums::{DomainEventId, ErrorDomain, ErrorNumber};
use virtwire_proto::program::EventClass;
use virtwire_proto::program::remote::{
    DomainEventCallbackLifecycleMsg, DomainEventCallbackMetadataChangeMsg, DomainEventLifecycleMsg,
    NonnullDomain,
};
use virtwire_server::{Client, Error, Object, Result};

/// The last event that the older generation knows.
const LAST_OLD: DomainEventId = DomainEventId::DEVICE_REMOVED;

/// What one client has registered for, beside what the server keeps of it.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// There from the first registration on.
    subscription: OnceLock<Subscription>,
    /// The registrations of the older generation, as (event, identifier).
    old: Mutex<Vec<(i32, i32)>>,
}

impl Events {
    /// Registers for an event of one domain or of all; the registration's identifier.
    ///
    /// # Errors
    /// libvirt knows no such event.
    pub(super) fn register(
        &self,
        client: &Client,
        node: &Node,
        event: i32,
        domain: Option<NonnullDomain>,
    ) -> Result<i32> {
        if !DomainEventId::known().any(|known| known.0 == event) {
            return Err(unsupported(event));
        }
        self.subscribe(client, node);
        Ok(client.register(EventClass::Domain, event, domain.map(|domain| Object::Uuid(domain.uuid))))
    }

    /// Ends a registration.
    ///
    /// # Errors
    /// There is none with this identifier.
    pub(super) fn deregister(&self, client: &Client, callback: i32) -> Result<()> {
        match client.deregister(EventClass::Domain, callback) {
            Some(_) => {
                self.lock().retain(|(_, id)| *id != callback);
                Ok(())
            }
            None => Err(Error::internal(format_args!("domain event callback {callback} not registered"))),
        }
    }

    /// Registers for an event of all domains in the older way.
    ///
    /// # Errors
    /// There was no such event when that way was in use, or the client has registered for it.
    pub(super) fn register_old(&self, client: &Client, node: &Node, event: i32) -> Result<()> {
        if !(0..=LAST_OLD.0).contains(&event) {
            return Err(unsupported(event));
        }
        self.subscribe(client, node);
        let mut old = self.lock();
        if old.iter().any(|(known, _)| *known == event) {
            let detail = "event callback already tracked";
            return Err(Error::raised(
                ErrorNumber::INVALID_ARG,
                ErrorDomain::NONE,
                "invalid argument: %s",
                detail,
            ));
        }
        old.push((event, client.register(EventClass::Domain, below_zero(event), None)));
        Ok(())
    }

    /// Ends a registration of the older way.
    ///
    /// # Errors
    /// There was no such event when that way was in use, or the client has not registered for it.
    pub(super) fn deregister_old(&self, client: &Client, event: i32) -> Result<()> {
        if !(0..=LAST_OLD.0).contains(&event) {
            return Err(unsupported(event));
        }
        let mut old = self.lock();
        let Some(index) = old.iter().position(|(known, _)| *known == event) else {
            return Err(Error::internal(format_args!("domain event {event} not registered")));
        };
        let (_, callback) = old.remove(index);
        client.deregister(EventClass::Domain, callback);
        Ok(())
    }

    fn subscribe(&self, client: &Client, node: &Node) {
        self.subscription.get_or_init(|| {
            let client = client.clone();
            node.subscribe(move |event| tell(&client, event))
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(i32, i32)>> {
        // No change to the list can be half made.
        self.old.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number under which a registration of the older generation is kept.
fn below_zero(event: i32) -> i32 {
    !event
}

fn unsupported(event: i32) -> Error {
    Error::internal(format_args!("unsupported event ID {event}"))
}

/// Sends an event to the registrations that it is for.
fn tell(client: &Client, event: &DomainEvent) {
    // What fails here passes a maximum of the protocol: there is no way to tell it to anybody.
    match event {
        DomainEvent::Lifecycle { domain, event } => {
            let id = DomainEventId::LIFECYCLE.0;
            let object = Object::Uuid(domain.uuid);
            let dom = NonnullDomain::from(domain.clone());
            let msg = DomainEventLifecycleMsg { dom, event: event.event().0, detail: event.detail() };
            let _ = client.notify(EventClass::Domain, id, Some(&object), |callback_id| {
                DomainEventCallbackLifecycleMsg { callback_id, msg: msg.clone() }
            });
            let _ = client.notify(EventClass::Domain, below_zero(id), None, |_| msg.clone());
        }
        DomainEvent::MetadataChange { domain, kind, uri } => {
            let id = DomainEventId::METADATA_CHANGE.0;
            let object = Object::Uuid(domain.uuid);
            let _ = client.notify(EventClass::Domain, id, Some(&object), |callback_id| {
                DomainEventCallbackMetadataChangeMsg {
                    callback_id,
                    dom: NonnullDomain::from(domain.clone()),
                    type_: kind.0,
                    nsuri: uri.as_deref().map(Into::into),
                }
            });
        }
    }
}
