//! Calls: in flight up to a cap, waiting their turn behind it, answered in any order.

use super::streams::Stream;
use super::{Client, ClientEvent};
use crate::connection::{CloseReason, SerialMap, Time};
use crate::packet::{self, Descriptor, Header, Packet, PacketError, PacketType, Serial, Status};
use crate::program::{Call, EventClass, Procedure, StreamDirection, net, remote};
use crate::xdr::{DecodeError, from_bytes};
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// What a call may carry beside its arguments.
#[derive(Debug, Default)]
pub struct CallOptions {
    /// When it fails with [`CallError::TimedOut`] unless it is answered.
    pub deadline: Option<Time>,
    /// The descriptors that go with it. Only a UNIX socket carries any.
    pub descriptors: Vec<Descriptor>,
}

/// What a server answered to a call.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reply {
    /// The procedure that was called.
    pub procedure: &'static Procedure,
    /// What it returned, encoded.
    pub payload: Bytes,
    /// The descriptors that came with it.
    pub descriptors: Vec<Descriptor>,
}

impl Reply {
    /// What the procedure returned. The descriptors, if there are any, are closed: take them before.
    ///
    /// # Errors
    /// The reply is not what the procedure returns.
    pub fn decode<C: Call>(self) -> Result<C::Ret, DecodeError> {
        from_bytes(self.payload)
    }
}

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The arguments cannot be sent. Nothing was.
    #[error(transparent)]
    Refused(#[from] PacketError),
    /// The server answered with an error.
    #[error("{}", crate::error::text(.0))]
    Server(Box<net::MessageError>),
    /// The server's answer is not what the procedure answers.
    #[error("the reply to {procedure} cannot be decoded: {source}")]
    Malformed {
        /// The procedure that was called.
        procedure: &'static Procedure,
        /// What was expected, what came, and where.
        source: DecodeError,
    },
    /// The server's answer carries the call's serial, but belongs to something else.
    #[error("expected a reply to {procedure}, got {header}")]
    Mismatched {
        /// The procedure that was called.
        procedure: &'static Procedure,
        /// What came.
        header: Header,
    },
    /// The deadline has passed.
    #[error("the call was not answered in time")]
    TimedOut,
    /// The connection ended before the answer came.
    #[error(transparent)]
    Closed(#[from] CloseReason),
}

/// A call that has not been answered.
#[derive(Debug)]
struct Pending {
    procedure: &'static Procedure,
    /// Whether somebody waits for the answer. Where nobody does, what it opens is closed again.
    wanted: bool,
    /// The numbering of its callback identifier, where the call registers one.
    registers: Option<EventClass>,
    deadline: Option<Time>,
    /// Whether the server has it, or it still waits its turn.
    sent: bool,
    /// Packets of the stream that it opens which overtook its reply.
    early: Option<Box<Early>>,
}

/// Packets of a stream that arrived before the reply to the call that opens it: libvirtd's thread that reads
/// a volume may be ahead of the one that answers.
#[derive(Debug)]
pub(super) enum Early {
    Kept {
        packets: Vec<Packet>,
        bytes: usize,
    },
    /// More came than is kept.
    Overrun,
}

/// A call that waits its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) serial: Serial,
    packet: Bytes,
    descriptors: Vec<Descriptor>,
}

#[derive(Debug)]
pub(super) struct Calls {
    max_in_flight: usize,
    max_early_bytes: usize,
    in_flight: usize,
    pub(super) last_serial: u32,
    pending: SerialMap<Pending>,
    waiting: VecDeque<Waiting>,
    /// Calls that wait until the new link is open.
    held: VecDeque<Waiting>,
    /// Whether calls are held, since the link is not open yet.
    holding: bool,
    /// Whether what is called now passes those that are held.
    ahead: bool,
    deadlines: BTreeSet<(Time, Serial)>,
}

impl Calls {
    /// Whether what is called now waits until the new link is open.
    pub(super) fn waits_for_link(&self) -> bool {
        self.holding && !self.ahead
    }

