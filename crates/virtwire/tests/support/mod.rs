//! A daemon played by hand: the state machine of the server's side on one end of a socket pair, which answers the
//! opening by itself and leaves the rest to the test.
#![allow(dead_code, reason = "each test target uses its own part")]

#[cfg(feature = "sasl")]
pub(crate) mod digest;

use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use virtwire::proto::connection::{
    Authentication, CallId, IncomingCall, Server, ServerConfig, ServerEvent, ServerStreamEvent, Time,
    Transmit,
};
use virtwire::proto::enums::{ErrorDomain, ErrorNumber};
use virtwire::proto::error::raised;
use virtwire::proto::packet::Header;
use virtwire::proto::program::net::MessageError;
use virtwire::proto::program::{Call, qemu, remote};
use virtwire::{Builder, CallOptions, Connection, Stream};

/// The names by which hypervisors were opened.
type Names = Arc<std::sync::Mutex<Vec<String>>>;

/// What the test and the peer's task share.
#[derive(Default)]
struct Reins {
    frozen: AtomicBool,
    /// Bytes that are sent behind what the server's side has to send.
    injected: std::sync::Mutex<Vec<u8>>,
    unsent: AtomicUsize,
    names: Names,
}

type Command = Box<dyn FnOnce(&mut Server) + Send>;

/// The other end of a connection.
pub(crate) struct Peer {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<ServerEvent>,
    reins: Arc<Reins>,
    task: tokio::task::JoinHandle<()>,
}

/// A connection and its other end.
pub(crate) async fn connect() -> (Connection, Peer) {
    connect_with(builder()).await
}

pub(crate) fn builder() -> Builder {
    Connection::builder("test:///scripted").no_keepalive().connect_timeout(Duration::from_secs(10))
}

pub(crate) async fn connect_with(builder: Builder) -> (Connection, Peer) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = Peer::start(theirs);
    (builder.open_on(ours).await.unwrap(), peer)
}

/// Opens a stream by a call, which the peer answers, and gives both ends of it.
pub(crate) async fn open_stream<C>(connection: &Connection, peer: &mut Peer, args: C) -> (Stream, CallId)
where
    C: Call<Ret = ()> + Send + Sync + 'static,
{
    let opening = tokio::spawn({
        let connection = connection.clone();
        async move { connection.open_stream(&args, CallOptions::new()).await }
    });
    let id = peer.call_of::<C>().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    let ((), stream) = opening.await.unwrap().unwrap();
    (stream, id)
}

/// An error as a daemon raises one.
pub(crate) fn failure(code: i32, domain: i32, pattern: &str, detail: &str) -> MessageError {
    raised(ErrorNumber(code), ErrorDomain(domain), pattern, detail)
}

impl Peer {
    pub(crate) fn start(socket: UnixStream) -> Self {
        Self::start_asking(socket, Authentication::None)
    }

    /// One that asks who is there.
    pub(crate) fn start_asking(socket: UnixStream, authentication: Authentication) -> Self {
        Self::start_with(socket, authentication, Arc::default())
    }

    /// One that notes the names by which hypervisors are opened.
    pub(crate) fn start_telling(socket: UnixStream, names: Names) -> Self {
        Self::start_with(socket, Authentication::None, names)
    }

    fn start_with(socket: UnixStream, authentication: Authentication, names: Names) -> Self {
        let (commands, commanded) = mpsc::unbounded_channel();
        let (happened, events) = mpsc::unbounded_channel();
        let reins = Arc::new(Reins { names, ..Reins::default() });
        let task = tokio::spawn(serve(socket, authentication, commanded, happened, Arc::clone(&reins)));
        Self { commands, events, reins, task }
    }

    /// What happens next, beside the opening.
    pub(crate) async fn event(&mut self) -> ServerEvent {
        tokio::time::timeout(Duration::from_secs(20), self.events.recv())
            .await
            .expect("in time")
            .expect("more")
    }

    /// What has happened already.
    pub(crate) fn try_event(&mut self) -> Option<ServerEvent> {
        self.events.try_recv().ok()
    }

    pub(crate) async fn call(&mut self) -> IncomingCall {
        match self.event().await {
            ServerEvent::Call(call) => call,
            other => panic!("expected a call, got {other:?}"),
        }
    }

    pub(crate) async fn call_of<C: Call>(&mut self) -> IncomingCall {
        let call = self.call().await;
        assert_eq!(call.procedure, C::PROCEDURE);
        call
    }

    pub(crate) async fn stream_event(&mut self) -> ServerStreamEvent {
        match self.event().await {
            ServerEvent::Stream { event, .. } => event,
            other => panic!("expected something of a stream, got {other:?}"),
        }
    }

