//! The test rig: a client and a server joined in memory, or one of them before a scripted peer, with time that
//! passes when told to and bytes that arrive cut up as told.

use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use virtwire_proto::connection::{
    CallError, Client, ClientConfig, ClientEvent, CloseReason, IncomingCall, Reply, Server, ServerConfig,
    ServerEvent, Time, Transmit,
};
use virtwire_proto::packet::{self, Descriptor, Header, Packet, PacketType, Serial, Status};
use virtwire_proto::program::{PROGRAMS, Procedure};
use virtwire_proto::xdr::{Xdr, to_bytes};

/// How bytes arrive: how many each `receive` gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    /// All that is there.
    Whole,
    /// One at a time.
    Bytes,
    /// All that is there, but for one cut at this place of the stream.
    At(usize),
}

/// What can be driven: both sides look alike.
pub(crate) trait Machine {
    fn receive(
        &mut self,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        now: Time,
    ) -> Result<(), CloseReason>;
    fn transmit(&mut self) -> Option<Transmit>;
    fn timeout(&mut self, now: Time);
    fn deadline(&self) -> Option<Time>;
}

macro_rules! machine {
    ($ty:ty) => {
        impl Machine for $ty {
            fn receive(
                &mut self,
                bytes: &mut BytesMut,
                descriptors: &mut VecDeque<Descriptor>,
                now: Time,
            ) -> Result<(), CloseReason> {
                <$ty>::receive(self, bytes, descriptors, now)
            }
            fn transmit(&mut self) -> Option<Transmit> {
                <$ty>::transmit(self)
            }
            fn timeout(&mut self, now: Time) {
                <$ty>::timeout(self, now);
            }
            fn deadline(&self) -> Option<Time> {
                <$ty>::deadline(self)
            }
        }
    };
}

machine!(Client);
machine!(Server);

/// One side, with what it has read and not taken.
#[derive(Debug)]
pub(crate) struct Side<M> {
    machine: M,
    pub(crate) now: Time,
    pub(crate) split: Split,
    /// How many bytes have arrived.
    pub(crate) arrived: usize,
    pub(crate) bytes: BytesMut,
    pub(crate) descriptors: VecDeque<Descriptor>,
}

impl<M> Deref for Side<M> {
    type Target = M;
    fn deref(&self) -> &M {
        &self.machine
    }
}

impl<M> DerefMut for Side<M> {
    fn deref_mut(&mut self) -> &mut M {
        &mut self.machine
    }
}

impl<M: Machine> Side<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self {
            machine,
            now: Time::START,
            split: Split::Whole,
            arrived: 0,
            bytes: BytesMut::new(),
            descriptors: VecDeque::new(),
        }
    }

    /// Lets the machine take what it has not, as it is to be done after an answer.
    pub(crate) fn receive(&mut self) {
        // Whoever wants to know how it ended asks for the reason.
        let _ = self.machine.receive(&mut self.bytes, &mut self.descriptors, self.now);
    }

    /// Lets bytes and descriptors arrive, cut up as the split says.
    pub(crate) fn feed_all(&mut self, pieces: impl IntoIterator<Item = Transmit>) {
        for piece in pieces {
            match piece {
                Transmit::Bytes(bytes) => self.feed_bytes(&bytes),
                Transmit::Descriptor(descriptor) => {
                    self.descriptors.push_back(descriptor);
                    self.feed_bytes(&[0]);
                }
            }
        }
        self.receive();
    }

    fn feed_bytes(&mut self, bytes: &[u8]) {
        for part in match self.split {
            Split::Whole => vec![bytes],
            Split::Bytes => bytes.chunks(1).collect(),
            Split::At(at) if at > self.arrived && at < self.arrived + bytes.len() => {
                let (before, behind) = bytes.split_at(at - self.arrived);
                vec![before, behind]
            }
            Split::At(_) => vec![bytes],
        } {
            self.bytes.extend_from_slice(part);
            self.arrived += part.len();
            if self.split == Split::Bytes || self.split == Split::At(self.arrived) {
                self.receive();
            }
        }
    }

    /// Lets bytes arrive, cut up as the split says.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.feed_bytes(bytes);
        self.receive();
    }

    /// What it has to write.
    pub(crate) fn written(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.machine.transmit()).collect()
    }

    /// What it has to write, cut into packets: none may be half.
    pub(crate) fn packets(&mut self) -> Vec<Packet> {
        let mut bytes = BytesMut::new();
        let mut descriptors = VecDeque::new();
        for piece in self.written() {
            match piece {
                Transmit::Bytes(part) => bytes.extend_from_slice(&part),
                Transmit::Descriptor(descriptor) => {
                    descriptors.push_back(descriptor);
                    bytes.put_u8(0);
                }
            }
        }
        let packets = std::iter::from_fn(|| {
            packet::cut(&mut bytes, &mut descriptors).expect("what a side writes can be cut into packets")
        });
        let packets = packets.collect();
        assert!(bytes.is_empty() && descriptors.is_empty(), "what a side writes is whole packets");
        packets
    }

    /// The headers of what it has to write.
    pub(crate) fn headers(&mut self) -> Vec<Header> {
        self.packets().into_iter().map(|packet| packet.header).collect()
    }

    /// Lets time pass, with a timeout at every deadline and nothing heard.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end) {
            assert!(deadline >= self.now, "a deadline never lies in the past");
            self.now = deadline;
            self.machine.timeout(deadline);
        }
        self.now = end;
        self.machine.timeout(end);
    }
}

