//! What happens to domains, told in order to whoever asks.

use crate::domain::DomainRef;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use virtwire_proto::enums::{
    DomainEventDefinedDetailType, DomainEventResumedDetailType, DomainEventStartedDetailType,
    DomainEventStoppedDetailType, DomainEventSuspendedDetailType, DomainEventType,
    DomainEventUndefinedDetailType, DomainMetadataType,
};

/// Something that happened to a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DomainEvent {
    /// A domain was defined, started, stopped and so on. C: `VIR_DOMAIN_EVENT_ID_LIFECYCLE`.
    Lifecycle {
        /// The domain as it is now; its id is -1 once it has stopped, but a transient domain that stops
        /// keeps in its last event the id that it had.
        domain: DomainRef,
        /// What happened.
        event: LifecycleEvent,
    },
    /// A title, description or metadata element was set or removed. C: `VIR_DOMAIN_EVENT_ID_METADATA_CHANGE`.
    MetadataChange {
        /// The domain.
        domain: DomainRef,
        /// Which of the three.
        kind: DomainMetadataType,
        /// The element's namespace, where an element was set.
        uri: Option<String>,
    },
}

/// A step in a domain's life: the combinations of event and detail that the hypervisor sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// It got a persistent configuration, and had none.
    DefinedAdded,
    /// Its persistent configuration was replaced.
    DefinedUpdated,
    /// It has a new name; follows [`LifecycleEvent::UndefinedRenamed`].
    DefinedRenamed,
    /// Its persistent configuration was removed.
    UndefinedRemoved,
    /// It is about to lose the name that this event gives.
    UndefinedRenamed,
    /// It was started.
    StartedBooted,
    /// It was paused.
    SuspendedPaused,
    /// It goes on after a pause.
    ResumedUnpaused,
    /// It shut down.
    StoppedShutdown,
    /// It was stopped by force.
    StoppedDestroyed,
    /// It was saved and stopped.
    StoppedSaved,
}

impl LifecycleEvent {
    /// The event's number; C: `virDomainEventType`.
    #[must_use]
    pub fn event(self) -> DomainEventType {
        self.numbers().0
    }

    /// The detail's number, whose meaning depends on the event; C: `virDomainEventDefinedDetailType` and so on.
    #[must_use]
    pub fn detail(self) -> i32 {
        self.numbers().1
    }

    fn numbers(self) -> (DomainEventType, i32) {
        use DomainEventDefinedDetailType as Defined;
        use DomainEventResumedDetailType as Resumed;
        use DomainEventStartedDetailType as Started;
        use DomainEventStoppedDetailType as Stopped;
        use DomainEventSuspendedDetailType as Suspended;
        use DomainEventType as Event;
        use DomainEventUndefinedDetailType as Undefined;
        match self {
            Self::DefinedAdded => (Event::DEFINED, Defined::ADDED.0),
            Self::DefinedUpdated => (Event::DEFINED, Defined::UPDATED.0),
            Self::DefinedRenamed => (Event::DEFINED, Defined::RENAMED.0),
            Self::UndefinedRemoved => (Event::UNDEFINED, Undefined::REMOVED.0),
            Self::UndefinedRenamed => (Event::UNDEFINED, Undefined::RENAMED.0),
            Self::StartedBooted => (Event::STARTED, Started::BOOTED.0),
            Self::SuspendedPaused => (Event::SUSPENDED, Suspended::PAUSED.0),
            Self::ResumedUnpaused => (Event::RESUMED, Resumed::UNPAUSED.0),
            Self::StoppedShutdown => (Event::STOPPED, Stopped::SHUTDOWN.0),
            Self::StoppedDestroyed => (Event::STOPPED, Stopped::DESTROYED.0),
            Self::StoppedSaved => (Event::STOPPED, Stopped::SAVED.0),
        }
    }
}

/// A running subscription; dropping it ends it.
///
/// A call of the function that is already under way on another thread may still finish after the drop.
#[derive(Debug)]
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription {
    entry: Arc<Entry>,
    hub: Weak<Hub>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.entry.ended.store(true, Ordering::Release);
        if let Some(hub) = self.hub.upgrade() {
            hub.lock().subscribers.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        }
    }
}

type Callback = Box<dyn Fn(&DomainEvent) + Send + Sync>;

