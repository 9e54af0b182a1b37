//! The end of a connection: whatever it is, everybody who waits on it learns the reason.

mod support;

use std::io::{Error as IoError, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use support::{Peer, builder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use virtwire::enums::DomainEventId;
use virtwire::proto::connection::CloseReason;
use virtwire::proto::program::remote;
use virtwire::{Builder, CallOptions, Connection, Error, Stream};

type Reason = JoinHandle<CloseReason>;

/// What waits on a connection, each by the reason that it learns.
struct Waiters(Vec<(&'static str, Reason)>);

fn closed(error: Error) -> CloseReason {
    match error {
        Error::Closed { reason, .. } => reason,
        other => panic!("expected the end, got {other:?}"),
    }
}

async fn stream(connection: &Connection, peer: &mut Peer) -> Stream {
    let opening = tokio::spawn({
        let connection = connection.clone();
        async move {
            let args = remote::StorageVolUploadArgs::default();
            connection.open_stream(&args, CallOptions::new()).await
        }
    });
    let id = peer.call_of::<remote::StorageVolUploadArgs>().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    opening.await.unwrap().unwrap().1
}

/// Calls in flight and behind the cap, streams in each direction and at their end, a subscription and a registration,
/// and those who wait for nothing but the end.
async fn everybody(connection: &Connection, peer: &mut Peer) -> Waiters {
    let mut waiters = Vec::new();
    let mut wait = |name, waiting: Reason| waiters.push((name, waiting));

    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events(DomainEventId::LIFECYCLE).await }
    });
    let id = peer.call_of::<remote::ConnectDomainEventCallbackRegisterAnyArgs>().await.id;
    let ret = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 1 };
    peer.with(move |server| server.reply(id, &ret).unwrap()).await;
    let mut events = subscribing.await.unwrap().unwrap();
    wait(
        "subscription",
        tokio::spawn(async move {
            let reason = closed(events.next().await.unwrap().unwrap_err());
            assert!(events.next().await.is_none());
            reason
        }),
    );
    let mut events = connection.hypervisor_events().unwrap();
    let waiting = tokio::spawn(async move { closed(events.next().await.unwrap().unwrap_err()) });
    wait("subscription without a registration", waiting);

    let mut reading = stream(connection, peer).await;
    wait("reader", tokio::spawn(async move { closed(reading.receive().await.unwrap_err()) }));
    let finishing = stream(connection, peer).await;
    wait("finisher", tokio::spawn(async move { closed(finishing.finish().await.unwrap_err()) }));
    peer.stream_event().await;

    let ended = connection.clone();
    wait("closed", tokio::spawn(async move { ended.closed().await }));
    let mut changes = connection.link_events();
    let watching = connection.clone();
    wait(
        "link events",
        tokio::spawn(async move {
            assert!(changes.next().await.is_none());
            watching.close_reason().unwrap()
        }),
    );

    // One more than may be in flight, a registration and a stream's opening behind them.
    for _ in 0..4 {
        let calling = connection.clone();
        wait("call", tokio::spawn(async move { closed(calling.hostname().await.unwrap_err()) }));
    }
    for _ in 0..4 {
        peer.call_of::<remote::ConnectGetHostnameArgs>().await;
    }
    let calling = connection.clone();
    wait("call in the queue", tokio::spawn(async move { closed(calling.hostname().await.unwrap_err()) }));
    let registering = connection.clone();
    wait(
        "registration",
        tokio::spawn(
            async move { closed(registering.domain_events(DomainEventId::REBOOT).await.unwrap_err()) },
        ),
    );
    let opening = connection.clone();
    wait(
        "opening of a stream",
        tokio::spawn(async move {
            let args = remote::StorageVolDownloadArgs::default();
            closed(opening.open_stream(&args, CallOptions::new()).await.unwrap_err())
        }),
    );
    tokio::time::sleep(Duration::from_millis(20)).await;
    Waiters(waiters)
}

impl Waiters {
    async fn learn(self, connection: &Connection, expected: impl Fn(&CloseReason) -> bool) {
        for (name, waiting) in self.0 {
            let reason = tokio::time::timeout(Duration::from_secs(60), waiting).await;
            let reason = reason.unwrap_or_else(|_| panic!("{name} hangs")).unwrap();
            assert!(expected(&reason), "{name}: {reason:?}");
        }
        assert!(connection.close_reason().is_some_and(|reason| expected(&reason)));
        // And who comes too late.
        assert!(expected(&closed(connection.hostname().await.unwrap_err())));
        assert!(expected(&connection.closed().await));
        assert!(!connection.is_alive() && !connection.is_linked());
    }
}

async fn open(builder: Builder) -> (Connection, Peer, Waiters) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start(theirs);
    let connection = builder.max_calls_in_flight(4).open_on(ours).await.unwrap();
    let waiters = everybody(&connection, &mut peer).await;
    (connection, peer, waiters)
}

#[tokio::test]
async fn the_peer_closes() {
    let (connection, peer, waiters) = open(builder()).await;
    peer.die().await;
    waiters.learn(&connection, |reason| *reason == CloseReason::Peer).await;
}

