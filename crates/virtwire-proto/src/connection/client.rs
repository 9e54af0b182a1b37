//! The client's side of a connection.

mod calls;
mod events;
mod shared;
mod streams;
#[cfg(test)]
mod tests;

pub use calls::{CallError, CallOptions, Reply};
pub use streams::{SendError, StreamEvent, StreamFailure};

use super::link::Link;
use super::{CloseReason, Keepalive, SecurityLayer, Time, Transmit};
use crate::packet::{Descriptor, Header, Packet, PacketType, Serial};
use crate::program::Procedure;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use calls::Calls;
use events::Subscriptions;
use streams::Streams;

/// How a client behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How many calls the server may be working on at once; further ones wait here for their turn.
    ///
    /// libvirtd stops reading a client once it works on max_client_requests of its calls, and then sees neither
    /// PINGs nor PONGs: with keepalive on its side it hangs up on a client whose calls take long. Its default is
    /// 5; one less keeps it reading.
    pub max_calls_in_flight: usize,
    /// How many events are kept that arrive before the reply to the registration that they may belong to. At
    /// more the oldest is lost, and counted.
    pub max_parked_events: usize,
    /// How many bytes of such events are kept, and for each call that opens a stream how many bytes of the
    /// stream's packets that arrive before the reply. A stream that passes this fails.
    pub max_parked_bytes: usize,
}

impl Default for ClientConfig {
    /// 4 calls in flight, 1024 parked events, 4 MiB of them.
    fn default() -> Self {
        Self { max_calls_in_flight: 4, max_parked_events: 1024, max_parked_bytes: 4 << 20 }
    }
}

/// What happened on a client's connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A call is finished. Every call that was not cancelled gets exactly one of these.
    Reply {
        /// The call.
        serial: Serial,
        /// What the server answered, or why there is no answer.
        result: Result<Reply, CallError>,
    },
    /// The server sent an event.
    Message {
        /// The subscription that it belongs to: the serial of its registration. `None` for the events that
        /// have no callback identifier, and for those of a subscription that is not, or no longer, there.
        subscription: Option<Serial>,
        /// Which event.
        procedure: &'static Procedure,
        /// Its message, to be decoded as the struct that implements [`Event`](crate::program::Event).
        payload: Bytes,
    },
    /// Events of a subscription were lost: more arrived before the reply to its registration than are kept.
    EventsLost {
        /// The subscription.
        subscription: Serial,
        /// At most how many.
        count: u64,
    },
    /// Something happened on a stream.
    Stream {
        /// The stream: the serial of the call that opened it.
        serial: Serial,
        /// What.
        event: StreamEvent,
    },
    /// A packet that belongs to nothing here, which was dropped: a reply to no call, an unknown event.
    Unexpected {
        /// Its header.
        header: Header,
    },
    /// The link is lost, and another is to take its place: see [`Client::outlast_links`]. All calls that it had
    /// and all streams have been told before; subscriptions are gone with this.
    Lost {
        /// Why.
        reason: CloseReason,
    },
    /// The connection has ended. All calls and streams have been told before; subscriptions end with this.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// The client's side of a connection, without I/O. [The module](super) says how to drive it.
#[derive(Debug)]
pub struct Client {
    link: Link,
    events: VecDeque<ClientEvent>,
    calls: Calls,
    streams: Streams,
    subscriptions: Subscriptions,
    /// Whether what came behind a finished authentication waits for the layer that it may be sealed with.
    held: bool,
    /// Whether what the server sends is being read.
    reading: bool,
    /// Whether the loss of the link is not the end.
    lasting: bool,
}

impl Client {
    /// A client at the beginning of its connection.
    #[must_use]
    pub fn new(config: ClientConfig, now: Time) -> Self {
        Self {
            link: Link::new(now),
            events: VecDeque::new(),
            calls: Calls::new(config.max_calls_in_flight, config.max_parked_bytes),
            streams: Streams::default(),
            subscriptions: Subscriptions::new(config.max_parked_events, config.max_parked_bytes),
            held: false,
            reading: true,
            lasting: false,
        }
    }

    /// Takes what was read: `bytes` as far as they hold whole packets, and the descriptors that came with
    /// them. What is left belongs to the next call of this: append to it. This may be called with nothing new,
    /// and is to be after [`Client::authenticated`].
    ///
    /// # Errors
    /// The reason for which the connection has ended, now or earlier.
    pub fn receive(
        &mut self,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        now: Time,
    ) -> Result<(), CloseReason> {
        self.alive()?;
        self.link.before_receive(bytes, now);
        while !self.held {
            match self.link.next_packet(bytes, descriptors) {
                Ok(Some(packet)) => self.take(packet),
                Ok(None) => break,
                Err(reason) => {
                    self.lose(reason.clone());
                    return Err(reason);
                }
            }
        }
        self.link.after_receive(bytes, descriptors);
        Ok(())
    }

