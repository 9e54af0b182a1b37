//! The server's side of a connection.

mod admission;
mod calls;
mod streams;

pub use admission::{Authentication, SaslReply};
pub use calls::{CallId, IncomingCall, ReplyError};
pub use streams::ServerStreamEvent;

use super::link::Link;
use super::{CloseReason, Keepalive, Time, Transmit};
use crate::packet::{Descriptor, Header, Packet, PacketType, Serial, Status, put_error};
use crate::program::{Event, Procedure, Program, net};
use admission::Admission;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use calls::Calls;
use streams::Streams;

/// How a server treats a client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The programs that it offers. Keepalive is always spoken.
    pub programs: Vec<&'static Program>,
    /// How a client has to authenticate itself.
    pub authentication: Authentication,
    /// How many calls of one client are worked on at once; while there are that many, nothing more is taken
    /// from it.
    pub max_client_requests: usize,
}

impl ServerConfig {
    /// A server that offers these programs to everybody, with libvirtd's default of 5 calls at once.
    #[must_use]
    pub fn new(programs: &[&'static Program]) -> Self {
        Self { programs: programs.to_vec(), authentication: Authentication::None, max_client_requests: 5 }
    }

    /// The same with this way to authenticate.
    #[must_use]
    pub fn authentication(mut self, authentication: Authentication) -> Self {
        self.authentication = authentication;
        self
    }

    /// The same with this many calls of one client at once.
    #[must_use]
    pub fn max_client_requests(mut self, max: usize) -> Self {
        self.max_client_requests = max;
        self
    }
}

/// What happened on a server's connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The client calls a procedure. It is to be answered, in any order.
    Call(IncomingCall),
    /// The client asks for polkit's decision: [`Server::decide`] it.
    Polkit {
        /// The call that asks.
        id: CallId,
    },
    /// The client asks which SASL mechanisms there are: [`Server::sasl_mechanisms`] tells it.
    SaslInit {
        /// The call that asks.
        id: CallId,
    },
    /// The client starts a SASL mechanism: [`Server::sasl_reply`] answers it.
    SaslStart {
        /// The call that starts it.
        id: CallId,
        /// The mechanism's name.
        mechanism: crate::xdr::Text,
        /// What it starts with. Absent is not the same as empty.
        data: Option<Bytes>,
    },
    /// The client goes on with the SASL mechanism: [`Server::sasl_reply`] answers it.
    SaslStep {
        /// The call that goes on.
        id: CallId,
        /// What it goes on with. Absent is not the same as empty.
        data: Option<Bytes>,
    },
    /// Something happened on a stream.
    Stream {
        /// The stream: the call that opened it.
        id: CallId,
        /// What.
        event: ServerStreamEvent,
    },
    /// A packet that belongs to nothing here, which was dropped.
    Unexpected {
        /// Its header.
        header: Header,
    },
    /// The connection has ended. All its streams are gone, and answers to its calls go nowhere.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// The server's side of a connection, without I/O. [The module](super) says how to drive it.
///
/// What is not in its programs, or not allowed before authentication, it answers by itself, as libvirtd does.
#[derive(Debug)]
pub struct Server {
    link: Link,
    programs: Vec<&'static Program>,
    events: VecDeque<ServerEvent>,
    admission: Admission,
    calls: Calls,
    streams: Streams,
    /// Whether what the client sends is being read.
    reading: bool,
}

impl Server {
    /// A server at the beginning of a client's connection.
    #[must_use]
    pub fn new(config: ServerConfig, now: Time) -> Self {
        Self {
            link: Link::new(now),
            programs: config.programs,
            events: VecDeque::new(),
            admission: Admission::new(config.authentication),
            calls: Calls::new(config.max_client_requests),
            streams: Streams::default(),
            reading: true,
        }
    }

    /// Takes what was read: `bytes` as far as they hold whole packets and as the client may still have calls
    /// worked on, and the descriptors that came with them. What is left belongs to the next call of this: append
    /// to it. This may be called with nothing new, and is to be after every answer.
    ///
    /// Calls are bounded in number; what else is in `bytes` is all taken and may be answered, by more bytes than
    /// came (an error of some 150 for a packet of 28). Who gives this little at a time, and nothing while
    /// [`Server::pending_bytes`] are many, bounds that too.
    ///
    /// # Errors
    /// The reason for which the connection has ended, now or earlier.
    pub fn receive(
        &mut self,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        now: Time,
    ) -> Result<(), CloseReason> {
        if let Some(reason) = self.link.closed() {
            return Err(reason.clone());
        }
        self.link.before_receive(bytes, now);
        while self.wants_bytes() {
            match self.link.next_packet(bytes, descriptors) {
                Ok(Some(packet)) => self.take(packet),
                Ok(None) => break,
                Err(reason) => {
                    self.close(reason.clone());
                    return Err(reason);
                }
            }
        }
        self.link.after_receive(bytes, descriptors);
        Ok(())
    }

