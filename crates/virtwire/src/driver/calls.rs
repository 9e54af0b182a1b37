//! Calls that wait: a slot for each answer, and the future that takes it.

use super::{Shared, State};
use crate::trace;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tracing::Span;
use virtwire_proto::connection::{CallError, Client, Reply, Time};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::{Procedure, StreamDirection};

/// Where a call's answer goes.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    waker: Option<Waker>,
    result: Option<Result<Reply, CallError>>,
}

impl State {
    pub(super) fn deliver_reply(
        &mut self,
        serial: Serial,
        result: Result<Reply, CallError>,
        wakes: &mut Vec<Waker>,
    ) {
        if !self.streams.contains_key(&serial)
            && result.as_ref().is_ok_and(|reply| reply.procedure.stream != StreamDirection::None)
        {
            // Nobody has asked for the stream that the call opened.
            self.client.abort(serial);
        }
        let registers = |reply: &Reply| reply.procedure.event_class.is_some();
        if !self.subscriptions.is_empty() && result.as_ref().map_or(true, registers) {
            self.take_registration(serial, &result, wakes);
        }
        let Some(waiter) = self.waiters.get_mut(&serial) else { return };
        waiter.result = Some(result);
        wakes.extend(waiter.waker.take());
        self.waking += 1;
    }
}

impl Shared {
    /// Makes a call by `call`, which asks the state machine for it, and waits for its answer. Only where it has a
    /// deadline is it told the time.
    pub(crate) async fn call(
        &self,
        has_deadline: bool,
        call: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<Reply, CallError> {
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        self.start_call(waker, has_deadline, call)?.await
    }

    /// Starts a call on behalf of the task that `waker` wakes, and that polls next. What it sends is on its way, or in
    /// order behind what is, when this returns.
    fn start_call(
        &self,
        waker: Waker,
        has_deadline: bool,
        call: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<PendingCall<'_>, CallError> {
        let now = if has_deadline { self.now() } else { Time::START };
        let mut state = self.lock();
        let serial = call(&mut state.client, now)?;
        let procedure = if trace::calls() { state.client.procedure(serial) } else { None };
        state.waiters.insert(serial, Waiter { waker: Some(waker), result: None });
        self.settle(state);
        let mut pending = PendingCall::new(self, serial, procedure);
        pending.registered = true;
        Ok(pending)
    }
}

/// A call that waits for its answer. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct PendingCall<'a> {
    shared: &'a Shared,
    serial: Serial,
    /// Whether the task that polls next is registered already.
    registered: bool,
    taken: bool,
    span: Span,
}

impl<'a> PendingCall<'a> {
    /// The one that takes the answer from the slot that waits for it. The procedure is for whoever traces.
    pub(super) fn new(shared: &'a Shared, serial: Serial, procedure: Option<&'static Procedure>) -> Self {
        Self { shared, serial, registered: false, taken: false, span: trace::call(procedure, serial) }
    }
}

impl Future for PendingCall<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.registered) {
            // An answer that is there already has woken the task.
            return Poll::Pending;
        }
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(waiter) = state.waiters.get_mut(&self.serial) else {
            unreachable!("a slot is there until its future has taken the answer")
        };
        if let Some(result) = waiter.result.take() {
            state.waiters.remove(&self.serial);
            state.waking -= 1;
            drop(guard);
            self.taken = true;
            if let Err(error) = &result {
                trace::failed(&self.span, error);
            }
            return Poll::Ready(result);
        }
        match &mut waiter.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = self.shared.lock();
        let Some(waiter) = state.waiters.remove(&self.serial) else { return };
        if waiter.result.is_some() {
            state.waking -= 1;
        } else {
            state.client.cancel(self.serial);
        }
        self.shared.settle(state);
        trace::given_up(&self.span);
    }
}
