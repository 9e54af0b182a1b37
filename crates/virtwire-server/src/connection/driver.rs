//! The task of one connection: moves bytes between transport and state machine, and starts the calls.

use super::output::Output;
use super::shared::Shared;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::service::{Reply, Request, Service, ServiceFuture};
use crate::stream::Stream;
use crate::transport::Transport;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};
use virtwire_proto::connection::{CallId, CloseReason, IncomingCall, ServerEvent, Time};
use virtwire_proto::packet::{self, Descriptor, MAX_DESCRIPTORS};
use virtwire_proto::program::StreamDirection;

/// How much is read at once: the least and the most.
const CHUNK: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;
/// How much is read while nothing may be taken from the client: so that its end is seen.
const READ_AHEAD: usize = 64 << 10;
/// How many descriptors may wait for their packets.
const MAX_WAITING_DESCRIPTORS: usize = 8 * MAX_DESCRIPTORS;
/// How often it goes round before other tasks get their turn.
const ROUNDS: usize = 64;

/// Drives one connection to its end.
pub(crate) struct Driver {
    transport: Box<dyn Transport>,
    shared: Arc<Shared>,
    service: Arc<dyn Service>,
    calls: JoinSet<()>,
    input: BytesMut,
    descriptors: VecDeque<Descriptor>,
    chunk: usize,
    /// Whether something was read that the machine has not seen.
    fresh: bool,
    /// Whether the machine left packets in the input that it might have taken.
    stalled: bool,
    output: Output,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    deadline: Option<Time>,
    ended: bool,
}

impl Driver {
    pub(crate) fn new(transport: Box<dyn Transport>, shared: Arc<Shared>, service: Arc<dyn Service>) -> Self {
        Self {
            transport,
            shared,
            service,
            calls: JoinSet::new(),
            input: BytesMut::new(),
            descriptors: VecDeque::new(),
            chunk: *CHUNK.start(),
            fresh: false,
            stalled: false,
            output: Output::default(),
            timer: Box::pin(sleep_until(Instant::now())),
            deadline: None,
            ended: false,
        }
    }

    /// Takes what was read and gives the calls that came, and whether more is wanted.
    fn step(&mut self) -> Step {
        let now = self.shared.now();
        let config = &self.shared.config;
        let mut state = self.shared.lock();
        state.touched = false;
        let room = state.machine.wants_bytes()
            && !state.closing
            && state.waiting() <= config.max_waiting_output
            && !state.streams.full(config.stream_window);
        if room && (self.fresh || self.stalled) {
            self.fresh = false;
            // Why it failed is kept by the machine.
            let _ = state.machine.receive(&mut self.input, &mut self.descriptors, now);
            self.stalled = !state.machine.wants_bytes();
        }
        let mut calls = Vec::new();
        while let Some(event) = state.machine.event() {
            match event {
                ServerEvent::Call(call) => calls.push(call),
                ServerEvent::Stream { id, event } => state.streams.take(id, event),
                ServerEvent::Unexpected { header } => {
                    tracing::debug!(client = self.shared.id, %header, "a packet that belongs to nothing");
                }
                ServerEvent::Closed { .. } => {}
                other => {
                    // No authentication is offered, so that none can be asked for.
                    tracing::error!(client = self.shared.id, ?other, "authentication that is not offered");
                    state.machine.close(CloseReason::Local);
                }
            }
        }
        if state.closing
            && calls.is_empty()
            && state.machine.pending_calls() == 0
            && state.machine.pending_bytes() == 0
            && self.output.is_done()
        {
            state.machine.close(CloseReason::Local);
        }
        let reading = room && state.machine.wants_bytes();
        state.machine.set_reading(reading, now);
        state.writing += self.output.fill(&mut state.machine);
        if state.waiting() < config.stream_window {
            state.streams.wake_senders();
        }
        Step {
            calls,
            reading,
            deadline: state.machine.deadline(),
            closed: state.machine.close_reason().cloned(),
        }
    }