    /// Does something to the server's side, and gives what that gives once it is done.
    pub(crate) async fn with<R: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Server) -> R + Send + 'static,
    ) -> R {
        let (done, result) = oneshot::channel();
        let command: Command = Box::new(move |server| {
            done.send(action(server)).ok();
        });
        self.commands.send(command).expect("the server is there");
        result.await.expect("the server is there")
    }

    /// Waits until the client has closed.
    pub(crate) async fn closed(&mut self) {
        while !matches!(self.event().await, ServerEvent::Closed { .. }) {}
    }

    /// How many bytes wait to be written.
    pub(crate) fn unsent(&self) -> usize {
        self.reins.unsent.load(Ordering::SeqCst)
    }

    /// Stops reading and answering, with the socket open.
    pub(crate) async fn freeze(&self) {
        let (stopped, wait) = oneshot::channel();
        let reins = Arc::clone(&self.reins);
        // By the command itself: set before, it could keep the server from coming to the command.
        let command: Command = Box::new(move |_| {
            reins.frozen.store(true, Ordering::SeqCst);
            stopped.send(()).ok();
        });
        self.commands.send(command).expect("the server is there");
        wait.await.expect("the server is there");
    }

    /// Sends what is no packet.
    pub(crate) fn garble(&self) {
        self.send_raw(&[0; 28]);
    }

    /// Sends a packet that is only a header.
    pub(crate) fn inject(&self, header: Header) {
        let mut packet = Vec::new();
        packet.extend_from_slice(&28_u32.to_be_bytes());
        packet.extend_from_slice(&header.program.to_be_bytes());
        packet.extend_from_slice(&header.version.to_be_bytes());
        packet.extend_from_slice(&header.procedure.to_be_bytes());
        packet.extend_from_slice(&header.packet_type.0.to_be_bytes());
        packet.extend_from_slice(&header.serial.0.to_be_bytes());
        packet.extend_from_slice(&header.status.0.to_be_bytes());
        self.send_raw(&packet);
    }

    fn send_raw(&self, bytes: &[u8]) {
        self.reins.injected.lock().unwrap().extend_from_slice(bytes);
        self.commands.send(Box::new(|_| {})).expect("the server is there");
    }

    /// Dies: the socket is closed without a word.
    pub(crate) async fn die(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

async fn serve(
    mut socket: UnixStream,
    authentication: Authentication,
    mut commands: mpsc::UnboundedReceiver<Command>,
    happened: mpsc::UnboundedSender<ServerEvent>,
    reins: Arc<Reins>,
) {
    let config = ServerConfig::new(&[&remote::PROGRAM, &qemu::PROGRAM])
        .max_client_requests(10_000)
        .authentication(authentication);
    let mut server = Server::new(config, Time::START);
    let mut bytes = BytesMut::new();
    let (mut reading, mut writing) = socket.split();
    let mut out: VecDeque<u8> = VecDeque::new();
    loop {
        while let Some(event) = server.event() {
            if let Some(event) = opening(&mut server, event, &reins.names) {
                let closed = matches!(event, ServerEvent::Closed { .. });
                happened.send(event).ok();
                if closed {
                    return;
                }
            }
        }
        while let Some(transmit) = server.transmit() {
            match transmit {
                Transmit::Bytes(bytes) => out.extend(bytes),
                Transmit::Descriptor(_) => panic!("this server sends no descriptors"),
            }
        }
        out.extend(reins.injected.lock().unwrap().drain(..));
        reins.unsent.store(out.len(), Ordering::SeqCst);
        let pending = out.make_contiguous();
        tokio::select! {
            read = reading.read_buf(&mut bytes) => match read {
                Ok(0) | Err(_) => server.close(virtwire::proto::connection::CloseReason::Peer),
                Ok(_) => {
                    server.receive(&mut bytes, &mut VecDeque::new(), Time::START).ok();
                }
            },
            written = writing.write(pending), if !pending.is_empty() => match written {
                Ok(count) => drop(out.drain(..count)),
                Err(_) => server.close(virtwire::proto::connection::CloseReason::Peer),
            },
            command = commands.recv() => match command {
                Some(command) => command(&mut server),
                None => return,
            },
        }
        if reins.frozen.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

/// Answers what belongs to the opening; gives back all else.
fn opening(server: &mut Server, event: ServerEvent, names: &Names) -> Option<ServerEvent> {
    let ServerEvent::Call(call) = &event else { return Some(event) };
    if call.procedure == remote::ConnectSupportsFeatureArgs::PROCEDURE {
        server.reply(call.id, &remote::ConnectSupportsFeatureRet { supported: 1 }).unwrap();
    } else if call.procedure == remote::ConnectOpenArgs::PROCEDURE {
        let name = call.args::<remote::ConnectOpenArgs>().unwrap().name.unwrap_or_default();
        names.lock().unwrap().push(name.to_string());
        server.reply(call.id, &()).unwrap();
    } else if call.procedure == remote::ConnectRegisterCloseCallbackArgs::PROCEDURE {
        server.reply(call.id, &()).unwrap();
    } else if call.procedure == remote::ConnectGetUriArgs::PROCEDURE {
        server.reply(call.id, &remote::ConnectGetUriRet { uri: "test:///chosen".into() }).unwrap();
    } else {
        return Some(event);
    }
    None
}
