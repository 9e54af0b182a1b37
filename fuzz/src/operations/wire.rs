//! One direction of the wire, and what may seal it.

use super::Read;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use virtwire_proto::connection::{SecurityError, SecurityLayer, Transmit};
use virtwire_proto::packet::Descriptor;

/// What was written and has not arrived.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pieces: VecDeque<Piece>,
    length: usize,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// One byte, and what it carries.
    Descriptor(Descriptor),
}

impl Wire {
    /// Takes all that is to be written, and says how many bytes that is.
    pub(super) fn take(&mut self, mut transmit: impl FnMut() -> Option<Transmit>) -> usize {
        let before = self.length;
        while let Some(next) = transmit() {
            match next {
                Transmit::Bytes(bytes) => {
                    self.length += bytes.len();
                    self.pieces.push_back(Piece::Bytes(bytes));
                }
                Transmit::Descriptor(descriptor) => {
                    self.length += 1;
                    self.pieces.push_back(Piece::Descriptor(descriptor));
                }
            }
        }
        self.length - before
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Lets at most this many bytes arrive.
    pub(super) fn deliver(&mut self, most: usize, read: &mut Read) {
        let mut left = most;
        while left > 0 {
            match self.pieces.pop_front() {
                Some(Piece::Bytes(mut bytes)) => {
                    let part = bytes.split_to(left.min(bytes.len()));
                    read.bytes.extend_from_slice(&part);
                    left -= part.len();
                    self.length -= part.len();
                    if !bytes.is_empty() {
                        self.pieces.push_front(Piece::Bytes(bytes));
                    }
                }
                Some(Piece::Descriptor(descriptor)) => {
                    read.descriptors.push_back(descriptor);
                    read.bytes.put_u8(0);
                    left -= 1;
                    self.length -= 1;
                }
                None => return,
            }
        }
    }

    /// Changes a byte that has not arrived, if there is one.
    pub(super) fn flip(&mut self, at: usize, bits: u8) -> bool {
        let count = self.pieces.len().max(1);
        match self.pieces.get_mut(at % count) {
            Some(Piece::Bytes(bytes)) if !bytes.is_empty() && bits != 0 => {
                let mut changed = BytesMut::from(&bytes[..]);
                let place = at / count % changed.len();
                changed[place] ^= bits;
                *bytes = changed.freeze();
                true
            }
            _ => false,
        }
    }
}

/// A security layer: buffers of at most 16 KiB behind their length, each byte turned over.
#[derive(Debug)]
pub(super) struct Layer;

const SEALED_MAX: usize = 16 * 1024;

impl SecurityLayer for Layer {
    fn wrap(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError> {
        for part in plain.chunks(SEALED_MAX) {
            sealed.put_u32(part.len() as u32);
            sealed.extend(part.iter().map(|byte| !byte));
        }
        Ok(())
    }

    fn unwrap(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), SecurityError> {
        while let Some(length) = sealed.first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > SEALED_MAX {
                return Err(SecurityError("a buffer is too long".into()));
            }
            if sealed.len() < 4 + length {
                break;
            }
            sealed.advance(4);
            plain.extend(sealed.split_to(length).iter().map(|byte| !byte));
        }
        Ok(())
    }
}