    /// Whether the link is open.
    pub(super) fn is_open(&self) -> bool {
        !self.holding
    }

    pub(super) fn new(max_in_flight: usize, max_early_bytes: usize) -> Self {
        Self {
            max_in_flight: max_in_flight.max(1),
            max_early_bytes,
            in_flight: 0,
            last_serial: 0,
            pending: SerialMap::new(),
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            holding: false,
            ahead: false,
            deadlines: BTreeSet::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// A call whose deadline has passed.
    pub(super) fn expired(&self, now: Time) -> Option<Serial> {
        self.deadlines.first().filter(|&&(deadline, _)| deadline <= now).map(|&(_, serial)| serial)
    }

    /// Whether one that waits for its registration's reply could claim an event of this class.
    pub(super) fn registering(&self, class: EventClass) -> bool {
        self.pending.values().any(|call| call.registers == Some(class))
    }

    /// Keeps a packet of a stream whose call has not been answered. One that belongs to no such call belongs
    /// to a stream that is gone, which is normal: it was on its way when the stream went.
    pub(super) fn keep_early(&mut self, packet: Packet) {
        let Some(call) = self.pending.get_mut(&packet.header.serial) else { return };
        if !call.sent
            || call.procedure.stream == StreamDirection::None
            || !packet.header.names(call.procedure)
        {
            return;
        }
        let early = call.early.get_or_insert_with(|| Box::new(Early::Kept { packets: Vec::new(), bytes: 0 }));
        if let Early::Kept { packets, bytes } = &mut **early {
            *bytes += packet::MIN_LEN + packet.payload.len();
            if *bytes > self.max_early_bytes {
                **early = Early::Overrun;
            } else {
                packets.push(packet);
            }
        }
    }

    fn add(&mut self, serial: Serial, call: Pending) {
        self.last_serial = serial.0;
        if let Some(deadline) = call.deadline {
            self.deadlines.insert((deadline, serial));
        }
        self.pending.insert(serial, call);
    }

    fn remove(&mut self, serial: Serial) -> Option<Pending> {
        let call = self.pending.remove(&serial)?;
        if let Some(deadline) = call.deadline {
            self.deadlines.remove(&(deadline, serial));
        }
        Some(call)
    }

    /// Forgets all calls; gives those that somebody waits for.
    pub(super) fn end(&mut self) -> Vec<Serial> {
        self.waiting.clear();
        self.held.clear();
        self.deadlines.clear();
        self.in_flight = 0;
        core::mem::take(&mut self.pending)
            .into_iter()
            .filter(|(_, call)| call.wanted)
            .map(|(s, _)| s)
            .collect()
    }

    /// Forgets the calls that the lost link had, and those that were for that link only; gives those of them that
    /// somebody waits for. All others wait for the next link, those that are merely `prepared` too.
    pub(super) fn lose(&mut self, prepared: &[Serial]) -> Vec<Serial> {
        let waiting = core::mem::take(&mut self.waiting);
        if !self.holding {
            self.held = waiting;
            self.holding = true;
        }
        let pending = &self.pending;
        self.held.retain(|of| pending.get(&of.serial).is_some_and(|call| call.wanted));
        let kept: BTreeSet<Serial> =
            self.held.iter().map(|of| of.serial).chain(prepared.iter().copied()).collect();
        let (deadlines, mut lost) = (&mut self.deadlines, Vec::new());
        self.pending.retain(|serial, call| {
            let keeps = kept.contains(serial);
            if !keeps {
                if let Some(deadline) = call.deadline {
                    deadlines.remove(&(deadline, *serial));
                }
                if call.wanted {
                    lost.push(*serial);
                }
            }
            keeps
        });
        self.in_flight = 0;
        lost
    }
}

impl Client {
    /// Calls a procedure. Its answer comes as [`ClientEvent::Reply`] with the serial that this gives.
    ///
    /// # Errors
    /// [`CallError::Refused`] or [`CallError::Closed`]: nothing was sent, and no event follows.
    pub fn call<C: Call>(&mut self, args: &C, now: Time) -> Result<Serial, CallError> {
        self.call_with(args, CallOptions::default(), now)
    }

    /// Calls a procedure with a deadline or descriptors.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_with<C: Call>(
        &mut self,
        args: &C,
        options: CallOptions,
        _now: Time,
    ) -> Result<Serial, CallError> {
        self.start(C::PROCEDURE, options, None, |buffer, serial, descriptors| {
            packet::put_call(buffer, serial, args, descriptors)
        })
    }

    /// Calls a procedure whose arguments are encoded already.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn call_raw(
        &mut self,
        procedure: &'static Procedure,
        payload: &[u8],
        options: CallOptions,
        _now: Time,
    ) -> Result<Serial, CallError> {
        self.start(procedure, options, None, |buffer, serial, descriptors| {
            put_raw_call(buffer, serial, procedure, payload, descriptors)
        })
    }

