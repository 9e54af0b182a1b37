//! A client that is nothing but the state machine on a socket.

use super::soon;
use bytes::{Bytes, BytesMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UnixStream};
use virtwire_proto::connection::{
    CallError, CallOptions, Client, ClientConfig, ClientEvent, CloseReason, Reply, StreamEvent, Time,
    Transmit,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::remote::ConnectOpenArgs;
use virtwire_proto::program::{Call, Event, net::MessageError};
use virtwire_proto::xdr::from_bytes;
use virtwire_server::Server;

pub enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A client on a socket.
pub struct Raw {
    pub machine: Client,
    pub wire: Wire,
    start: Instant,
    input: BytesMut,
    descriptors: VecDeque<OwnedFd>,
    /// What happened that nobody has asked for yet.
    events: VecDeque<ClientEvent>,
}

impl Raw {
    pub fn new(wire: Wire) -> Self {
        let mut config = ClientConfig::default();
        config.max_calls_in_flight = 10_000;
        Self {
            machine: Client::new(config, Time::START),
            wire,
            start: Instant::now(),
            input: BytesMut::new(),
            descriptors: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A client in the same process.
    pub fn joined(server: &Server) -> Self {
        Self::new(Wire::Unix(server.connect().unwrap()))
    }

    /// The same with its connection opened.
    pub async fn opened(server: &Server) -> Self {
        let mut raw = Self::joined(server);
        raw.call(&ConnectOpenArgs::default()).await.unwrap();
        raw
    }

    fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    /// Queues a call.
    pub fn start<C: Call>(&mut self, args: &C) -> Serial {
        let now = self.now();
        self.machine.call(args, now).unwrap()
    }

    /// Queues a call with descriptors.
    pub fn start_with<C: Call>(&mut self, args: &C, descriptors: Vec<OwnedFd>) -> Serial {
        let now = self.now();
        self.machine.call_with(args, CallOptions { deadline: None, descriptors }, now).unwrap()
    }

    /// Calls and waits for the answer.
    pub async fn call<C: Call>(&mut self, args: &C) -> Result<C::Ret, MessageError> {
        let serial = self.start(args);
        self.reply(serial).await.map(|reply| reply.decode::<C>().unwrap())
    }

    /// Waits for the answer to a call.
    pub async fn reply(&mut self, serial: Serial) -> Result<Reply, MessageError> {
        let is =
            |event: &ClientEvent| matches!(event, ClientEvent::Reply { serial: of, .. } if *of == serial);
        match soon(self.find(is)).await {
            ClientEvent::Reply { result: Ok(reply), .. } => Ok(reply),
            ClientEvent::Reply { result: Err(CallError::Server(error)), .. } => Err(*error),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// Waits for the next answer, whichever call it is to.
    pub async fn any_reply(&mut self) -> Serial {
        match soon(self.find(|event| matches!(event, ClientEvent::Reply { .. }))).await {
            ClientEvent::Reply { serial, .. } => serial,
            _ => unreachable!(),
        }
    }

    /// Waits for the next event of a kind.
    pub async fn message<E: Event>(&mut self) -> E {
        let is = |event: &ClientEvent| matches!(event, ClientEvent::Message { procedure, .. } if *procedure == E::PROCEDURE);
        match soon(self.find(is)).await {
            ClientEvent::Message { payload, .. } => from_bytes(payload).unwrap(),
            _ => unreachable!(),
        }
    }

    /// Waits for what happens next on a stream.
    pub async fn stream(&mut self, stream: Serial) -> StreamEvent {
        let is =
            |event: &ClientEvent| matches!(event, ClientEvent::Stream { serial, .. } if *serial == stream);
        match soon(self.find(is)).await {
            ClientEvent::Stream { event, .. } => event,
            _ => unreachable!(),
        }
    }

    /// Waits for the end of the connection.
    pub async fn closed(&mut self) -> CloseReason {
        match soon(self.find(|event| matches!(event, ClientEvent::Closed { .. }))).await {
            ClientEvent::Closed { reason } => reason,
            _ => unreachable!(),
        }
    }

    /// The events that have come and that nobody has asked for.
    pub fn left(&self) -> &VecDeque<ClientEvent> {
        &self.events
    }

    async fn find(&mut self, wanted: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
        loop {
            if let Some(index) = self.events.iter().position(&wanted) {
                return self.events.remove(index).unwrap();
            }
            self.turn().await;
        }
    }

    /// Writes what is to be written, then waits for something to come.
    pub async fn turn(&mut self) {
        self.flush().await;
        let before = self.events.len();
        self.take_events();
        if self.events.len() > before {
            return;
        }
        let (input, descriptors) = (&mut self.input, &mut self.descriptors);
        let read = match &mut self.wire {
            Wire::Tcp(stream) => stream.read_buf(input).await,
            Wire::Unix(stream) => {
                stream.async_io(Interest::READABLE, || receive(&*stream, input, descriptors)).await
            }
        };
        let now = self.now();
        match read {
            Ok(0) | Err(_) => self.machine.close(CloseReason::Peer),
            Ok(_) => {
                let _ = self.machine.receive(&mut self.input, &mut self.descriptors, now);
            }
        }
        self.take_events();
    }

    fn take_events(&mut self) {
        while let Some(event) = self.machine.event() {
            self.events.push_back(event);
        }
    }

    /// Writes what is to be written, as far as the peer is there.
    pub async fn flush(&mut self) {
        while let Some(transmit) = self.machine.transmit() {
            let written = match (&mut self.wire, transmit) {
                (Wire::Unix(stream), Transmit::Bytes(bytes)) => stream.write_all(&bytes).await,
                (Wire::Tcp(stream), Transmit::Bytes(bytes)) => stream.write_all(&bytes).await,
                (Wire::Unix(stream), Transmit::Descriptor(descriptor)) => {
                    stream.async_io(Interest::WRITABLE, || send(&*stream, &descriptor)).await
                }
                (Wire::Tcp(_), Transmit::Descriptor(_)) => panic!("TCP carries no descriptors"),
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// Writes bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Unix(stream) => stream.write_all(bytes).await,
            Wire::Tcp(stream) => stream.write_all(bytes).await,
        }
    }

    /// Sends data on a stream.
    pub fn send(&mut self, stream: Serial, data: impl Into<Bytes>) {
        self.machine.send(stream, data.into()).unwrap();
    }
}

fn receive(
    socket: impl AsFd,
    input: &mut BytesMut,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let start = input.len();
    input.resize(start + 65_536, 0);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(&mut input[start..])], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
    input.truncate(start + received.as_ref().map_or(0, |received| received.bytes));
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok(received?.bytes)
}

fn send(socket: impl AsFd, descriptor: &OwnedFd) -> io::Result<()> {
    let rights = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&rights));
    sendmsg(socket, &[IoSlice::new(&[0])], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}
