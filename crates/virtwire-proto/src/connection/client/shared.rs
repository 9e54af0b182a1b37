//! Registrations that equal subscriptions share: libvirt refuses a second one like the first ("event callback already
//! tracked"), also while the first is being undone.

use super::Client;
use super::calls::{CallError, CallOptions, Waiting, put_raw_call};
use super::events::Key;
use crate::connection::Time;
use crate::packet::{PacketError, Serial};
use crate::program::{Call, EventClass, Procedure};
use crate::xdr::to_bytes;
use alloc::vec::Vec;
use bytes::Bytes;

/// What is registered at the server, or about to be, or on its way out; and who waits for that.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    all: Vec<Registration>,
    /// Calls for what is on its way in or out, or for the next link; oldest first.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    what: What,
    call: Waiting,
    /// Whether it goes ahead of those that wait for the link to be open.
    ahead: bool,
}

#[derive(Debug)]
struct Registration {
    what: What,
    state: State,
}

/// What registrations are equal by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct What {
    procedure: &'static Procedure,
    class: EventClass,
    args: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This call asks for it.
    Asked(Serial),
    There(Key),
    /// This call undoes it.
    Leaving(Serial),
}

impl Registrations {
    fn state(&self, what: &What) -> Option<State> {
        self.all.iter().find(|of| of.what == *what).map(|of| of.state)
    }

    fn ask(&mut self, what: What, serial: Serial) {
        self.all.push(Registration { what, state: State::Asked(serial) });
    }

    /// The server has registered what this call asked for.
    pub(super) fn there(&mut self, serial: Serial, key: Key) {
        // A server that gives an identifier again has forgotten the other.
        self.all.retain(|of| of.state != State::There(key));
        if let Some(asked) = self.all.iter_mut().find(|of| of.state == State::Asked(serial)) {
            asked.state = State::There(key);
        }
    }

    /// The registration is being undone by this call, or the server cannot be told.
    pub(super) fn leaves(&mut self, key: Key, by: Option<Serial>) {
        match by {
            Some(serial) => {
                if let Some(there) = self.all.iter_mut().find(|of| of.state == State::There(key)) {
                    there.state = State::Leaving(serial);
                }
            }
            None => self.all.retain(|of| of.state != State::There(key)),
        }
    }

    /// A call was answered: what it undid is gone, and what it asked for, unless it is there.
    pub(super) fn answered(&mut self, serial: Serial) {
        self.all.retain(|of| of.state != State::Asked(serial) && of.state != State::Leaving(serial));
    }

    /// A call is not made after all.
    pub(super) fn cancel(&mut self, serial: Serial) {
        self.held.retain(|of| of.call.serial != serial);
        self.answered(serial);
    }

    /// The link is lost, and with it all that was registered by it. Gives the calls that wait for the next one.
    pub(super) fn lose(&mut self) -> Vec<Serial> {
        self.all.clear();
        self.held.retain(|of| !of.ahead);
        self.held.iter().map(|of| of.call.serial).collect()
    }

    /// The first call that need not wait any more, and the callback that it shares, if there is one.
    fn release(&mut self, is_open: bool) -> Option<(Held, Option<Key>)> {
        let ready = |of: &Held| match self.state(&of.what) {
            _ if !is_open && !of.ahead => None,
            None => Some(None),
            Some(State::There(key)) => Some(Some(key)),
            Some(State::Asked(_) | State::Leaving(_)) => None,
        };
        let (at, key) = self.held.iter().enumerate().find_map(|(at, of)| Some((at, ready(of)?)))?;
        Some((self.held.remove(at), key))
    }
}

impl Client {
    /// Calls a procedure that registers for events, as [`Client::subscribe`]; equal calls share one registration at the
    /// server, and each of their subscriptions is told each event. The last of them to end undoes it.
    ///
    /// A call that cannot be answered yet waits here: until the equal one before it is answered, or what that has
    /// registered is undone.
    ///
    /// # Errors
    /// As [`Client::call`].
    ///
    /// # Panics
    /// If the procedure registers nothing.
    pub fn subscribe_shared<C: Call>(
        &mut self,
        args: &C,
        options: CallOptions,
        now: Time,
    ) -> Result<Serial, CallError> {
        let procedure = C::PROCEDURE;
        let args = to_bytes(args).map_err(|source| PacketError::Value { procedure, source })?;
        self.subscribe_shared_raw(procedure, args, options, now)
    }

    /// The same with arguments that are encoded already.
    ///
    /// # Errors
    /// As [`Client::call`].
    ///
    /// # Panics
    /// If the procedure registers nothing.
    pub fn subscribe_shared_raw(
        &mut self,
        procedure: &'static Procedure,
        args: Bytes,
        options: CallOptions,
        _now: Time,
    ) -> Result<Serial, CallError> {
        let class = procedure.event_class.expect("the procedure registers for events");
        let what = What { procedure, class, args };
        if self.subscriptions.registrations.state(&what).is_none() && !self.calls.waits_for_link() {
            let payload = what.args.clone();
            let serial = self.start(procedure, options, Some(class), |buffer, serial, descriptors| {
                put_raw_call(buffer, serial, procedure, &payload, descriptors)
            })?;
            self.subscriptions.registrations.ask(what, serial);
            return Ok(serial);
        }
        let call = self.prepare(procedure, &what.args, options, class)?;
        let (serial, ahead) = (call.serial, !self.calls.waits_for_link() && !self.calls.is_open());
        self.subscriptions.registrations.held.push(Held { what, call, ahead });
        self.send_held();
        Ok(serial)
    }

    /// Answers or sends the calls that waited for an equal one, as far as they need not wait any more.
    pub(super) fn send_held(&mut self) {
        let is_open = self.calls.is_open();
        while let Some((Held { what, call, .. }, key)) = self.subscriptions.registrations.release(is_open) {
            match key {
                Some(key) => {
                    let callback = to_bytes(&key.1).expect("an integer passes no maximum");
                    self.subscriptions.share(call.serial, key);
                    self.answer_prepared(call.serial, callback);
                }
                None => {
                    self.subscriptions.registrations.ask(what, call.serial);
                    self.send_prepared(call);
                }
            }
        }
    }
}
