//! The driver: one connection's state machine behind a short lock, a task that reads, and whoever has something
//! to send writing it at once where nobody else does.
//!
//! A call's way: its task encodes it under the lock and mostly writes it itself; the driver's task reads the
//! answer, puts it into the call's slot and wakes the call's task, which decodes it. No lock is held while
//! anything is written, read, decoded or woken.

mod calls;
mod incoming;
mod links;
mod outgoing;
mod spares;
mod streams;
mod subscriptions;

pub(crate) use calls::PendingCall;
pub(crate) use links::{Attempt, Boxed, LinkWatch, Lost, Reopen};
pub use streams::Chunk;
pub(crate) use streams::{StreamBounds, StreamSlot};
pub(crate) use subscriptions::{Ended, Next, SubscriptionSlot};

use crate::trace::Note;
use crate::transport::{Privacy, Transport};
use calls::Waiter;
use incoming::Incoming;
use links::Links;
use outgoing::Outgoing;
use spares::Spares;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use streams::{Inlet, Pace};
use subscriptions::{Queue, QueueId};
use tokio::time::{Instant, Sleep};
#[cfg(feature = "sasl")]
use virtwire_proto::connection::SecurityLayer;
use virtwire_proto::connection::{
    Client, ClientConfig, ClientEvent, CloseReason, Keepalive, SerialMap, Time,
};
use virtwire_proto::packet::Serial;

/// How often the driver reads before it lets other tasks run.
const READS_A_TURN: usize = 16;
/// How often to look whether the peer has gone while nothing is read.
const HANGUP_CHECK: Duration = Duration::from_millis(500);
/// How often something is read where only those wait who wait for the connection's end.
const PROBE: Duration = Duration::from_secs(10);
/// How often a caller's task writes for others before the driver's has to.
const WRITES_A_TURN: usize = 4;
/// How many calls of woken tasks go into one write. Each write costs the kernel's time and the peer's; but the peer
/// works on what it has while the next are made.
const CALLS_A_WRITE: usize = 16;

/// A connection's state, shared by its handles and its driver.
pub(crate) struct Shared {
    state: Mutex<State>,
    start: Instant,
}

