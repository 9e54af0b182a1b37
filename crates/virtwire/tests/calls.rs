//! Calls on one connection: answered in any order, cancelled, too late, cut off, many, large.

mod support;

use bytes::Bytes;
use std::time::Duration;
use support::{Peer, builder, connect, connect_with, failure};
use tokio::net::UnixStream;
use virtwire::proto::connection::{CallId, CloseReason, Keepalive, ServerEvent};
use virtwire::proto::program::{Call, remote};
use virtwire::{CallOptions, Connection, Error};

fn lib_version(version: u64) -> remote::ConnectGetLibVersionRet {
    remote::ConnectGetLibVersionRet { lib_ver: version }
}

async fn ask(connection: Connection) -> virtwire::Result<u64> {
    Ok(connection.lib_version().await?.number())
}

fn args(size: usize) -> remote::DomainDefineXmlArgs {
    remote::DomainDefineXmlArgs { xml: vec![b'x'; size].into() }
}

async fn with_cap(max: usize) -> (Connection, Peer) {
    connect_with(builder().max_calls_in_flight(max)).await
}

#[tokio::test]
async fn replies_come_in_any_order() {
    let (connection, mut peer) = with_cap(10).await;
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(ask(connection.clone()))).collect();
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(peer.call_of::<remote::ConnectGetLibVersionArgs>().await.id);
    }
    // The tasks were spawned, and so called, in order.
    for (number, &id) in ids.iter().enumerate().rev() {
        peer.with(move |server| server.reply(id, &lib_version(number as u64)).unwrap()).await;
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number as u64);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing() {
    let (connection, mut peer) = with_cap(1).await;
    let first = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    // The second waits its turn here: dropped, it is never sent.
    let second = tokio::spawn(ask(connection.clone()));
    tokio::task::yield_now().await;
    second.abort();
    second.await.unwrap_err();
    first.abort();
    first.await.unwrap_err();
    // The first one's late answer is dropped, and makes room for the third.
    let third = tokio::spawn(ask(connection.clone()));
    peer.with(move |server| server.reply(id, &lib_version(1)).unwrap()).await;
    let id = peer.call().await.id;
    peer.with(move |server| server.reply(id, &lib_version(3)).unwrap()).await;
    assert_eq!(third.await.unwrap().unwrap(), 3);
    assert!(peer.try_event().is_none());
    assert!(format!("{:?}", connection).contains("close_reason: None"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_in_time_fails() {
    let (connection, mut peer) = connect_with(builder().call_timeout(Duration::from_secs(30))).await;
    let begin = tokio::time::Instant::now();
    let error = ask(connection.clone()).await.unwrap_err();
    assert_eq!(begin.elapsed().as_secs(), 30);
    assert_eq!(error.to_string(), "remote.connect_get_lib_version: no answer within 30s");
    // One that says otherwise, while another goes on.
    let other = tokio::spawn(ask(connection.clone()));
    let options = CallOptions::new().timeout(Duration::from_secs(2));
    let error = connection.call_with(&remote::ConnectGetHostnameArgs, options).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after, .. } if after.as_secs() == 2), "{error:?}");
    // The first, which nobody waits for any more, and the two.
    let mut calls = vec![peer.call().await, peer.call().await, peer.call().await];
    calls.retain(|call| call.procedure == remote::ConnectGetLibVersionArgs::PROCEDURE);
    assert_eq!(calls.len(), 2);
    let id = calls[1].id;
    peer.with(move |server| server.reply(id, &lib_version(7)).unwrap()).await;
    assert_eq!(other.await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn errors_name_the_call_and_keep_all_they_say() {
    let (connection, mut peer) = connect().await;
    let call = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    peer.with(move |server| server.reply_error(id, &failure(9_999, 77, "odd: %s", "very")).unwrap()).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "remote.connect_get_lib_version: odd: very (error 9999 of 77)");
    let libvirt = error.libvirt().unwrap();
    assert_eq!(
        (libvirt.str1.as_ref().unwrap(), libvirt.str2.as_ref().unwrap()),
        (&"odd: %s".into(), &"very".into())
    );

    // A reply that is none.
    let call = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    peer.with(move |server| server.reply(id, &1_i32).unwrap()).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");

    // An unknown procedure is an older daemon.
    let call = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    peer.with(move |server| server.reply_error(id, &failure(39, 7, "%s", "unknown procedure: 157")).unwrap())
        .await;
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("it came with libvirt 0.7.3"), "{error}");
}

