//! Links: what carries a connection, one behind the other where it is to outlast one.
//!
//! Where a link is lost, the driver's task ends, and a task takes its place that looks for a new one: it connects,
//! says again what opens a connection, registers again for events, and only then lets calls go on. Everything else
//! stays where it is: the state machine, whose serials go on counting, and all that waits.

use super::{Driver, Outgoing, Shared, State, runtime_ended};
use crate::connection::{Gap, LinkEvent};
use crate::trace::Note;
use crate::transport::Transport;
use crate::{Error, Result};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;
use tokio::time::Instant;
use virtwire_proto::connection::{CallOptions, CloseReason};
use virtwire_proto::packet::Serial;

/// How many changes of the link are kept for each who watches it.
const MOST_EVENTS: usize = 64;

pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a new link is found in place of one that was lost.
pub(crate) trait Reopen: fmt::Debug + Send + Sync {
    /// Finds one, or gives up.
    fn reopen(self: Arc<Self>, lost: Lost) -> Boxed<'static, ()>;
}

#[derive(Debug, Default)]
pub(super) struct Links {
    /// Which link this is: they are counted as they are lost.
    current: u64,
    /// `None` where the connection ends with its link.
    lasting: Option<Box<Lasting>>,
    watches: Vec<Watch>,
    next_watch: u64,
}

/// What a connection has that outlasts its links.
#[derive(Debug)]
struct Lasting {
    reopen: Arc<dyn Reopen>,
    /// Since when there is no open link, and why.
    outage: Option<Outage>,
    /// Whether nobody looks for a new link yet.
    orphaned: bool,
    /// The registrations that are being made again.
    renewing: BTreeSet<Serial>,
    /// How often a new link was found.
    reopened: u64,
    /// Who looks for one.
    seeker: Option<Waker>,
}

#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    lost_at: SystemTime,
    reason: CloseReason,
}

#[derive(Debug)]
struct Watch {
    id: u64,
    events: VecDeque<LinkEvent>,
    waker: Option<Waker>,
}

impl Links {
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// Takes it on to find a new link, where that is to be done and nobody does it.
    pub(super) fn take_orphan(&mut self) -> Option<Arc<dyn Reopen>> {
        let lasting = self.lasting.as_mut()?;
        std::mem::take(&mut lasting.orphaned).then(|| Arc::clone(&lasting.reopen))
    }

    pub(super) fn wake(&mut self, wakes: &mut Vec<Waker>) {
        wakes.extend(self.lasting.as_mut().and_then(|lasting| lasting.seeker.take()));
    }

    /// That the connection has ended for good.
    pub(super) fn end(&mut self, wakes: &mut Vec<Waker>) {
        if let Some(lasting) = &mut self.lasting {
            lasting.orphaned = false;
            lasting.renewing.clear();
        }
        wakes.extend(self.watches.iter_mut().filter_map(|watch| watch.waker.take()));
    }

    /// Whether this registration is one that is being made again, which it now no longer is.
    pub(super) fn renewed(&mut self, serial: Serial, wakes: &mut Vec<Waker>) -> bool {
        let Some(lasting) = &mut self.lasting else { return false };
        let renewed = lasting.renewing.remove(&serial);
        if renewed && lasting.renewing.is_empty() {
            wakes.extend(lasting.seeker.take());
        }
        renewed
    }

    /// What is to be told of the time without a link, while there is none that is open.
    pub(super) fn gap(&self) -> Option<Gap> {
        let lasting = self.lasting.as_ref()?;
        let outage = lasting.outage.as_ref()?;
        Some(Gap {
            reason: outage.reason.clone(),
            lost_at: outage.lost_at,
            outage: outage.since.elapsed(),
            reopening: lasting.reopened + 1,
        })
    }

    /// Whether somebody wants to know of its loss.
    pub(super) fn watched(&self) -> bool {
        self.watches.iter().any(|watch| watch.waker.is_some())
    }

    fn tell(&mut self, event: &LinkEvent, wakes: &mut Vec<Waker>) {
        for watch in &mut self.watches {
            watch.events.push_back(event.clone());
            if watch.events.len() > MOST_EVENTS {
                watch.events.pop_front();
            }
            wakes.extend(watch.waker.take());
        }
    }
}