struct State {
    client: Client,
    waiters: SerialMap<Waiter>,
    /// How many calls are answered whose tasks have not run yet: they may have more to send.
    waking: usize,
    /// Which link this is, and what is to be done where it is lost.
    links: Links,
    /// How often something to be sent was left for such a task to send along.
    left_to_send: usize,
    /// Which queue a registration's events go to.
    subscriptions: BTreeMap<Serial, QueueId>,
    queues: BTreeMap<QueueId, Queue>,
    next_queue: QueueId,
    streams: BTreeMap<Serial, Inlet>,
    /// Memory for what comes on them.
    spares: Spares,
    bounds: StreamBounds,
    /// Who waits for room to send on a stream.
    senders: Vec<Waker>,
    /// Whether a consumer that takes nothing slows down the reading.
    throttled: bool,
    /// `None` once the connection has ended, and while it has no link.
    transport: Option<Arc<dyn Transport>>,
    /// What is being written. `None` while somebody writes it.
    outgoing: Option<Outgoing>,
    /// Whether the driver's task is to write: nobody else does then.
    blocked: bool,
    /// Why nothing can be written any more. What the peer sent before is still read.
    unwritable: Option<CloseReason>,
    driver: Option<Waker>,
    /// When the driver's timer ends.
    armed: Option<Time>,
    /// Whether what came behind a finished authentication is to be looked at, with the layer that is in place since.
    resumed: Option<Sealed>,
    /// Who waits for the connection's end.
    mourners: BTreeMap<u64, Waker>,
    next_mourner: u64,
    /// What is to be told to whoever traces, once the lock is not held.
    notes: Vec<Note>,
    /// Why the daemon says that its own connection to the hypervisor has ended (virConnectCloseReason).
    hypervisor_closed: Option<i32>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Shared")
            .field("pending_calls", &state.client.pending_calls())
            .field("subscriptions", &state.queues.len())
            .field("close_reason", &state.client.close_reason())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Starts to drive a connection, in a task of the current runtime.
    pub(crate) fn start(
        transport: Arc<dyn Transport>,
        config: ClientConfig,
        bounds: StreamBounds,
    ) -> Arc<Self> {
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                client: Client::new(config, Time::START),
                waiters: SerialMap::new(),
                waking: 0,
                links: Links::default(),
                left_to_send: 0,
                subscriptions: BTreeMap::new(),
                queues: BTreeMap::new(),
                next_queue: 0,
                streams: BTreeMap::new(),
                spares: Spares::default(),
                bounds,
                senders: Vec::new(),
                throttled: false,
                transport: Some(Arc::clone(&transport)),
                outgoing: Some(Outgoing::default()),
                blocked: false,
                unwritable: None,
                driver: None,
                armed: None,
                resumed: None,
                mourners: BTreeMap::new(),
                next_mourner: 0,
                notes: Vec::new(),
                hypervisor_closed: None,
            }),
            start: Instant::now(),
        });
        tokio::spawn(Driver::new(Arc::clone(&shared), transport, 0));
        shared
    }

    /// The time, as the state machine counts it.
    pub(crate) fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic leaves the state half changed; a waiter must not panic because another did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection: all that is open on it fails with `reason`.
    pub(crate) fn close(&self, reason: CloseReason) {
        let mut state = self.lock();
        state.client.close(reason);
        self.settle(state);
    }

    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.lock().client.close_reason().cloned()
    }

    /// Waits until the connection has ended.
    pub(crate) fn closed(&self) -> Closed<'_> {
        let mut state = self.lock();
        let id = state.next_mourner;
        state.next_mourner += 1;
        Closed { shared: self, id }
    }

    pub(crate) fn hypervisor_closed(&self) -> Option<i32> {
        self.lock().hypervisor_closed
    }

    pub(crate) fn start_keepalive(&self, settings: Keepalive) {
        let now = self.now();
        let mut state = self.lock();
        state.client.start_keepalive(settings, now);
        self.settle(state);
    }

    /// Whether others can read what is said.
    pub(crate) fn privacy(&self) -> Privacy {
        self.lock().transport.as_ref().map_or(Privacy::Unknown, |transport| transport.privacy())
    }

    /// Goes on behind a finished SASL authentication, with the layer that it has negotiated, if it has.
    #[cfg(feature = "sasl")]
    pub(crate) fn authenticated(&self, layer: Option<Box<dyn SecurityLayer>>) {
        let mut state = self.lock();
        if !state.client.is_held() {
            // The link was lost meanwhile: what was negotiated on it means nothing to the next.
            return;
        }
        state.resumed = Some(Sealed(layer.is_some()));
        state.client.authenticated(layer);
        let driver = state.driver.take();
        drop(state);
        driver.into_iter().for_each(Waker::wake);
    }

    /// After anything was done to the state machine: tells who is to be told, sees to it that the driver's timer is
    /// early enough, and that what is to be sent is being sent.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let mut wakes = Vec::new();
        state.deliver(&mut wakes);
        let notes = std::mem::take(&mut state.notes);
        if state.timer_is_late() || state.throttled {
            state.wake_driver(&mut wakes);
        }
        if state.client.pending_bytes() == 0
            || state.blocked
            || state.outgoing.is_none()
            || state.unwritable.is_some()
        {
            // Nothing to send, or nowhere to; or whoever writes now comes by again.
            drop(state);
        } else if state.waking > 0 && state.left_to_send + 1 < CALLS_A_WRITE {
            // Others run in a moment and may have more to send: one write for all. Where they do not, the driver
            // writes.
            state.left_to_send += 1;
            wakes.extend(state.driver.take());
            drop(state);
        } else {
            self.write(state, &mut wakes);
        }
        wakes.into_iter().for_each(Waker::wake);
        notes.into_iter().for_each(Note::tell);
    }

    /// Writes from the caller's task as much as goes without waiting.
    fn write<'a>(&'a self, mut state: MutexGuard<'a, State>, wakes: &mut Vec<Waker>) {
        let (Some(mut outgoing), Some(transport)) = (state.outgoing.take(), state.transport.clone()) else {
            return;
        };
        let link = state.links.current();
        for turn in 0.. {
            state.left_to_send = 0;
            outgoing.fill(&mut state.client);
            if outgoing.is_empty() || turn == WRITES_A_TURN {
                break;
            }
            drop(state);
            let result = outgoing.write(|out| transport.try_write(out));
            state = self.lock();
            if state.links.current() != link {
                // What is left was for a link that is no more.
                state.deliver(wakes);
                return;
            }
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    state.unwritable = Some(transport_failed(&error));
                    outgoing.clear();
                    break;
                }
            }
        }
        // The last of what was filled may have ended the link.
        state.deliver(wakes);
        if state.links.current() != link {
            return;
        }
        state.put_back(outgoing);
        state.wake_senders(wakes);
        if state.blocked || state.unwritable.is_some() {
            wakes.extend(state.driver.take());
        }
    }
}

