//! Streams that wait: what came for each consumer, and how fast may be read while one of them does not take it.
//!
//! The wire has no window for a stream: only reading less of the whole connection slows its sender down. So while
//! a consumer leaves more than a window's worth untaken:
//! - and nobody waits for anything else on the connection, nothing is read, or just enough to see sooner or later
//!   that the peer is dead, where somebody waits for that;
//! - and somebody does, less and less is read, so that calls are still answered, and a consumer that is merely
//!   slow comes to a pace that it can keep;
//! - until, at a hard limit, its stream is given up.

use super::{PendingCall, Shared, State};
use crate::Error;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use virtwire_proto::connection::{CallError, Client, SendError, StreamEvent, StreamFailure, Time};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::Procedure;

/// A stream's sender waits while the connection has this many bytes to send.
const MOST_UNSENT: usize = 1024 * 1024;
/// Data shorter than this is kept in memory of its own: it may be a small part of what was read together.
const COPIED_LEN: usize = 2048;

/// What keeping a part of a stream takes beside its data: many small parts count for what they are.
const CHUNK_COST: usize = 64;

/// How much of a stream is kept for a consumer that does not take it, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamBounds {
    /// From here on its sender is slowed down.
    pub(crate) window: usize,
    /// At more it is given up.
    pub(crate) limit: usize,
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Data.
    Data(Bytes),
    /// This many bytes that read as zeros, and take no room: a hole in a sparse stream.
    Hole(u64),
}

impl Chunk {
    /// How much memory it counts for.
    fn cost(&self) -> usize {
        match self {
            Self::Data(data) => data.len() + CHUNK_COST,
            Self::Hole(_) => CHUNK_COST,
        }
    }
}

/// How a stream has ended.
#[derive(Debug)]
enum End {
    /// The server has confirmed that it is finished.
    Finished,
    Failed(StreamFailure),
    Stalled {
        buffered: usize,
    },
}

/// One stream's end of the connection.
#[derive(Debug)]
pub(super) struct Inlet {
    procedure: &'static Procedure,
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// Whether what still comes is wanted by nobody.
    unwanted: bool,
    end: Option<End>,
    /// Who waits for data.
    reader: Option<Waker>,
    /// Who waits for the end.
    finisher: Option<Waker>,
}

impl Inlet {
    fn new(procedure: &'static Procedure) -> Self {
        Self {
            procedure,
            chunks: VecDeque::new(),
            bytes: 0,
            unwanted: false,
            end: None,
            reader: None,
            finisher: None,
        }
    }

    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.cost();
        self.chunks.push_back(chunk);
    }

    fn end(&mut self, end: End, wakes: &mut Vec<Waker>) {
        self.end = Some(end);
        wakes.extend(self.reader.take());
        wakes.extend(self.finisher.take());
    }

    fn result(&self, limit: usize) -> Option<Result<(), Error>> {
        Some(match self.end.as_ref()? {
            End::Finished => Ok(()),
            End::Failed(failure) => Err(Error::from_stream(self.procedure, failure.clone())),
            &End::Stalled { buffered } => Err(Error::Stalled { buffered, limit }),
        })
    }
}

/// How the connection is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// As fast as it comes.
    Free,
    /// A little, after each of these.
    Slow(Duration),
    /// Now and then, for the sake of those who wait for the connection's end.
    Probed,
    /// Not at all.
    Paused,
}

impl State {
    pub(super) fn deliver_stream(&mut self, serial: Serial, event: StreamEvent, wakes: &mut Vec<Waker>) {
        let Some(inlet) = self.streams.get_mut(&serial) else { return };
        match event {
            StreamEvent::Data(_) | StreamEvent::Hole { .. } if inlet.unwanted => {}
            StreamEvent::Data(data) => {
                let data = if data.len() < COPIED_LEN { Bytes::copy_from_slice(&data) } else { data };
                self.spares.keep(&data);
                inlet.push(Chunk::Data(data));
                wakes.extend(inlet.reader.take());
                if inlet.bytes > self.bounds.limit {
                    let buffered = inlet.bytes;
                    inlet.chunks.clear();
                    inlet.bytes = 0;
                    inlet.end(End::Stalled { buffered }, wakes);
                    self.client.abort(serial);
                }
            }
            StreamEvent::Hole { length, .. } => {
                // A hole next to a hole is one: however many come, they take no memory.
                let length = u64::try_from(length).unwrap_or(0);
                if let Some(Chunk::Hole(before)) = inlet.chunks.back_mut() {
                    *before = before.saturating_add(length);
                } else {
                    inlet.push(Chunk::Hole(length));
                }
                wakes.extend(inlet.reader.take());
            }
            // All has come: the server waits to be told so, and confirms it.
            StreamEvent::End => drop(self.client.finish(serial)),
            StreamEvent::Finished => inlet.end(End::Finished, wakes),
            StreamEvent::Failed(failure) => inlet.end(End::Failed(failure), wakes),
            _ => {}
        }
    }

