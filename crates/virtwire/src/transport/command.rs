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
    privacy: Privacy,
    end: Mutex<End>,
}

/// How the command's end is waited for.
enum End {
    /// It runs. Dropping the sender says that it is left, or has closed its end.
    Running(oneshot::Sender<()>, JoinHandle<Result<Ended>>),
    /// It has closed its end.
    Closed(JoinHandle<Result<Ended>>),
    /// It has ended, with this.
    Ended(String),
}

struct Ended {
    status: ExitStatus,
    said: Vec<u8>,
}

impl Command {
    /// Starts the command; `name` is what errors call it, `to` where it leads, `privacy` what is known of its way there.
    pub(crate) fn start(mut program: Program, name: String, to: String, privacy: Privacy) -> Result<Self> {
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
        Ok(Self { socket, name, to, privacy, end: Mutex::new(End::Running(closed, keeper)) })
    }

    /// The error that says how the command has ended.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Error> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        *end = match std::mem::replace(&mut *end, End::Ended(String::new())) {
            End::Running(left, keeper) => {
                drop(left);
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
        Poll::Ready(Error::other(text.clone()))
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

    fn privacy(&self) -> Privacy {
        self.privacy
    }

    fn hung_up(&self) -> bool {
        self.socket.hung_up()
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

/// Waits for the command's end and listens to what it says; ends it once it has closed its end, or is left.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use std::path::Path;

    fn start(script: &str) -> Command {
        let mut program = Program::new("sh");
        program.args(["-c", script]);
        Command::start(program, "the script".to_owned(), "nowhere".to_owned(), Privacy::Unknown).unwrap()
    }

    async fn write_all(command: &Command, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let parts = [IoSlice::new(bytes)];
            bytes = &bytes[poll_fn(|cx| command.poll_write(cx, Outgoing::Bytes(&parts))).await?..];
        }
        Ok(())
    }

    async fn read(command: &Command, bytes: &mut BytesMut) -> Result<usize> {
        let mut descriptors = VecDeque::new();
        poll_fn(|cx| command.poll_read(cx, bytes, &mut descriptors, Want::Anything(64 * 1024))).await
    }

    /// The line that the script writes first.
    async fn line(command: &Command) -> String {
        let mut bytes = BytesMut::new();
        while !bytes.ends_with(b"\n") {
            read(command, &mut bytes).await.unwrap();
        }
        String::from_utf8(bytes.to_vec()).unwrap().trim().to_owned()
    }

    /// Waits until the process is gone, and is no zombie either.
    async fn gone(id: &str) {
        let process = Path::new("/proc").join(id);
        assert!(Path::new("/proc/self").exists(), "there is a /proc");
        let waiting = async {
            while process.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it ends and is waited for");
    }

    #[tokio::test]
    async fn bytes_pass_both_ways() {
        let command = std::sync::Arc::new(start("cat"));
        let all: Vec<u8> = (0..4_000_000_u32).map(|number| number as u8).collect();
        let writer = tokio::spawn({
            let (command, all) = (std::sync::Arc::clone(&command), all.clone());
            async move { write_all(&command, &all).await }
        });
        let mut bytes = BytesMut::new();
        while bytes.len() < all.len() {
            read(&command, &mut bytes).await.unwrap();
        }
        assert!(bytes == all);
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn its_end_is_told_with_what_it_said() {
        let command = start("echo first >&2; echo; read -r line; echo \"no: $line\" >&2; exit 7");
        line(&command).await;
        write_all(&command, b"hello\n").await.unwrap();
        let error = read(&command, &mut BytesMut::new()).await.unwrap_err().to_string();
        assert_eq!(error, "the script has ended (exit status: 7): first; no: hello");
        // And again, to whoever asks.
        assert_eq!(read(&command, &mut BytesMut::new()).await.unwrap_err().to_string(), error);
        assert_eq!(write_all(&command, b"more").await.unwrap_err().to_string(), error);
    }

    #[tokio::test]
    async fn only_the_end_of_much_talk_is_kept() {
        let command = start("i=0; while [ $i -lt 5000 ]; do echo \"line $i\" >&2; i=$((i + 1)); done");
        let error = read(&command, &mut BytesMut::new()).await.unwrap_err().to_string();
        assert!(error.ends_with("; line 4998; line 4999"), "{error}");
        assert!(error.len() < 2 * MOST_SAID, "{}", error.len());
    }

    #[tokio::test]
    async fn another_process_that_keeps_its_standard_error_holds_up_nobody() {
        // As ssh does for later connections.
        let command = start("sleep 600 </dev/null >/dev/null & echo $!; echo reason >&2; exit 3");
        let sleeping = line(&command).await;
        let error = read(&command, &mut BytesMut::new()).await.unwrap_err().to_string();
        assert_eq!(error, "the script has ended (exit status: 3): reason");
        std::process::Command::new("sh").args(["-c", &format!("kill {sleeping}")]).status().unwrap();
    }

    #[tokio::test]
    async fn what_closes_its_input_and_output_and_goes_on_is_ended() {
        let command = start("echo $$; exec <&- >&- 2>&-; exec sleep 600");
        let id = line(&command).await;
        let error = read(&command, &mut BytesMut::new()).await.unwrap_err().to_string();
        assert_eq!(error, "the script has ended (signal: 15 (SIGTERM))");
        gone(&id).await;
    }

    #[tokio::test]
    async fn dropped_it_ends_and_leaves_no_zombie() {
        for script in [
            // It sees the end of its input; it does not look; it does not even listen.
            "echo $$; exec cat",
            "echo $$; exec sleep 600",
            "trap '' TERM; echo $$; while :; do sleep 0.1; done",
        ] {
            let command = start(script);
            let id = line(&command).await;
            assert!(Path::new("/proc").join(&id).exists());
            drop(command);
            gone(&id).await;
        }
    }

    #[tokio::test]
    async fn descriptors_do_not_reach_it() {
        let command = start("cat");
        let descriptor = std::fs::File::open("/dev/null").unwrap().into();
        let error = command.try_write(Outgoing::Descriptor(&descriptor)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
