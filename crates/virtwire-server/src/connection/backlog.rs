//! How many bytes of events wait for a client.

use std::collections::VecDeque;

/// The events that are not written yet, as places in all that is ever written.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Where each ends, and how long it is.
    events: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Backlog {
    /// Adds an event of `len` bytes that ends at `end`, and gives how many bytes of events wait now.
    pub(super) fn push(&mut self, end: u64, len: usize) -> usize {
        self.events.push_back((end, len));
        self.bytes += len;
        self.bytes
    }

    /// Takes off what was written: all before `written`.
    pub(super) fn written(&mut self, written: u64) {
        while let Some((_, len)) = self.events.pop_front_if(|(end, _)| *end <= written) {
            self.bytes -= len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backlog;

    #[test]
    fn counts_what_is_not_written() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(100, 100), 100);
        assert_eq!(backlog.push(350, 50), 150);
        backlog.written(99);
        assert_eq!(backlog.push(360, 10), 160);
        backlog.written(350);
        assert_eq!(backlog.push(361, 1), 11);
        backlog.written(1000);
        assert_eq!(backlog.push(1001, 1), 1);
    }
}