#[tokio::test]
async fn this_side_closes() {
    let (connection, mut peer, waiters) = open(builder()).await;
    // Its leave waits behind the calls that the daemon does not answer; giving it up closes nothing.
    let closing = tokio::spawn(connection.clone().close());
    tokio::time::sleep(Duration::from_millis(5)).await;
    closing.abort();
    assert!(closing.await.unwrap_err().is_cancelled());
    assert!(connection.is_alive());
    // A leave that has its time.
    let error = connection.with_call_timeout(Duration::from_millis(5)).close().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    waiters.learn(&connection, |reason| *reason == CloseReason::Local).await;
    peer.closed().await;
}

#[tokio::test]
async fn the_peer_breaks_the_protocol() {
    let (connection, peer, waiters) = open(builder()).await;
    peer.garble();
    waiters.learn(&connection, |reason| matches!(reason, CloseReason::Framing(_))).await;
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_silent() {
    let (connection, peer, waiters) = open(builder().keepalive(Duration::from_secs(1), 2)).await;
    peer.freeze().await;
    waiters.learn(&connection, |reason| matches!(reason, CloseReason::Keepalive { .. })).await;
}

/// A byte stream that fails when it is told to.
struct Failing {
    socket: UnixStream,
    fails: tokio::sync::oneshot::Receiver<()>,
}

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if Pin::new(&mut self.fails).poll(cx).is_ready() {
            return Poll::Ready(Err(IoError::new(ErrorKind::TimedOut, "the cable was pulled")));
        }
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Failing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn the_transport_fails() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start(theirs);
    let (fail, fails) = tokio::sync::oneshot::channel();
    let connection =
        builder().max_calls_in_flight(4).open_over(Failing { socket: ours, fails }).await.unwrap();
    let waiters = everybody(&connection, &mut peer).await;
    fail.send(()).unwrap();
    let expected = CloseReason::Transport("the cable was pulled".into());
    waiters.learn(&connection, |reason| *reason == expected).await;
    peer.closed().await;
}

#[test]
fn the_runtime_ends() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (connection, peer) = first.block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = second.spawn(async move { Peer::start(theirs) }).await.unwrap();
        (builder().max_calls_in_flight(4).open_on(ours).await.unwrap(), peer)
    });
    second.block_on(async {
        let mut peer = peer;
        let waiters = everybody(&connection, &mut peer).await;
        first.shutdown_background();
        let ended =
            |reason: &CloseReason| matches!(reason, CloseReason::Transport(text) if text.contains("runtime"));
        waiters.learn(&connection, ended).await;
        peer.closed().await;
    });
}

#[tokio::test]
async fn a_sender_who_waits_for_room_learns_it_too() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start(theirs);
    let connection = builder().open_on(ours).await.unwrap();
    let mut upload = stream(&connection, &mut peer).await;
    peer.freeze().await;
    let sending = tokio::spawn(async move {
        loop {
            if let Err(error) = upload.send(vec![0; 256 * 1024]).await {
                return closed(error);
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!sending.is_finished());
    peer.die().await;
    assert_eq!(sending.await.unwrap(), CloseReason::Peer);
}

/// With nothing but a stream whose consumer has stopped, nothing is read; but who waits for the end learns of it.
#[tokio::test(start_paused = true)]
async fn a_frozen_peer_is_seen_while_a_stalled_stream_pauses_the_connection() {
    for watches_link in [false, true] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut peer = Peer::start(theirs);
        let settings = builder().keepalive(Duration::from_secs(5), 5).stream_buffer(1000, 64 << 20);
        let connection = settings.open_on(ours).await.unwrap();
        let opening = tokio::spawn({
            let connection = connection.clone();
            async move {
                let args = remote::StorageVolDownloadArgs::default();
                connection.open_stream(&args, CallOptions::new()).await
            }
        });
        let id = peer.call_of::<remote::StorageVolDownloadArgs>().await.id;
        // More than is on its way and read at once.
        peer.with(move |server| {
            server.reply(id, &()).unwrap();
            server.send(id, vec![0; 8 << 20].into()).unwrap();
        })
        .await;
        let stalled = opening.await.unwrap().unwrap();
        let mut changes = connection.link_events();
        let waiting = tokio::spawn({
            let connection = connection.clone();
            async move {
                if watches_link {
                    while changes.next().await.is_some() {}
                }
                connection.closed().await
            }
        });
        // Alive, it is left alone, however long that is.
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(connection.is_alive());
        assert!(peer.unsent() > 0, "it is not read as fast as it comes");
        peer.freeze().await;
        let frozen = tokio::time::Instant::now();
        let seen = tokio::time::timeout(Duration::from_secs(3600), waiting).await;
        let reason = seen.expect("it is seen at some time").unwrap();
        assert!(matches!(reason, CloseReason::Keepalive { unanswered: 5, .. }), "{reason:?}");
        assert!(frozen.elapsed() < Duration::from_secs(600), "{:?}", frozen.elapsed());
        drop(stalled);
    }
}
