//! What carries the bytes: one trait, and a file for each kind that implements it.

#[cfg(all(unix, feature = "ssh"))]
mod command;
mod io;
#[cfg(unix)]
mod stream;
#[cfg(feature = "tls")]
mod tls;

#[cfg(all(unix, feature = "ssh"))]
pub(crate) use command::Command;
pub(crate) use io::AnyIo;
#[cfg(unix)]
pub(crate) use stream::Socket;
#[cfg(feature = "tls")]
pub(crate) use tls::Tls;

use bytes::BytesMut;
use std::collections::VecDeque;
use std::fmt;
use std::io::{IoSlice, Result};
use std::task::{Context, Poll};
use virtwire_proto::packet::Descriptor;

/// Something to be written at once.
#[derive(Clone, Copy)]
pub(crate) enum Outgoing<'a> {
    /// Bytes, one piece behind the other.
    Bytes(&'a [IoSlice<'a>]),
    /// One byte of any value that carries this descriptor.
    Descriptor(&'a Descriptor),
}

/// What carries the bytes. One task at a time reads and one at a time writes; both may at once.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// Appends what can be read to `bytes`, at least one byte, and the descriptors that came with it to
    /// `descriptors`. Gives 0 where the peer has closed.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        want: Want,
    ) -> Poll<Result<usize>>;

    /// Writes what can be written without waiting; `WouldBlock` where that is nothing, and always for a transport
    /// that cannot tell.
    fn try_write(&self, out: Outgoing<'_>) -> Result<usize>;

    /// Writes as much as can be written, at least one byte.
    fn poll_write(&self, cx: &mut Context<'_>, out: Outgoing<'_>) -> Poll<Result<usize>>;

    /// Pushes out what was written and waits in a buffer of the transport's.
    fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Whether others can read along.
    fn privacy(&self) -> Privacy {
        Privacy::Unknown
    }

    /// Whether the peer has closed, seen without reading what it sent before. A transport that cannot see it
    /// says no.
    fn hung_up(&self) -> bool {
        false
    }

    /// Where it leads, if whether it leads there is seen only by what comes: an end before that is one of connecting.
    fn connects_to(&self) -> Option<&str> {
        None
    }
}

/// Whether others can read what a transport carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// Everybody on the way can.
    Public,
    /// It is somebody else's stream, and nothing is known of it.
    Unknown,
    /// Nobody can: it stays on this machine or is encrypted.
    Private,
}

/// What a read is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    /// The rest of a packet that no descriptor can come with: this many bytes.
    Rest(usize),
    /// Anything, as much as this.
    Anything(usize),
}
