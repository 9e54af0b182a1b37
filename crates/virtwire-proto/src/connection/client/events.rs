//! Subscriptions: which registration an event belongs to, also where it overtook the registration's reply.

use super::calls::Calls;
use super::shared::Registrations;
use super::{Client, ClientEvent};
use crate::packet::{Packet, Serial, Status};
use crate::program::{self, Call, EventClass, Procedure, qemu, remote};
use crate::xdr::{from_bytes, to_bytes};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// What an event is known by: each of a daemon's drivers numbers its callbacks from its own start.
pub(super) type Key = (EventClass, i32);

/// An event that arrived before the reply to the registration that it may belong to.
#[derive(Debug)]
struct Parked {
    key: Key,
    procedure: &'static Procedure,
    payload: Bytes,
}

#[derive(Debug)]
pub(super) struct Subscriptions {
    /// The subscriptions that share a callback; mostly one.
    by_key: BTreeMap<Key, Vec<Serial>>,
    by_serial: BTreeMap<Serial, Key>,
    max_parked: usize,
    max_parked_bytes: usize,
    parked: VecDeque<Parked>,
    parked_bytes: usize,
    /// How many parked events were lost for each class since nobody registered for it.
    lost: BTreeMap<EventClass, u64>,
    pub(super) registrations: Registrations,
}

impl Subscriptions {
    pub(super) fn new(max_parked: usize, max_parked_bytes: usize) -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_serial: BTreeMap::new(),
            max_parked,
            max_parked_bytes,
            parked: VecDeque::new(),
            parked_bytes: 0,
            lost: BTreeMap::new(),
            registrations: Registrations::default(),
        }
    }

    pub(super) fn contains(&self, serial: Serial) -> bool {
        self.by_serial.contains_key(&serial)
    }

    pub(super) fn insert(&mut self, serial: Serial, class: EventClass, callback: i32) {
        let key = (class, callback);
        for before in self.by_key.insert(key, Vec::from([serial])).into_iter().flatten() {
            self.by_serial.remove(&before);
        }
        self.by_serial.insert(serial, key);
    }

    /// Adds a subscription to those that share a callback.
    pub(super) fn share(&mut self, serial: Serial, key: Key) {
        self.by_key.entry(key).or_default().push(serial);
        self.by_serial.insert(serial, key);
    }

    /// Removes a subscription; gives its callback where it was the last that had it.
    fn remove(&mut self, serial: Serial) -> Option<Key> {
        let key = self.by_serial.remove(&serial)?;
        let sharing = self.by_key.get_mut(&key)?;
        sharing.retain(|of| *of != serial);
        if !sharing.is_empty() {
            return None;
        }
        self.by_key.remove(&key);
        Some(key)
    }

    fn park(&mut self, event: Parked) {
        self.parked_bytes += event.payload.len();
        self.parked.push_back(event);
        while self.parked.len() > self.max_parked || self.parked_bytes > self.max_parked_bytes {
            let Some(oldest) = self.parked.pop_front() else { return };
            self.parked_bytes -= oldest.payload.len();
            *self.lost.entry(oldest.key.0).or_default() += 1;
        }
    }

    /// Drops parked events for which `keep` says no.
    fn retain(&mut self, mut keep: impl FnMut(&Parked) -> bool) {
        let bytes = &mut self.parked_bytes;
        self.parked.retain(|event| {
            let kept = keep(event);
            if !kept {
                *bytes -= event.payload.len();
            }
            kept
        });
    }

    /// Gives a new subscription the events that overtook its registration's reply.
    pub(super) fn replay(&mut self, serial: Serial, events: &mut VecDeque<ClientEvent>) {
        let Some(&key) = self.by_serial.get(&serial) else { return };
        if let Some(&count) = self.lost.get(&key.0) {
            events.push_back(ClientEvent::EventsLost { subscription: serial, count });
        }
        self.retain(|event| {
            if event.key == key {
                events.push_back(ClientEvent::Message {
                    subscription: Some(serial),
                    procedure: event.procedure,
                    payload: event.payload.clone(),
                });
            }
            event.key != key
        });
    }

    /// Drops parked events that no registration can claim any more.
    pub(super) fn unpark(&mut self, calls: &Calls) {
        if !self.parked.is_empty() {
            self.retain(|event| calls.registering(event.key.0));
        }
        self.lost.retain(|class, _| calls.registering(*class));
    }

    pub(super) fn end(&mut self) {
        // What waits for the next link, waits.
        let registrations = core::mem::take(&mut self.registrations);
        *self = Self { registrations, ..Self::new(self.max_parked, self.max_parked_bytes) };
    }
}

impl Client {
    /// Ends a subscription at once, and tells the server. Where its registration has not been answered, it is
    /// cancelled, which comes to the same.
    pub fn unsubscribe(&mut self, subscription: Serial) {
        if !self.subscriptions.contains(subscription) {
            self.cancel(subscription);
        } else if let Some((class, callback)) = self.subscriptions.remove(subscription) {
            self.deregister(class, callback);
        }
    }

    pub(super) fn deregister(&mut self, class: EventClass, callback: i32) {
        let payload = to_bytes(&callback).expect("an integer passes no maximum");
        let serial = self.call_unwatched(deregistration(class), &payload);
        self.subscriptions.registrations.leaves((class, callback), serial);
    }

    pub(super) fn take_message(&mut self, packet: Packet) {
        let Packet { header, payload, .. } = packet;
        let Some(procedure) = program::find(header.program, header.version)
            .and_then(|program| program.procedure(header.procedure))
            .filter(|procedure| procedure.kind == program::Kind::Event && header.status == Status::OK)
        else {
            self.events.push_back(ClientEvent::Unexpected { header });
            return;
        };
        let key = procedure.event_class.and_then(|class| {
            // In every event of the callback generation the identifier stands first.
            Some((class, from_bytes::<i32>(payload.clone()).ok()?))
        });
        let subscribed = key.and_then(|key| self.subscriptions.by_key.get(&key));
        match (key, subscribed) {
            (_, Some(subscribed)) => {
                for serial in subscribed {
                    let (subscription, payload) = (Some(*serial), payload.clone());
                    self.events.push_back(ClientEvent::Message { subscription, procedure, payload });
                }
            }
            (Some(key), None) if self.calls.registering(key.0) => {
                // A copy: what is parked shall not keep the whole of what was read with it.
                let payload = Bytes::copy_from_slice(&payload);
                self.subscriptions.park(Parked { key, procedure, payload });
            }
            _ => self.events.push_back(ClientEvent::Message { subscription: None, procedure, payload }),
        }
    }
}

/// The procedure that ends a registration of this class. All of them take the callback identifier and nothing
/// else.
fn deregistration(class: EventClass) -> &'static Procedure {
    match class {
        EventClass::Domain => remote::ConnectDomainEventCallbackDeregisterAnyArgs::PROCEDURE,
        EventClass::Network => remote::ConnectNetworkEventDeregisterAnyArgs::PROCEDURE,
        EventClass::StoragePool => remote::ConnectStoragePoolEventDeregisterAnyArgs::PROCEDURE,
        EventClass::NodeDevice => remote::ConnectNodeDeviceEventDeregisterAnyArgs::PROCEDURE,
        EventClass::Secret => remote::ConnectSecretEventDeregisterAnyArgs::PROCEDURE,
        EventClass::QemuMonitor => qemu::ConnectDomainMonitorEventDeregisterArgs::PROCEDURE,
    }
}