impl State {
    /// The link is lost, and the state machine is at the beginning of another.
    pub(super) fn lose(&mut self, reason: CloseReason, wakes: &mut Vec<Waker>) {
        self.note(Note::Lost(reason.clone()));
        self.links.current += 1;
        self.transport = None;
        self.outgoing = None;
        self.blocked = false;
        self.left_to_send = 0;
        self.unwritable = None;
        self.throttled = false;
        self.armed = None;
        self.resumed = None;
        self.lose_registrations();
        wakes.append(&mut self.senders);
        if let Some(lasting) = &mut self.links.lasting {
            lasting.renewing.clear();
            // Where it is lost again while it is being opened, somebody sees to it already.
            if lasting.outage.is_none() {
                let (since, lost_at) = (Instant::now(), SystemTime::now());
                lasting.outage = Some(Outage { since, lost_at, reason: reason.clone() });
                lasting.orphaned = true;
                self.links.tell(&LinkEvent::Lost { reason }, wakes);
            }
        }
        self.wake_driver(wakes);
    }

    fn has_link(&self) -> bool {
        self.client.close_reason().is_none()
            && self.links.lasting.as_ref().is_none_or(|lasting| lasting.outage.is_none())
    }
}

impl Shared {
    /// From here on, the loss of the link is not the end: `reopen` finds another. Gives false where the link is lost
    /// already.
    pub(crate) fn outlast_links(&self, reopen: Arc<dyn Reopen>) -> bool {
        let mut state = self.lock();
        if state.client.close_reason().is_some() {
            return false;
        }
        state.client.outlast_links(true);
        state.links.lasting = Some(Box::new(Lasting {
            reopen,
            outage: None,
            orphaned: false,
            renewing: BTreeSet::new(),
            reopened: 0,
            seeker: None,
        }));
        true
    }

    /// From here on, the loss of the link is the end, at once where it is lost now: then this gives false.
    pub(crate) fn last_link(&self) -> bool {
        let mut state = self.lock();
        state.client.outlast_links(false);
        if state.has_link() || state.client.close_reason().is_some() {
            return true;
        }
        state.client.close(CloseReason::Local);
        self.settle(state);
        false
    }

    /// Whether there is a link, and it is open.
    pub(crate) fn has_link(&self) -> bool {
        self.lock().has_link()
    }

    /// How often a lost link was replaced.
    pub(crate) fn reopened(&self) -> u64 {
        self.lock().links.lasting.as_ref().map_or(0, |lasting| lasting.reopened)
    }

    pub(crate) fn watch_link(self: &Arc<Self>) -> LinkWatch {
        let mut state = self.lock();
        let id = state.links.next_watch;
        state.links.next_watch += 1;
        state.links.watches.push(Watch { id, events: VecDeque::new(), waker: None });
        LinkWatch { shared: Arc::clone(self), id }
    }
}

/// Has a new link found, and keeps time for the calls that wait for it.
pub(super) async fn relink(shared: Arc<Shared>, reopen: Arc<dyn Reopen>) {
    let mut seeking = reopen.reopen(Lost { shared: Arc::clone(&shared), found: false });
    let mut timer = Box::pin(tokio::time::sleep_until(shared.start));
    let mut wakes = Vec::new();
    poll_fn(|cx| {
        let mut state = shared.lock();
        if state.client.close_reason().is_some() {
            return Poll::Ready(());
        }
        if let Some(lasting) = &mut state.links.lasting {
            lasting.seeker = Some(cx.waker().clone());
        }
        // With a transport there is a driver, and the time is its.
        let alone = state.transport.is_none();
        drop(state);
        if alone {
            shared.poll_timer(&mut timer, &mut wakes, cx);
            wakes.drain(..).for_each(Waker::wake);
        }
        seeking.as_mut().poll(cx)
    })
    .await;
}

/// A lost link, for the one who looks for another. With it dropped before there is another, the connection ends.
#[derive(Debug)]
pub(crate) struct Lost {
    shared: Arc<Shared>,
    found: bool,
}

/// A new link that is being opened. With it dropped before it is open it is lost, and the next may be tried.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    lost: &'a mut Lost,
    link: u64,
}

impl Lost {
    /// Why the last open link was lost.
    pub(crate) fn reason(&self) -> CloseReason {
        let state = self.shared.lock();
        let outage = state.links.lasting.as_ref().and_then(|lasting| lasting.outage.as_ref());
        outage.map_or(CloseReason::Local, |outage| outage.reason.clone())
    }

