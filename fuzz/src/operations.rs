//! The target `operations`: lists of operations on a client and a server that are joined by a wire.

mod client;
mod model;
mod server;
mod wire;

use crate::descriptors::Descriptors;
use crate::input::Input;
use bytes::BytesMut;
use model::Model;
use std::collections::VecDeque;
use std::time::Duration;
use virtwire_proto::connection::{
    Authentication, Client, ClientConfig, CloseReason, Keepalive, Server, ServerConfig, Time,
};
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::PROGRAMS;
use wire::{Layer, Wire};

/// Does what the input says: calls, answers, cancellations, events, streams with every ending, descriptors, time that
/// passes, ends of the connection, while bytes travel in pieces. Then everything is answered and closed.
///
/// Beside it stands a model of what each side may expect: that every call ends once, by the answer that was given to
/// it; that a stream's data arrive whole and in order, and nothing behind its end; that subscriptions get their events
/// in order, and lose none unsaid; that bounds hold; that no deadline lies in the past; that no descriptor is left open.
///
/// # Panics
/// Where the model and what happens differ.
pub fn operations(data: &[u8]) {
    let descriptors = Descriptors::new();
    let mut input = Input::new(data);
    let mut world = World::new(&mut input, &descriptors);
    while !input.is_empty() {
        world.step(&mut input);
        world.look();
    }
    world.finish();
    drop(world);
    descriptors.assert_all_closed();
}

/// A side's bytes that it has read and not taken.
#[derive(Debug, Default)]
struct Read {
    bytes: BytesMut,
    descriptors: VecDeque<Descriptor>,
}

/// Both sides, what is between them, and what they are to do.
struct World<'a> {
    descriptors: &'a Descriptors,
    now: Time,
    client: Client,
    server: Server,
    to_client: Wire,
    to_server: Wire,
    client_read: Read,
    server_read: Read,
    authentication: Authentication,
    /// Whether a security layer is negotiated.
    sealed: bool,
    max_calls: usize,
    max_requests: usize,
    model: Model,
}

impl<'a> World<'a> {
    /// The first two bytes say how both sides are set up.
    fn new(input: &mut Input<'_>, descriptors: &'a Descriptors) -> Self {
        let authentications = [Authentication::None, Authentication::Polkit, Authentication::Sasl];
        let authentication = input.one_of(&authentications);
        let bounds = input.byte();
        let mut config = ClientConfig::default();
        config.max_calls_in_flight = 1 + usize::from(bounds & 7);
        if bounds & 64 != 0 {
            config.max_parked_events = 2;
            config.max_parked_bytes = 64;
        }
        let max_requests = 1 + usize::from(bounds >> 3 & 7);
        let server =
            ServerConfig::new(PROGRAMS).authentication(authentication).max_client_requests(max_requests);
        let mut world = Self {
            descriptors,
            now: Time::START,
            max_calls: config.max_calls_in_flight,
            max_requests,
            client: Client::new(config, Time::START),
            server: Server::new(server, Time::START),
            to_client: Wire::default(),
            to_server: Wire::default(),
            client_read: Read::default(),
            server_read: Read::default(),
            authentication,
            sealed: authentication == Authentication::Sasl && bounds & 128 != 0,
            model: Model::default(),
        };
        world.authenticate();
        world
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(32) {
            // As often as all else, so that something happens.
            0..=3 => self.deliver_to_server(pieces(input)),
            4..=7 => self.deliver_to_client(pieces(input)),
            8 => self.pass(Duration::from_millis(u64::from(input.word()))),
            9 => {
                let settings = Keepalive {
                    interval: Duration::from_secs(input.below(8) as u64),
                    count: input.below(4) as u32,
                };
                if input.below(2) == 0 {
                    self.client.start_keepalive(settings, self.now);
                } else {
                    self.server.start_keepalive(settings, self.now);
                }
            }
            10 => {
                let reading = input.below(2) == 0;
                if input.below(2) == 0 {
                    self.client.set_reading(reading, self.now);
                } else {
                    self.server.set_reading(reading, self.now);
                }
            }
            // An end, now and then only: nothing much happens behind it.
            11 => match input.byte() {
                0xfc => self.client.close(CloseReason::Local),
                0xfd => self.server.close(CloseReason::Local),
                0xfe => self.corrupt(input),
                0xff => self.client.close(CloseReason::Transport("gone".into())),
                _ => {}
            },
            12..=21 => self.client_operation(input),
            _ => self.server_operation(input),
        }
        self.client_events();
        self.server_events();
        self.write();
    }

    /// Takes what both sides have to write onto the wire.
    fn write(&mut self) {
        let pending = self.client.pending_bytes();
        let written = self.to_server.take(|| self.client.transmit());
        assert!(self.sealed || written == pending, "{pending} bytes were waiting, {written} came");
        let pending = self.server.pending_bytes();
        let written = self.to_client.take(|| self.server.transmit());
        assert!(self.sealed || written == pending, "{pending} bytes were waiting, {written} came");
    }

