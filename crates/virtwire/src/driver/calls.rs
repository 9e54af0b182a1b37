//! Calls that wait: a slot for each answer, and the future that takes it.

use super::{Shared, State};
use crate::trace;
use std::future::Future;
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
    /// Starts a call by `call`, which asks the state machine for it. What it sends is on its way, or in order behind
    /// what is, when this returns.
    pub(crate) fn call(
        &self,
        call: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<PendingCall<'_>, CallError> {
        let now = self.now();
        let mut state = self.lock();
        let serial = call(&mut state.client, now)?;
        let procedure = if trace::calls() { state.client.procedure(serial) } else { None };
        state.waiters.insert(serial, Waiter::default());
        self.settle(state);
        Ok(PendingCall::new(self, serial, procedure))
    }
}

/// A call that waits for its answer. Dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct PendingCall<'a> {
    shared: &'a Shared,
    serial: Serial,
    taken: bool,
    span: Span,
}

impl<'a> PendingCall<'a> {
    /// The one that takes the answer from the slot that waits for it. The procedure is for whoever traces.
    pub(super) fn new(shared: &'a Shared, serial: Serial, procedure: Option<&'static Procedure>) -> Self {
        Self { shared, serial, taken: false, span: trace::call(procedure, serial) }
    }
}

impl Future for PendingCall<'_> {
    type Output = Result<Reply, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
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
