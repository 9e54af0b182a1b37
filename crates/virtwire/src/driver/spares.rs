//! Memory of large packets, to be used again: allocators give such pieces back to the system, and then every page of
//! the next one costs a fault, which for bulk streams is more than all else.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

/// How many pieces are kept: those that a consumer and the driver have between them.
const MOST: usize = 4;
/// From how many bytes on a packet's data is worth it.
const WORTH: usize = 128 * 1024;
/// Longer pieces are not kept.
const TOO_LONG: usize = 512 * 1024;

/// Data that has gone to its consumer, and whose memory is free once the consumer has let go of it.
#[derive(Debug, Default)]
pub(super) struct Spares(VecDeque<Bytes>);

impl Spares {
    pub(super) fn keep(&mut self, data: &Bytes) {
        if (WORTH..=TOO_LONG).contains(&data.len()) {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back(data.clone());
        }
    }

    /// Empty memory for this many bytes, where there is some that nobody else has.
    pub(super) fn take(&mut self, len: usize) -> Option<BytesMut> {
        let at = self.0.iter().position(Bytes::is_unique)?;
        let mut memory = self.0.remove(at)?.try_into_mut().ok()?;
        memory.clear();
        memory.try_reclaim(len).then_some(memory)
    }

    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet's data, cut out of what was read.
    fn data(len: usize) -> Bytes {
        BytesMut::zeroed(len + 28).freeze().slice(28..)
    }

    #[test]
    fn memory_is_used_again_once_nobody_has_it() {
        let mut spares = Spares::default();
        let held = data(WORTH);
        let start = held.as_ptr() as usize - 28;
        spares.keep(&held);
        assert!(spares.take(WORTH).is_none());
        drop(held);
        let memory = spares.take(WORTH + 28).unwrap();
        assert_eq!((memory.len(), memory.as_ptr() as usize), (0, start));
        assert!(spares.take(WORTH).is_none());
    }

    #[test]
    fn little_is_kept_and_nothing_that_is_too_small() {
        let mut spares = Spares::default();
        for len in [WORTH - 1, TOO_LONG + 1] {
            spares.keep(&data(len));
        }
        assert!(spares.0.is_empty());
        (0..100).for_each(|_| spares.keep(&data(WORTH)));
        assert_eq!(spares.0.len(), MOST);
        assert!(spares.take(TOO_LONG).is_none());
        spares.clear();
        assert!(spares.take(1).is_none());
    }
}
