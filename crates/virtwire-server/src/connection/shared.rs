//! What the driver, the calls that are worked on, the streams and all handles of one connection share.

use super::backlog::Backlog;
use crate::callbacks::{Callback, Callbacks};
use crate::error::Error;
use crate::service::Reply;
use crate::stream::Streams;
use crate::{Config, Peer};
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::sync::watch;
use tokio::time::Instant;
use virtwire_proto::connection::{CallId, CloseReason, ReplyError, Server as Machine, ServerConfig, Time};
use virtwire_proto::program::{EventClass, Procedure, Program};

/// One connection, for everybody who has to do with it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: u64,
    pub(crate) peer: Peer,
    pub(crate) config: Arc<Config>,
    /// Whether descriptors can be sent.
    carries_descriptors: bool,
    epoch: Instant,
    state: Mutex<State>,
    /// Why it ended, once it has.
    pub(crate) closed: watch::Sender<Option<CloseReason>>,
}

/// How far a client is with opening libvirt's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Opened {
    #[default]
    No,
    /// The service is at it.
    Opening,
    Yes,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) streams: Streams,
    pub(crate) callbacks: Callbacks,
    pub(crate) opened: Opened,
    pub(crate) read_only: bool,
    /// Whether the client wants to be told when the service's own connection is lost.
    pub(crate) close_callback: bool,
    /// Whether the connection ends once its calls are answered and the answers written.
    pub(crate) closing: bool,
    /// The driver, while it waits.
    pub(super) driver: Option<Waker>,
    /// Whether anything has changed since the driver looked.
    pub(super) touched: bool,
    /// How many bytes were taken from the machine and are not written.
    pub(super) writing: usize,
    /// How many bytes were ever written.
    written: u64,
    backlog: Backlog,
}

impl State {
    /// How many bytes wait for the client.
    pub(crate) fn waiting(&self) -> usize {
        self.machine.pending_bytes() + self.writing
    }

    pub(super) fn wrote(&mut self, len: usize) {
        self.writing = self.writing.saturating_sub(len);
        self.written += len as u64;
        self.backlog.written(self.written);
    }

    fn emit(&mut self, event: &'static Procedure, payload: Bytes, max: usize) {
        let before = self.machine.pending_bytes();
        if let Err(error) = self.machine.emit_raw(event, payload) {
            // Whoever makes events bounds them: this one can be sent to nobody.
            tracing::error!(%event, %error, "an event was not sent");
            return;
        }
        let len = self.machine.pending_bytes() - before;
        let end = self.written + self.waiting() as u64;
        let waiting = self.backlog.push(end, len);
        if waiting > max {
            self.machine.close(CloseReason::Backlog { waiting, max });
        }
    }
}

impl Shared {
    pub(crate) fn new(
        id: u64,
        peer: Peer,
        config: Arc<Config>,
        programs: &[&'static Program],
        carries_descriptors: bool,
    ) -> Self {
        let settings = ServerConfig::new(programs).max_client_requests(config.max_client_requests);
        let state = State {
            machine: Machine::new(settings, Time::START),
            streams: Streams::default(),
            callbacks: Callbacks::default(),
            opened: Opened::No,
            read_only: peer.read_only,
            close_callback: false,
            closing: false,
            driver: None,
            touched: false,
            writing: 0,
            written: 0,
            backlog: Backlog::default(),
        };
        Self {
            id,
            peer,
            config,
            carries_descriptors,
            epoch: Instant::now(),
            state: Mutex::new(state),
            closed: watch::Sender::new(None),
        }
    }

    /// The state, for looking at it, and for the driver.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What panics under this lock is a bug of this crate; the state is still worth ending properly.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and has the driver look at what has changed.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.touched = true;
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    pub(crate) fn now(&self) -> Time {
        Time::since_start(self.epoch.elapsed())
    }

    /// The moment on tokio's clock.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.epoch + (time - Time::START)
    }

    /// Answers a call. An answer that cannot be sent becomes an error that says why.
    pub(crate) fn answer(&self, id: CallId, result: Result<Reply, Error>) {
        self.change(|state| {
            let error = match result {
                Ok(reply) if !reply.descriptors.is_empty() && !self.carries_descriptors => {
                    Error::rpc("descriptors travel over UNIX sockets only")
                }
                Ok(reply) => match state.machine.reply_raw(id, reply.payload, reply.descriptors) {
                    Ok(()) => return self.answered(state, id, true),
                    Err(ReplyError::Refused(error)) => {
                        Error::rpc(format_args!("Unable to encode message payload: {error}"))
                    }
                    Err(_) => return self.answered(state, id, false),
                },
                Err(error) => error,
            };
            // Fails where the connection has ended, and then nobody waits for it.
            let _ = state.machine.reply_error(id, error.message());
            self.answered(state, id, false);
        });
    }

    /// What had to wait for a call's answer may follow it.
    fn answered(&self, state: &mut State, id: CallId, succeeded: bool) {
        let State { streams, machine, .. } = state;
        streams.answered(id, succeeded, machine);
        for (event, payload) in state.callbacks.answered(id, succeeded) {
            state.emit(event, payload, self.config.max_waiting_events);
        }
    }

    /// Sends an event.
    pub(crate) fn emit(&self, event: &'static Procedure, payload: Bytes) {
        self.change(|state| state.emit(event, payload, self.config.max_waiting_events));
    }

    /// Sends an event to a callback, unless it has been deregistered; keeps it while the answer to the
    /// registration is not on its way.
    pub(crate) fn emit_to(
        &self,
        class: EventClass,
        callback: i32,
        event: &'static Procedure,
        payload: Bytes,
    ) -> bool {
        self.change(|state| {
            let max = self.config.max_waiting_events;
            match state.callbacks.find(class, callback) {
                None => return false,
                Some(Callback { held: Some(held), .. }) => {
                    let waiting = held.push(event, payload);
                    if waiting > max {
                        state.machine.close(CloseReason::Backlog { waiting, max });
                    }
                }
                Some(_) => state.emit(event, payload, max),
            }
            true
        })
    }

    /// Ends the connection.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.change(|state| state.machine.close(reason));
    }
}
