//! Streams: volumes, consoles, screenshots, chunk by chunk with their holes, or as tokio's byte streams.

#[cfg(unix)]
mod files;
#[cfg(unix)]
mod sparse_file;

#[cfg(unix)]
pub use files::{Copied, FileCopy};

use crate::driver::{Chunk, StreamSlot};
use crate::{CallOptions, Connection, Error, Result};
use bytes::{Buf, Bytes};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use virtwire_proto::connection;
use virtwire_proto::program::{Call, StreamDirection};
use virtwire_proto::xdr::from_bytes;

/// How much of a write is taken at once, in bytes: as much as libvirt puts into one packet.
const WRITE_LEN: usize = virtwire_proto::packet::STREAM_PAYLOAD_LEN;

/// A stream of a connection's: data flows beside calls, in one direction or, for consoles and channels, in both.
///
/// - To read: [`Stream::receive`] until it gives `None`, or [`AsyncRead`] until its end. Both come to their end only
///   when the daemon has confirmed that all is well.
/// - To write: [`Stream::send`], or [`AsyncWrite`]; then [`Stream::finish`] (`shutdown` of [`AsyncWrite`]), which
///   says whether the daemon has got and kept it all.
/// - To and from files, with their holes: [`Stream::receive_to_file`], [`Stream::send_file`],
///   [`Stream::send_sparse_file`].
///
/// Dropping it before gives it up, here and in the daemon. While its data is not taken, the daemon is slowed down,
/// and with it this connection: see [`stream_buffer`](crate::Builder::stream_buffer).
///
/// # Examples
/// ```no_run
/// use tokio::io::AsyncReadExt;
/// use virtwire::flags::StorageVolDownloadFlags;
/// # async fn example(volume: virtwire::StorageVol) -> Result<(), Box<dyn std::error::Error>> {
/// let mut stream = volume.download(0, 0, StorageVolDownloadFlags::empty()).await?;
/// let mut bytes = Vec::new();
/// stream.read_to_end(&mut bytes).await?;
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virStream")]
#[doc(alias = "virStreamPtr")]
pub struct Stream {
    slot: StreamSlot,
    // Behind the slot: the stream ends before the connection may.
    connection: Connection,
    /// What an [`AsyncRead`] has taken only a part of.
    partial: Option<Chunk>,
    finishing: bool,
}

impl Connection {
    /// Calls a procedure that opens a stream, such as STORAGE_VOL_DOWNLOAD. Gives what it returned beside it.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Panics
    /// If the procedure opens no stream.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::program::remote;
    /// # async fn example(connection: virtwire::Connection, vol: remote::NonnullStorageVol) -> virtwire::Result<()> {
    /// let args = remote::StorageVolDownloadArgs { vol, offset: 0, length: 0, flags: 0 };
    /// let ((), mut stream) = connection.open_stream(&args, Default::default()).await?;
    /// while let Some(chunk) = stream.receive().await? {
    ///     println!("{chunk:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_stream<C: Call>(&self, args: &C, options: CallOptions) -> Result<(C::Ret, Stream)> {
        assert!(C::PROCEDURE.stream != StreamDirection::None, "{} opens no stream", C::PROCEDURE);
        let CallOptions { timeout, descriptors, .. } = self.with_timeout(options);
        let started = self.shared().open_stream(C::PROCEDURE, |client, now| {
            let options = connection::CallOptions { deadline: timeout.map(|after| now + after), descriptors };
            client.call_with(args, options, now)
        });
        let opened = match started {
            Ok((slot, pending)) => pending.await.map(|reply| (slot, reply)),
            Err(error) => Err(error),
        };
        let (slot, reply) = opened.map_err(|error| Error::from_call(C::PROCEDURE, error, timeout))?;
        let ret = from_bytes(reply.payload).map_err(|source| Error::malformed(C::PROCEDURE, source))?;
        Ok((ret, Stream { slot, connection: self.clone(), partial: None, finishing: false }))
    }
}

impl Stream {
    /// What came next; `None` at the end, which the daemon has then confirmed. Dropping what this gives loses
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Libvirt`] where the daemon ends it with an error, [`Error::Stalled`], [`Error::Protocol`],
    /// [`Error::Closed`].
    #[doc(alias = "virStreamRecv")]
    #[doc(alias = "virStreamRecvFlags")]
    #[doc(alias = "virStreamRecvHole")]
    pub async fn receive(&mut self) -> Result<Option<Chunk>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>>> {
        match self.partial.take() {
            Some(chunk) => Poll::Ready(Ok(Some(chunk))),
            None => self.slot.poll_receive(cx),
        }
    }

    /// Sends data. Waits while the connection has much to send already; then the data is on its way when this
    /// returns, which does not say that it has arrived.
    ///
    /// # Errors
    /// As [`Stream::receive`], and [`Error::StreamEnded`] behind [`Stream::finish`].
    #[doc(alias = "virStreamSend")]
    pub async fn send(&mut self, data: impl Into<Bytes>) -> Result<()> {
        poll_fn(|cx| self.slot.poll_room(cx)).await;
        self.slot.send(data.into())
    }

    /// Sends a hole of this many bytes. Only a stream that was opened sparse takes any: libvirt hangs up on who
    /// sends one on another.
    ///
    /// # Errors
    /// As [`Stream::send`].
    #[doc(alias = "virStreamSendHole")]
    pub async fn send_hole(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            poll_fn(|cx| self.slot.poll_room(cx)).await;
            // The wire's number is signed.
            let part = i64::try_from(length).unwrap_or(i64::MAX);
            self.slot.send_hole(part)?;
            length -= part.unsigned_abs();
        }
        Ok(())
    }

    /// Finishes it, and waits for the daemon's word that all is well. What came and was not received is lost.
    ///
    /// # Errors
    /// As [`Stream::receive`].
    #[doc(alias = "virStreamFinish")]
    pub async fn finish(mut self) -> Result<()> {
        poll_fn(|cx| self.poll_finish(cx)).await
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.finishing {
            self.slot.finish()?;
            self.finishing = true;
        }
        self.slot.poll_end(cx)
    }

    /// Gives it up, as dropping it does.
    #[doc(alias = "virStreamAbort")]
    pub fn abort(self) {}

    /// Its connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Holes read as zeros.
impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buf.remaining() > 0 {
            let Some(chunk) = ready!(self.poll_receive(cx)).map_err(io_error)? else { break };
            match chunk {
                Chunk::Data(mut data) => {
                    let count = data.len().min(buf.remaining());
                    buf.put_slice(&data[..count]);
                    data.advance(count);
                    self.partial = (!data.is_empty()).then_some(Chunk::Data(data));
                    break;
                }
                Chunk::Hole(0) => {}
                Chunk::Hole(length) => {
                    let count = usize::try_from(length).unwrap_or(usize::MAX).min(buf.remaining());
                    buf.initialize_unfilled_to(count).fill(0);
                    buf.advance(count);
                    let left = length - count as u64;
                    self.partial = (left > 0).then_some(Chunk::Hole(left));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What is written is sent by itself: `flush` does nothing. `shutdown` finishes the stream and waits for the
/// daemon's word.
impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.slot.poll_room(cx));
        let part = &data[..data.len().min(WRITE_LEN)];
        self.slot.send(Bytes::copy_from_slice(part)).map_err(io_error)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finish(cx).map_err(io_error)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("connection", &self.connection).finish_non_exhaustive()
    }
}

fn io_error(error: Error) -> io::Error {
    let kind = match &error {
        Error::Closed { .. } => io::ErrorKind::ConnectionAborted,
        Error::StreamEnded => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}