    /// Calls a procedure that registers for events (CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY and its like).
    ///
    /// The subscription is there from the moment at which the reply is processed, events that overtook the
    /// reply included. It is known by the serial that this gives, and ends with [`Client::unsubscribe`].
    ///
    /// # Errors
    /// As [`Client::call`].
    ///
    /// # Panics
    /// If the procedure registers nothing.
    pub fn subscribe<C: Call>(
        &mut self,
        args: &C,
        options: CallOptions,
        _now: Time,
    ) -> Result<Serial, CallError> {
        let class = C::PROCEDURE.event_class.expect("the procedure registers for events");
        self.start(C::PROCEDURE, options, Some(class), |buffer, serial, descriptors| {
            packet::put_call(buffer, serial, args, descriptors)
        })
    }

    /// Does what `call` does ahead of the calls that wait for the new link, as what opens that link has to go.
    pub fn ahead<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> R {
        let before = core::mem::replace(&mut self.calls.ahead, true);
        let result = call(self);
        self.calls.ahead = before;
        result
    }

    /// Sends the calls that waited for the new link: it is open. Does nothing where none is waited for.
    pub fn release_calls(&mut self) {
        if !core::mem::take(&mut self.calls.holding) {
            return;
        }
        for waiting in core::mem::take(&mut self.calls.held) {
            // The new link may have a security layer that the caller could not know of.
            let Some(call) = self.calls.pending.get(&waiting.serial) else { continue };
            match self.link.admits(call.procedure, waiting.descriptors.len()) {
                Ok(()) => self.calls.waiting.push_back(waiting),
                Err(error) => {
                    let serial = waiting.serial;
                    self.calls.remove(serial);
                    let result = Err(CallError::Refused(error));
                    self.events.push_back(ClientEvent::Reply { serial, result });
                }
            }
        }
        self.send_held();
        self.send_waiting();
    }

    /// Makes ready a call that registers for events and that is not to be sent yet.
    pub(super) fn prepare(
        &mut self,
        procedure: &'static Procedure,
        payload: &[u8],
        options: CallOptions,
        class: EventClass,
    ) -> Result<Waiting, CallError> {
        self.alive()?;
        let CallOptions { deadline, descriptors } = options;
        self.link.admits(procedure, descriptors.len())?;
        let serial = self.free_serial();
        let mut packet = BytesMut::new();
        put_raw_call(&mut packet, serial, procedure, payload, descriptors.len())?;
        let registers = Some(class);
        self.calls
            .add(serial, Pending { procedure, wanted: true, registers, deadline, sent: false, early: None });
        Ok(Waiting { serial, packet: packet.freeze(), descriptors })
    }

    /// Sends a call that was made ready, as far as the cap allows.
    pub(super) fn send_prepared(&mut self, call: Waiting) {
        self.calls.waiting.push_back(call);
        self.send_waiting();
    }

    /// Answers a call that was made ready, without having sent it.
    pub(super) fn answer_prepared(&mut self, serial: Serial, payload: Bytes) {
        let Some(call) = self.calls.remove(serial) else { return };
        let reply = Reply { procedure: call.procedure, payload, descriptors: Vec::new() };
        self.events.push_back(ClientEvent::Reply { serial, result: Ok(reply) });
    }

