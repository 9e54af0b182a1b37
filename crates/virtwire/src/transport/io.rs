//! Any byte stream of tokio's, such as one that a program has made itself. No descriptors travel over it.

use super::{Outgoing, Privacy, Transport, Want};
use bytes::{BufMut, BytesMut};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use virtwire_proto::packet::Descriptor;

/// A byte stream that only the driver reads and writes.
pub(crate) struct AnyIo<T> {
    io: Mutex<Pin<Box<T>>>,
    privacy: Privacy,
}

impl<T> AnyIo<T> {
    pub(crate) fn new(io: T, privacy: Privacy) -> Self {
        Self { io: Mutex::new(Box::pin(io)), privacy }
    }

    fn lock(&self) -> MutexGuard<'_, Pin<Box<T>>> {
        self.io.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for AnyIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

impl<T: AsyncRead + AsyncWrite + Send> Transport for AnyIo<T> {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
        _: &mut VecDeque<Descriptor>,
        want: Want,
    ) -> Poll<Result<usize>> {
        let (Want::Rest(most) | Want::Anything(most)) = want;
        bytes.reserve(most);
        let mut limited = bytes.limit(most);
        let mut io = self.lock();
        // Nothing is kept between polls: a read that is not ready has read nothing.
        pin!(io.read_buf(&mut limited)).poll(cx)
    }

    fn try_write(&self, _: Outgoing<'_>) -> Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: Outgoing<'_>) -> Poll<Result<usize>> {
        let Outgoing::Bytes(parts) = out else {
            return Poll::Ready(Err(Error::new(
                ErrorKind::Unsupported,
                "descriptors travel only over UNIX sockets",
            )));
        };
        self.lock().as_mut().poll_write_vectored(cx, parts)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.lock().as_mut().poll_flush(cx)
    }

    fn privacy(&self) -> Privacy {
        self.privacy
    }
}
