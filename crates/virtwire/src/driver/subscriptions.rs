//! Subscriptions that wait: a bounded queue for each, which loses its oldest events rather than hold up anybody.

use super::{PendingCall, Shared, State};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use virtwire_proto::connection::{CallError, Client, CloseReason, Time};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::{Event, Procedure, remote};
use virtwire_proto::xdr::{from_bytes, to_bytes};

/// How many bytes of events a subscription keeps, beside its bound in events.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// Names a queue. None is named twice on a connection.
pub(super) type QueueId = u64;

/// The events of one subscription that its consumer has not taken.
#[derive(Debug)]
pub(super) struct Queue {
    /// Whether it is to have what the connection itself tells, which no registration is needed for.
    takes_unsubscribed: bool,
    events: VecDeque<(&'static Procedure, Bytes)>,
    bytes: usize,
    /// How many events it keeps.
    bound: usize,
    /// How many were lost since the consumer was last told.
    lost: u64,
    /// How many were lost while it was being registered for.
    lost_early: u64,
    ended: Option<CloseReason>,
    waker: Option<Waker>,
}

impl Queue {
    fn new(bound: usize) -> Self {
        Self {
            takes_unsubscribed: false,
            events: VecDeque::new(),
            bytes: 0,
            bound: bound.max(1),
            lost: 0,
            lost_early: 0,
            ended: None,
            waker: None,
        }
    }

    pub(super) fn push(&mut self, procedure: &'static Procedure, payload: Bytes, wakes: &mut Vec<Waker>) {
        // In memory of its own: it would keep alive all that was read together with it.
        let payload = Bytes::copy_from_slice(&payload);
        self.bytes += payload.len();
        self.events.push_back((procedure, payload));
        while self.events.len() > self.bound || (self.bytes > MOST_BYTES && self.events.len() > 1) {
            self.pop();
            self.lost += 1;
        }
        wakes.extend(self.waker.take());
    }

    fn pop(&mut self) -> Option<(&'static Procedure, Bytes)> {
        let event = self.events.pop_front()?;
        self.bytes -= event.1.len();
        Some(event)
    }

    /// That so many were lost before its registrations were answered. Each of them is told all that there were until
    /// then: what one was told is not to count again with the next.
    pub(super) fn lose_early(&mut self, count: u64, wakes: &mut Vec<Waker>) {
        self.lost += count.saturating_sub(self.lost_early);
        self.lost_early = self.lost_early.max(count);
        wakes.extend(self.waker.take());
    }

    pub(super) fn end(&mut self, reason: CloseReason, wakes: &mut Vec<Waker>) {
        self.ended = Some(reason);
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
        if let Some((procedure, payload)) = self.pop() {
            return Some(Next::Event(procedure, payload));
        }
        self.ended.clone().map(Next::Ended)
    }
}

/// What a subscription's consumer gets next.
#[derive(Debug)]
pub(crate) enum Next {
    Event(&'static Procedure, Bytes),
    Lagged(u64),
    Ended(CloseReason),
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
            for queue in self.queues.values_mut().filter(|queue| queue.takes_unsubscribed) {
                queue.push(procedure, payload.clone(), wakes);
            }
        }
    }

    /// Adds a queue: one that has ended already, where the connection has.
    fn add_queue(&mut self, mut queue: Queue) -> QueueId {
        let id = self.next_queue;
        self.next_queue += 1;
        queue.ended = self.client.close_reason().cloned();
        self.queues.insert(id, queue);
        id
    }
}

impl Shared {
    /// A queue for events, of which it keeps at most `bound`: those of the registrations that are added to it.
    pub(crate) fn subscription(self: &Arc<Self>, bound: usize) -> SubscriptionSlot {
        let queue = self.lock().add_queue(Queue::new(bound));
        SubscriptionSlot { shared: Arc::clone(self), queue, registrations: Vec::new() }
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
        SubscriptionSlot { shared: Arc::clone(self), queue, registrations: Vec::new() }
    }
}

/// A subscription's end of the queue. Dropping it ends the subscription, here and on the server.
#[derive(Debug)]
pub(crate) struct SubscriptionSlot {
    shared: Arc<Shared>,
    queue: QueueId,
    registrations: Vec<Serial>,
}

impl SubscriptionSlot {
    /// Starts a registration by `register`, whose events come into this queue. The answer is to be waited for; it
    /// leaves this undone where it is an error.
    pub(crate) fn register<'a>(
        &mut self,
        shared: &'a Shared,
        register: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<PendingCall<'a>, CallError> {
        let now = shared.now();
        let mut state = shared.lock();
        let serial = register(&mut state.client, now)?;
        state.waiters.insert(serial, Default::default());
        state.subscriptions.insert(serial, self.queue);
        self.registrations.push(serial);
        shared.settle(state);
        Ok(PendingCall::new(shared, serial))
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        let mut state = self.shared.lock();
        let Some(queue) = state.queues.get_mut(&self.queue) else { return Poll::Ready(None) };
        match queue.next() {
            Some(next) => {
                if matches!(next, Next::Ended(_)) {
                    state.forget(self);
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
    fn forget(&mut self, slot: &SubscriptionSlot) {
        self.queues.remove(&slot.queue);
        for serial in &slot.registrations {
            self.subscriptions.remove(serial);
        }
    }
}

impl Drop for SubscriptionSlot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.queues.contains_key(&self.queue) {
            state.forget(self);
            for serial in &self.registrations {
                state.client.unsubscribe(*serial);
            }
            self.shared.settle(state);
        }
    }
}