    /// How fast to read, given what consumers have not taken.
    pub(super) fn pace(&self) -> Pace {
        // Of a stream that has ended nothing more comes.
        let open = self.streams.values().filter(|inlet| inlet.end.is_none());
        let most = open.map(|inlet| inlet.bytes).max().unwrap_or(0);
        let Some(excess) = most.checked_sub(self.bounds.window).filter(|&excess| excess > 0) else {
            return Pace::Free;
        };
        let awaited = self.client.pending_calls() > 0
            || self.queues.values().any(super::Queue::awaited)
            || self.streams.values().any(|inlet| inlet.reader.is_some() || inlet.finisher.is_some());
        if !awaited {
            return if self.mourners.is_empty() && !self.links.watched() {
                Pace::Paused
            } else {
                Pace::Probed
            };
        }
        // Twice as long for each sixteenth of the way to the limit, up to a second: whatever pace a consumer has,
        // there is one on the way that it can keep.
        let sixteenth = ((self.bounds.limit - self.bounds.window) / 16).max(1);
        let doublings = u32::try_from(excess / sixteenth).unwrap_or(u32::MAX).min(10);
        Pace::Slow(Duration::from_millis(1 << doublings).min(Duration::from_secs(1)))
    }

    /// Wakes those who wait to send, where there is room.
    pub(super) fn wake_senders(&mut self, wakes: &mut Vec<Waker>) {
        if !self.senders.is_empty() && (self.client.pending_bytes() < MOST_UNSENT || self.transport.is_none())
        {
            wakes.append(&mut self.senders);
        }
    }
}

impl Shared {
    /// Starts a call that opens a stream, and the stream's end of the connection.
    pub(crate) fn open_stream(
        self: &Arc<Self>,
        procedure: &'static Procedure,
        call: impl FnOnce(&mut Client, Time) -> Result<Serial, CallError>,
    ) -> Result<(StreamSlot, PendingCall<'_>), CallError> {
        let now = self.now();
        let mut state = self.lock();
        let serial = call(&mut state.client, now)?;
        state.waiters.insert(serial, Default::default());
        state.streams.insert(serial, Inlet::new(procedure));
        self.settle(state);
        Ok((StreamSlot { shared: Arc::clone(self), serial }, PendingCall::new(self, serial, Some(procedure))))
    }
}

/// A stream, as its consumer holds it. Dropping it gives the stream up where it has not ended.
#[derive(Debug)]
pub(crate) struct StreamSlot {
    shared: Arc<Shared>,
    serial: Serial,
}

impl StreamSlot {
    /// What came next; `None` behind the last, once the server has confirmed the end.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, Error>> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(inlet) = state.streams.get_mut(&self.serial) else { return Poll::Ready(Ok(None)) };
        if let Some(chunk) = inlet.chunks.pop_front() {
            inlet.bytes -= chunk.cost();
            let driver = state.take_throttled_driver();
            drop(guard);
            wake(driver);
            return Poll::Ready(Ok(Some(chunk)));
        }
        if let Some(result) = inlet.result(state.bounds.limit) {
            return Poll::Ready(result.map(|()| None));
        }
        let driver = register(&mut inlet.reader, cx).then(|| state.take_throttled_driver()).flatten();
        drop(guard);
        wake(driver);
        Poll::Pending
    }

    /// Ready when there is room for more to send.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.client.pending_bytes() < MOST_UNSENT {
            return Poll::Ready(());
        }
        if !state.senders.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(crate) fn send(&self, data: Bytes) -> Result<(), Error> {
        self.put(|client, serial| client.send(serial, data))
    }

    pub(crate) fn send_hole(&self, length: i64) -> Result<(), Error> {
        self.put(|client, serial| client.send_hole(serial, length, 0))
    }

    /// Tells the server that all was sent, or that no more is wanted. Nothing happens where it knows already.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        match self.put(|client, serial| client.finish(serial)) {
            // The end, and whatever it was, is to be seen by who waits for it.
            Err(Error::StreamEnded) => Ok(()),
            result => result,
        }
    }

    /// Ready once the stream has ended, with how it has.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        let Some(inlet) = state.streams.get_mut(&self.serial) else { return Poll::Ready(Ok(())) };
        if let Some(result) = inlet.result(state.bounds.limit) {
            return Poll::Ready(result);
        }
        inlet.unwanted = true;
        inlet.chunks.clear();
        inlet.bytes = 0;
        register(&mut inlet.finisher, cx);
        let driver = state.take_throttled_driver();
        drop(guard);
        wake(driver);
        Poll::Pending
    }

    fn put(&self, put: impl FnOnce(&mut Client, Serial) -> Result<(), SendError>) -> Result<(), Error> {
        let mut state = self.shared.lock();
        let result = put(&mut state.client, self.serial).map_err(|error| {
            // Where the stream has failed, that is what the sender has to know.
            let limit = state.bounds.limit;
            let failed = state.streams.get(&self.serial).and_then(|inlet| inlet.result(limit)?.err());
            failed.unwrap_or_else(|| Error::from_send(error))
        });
        self.shared.settle(state);
        result
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let Some(inlet) = state.streams.remove(&self.serial) else { return };
        if state.streams.is_empty() {
            state.spares.clear();
        }
        if inlet.end.is_none() {
            state.client.abort(self.serial);
        }
        self.shared.settle(state);
    }
}

impl State {
    fn take_throttled_driver(&mut self) -> Option<Waker> {
        if self.throttled { self.driver.take() } else { None }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Registers who waits; whether nobody did before.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) -> bool {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => false,
        slot => slot.replace(cx.waker().clone()).is_none(),
    }
}
