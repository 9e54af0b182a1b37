//! Whatever happens, nobody waits for what cannot come any more.

use crate::support::{Peer, builder, connect, connect_with};
use bytes::Bytes;
use std::time::Duration;
use tokio::task::JoinHandle;
use virtwire::proto::connection::Server;
use virtwire::proto::enums::{DomainEventId, DomainEventType};
use virtwire::proto::program::remote;
use virtwire::{CallOptions, Connection, DomainEvent, Error, Stream, Subscription};

/// A guard against hanging, no measure.
const PATIENCE: Duration = Duration::from_secs(60);

fn lifecycle(callback_id: i32) -> remote::DomainEventCallbackLifecycleMsg {
    let dom = remote::NonnullDomain { name: "demo".into(), ..Default::default() };
    let msg = remote::DomainEventLifecycleMsg { dom, event: DomainEventType::STARTED.0, detail: 0 };
    remote::DomainEventCallbackLifecycleMsg { callback_id, msg }
}

async fn subscribe(connection: &Connection, peer: &mut Peer) -> Subscription<DomainEvent> {
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events(DomainEventId::LIFECYCLE).await }
    });
    let id = peer.call_of::<remote::ConnectDomainEventCallbackRegisterAnyArgs>().await.id;
    let registered = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 1 };
    peer.with(move |server| server.reply(id, &registered).unwrap()).await;
    subscribing.await.unwrap().unwrap()
}

/// Naively, the reader hands an event to a handler that is in a call, whose answer the reader never comes to.
#[tokio::test]
async fn a_handler_that_calls_back_in_a_flood_of_events_is_answered() {
    let (connection, mut peer) = connect_with(builder().max_queued_events(8)).await;
    let mut events = subscribe(&connection, &mut peer).await;
    let handler = tokio::spawn(async move {
        let mut lost = 0;
        for _ in 0..20 {
            match events.next().await.expect("more") {
                Ok(DomainEvent::Lifecycle { domain, .. }) => domain.suspend().await?,
                Err(Error::Lagged(count)) => lost += count,
                other => panic!("{other:?}"),
            }
        }
        Ok::<_, Error>(lost)
    });
    let flood = |server: &mut Server| {
        for _ in 0..1000 {
            server.emit(&lifecycle(1)).unwrap();
        }
    };
    peer.with(flood).await;
    // The answer to each of its calls lies behind a thousand events that nobody has taken.
    while !handler.is_finished() {
        let event = tokio::time::timeout(Duration::from_millis(200), peer.call()).await;
        let Ok(call) = event else { continue };
        peer.with(move |server| {
            flood(server);
            server.reply(call.id, &()).unwrap();
        })
        .await;
    }
    assert!(handler.await.unwrap().unwrap() > 1000, "what was lost is told");
}

/// Naively, the reader's end is nobody's concern, or only that of calls.
#[tokio::test]
async fn a_daemon_that_dies_leaves_nobody_waiting() {
    let (connection, mut peer) = connect_with(builder().max_calls_in_flight(4)).await;
    let mut events = subscribe(&connection, &mut peer).await;
    let mut waiting: Vec<JoinHandle<Error>> =
        vec![tokio::spawn(async move { events.next().await.expect("its end").unwrap_err() })];
    let mut streams = Vec::new();
    for _ in 0..3 {
        let opening = tokio::spawn({
            let connection = connection.clone();
            let args = remote::DomainOpenConsoleArgs::default();
            async move { connection.open_stream(&args, CallOptions::new()).await }
        });
        let id = peer.call_of::<remote::DomainOpenConsoleArgs>().await.id;
        peer.with(move |server| server.reply(id, &()).unwrap()).await;
        streams.push(opening.await.unwrap().unwrap().1);
    }
    peer.freeze().await;
    let [mut reading, mut writing, finishing] = <[Stream; 3]>::try_from(streams).expect("three");
    waiting.push(tokio::spawn(async move { reading.receive().await.unwrap_err() }));
    waiting.push(tokio::spawn(async move {
        // Until there is no room any more.
        loop {
            if let Err(error) = writing.send(Bytes::from(vec![0; 1 << 20])).await {
                break error;
            }
        }
    }));
    waiting.push(tokio::spawn(async move { finishing.finish().await.unwrap_err() }));
    for _ in 0..100 {
        // 4 of them are sent, the others wait here.
        let connection = connection.clone();
        waiting.push(tokio::spawn(async move { connection.hostname().await.unwrap_err() }));
    }
    let told = tokio::spawn({
        let connection = connection.clone();
        async move { connection.closed().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    peer.die().await;
    let all = async {
        for waiter in waiting {
            let error = waiter.await.unwrap();
            assert!(error.is_closed(), "{error:?}");
        }
        told.await.unwrap();
    };
    tokio::time::timeout(PATIENCE, all).await.expect("nobody waits");
    assert!(connection.hostname().await.unwrap_err().is_closed());
}

/// Naively, an event is taken for the answer that a call waits for.
#[tokio::test]
async fn an_event_between_a_call_and_its_reply_is_no_reply() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer).await;
    for _ in 0..10 {
        let call = tokio::spawn({
            let connection = connection.clone();
            async move { connection.hostname().await }
        });
        let id = peer.call_of::<remote::ConnectGetHostnameArgs>().await.id;
        peer.with(move |server| {
            server.emit(&lifecycle(1)).unwrap();
            server.reply(id, &remote::ConnectGetHostnameRet { hostname: "here".into() }).unwrap();
        })
        .await;
        assert_eq!(call.await.unwrap().unwrap(), "here");
        assert!(matches!(events.next().await, Some(Ok(DomainEvent::Lifecycle { .. }))));
    }
}