    /// Begins to drive a new link.
    pub(crate) fn attach(&mut self, transport: Arc<dyn Transport>) -> Attempt<'_> {
        let mut state = self.shared.lock();
        let link = state.links.current;
        if state.client.close_reason().is_none() {
            state.transport = Some(Arc::clone(&transport));
            state.outgoing = Some(Outgoing::default());
            state.hypervisor_closed = None;
        }
        drop(state);
        // Where the connection has ended, it ends at once.
        tokio::spawn(Driver::new(Arc::clone(&self.shared), transport, link));
        Attempt { lost: self, link }
    }

    /// Tells who watches that an attempt has failed.
    pub(crate) fn tell(&self, event: &LinkEvent) {
        let mut state = self.shared.lock();
        let mut wakes = Vec::new();
        state.links.tell(event, &mut wakes);
        drop(state);
        wakes.into_iter().for_each(Waker::wake);
    }

    /// Ends the connection: there will be no other link.
    pub(crate) fn give_up(self, reason: CloseReason) {
        self.shared.close(reason);
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        if !self.found {
            self.shared.close(runtime_ended());
        }
    }
}

impl Attempt<'_> {
    pub(crate) fn shared(&self) -> &Shared {
        &self.lost.shared
    }

    /// Registers again for the events of all subscriptions. One that the daemon refuses now ends with that.
    pub(crate) async fn renew(&self) -> Result<()> {
        self.start_renewing();
        poll_fn(|cx| {
            let mut state = self.lost.shared.lock();
            if let Some(reason) = self.over(&state) {
                return Poll::Ready(Err(Error::Closed { procedure: None, reason }));
            }
            match &mut state.links.lasting {
                Some(lasting) if !lasting.renewing.is_empty() => {
                    lasting.seeker = Some(cx.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    fn start_renewing(&self) {
        let shared = &self.lost.shared;
        let now = shared.now();
        let mut guard = shared.lock();
        let state = &mut *guard;
        let (Some(lasting), None) = (&mut state.links.lasting, self.over_at(state.links.current)) else {
            return;
        };
        for (&id, queue) in &mut state.queues {
            for registration in queue.renewable() {
                let (procedure, args) = &registration.again;
                let renewed = state.client.ahead(|client| {
                    client.subscribe_shared_raw(procedure, args.clone(), CallOptions::default(), now)
                });
                // What could be sent once can be sent again, unless the link is lost, which is seen to.
                let Ok(serial) = renewed else { continue };
                registration.serial = serial;
                state.subscriptions.insert(serial, id);
                lasting.renewing.insert(serial);
            }
        }
        shared.settle(guard);
    }

    /// The link is open: calls go on.
    ///
    /// # Errors
    /// It is lost again.
    pub(crate) fn open(self) -> Result<()> {
        let shared = Arc::clone(&self.lost.shared);
        let mut state = shared.lock();
        if let Some(reason) = self.over(&state) {
            drop(state);
            return Err(Error::Closed { procedure: None, reason });
        }
        let mut wakes = Vec::new();
        let gap = state.links.gap();
        state.tell_unregistered(gap.as_ref(), &mut wakes);
        if let Some(lasting) = &mut state.links.lasting {
            lasting.outage = None;
            lasting.reopened += 1;
        }
        if let Some(Gap { outage, reopening, .. }) = gap {
            state.links.tell(&LinkEvent::Restored { outage, reopening }, &mut wakes);
        }
        state.client.release_calls();
        self.lost.found = true;
        shared.settle(state);
        wakes.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn over(&self, state: &State) -> Option<CloseReason> {
        state.client.close_reason().cloned().or_else(|| self.over_at(state.links.current))
    }

    fn over_at(&self, current: u64) -> Option<CloseReason> {
        (current != self.link).then(|| CloseReason::Transport("the new link is lost as well".into()))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut state = self.lost.shared.lock();
        if !self.lost.found && self.over(&state).is_none() {
            state.client.lose(CloseReason::Transport("the new link could not be opened".into()));
            self.lost.shared.settle(state);
        }
    }
}

/// Watches a connection's links. It does not keep the connection.
#[derive(Debug)]
pub(crate) struct LinkWatch {
    shared: Arc<Shared>,
    id: u64,
}

impl LinkWatch {
    /// What happened next; `None` with the connection's end.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<LinkEvent>> {
        let mut state = self.shared.lock();
        let ended = state.client.close_reason().is_some();
        let Some(watch) = state.links.watches.iter_mut().find(|watch| watch.id == self.id) else {
            return Poll::Ready(None);
        };
        match watch.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if ended => Poll::Ready(None),
            None => {
                watch.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for LinkWatch {
    fn drop(&mut self) {
        self.shared.lock().links.watches.retain(|watch| watch.id != self.id);
    }
}