struct Entry {
    callback: Callback,
    ended: AtomicBool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// The events that wait, and the functions that they go to.
///
/// Functions are called with no lock held, by one thread at a time, so that every one of them sees the events
/// in the order of the changes and may itself call the hypervisor: what that call causes is told afterwards.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    subscribers: Vec<Arc<Entry>>,
    waiting: VecDeque<DomainEvent>,
    delivering: bool,
}

impl Hub {
    /// Has the function called for every event from now on.
    pub(crate) fn subscribe(self: &Arc<Self>, callback: Callback) -> Subscription {
        let entry = Arc::new(Entry { callback, ended: AtomicBool::new(false) });
        self.lock().subscribers.push(Arc::clone(&entry));
        Subscription { entry, hub: Arc::downgrade(self) }
    }

    /// Puts an event into the queue. Called while the state it tells of is locked, which is what orders events.
    pub(crate) fn queue(&self, event: DomainEvent) {
        let mut state = self.lock();
        if !state.subscribers.is_empty() {
            state.waiting.push_back(event);
        }
    }

    /// Calls the functions with what waits, unless another call of this is doing so. No lock may be held.
    pub(crate) fn deliver(&self) {
        let mut state = self.lock();
        if state.delivering || state.waiting.is_empty() {
            return;
        }
        state.delivering = true;
        drop(state);
        let mut turn = Turn { hub: self, unfinished: true };
        while let Some((event, subscribers)) = turn.next() {
            for entry in subscribers {
                if !entry.ended.load(Ordering::Acquire) {
                    (entry.callback)(&event);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        // No change to this state can be half made: each is one statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to deliver. A function that panics gives it back, so that later events still reach everyone.
struct Turn<'a> {
    hub: &'a Hub,
    unfinished: bool,
}

impl Turn<'_> {
    /// The next event and who gets it; ends the turn, under the same lock, where none waits.
    fn next(&mut self) -> Option<(DomainEvent, Vec<Arc<Entry>>)> {
        let mut state = self.hub.lock();
        let next = state.waiting.pop_front().map(|event| (event, state.subscribers.clone()));
        if next.is_none() {
            state.delivering = false;
            self.unfinished = false;
        }
        next
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.unfinished {
            self.hub.lock().delivering = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use uuid::Uuid;
    use virtwire_proto::xdr::Text;

    fn event(id: i32) -> DomainEvent {
        let domain = DomainRef { name: Text::from("a"), uuid: Uuid::nil(), id };
        DomainEvent::Lifecycle { domain, event: LifecycleEvent::StartedBooted }
    }

    fn recorder(hub: &Arc<Hub>) -> (Subscription, Arc<Mutex<Vec<DomainEvent>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let callback = Box::new(move |event: &DomainEvent| sink.lock().unwrap().push(event.clone()));
        (hub.subscribe(callback), seen)
    }

    #[test]
    fn a_subscription_sees_what_comes_after_it_until_it_is_dropped() {
        let hub = Arc::new(Hub::default());
        hub.queue(event(1));
        let (subscription, seen) = recorder(&hub);
        hub.queue(event(2));
        hub.queue(event(3));
        hub.deliver();
        drop(subscription);
        hub.queue(event(4));
        hub.deliver();
        assert_eq!(*seen.lock().unwrap(), [event(2), event(3)]);
    }

    #[test]
    fn a_function_may_cause_events_which_follow() {
        let hub = Arc::new(Hub::default());
        let weak = Arc::downgrade(&hub);
        let _first = hub.subscribe(Box::new(move |seen| {
            if *seen == event(1) {
                let hub = weak.upgrade().unwrap();
                hub.queue(event(2));
                hub.deliver();
            }
        }));
        let (_second, seen) = recorder(&hub);
        hub.queue(event(1));
        hub.deliver();
        assert_eq!(*seen.lock().unwrap(), [event(1), event(2)]);
    }

    #[test]
    fn a_function_that_panics_does_not_stop_later_events() {
        let hub = Arc::new(Hub::default());
        let _first = hub.subscribe(Box::new(|seen| assert_ne!(*seen, event(1), "the panic of this test")));
        let (_second, seen) = recorder(&hub);
        hub.queue(event(1));
        assert!(catch_unwind(AssertUnwindSafe(|| hub.deliver())).is_err());
        hub.queue(event(2));
        hub.deliver();
        assert_eq!(*seen.lock().unwrap(), [event(2)]);
    }
}