/// A client and a server, joined.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: Side<Client>,
    pub(crate) server: Side<Server>,
}

impl Pair {
    pub(crate) fn new(client: ClientConfig, server: ServerConfig) -> Self {
        Self {
            client: Side::new(Client::new(client, Time::START)),
            server: Side::new(Server::new(server, Time::START)),
        }
    }

    /// A server that offers all programs to everybody.
    pub(crate) fn open() -> Self {
        Self::new(ClientConfig::default(), ServerConfig::new(PROGRAMS))
    }

    /// Carries what both have to write, until neither has anything more to say.
    pub(crate) fn run(&mut self) {
        self.server.receive();
        self.client.receive();
        loop {
            let to_server = self.client.written();
            let to_client = self.server.written();
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
            if !to_server.is_empty() {
                self.server.feed_all(to_server);
            }
            if !to_client.is_empty() {
                self.client.feed_all(to_client);
            }
        }
    }

    /// The call that the server is told of next.
    pub(crate) fn called(&mut self) -> IncomingCall {
        self.run();
        self.server.called()
    }
}

impl Side<Client> {
    pub(crate) fn client() -> Self {
        Self::new(Client::new(ClientConfig::default(), Time::START))
    }

    /// The result of this call, which is the next that the client is told of.
    pub(crate) fn result(&mut self, call: Serial) -> Result<Reply, CallError> {
        match self.event() {
            Some(ClientEvent::Reply { serial, result }) if serial == call => result,
            other => panic!("expected the reply to {call}, got {other:?}"),
        }
    }

    pub(crate) fn no_event(&mut self) {
        if let Some(event) = self.event() {
            panic!("expected nothing, got {event:?}");
        }
    }
}

impl Side<Server> {
    pub(crate) fn server() -> Self {
        Self::new(Server::new(ServerConfig::new(PROGRAMS), Time::START))
    }

    /// The call that the server is told of next.
    pub(crate) fn called(&mut self) -> IncomingCall {
        match self.event() {
            Some(ServerEvent::Call(call)) => call,
            other => panic!("expected a call, got {other:?}"),
        }
    }

    pub(crate) fn no_event(&mut self) {
        if let Some(event) = self.event() {
            panic!("expected nothing, got {event:?}");
        }
    }
}

/// What a scenario runs on.
pub(crate) trait Splittable {
    fn split(&mut self, split: Split);
    /// How long the longer of its streams has become.
    fn length(&self) -> usize;
}

impl<M> Splittable for Side<M> {
    fn split(&mut self, split: Split) {
        self.split = split;
    }
    fn length(&self) -> usize {
        self.arrived
    }
}

impl Splittable for Pair {
    fn split(&mut self, split: Split) {
        self.client.split = split;
        self.server.split = split;
    }
    fn length(&self) -> usize {
        self.client.arrived.max(self.server.arrived)
    }
}

/// Runs a scenario with the streams whole, one byte at a time, and cut at every single place.
pub(crate) fn each_split<T: Splittable>(set_up: impl Fn() -> T, scenario: impl Fn(&mut T)) {
    let run = |split| {
        let mut stage = set_up();
        stage.split(split);
        scenario(&mut stage);
        stage.length()
    };
    let length = run(Split::Whole);
    run(Split::Bytes);
    for at in 1..length {
        run(Split::At(at));
    }
}

/// [`each_split`] of a joined pair.
pub(crate) fn each_split_of_a_pair(scenario: impl Fn(&mut Pair)) {
    each_split(Pair::open, scenario);
}

/// A packet by hand, of any header, its length word right.
pub(crate) fn raw(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u32((packet::MIN_LEN + payload.len()) as u32);
    bytes.put_u32(header.program);
    bytes.put_u32(header.version);
    bytes.put_i32(header.procedure);
    bytes.put_i32(header.packet_type.0);
    bytes.put_u32(header.serial.0);
    bytes.put_i32(header.status.0);
    bytes.put_slice(payload);
    bytes
}

/// A packet of a procedure's by hand.
pub(crate) fn hand<T: Xdr>(
    procedure: &'static Procedure,
    packet_type: PacketType,
    serial: Serial,
    status: Status,
    payload: &T,
) -> Vec<u8> {
    let payload = to_bytes(payload).expect("it can be encoded");
    raw(Header::new(procedure, packet_type, serial, status), &payload)
}

/// A successful reply by hand.
pub(crate) fn hand_reply<T: Xdr>(procedure: &'static Procedure, serial: Serial, ret: &T) -> Vec<u8> {
    hand(procedure, PacketType::REPLY, serial, Status::OK, ret)
}

/// A packet of a stream's data by hand.
pub(crate) fn hand_data(procedure: &'static Procedure, serial: Serial, data: &[u8]) -> Vec<u8> {
    raw(Header::new(procedure, PacketType::STREAM, serial, Status::CONTINUE), data)
}

/// The bytes among what was written.
pub(crate) fn bytes_of(written: Vec<Transmit>) -> Bytes {
    let mut bytes = BytesMut::new();
    for piece in written {
        match piece {
            Transmit::Bytes(part) => bytes.extend_from_slice(&part),
            Transmit::Descriptor(_) => bytes.put_u8(0),
        }
    }
    bytes.freeze()
}
