//! What is being written: taken from the machine in order, written vectored.

use crate::transport::Transport;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use virtwire_proto::connection::{Server, Transmit};
use virtwire_proto::packet::Descriptor;

/// How many pieces go into one write.
const MAX_SLICES: usize = 64;

/// What was taken from the machine and is not all written.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: VecDeque<Bytes>,
    /// Comes behind the bytes.
    descriptor: Option<Descriptor>,
    /// Whether something was written that may be held back.
    unflushed: bool,
}

impl Output {
    /// Takes what the machine has to write, as much as one write takes; how many bytes.
    pub(super) fn fill(&mut self, machine: &mut Server) -> usize {
        let before = machine.pending_bytes();
        while self.bytes.len() < MAX_SLICES && self.descriptor.is_none() {
            match machine.transmit() {
                Some(Transmit::Bytes(bytes)) => self.bytes.push_back(bytes),
                Some(Transmit::Descriptor(descriptor)) => self.descriptor = Some(descriptor),
                None => break,
            }
            self.unflushed = true;
        }
        before.saturating_sub(machine.pending_bytes())
    }

    /// Whether all that was taken is with the client, as far as can be told here.
    pub(super) fn is_done(&self) -> bool {
        self.bytes.is_empty() && self.descriptor.is_none() && !self.unflushed
    }

    /// Writes some of what is there; how many bytes. Ready with 0 where nothing is left to do.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut dyn Transport,
    ) -> Poll<io::Result<usize>> {
        if !self.bytes.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = self.bytes.len().min(MAX_SLICES);
            for (slice, bytes) in slices.iter_mut().zip(&self.bytes) {
                *slice = IoSlice::new(bytes);
            }
            let written = ready!(transport.poll_write(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            return Poll::Ready(Ok(written));
        }
        if let Some(descriptor) = &self.descriptor {
            ready!(transport.poll_write_descriptor(cx, descriptor))?;
            self.descriptor = None;
            return Poll::Ready(Ok(1));
        }
        if self.unflushed {
            ready!(transport.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(0))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(front) = self.bytes.front_mut() {
            let part = written.min(front.len());
            front.advance(part);
            written -= part;
            if !front.is_empty() {
                break;
            }
            self.bytes.pop_front();
        }
    }
}
