//! What whoever traces is told: a span for each call, and what befalls the connection.

mod support;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Peer, builder, connect, failure};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use virtwire::proto::connection::Server;
use virtwire::proto::packet::{Header, PacketType, Serial, Status};
use virtwire::proto::program::{Call, remote};
use virtwire::{Connection, Reconnect};

/// Notes what it is told, a line each: `event …`, `span 1 …`, `record 1 …`, `close 1`.
#[derive(Default)]
struct Notes {
    lines: Mutex<Vec<String>>,
    spans: AtomicU64,
}

struct Listener(Arc<Notes>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Notes {
    fn listen() -> (Arc<Self>, tracing::subscriber::DefaultGuard) {
        let notes = Arc::new(Self::default());
        let guard = tracing::subscriber::set_default(Listener(Arc::clone(&notes)));
        (notes, guard)
    }

    fn note(&self, mut line: String, fields: impl FnOnce(&mut Fields<'_>)) {
        fields(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    /// Waits until a line has all of these words, and gives what there was up to it.
    async fn until(&self, words: &[&str]) -> Vec<String> {
        let taken = || {
            let mut lines = self.lines.lock().unwrap();
            let at = lines.iter().position(|line| words.iter().all(|word| line.contains(word)))?;
            Some(lines.drain(..=at).collect())
        };
        let found = async {
            loop {
                if let Some(lines) = taken() {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(60), found).await;
        found.unwrap_or_else(|_| panic!("nobody said {words:?}: {:?}", self.take()))
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "virtwire"
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.0.spans.fetch_add(1, Ordering::SeqCst) + 1;
        let line = format!("span {id} {}", attributes.metadata().name());
        self.0.note(line, |fields| attributes.record(fields));
        Id::from_u64(id)
    }
    fn record(&self, span: &Id, record: &Record<'_>) {
        self.0.note(format!("record {}", span.into_u64()), |fields| record.record(fields));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.0.note(format!("event {}", event.metadata().level()), |fields| event.record(fields));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
    fn try_close(&self, id: Id) -> bool {
        self.0.note(format!("close {}", id.into_u64()), |_| {});
        true
    }
}

fn version(
    connection: &Connection,
) -> tokio::task::JoinHandle<virtwire::Result<virtwire::proto::program::Version>> {
    let connection = connection.clone();
    tokio::spawn(async move { connection.lib_version().await })
}

#[tokio::test]
async fn each_call_has_a_span_with_its_end() {
    let (notes, _guard) = Notes::listen();
    let (connection, mut peer) = connect().await;
    let opening = notes.until(&["event DEBUG", "connection open", "test:///scripted"]).await;
    assert!(opening.iter().any(|line| line.contains("procedure=remote.auth_list")), "{opening:?}");
    assert!(opening.iter().any(|line| line.contains("let in by the daemon")), "{opening:?}");

    let call = version(&connection);
    let id = peer.call_of::<remote::ConnectGetLibVersionArgs>().await.id;
    peer.with(move |server| server.reply(id, &remote::ConnectGetLibVersionRet { lib_ver: 1 }).unwrap()).await;
    call.await.unwrap().unwrap();
    let lines = notes.until(&["close"]).await;
    assert!(lines[0].contains("call procedure=remote.connect_get_lib_version serial="), "{lines:?}");
    assert!(lines[1].starts_with("close"), "{lines:?}");

    let call = version(&connection);
    let id = peer.call_of::<remote::ConnectGetLibVersionArgs>().await.id;
    peer.with(move |server| server.reply_error(id, &failure(1, 10, "no %s", "luck")).unwrap()).await;
    call.await.unwrap().unwrap_err();
    let lines = notes.until(&["close"]).await;
    assert!(lines[1].contains("error=no luck"), "{lines:?}");

    let call = version(&connection);
    peer.call_of::<remote::ConnectGetLibVersionArgs>().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let lines = notes.until(&["close"]).await;
    assert!(lines[1].contains("given up"), "{lines:?}");
    drop(connection);
    notes.until(&["event DEBUG", "connection closed"]).await;
}

#[tokio::test]
async fn what_befalls_a_connection_is_told() {
    let (notes, _guard) = Notes::listen();
    let (arrived, mut peers) = mpsc::unbounded_channel();
    let attempts = AtomicU64::new(0);
    let connection = builder()
        .max_queued_events(1)
        .reconnect(Reconnect::new().initial_delay(Duration::from_millis(1)))
        .open_with_unix(move || {
            std::future::ready(if attempts.fetch_add(1, Ordering::SeqCst) == 1 {
                Err(std::io::ErrorKind::ConnectionRefused.into())
            } else {
                let (ours, theirs) = UnixStream::pair().unwrap();
                arrived.send(Peer::start(theirs)).ok();
                Ok(ours)
            })
        })
        .await
        .unwrap();
    let peer: Peer = peers.recv().await.unwrap();
    // A subscription whose consumer is too slow.
    let events = connection.hypervisor_events().unwrap();
    let tell = |server: &mut Server| {
        for reason in 0..3 {
            server.emit(&remote::ConnectEventConnectionClosedMsg { reason }).unwrap();
        }
    };
    peer.with(tell).await;
    notes.until(&["event WARN", "loses events"]).await;
    // A reply to no call.
    let header = Header::new(
        remote::ConnectGetLibVersionArgs::PROCEDURE,
        PacketType::REPLY,
        Serial(4_000),
        Status::OK,
    );
    peer.inject(header);
    notes.until(&["event DEBUG", "unexpected packet", "4000"]).await;
    peer.die().await;
    notes.until(&["event WARN", "link lost", "the peer closed"]).await;
    notes.until(&["event WARN", "reconnection failed", "attempt=1", "refused"]).await;
    notes.until(&["event INFO", "connection open again", "attempt=2"]).await;
    drop(events);
    drop(connection);
    notes.until(&["connection closed"]).await;
}

#[tokio::test]
async fn the_reason_of_an_end_is_told() {
    let (notes, _guard) = Notes::listen();
    let (connection, peer) = connect().await;
    peer.die().await;
    connection.closed().await;
    notes.until(&["event WARN", "connection ended", "the peer closed the connection"]).await;
    let error = Connection::open("test+unix:///default?socket=/nonexistent").await.unwrap_err();
    let lines = notes.until(&["connection not opened"]).await;
    assert!(lines.last().unwrap().contains(&error.to_string()), "{lines:?}");
}
