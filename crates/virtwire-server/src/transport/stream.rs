//! Any byte stream: TCP, TLS, a pipe in memory.

use super::Transport;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use virtwire_proto::packet::Descriptor;

/// A byte stream without descriptors.
#[derive(Debug)]
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Transport for Plain<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
        _: &mut VecDeque<Descriptor>,
        chunk: usize,
    ) -> Poll<io::Result<usize>> {
        let start = input.len();
        input.resize(start + chunk, 0);
        let mut buffer = ReadBuf::new(&mut input[start..]);
        let polled = Pin::new(&mut self.0).poll_read(cx, &mut buffer);
        let filled = buffer.filled().len();
        input.truncate(start + filled);
        polled.map_ok(|()| filled)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }

    fn poll_write_descriptor(&mut self, _: &mut Context<'_>, _: &Descriptor) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::Error::other("descriptors travel over UNIX sockets only")))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
}
