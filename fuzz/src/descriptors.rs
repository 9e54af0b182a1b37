//! Descriptors to send, and the proof that every one of them is closed in the end.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use virtwire_proto::packet::Descriptor;

/// Where descriptors come from: all are one end of a socket pair, whose other end tells when none is left.
#[derive(Debug)]
pub(crate) struct Descriptors {
    ours: UnixStream,
    theirs: UnixStream,
}

impl Descriptors {
    pub(crate) fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a process may open sockets");
        ours.set_nonblocking(true).expect("a socket can be non-blocking");
        Self { ours, theirs }
    }

    pub(crate) fn some(&self, count: usize) -> Vec<Descriptor> {
        let one = || self.theirs.try_clone().expect("a process may open some dozens of descriptors");
        (0..count).map(|_| one().into()).collect()
    }

    /// To be called once everything is gone that might hold one.
    pub(crate) fn assert_all_closed(self) {
        let Self { mut ours, theirs } = self;
        drop(theirs);
        match ours.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("a descriptor was not closed"),
            other => panic!("nobody writes into a descriptor here: {other:?}"),
        }
    }
}