    /// Whether anything would be taken from the client. While it has as many calls worked on as it may, and
    /// while its authentication is being decided, nothing is.
    #[must_use]
    pub fn wants_bytes(&self) -> bool {
        self.link.closed().is_none() && self.calls.has_room() && !self.admission.deciding()
    }

    fn take(&mut self, packet: Packet) {
        let header = packet.header;
        match header.packet_type {
            PacketType::CALL | PacketType::CALL_WITH_FDS => self.take_call(packet),
            PacketType::STREAM | PacketType::STREAM_HOLE => self.take_stream(packet),
            _ => self.events.push_back(ServerEvent::Unexpected { header }),
        }
    }

    /// What happened next, if anything did.
    pub fn event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// What is to be written next, if anything is.
    pub fn transmit(&mut self) -> Option<Transmit> {
        match self.link.transmit() {
            Ok(next) => next,
            Err(reason) => {
                self.close(reason);
                None
            }
        }
    }

    /// How many bytes wait to be written. A stream's writer should wait while these are many.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.link.pending_bytes()
    }

    /// When [`Server::timeout`] is to be called next. Any other method may change it.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.link.closed().map_or_else(|| self.link.heartbeat.deadline(), |_| None)
    }

    /// Does what is due at `now`: sends a PING, ends a dead connection.
    pub fn timeout(&mut self, now: Time) {
        if self.link.closed().is_some() {
            return;
        }
        self.listen(now);
        if let Some(reason) = self.link.timeout(now) {
            self.close(reason);
        }
    }

    /// Starts keepalive: to be called once the client has shown that it answers PINGs, by asking for the
    /// feature PROGRAM_KEEPALIVE. An interval of zero stops it. PINGs from the client are always answered.
    pub fn start_keepalive(&mut self, settings: Keepalive, now: Time) {
        self.link.heartbeat.start(settings, now);
    }

    /// Says whether what the client sends is being read. While it is not, and while the server itself takes
    /// nothing ([`Server::wants_bytes`]), PINGs go out but their missing answers do not end the connection.
    pub fn set_reading(&mut self, reading: bool, now: Time) {
        self.reading = reading;
        self.listen(now);
    }

    fn listen(&mut self, now: Time) {
        let taking = self.wants_bytes();
        self.link.heartbeat.set_listening(self.reading && taking, now);
    }

    /// Sends an event. It goes nowhere where the connection has ended.
    ///
    /// # Errors
    /// The message passes a maximum of libvirt's definitions: nothing was sent.
    pub fn emit<E: Event>(&mut self, message: &E) -> Result<(), crate::packet::PacketError> {
        if self.link.closed().is_some() {
            return Ok(());
        }
        crate::packet::put_event(self.link.outbox.tail(), message)
    }

    /// Sends an event whose message is encoded already. It goes nowhere where the connection has ended.
    ///
    /// # Errors
    /// The packet would be too long: nothing was sent.
    pub fn emit_raw(
        &mut self,
        event: &'static Procedure,
        payload: Bytes,
    ) -> Result<(), crate::packet::PacketError> {
        if self.link.closed().is_some() {
            return Ok(());
        }
        let header = Header::new(event, PacketType::MESSAGE, Serial(0), Status::OK);
        crate::packet::put_head(self.link.outbox.tail(), event, header, payload.len())?;
        self.link.outbox.push(payload);
        Ok(())
    }

    /// Ends the connection; [`ServerEvent::Closed`] follows. Nothing more is to be written. Does nothing where
    /// it has ended already.
    pub fn close(&mut self, reason: CloseReason) {
        if self.link.close(reason.clone()) {
            self.calls.end();
            self.streams.end();
            self.events.push_back(ServerEvent::Closed { reason });
        }
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<&CloseReason> {
        self.link.closed()
    }

    fn refuse(&mut self, header: Header, error: &net::MessageError) {
        let packet_type = match header.packet_type {
            PacketType::STREAM | PacketType::STREAM_HOLE => PacketType::STREAM,
            _ => PacketType::REPLY,
        };
        put_error(self.link.outbox.tail(), Header { packet_type, ..header }, error);
    }
}
