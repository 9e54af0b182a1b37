//! Sockets, read and written without waiting: UNIX sockets, over which descriptors travel, and TCP.

use super::{Outgoing, Privacy, Transport, Want};
use bytes::{BufMut, BytesMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
};
use rustix::net::{SendFlags, recvmsg, sendmsg};
use std::collections::VecDeque;
use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use virtwire_proto::packet::{Descriptor, MAX_DESCRIPTORS};

/// A socket that the runtime watches.
#[derive(Debug)]
pub(crate) struct Socket<S>(pub(crate) S);

/// What tokio's sockets have in common.
pub(crate) trait Watched: AsFd + fmt::Debug + Send + Sync {
    const PRIVACY: Privacy;
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<()>>;
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<()>>;
    fn attempt<R>(&self, interest: Interest, action: impl FnOnce() -> Result<R>) -> Result<R>;
    fn try_read_into(&self, bytes: &mut impl BufMut) -> Result<usize>;
}

macro_rules! watched {
    ($($socket:ty: $privacy:ident),*) => {$(
        impl Watched for $socket {
            const PRIVACY: Privacy = Privacy::$privacy;
            fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
                self.poll_read_ready(cx)
            }
            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
                self.poll_write_ready(cx)
            }
            fn attempt<R>(&self, interest: Interest, action: impl FnOnce() -> Result<R>) -> Result<R> {
                self.try_io(interest, action)
            }
            fn try_read_into(&self, bytes: &mut impl BufMut) -> Result<usize> {
                self.try_read_buf(bytes)
            }
        }
    )*};
}

watched!(TcpStream: Public, UnixStream: Private);

impl<S: Watched> Transport for Socket<S> {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        want: Want,
    ) -> Poll<Result<usize>> {
        loop {
            ready!(self.0.poll_readable(cx))?;
            let read = match want {
                // Straight into memory that nobody has to clear. It would lose descriptors: here none can come.
                Want::Rest(most) => {
                    bytes.reserve(most);
                    self.0.try_read_into(&mut (&mut *bytes).limit(most))
                }
                Want::Anything(most) => self.receive(bytes, descriptors, most),
            };
            match read {
                Err(error) if again(&error) => {}
                read => return Poll::Ready(read),
            }
        }
    }

    fn try_write(&self, out: Outgoing<'_>) -> Result<usize> {
        let mut written = 0;
        let result = self.0.attempt(Interest::WRITABLE, || {
            let (sent, whole) = self.send(out)?;
            written = sent;
            // A socket that took less than it was given is full: no need to ask it again.
            if whole { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
        });
        result.map_or_else(|error| if written > 0 { Ok(written) } else { Err(error) }, |()| Ok(written))
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: Outgoing<'_>) -> Poll<Result<usize>> {
        loop {
            ready!(self.0.poll_writable(cx))?;
            match self.try_write(out) {
                Err(error) if again(&error) => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn privacy(&self) -> Privacy {
        S::PRIVACY
    }

    fn hung_up(&self) -> bool {
        hung_up(&self.0)
    }
}

/// Whether the peer of a socket has closed, seen without reading.
pub(super) fn hung_up(socket: &impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    #[cfg(target_os = "linux")]
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    #[cfg(not(target_os = "linux"))]
    let gone = PollFlags::HUP | PollFlags::ERR;
    let mut watched = [PollFd::new(socket, gone)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_ok() && watched[0].revents().intersects(gone)
}

fn again(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl<S: Watched> Socket<S> {
    fn receive(
        &self,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        most: usize,
    ) -> Result<usize> {
        let before = bytes.len();
        bytes.resize(before + most, 0);
        let mut read = None;
        let result = self.0.attempt(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut parts = [IoSliceMut::new(&mut bytes[before..])];
            let received = recvmsg(&self.0, &mut parts, &mut control, RECEIVE)?;
            let had = descriptors.len();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(came) = message {
                    descriptors.extend(came.inspect(keep_from_children));
                }
            }
            read = Some(received.bytes);
            // A socket that gave less than it was asked for is empty: no need to ask it again. But the bytes
            // that carry descriptors end a read, whatever is behind them.
            let drained = received.bytes > 0 && received.bytes < most && descriptors.len() == had;
            if drained { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        bytes.truncate(before + read.unwrap_or(0));
        match read {
            Some(read) => Ok(read),
            None => result.map(|()| 0),
        }
    }

    /// How much was sent, and whether that is all.
    fn send(&self, out: Outgoing<'_>) -> Result<(usize, bool)> {
        let (sent, all) = match out {
            Outgoing::Bytes(parts) => {
                let sent = sendmsg(&self.0, parts, &mut SendAncillaryBuffer::default(), SEND)?;
                (sent, parts.iter().map(|part| part.len()).sum())
            }
            Outgoing::Descriptor(descriptor) => {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                let carried = [descriptor.as_fd()];
                if !control.push(SendAncillaryMessage::ScmRights(&carried)) {
                    return Err(Error::other("no room for a descriptor"));
                }
                (sendmsg(&self.0, &[IoSlice::new(&[0])], &mut control, SEND)?, 1)
            }
        };
        Ok((sent, sent == all))
    }
}

#[cfg(not(target_vendor = "apple"))]
const RECEIVE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const RECEIVE: RecvFlags = RecvFlags::empty();

#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

/// No program that is started later inherits a descriptor that came.
#[cfg(not(target_vendor = "apple"))]
fn keep_from_children(_: &Descriptor) {}
#[cfg(target_vendor = "apple")]
fn keep_from_children(descriptor: &Descriptor) {
    // It can fail only for a descriptor that is none.
    let _ = rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC);
}
