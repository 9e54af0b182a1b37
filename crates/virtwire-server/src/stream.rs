//! Streams, as a service sees them: the handles, and what each has received.

use crate::connection::{Shared, State};
use crate::error::Error;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use virtwire_proto::connection::{CallId, Server as Machine, ServerStreamEvent};
use virtwire_proto::program::{Procedure, StreamDirection};

/// What comes on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamItem {
    /// Data. Its memory may be a part of what was read at once: copy what is to be kept.
    Data(Bytes),
    /// A hole of this many bytes, which read as zeros. On a stream that was not opened sparse, an error: it is
    /// the service's to [fail](Stream::fail) it.
    Hole(i64),
}

/// Why a stream does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The client has given it up, and has been told that it is gone.
    #[error("the client has aborted the stream")]
    Aborted,
    /// The client has finished it before all was sent. Dropping the handle confirms that.
    #[error("the client has finished the stream")]
    Finished,
    /// The call that should open it was answered with an error, or never.
    #[error("the call that opens the stream has failed")]
    NotOpened,
    /// The connection has ended.
    #[error("the connection has ended")]
    Disconnected,
}

/// A stream that a call opens: both of its ends.
///
/// It is open once its call has been answered, so whatever feeds or drains it belongs in a task of its own;
/// until then its methods wait. Every stream has to be ended: by [`finish`](Self::finish) or by
/// [`fail`](Self::fail). Dropping it ends it too: it fails, except where the client itself has finished
/// reading from it, which is confirmed.
///
/// # Examples
/// ```no_run
/// # use virtwire_server::{Stream, StreamError};
/// async fn download(mut stream: Stream, parts: Vec<bytes::Bytes>) -> Result<(), StreamError> {
///     for part in parts {
///         stream.send(part).await?;
///     }
///     stream.finish().await
/// }
/// ```
#[derive(Debug)]
#[must_use = "a stream fails when it is dropped"]
pub struct Stream {
    sender: StreamSender,
    receiver: StreamReceiver,
}

impl Stream {
    pub(crate) fn new(shared: &Arc<Shared>, procedure: &'static Procedure, id: CallId) -> Self {
        shared.lock().streams.slots.insert(id, Slot::new(procedure.stream == StreamDirection::Read));
        let end = Arc::new(End { shared: Arc::clone(shared), id });
        Self { sender: StreamSender { end: Arc::clone(&end) }, receiver: StreamReceiver { end } }
    }

    /// As [`StreamSender::send`].
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn send(&mut self, data: Bytes) -> Result<(), StreamError> {
        self.sender.send(data).await
    }

    /// As [`StreamSender::send_hole`].
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn send_hole(&mut self, length: i64) -> Result<(), StreamError> {
        self.sender.send_hole(length).await
    }

    /// As [`StreamReceiver::receive`].
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn receive(&mut self) -> Result<Option<StreamItem>, StreamError> {
        self.receiver.receive().await
    }

    /// As [`StreamSender::finish`].
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn finish(self) -> Result<(), StreamError> {
        let Self { sender, receiver } = self;
        drop(receiver);
        sender.finish().await
    }

    /// Ends it with an error, which the client gets. Does nothing where it has ended already.
    pub fn fail(self, error: Error) {
        self.sender.end.fail(error);
    }

    /// Both ends for two tasks, for a console. The stream ends with the second that is dropped.
    pub fn split(self) -> (StreamSender, StreamReceiver) {
        (self.sender, self.receiver)
    }
}

/// The end of a stream that sends to the client.
#[derive(Debug)]
pub struct StreamSender {
    end: Arc<End>,
}

impl StreamSender {
    /// Sends data, once less waits for the client than the connection's
    /// [window](crate::Config::stream_window). No data sends nothing.
    ///
    /// Cancel safe: dropped before it is done, it has sent nothing.
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn send(&mut self, data: Bytes) -> Result<(), StreamError> {
        self.end.put(|machine, id| machine.send(id, data.clone())).await
    }

    /// Sends a hole of `length` bytes, on a stream that the client asked to be sparse.
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn send_hole(&mut self, length: i64) -> Result<(), StreamError> {
        self.end.put(|machine, id| machine.send_hole(id, length, 0)).await
    }

    /// Ends the stream well.
    ///
    /// Where the client reads, says that all was sent and waits until the client has finished too. Where the
    /// client writes, waits until it has finished; what it has sent and was not received is lost. Then
    /// confirms it to the client.
    ///
    /// # Errors
    /// The stream does not go on: the client has not seen it end well.
    pub async fn finish(self) -> Result<(), StreamError> {
        let mut ended = false;
        poll_fn(|cx| self.end.poll_finish(cx, &mut ended)).await
    }

    /// As [`Stream::fail`].
    pub fn fail(self, error: Error) {
        self.end.fail(error);
    }
}

