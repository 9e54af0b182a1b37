//! Streams, as the server sees them.

use super::{CallId, Server, ServerEvent};
use crate::connection::client::SendError;
use crate::error::{malformed_error, stream_error};
use crate::packet::{Header, Packet, PacketType, STREAM_PAYLOAD_LEN, Serial, Status};
use crate::program::{Procedure, net};
use crate::xdr::from_bytes;
use alloc::collections::BTreeMap;
use alloc::format;
use bytes::Bytes;

/// What happened on a stream, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStreamEvent {
    /// Data came: at least one byte.
    Data(Bytes),
    /// A hole came: this many bytes that read as zeros. A stream that was not opened sparse should fail.
    Hole {
        /// How long it is, in bytes.
        length: i64,
        /// For future use: libvirt sends 0.
        flags: u32,
    },
    /// The client has finished the stream: [`Server::confirm`] it, or [`Server::fail`] it.
    Finish,
    /// The client has given up the stream. It is gone, and the client has been told that it is.
    Abort,
}

#[derive(Debug)]
struct Stream {
    procedure: &'static Procedure,
    serial: Serial,
    /// Whether the client has sent stream/ok, behind which it sends nothing more.
    finishing: bool,
}

#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<CallId, Stream>);

impl Streams {
    pub(super) fn open(&mut self, id: CallId, procedure: &'static Procedure, serial: Serial) {
        self.0.insert(id, Stream { procedure, serial, finishing: false });
    }

    pub(super) fn end(&mut self) {
        self.0.clear();
    }

    fn of(&mut self, header: &Header) -> Option<(CallId, &mut Stream)> {
        self.0
            .iter_mut()
            .find(|(_, stream)| stream.serial == header.serial && header.names(stream.procedure))
            .map(|(&id, stream)| (id, stream))
    }
}

impl Server {
    fn stream(&self, id: CallId) -> Result<(&'static Procedure, Serial), SendError> {
        let stream = self.streams.0.get(&id).ok_or(SendError::NoStream(Serial(0)))?;
        Ok((stream.procedure, stream.serial))
    }

    /// Sends data on a stream, in as many packets as it takes. No data sends nothing.
    ///
    /// Nothing here holds back a fast writer: it should wait while [`Server::pending_bytes`] are many.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn send(&mut self, id: CallId, mut data: Bytes) -> Result<(), SendError> {
        let (procedure, serial) = self.stream(id)?;
        while !data.is_empty() {
            let part = data.split_to(data.len().min(STREAM_PAYLOAD_LEN));
            self.link.put_stream_data(procedure, serial, part)?;
        }
        Ok(())
    }

    /// Sends a hole of `length` bytes on a stream that the client asked to be sparse.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn send_hole(&mut self, id: CallId, length: i64, flags: u32) -> Result<(), SendError> {
        let (procedure, serial) = self.stream(id)?;
        Ok(self.link.put_stream_hole(procedure, serial, length, flags)?)
    }

    /// Says that all data has been sent. The client answers with [`ServerStreamEvent::Finish`].
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn end(&mut self, id: CallId) -> Result<(), SendError> {
        let (procedure, serial) = self.stream(id)?;
        Ok(self.link.put_stream_data(procedure, serial, Bytes::new())?)
    }

    /// Confirms that a stream is finished. It is gone.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn confirm(&mut self, id: CallId) -> Result<(), SendError> {
        let (procedure, serial) = self.stream(id)?;
        self.link.put_stream_end(procedure, serial, Status::OK);
        self.streams.0.remove(&id);
        Ok(())
    }

    /// Says that a stream has failed. It is gone.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn fail(&mut self, id: CallId, error: &net::MessageError) -> Result<(), SendError> {
        let (procedure, serial) = self.stream(id)?;
        self.refuse(Header::new(procedure, PacketType::STREAM, serial, Status::ERROR), error);
        self.streams.0.remove(&id);
        Ok(())
    }

    pub(super) fn take_stream(&mut self, packet: Packet) {
        let Packet { header, payload, .. } = packet;
        // Packets of a stream that is gone are normal: they were on their way when it went.
        let Some((id, stream)) = self.streams.of(&header) else { return };
        if stream.finishing {
            return self.events.push_back(ServerEvent::Unexpected { header });
        }
        let event = match (header.packet_type, header.status) {
            (PacketType::STREAM_HOLE, Status::CONTINUE) => match from_bytes::<net::StreamHole>(payload) {
                Ok(hole) => ServerStreamEvent::Hole { length: hole.length, flags: hole.flags },
                Err(error) => {
                    self.refuse(header, &malformed_error(&error));
                    self.streams.0.remove(&id);
                    ServerStreamEvent::Abort
                }
            },
            // Only a server's empty packet means something.
            (_, Status::CONTINUE) if payload.is_empty() => return,
            (_, Status::CONTINUE) => ServerStreamEvent::Data(payload),
            (_, Status::OK) => {
                stream.finishing = true;
                ServerStreamEvent::Finish
            }
            (_, status) => {
                if status == Status::ERROR {
                    let (procedure, serial) = (stream.procedure, stream.serial);
                    self.link.put_stream_end(procedure, serial, Status::OK);
                } else {
                    let text = format!("stream aborted with unexpected status {}", status.0);
                    self.refuse(header, &stream_error(&text));
                }
                self.streams.0.remove(&id);
                ServerStreamEvent::Abort
            }
        };
        self.events.push_back(ServerEvent::Stream { id, event });
    }
}
