//! Where a capture's bytes become packets.

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use virtwire_proto::packet::{LENGTH_LEN, MAX_DESCRIPTORS, MAX_LEN, MIN_LEN};
use virtwire_proto::program::PROGRAMS;

use super::packet::{broken, bytes_to_json, has_descriptors, header, header_to_json, packet_to_json};

/// Packets back to back, as they come: what one side of a connection sent.
///
/// A connection that loses its framing ends. A capture is shown to its end: all bytes are in some piece, in order.
///
/// What sets a capture apart from a connection also are descriptors. One byte carries each of them behind its packet;
/// who records by plain reads has these bytes, who records packets has not. Both are understood.
#[derive(Debug, Default)]
pub struct Capture {
    buffer: BytesMut,
    ended: bool,
    lost: bool,
}

/// A part of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// A packet.
    Packet {
        /// All of it, from its length word on.
        packet: Bytes,
        /// The bytes behind it that carry its descriptors.
        descriptor_bytes: Bytes,
    },
    /// The capture ends inside a packet.
    Truncated {
        /// What is there of it.
        bytes: Bytes,
    },
    /// A length word is none that a packet can have: what follows cannot be told apart.
    Unframed {
        /// All that follows, or the next [`MAX_LEN`] bytes of it.
        bytes: Bytes,
    },
}

impl Capture {
    /// A capture of which nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that no more bytes come.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Whether the end has been [said](Self::finish) and everything was given out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ended && self.buffer.is_empty()
    }

    /// The next piece; `None` until more bytes have come, or for good where none will.
    #[expect(clippy::should_implement_trait, reason = "it gives more after more has been pushed")]
    pub fn next(&mut self) -> Option<Piece> {
        if self.buffer.is_empty() {
            return None;
        }
        if !self.lost {
            match self.cut() {
                Front::Packet { len, descriptor_bytes } => {
                    let packet = self.buffer.split_to(len).freeze();
                    let descriptor_bytes = self.buffer.split_to(descriptor_bytes).freeze();
                    return Some(Piece::Packet { packet, descriptor_bytes });
                }
                Front::Unfinished if self.ended => {
                    return Some(Piece::Truncated { bytes: self.buffer.split().freeze() });
                }
                Front::Unfinished => return None,
                Front::Unframed => self.lost = true,
            }
        }
        // In parts, so that however much follows is not all kept.
        if self.ended || self.buffer.len() >= MAX_LEN {
            let bytes = self.buffer.split_to(self.buffer.len().min(MAX_LEN)).freeze();
            return Some(Piece::Unframed { bytes });
        }
        None
    }

    fn cut(&self) -> Front {
        let Some(length) = length(&self.buffer) else { return Front::Unfinished };
        if !is_legal(length) {
            return Front::Unframed;
        }
        let len = length as usize;
        if self.buffer.len() < len {
            return Front::Unfinished;
        }
        let descriptors = descriptors(&self.buffer[..len]);
        let behind = &self.buffer[len..];
        // As much as it takes to tell where the next packet begins.
        if descriptors > 0 && behind.len() < descriptors + 2 * LENGTH_LEN && !self.ended {
            return Front::Unfinished;
        }
        let at_once = begins_packet(behind);
        let after_them = behind.get(descriptors..).is_some_and(begins_packet);
        let descriptor_bytes = if at_once && !after_them { 0 } else { descriptors.min(behind.len()) };
        Front::Packet { len, descriptor_bytes }
    }
}

impl Piece {
    /// The piece as an object: [`packet_to_json`], or [`bytes_to_json`] where it is no packet.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Packet { packet, descriptor_bytes } => packet_to_json(packet, descriptor_bytes),
            Self::Truncated { bytes } => {
                let map = header(bytes).as_ref().map(header_to_json).unwrap_or_default();
                let error = match length(bytes) {
                    Some(length) => format!("a packet of {length} bytes ends after {}", bytes.len()),
                    None => format!("a packet ends inside its length word, after {} bytes", bytes.len()),
                };
                broken(map, bytes, &error)
            }
            Self::Unframed { bytes } => {
                let problem = match length(bytes).filter(|length| !is_legal(*length)) {
                    Some(length) => {
                        format!("expected a packet's length of {MIN_LEN} to {MAX_LEN} bytes, got {length}")
                    }
                    None => "behind a broken length".to_owned(),
                };
                bytes_to_json(bytes, &problem)
            }
        }
    }
}

/// What the front of a capture holds.
enum Front {
    Packet { len: usize, descriptor_bytes: usize },
    Unfinished,
    Unframed,
}

fn length(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<LENGTH_LEN>().map(|word| u32::from_be_bytes(*word))
}

fn is_legal(length: u32) -> bool {
    (MIN_LEN..=MAX_LEN).contains(&(length as usize))
}

/// How many descriptors a packet announces; none where no packet could have as many.
fn descriptors(packet: &[u8]) -> usize {
    let has_some = header(packet).is_some_and(|header| has_descriptors(&header));
    let count = packet.get(MIN_LEN..).filter(|_| has_some).and_then(length).unwrap_or_default() as usize;
    if count > MAX_DESCRIPTORS { 0 } else { count }
}

/// Whether the end, or a packet of a program that we know, may stand at the front of `bytes`.
fn begins_packet(bytes: &[u8]) -> bool {
    let of_known_program = |number| PROGRAMS.iter().any(|program| program.number == number);
    match (length(bytes), bytes.get(LENGTH_LEN..).and_then(length)) {
        (None, _) => bytes.is_empty(),
        (Some(word), None) => is_legal(word),
        (Some(word), Some(number)) => is_legal(word) && of_known_program(number),
    }
}
