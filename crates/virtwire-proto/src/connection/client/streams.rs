//! Streams: data and holes in both directions, and every way in which one ends.

use super::calls::Early;
use super::{Client, ClientEvent};
use crate::connection::CloseReason;
use crate::packet::{Packet, PacketError, PacketType, Serial, Status};
use crate::program::{Procedure, net};
use crate::xdr::{DecodeError, from_bytes};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

/// What happened on a stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Data came.
    Data(Bytes),
    /// A hole came: this many bytes that read as zeros.
    Hole {
        /// How long it is, in bytes.
        length: i64,
        /// For future use: libvirt sends 0.
        flags: u32,
    },
    /// The server has sent all that it has. [`Client::finish`] is to follow, and the server's confirmation.
    End,
    /// The server confirms that the stream is finished. The stream is gone.
    Finished,
    /// The stream failed. It is gone.
    Failed(StreamFailure),
}

/// Why a stream failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamFailure {
    /// The server says so.
    #[error("{}", crate::error::text(.0))]
    Server(Box<net::MessageError>),
    /// What the server sent cannot be understood. The stream was aborted.
    #[error("a packet of the stream of {procedure} cannot be decoded: {source}")]
    Malformed {
        /// The procedure that opened it.
        procedure: &'static Procedure,
        /// What was expected, what came, and where.
        source: DecodeError,
    },
    /// The server finished a stream that was not to be finished yet.
    #[error("the server ended the stream of {procedure} before it was finished")]
    Unfinished {
        /// The procedure that opened it.
        procedure: &'static Procedure,
    },
    /// More of the stream came before the reply to the call that opens it than is kept. The stream was
    /// aborted.
    #[error("more of the stream of {procedure} came before the call's reply than is kept")]
    Overrun {
        /// The procedure that opened it.
        procedure: &'static Procedure,
    },
    /// The connection ended.
    #[error(transparent)]
    Closed(#[from] CloseReason),
}

/// Why something cannot be sent on a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No stream has this serial: it was never opened, or is gone.
    #[error("no stream has the serial {0}")]
    NoStream(Serial),
    /// This side has finished the stream already.
    #[error("the stream has been finished already")]
    Finished,
    /// The packet cannot be sent.
    #[error(transparent)]
    Refused(#[from] PacketError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// This side has sent stream/ok and waits for the server's.
    Finishing,
    /// This side has sent stream/error and waits for the server's last word.
    Aborting,
}

#[derive(Debug)]
pub(super) struct Stream {
    procedure: &'static Procedure,
    phase: Phase,
}

impl Stream {
    pub(super) fn new(procedure: &'static Procedure) -> Self {
        Self { procedure, phase: Phase::Open }
    }
}

#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<Serial, Stream>);

impl Streams {
    pub(super) fn contains(&self, serial: Serial) -> bool {
        self.0.contains_key(&serial)
    }

    pub(super) fn insert(&mut self, serial: Serial, stream: Stream) {
        self.0.insert(serial, stream);
    }

    /// Forgets all streams; gives those that have not been aborted.
    pub(super) fn end(&mut self) -> Vec<Serial> {
        core::mem::take(&mut self.0)
            .into_iter()
            .filter(|(_, stream)| stream.phase != Phase::Aborting)
            .map(|(serial, _)| serial)
            .collect()
    }

    fn open(&self, serial: Serial) -> Result<&'static Procedure, SendError> {
        match self.0.get(&serial) {
            Some(Stream { procedure, phase: Phase::Open }) => Ok(procedure),
            Some(Stream { phase: Phase::Finishing, .. }) => Err(SendError::Finished),
            Some(Stream { phase: Phase::Aborting, .. }) | None => Err(SendError::NoStream(serial)),
        }
    }
}

