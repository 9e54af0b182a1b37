//! A proxy for UNIX sockets that keeps what both sides say.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tempfile::TempDir;

use crate::error::{Context, Error, Result};
use crate::process::wait_until;

/// How many descriptors one message can bring: the kernel's own limit is 253, the protocol's 32.
const MAX_DESCRIPTORS: usize = 64;

/// Listens on a socket of its own, connects each client to another socket, passes on bytes and descriptors both
/// ways, and keeps the bytes.
///
/// The server sees this process as the client, not the program behind it.
#[derive(Debug)]
pub struct Recorder {
    socket: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    _folder: TempDir,
}

/// What one connection has carried so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// What the client sent, in order.
    pub to_server: Vec<u8>,
    /// What the server sent, in order.
    pub to_client: Vec<u8>,
    /// How many descriptors went along to the server.
    pub descriptors_to_server: usize,
    /// How many descriptors went along to the client.
    pub descriptors_to_client: usize,
}

impl Recorder {
    /// Starts to listen, in front of the server on `server`.
    ///
    /// # Errors
    /// A folder, socket or thread could not be had.
    pub fn start(server: impl Into<PathBuf>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("virtwire-")
            .tempdir_in("/tmp")
            .context(|| "a temporary folder in /tmp".to_owned())?;
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).context(|| socket.display().to_string())?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let (shared, server) = (Arc::clone(&shared), server.into());
            thread::Builder::new().name("recorder".into()).spawn(move || accept(&listener, &server, &shared))
        };
        let acceptor = Some(acceptor.context(|| "a thread".to_owned())?);
        Ok(Self { socket, shared, acceptor, _folder: folder })
    }

    /// The socket for clients.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What each connection has carried so far, in the order of their beginnings. Whatever one side has received
    /// is in it.
    pub fn recordings(&self) -> Vec<Recording> {
        self.shared.lock().iter().map(|connection| connection.recording.clone()).collect()
    }

    /// Waits at most `limit` until both ends of every connection are closed, and gives all that they carried.
    ///
    /// # Errors
    /// A connection is still open, or a client was turned away since the server could not be reached.
    pub fn finish(mut self, limit: Duration) -> Result<Vec<Recording>> {
        self.stop_accepting();
        let closed =
            wait_until(Instant::now() + limit, || self.shared.lock().iter().all(|c| c.open_directions == 0));
        if !closed {
            return Err(Error::new(format!("a recorded connection is still open after {limit:?}")));
        }
        if self.shared.turned_away.load(Ordering::SeqCst) {
            return Err(Error::new("the recorder could not reach the server behind it"));
        }
        Ok(self.recordings())
    }

    fn stop_accepting(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            self.shared.ending.store(true, Ordering::SeqCst);
            // Wakes it.
            let _ = UnixStream::connect(&self.socket);
            let _ = acceptor.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop_accepting();
        for connection in self.shared.lock().iter() {
            let _ = connection.client.shutdown(Shutdown::Both);
            let _ = connection.server.shutdown(Shutdown::Both);
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    ending: AtomicBool,
    turned_away: AtomicBool,
    connections: Mutex<Vec<Connection>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        // A panicking holder cannot leave the list half changed.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Connection {
    client: UnixStream,
    server: UnixStream,
    open_directions: u8,
    recording: Recording,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

/// Joins each client to the server, until the recorder ends.
fn accept(listener: &UnixListener, server: &Path, shared: &Arc<Shared>) {
    let join = |client: UnixStream| {
        if join(&client, server, shared).is_err() {
            // Before the client sees its end.
            shared.turned_away.store(true, Ordering::SeqCst);
        }
    };
    while let Ok((client, _)) = listener.accept() {
        if !shared.ending.load(Ordering::SeqCst) {
            join(client);
            continue;
        }
        // Clients that came before the end still count; the last in the queue is the one that wakes this thread.
        let mut last = client;
        if listener.set_nonblocking(true).is_ok() {
            while let Ok((next, _)) = listener.accept() {
                join(std::mem::replace(&mut last, next));
            }
        }
        return;
    }
}

/// Connects `client` to the server and starts passing on.
fn join(client: &UnixStream, server: &Path, shared: &Arc<Shared>) -> io::Result<()> {
    let client = client.try_clone()?;
    let server = UnixStream::connect(server)?;
    let (client_end, server_end) = (client.try_clone()?, server.try_clone()?);
    let (client_out, server_out) = (client.try_clone()?, server.try_clone()?);
    let number = {
        let mut connections = shared.lock();
        connections.push(Connection { client, server, open_directions: 2, recording: Recording::default() });
        connections.len() - 1
    };
    for (from, to, direction) in
        [(client_end, server_out, Direction::ToServer), (server_end, client_out, Direction::ToClient)]
    {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            if pass_on(&from, &to, direction, number, &shared).is_err() {
                let _ = from.shutdown(Shutdown::Both);
            }
            let _ = to.shutdown(Shutdown::Write);
            shared.lock()[number].open_directions -= 1;
        });
    }
    Ok(())
}

