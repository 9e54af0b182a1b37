//! A command that carries the bytes on its standard input and output: one end of a socket pair is both.

use super::{Outgoing, Privacy, Socket, Transport, Want};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, Command as Program};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use virtwire_proto::packet::Descriptor;

/// How much of what the command says on its standard error is kept: the end of it.
const MOST_SAID: usize = 4 * 1024;
/// How long a command that was left, or told to end, may take.
const GRACE: Duration = Duration::from_secs(1);
/// How long to read what a command has said that has ended: another process may hold its standard error open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A running command. It ends with this: it sees the end of its input, is told to end, and is killed if it does not.
pub(crate) struct Command {
    socket: Socket<UnixStream>,
    name: String,
    to: String,
    end: Mutex<End>,
}

/// How the command's end is waited for.
enum End {
    /// It runs. Dropping the sender leaves it; using it says that it has closed its output.
    Running(oneshot::Sender<()>, JoinHandle<Result<Ended>>),
    /// It has closed its output.
    Closed(JoinHandle<Result<Ended>>),
    /// It has ended, with this.
    Ended(String),
}

struct Ended {
    status: ExitStatus,
    said: Vec<u8>,
}

impl Command {
    /// Starts the command; `name` is what errors call it, `to` where it leads.
    pub(crate) fn start(mut program: Program, name: String, to: String) -> Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let theirs = OwnedFd::from(theirs);
        program.stdin(theirs.try_clone()?).stdout(theirs).stderr(Stdio::piped()).kill_on_drop(true);
        let child = program.spawn()?;
        // It holds the other end, and the command is to be the only one that does.
        drop(program);
        let socket = Socket(UnixStream::from_std(ours)?);
        let (closed, watched) = oneshot::channel();
        let keeper = tokio::spawn(keep(child, watched));
        Ok(Self { socket, name, to, end: Mutex::new(End::Running(closed, keeper)) })
    }

    /// The error that says how the command has ended.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Error> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = match std::mem::replace(&mut *end, End::Ended(String::new())) {
            End::Running(closed, keeper) => {
                // Where it cannot be told any more it has ended.
                let _ = closed.send(());
                End::Closed(keeper)
            }
            other => other,
        };
        if let End::Closed(keeper) = &mut *end {
            let text = match ready!(Pin::new(keeper).poll(cx)) {
                Ok(Ok(ended)) => ended.to_string(),
                Ok(Err(error)) => format!("cannot be waited for: {error}"),
                Err(error) => error.to_string(),
            };
            *end = End::Ended(format!("{} {text}", self.name));
        }
        let End::Ended(text) = &*end else { return Poll::Pending };
        Poll::Ready(Error::new(ErrorKind::BrokenPipe, text.clone()))
    }
}

impl Transport for Command {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut BytesMut,
        descriptors: &mut VecDeque<Descriptor>,
        want: Want,
    ) -> Poll<Result<usize>> {
        match ready!(self.socket.poll_read(cx, bytes, descriptors, want)) {
            Ok(0) | Err(_) => self.poll_ended(cx).map(Err),
            read => Poll::Ready(read),
        }
    }

    fn try_write(&self, out: Outgoing<'_>) -> Result<usize> {
        match self.socket.try_write(only_bytes(out)?) {
            // The driver waits for what the command says to it.
            Err(error) if is_gone(&error) => Err(ErrorKind::WouldBlock.into()),
            result => result,
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, out: Outgoing<'_>) -> Poll<Result<usize>> {
        match ready!(self.socket.poll_write(cx, only_bytes(out)?)) {
            Err(error) if is_gone(&error) => self.poll_ended(cx).map(Err),
            result => Poll::Ready(result),
        }
    }

    fn hung_up(&self) -> bool {
        self.socket.hung_up()
    }

    /// Up to the command: what it makes of it is its affair, as ssh's encryption is.
    fn privacy(&self) -> Privacy {
        Privacy::Private
    }

    fn connects_to(&self) -> Option<&str> {
        Some(&self.to)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "has ended ({})", self.status)?;
        let said = String::from_utf8_lossy(&self.said);
        let lines = said.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let said = lines.collect::<Vec<_>>().join("; ");
        if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// A descriptor would reach the command, not the daemon.
fn only_bytes(out: Outgoing<'_>) -> Result<Outgoing<'_>> {
    match out {
        Outgoing::Bytes(_) => Ok(out),
        Outgoing::Descriptor(_) => {
            Err(Error::new(ErrorKind::Unsupported, "descriptors travel only over UNIX sockets"))
        }
    }
}

/// Waits for the command's end and listens to what it says; ends it once it has closed its output, or is left.
async fn keep(mut child: Child, closed: oneshot::Receiver<()>) -> Result<Ended> {
    let mut said = Vec::new();
    let mut stderr = child.stderr.take();
    {
        let mut closed = pin!(closed);
        let mut exit = pin!(child.wait());
        let mut listening = pin!(listen(&mut stderr, &mut said));
        poll_fn(|cx| {
            // It never ends before the others do.
            let _ = listening.as_mut().poll(cx);
            match exit.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => closed.as_mut().poll(cx).map(drop),
            }
        })
        .await;
    }
    let status = end(&mut child).await?;
    // What it said last may not have been read.
    let _ = tokio::time::timeout(LAST_WORDS, listen_to_end(&mut stderr, &mut said)).await;
    Ok(Ended { status, said })
}

/// Waits until the command has ended, by itself or not.
async fn end(child: &mut Child) -> Result<ExitStatus> {
    if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
        return status;
    }
    // Not waited for yet, so that the number is still its own.
    let id = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(id) = id {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
        return status;
    }
    child.start_kill()?;
    child.wait().await
}

/// Keeps the end of what is said. It goes on for ever.
async fn listen(from: &mut Option<ChildStderr>, said: &mut Vec<u8>) {
    listen_to_end(from, said).await;
    std::future::pending().await
}

async fn listen_to_end(from: &mut Option<ChildStderr>, said: &mut Vec<u8>) {
    while let Some(stderr) = from {
        let mut chunk = [0; 512];
        match stderr.read(&mut chunk).await {
            Ok(read) if read > 0 => {
                said.extend_from_slice(&chunk[..read]);
                said.drain(..said.len().saturating_sub(MOST_SAID));
            }
            _ => *from = None,
        }
    }
}
