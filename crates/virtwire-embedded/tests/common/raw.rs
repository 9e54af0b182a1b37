//! A client that is nothing but the state machine on a socket.
#![allow(dead_code, reason = "each test file uses its own part")]

use bytes::BytesMut;
use std::collections::VecDeque;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use virtwire_proto::connection::{
    CallError, CallOptions, Client, ClientConfig, ClientEvent, CloseReason, Reply, Time, Transmit,
};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::remote::{ConnectOpenArgs, DomainLookupByNameArgs, NonnullDomain};
use virtwire_proto::program::{Call, Event, Procedure};
use virtwire_proto::xdr::from_bytes;

/// Waits for something that must come soon.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not come within 20 seconds")
}

/// A client on a UNIX socket.
pub(crate) struct Raw {
    machine: Client,
    socket: UnixStream,
    start: Instant,
    input: BytesMut,
    /// What happened that nobody has asked for yet.
    events: VecDeque<ClientEvent>,
}

impl Raw {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            machine: Client::new(ClientConfig::default(), Time::START),
            socket,
            start: Instant::now(),
            input: BytesMut::new(),
            events: VecDeque::new(),
        }
    }

    /// The same with its connection opened under this name.
    pub(crate) async fn opened(socket: UnixStream, name: &str) -> Self {
        let mut raw = Self::new(socket);
        raw.call(&ConnectOpenArgs { name: Some(name.into()), flags: 0 }).await.unwrap();
        raw
    }

    /// A connection to the default node behind the socket at this path.
    pub(crate) async fn at(path: &Path) -> Self {
        Self::opened(UnixStream::connect(path).await.unwrap(), "test:///default").await
    }

    fn now(&self) -> Time {
        Time::since_start(self.start.elapsed())
    }

    /// Queues a call.
    pub(crate) fn start<C: Call>(&mut self, args: &C) -> Serial {
        let now = self.now();
        self.machine.call(args, now).unwrap()
    }

    /// Sends these bytes as the arguments of a call, and waits for the answer.
    pub(crate) async fn call_raw(
        &mut self,
        procedure: &'static Procedure,
        payload: &[u8],
    ) -> Result<Reply, MessageError> {
        let now = self.now();
        let options = CallOptions::default();
        let serial = self.machine.call_raw(procedure, payload, options, now).unwrap();
        self.reply(serial).await
    }

    /// Calls and waits for the answer.
    pub(crate) async fn call<C: Call>(&mut self, args: &C) -> Result<C::Ret, MessageError> {
        let serial = self.start(args);
        self.reply(serial).await.map(|reply| reply.decode::<C>().unwrap())
    }

    /// Waits for the answer to a call.
    pub(crate) async fn reply(&mut self, serial: Serial) -> Result<Reply, MessageError> {
        let is =
            |event: &ClientEvent| matches!(event, ClientEvent::Reply { serial: of, .. } if *of == serial);
        match soon(self.find(is)).await {
            ClientEvent::Reply { result: Ok(reply), .. } => Ok(reply),
            ClientEvent::Reply { result: Err(CallError::Server(error)), .. } => Err(*error),
            other => panic!("no answer: {other:?}"),
        }
    }

    /// The number and the origin of the error that answers a call.
    pub(crate) async fn refused<C: Call>(&mut self, args: &C) -> (i32, i32, String)
    where
        C::Ret: std::fmt::Debug,
    {
        let error = self.call(args).await.expect_err("this is refused");
        (error.code, error.domain, error.message.unwrap_or_default().to_string())
    }

    /// The domain with this name.
    pub(crate) async fn domain(&mut self, name: &str) -> NonnullDomain {
        self.call(&DomainLookupByNameArgs { name: name.into() }).await.unwrap().dom
    }

    /// Waits for the next event of a kind.
    pub(crate) async fn message<E: Event>(&mut self) -> E {
        let is = |event: &ClientEvent| matches!(event, ClientEvent::Message { procedure, .. } if *procedure == E::PROCEDURE);
        match soon(self.find(is)).await {
            ClientEvent::Message { payload, .. } => from_bytes(payload).unwrap(),
            _ => unreachable!(),
        }
    }

    /// The events that have come and that nobody has asked for.
    pub(crate) fn left(&self) -> usize {
        self.events.len()
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
    async fn turn(&mut self) {
        while let Some(transmit) = self.machine.transmit() {
            match transmit {
                Transmit::Bytes(bytes) => self.socket.write_all(&bytes).await.unwrap(),
                Transmit::Descriptor(_) => panic!("no descriptor was given"),
            }
        }
        let read = self.socket.read_buf(&mut self.input).await;
        let now = self.now();
        match read {
            Ok(0) | Err(_) => self.machine.close(CloseReason::Peer),
            Ok(_) => {
                let _ = self.machine.receive(&mut self.input, &mut VecDeque::new(), now);
            }
        }
        while let Some(event) = self.machine.event() {
            self.events.push_back(event);
        }
    }
}