#[tokio::test]
async fn a_peer_that_dies_fails_all_that_is_pending_at_once() {
    let (connection, mut peer) = with_cap(60).await;
    let calls: Vec<_> = (0..100).map(|_| tokio::spawn(ask(connection.clone()))).collect();
    for _ in 0..60 {
        peer.call().await;
    }
    peer.die().await;
    for call in calls {
        match call.await.unwrap().unwrap_err() {
            Error::Closed { procedure: Some(procedure), reason: CloseReason::Peer } => {
                assert_eq!(procedure, remote::ConnectGetLibVersionArgs::PROCEDURE);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(connection.closed().await, CloseReason::Peer);
    // And so does what comes after.
    assert!(ask(connection).await.unwrap_err().is_closed());
}

#[tokio::test]
async fn an_answer_that_came_before_the_end_is_not_lost() {
    let (connection, mut peer) = connect().await;
    let call = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    peer.with(move |server| server.reply(id, &lib_version(5)).unwrap()).await;
    peer.die().await;
    assert_eq!(call.await.unwrap().unwrap(), 5);
    assert_eq!(connection.closed().await, CloseReason::Peer);
}

#[tokio::test]
async fn garbage_ends_the_connection_and_says_what_came() {
    use tokio::io::AsyncWriteExt;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let opening = tokio::spawn(builder().open_on(ours));
    theirs.write_all(&[0, 0, 0, 3, 1, 2, 3]).await.unwrap();
    let error = opening.await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("expected a packet's length of 28 to 33554436 bytes, got 3"),
        "{error}"
    );
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_socket() {
    let (connection, mut peer) = connect().await;
    let clone = connection.clone();
    let domain = clone.domain(remote::NonnullDomain::default());
    drop(connection);
    drop(clone);
    let call = tokio::spawn(async move {
        domain.suspend().await.unwrap();
        domain
    });
    // What came from the connection keeps it.
    let id = peer.call().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    drop(call.await.unwrap());
    peer.closed().await;
}

#[tokio::test]
async fn closing_takes_leave_and_fails_the_rest() {
    let (connection, mut peer) = connect().await;
    let pending = tokio::spawn(ask(connection.clone()));
    peer.call_of::<remote::ConnectGetLibVersionArgs>().await;
    let closing = tokio::spawn(connection.close());
    let unregistered = peer.call_of::<remote::ConnectUnregisterCloseCallbackArgs>().await.id;
    peer.with(move |server| server.reply(unregistered, &()).unwrap()).await;
    let closed = peer.call_of::<remote::ConnectCloseArgs>().await.id;
    peer.with(move |server| server.reply(closed, &()).unwrap()).await;
    closing.await.unwrap().unwrap();
    let error = pending.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { reason: CloseReason::Local, .. }), "{error:?}");
    peer.closed().await;
}

#[tokio::test]
async fn a_daemon_that_closes_in_place_of_an_answer_to_that_has_closed() {
    let (connection, mut peer) = connect().await;
    let closing = tokio::spawn(connection.close());
    let unregistered = peer.call_of::<remote::ConnectUnregisterCloseCallbackArgs>().await.id;
    peer.with(move |server| server.reply(unregistered, &()).unwrap()).await;
    peer.call_of::<remote::ConnectCloseArgs>().await;
    peer.die().await;
    closing.await.unwrap().unwrap();

    // One that goes before it was asked to has not been taken leave of.
    let (connection, mut peer) = connect().await;
    let closing = tokio::spawn(connection.close());
    peer.call_of::<remote::ConnectUnregisterCloseCallbackArgs>().await;
    peer.die().await;
    assert!(closing.await.unwrap().unwrap_err().is_closed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn large_calls_of_two_tasks_never_interleave() {
    const SIZE: usize = 3 << 20;
    let (connection, mut peer) = connect().await;
    let calls: Vec<_> = (0..2)
        .map(|number| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let xml = vec![b'a' + number; SIZE];
                connection.call(&remote::DomainDefineXmlArgs { xml: xml.into() }).await
            })
        })
        .collect();
    for _ in 0..2 {
        let call = peer.call_of::<remote::DomainDefineXmlArgs>().await;
        let xml = call.args::<remote::DomainDefineXmlArgs>().unwrap().xml;
        let first = xml.as_bytes()[0];
        assert_eq!(xml.len(), SIZE);
        assert!(xml.as_bytes().iter().all(|&byte| byte == first));
        let dom = remote::NonnullDomain { name: vec![first].into(), ..Default::default() };
        peer.with(move |server| server.reply(call.id, &remote::DomainDefineXmlRet { dom }).unwrap()).await;
    }
    for (number, call) in calls.into_iter().enumerate() {
        let name = call.await.unwrap().unwrap().dom.name;
        assert_eq!(name.as_bytes(), [b'a' + number as u8]);
    }
}

