//! Subscriptions that wait: a bounded queue for each, which loses its oldest events rather than hold up anybody.

use super::{PendingCall, Shared, State};
use crate::connection::Gap;
use crate::trace::Note;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use virtwire_proto::connection::{CallError, CallOptions, CloseReason, Reply, Time};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::{Call, Event, Procedure, remote};
use virtwire_proto::xdr::{from_bytes, to_bytes};

/// How many bytes of events a subscription keeps, beside its bound in events.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Names a queue. None is named twice on a connection.
pub(super) type QueueId = u64;

/// A registration that a queue's events come by.
#[derive(Debug)]
pub(super) struct Registration {
    /// What it is known by on this link.
    pub(super) serial: Serial,
    /// Whether the daemon has confirmed it: then it is made again on each new link.
    live: bool,
    /// What it is made again by: the procedure and its arguments.
    pub(super) again: (&'static Procedure, Bytes),
}

/// Something for a subscription's consumer.
#[derive(Debug)]
enum Item {
    Event(&'static Procedure, Bytes),
    Gap(Gap),
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Event(_, payload) => payload.len(),
            Self::Gap(_) => 0,
        }
    }
}

/// Why no more events come.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// With the connection.
    Closed(CloseReason),
    /// On a new link the daemon refused what was to be registered again.
    Refused(&'static Procedure, CallError),
}

/// The events of one subscription that its consumer has not taken.
#[derive(Debug)]
pub(super) struct Queue {
    /// Whether it is to have what the connection itself tells, which no registration is needed for.
    takes_unsubscribed: bool,
    registrations: Vec<Registration>,
    items: VecDeque<Item>,
    bytes: usize,
    /// How many events it keeps.
    bound: usize,
    /// How many were lost since the consumer was last told.
    lost: u64,
    /// How many were lost while it was being registered for.
    lost_early: u64,
    /// A gap that was dropped with the oldest events, to be told nevertheless.
    old_gap: Option<Gap>,
    /// The link whose gap was told, or the one that it began on.
    link: u64,
    ended: Option<Ended>,
    waker: Option<Waker>,
}

impl Queue {
    fn new(bound: usize) -> Self {
        Self {
            takes_unsubscribed: false,
            registrations: Vec::new(),
            items: VecDeque::new(),
            bytes: 0,
            bound: bound.max(1),
            lost: 0,
            lost_early: 0,
            old_gap: None,
            link: 0,
            ended: None,
            waker: None,
        }
    }

    /// Adds an event; whether it begins to lose others with that.
    pub(super) fn push(
        &mut self,
        procedure: &'static Procedure,
        payload: Bytes,
        wakes: &mut Vec<Waker>,
    ) -> bool {
        // In memory of its own: it would keep alive all that was read together with it.
        let payload = Bytes::copy_from_slice(&payload);
        let lost = self.lost;
        self.put(Item::Event(procedure, payload), wakes);
        lost == 0 && self.lost > 0
    }

    /// That events may be missing here, since there was no link: once for each.
    fn tell_gap(&mut self, gap: Option<&Gap>, link: u64, wakes: &mut Vec<Waker>) {
        if let Some(gap) = gap
            && self.link != link
        {
            self.link = link;
            self.put(Item::Gap(gap.clone()), wakes);
        }
    }

    fn put(&mut self, item: Item, wakes: &mut Vec<Waker>) {
        self.bytes += item.len();
        self.items.push_back(item);
        while self.items.len() > self.bound || (self.bytes > MOST_BYTES && self.items.len() > 1) {
            match self.pop() {
                Some(Item::Gap(gap)) => self.old_gap = Some(gap),
                _ => self.lost += 1,
            }
        }
        wakes.extend(self.waker.take());
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= item.len();
        Some(item)
    }

    /// The registrations that are to be made again on a new link.
    pub(super) fn renewable(&mut self) -> impl Iterator<Item = &mut Registration> {
        let ended = self.ended.is_some();
        self.registrations.iter_mut().filter(move |of| of.live && !ended)
    }

    /// That so many were lost before its registrations were answered. Each of them is told all that there were until
    /// then: what one was told is not to count again with the next.
    pub(super) fn lose_early(&mut self, count: u64, wakes: &mut Vec<Waker>) {
        self.lost += count.saturating_sub(self.lost_early);
        self.lost_early = self.lost_early.max(count);
        wakes.extend(self.waker.take());
    }