/// Whether a security layer is in place.
#[derive(Debug, Clone, Copy)]
struct Sealed(bool);

fn runtime_ended() -> CloseReason {
    CloseReason::Transport("the runtime that drove the connection has ended".into())
}

fn transport_failed(error: &io::Error) -> CloseReason {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => CloseReason::Peer,
        _ => CloseReason::Transport(error.to_string()),
    }
}

/// Waits until a connection has ended.
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Future for Closed<'_> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.shared.lock();
        if let Some(reason) = state.client.close_reason() {
            return Poll::Ready(reason.clone());
        }
        let first = state.mourners.is_empty();
        state.mourners.insert(self.id, cx.waker().clone());
        // What is paused is read differently from now on.
        let driver = if first && state.throttled { state.driver.take() } else { None };
        drop(state);
        driver.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.shared.lock().mourners.remove(&self.id);
    }
}

impl State {
    /// Ends a turn of writing: what is left is the driver's.
    fn put_back(&mut self, mut outgoing: Outgoing) {
        if self.transport.is_none() || self.unwritable.is_some() {
            outgoing.clear();
        }
        self.blocked = !outgoing.is_empty();
        self.outgoing = Some(outgoing);
    }

    fn timer_is_late(&self) -> bool {
        match (self.client.deadline(), self.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Takes what has happened to those that it happened to.
    fn deliver(&mut self, wakes: &mut Vec<Waker>) {
        while let Some(event) = self.client.event() {
            match event {
                ClientEvent::Reply { serial, result } => self.deliver_reply(serial, result, wakes),
                ClientEvent::Message { subscription: Some(serial), procedure, payload } => {
                    let lagging =
                        self.queue_of(serial).is_some_and(|queue| queue.push(procedure, payload, wakes));
                    if lagging {
                        self.note(Note::Lagging);
                    }
                }
                ClientEvent::Message { subscription: None, procedure, payload } => {
                    self.take_unsubscribed(procedure, payload, wakes);
                }
                ClientEvent::EventsLost { subscription, count } => {
                    if let Some(queue) = self.queue_of(subscription) {
                        queue.lose_early(count, wakes);
                        self.note(Note::EventsLost(count));
                    }
                }
                ClientEvent::Stream { serial, event } => self.deliver_stream(serial, event, wakes),
                ClientEvent::Unexpected { header } => self.note(Note::Unexpected(header)),
                ClientEvent::Lost { reason } => self.lose(reason, wakes),
                ClientEvent::Closed { reason } => self.end(&reason, wakes),
                _ => {}
            }
        }
    }

    fn note(&mut self, note: Note) {
        if note.is_wanted() {
            self.notes.push(note);
        }
    }

    fn end(&mut self, reason: &CloseReason, wakes: &mut Vec<Waker>) {
        self.note(Note::Closed(reason.clone()));
        self.transport = None;
        self.blocked = false;
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.clear();
        }
        for queue in self.queues.values_mut() {
            queue.end(reason.clone(), wakes);
        }
        wakes.extend(std::mem::take(&mut self.mourners).into_values());
        wakes.append(&mut self.senders);
        self.links.end(wakes);
        self.wake_driver(wakes);
    }

    /// Wakes who drives the connection: its driver, or who looks for a new link.
    fn wake_driver(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.driver.take());
        self.links.wake(wakes);
    }
}

