//! What goes out: packets, encoded once into a buffer, large payloads and descriptors between them, in order.

use super::{CloseReason, SecurityLayer};
use crate::packet::Descriptor;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Something to be written, behind all that was given before it.
#[derive(Debug)]
pub enum Transmit {
    /// These bytes.
    Bytes(Bytes),
    /// One byte, of any value, that carries this descriptor (SCM_RIGHTS).
    Descriptor(Descriptor),
}

/// A payload from this length on is queued as it is rather than copied behind its header, in bytes.
const UNCOPIED_LEN: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Transmit>,
    /// Packets behind the queue that are still being added to.
    tail: BytesMut,
    /// How many of the queue's first go out as they are, although a layer is in place since.
    unsealed: usize,
    /// How many bytes the queue holds.
    queued: usize,
}

impl Outbox {
    /// Where packets are appended.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds bytes behind all that is there.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < UNCOPIED_LEN {
            self.tail.extend_from_slice(&bytes);
        } else {
            self.close_tail();
            self.queued += bytes.len();
            self.queue.push_back(Transmit::Bytes(bytes));
        }
    }

    pub(super) fn push_descriptors(&mut self, descriptors: Vec<Descriptor>) {
        if descriptors.is_empty() {
            return;
        }
        self.close_tail();
        self.queued += descriptors.len();
        self.queue.extend(descriptors.into_iter().map(Transmit::Descriptor));
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.queued += self.tail.len();
            self.queue.push_back(Transmit::Bytes(self.tail.split().freeze()));
        }
    }

    /// What is there goes out as it is; what comes goes through the security layer.
    pub(super) fn seal_from_here(&mut self) {
        self.close_tail();
        self.unsealed = self.queue.len();
    }

    /// How many bytes wait to be written.
    pub(super) fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// The next thing to be written, sealed where a layer is in place.
    pub(super) fn next(
        &mut self,
        layer: Option<&mut (dyn SecurityLayer + 'static)>,
    ) -> Result<Option<Transmit>, CloseReason> {
        if self.queue.is_empty() {
            self.close_tail();
        }
        let Some(next) = self.queue.pop_front() else { return Ok(None) };
        self.queued -= match &next {
            Transmit::Bytes(bytes) => bytes.len(),
            Transmit::Descriptor(_) => 1,
        };
        if self.unsealed > 0 {
            self.unsealed -= 1;
            return Ok(Some(next));
        }
        Ok(Some(match (next, layer) {
            (Transmit::Bytes(plain), Some(layer)) => {
                let mut sealed = BytesMut::with_capacity(plain.len() + 64);
                layer.wrap(&plain, &mut sealed)?;
                Transmit::Bytes(sealed.freeze())
            }
            (next, _) => next,
        }))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
