//! Random lists of operations on a joined client and server, and what must be true whatever they are.
//!
//! The property test and the fuzz target share this file: a fuzz crate includes it, [`crate::rig`] and
//! [`crate::samples`] by path, makes operations with [`Op::read`] and gives them to [`World::play`].

use crate::rig::Side;
use crate::samples::*;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use virtwire_proto::connection::{
    CallId, CallOptions, Client, ClientConfig, ClientEvent, CloseReason, Keepalive, Server, ServerConfig,
    ServerEvent, ServerStreamEvent, StreamEvent, Time, Transmit,
};
use virtwire_proto::packet::{Descriptor, Serial};
use virtwire_proto::program::{Call, PROGRAMS, StreamDirection, remote};

/// One thing that happens. Where it says which call or stream, the number is taken modulo how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// The client calls: a plain call, or one that opens a stream.
    Call { kind: u8, descriptor: bool, milliseconds: Option<u8> },
    /// The client forgets a call.
    Cancel(u8),
    /// The client subscribes to domain events, or to storage pool events.
    Subscribe { pools: bool },
    /// The client ends a subscription.
    Unsubscribe(u8),
    /// The client sends on a stream: data of this length, or a hole.
    Send { stream: u8, len: u8, hole: bool },
    /// The client finishes a stream.
    Finish(u8),
    /// The client gives up a stream.
    Abort(u8),
    /// The server answers a call.
    Reply { call: u8, descriptor: bool },
    /// The server answers a call with an error.
    Fail(u8),
    /// The server sends an event.
    Emit { pools: bool, callback: u8 },
    /// The server sends on a stream: data of this length, or a hole.
    Serve { stream: u8, len: u8, hole: bool },
    /// The server has sent all of a stream.
    End(u8),
    /// The server confirms that a stream is finished, whether or not it is.
    Confirm(u8),
    /// The server fails a stream.
    FailStream(u8),
    /// Some bytes arrive, to the server or to the client.
    Arrive { to_server: bool, bytes: u8 },
    /// All that is on its way arrives, until neither side has anything to say.
    Settle,
    /// Time passes.
    Pass { milliseconds: u16 },
    /// Keepalive starts on one side.
    Keepalive { client: bool },
    /// A side reads, or does not.
    Reading { client: bool, reading: bool },
    /// A byte that is on its way changes.
    Corrupt { to_server: bool, at: u8, bits: u8 },
    /// One side ends the connection.
    Close { client: bool },
}

impl Op {
    /// Makes an operation of the first bytes, as a fuzzer supplies them.
    #[allow(dead_code, reason = "for the fuzz target")]
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (&[op, a, b, c], rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        let flag = b & 1 == 1;
        Some(match op % 21 {
            0 => Self::Call { kind: a, descriptor: flag, milliseconds: (c > 127).then_some(c) },
            1 => Self::Cancel(a),
            2 => Self::Subscribe { pools: flag },
            3 => Self::Unsubscribe(a),
            4 => Self::Send { stream: a, len: c, hole: flag },
            5 => Self::Finish(a),
            6 => Self::Abort(a),
            7 => Self::Reply { call: a, descriptor: flag },
            8 => Self::Fail(a),
            9 => Self::Emit { pools: flag, callback: a },
            10 => Self::Serve { stream: a, len: c, hole: flag },
            11 => Self::End(a),
            12 => Self::Confirm(a),
            13 => Self::FailStream(a),
            14 => Self::Arrive { to_server: flag, bytes: a },
            15 => Self::Settle,
            16 => Self::Pass { milliseconds: u16::from_be_bytes([a, c]) },
            17 => Self::Keepalive { client: flag },
            18 => Self::Reading { client: flag, reading: a & 1 == 1 },
            19 => Self::Corrupt { to_server: flag, at: a, bits: c },
            _ => Self::Close { client: flag },
        })
    }
}

/// What is on its way in one direction.
#[derive(Debug, Default)]
struct Way(VecDeque<(u8, Option<Descriptor>)>);