    fn take(&mut self, packet: Packet) {
        let header = packet.header;
        match header.packet_type {
            PacketType::REPLY | PacketType::REPLY_WITH_FDS => self.take_reply(packet),
            PacketType::MESSAGE => self.take_message(packet),
            PacketType::STREAM | PacketType::STREAM_HOLE => self.take_stream(packet),
            _ => self.events.push_back(ClientEvent::Unexpected { header }),
        }
    }

    /// What happened next, if anything did.
    pub fn event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// What is to be written next, if anything is.
    pub fn transmit(&mut self) -> Option<Transmit> {
        match self.link.transmit() {
            Ok(next) => next,
            Err(reason) => {
                self.lose(reason);
                None
            }
        }
    }

    /// How many bytes wait to be written. A bulk stream's writer should wait while these are many.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.link.pending_bytes()
    }

    /// When [`Client::timeout`] is to be called next. Any other method may change it.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.link.closed().is_some() {
            return None;
        }
        [self.link.heartbeat.deadline(), self.calls.deadline()].into_iter().flatten().min()
    }

    /// Does what is due at `now`: fails calls whose deadline has passed, sends a PING, ends a dead connection.
    pub fn timeout(&mut self, now: Time) {
        if self.link.closed().is_some() {
            return;
        }
        while let Some(serial) = self.calls.expired(now) {
            self.cancel(serial);
            self.events.push_back(ClientEvent::Reply { serial, result: Err(CallError::TimedOut) });
        }
        self.listen(now);
        if let Some(reason) = self.link.timeout(now) {
            self.lose(reason);
        }
    }

    /// Starts keepalive: to be called once the server has said that it answers PINGs (the feature
    /// PROGRAM_KEEPALIVE). An interval of zero stops it. PINGs from the server are always answered.
    pub fn start_keepalive(&mut self, settings: Keepalive, now: Time) {
        self.link.heartbeat.start(settings, now);
    }

    /// Says whether what the server sends is being read. While it is not, and while a finished authentication
    /// waits for [`Client::authenticated`], PINGs go out but their missing answers do not end the connection.
    pub fn set_reading(&mut self, reading: bool, now: Time) {
        self.reading = reading;
        self.listen(now);
    }

    fn listen(&mut self, now: Time) {
        let taking = !self.held;
        self.link.heartbeat.set_listening(self.reading && taking, now);
    }

    /// Goes on behind a finished SASL authentication, with the layer that the mechanism has negotiated, if it
    /// has. Until this is called, [`Client::receive`] leaves what came behind the last step where it is, since
    /// only the mechanism can say whether it is sealed: give it that again behind this.
    pub fn authenticated(&mut self, layer: Option<Box<dyn SecurityLayer>>) {
        self.held = false;
        if let Some(layer) = layer {
            self.link.install(layer);
        }
    }

    /// Whether what came behind a finished authentication waits for [`Client::authenticated`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Says whether this client outlasts its link. Where it does and the link is lost, only what the link had fails:
    /// calls that were sent, streams, subscriptions. Calls that were never sent, and those made from then on, wait,
    /// each until its deadline.
    ///
    /// [`ClientEvent::Lost`] tells it. From there on this client is at the beginning of a new link: what is
    /// received and transmitted next belongs to that. Whoever drives it opens it by calls made
    /// [ahead](Client::ahead) of those that wait, and lets them go by [`Client::release_calls`]. Serials go on
    /// counting, so that nothing of the lost link is taken for something of the new one.
    pub fn outlast_links(&mut self, outlast: bool) {
        self.lasting = outlast;
    }

    /// The link is lost: the end, unless this client [outlasts](Client::outlast_links) it.
    pub fn lose(&mut self, reason: CloseReason) {
        if !self.lasting {
            return self.close(reason);
        }
        if self.link.closed().is_some() {
            return;
        }
        let prepared = self.subscriptions.registrations.lose();
        let calls = self.calls.lose(&prepared);
        self.fail(calls, &reason);
        self.link = Link::new(self.link.heartbeat.last_heard());
        (self.held, self.reading) = (false, true);
        self.events.push_back(ClientEvent::Lost { reason });
    }

    /// Ends the connection: every call and stream fails with `reason`, then [`ClientEvent::Closed`] follows.
    /// Nothing more is to be written. Does nothing where it has ended already.
    pub fn close(&mut self, reason: CloseReason) {
        if !self.link.close(reason.clone()) {
            return;
        }
        let calls = self.calls.end();
        self.fail(calls, &reason);
        self.events.push_back(ClientEvent::Closed { reason });
    }

    /// Fails these calls, and all that was open.
    fn fail(&mut self, calls: Vec<Serial>, reason: &CloseReason) {
        for serial in calls {
            let result = Err(CallError::Closed(reason.clone()));
            self.events.push_back(ClientEvent::Reply { serial, result });
        }
        for serial in self.streams.end() {
            let event = StreamEvent::Failed(StreamFailure::Closed(reason.clone()));
            self.events.push_back(ClientEvent::Stream { serial, event });
        }
        self.subscriptions.end();
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.link.closed()
    }

    fn alive(&self) -> Result<(), CloseReason> {
        self.link.closed().map_or(Ok(()), |reason| Err(reason.clone()))
    }
}