/// Passes on one direction until its end.
fn pass_on(
    from: &UnixStream,
    to: &UnixStream,
    direction: Direction,
    number: usize,
    shared: &Shared,
) -> rustix::io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let (length, descriptors) = receive(from, &mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let bytes = &buffer[..length];
        {
            let recording = &mut shared.lock()[number].recording;
            let (kept, count) = match direction {
                Direction::ToServer => (&mut recording.to_server, &mut recording.descriptors_to_server),
                Direction::ToClient => (&mut recording.to_client, &mut recording.descriptors_to_client),
            };
            kept.extend_from_slice(bytes);
            *count += descriptors.len();
        }
        // The protocol carries each descriptor on a byte of its own, and the kernel ends a read behind a byte that
        // carries one: they belong to the last byte, and libvirt looks for them nowhere else.
        let (plain, carrier) =
            if descriptors.is_empty() { (bytes, &[][..]) } else { bytes.split_at(length - 1) };
        send_all(to, plain)?;
        if !carrier.is_empty() {
            send_descriptors(to, carrier, &descriptors)?;
        }
    }
}

fn receive(from: &UnixStream, buffer: &mut [u8]) -> rustix::io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(from, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}

fn send_all(to: &UnixStream, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let sent = rustix::io::retry_on_intr(|| rustix::net::send(to, bytes, SendFlags::NOSIGNAL))?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send_descriptors(to: &UnixStream, carrier: &[u8], descriptors: &[OwnedFd]) -> rustix::io::Result<()> {
    let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(rustix::io::Errno::TOOBIG);
    }
    rustix::io::retry_on_intr(|| sendmsg(to, &[IoSlice::new(carrier)], &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn pair() -> (Recorder, UnixStream, UnixStream, TempDir) {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let path = folder.path().join("server");
        let listener = UnixListener::bind(&path).unwrap();
        let recorder = Recorder::start(path).unwrap();
        let client = UnixStream::connect(recorder.socket()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (recorder, client, server, folder)
    }

    #[test]
    fn both_directions_are_passed_on_and_kept() {
        let (recorder, mut client, mut server, _folder) = pair();
        let large = vec![7; 3_000_000];
        let writer = thread::spawn({
            let large = large.clone();
            move || {
                client.write_all(&large).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).unwrap();
                answer
            }
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        server.write_all(b"thanks").unwrap();
        drop(server);
        assert!(received == large);
        assert_eq!(writer.join().unwrap(), b"thanks");
        let recordings = recorder.finish(LIMIT).unwrap();
        assert_eq!(recordings.len(), 1);
        assert!(recordings[0].to_server == large);
        assert_eq!(recordings[0].to_client, b"thanks");
    }

    #[test]
    fn a_descriptor_arrives_with_the_byte_that_carries_it() {
        let (recorder, client, server, folder) = pair();
        let path = folder.path().join("passed");
        std::fs::write(&path, "through the socket").unwrap();
        send_all(&client, b"packet").unwrap();
        for _ in 0..2 {
            send_descriptors(&client, &[0], &[File::open(&path).unwrap().into()]).unwrap();
        }
        send_all(&client, b"next").unwrap();
        client.shutdown(Shutdown::Write).unwrap();

        // As libvirt reads: the packet plainly, then one byte at a time with its descriptor.
        let mut packet = [0; 6];
        (&server).read_exact(&mut packet).unwrap();
        for _ in 0..2 {
            let (length, mut descriptors) = receive(&server, &mut [0]).unwrap();
            assert_eq!((length, descriptors.len()), (1, 1));
            let mut text = String::new();
            File::from(descriptors.remove(0)).read_to_string(&mut text).unwrap();
            assert_eq!(text, "through the socket");
        }
        let mut rest = Vec::new();
        (&server).read_to_end(&mut rest).unwrap();
        assert_eq!((&packet, rest.as_slice()), (b"packet", b"next".as_slice()));
        drop((client, server));
        let recordings = recorder.finish(LIMIT).unwrap();
        assert_eq!(recordings[0].to_server, b"packet\0\0next");
        assert_eq!((recordings[0].descriptors_to_server, recordings[0].descriptors_to_client), (2, 0));
    }

    #[test]
    fn an_open_connection_and_a_missing_server_are_errors() {
        let (recorder, _client, _server, _folder) = pair();
        let error = recorder.finish(Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("still open"));

        let recorder = Recorder::start("/nonexistent/socket").unwrap();
        let mut client = UnixStream::connect(recorder.socket()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert!(recorder.finish(LIMIT).unwrap_err().to_string().contains("could not reach"));
    }

    #[test]
    fn dropping_it_ends_what_it_carries() {
        let (recorder, mut client, mut server, _folder) = pair();
        drop(recorder);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }
}
