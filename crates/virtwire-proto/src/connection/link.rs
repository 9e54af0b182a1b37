//! What both sides of a connection share: bytes in and out, the security layer, keepalive, and the end.

use super::keepalive::{Due, Heartbeat};
use super::outbox::Outbox;
use super::{CloseReason, SecurityLayer, Time, Transmit};
use crate::packet::{
    self, Descriptor, Header, MAX_DESCRIPTORS, Packet, PacketError, PacketType, Serial, Status,
};
use crate::program::{Procedure, keepalive, net};
use crate::xdr::to_bytes;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

const PING: i32 = 1;
const PONG: i32 = 2;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) outbox: Outbox,
    pub(super) heartbeat: Heartbeat,
    layer: Option<Box<dyn SecurityLayer>>,
    /// What the layer gave that is no whole packet yet. Unused without a layer.
    plain: BytesMut,
    /// How many bytes the last `receive` left to the next.
    left: usize,
    /// Whether a PING has come since the last PONG was queued. However many came, one PONG answers them, so
    /// that a peer that sends PINGs and reads nothing makes nothing grow here.
    pinged: bool,
    closed: Option<CloseReason>,
}

impl Link {
    pub(super) fn new(now: Time) -> Self {
        Self {
            outbox: Outbox::default(),
            heartbeat: Heartbeat::new(now),
            layer: None,
            plain: BytesMut::new(),
            left: 0,
            pinged: false,
            closed: None,
        }
    }

    /// Whether this many descriptors can be sent.
    pub(super) fn admits(
        &self,
        procedure: &'static Procedure,
        descriptors: usize,
    ) -> Result<(), PacketError> {
        if descriptors > 0 && self.layer.is_some() {
            return Err(PacketError::Sealed { procedure });
        }
        Ok(())
    }

    /// To be told of what a `receive` starts with. It may come with nothing new, since what was left before
    /// can be taken now: only new bytes are a sign of life.
    pub(super) fn before_receive(&mut self, bytes: &BytesMut, now: Time) {
        if bytes.len() != self.left {
            self.heartbeat.heard(now);
        }
    }

    /// To be told of what a `receive` leaves to the next.
    pub(super) fn after_receive(&mut self, bytes: &BytesMut, descriptors: &mut VecDeque<Descriptor>) {
        self.left = bytes.len();
        if bytes.is_empty() && self.plain.is_empty() {
            // Descriptors that belong to no packet: nobody asked for them, so they are closed.
            descriptors.clear();
        }
    }

    /// From here on, what goes out is sealed and what comes in is unsealed.
    pub(super) fn install(&mut self, layer: Box<dyn SecurityLayer>) {
        self.outbox.seal_from_here();
        self.layer = Some(layer);
    }

    /// The next packet that is not keepalive's: PINGs are answered here.
    pub(super) fn next_packet(
        &mut self,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
    ) -> Result<Option<Packet>, CloseReason> {
        loop {
            let cut = match &mut self.layer {
                None => packet::cut(bytes, descriptors)?,
                Some(layer) => {
                    layer.unwrap(bytes, &mut self.plain)?;
                    packet::cut(&mut self.plain, descriptors)?
                }
            };
            let Some(packet) = cut else {
                // What is left is part of one packet at most, so that further descriptors belong to none. A
                // peer could send them with every byte of a packet that it never ends.
                descriptors.truncate(MAX_DESCRIPTORS);
                return Ok(None);
            };
            if !self.take_keepalive(&packet.header) {
                return Ok(Some(packet));
            }
        }
    }

    fn take_keepalive(&mut self, header: &Header) -> bool {
        if header.program != keepalive::PROGRAM.number
            || header.version != keepalive::PROGRAM.version
            || header.packet_type != PacketType::MESSAGE
        {
            return false;
        }
        self.pinged |= header.procedure == PING;
        true
    }

    fn put_keepalive(&mut self, number: i32) {
        let Some(procedure) = keepalive::PROGRAM.procedure(number) else { return };
        let header = Header::new(procedure, PacketType::MESSAGE, Serial(0), Status::OK);
        packet::put_head(self.outbox.tail(), procedure, header, 0).expect("a packet without payload fits");
    }

    /// What keepalive has to do at `now`: send a PING, or say that the peer is dead.
    pub(super) fn timeout(&mut self, now: Time) -> Option<CloseReason> {
        match self.heartbeat.timeout(now) {
            Due::Nothing => None,
            Due::Ping => {
                self.put_keepalive(PING);
                None
            }
            Due::Dead(reason) => Some(reason),
        }
    }

    /// How many bytes wait to be written.
    pub(super) fn pending_bytes(&self) -> usize {
        self.outbox.len() + if self.pinged { packet::MIN_LEN } else { 0 }
    }

    /// What is to be written next, or why the connection is lost.
    pub(super) fn transmit(&mut self) -> Result<Option<Transmit>, CloseReason> {
        if core::mem::take(&mut self.pinged) {
            self.put_keepalive(PONG);
        }
        self.outbox.next(self.layer.as_deref_mut())
    }

    pub(super) fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Ends the connection; false where it has ended already. What was to be written is dropped.
    pub(super) fn close(&mut self, reason: CloseReason) -> bool {
        if self.closed.is_some() {
            return false;
        }
        self.closed = Some(reason);
        self.pinged = false;
        self.plain = BytesMut::new();
        self.outbox.clear();
        true
    }

    /// Data of a stream; none at all marks its end.
    pub(super) fn put_stream_data(
        &mut self,
        procedure: &'static Procedure,
        serial: Serial,
        data: Bytes,
    ) -> Result<(), PacketError> {
        let header = Header::new(procedure, PacketType::STREAM, serial, Status::CONTINUE);
        packet::put_head(self.outbox.tail(), procedure, header, data.len())?;
        self.outbox.push(data);
        Ok(())
    }

    /// A hole in a sparse stream.
    pub(super) fn put_stream_hole(
        &mut self,
        procedure: &'static Procedure,
        serial: Serial,
        length: i64,
        flags: u32,
    ) -> Result<(), PacketError> {
        let header = Header::new(procedure, PacketType::STREAM_HOLE, serial, Status::CONTINUE);
        let hole = to_bytes(&net::StreamHole { length, flags }).expect("two integers pass no maximum");
        packet::put_raw(self.outbox.tail(), procedure, header, &hole, 0)
    }

    /// A stream's end: [`Status::OK`] to finish or confirm it, [`Status::ERROR`] for a client to abort it.
    pub(super) fn put_stream_end(&mut self, procedure: &'static Procedure, serial: Serial, status: Status) {
        let header = Header::new(procedure, PacketType::STREAM, serial, status);
        packet::put_head(self.outbox.tail(), procedure, header, 0).expect("a packet without payload fits");
    }
}
