//! What is on its way out: taken from the connection, written in order, kept where the transport took only a part.

use crate::transport::Outgoing as Out;
use bytes::Buf;
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice, Result};
use virtwire_proto::connection::{Client, Transmit};

/// How many bytes are taken from the connection at once. What is still there can wait for others.
const MOST_BYTES: usize = 512 * 1024;
/// How many pieces go into one write.
const MOST_PIECES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Transmit>,
    len: usize,
}

impl Outgoing {
    /// Takes from the connection what is to be written next.
    pub(super) fn fill(&mut self, client: &mut Client) {
        while self.len < MOST_BYTES && self.queue.len() < MOST_PIECES {
            let Some(next) = client.transmit() else { return };
            self.len += len(&next);
            self.queue.push_back(next);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes what is there by `write` until all is written, or `write` fails.
    pub(super) fn write(&mut self, mut write: impl FnMut(Out<'_>) -> Result<usize>) -> Result<()> {
        loop {
            let written = match self.queue.front() {
                None => return Ok(()),
                Some(Transmit::Descriptor(descriptor)) => write(Out::Descriptor(descriptor))?,
                Some(Transmit::Bytes(_)) => {
                    let mut pieces = [IoSlice::new(&[]); MOST_PIECES];
                    let mut count = 0;
                    for (piece, bytes) in pieces.iter_mut().zip(self.queue.iter().map_while(bytes)) {
                        *piece = IoSlice::new(bytes);
                        count += 1;
                    }
                    write(Out::Bytes(&pieces[..count]))?
                }
            };
            if written == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written > 0 {
            let Some(front) = self.queue.front_mut() else { return };
            let length = len(front);
            if let Transmit::Bytes(bytes) = front
                && length > written
            {
                bytes.advance(written);
                return;
            }
            written -= length;
            self.queue.pop_front();
        }
    }
}

fn len(transmit: &Transmit) -> usize {
    match transmit {
        Transmit::Bytes(bytes) => bytes.len(),
        Transmit::Descriptor(_) => 1,
    }
}

fn bytes(transmit: &Transmit) -> Option<&[u8]> {
    match transmit {
        Transmit::Bytes(bytes) => Some(bytes),
        Transmit::Descriptor(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn queue(pieces: &[&'static [u8]]) -> Outgoing {
        let queue: VecDeque<_> = pieces.iter().map(|p| Transmit::Bytes(Bytes::from_static(p))).collect();
        Outgoing { len: queue.iter().map(len).sum(), queue }
    }

    #[test]
    fn writes_of_every_size_keep_the_order() {
        for size in 1..12 {
            let mut outgoing = queue(&[b"one", b"two", b"", b"three"]);
            let mut written = Vec::new();
            let result = outgoing.write(|out| {
                let Out::Bytes(pieces) = out else { panic!("there is no descriptor") };
                let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
                let some = all.len().min(size);
                written.extend_from_slice(&all[..some]);
                Ok(some)
            });
            result.unwrap();
            assert_eq!(written, b"onetwothree");
            assert_eq!(outgoing.len, 0);
        }
    }

    #[test]
    fn what_was_not_written_stays() {
        let mut outgoing = queue(&[b"one", b"two"]);
        let mut first = true;
        let result = outgoing
            .write(|_| if std::mem::take(&mut first) { Ok(4) } else { Err(ErrorKind::WouldBlock.into()) });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!((outgoing.len, outgoing.queue.len()), (2, 1));
    }
}
