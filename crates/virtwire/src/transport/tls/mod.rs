//! TLS over TCP: one session, which reads and writes share, behind a lock that nobody waits under.

mod packets;
#[cfg(test)]
mod tests;

use super::{Outgoing, Privacy, Transport, Want};
use bytes::{Buf, BufMut, BytesMut};
use packets::Packets;
use rustls::ClientConnection;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{BufRead, Error, ErrorKind, IoSlice, Result, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::{fmt, io};
use tokio::net::TcpStream;
use virtwire_proto::packet::Descriptor;

/// How much is encrypted before it is written.
const SEALED_AT_ONCE: usize = 64 * 1024;
/// The least and the most that is read from the socket at once.
const READ_AT_ONCE: (usize, usize) = (4 * 1024, 64 * 1024);

/// A TLS session over TCP.
pub(crate) struct Tls {
    socket: TcpStream,
    state: Mutex<State>,
}

struct State {
    session: ClientConnection,
    /// What was read and not yet decrypted.
    incoming: BytesMut,
    /// How much of what is to be written next is encrypted already, and is said to be written once the socket
    /// has taken all of it: so nothing waits in the session that nobody would write.
    sealed: usize,
    packets: Packets,
    closed: bool,
}

impl Tls {
    /// Shakes hands.
    pub(crate) async fn connect(socket: TcpStream, session: ClientConnection) -> Result<Self> {
        let state = State {
            session,
            incoming: BytesMut::new(),
            sealed: 0,
            packets: Packets::default(),
            closed: false,
        };
        let tls = Self { socket, state: Mutex::new(state) };
        poll_fn(|cx| tls.poll_handshake(cx)).await?;
        Ok(tls)
    }

    /// Reads one byte; `None` where the peer closes instead.
    pub(crate) async fn read_byte(&self) -> Result<Option<u8>> {
        let (mut bytes, mut descriptors) = (BytesMut::new(), VecDeque::new());
        poll_fn(|cx| self.poll_read(cx, &mut bytes, &mut descriptors, Want::Anything(1))).await?;
        Ok(bytes.first().copied())
    }

    fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let mut state = self.lock();
            ready!(self.poll_flush_session(cx, &mut state))?;
            if !state.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if state.incoming.is_empty() {
                ready!(self.poll_fill(cx, &mut state, READ_AT_ONCE.0))?;
                if state.closed {
                    let text = "the server closed the connection during the TLS handshake";
                    return Poll::Ready(Err(Error::new(ErrorKind::UnexpectedEof, text)));
                }
            }
            self.decrypt(&mut state)?;
        }
    }

    /// Reads from the socket what is to be decrypted.
    fn poll_fill(&self, cx: &mut Context<'_>, state: &mut State, most: usize) -> Poll<Result<()>> {
        let most = most.clamp(READ_AT_ONCE.0, READ_AT_ONCE.1);
        loop {
            if self.socket.poll_read_ready(cx)?.is_pending() {
                // An idle connection needs no memory.
                state.incoming = BytesMut::new();
                return Poll::Pending;
            }
            state.incoming.reserve(most);
            match self.socket.try_read_buf(&mut (&mut state.incoming).limit(most)) {
                Ok(read) => {
                    // Whether the peer took its leave or not: libvirtd does not, and where a packet, a stream or
                    // a call is cut short the connection sees it.
                    state.closed = read == 0;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if again(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Takes a part of what was read into the session.
    fn decrypt(&self, state: &mut State) -> Result<()> {
        let mut rest = &state.incoming[..];
        let taken = state.session.read_tls(&mut rest)?;
        state.incoming.advance(taken);
        match state.session.process_new_packets() {
            Ok(io) => {
                state.closed |= io.peer_has_closed();
                Ok(())
            }
            Err(error) => {
                // The peer is told what it did wrong, where that goes without waiting.
                let _ = self.flush_session(state);
                Err(Error::new(ErrorKind::InvalidData, error))
            }
        }
    }

    /// Encrypts what is to be written, unless it is, and writes it.
    fn send(&self, state: &mut State, out: Outgoing<'_>) -> Result<usize> {
        let Outgoing::Bytes(parts) = out else {
            return Err(Error::new(ErrorKind::Unsupported, "descriptors travel only over UNIX sockets"));
        };
        if state.sealed == 0 {
            state.seal(parts)?;
        }
        self.flush_session(state)?;
        Ok(std::mem::take(&mut state.sealed))
    }

    /// Writes all that the session has to say; `WouldBlock` where the socket takes no more.
    fn flush_session(&self, state: &mut State) -> Result<()> {
        while state.session.wants_write() {
            match state.session.write_tls(&mut Unblocking(&self.socket)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn poll_flush_session(&self, cx: &mut Context<'_>, state: &mut State) -> Poll<Result<()>> {
        loop {
            match self.flush_session(state) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_write_ready(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for Tls {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
        _: &mut VecDeque<Descriptor>,
        want: Want,
    ) -> Poll<Result<usize>> {
        let (Want::Rest(most) | Want::Anything(most)) = want;
        let mut state = self.lock();
        loop {
            let read = state.take_decrypted(bytes, most)?;
            if read > 0 {
                return Poll::Ready(Ok(read));
            }
            if !state.incoming.is_empty() && !state.closed {
                self.decrypt(&mut state)?;
                continue;
            }
            if state.closed {
                return Poll::Ready(Ok(0));
            }
            // What the session answers by itself, such as to a change of keys. Where something else is being
            // written, its writer writes this too, and is the one to be told of room.
            if state.sealed == 0
                && let Poll::Ready(Err(error)) = self.poll_flush_session(cx, &mut state)
            {
                return Poll::Ready(Err(error));
            }
            ready!(self.poll_fill(cx, &mut state, most))?;
        }
    }

    fn try_write(&self, out: Outgoing<'_>) -> Result<usize> {
        self.send(&mut self.lock(), out)
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: Outgoing<'_>) -> Poll<Result<usize>> {
        loop {
            match self.try_write(out) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ready!(self.socket.poll_write_ready(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    #[cfg(unix)]
    fn hung_up(&self) -> bool {
        crate::transport::stream::hung_up(&self.socket)
    }

    fn privacy(&self) -> Privacy {
        Privacy::Private
    }
}

/// Takes leave, where that goes without waiting.
impl Drop for Tls {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.session.send_close_notify();
        let _ = self.flush_session(&mut state);
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl State {
    fn take_decrypted(&mut self, bytes: &mut BytesMut, most: usize) -> Result<usize> {
        let mut reader = self.session.reader();
        let mut taken = 0;
        while taken < most {
            match reader.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => {
                    let some = chunk.len().min(most - taken);
                    bytes.extend_from_slice(&chunk[..some]);
                    reader.consume(some);
                    taken += some;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Encrypts a part of what is to be written. No record holds more than one packet: libvirtd waits for its
    /// socket, and leaves what it has decrypted along with a packet lying until something else comes.
    fn seal(&mut self, parts: &[IoSlice<'_>]) -> Result<()> {
        for part in parts {
            let mut rest = &part[..];
            while !rest.is_empty() {
                if self.sealed >= SEALED_AT_ONCE {
                    return Ok(());
                }
                let some = &rest[..rest.len().min(SEALED_AT_ONCE)];
                let some = &some[..self.packets.advance(some)];
                self.session.writer().write_all(some)?;
                self.sealed += some.len();
                rest = &rest[some.len()..];
            }
        }
        Ok(())
    }
}

/// Writes what goes without waiting.
struct Unblocking<'a>(&'a TcpStream);

impl Write for Unblocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
