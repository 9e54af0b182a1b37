//! What has come in: one buffer that grows as bytes arrive, never by what a peer announces.

use crate::transport::{Transport, Want};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io::Result;
use std::task::{Context, Poll};
use virtwire_proto::packet::{self, Descriptor};

/// The least that is asked for at once: what an idle connection's next answer fits into.
const LEAST: usize = 4 * 1024;
/// The most that is asked for at once, unless a packet that is that long already goes on.
const MOST: usize = 64 * 1024;
/// The most that is made room for ahead, once a packet that is that long has come.
const MOST_ROOM: usize = 512 * 1024;
/// From how many missing bytes on the rest of a packet is read by itself.
const LARGE: usize = 16 * 1024;

/// What was read and is no whole packet yet, and the descriptors that came with it.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) bytes: BytesMut,
    pub(super) descriptors: VecDeque<Descriptor>,
    /// How much to ask for: grows while reads fill it.
    ask: usize,
    /// How much to make room for ahead of what arrives: no more than has arrived in one packet before.
    room: usize,
    /// Whether the bytes are packets as they are, with no security layer around them.
    pub(super) plain: bool,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self { bytes: BytesMut::new(), descriptors: VecDeque::new(), ask: LEAST, room: MOST, plain: true }
    }

    /// Reads once. Gives 0 where the peer has closed.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        transport: &dyn Transport,
    ) -> Poll<Result<usize>> {
        let want = self.want();
        let read = transport.poll_read(cx, &mut self.bytes, &mut self.descriptors, want);
        if let Poll::Ready(Ok(read)) = &read {
            match want {
                Want::Anything(asked) if *read == asked => self.ask = (asked * 2).min(MOST),
                Want::Anything(_) => self.ask = (*read).next_power_of_two().clamp(LEAST, MOST),
                Want::Rest(_) => {
                    self.room = self.bytes.len().clamp(self.room, MOST_ROOM);
                    // Large packets come one behind the other: of the next its beginning will do.
                    self.ask = LEAST;
                }
            }
        }
        read
    }

    /// How much memory the rest of a packet takes, where it is not there.
    pub(super) fn lacks(&self) -> Option<usize> {
        match self.want() {
            Want::Rest(most) if self.bytes.capacity() - self.bytes.len() < most => {
                Some(self.bytes.len() + most)
            }
            _ => None,
        }
    }

    /// Goes on in other memory, which is empty.
    pub(super) fn move_into(&mut self, mut memory: BytesMut) {
        memory.extend_from_slice(&self.bytes);
        self.bytes = memory;
    }

    fn want(&self) -> Want {
        let have = self.bytes.len();
        // Bytes that cannot be cut are refused by the connection; here they are only bytes.
        match packet::missing(&self.bytes) {
            // Not more than what has arrived, here or in a packet before, so that memory at most doubles, or is
            // little; and not the last bytes, which may carry descriptors.
            Ok(missing) if self.plain && have >= packet::MIN_LEN && missing >= LARGE => {
                Want::Rest((missing - packet::MAX_DESCRIPTORS).min(have.max(self.room)))
            }
            _ => Want::Anything(self.ask),
        }
    }

    /// Gives back the memory where nothing is left in it: an idle connection needs none.
    pub(super) fn settle(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}