    pub(super) fn end(&mut self, reason: CloseReason, wakes: &mut Vec<Waker>) {
        self.end_with(Ended::Closed(reason), wakes);
    }

    fn end_with(&mut self, ended: Ended, wakes: &mut Vec<Waker>) {
        self.ended.get_or_insert(ended);
        wakes.extend(self.waker.take());
    }

    /// Whether its consumer waits.
    pub(super) fn awaited(&self) -> bool {
        self.waker.is_some()
    }

    fn next(&mut self) -> Option<Next> {
        // What was lost was older than all that is still there.
        if self.lost > 0 {
            return Some(Next::Lagged(std::mem::take(&mut self.lost)));
        }
        if let Some(gap) = self.old_gap.take() {
            return Some(Next::Gap(gap));
        }
        match self.pop() {
            Some(Item::Event(procedure, payload)) => return Some(Next::Event(procedure, payload)),
            Some(Item::Gap(gap)) => return Some(Next::Gap(gap)),
            None => {}
        }
        self.ended.clone().map(Next::Ended)
    }
}

/// What a subscription's consumer gets next.
#[derive(Debug)]
pub(crate) enum Next {
    Event(&'static Procedure, Bytes),
    Lagged(u64),
    Gap(Gap),
    Ended(Ended),
}

impl State {
    /// The queue of the subscription that a registration is part of.
    pub(super) fn queue_of(&mut self, registration: Serial) -> Option<&mut Queue> {
        let queue = self.subscriptions.get(&registration)?;
        self.queues.get_mut(queue)
    }

    /// Events that belong to no subscription: of those, only the connection's own matters.
    pub(super) fn take_unsubscribed(
        &mut self,
        procedure: &'static Procedure,
        payload: Bytes,
        wakes: &mut Vec<Waker>,
    ) {
        if procedure == remote::ConnectEventConnectionClosedMsg::PROCEDURE
            && let Ok(message) = from_bytes::<remote::ConnectEventConnectionClosedMsg>(payload.clone())
        {
            self.hypervisor_closed = Some(message.reason);
            let mut lagging = false;
            for queue in self.queues.values_mut().filter(|queue| queue.takes_unsubscribed) {
                lagging |= queue.push(procedure, payload.clone(), wakes);
            }
            if lagging {
                self.note(Note::Lagging);
            }
        }
    }

    /// Adds a queue: one that has ended already, where the connection has.
    fn add_queue(&mut self, mut queue: Queue) -> QueueId {
        let id = self.next_queue;
        self.next_queue += 1;
        queue.ended = self.client.close_reason().cloned().map(Ended::Closed);
        queue.link = self.links.current();
        self.queues.insert(id, queue);
        id
    }

    /// The answer to a registration: what it means for its subscription, beside the one who waits for it.
    pub(super) fn take_registration(
        &mut self,
        serial: Serial,
        result: &Result<Reply, CallError>,
        wakes: &mut Vec<Waker>,
    ) {
        let Some(&id) = self.subscriptions.get(&serial) else { return };
        let renewed = self.links.renewed(serial, wakes);
        let Some(queue) = self.queues.get_mut(&id) else { return };
        match result {
            Ok(_) => {
                queue.registrations.iter_mut().filter(|of| of.serial == serial).for_each(|of| of.live = true);
                if renewed {
                    queue.tell_gap(self.links.gap().as_ref(), self.links.current(), wakes);
                }
            }
            // The next link will do.
            Err(CallError::Closed(_)) => {}
            Err(error) if renewed => {
                let registrations = std::mem::take(&mut queue.registrations);
                let procedure = registrations.iter().find(|of| of.serial == serial).map(|of| of.again.0);
                if let Some(procedure) = procedure {
                    queue.end_with(Ended::Refused(procedure, error.clone()), wakes);
                }
                self.undo(registrations, wakes);
            }
            Err(_) => {}
        }
    }

    /// Registrations of a link that is lost belong to nothing any more.
    pub(super) fn lose_registrations(&mut self) {
        for registration in self.queues.values().flat_map(|queue| &queue.registrations) {
            if registration.live {
                self.subscriptions.remove(&registration.serial);
            }
        }
    }