    pub(super) fn start(
        &mut self,
        procedure: &'static Procedure,
        options: CallOptions,
        registers: Option<EventClass>,
        put: impl FnOnce(&mut BytesMut, Serial, usize) -> Result<(), PacketError>,
    ) -> Result<Serial, CallError> {
        self.alive()?;
        let CallOptions { deadline, descriptors } = options;
        self.link.admits(procedure, descriptors.len())?;
        let serial = self.free_serial();
        let held = self.calls.waits_for_link() && !authenticates(procedure);
        let sent = !held && self.calls.in_flight < self.calls.max_in_flight;
        if sent {
            put(self.link.outbox.tail(), serial, descriptors.len())?;
            self.link.outbox.push_descriptors(descriptors);
            self.calls.in_flight += 1;
        } else {
            let mut packet = BytesMut::new();
            put(&mut packet, serial, descriptors.len())?;
            let queue = if held { &mut self.calls.held } else { &mut self.calls.waiting };
            queue.push_back(Waiting { serial, packet: packet.freeze(), descriptors });
        }
        self.calls.add(serial, Pending { procedure, wanted: true, registers, deadline, sent, early: None });
        Ok(serial)
    }

    /// The next serial that is not 0 and that no call, stream or subscription still uses.
    fn free_serial(&self) -> Serial {
        let mut serial = Serial(self.calls.last_serial);
        loop {
            serial.0 = serial.0.wrapping_add(1);
            if serial.0 != 0
                && !self.calls.pending.contains_key(&serial)
                && !self.streams.contains(serial)
                && !self.subscriptions.contains(serial)
            {
                return serial;
            }
        }
    }

    /// Forgets a call: no event follows. One that waits its turn is not sent; of one that the server has, the
    /// answer is dropped when it comes, and what it opened is closed: descriptors, a stream, a registration.
    pub fn cancel(&mut self, serial: Serial) {
        let Some(call) = self.calls.pending.get_mut(&serial) else { return };
        if call.sent {
            call.wanted = false;
            if let Some(deadline) = call.deadline.take() {
                self.calls.deadlines.remove(&(deadline, serial));
            }
        } else {
            self.calls.remove(serial);
            self.calls.waiting.retain(|waiting| waiting.serial != serial);
            self.calls.held.retain(|waiting| waiting.serial != serial);
            self.subscriptions.registrations.cancel(serial);
            self.send_held();
        }
    }