impl Client {
    /// Sends data on a stream, in as many packets as it takes. No data sends nothing.
    ///
    /// Nothing here holds back a fast writer: it should wait while [`Client::pending_bytes`] are many.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn send(&mut self, stream: Serial, mut data: Bytes) -> Result<(), SendError> {
        let procedure = self.streams.open(stream)?;
        while !data.is_empty() {
            let part = data.split_to(data.len().min(crate::packet::STREAM_PAYLOAD_LEN));
            self.link.put_stream_data(procedure, stream, part)?;
        }
        Ok(())
    }

    /// Sends a hole of `length` bytes on a stream that was opened sparse.
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn send_hole(&mut self, stream: Serial, length: i64, flags: u32) -> Result<(), SendError> {
        let procedure = self.streams.open(stream)?;
        Ok(self.link.put_stream_hole(procedure, stream, length, flags)?)
    }

    /// Finishes a stream: behind an upload's data, or when a download's [`StreamEvent::End`] has come. Its
    /// success is known with [`StreamEvent::Finished`].
    ///
    /// # Errors
    /// [`SendError`]: nothing was sent.
    pub fn finish(&mut self, stream: Serial) -> Result<(), SendError> {
        let procedure = self.streams.open(stream)?;
        self.set_phase(stream, Phase::Finishing);
        self.link.put_stream_end(procedure, stream, Status::OK);
        Ok(())
    }

    /// Gives up a stream, whatever its state: no event follows. Does nothing where it is gone already.
    pub fn abort(&mut self, stream: Serial) {
        let Some(Stream { procedure, phase }) = self.streams.0.get_mut(&stream) else { return };
        let finishing = core::mem::replace(phase, Phase::Aborting) != Phase::Open;
        // Behind stream/ok the server's last word comes anyway; a second ending would be none it knows.
        if !finishing {
            self.link.put_stream_end(procedure, stream, Status::ERROR);
        }
    }

    fn set_phase(&mut self, serial: Serial, phase: Phase) {
        if let Some(stream) = self.streams.0.get_mut(&serial) {
            stream.phase = phase;
        }
    }

    /// Takes the packets of a stream that overtook the reply by which it was opened now.
    pub(super) fn take_early(&mut self, serial: Serial, early: Early) {
        match early {
            Early::Kept { packets, .. } => packets.into_iter().for_each(|packet| self.take_stream(packet)),
            Early::Overrun => {
                let Some(&Stream { procedure, phase }) = self.streams.0.get(&serial) else { return };
                self.abort(serial);
                if phase != Phase::Aborting {
                    let event = StreamEvent::Failed(StreamFailure::Overrun { procedure });
                    self.events.push_back(ClientEvent::Stream { serial, event });
                }
            }
        }
    }

    pub(super) fn take_stream(&mut self, packet: Packet) {
        let serial = packet.header.serial;
        let Some(&Stream { procedure, phase }) = self.streams.0.get(&serial) else {
            return self.calls.keep_early(packet);
        };
        let Packet { header, payload, .. } = packet;
        if !header.names(procedure) {
            self.events.push_back(ClientEvent::Unexpected { header });
            return;
        }
        let event = match (header.packet_type, header.status) {
            (PacketType::STREAM_HOLE, Status::CONTINUE) => match from_bytes::<net::StreamHole>(payload) {
                Ok(hole) => StreamEvent::Hole { length: hole.length, flags: hole.flags },
                Err(source) => StreamEvent::Failed(StreamFailure::Malformed { procedure, source }),
            },
            (_, Status::CONTINUE) if payload.is_empty() => StreamEvent::End,
            (_, Status::CONTINUE) => StreamEvent::Data(payload),
            (_, Status::OK) if phase == Phase::Open => {
                StreamEvent::Failed(StreamFailure::Unfinished { procedure })
            }
            (_, Status::OK) => StreamEvent::Finished,
            _ => StreamEvent::Failed(match from_bytes(payload) {
                Ok(error) => StreamFailure::Server(Box::new(error)),
                Err(source) => StreamFailure::Malformed { procedure, source },
            }),
        };
        // Behind a status that is not known, the server may believe that the stream goes on: it is aborted.
        let last = matches!(header.status, Status::OK | Status::ERROR);
        if last {
            self.streams.0.remove(&serial);
        } else if matches!(event, StreamEvent::Failed(_)) {
            self.abort(serial);
        }
        if phase != Phase::Aborting {
            self.events.push_back(ClientEvent::Stream { serial, event });
        }
    }
}