/// The end of a stream that receives from the client.
///
/// Once it is dropped, what the client sends is thrown away.
#[derive(Debug)]
pub struct StreamReceiver {
    end: Arc<End>,
}

impl StreamReceiver {
    /// What comes next; nothing once the client has finished, and then the stream is to be
    /// [finished](StreamSender::finish) or [failed](StreamSender::fail).
    ///
    /// While more than the connection's [window](crate::Config::stream_window) waits to be received, nothing
    /// more is taken from the client, calls included: the protocol has no other way to hold a stream back.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// The stream does not go on.
    pub async fn receive(&mut self) -> Result<Option<StreamItem>, StreamError> {
        poll_fn(|cx| self.end.poll_receive(cx)).await
    }
}

impl Drop for StreamReceiver {
    fn drop(&mut self) {
        let end = &self.end;
        end.shared.change(|state| {
            if let Some(slot) = state.streams.slots.get_mut(&end.id) {
                slot.discard = true;
                slot.clear();
            }
        });
    }
}

/// What both ends hold; the last to go ends the stream.
#[derive(Debug)]
struct End {
    shared: Arc<Shared>,
    id: CallId,
}

impl End {
    /// Has the machine send something once there is room.
    async fn put<E>(
        &self,
        mut send: impl FnMut(&mut Machine, CallId) -> Result<(), E>,
    ) -> Result<(), StreamError> {
        poll_fn(|cx| {
            let window = self.shared.config.stream_window;
            let mut state = self.shared.lock();
            let full = state.waiting() >= window;
            let State { streams, machine, .. } = &mut *state;
            let Some(slot) = streams.slots.get_mut(&self.id) else {
                return Poll::Ready(Err(StreamError::Disconnected));
            };
            match &slot.phase {
                Phase::Ended(error) => return Poll::Ready(Err(error.clone())),
                Phase::Open if slot.finished => return Poll::Ready(Err(StreamError::Finished)),
                Phase::Open if !full => {}
                Phase::Open | Phase::Opening => {
                    wait(&mut slot.sender, cx);
                    return Poll::Pending;
                }
            }
            // Fails only where the connection has ended in this moment.
            let sent = send(machine, self.id).map_err(|_| StreamError::Disconnected);
            drop(state);
            self.shared.change(|_| ());
            Poll::Ready(sent)
        })
        .await
    }

    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Result<Option<StreamItem>, StreamError>> {
        let window = self.shared.config.stream_window;
        let mut state = self.shared.lock();
        let Some(slot) = state.streams.slots.get_mut(&self.id) else {
            return Poll::Ready(Err(StreamError::Disconnected));
        };
        if let Phase::Ended(error) = &slot.phase {
            return Poll::Ready(Err(error.clone()));
        }
        let Some(item) = slot.inbox.pop_front() else {
            if slot.finished {
                return Poll::Ready(Ok(None));
            }
            wait(&mut slot.receiver, cx);
            return Poll::Pending;
        };
        let was_full = slot.inbox_bytes > window;
        slot.inbox_bytes -= cost(&item);
        let is_full = slot.inbox_bytes > window;
        drop(state);
        if was_full && !is_full {
            self.shared.change(|_| ());
        }
        Poll::Ready(Ok(Some(item)))
    }

    fn poll_finish(&self, cx: &mut Context<'_>, ended: &mut bool) -> Poll<Result<(), StreamError>> {
        let mut state = self.shared.lock();
        let State { streams, machine, .. } = &mut *state;
        let Some(slot) = streams.slots.get_mut(&self.id) else {
            return Poll::Ready(Err(StreamError::Disconnected));
        };
        match &slot.phase {
            Phase::Ended(error) => return Poll::Ready(Err(error.clone())),
            Phase::Open if slot.finished => {
                // Fails only where the connection has ended in this moment.
                let confirmed = machine.confirm(self.id).map_err(|_| StreamError::Disconnected);
                slot.phase = Phase::Ended(StreamError::Finished);
                drop(state);
                self.shared.change(|_| ());
                return Poll::Ready(confirmed);
            }
            Phase::Open | Phase::Opening => {}
        }
        wait(&mut slot.sender, cx);
        let say_so = slot.phase == Phase::Open && slot.read && !*ended;
        if say_so {
            *ended = true;
            let said = machine.end(self.id);
            drop(state);
            self.shared.change(|_| ());
            if said.is_err() {
                return Poll::Ready(Err(StreamError::Disconnected));
            }
        }
        Poll::Pending
    }

