//! What carries a connection's bytes, and over UNIX sockets descriptors beside them.

mod stream;
#[cfg(unix)]
mod unix;

pub(crate) use stream::Plain;

use bytes::BytesMut;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use virtwire_proto::packet::Descriptor;

/// A byte stream to a client.
pub(crate) trait Transport: Send + 'static {
    /// Whether descriptors can travel beside the bytes.
    fn carries_descriptors(&self) -> bool {
        false
    }

    /// Appends at most about `chunk` bytes to `input`, and the descriptors that came with them to
    /// `descriptors`. 0 at the end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        chunk: usize,
    ) -> Poll<io::Result<usize>>;

    /// Writes some of the bytes.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Writes one byte that carries a descriptor.
    fn poll_write_descriptor(
        &mut self,
        cx: &mut Context<'_>,
        descriptor: &Descriptor,
    ) -> Poll<io::Result<()>>;

    /// Passes on what was written, where it is held back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}