    fn deliver_to_server(&mut self, most: usize) {
        self.to_server.deliver(most, &mut self.server_read);
        self.server_receive();
    }

    fn deliver_to_client(&mut self, most: usize) {
        self.to_client.deliver(most, &mut self.client_read);
        self.client_receive();
    }

    fn server_receive(&mut self) {
        let Read { bytes, descriptors } = &mut self.server_read;
        let received = self.server.receive(bytes, descriptors, self.now);
        assert_eq!(received.err().as_ref(), self.server.close_reason());
        self.server_events();
    }

    fn client_receive(&mut self) {
        let Read { bytes, descriptors } = &mut self.client_read;
        let received = self.client.receive(bytes, descriptors, self.now);
        assert_eq!(received.err().as_ref(), self.client.close_reason());
        self.client_events();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = [self.client.deadline(), self.server.deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next >= self.now, "no deadline lies in the past");
            self.now = next;
            self.client.timeout(next);
            self.server.timeout(next);
            self.client_events();
            self.server_events();
            self.write();
            assert!(self.client.deadline().is_none_or(|deadline| deadline > next), "what was due is done");
            assert!(self.server.deadline().is_none_or(|deadline| deadline > next), "what was due is done");
        }
        self.now = end;
    }

    /// From here on a peer may do anything. What this side owes to its own user it still owes.
    fn corrupt(&mut self, input: &mut Input<'_>) {
        let wire = if input.below(2) == 0 { &mut self.to_client } else { &mut self.to_server };
        if wire.flip(usize::from(input.word()), input.byte()) {
            self.model.corrupt = true;
        }
    }

    /// What holds after every operation.
    fn look(&self) {
        assert!(self.server.pending_calls() <= self.max_requests);
        assert!(self.model.in_flight() <= self.max_calls || self.model.corrupt);
        for reason in [self.client.close_reason(), self.server.close_reason()].into_iter().flatten() {
            let honest = matches!(reason, CloseReason::Local | CloseReason::Transport(_) | CloseReason::Peer)
                || matches!(reason, CloseReason::Keepalive { .. });
            assert!(honest || self.model.corrupt, "{reason}");
        }
    }

    /// Lets everything that is under way come to its end, then closes both sides.
    fn finish(&mut self) {
        self.client.set_reading(true, self.now);
        self.server.set_reading(true, self.now);
        let mut rounds = 0;
        loop {
            self.write();
            let moved = self.to_server.len() + self.to_client.len();
            self.deliver_to_server(usize::MAX);
            self.deliver_to_client(usize::MAX);
            self.server_receive();
            self.client_receive();
            let answered = self.answer_all();
            if moved == 0 && answered == 0 {
                break;
            }
            rounds += 1;
            assert!(rounds < 100_000, "it comes to an end");
        }
        let open = self.client.close_reason().is_none() && self.server.close_reason().is_none();
        if open && !self.model.corrupt {
            assert_eq!((self.client.pending_calls(), self.server.pending_calls()), (0, 0));
            self.model.assert_settled();
            for Read { bytes, descriptors } in [&self.client_read, &self.server_read] {
                assert!(bytes.is_empty() && descriptors.is_empty(), "all that came was taken");
            }
        }
        self.client.close(CloseReason::Peer);
        self.server.close(CloseReason::Peer);
        self.client_events();
        self.server_events();
        self.model.assert_ended();
        assert!(self.client.event().is_none() && self.server.event().is_none(), "nothing follows the end");
        assert!(self.client.transmit().is_none() && self.server.transmit().is_none());
        assert_eq!((self.client.deadline(), self.server.deadline()), (None, None));
        // What both had read, and the wires, may still hold descriptors: they go with the world.
    }

    fn authenticate(&mut self) {
        if self.authentication == Authentication::None {
            return;
        }
        self.client_authenticates();
        for _ in 0..8 {
            self.write();
            self.to_server.deliver(usize::MAX, &mut self.server_read);
            self.server_authenticates(self.sealed.then(|| Box::new(Layer) as _));
            self.write();
            self.to_client.deliver(usize::MAX, &mut self.client_read);
            self.client_goes_on(self.sealed.then(|| Box::new(Layer) as _));
        }
        assert!(self.server.admitted(), "the client was let in");
        assert_eq!(self.client.pending_calls(), 0);
    }
}

/// How many bytes arrive at once: mostly all, or few.
fn pieces(input: &mut Input<'_>) -> usize {
    match input.byte() {
        few @ 0..128 => 1 + usize::from(few),
        some @ 128..192 => 64 * usize::from(some - 127),
        _ => usize::MAX,
    }
}