#[tokio::test]
async fn a_reply_of_nearly_32_mib_is_taken() {
    let (connection, mut peer) = connect().await;
    let call = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection.call_raw(remote::ConnectGetCapabilitiesArgs::PROCEDURE, &[], CallOptions::new()).await
        }
    });
    let id = peer.call().await.id;
    // As much as a packet takes: opaque words of four bytes.
    const LEN: usize = virtwire::proto::packet::MAX_PAYLOAD_LEN;
    peer.with(move |server| server.reply(id, &Filler(LEN)).unwrap()).await;
    let payload = call.await.unwrap().unwrap().payload;
    assert_eq!(payload.len(), LEN);
    assert!(payload.chunks(4).enumerate().all(|(number, word)| word == (number as u32).to_be_bytes()));
    // And the connection goes on.
    let call = tokio::spawn(ask(connection));
    let id = peer.call().await.id;
    peer.with(move |server| server.reply(id, &lib_version(1)).unwrap()).await;
    assert_eq!(call.await.unwrap().unwrap(), 1);
}

/// This many bytes of numbered words.
#[derive(Default)]
struct Filler(usize);

impl virtwire::proto::xdr::Xdr for Filler {
    const MIN_LEN: usize = 0;
    fn encode(
        &self,
        writer: &mut virtwire::proto::xdr::Writer<'_>,
    ) -> Result<(), virtwire::proto::xdr::EncodeError> {
        (0..self.0 / 4).for_each(|number| writer.put_uint(number as u32));
        Ok(())
    }
    fn decode_into(
        &mut self,
        _: &mut virtwire::proto::xdr::Reader<'_>,
    ) -> Result<(), virtwire::proto::xdr::DecodeError> {
        unreachable!("it is only sent")
    }
}

#[tokio::test]
async fn an_argument_over_its_maximum_is_refused_before_it_is_sent() {
    let (connection, mut peer) = connect().await;
    let error = connection.call(&args((4 << 20) + 1)).await.unwrap_err();
    assert!(matches!(error, Error::Argument(_)), "{error:?}");
    assert!(error.to_string().contains("remote.domain_define_xml"), "{error}");
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn no_more_calls_are_sent_than_the_cap_allows() {
    let (connection, mut peer) = with_cap(5).await;
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(ask(connection.clone()))).collect();
    let mut open: Vec<CallId> = Vec::new();
    let mut seen = 0;
    while seen < 50 || !open.is_empty() {
        while open.len() < 5 && seen < 50 {
            open.push(peer.call().await.id);
            seen += 1;
        }
        // Time enough for a sixth to arrive.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(peer.try_event().is_none(), "{} calls are in flight", open.len() + 1);
        let id = open.remove(open.len() / 2);
        peer.with(move |server| server.reply(id, &lib_version(1)).unwrap()).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_counts_as_dead() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start(theirs);
    let opening = Connection::builder("test:///scripted").keepalive(Duration::from_secs(5), 5);
    let connection = opening.open_on(ours).await.unwrap();
    let call = tokio::spawn(ask(connection.clone()));
    peer.call().await;
    // The state machine answers PINGs: time passes and it lives.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(connection.is_alive());
    // From here on nobody answers.
    peer.freeze().await;
    let stopped = tokio::time::Instant::now();
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::Closed { reason: CloseReason::Keepalive { unanswered: 5, .. }, .. }),
        "{error:?}"
    );
    let elapsed = stopped.elapsed().as_secs();
    assert!((25..=35).contains(&elapsed), "{elapsed} s");
    assert_eq!(Keepalive::default().count, 5);
}

#[tokio::test]
async fn a_ping_is_answered_whatever_goes_on() {
    let (connection, mut peer) = connect().await;
    let call = tokio::spawn(ask(connection.clone()));
    let id = peer.call().await.id;
    peer.with(|server| {
        let settings = Keepalive { interval: Duration::from_secs(1), count: 1 };
        server.start_keepalive(settings, virtwire::proto::connection::Time::START);
        let later = |seconds| virtwire::proto::connection::Time::since_start(Duration::from_secs(seconds));
        server.timeout(later(1));
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Its answer was heard, so this is the time for another PING rather than for the end.
    peer.with(|server| {
        server.timeout(virtwire::proto::connection::Time::since_start(Duration::from_secs(2)));
        assert_eq!(server.close_reason(), None);
    })
    .await;
    peer.with(move |server| server.reply(id, &lib_version(1)).unwrap()).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_that_nobody_asked_for_is_given_up() {
    let (connection, mut peer) = connect().await;
    let args = remote::StorageVolDownloadArgs::default();
    let call = tokio::spawn(async move { connection.call(&args).await.map(|()| connection) });
    let id = peer.call().await.id;
    peer.with(move |server| {
        server.reply(id, &()).unwrap();
        server.send(id, Bytes::from_static(b"data")).unwrap();
    })
    .await;
    call.await.unwrap().unwrap();
    assert!(matches!(peer.event().await, ServerEvent::Stream { .. }));
}

#[test]
fn a_runtime_that_ends_fails_what_waits() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (connection, peer) = runtime.block_on(connect());
    drop(runtime);
    drop(peer);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = other.block_on(ask(connection)).unwrap_err();
    assert!(error.to_string().contains("the runtime that drove the connection has ended"), "{error}");
}