impl Shared {
    /// Does what is due, and has the timer end when something is due next.
    fn poll_timer(&self, timer: &mut Pin<Box<Sleep>>, wakes: &mut Vec<Waker>, cx: &mut Context<'_>) {
        loop {
            let now = self.now();
            let mut state = self.lock();
            if state.client.deadline().is_some_and(|deadline| deadline <= now) {
                state.client.timeout(now);
                state.deliver(wakes);
            }
            let Some(deadline) = state.client.deadline() else {
                state.armed = None;
                return;
            };
            // A timer that ends too early costs a look at the clock; setting it at each packet would cost more.
            let armed = match state.armed {
                Some(armed) if armed <= deadline && armed > now => armed,
                _ => deadline,
            };
            state.armed = Some(armed);
            drop(state);
            let at = self.start + (armed - Time::START);
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }
}

/// The task that reads, keeps time, and writes what others could not.
struct Driver {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    /// Which link this drives.
    link: u64,
    incoming: Incoming,
    timer: Pin<Box<Sleep>>,
    /// What the driver's task writes. `None` while it has nothing to write.
    outgoing: Option<Outgoing>,
    /// Whether the last turn left it to woken tasks to write.
    waits_for_woken: bool,
    /// Whether the transport may hold back something that was written.
    unflushed: bool,
    /// When to read next, where reading is slowed down.
    pause: Option<Pin<Box<Sleep>>>,
    /// When to read next for the sake of those who wait for the end.
    probe: Option<Instant>,
    /// Whether all that had come was read the last time.
    drained: bool,
    /// Whether the peer has gone: what it left is read at once, whoever takes it.
    gone: bool,
    wakes: Vec<Waker>,
}

impl Driver {
    fn new(shared: Arc<Shared>, transport: Arc<dyn Transport>, link: u64) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(shared.start));
        Self {
            shared,
            transport,
            link,
            incoming: Incoming::new(),
            timer,
            outgoing: None,
            waits_for_woken: false,
            unflushed: false,
            pause: None,
            probe: None,
            drained: false,
            gone: false,
            wakes: Vec::new(),
        }
    }

    /// Writes until nothing is left, or the transport takes no more for now.
    fn poll_write(&mut self, cx: &mut Context<'_>) {
        loop {
            let mut state = self.shared.lock();
            if state.links.current() != self.link {
                return;
            }
            if state.waking > 0 && state.left_to_send > 0 && !self.waits_for_woken {
                // Woken in front of those that were left to send. They get one turn.
                self.waits_for_woken = true;
                cx.waker().wake_by_ref();
                return;
            }
            self.waits_for_woken = false;
            let Some(mut outgoing) = self.outgoing.take().or_else(|| state.outgoing.take()) else {
                return;
            };
            state.left_to_send = 0;
            outgoing.fill(&mut state.client);
            state.deliver(&mut self.wakes);
            if state.links.current() != self.link {
                return;
            }
            state.wake_senders(&mut self.wakes);
            if outgoing.is_empty() || state.transport.is_none() || state.unwritable.is_some() {
                state.put_back(outgoing);
                break;
            }
            state.blocked = true;
            drop(state);
            let transport = &*self.transport;
            let result = outgoing.write(|out| match transport.poll_write(cx, out) {
                Poll::Ready(result) => result,
                Poll::Pending => Err(ErrorKind::WouldBlock.into()),
            });
            self.outgoing = Some(outgoing);
            self.unflushed = true;
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => self.unwritable(cx, &error),
            }
        }
        if self.unflushed {
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.unwritable(cx, &error),
                Poll::Pending => {}
            }
        }
    }

    /// Reads, as often as a turn and slow consumers allow; what came is with those it is for afterwards.
    fn poll_read(&mut self, cx: &mut Context<'_>) {
        for _ in 0..READS_A_TURN {
            if self.poll_pace(cx).is_pending() {
                return;
            }
            if let Some(len) = self.incoming.lacks()
                && let Some(memory) = self.shared.lock().spares.take(len)
            {
                self.incoming.move_into(memory);
            }
            match self.incoming.poll_read(cx, &*self.transport) {
                Poll::Pending => {
                    self.incoming.settle();
                    if self.probe.is_some() && !std::mem::replace(&mut self.drained, true) {
                        // From here on silence counts again.
                        cx.waker().wake_by_ref();
                    }
                    return self.fail_unwritable();
                }
                Poll::Ready(Ok(0)) => return self.fail(CloseReason::Peer),
                Poll::Ready(Err(error)) => return self.fail(transport_failed(&error)),
                Poll::Ready(Ok(_)) if self.receive() => {}
                Poll::Ready(Ok(_)) => return,
            }
            // Before more is read, so that who waits can go on.
            self.wakes.drain(..).for_each(Waker::wake);
        }
        cx.waker().wake_by_ref();
    }

    /// Ready when something may be read.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        // Held: whoever authenticates says in a moment how to go on; until then nothing is piled up.
        if state.links.current() != self.link || state.client.is_held() {
            return Poll::Pending;
        }
        let pace = state.pace();
        let throttled = pace != Pace::Free;
        if pace != Pace::Probed {
            self.probe = None;
            self.drained = false;
        }
        if throttled || state.throttled {
            let now = self.shared.now();
            state.throttled = throttled;
            // The silence of a peer that nobody listens to says nothing.
            let reading = pace != Pace::Paused && (pace != Pace::Probed || self.drained);
            state.client.set_reading(reading, now);
        }
        drop(state);
        let wait = match pace {
            _ if self.gone => return Poll::Ready(()),
            Pace::Free => {
                self.pause = None;
                return Poll::Ready(());
            }
            Pace::Slow(wait) => wait,
            Pace::Probed if self.drained => return Poll::Ready(()),
            Pace::Probed | Pace::Paused => HANGUP_CHECK,
        };
        let idle = matches!(pace, Pace::Probed | Pace::Paused);
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        // Shorter where somebody began to wait meanwhile.
        let latest = Instant::now() + wait;
        if pause.deadline() > latest {
            pause.as_mut().reset(latest);
        }
        while pause.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            pause.as_mut().reset(now + wait);
            self.gone = idle && self.transport.hung_up();
            let due = pace == Pace::Probed && now >= *self.probe.get_or_insert(now + PROBE);
            if due {
                self.probe = Some(now + PROBE);
            }
            if !idle || self.gone || due {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Looks at what came behind a finished authentication, once it is known whether it is sealed.
    fn resume(&mut self) {
        let mut state = self.shared.lock();
        if state.links.current() == self.link
            && let Some(Sealed(sealed)) = state.resumed.take()
        {
            drop(state);
            self.incoming.plain = !sealed;
            self.receive();
        }
    }

    /// Takes what was read; whether more is to be read on this link.
    fn receive(&mut self) -> bool {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        if state.links.current() != self.link {
            return false;
        }
        self.drained = false;
        let Incoming { bytes, descriptors, .. } = &mut self.incoming;
        // Why the connection ends is told to all by its event.
        let received = state.client.receive(bytes, descriptors, now);
        state.deliver(&mut self.wakes);
        received.is_ok()
    }

    /// Nothing can be written any more. What the peer sent before it left is read first: it may say why.
    fn unwritable(&mut self, cx: &mut Context<'_>, error: &io::Error) {
        self.unflushed = false;
        let mut state = self.shared.lock();
        if state.links.current() == self.link {
            state.unwritable = Some(transport_failed(error));
            cx.waker().wake_by_ref();
        }
    }

    fn fail_unwritable(&mut self) {
        let mut state = self.shared.lock();
        if state.links.current() == self.link
            && let Some(reason) = state.unwritable.take()
        {
            state.client.lose(reason);
            state.deliver(&mut self.wakes);
        }
    }

    fn fail(&mut self, reason: CloseReason) {
        let mut state = self.shared.lock();
        if state.links.current() == self.link {
            state.client.lose(reason);
            state.deliver(&mut self.wakes);
        }
    }

    /// Whether there is nothing more to drive: otherwise `wake` says who is to be woken when there is. Where the link
    /// is lost, somebody is sent to find another.
    fn is_over(&self, wake: Option<&Context<'_>>) -> bool {
        let mut state = self.shared.lock();
        let notes = std::mem::take(&mut state.notes);
        let over = state.client.close_reason().is_some() || state.links.current() != self.link;
        if let Some(cx) = wake.filter(|_| !over) {
            match &mut state.driver {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                waker => *waker = Some(cx.waker().clone()),
            }
        }
        let orphan = state.links.take_orphan();
        drop(state);
        if let Some(reopen) = orphan {
            tokio::spawn(links::relink(Arc::clone(&self.shared), reopen));
        }
        notes.into_iter().for_each(Note::tell);
        over
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.is_over(Some(cx)) {
            return Poll::Ready(());
        }
        this.shared.poll_timer(&mut this.timer, &mut this.wakes, cx);
        this.resume();
        this.poll_read(cx);
        this.poll_write(cx);
        this.wakes.drain(..).for_each(Waker::wake);
        if this.is_over(None) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Also where the runtime ends before the connection does: nobody may wait for ever.
impl Drop for Driver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.links.current() == self.link {
            state.client.close(runtime_ended());
            state.deliver(&mut self.wakes);
            state.driver = None;
        }
        let notes = std::mem::take(&mut state.notes);
        drop(state);
        self.wakes.drain(..).for_each(Waker::wake);
        notes.into_iter().for_each(Note::tell);
    }
}