impl Way {
    fn put(&mut self, written: Vec<Transmit>) {
        for piece in written {
            match piece {
                Transmit::Bytes(bytes) => self.0.extend(bytes.iter().map(|&byte| (byte, None))),
                Transmit::Descriptor(descriptor) => self.0.push_back((0, Some(descriptor))),
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<Transmit> {
        let count = count.min(self.0.len());
        let pieces = self.0.drain(..count).map(|(byte, descriptor)| match descriptor {
            Some(descriptor) => Transmit::Descriptor(descriptor),
            None => Transmit::Bytes(Bytes::copy_from_slice(&[byte])),
        });
        pieces.collect()
    }
}

/// A client and a server, what is on its way between them, and what is expected of them.
#[derive(Debug)]
pub(crate) struct World {
    client: Side<Client>,
    server: Side<Server>,
    to_server: Way,
    to_client: Way,
    /// Whether a byte was changed: from then on a side may be told anything, but nothing may break.
    corrupted: bool,
    /// Calls that somebody waits for, and whether they subscribe.
    waiting: BTreeMap<Serial, bool>,
    /// Serials that were given out: none comes twice.
    used: BTreeSet<Serial>,
    subscriptions: BTreeSet<Serial>,
    /// Streams that the client has been told of, and not of their end.
    streams: BTreeSet<Serial>,
    /// Streams that are over, or that the client gave up.
    over: BTreeSet<Serial>,
    calls: Vec<(CallId, bool)>,
    served: Vec<CallId>,
    callbacks: i32,
    client_ended: bool,
    server_ended: bool,
}

fn pick<T: Copy>(from: impl ExactSizeIterator<Item = T>, number: u8) -> Option<T> {
    let mut from = from;
    if from.len() == 0 {
        return None;
    }
    let at = usize::from(number) % from.len();
    from.nth(at)
}

impl World {
    fn new() -> Self {
        let mut config = ClientConfig::default();
        config.max_calls_in_flight = 3;
        config.max_parked_events = 4;
        Self {
            client: Side::new(Client::new(config, Time::START)),
            server: Side::new(Server::new(ServerConfig::new(PROGRAMS).max_client_requests(2), Time::START)),
            to_server: Way::default(),
            to_client: Way::default(),
            corrupted: false,
            waiting: BTreeMap::new(),
            used: BTreeSet::new(),
            subscriptions: BTreeSet::new(),
            streams: BTreeSet::new(),
            over: BTreeSet::new(),
            calls: Vec::new(),
            served: Vec::new(),
            callbacks: 0,
            client_ended: false,
            server_ended: false,
        }
    }

    /// Plays the operations, then lets everything come to its end, and looks at what is left.
    ///
    /// # Panics
    /// If anything is not as it must be.
    pub(crate) fn play(ops: impl IntoIterator<Item = Op>) {
        let mut world = Self::new();
        for op in ops {
            world.step(op);
        }
        world.finish();
    }

    fn step(&mut self, op: Op) {
        self.act(op);
        self.look();
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Call { kind, descriptor, milliseconds } => self.call(kind, descriptor, milliseconds),
            Op::Cancel(call) => {
                if let Some(serial) = pick(self.waiting.keys(), call).copied() {
                    self.waiting.remove(&serial);
                    self.client.cancel(serial);
                    self.over.insert(serial);
                }
            }
            Op::Subscribe { pools } => {
                let now = self.client.now;
                let options = CallOptions::default();
                let started = if pools {
                    self.client.subscribe(&register_pool(), options, now)
                } else {
                    self.client.subscribe(&register_domain(), options, now)
                };
                self.started(started.ok(), true);
            }
            Op::Unsubscribe(subscription) => {
                if let Some(serial) = pick(self.subscriptions.iter(), subscription).copied() {
                    self.subscriptions.remove(&serial);
                    self.client.unsubscribe(serial);
                }
            }
            Op::Send { stream, len, hole } => {
                if let Some(serial) = pick(self.streams.iter(), stream).copied() {
                    // Refused where the stream is finished.
                    let _ = if hole {
                        self.client.send_hole(serial, i64::MAX - i64::from(len), 0)
                    } else {
                        self.client.send(serial, Bytes::from(vec![len; len.into()]))
                    };
                }
            }
            Op::Finish(stream) => {
                if let Some(serial) = pick(self.streams.iter(), stream).copied() {
                    let _ = self.client.finish(serial);
                }
            }
            Op::Abort(stream) => {
                if let Some(serial) = pick(self.streams.iter(), stream).copied() {
                    self.client.abort(serial);
                    self.streams.remove(&serial);
                    self.over.insert(serial);
                }
            }
            Op::Reply { call, descriptor } => self.reply(call, descriptor),
            Op::Fail(call) => {
                if let Some(at) = pick(0..self.calls.len(), call) {
                    let (id, _) = self.calls.remove(at);
                    assert_eq!(self.server.reply_error(id, &error(1)).is_ok(), !self.server_ended);
                }
            }
            Op::Emit { pools, callback } => {
                let callback = i32::from(callback) % (self.callbacks + 2);
                if pools {
                    self.server.emit(&pool_event(callback, 0)).expect("it is short");
                } else {
                    self.server.emit(&domain_event(callback, 0)).expect("it is short");
                }
            }
            Op::Serve { stream, len, hole } => {
                if let Some(id) = pick(self.served.iter(), stream).copied() {
                    let sent = if hole {
                        self.server.send_hole(id, i64::MIN + i64::from(len), 1)
                    } else {
                        self.server.send(id, Bytes::from(vec![len; len.into()]))
                    };
                    sent.expect("the stream is open");
                }
            }
            Op::End(stream) => {
                if let Some(id) = pick(self.served.iter(), stream).copied() {
                    self.server.end(id).expect("the stream is open");
                }
            }
            Op::Confirm(stream) => {
                if let Some(at) = pick(0..self.served.len(), stream) {
                    self.server.confirm(self.served.remove(at)).expect("the stream is open");
                }
            }
            Op::FailStream(stream) => {
                if let Some(at) = pick(0..self.served.len(), stream) {
                    self.server.fail(self.served.remove(at), &error(1)).expect("the stream is open");
                }
            }
            Op::Arrive { to_server, bytes } => self.arrive(to_server, bytes.into()),
            Op::Settle => self.settle(),
            Op::Pass { milliseconds } => {
                let time = Duration::from_millis(milliseconds.into());
                self.client.pass(time);
                self.server.pass(time);
            }
            Op::Keepalive { client } => {
                let settings = Keepalive { interval: Duration::from_secs(10), count: 2 };
                if client {
                    let now = self.client.now;
                    self.client.start_keepalive(settings, now);
                } else {
                    let now = self.server.now;
                    self.server.start_keepalive(settings, now);
                }
            }
            Op::Reading { client, reading } => {
                let now = self.client.now;
                if client {
                    self.client.set_reading(reading, now);
                } else {
                    self.server.set_reading(reading, now);
                }
            }
            Op::Corrupt { to_server, at, bits } => {
                let way = if to_server { &mut self.to_server.0 } else { &mut self.to_client.0 };
                if let Some(at) = pick(0..way.len(), at)
                    && bits != 0
                {
                    way[at].0 ^= bits;
                    self.corrupted = true;
                }
            }
            Op::Close { client: true } => self.client.close(CloseReason::Local),
            Op::Close { client: false } => self.server.close(CloseReason::Local),
        }
    }

    fn call(&mut self, kind: u8, with_descriptor: bool, milliseconds: Option<u8>) {
        let now = self.client.now;
        let options = CallOptions {
            deadline: milliseconds.map(|milliseconds| now + Duration::from_millis(milliseconds.into())),
            descriptors: with_descriptor.then(descriptor).into_iter().collect(),
        };
        let started = match kind % 5 {
            0 => self.client.call_with(&VERSION, options, now),
            1 => self.client.call_with(&lookup("demo"), options, now),
            2 => self.client.call_with(&download(), options, now),
            3 => self.client.call_with(&upload(), options, now),
            _ => self.client.call_with(&console(), options, now),
        };
        self.started(started.ok(), false);
    }

    fn started(&mut self, serial: Option<Serial>, subscribes: bool) {
        assert_eq!(serial.is_none(), self.client_ended, "a call starts unless the connection has ended");
        if let Some(serial) = serial {
            assert!(serial.0 != 0 && self.used.insert(serial), "a serial is used once");
            self.waiting.insert(serial, subscribes);
        }
    }

    fn reply(&mut self, call: u8, with_descriptor: bool) {
        let Some(at) = pick(0..self.calls.len(), call) else { return };
        let (id, opens) = self.calls.remove(at);
        // The answer to a registration is an integer; to others more or less than they are answered with.
        self.callbacks += 1;
        let descriptors = with_descriptor.then(descriptor).into_iter().collect();
        let replied = self.server.reply_with(id, &self.callbacks, descriptors);
        assert_eq!(replied.is_ok(), !self.server_ended);
        if opens && replied.is_ok() {
            self.served.push(id);
        }
    }

    fn arrive(&mut self, to_server: bool, bytes: usize) {
        self.write();
        if to_server {
            let pieces = self.to_server.take(bytes);
            self.server.feed_all(pieces);
        } else {
            let pieces = self.to_client.take(bytes);
            self.client.feed_all(pieces);
        }
    }

    fn write(&mut self) {
        self.to_server.put(self.client.written());
        self.to_client.put(self.server.written());
    }

    fn settle(&mut self) {
        loop {
            self.arrive(true, usize::MAX);
            self.look();
            self.arrive(false, usize::MAX);
            self.look();
            self.write();
            if self.to_server.0.is_empty() && self.to_client.0.is_empty() {
                return;
            }
        }
    }

    /// Takes what both sides have to tell, and compares it with what they may tell.
    fn look(&mut self) {
        while let Some(event) = self.client.event() {
            assert!(!self.client_ended, "nothing is told behind the end: {event:?}");
            self.told(event);
        }
        while let Some(event) = self.server.event() {
            assert!(!self.server_ended, "nothing is told behind the end: {event:?}");
            match event {
                ServerEvent::Call(call) => {
                    let opens = call.procedure.stream != StreamDirection::None;
                    self.calls.push((call.id, opens));
                }
                ServerEvent::Stream { id, event: ServerStreamEvent::Abort } => {
                    let before = self.served.len();
                    self.served.retain(|&served| served != id);
                    assert_eq!(self.served.len() + 1, before, "an open stream ends");
                }
                ServerEvent::Stream { id, .. } => assert!(self.served.contains(&id), "the stream is open"),
                ServerEvent::Unexpected { .. } => {}
                ServerEvent::Closed { .. } => {
                    self.server_ended = true;
                    self.served.clear();
                }
                other => panic!("nobody has to authenticate: {other:?}"),
            }
        }
        // What the server is told of as working is what it works on.
        assert!(self.server_ended || self.server.pending_calls() == self.calls.len());
        assert!(self.calls.len() <= 2 || self.server_ended, "max_client_requests holds");
        assert_eq!(self.client.close_reason().is_some(), self.client_ended);
        if self.client_ended {
            assert!(self.waiting.is_empty() && self.streams.is_empty());
            assert_eq!((self.client.pending_calls(), self.client.pending_bytes()), (0, 0));
            assert_eq!(self.client.deadline(), None);
        }
    }

    fn told(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Reply { serial, result } => {
                let subscribes = self.waiting.remove(&serial).expect("a call is answered once");
                if let Ok(reply) = result {
                    if subscribes {
                        self.subscriptions.insert(serial);
                    }
                    if reply.procedure.stream != StreamDirection::None {
                        self.streams.insert(serial);
                    }
                } else {
                    self.over.insert(serial);
                }
            }
            ClientEvent::Message { subscription: Some(serial), .. }
            | ClientEvent::EventsLost { subscription: serial, .. } => {
                assert!(self.corrupted || self.subscriptions.contains(&serial), "the subscription is there");
            }
            ClientEvent::Message { subscription: None, .. } => {}
            ClientEvent::Stream { serial, event } => {
                assert!(self.streams.contains(&serial), "the stream is open and not given up");
                assert!(!self.over.contains(&serial), "nothing is told of what is over");
                if matches!(event, StreamEvent::Finished | StreamEvent::Failed(_)) {
                    self.streams.remove(&serial);
                    self.over.insert(serial);
                }
            }
            ClientEvent::Unexpected { header } => {
                assert!(self.corrupted, "a good server sends nothing unexpected: {header}");
            }
            ClientEvent::Closed { .. } => {
                assert!(self.waiting.is_empty(), "all calls are told before: {:?}", self.waiting);
                assert!(self.streams.is_empty(), "all streams are told before: {:?}", self.streams);
                self.client_ended = true;
            }
            _ => {}
        }
    }

    /// Answers what is open, lets everything arrive, and ends the connection.
    fn finish(&mut self) {
        for _ in 0..1000 {
            self.settle();
            if self.calls.is_empty() || self.server_ended {
                break;
            }
            while !self.calls.is_empty() {
                self.reply(0, false);
            }
        }
        if !self.corrupted && !self.client_ended && !self.server_ended {
            assert!(self.waiting.is_empty(), "every call is answered: {:?}", self.waiting);
            assert_eq!(self.client.pending_calls(), 0, "nothing is left of those that were cancelled");
            // The client gives up its streams, and the server knows of none any more.
            for serial in std::mem::take(&mut self.streams) {
                self.client.abort(serial);
                self.over.insert(serial);
            }
            // One of them may be finishing, which only the server's answer ends.
            self.settle();
            while let Some(id) = self.served.pop() {
                self.server.confirm(id).expect("the stream is open");
            }
            self.settle();
            assert!(self.client.bytes.is_empty() && self.server.bytes.is_empty(), "all was taken");
            assert_eq!((self.client.pending_bytes(), self.server.pending_bytes()), (0, 0));
            assert!(self.client.descriptors.is_empty() && self.server.descriptors.is_empty());
        }
        self.client.close(CloseReason::Peer);
        self.server.close(CloseReason::Peer);
        self.look();
        assert!(self.client_ended && self.server_ended);
        assert!(self.client.written().is_empty() && self.server.written().is_empty());
        let closed = self.client.call(&VERSION, Time::START);
        assert!(closed.is_err(), "{}", remote::ConnectGetLibVersionArgs::PROCEDURE);
    }
}