    /// Ends the stream by an error.
    fn fail(&self, error: Error) {
        self.shared.change(|state| {
            let State { streams, machine, .. } = state;
            let Some(slot) = streams.slots.get_mut(&self.id) else { return };
            match slot.phase {
                Phase::Opening => slot.failure = Some(error),
                Phase::Open => {
                    // Fails only where the stream has ended in this moment.
                    let _ = machine.fail(self.id, error.message());
                    slot.end(StreamError::Disconnected);
                }
                Phase::Ended(_) => {}
            }
        });
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.change(|state| {
            let State { streams, machine, .. } = state;
            let Some(slot) = streams.slots.get_mut(&self.id) else { return };
            if slot.phase == Phase::Opening {
                slot.dropped = true;
                return;
            }
            if let Some(slot) = streams.slots.remove(&self.id) {
                slot.abandon(self.id, machine);
            }
        });
    }
}

fn wait(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// What an item counts: a hole is a packet too.
fn cost(item: &StreamItem) -> usize {
    match item {
        StreamItem::Data(data) => data.len().max(32),
        StreamItem::Hole(_) => 32,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Its call has not been answered.
    Opening,
    Open,
    Ended(StreamError),
}

/// One stream.
#[derive(Debug)]
struct Slot {
    phase: Phase,
    /// Whether the client reads from it.
    read: bool,
    inbox: VecDeque<StreamItem>,
    inbox_bytes: usize,
    /// Whether the client has finished it.
    finished: bool,
    /// Whether nobody receives.
    discard: bool,
    /// Whether the handles went while it was opening.
    dropped: bool,
    /// What it fails with once it is open.
    failure: Option<Error>,
    sender: Option<Waker>,
    receiver: Option<Waker>,
}

impl Slot {
    fn new(read: bool) -> Self {
        Self {
            phase: Phase::Opening,
            read,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            finished: false,
            discard: false,
            dropped: false,
            failure: None,
            sender: None,
            receiver: None,
        }
    }

    fn clear(&mut self) {
        self.inbox.clear();
        self.inbox_bytes = 0;
    }

    fn wake(&mut self) {
        for waker in [self.sender.take(), self.receiver.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn end(&mut self, error: StreamError) {
        self.phase = Phase::Ended(error);
        self.clear();
        self.wake();
    }

    /// Ends the stream on the wire when its handles have gone.
    fn abandon(self, id: CallId, machine: &mut Machine) {
        // Fails only where the stream has ended, and then there is nothing to end.
        let _ = match (&self.phase, self.failure) {
            (Phase::Ended(_), _) => Ok(()),
            (_, None) if self.finished && self.read => machine.confirm(id),
            (_, failure) => {
                let error = failure.unwrap_or_else(|| Error::rpc("stream had unexpected termination"));
                machine.fail(id, error.message())
            }
        };
    }
}

/// The streams of one connection.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: BTreeMap<CallId, Slot>,
}

impl Streams {
    /// A call has been answered: where it opens a stream, that is open, or never will be.
    pub(crate) fn answered(&mut self, id: CallId, succeeded: bool, machine: &mut Machine) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if !succeeded {
            slot.end(StreamError::NotOpened);
        } else {
            slot.phase = Phase::Open;
            slot.wake();
            if !slot.dropped && slot.failure.is_some() {
                let error = slot.failure.take().unwrap_or_else(|| Error::rpc("stream had I/O failure"));
                // Fails only where the connection has ended in this moment.
                let _ = machine.fail(id, error.message());
                slot.end(StreamError::Disconnected);
            }
        }
        if slot.dropped
            && let Some(slot) = self.slots.remove(&id)
        {
            slot.abandon(id, machine);
        }
    }

    /// Something came from the client.
    pub(crate) fn take(&mut self, id: CallId, event: ServerStreamEvent) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let item = match event {
            ServerStreamEvent::Data(data) => StreamItem::Data(data),
            ServerStreamEvent::Hole { length, .. } => StreamItem::Hole(length),
            ServerStreamEvent::Finish => {
                slot.finished = true;
                return slot.wake();
            }
            _ => return slot.end(StreamError::Aborted),
        };
        if slot.discard {
            return;
        }
        slot.inbox_bytes += cost(&item);
        slot.inbox.push_back(item);
        if let Some(receiver) = slot.receiver.take() {
            receiver.wake();
        }
    }

    /// Whether more waits to be received on some stream than should.
    pub(crate) fn full(&self, window: usize) -> bool {
        self.slots.values().any(|slot| slot.inbox_bytes > window)
    }

    /// There is room to send.
    pub(crate) fn wake_senders(&mut self) {
        for slot in self.slots.values_mut() {
            if slot.phase == Phase::Open
                && let Some(sender) = slot.sender.take()
            {
                sender.wake();
            }
        }
    }

    /// The connection has ended.
    pub(crate) fn disconnected(&mut self) {
        for slot in self.slots.values_mut() {
            slot.end(StreamError::Disconnected);
        }
        self.slots.retain(|_, slot| !slot.dropped);
    }
}