    fn start(&mut self, call: IncomingCall) {
        let IncomingCall { id, procedure, payload, descriptors, .. } = call;
        tracing::trace!(client = self.shared.id, %procedure, "call");
        let stream =
            (procedure.stream != StreamDirection::None).then(|| Stream::new(&self.shared, procedure, id));
        let client = Client { shared: Arc::clone(&self.shared), call: Some(id) };
        let request = Request { procedure, payload, descriptors, stream };
        let service = Arc::clone(&self.service);
        let future = catch_unwind(AssertUnwindSafe(|| service.call(client, request)));
        let mut work = match future {
            Ok(future) => Work { shared: Arc::clone(&self.shared), id, future },
            Err(_) => return self.shared.answer(id, Err(panicked())),
        };
        // Most calls need not wait for anything: they are answered without a task of their own.
        if Pin::new(&mut work).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.calls.spawn(work);
        }
    }

    /// Writes what can be written; whether anything was.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut wrote = false;
        while let Poll::Ready(len) = self.output.poll_write(cx, &mut *self.transport)? {
            if len == 0 {
                break;
            }
            wrote = true;
            self.shared.lock().wrote(len);
        }
        Ok(wrote)
    }

    /// Reads what can be read at once; how much, 0 at the end.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let missing = packet::missing(&self.input).unwrap_or(0);
        let chunk = self.chunk.max(missing.min(*CHUNK.end()));
        let read = self.transport.poll_read(cx, &mut self.input, &mut self.descriptors, chunk);
        if let Poll::Ready(Ok(len)) = read {
            self.fresh |= len > 0;
            // As much as comes: what is not filled was initialised in vain.
            if len == chunk {
                self.chunk = (chunk * 2).min(*CHUNK.end());
            } else if len < self.chunk / 4 {
                self.chunk = (self.chunk / 2).max(*CHUNK.start());
            }
            if self.descriptors.len() > MAX_WAITING_DESCRIPTORS {
                return Poll::Ready(Err(io::Error::other("descriptors without packets")));
            }
        }
        read
    }

    /// Waits for the deadline; whether it has come.
    fn timed_out(&mut self, cx: &mut Context<'_>, deadline: Option<Time>) -> bool {
        let Some(time) = deadline else { return false };
        if self.deadline != deadline {
            self.deadline = deadline;
            self.timer.as_mut().reset(self.shared.instant(time));
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.deadline = None;
        let now = self.shared.now();
        self.shared.lock().machine.timeout(now);
        true
    }

    fn close(&self, reason: CloseReason) {
        self.shared.lock().machine.close(reason);
    }

    /// One round; whether there may be more to do at once, or why the connection has ended.
    fn round(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseReason> {
        let step = self.step();
        let mut busy = !step.calls.is_empty();
        for call in step.calls {
            self.start(call);
        }
        if let Some(reason) = step.closed {
            return Err(reason);
        }
        match self.write(cx) {
            Ok(wrote) => busy |= wrote,
            Err(error) => {
                self.close(lost(&error));
                return Ok(true);
            }
        }
        if step.reading || self.input.len() < READ_AHEAD {
            match self.read(cx) {
                Poll::Ready(Ok(0)) => {
                    self.close(CloseReason::Peer);
                    busy = true;
                }
                Poll::Ready(Ok(_)) => busy = true,
                Poll::Ready(Err(error)) => {
                    self.close(lost(&error));
                    busy = true;
                }
                Poll::Pending => {}
            }
        }
        busy |= self.timed_out(cx, step.deadline);
        if busy {
            return Ok(true);
        }
        if self.input.is_empty() && self.input.capacity() > *CHUNK.start() {
            // An idle client costs no buffer.
            self.input = BytesMut::new();
        }
        let mut state = self.shared.lock();
        if !state.touched {
            state.driver = Some(cx.waker().clone());
        }
        Ok(state.touched)
    }

    fn end(&mut self, reason: &CloseReason) {
        self.ended = true;
        match reason {
            CloseReason::Local | CloseReason::Peer => {
                tracing::debug!(client = self.shared.id, peer = %self.shared.peer, %reason, "client gone");
            }
            _ => {
                tracing::warn!(client = self.shared.id, peer = %self.shared.peer, %reason, "client disconnected");
            }
        }
        // What is left of its calls ends here, while the service is still there.
        self.calls.abort_all();
        let mut state = self.shared.lock();
        state.streams.disconnected();
        state.callbacks.clear();
        drop(state);
        self.shared.closed.send_replace(Some(reason.clone()));
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(_)) = self.calls.poll_join_next(cx) {}
        for _ in 0..ROUNDS {
            match self.round(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(reason) => {
                    self.end(&reason);
                    return Poll::Ready(());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A runtime that ends takes its tasks with it: whoever still waits for the client is told.
impl Drop for Driver {
    fn drop(&mut self) {
        if !self.ended {
            self.close(CloseReason::Local);
            self.end(&CloseReason::Local);
        }
    }
}

/// What the driver finds when it looks at the state.
struct Step {
    calls: Vec<IncomingCall>,
    reading: bool,
    deadline: Option<Time>,
    closed: Option<CloseReason>,
}

/// Why a transport's error ends the connection: a peer that resets has gone too.
fn lost(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
            CloseReason::Peer
        }
        _ => CloseReason::Transport(error.to_string()),
    }
}

fn panicked() -> Error {
    Error::internal("the service failed unexpectedly")
}

/// A call that is worked on: it is answered when the future is done or panics.
struct Work {
    shared: Arc<Shared>,
    id: CallId,
    future: ServiceFuture,
}

impl Future for Work {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let future = &mut self.future;
        let result: Result<Reply> = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result,
            Err(_) => {
                tracing::error!(client = self.shared.id, "a call panicked");
                Err(panicked())
            }
        };
        self.shared.answer(self.id, result);
        Poll::Ready(())
    }
}