    /// What a call that has not been answered calls.
    #[must_use]
    pub fn procedure(&self, call: Serial) -> Option<&'static Procedure> {
        self.calls.pending.get(&call).map(|call| call.procedure)
    }

    /// How many calls have not been answered, those that wait their turn included.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.calls.pending.len()
    }

    pub(super) fn take_reply(&mut self, packet: Packet) {
        let header = packet.header;
        let serial = header.serial;
        if !self.calls.pending.get(&serial).is_some_and(|call| call.sent) {
            // libvirtd reports a hole that it could not write by a reply rather than by a stream packet.
            if header.status == Status::ERROR && self.streams.contains(serial) {
                self.take_stream(packet);
            } else {
                self.events.push_back(ClientEvent::Unexpected { header });
            }
            return;
        }
        let Some(mut call) = self.calls.remove(serial) else { return };
        self.calls.in_flight -= 1;
        let wanted = call.wanted;
        let early = call.early.take();
        let result = self.settle(call, packet);
        let registered = self.subscriptions.contains(serial);
        if wanted {
            self.events.push_back(ClientEvent::Reply { serial, result });
        }
        if registered {
            self.subscriptions.replay(serial, &mut self.events);
        }
        if let Some(early) = early
            && self.streams.contains(serial)
        {
            self.take_early(serial, *early);
        }
        self.subscriptions.registrations.answered(serial);
        self.send_held();
        self.subscriptions.unpark(&self.calls);
        self.send_waiting();
    }

    /// What an answer means for the one who waits for it, after what it opens has been opened.
    fn settle(&mut self, call: Pending, packet: Packet) -> Result<Reply, CallError> {
        let Packet { header, payload, descriptors } = packet;
        let Pending { procedure, wanted, registers, .. } = call;
        let malformed = |source| CallError::Malformed { procedure, source };
        if !header.names(procedure) {
            return Err(CallError::Mismatched { procedure, header });
        }
        match header.status {
            Status::OK => {}
            Status::ERROR => {
                let error = from_bytes(payload).map_err(malformed)?;
                return Err(CallError::Server(Box::new(error)));
            }
            _ => return Err(CallError::Mismatched { procedure, header }),
        }
        if procedure.stream != StreamDirection::None {
            self.streams.insert(header.serial, Stream::new(procedure));
            if !wanted {
                self.abort(header.serial);
            }
        }
        if let Some(class) = registers {
            let callback: i32 = from_bytes(payload.clone()).map_err(malformed)?;
            if wanted {
                self.subscriptions.insert(header.serial, class, callback);
            }
            self.subscriptions.registrations.there(header.serial, (class, callback));
            if !wanted {
                self.deregister(class, callback);
            }
        }
        if is_last_sasl_step(procedure, &payload) {
            self.held = true;
        }
        Ok(Reply { procedure, payload, descriptors })
    }

    /// Calls a procedure on nobody's behalf, for what is open on this link.
    pub(super) fn call_unwatched(&mut self, procedure: &'static Procedure, payload: &[u8]) -> Option<Serial> {
        let started = self.ahead(|client| {
            client.start(procedure, CallOptions::default(), None, |buffer, serial, descriptors| {
                put_raw_call(buffer, serial, procedure, payload, descriptors)
            })
        });
        let serial = started.ok()?;
        self.calls.pending.get_mut(&serial)?.wanted = false;
        Some(serial)
    }

    /// Sends calls that wait, as far as the cap allows.
    fn send_waiting(&mut self) {
        while self.calls.in_flight < self.calls.max_in_flight {
            let Some(Waiting { serial, packet, descriptors }) = self.calls.waiting.pop_front() else {
                return;
            };
            if let Some(call) = self.calls.pending.get_mut(&serial) {
                call.sent = true;
            }
            self.calls.in_flight += 1;
            self.link.outbox.push(packet);
            self.link.outbox.push_descriptors(descriptors);
        }
    }
}

pub(super) fn put_raw_call(
    buffer: &mut BytesMut,
    serial: Serial,
    procedure: &'static Procedure,
    payload: &[u8],
    descriptors: usize,
) -> Result<(), PacketError> {
    let packet_type = if descriptors == 0 { PacketType::CALL } else { PacketType::CALL_WITH_FDS };
    let header = Header::new(procedure, packet_type, serial, Status::OK);
    packet::put_raw(buffer, procedure, header, payload, descriptors)
}

/// Whether the procedure belongs to the opening of a link, whoever calls it.
fn authenticates(procedure: &Procedure) -> bool {
    [
        remote::AuthListArgs::PROCEDURE,
        remote::AuthPolkitArgs::PROCEDURE,
        remote::AuthSaslInitArgs::PROCEDURE,
        remote::AuthSaslStartArgs::PROCEDURE,
        remote::AuthSaslStepArgs::PROCEDURE,
    ]
    .contains(&procedure)
}

/// Whether everything behind this reply may be sealed by a security layer.
fn is_last_sasl_step(procedure: &Procedure, payload: &Bytes) -> bool {
    let complete = if procedure == remote::AuthSaslStartArgs::PROCEDURE {
        from_bytes(payload.clone()).map(|ret: remote::AuthSaslStartRet| ret.complete)
    } else if procedure == remote::AuthSaslStepArgs::PROCEDURE {
        from_bytes(payload.clone()).map(|ret: remote::AuthSaslStepRet| ret.complete)
    } else {
        return false;
    };
    complete.is_ok_and(|complete| complete != 0)
}