    /// Tells of a gap to those who need no registration.
    pub(super) fn tell_unregistered(&mut self, gap: Option<&Gap>, wakes: &mut Vec<Waker>) {
        let link = self.links.current();
        for queue in self.queues.values_mut().filter(|queue| queue.takes_unsubscribed) {
            queue.tell_gap(gap, link, wakes);
        }
    }

    fn undo(&mut self, registrations: Vec<Registration>, wakes: &mut Vec<Waker>) {
        for Registration { serial, .. } in registrations {
            self.subscriptions.remove(&serial);
            self.links.renewed(serial, wakes);
            self.client.unsubscribe(serial);
        }
    }
}

impl Shared {
    /// A queue for events, of which it keeps at most `bound`: those of the registrations that are added to it.
    pub(crate) fn subscription(self: &Arc<Self>, bound: usize) -> SubscriptionSlot {
        let queue = self.lock().add_queue(Queue::new(bound));
        SubscriptionSlot { shared: Arc::clone(self), queue }
    }

    /// A queue for what the daemon says of its connection to the hypervisor, also where it said so before.
    pub(crate) fn hypervisor_subscription(self: &Arc<Self>, bound: usize) -> SubscriptionSlot {
        let mut state = self.lock();
        let mut queue = Queue::new(bound);
        queue.takes_unsubscribed = true;
        if let Some(reason) = state.hypervisor_closed {
            let message = remote::ConnectEventConnectionClosedMsg { reason };
            let payload = to_bytes(&message).expect("an integer passes no maximum");
            queue.push(remote::ConnectEventConnectionClosedMsg::PROCEDURE, payload, &mut Vec::new());
        }
        let queue = state.add_queue(queue);
        SubscriptionSlot { shared: Arc::clone(self), queue }
    }
}

/// A subscription's end of the queue. Dropping it ends the subscription, here and on the server.
#[derive(Debug)]
pub(crate) struct SubscriptionSlot {
    shared: Arc<Shared>,
    queue: QueueId,
}

impl SubscriptionSlot {
    /// Starts a registration whose events come into this queue. The answer is to be waited for; it leaves this undone
    /// where it is an error.
    pub(crate) fn register<'a, C: Call>(
        &mut self,
        shared: &'a Shared,
        args: &C,
        deadline: impl FnOnce(Time) -> Option<Time>,
    ) -> Result<PendingCall<'a>, CallError> {
        let now = shared.now();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let options = CallOptions { deadline: deadline(now), ..Default::default() };
        let serial = state.client.subscribe_shared(args, options, now)?;
        state.waiters.insert(serial, Default::default());
        state.subscriptions.insert(serial, self.queue);
        if let Some(queue) = state.queues.get_mut(&self.queue) {
            let args = to_bytes(args).expect("what was sent can be encoded");
            queue.registrations.push(Registration { serial, live: false, again: (C::PROCEDURE, args) });
        }
        shared.settle(guard);
        Ok(PendingCall::new(shared, serial, Some(C::PROCEDURE)))
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        let mut state = self.shared.lock();
        let Some(queue) = state.queues.get_mut(&self.queue) else { return Poll::Ready(None) };
        match queue.next() {
            Some(next) => {
                if matches!(next, Next::Ended(_)) {
                    state.forget(self.queue);
                }
                Poll::Ready(Some(next))
            }
            None => {
                match &mut queue.waker {
                    Some(waker) if waker.will_wake(cx.waker()) => {}
                    waker => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl State {
    /// Drops a queue; gives the registrations that it had.
    fn forget(&mut self, id: QueueId) -> Vec<Registration> {
        let Some(queue) = self.queues.remove(&id) else { return Vec::new() };
        for registration in &queue.registrations {
            self.subscriptions.remove(&registration.serial);
        }
        queue.registrations
    }
}

impl Drop for SubscriptionSlot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let registrations = state.forget(self.queue);
        if !registrations.is_empty() {
            let mut wakes = Vec::new();
            state.undo(registrations, &mut wakes);
            self.shared.settle(state);
            wakes.into_iter().for_each(Waker::wake);
        }
    }
}
