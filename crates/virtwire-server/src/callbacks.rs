//! Which events a client has registered for.

use bytes::Bytes;
use std::collections::BTreeMap;
use uuid::Uuid;
use virtwire_proto::connection::CallId;
use virtwire_proto::program::{EventClass, Procedure};
use virtwire_proto::xdr::Text;

/// The one object that a registration is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Object {
    /// A domain, network, storage pool or secret.
    Uuid(Uuid),
    /// A node device.
    Name(Text),
}

impl From<Uuid> for Object {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<Text> for Object {
    fn from(name: Text) -> Self {
        Self::Name(name)
    }
}

/// A registration.
#[derive(Debug)]
pub(crate) struct Callback {
    class: EventClass,
    id: i32,
    event: i32,
    object: Option<Object>,
    call: Option<CallId>,
    /// What happened before the answer to the registration is on its way; nothing once it is.
    pub(crate) held: Option<Held>,
}

/// Events that wait for the answer to the registration.
#[derive(Debug, Default)]
pub(crate) struct Held {
    events: Vec<(&'static Procedure, Bytes)>,
    bytes: usize,
}

impl Held {
    /// Keeps an event; how many bytes are kept now.
    pub(crate) fn push(&mut self, event: &'static Procedure, payload: Bytes) -> usize {
        self.bytes += payload.len();
        self.events.push((event, payload));
        self.bytes
    }
}

/// The registrations of one client.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    list: Vec<Callback>,
    /// The next identifier of each class. Like libvirt's drivers, each class counts from its own start.
    next: BTreeMap<EventClass, i32>,
}

impl Callbacks {
    /// Adds a registration that `call` asks for, if it is a call that does; its identifier.
    pub(crate) fn register(
        &mut self,
        class: EventClass,
        event: i32,
        object: Option<Object>,
        call: Option<CallId>,
    ) -> i32 {
        let next = self.next.entry(class).or_default();
        let id = *next;
        *next = next.wrapping_add(1).max(0);
        let held = call.is_some().then(Held::default);
        self.list.push(Callback { class, id, event, object, call, held });
        id
    }

    /// Removes a registration: the number of its event, or nothing where there is no such registration.
    pub(crate) fn deregister(&mut self, class: EventClass, id: i32) -> Option<i32> {
        let index = self.list.iter().position(|callback| callback.class == class && callback.id == id)?;
        Some(self.list.remove(index).event)
    }

    pub(crate) fn find(&mut self, class: EventClass, id: i32) -> Option<&mut Callback> {
        self.list.iter_mut().find(|callback| callback.class == class && callback.id == id)
    }

    /// The identifiers of the registrations that an event of `object` is for, in order.
    pub(crate) fn matching(&self, class: EventClass, event: i32, object: Option<&Object>) -> Vec<i32> {
        self.list
            .iter()
            .filter(|callback| callback.class == class && callback.event == event)
            .filter(|callback| callback.object.is_none() || callback.object.as_ref() == object)
            .map(|callback| callback.id)
            .collect()
    }

    /// The answer to a call is on its way: what its registrations held, in order. A registration whose call
    /// failed is gone.
    pub(crate) fn answered(&mut self, call: CallId, succeeded: bool) -> Vec<(&'static Procedure, Bytes)> {
        if self.list.is_empty() {
            return Vec::new();
        }
        if !succeeded {
            self.list.retain(|callback| callback.call != Some(call));
            return Vec::new();
        }
        let mut events = Vec::new();
        for callback in self.list.iter_mut().filter(|callback| callback.call == Some(call)) {
            callback.call = None;
            events.extend(callback.held.take().unwrap_or_default().events);
        }
        events
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_counts_from_its_own_start_and_never_gives_a_number_again() {
        let mut callbacks = Callbacks::default();
        assert_eq!(callbacks.register(EventClass::Domain, 0, None, None), 0);
        assert_eq!(callbacks.register(EventClass::Domain, 0, None, None), 1);
        assert_eq!(callbacks.register(EventClass::Network, 0, None, None), 0);
        assert_eq!(callbacks.deregister(EventClass::Domain, 1), Some(0));
        assert_eq!(callbacks.deregister(EventClass::Domain, 1), None);
        assert_eq!(callbacks.register(EventClass::Domain, 0, None, None), 2);
        assert_eq!(callbacks.deregister(EventClass::Network, 0), Some(0));
    }

    #[test]
    fn a_registration_for_one_object_sees_that_object_alone() {
        let mut callbacks = Callbacks::default();
        let (one, other) = (Object::from(Uuid::from_u128(1)), Object::from(Uuid::from_u128(2)));
        let all = callbacks.register(EventClass::Domain, 4, None, None);
        let single = callbacks.register(EventClass::Domain, 4, Some(one.clone()), None);
        callbacks.register(EventClass::Domain, 5, None, None);
        assert_eq!(callbacks.matching(EventClass::Domain, 4, Some(&one)), [all, single]);
        assert_eq!(callbacks.matching(EventClass::Domain, 4, Some(&other)), [all]);
        assert_eq!(callbacks.matching(EventClass::Domain, 4, None), [all]);
        assert_eq!(callbacks.matching(EventClass::Network, 4, Some(&one)), []);
    }
}
