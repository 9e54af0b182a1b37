//! Subscriptions that wait: a bounded queue for each, which loses its oldest events rather than hold up anybody.

use super::{PendingCall, Shared, State};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use virtwire_proto::connection::{CallError, Client, CloseReason, Time};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::{Event, Procedure, remote};
use virtwire_proto::xdr::from_bytes;

/// How many bytes of events a subscription keeps, beside its bound in events.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The events of one subscription that its consumer has not taken.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<(&'static Procedure, Bytes)>,
    bytes: usize,
    /// How many events it keeps.
    bound: usize,
    /// How many were lost since the consumer was last told.
    lost: u64,
    ended: Option<CloseReason>,
    waker: Option<Waker>,
}

impl Queue {
    fn new(bound: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, bound: bound.max(1), lost: 0, ended: None, waker: None }
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

    pub(super) fn lose(&mut self, count: u64, wakes: &mut Vec<Waker>) {
        self.lost += count;
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
    /// Events that belong to no subscription: of those, only the connection's own matters.
    pub(super) fn take_unsubscribed(&mut self, procedure: &'static Procedure, payload: Bytes) {
        if procedure == remote::ConnectEventConnectionClosedMsg::PROCEDURE
            && let Ok(message) = from_bytes::<remote::ConnectEventConnectionClosedMsg>(payload)
        {
            self.hypervisor_closed = Some(message.reason);
        }
    }
}

impl Shared {
    /// Starts a registration by `register`, and the queue for its events, of which it keeps at most `bound`. The
    /// answer is to be waited for.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        bound: usize,
        register: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<(SubscriptionSlot, PendingCall<'_>), CallError> {
        let now = self.now();
        let mut state = self.lock();
        let serial = register(&mut state.client, now)?;
        state.waiters.insert(serial, Default::default());
        state.subscriptions.insert(serial, Queue::new(bound));
        self.settle(state);
        Ok((SubscriptionSlot { shared: Arc::clone(self), serial }, PendingCall::new(self, serial)))
    }
}

/// A subscription's end of the queue. Dropping it ends the subscription, here and on the server.
#[derive(Debug)]
pub(crate) struct SubscriptionSlot {
    shared: Arc<Shared>,
    serial: Serial,
}

impl SubscriptionSlot {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Next>> {
        let mut state = self.shared.lock();
        let Some(queue) = state.subscriptions.get_mut(&self.serial) else { return Poll::Ready(None) };
        match queue.next() {
            Some(next) => {
                if matches!(next, Next::Ended(_)) {
                    state.subscriptions.remove(&self.serial);
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

impl Drop for SubscriptionSlot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.subscriptions.remove(&self.serial).is_some() {
            state.client.unsubscribe(self.serial);
            self.shared.settle(state);
        }
    }
}
