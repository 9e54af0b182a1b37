//! Events: none lost without saying so, nobody held up.

mod support;

use std::time::Duration;
use support::{Peer, builder, connect, connect_with};
use virtwire::proto::enums::{DomainEventId, DomainEventType};
use virtwire::proto::program::remote;
use virtwire::{Connection, DomainEvent, Error, Subscription};

type Register = remote::ConnectDomainEventCallbackRegisterAnyArgs;

fn lifecycle(callback_id: i32, detail: i32) -> remote::DomainEventCallbackLifecycleMsg {
    let dom = remote::NonnullDomain { name: "demo".into(), ..Default::default() };
    let msg = remote::DomainEventLifecycleMsg { dom, event: DomainEventType::STARTED.0, detail };
    remote::DomainEventCallbackLifecycleMsg { callback_id, msg }
}

/// Subscribes, with `before` events that overtake the registration's reply.
async fn subscribe(
    connection: &Connection,
    peer: &mut Peer,
    callback_id: i32,
    before: i32,
) -> Subscription<DomainEvent> {
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        // Each of another kind: equal ones would share one registration.
        async move { connection.domain_events(DomainEventId(callback_id)).await }
    });
    let id = peer.call_of::<Register>().await.id;
    peer.with(move |server| {
        for detail in 0..before {
            server.emit(&lifecycle(callback_id, detail)).unwrap();
        }
        server.reply(id, &remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id }).unwrap();
    })
    .await;
    subscribing.await.unwrap().unwrap()
}

async fn detail(events: &mut Subscription<DomainEvent>) -> i32 {
    match events.next().await {
        Some(Ok(DomainEvent::Lifecycle { detail, .. })) => detail.code(),
        other => panic!("{other:?}"),
    }
}

async fn answer_version(connection: &Connection, peer: &mut Peer) {
    let call = tokio::spawn({
        let connection = connection.clone();
        async move { connection.lib_version().await }
    });
    let id = peer.call_of::<remote::ConnectGetLibVersionArgs>().await.id;
    peer.with(move |server| server.reply(id, &remote::ConnectGetLibVersionRet { lib_ver: 1 }).unwrap()).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn events_that_overtake_the_registrations_reply_are_not_lost() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer, 4, 3).await;
    peer.with(|server| server.emit(&lifecycle(4, 3)).unwrap()).await;
    for expected in 0..4 {
        assert_eq!(detail(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_slow_consumer_loses_its_oldest_events_and_is_told() {
    let (connection, mut peer) = connect_with(builder().max_queued_events(10)).await;
    let mut slow = subscribe(&connection, &mut peer, 1, 0).await;
    let mut fast = subscribe(&connection, &mut peer, 2, 0).await;
    for number in 0..25 {
        peer.with(move |server| {
            server.emit(&lifecycle(1, number)).unwrap();
            server.emit(&lifecycle(2, number)).unwrap();
        })
        .await;
        assert_eq!(detail(&mut fast).await, number);
    }
    // Nobody is held up.
    answer_version(&connection, &mut peer).await;
    assert!(matches!(slow.next().await, Some(Err(Error::Lagged(15)))));
    for expected in 15..25 {
        assert_eq!(detail(&mut slow).await, expected);
    }
    // And it goes on.
    peer.with(|server| server.emit(&lifecycle(1, 100)).unwrap()).await;
    assert_eq!(detail(&mut slow).await, 100);
}

#[tokio::test]
async fn unsubscribing_during_an_event_storm_holds_up_nobody() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer, 7, 0).await;
    let storm = |from: i32| {
        move |server: &mut virtwire::proto::connection::Server| {
            (from..from + 500).for_each(|number| server.emit(&lifecycle(7, number)).unwrap());
        }
    };
    peer.with(storm(0)).await;
    assert_eq!(detail(&mut events).await, 0);
    drop(events);
    peer.with(storm(500)).await;
    let call = peer.call_of::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().await;
    let args = call.args::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().unwrap();
    assert_eq!(args.callback_id, 7);
    peer.with(move |server| server.reply(call.id, &()).unwrap()).await;
    answer_version(&connection, &mut peer).await;
}

#[tokio::test]
async fn a_registration_that_is_dropped_is_undone() {
    let (connection, mut peer) = connect().await;
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events(DomainEventId::LIFECYCLE).await }
    });
    let id = peer.call_of::<Register>().await.id;
    subscribing.abort();
    subscribing.await.unwrap_err();
    let reply = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 3 };
    peer.with(move |server| server.reply(id, &reply).unwrap()).await;
    let call = peer.call_of::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().await;
    assert_eq!(call.args::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().unwrap().callback_id, 3);
}

#[tokio::test]
async fn registrations_that_are_dropped_half_way_are_all_undone() {
    let (connection, mut peer) = connect().await;
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events([DomainEventId::LIFECYCLE, DomainEventId::REBOOT]).await }
    });
    let first = peer.call_of::<Register>().await.id;
    let second = peer.call_of::<Register>().await.id;
    peer.with(move |server| {
        server.reply(first, &remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 5 }).unwrap();
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    subscribing.abort();
    assert!(subscribing.await.unwrap_err().is_cancelled());
    peer.with(move |server| {
        server.reply(second, &remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 6 }).unwrap();
    })
    .await;
    for callback_id in [5, 6] {
        let call = peer.call_of::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().await;
        let args = call.args::<remote::ConnectDomainEventCallbackDeregisterAnyArgs>().unwrap();
        assert_eq!(args.callback_id, callback_id);
    }
}

#[tokio::test]
async fn what_is_lost_while_several_are_registered_for_counts_once() {
    let (connection, mut peer) = connect_with(builder().max_queued_events(5_000)).await;
    let subscribing = tokio::spawn(async move {
        let ids = [DomainEventId::LIFECYCLE, DomainEventId::REBOOT, DomainEventId::WATCHDOG];
        connection.domain_events(ids).await
    });
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(peer.call_of::<Register>().await.id);
    }
    // More than are kept for registrations that are not answered.
    peer.with(move |server| {
        (0..1_030).for_each(|number| server.emit(&lifecycle(50, number)).unwrap());
        for (id, callback_id) in ids.into_iter().zip(50..) {
            server.reply(id, &remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id }).unwrap();
        }
    })
    .await;
    let mut events = subscribing.await.unwrap().unwrap();
    assert!(matches!(events.next().await, Some(Err(Error::Lagged(6)))));
    for expected in 6..1_030 {
        assert_eq!(detail(&mut events).await, expected);
    }
}

#[tokio::test]
async fn a_handler_may_call_anything() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer, 1, 1).await;
    let handler = tokio::spawn(async move {
        match events.next().await {
            Some(Ok(DomainEvent::Lifecycle { domain, .. })) => domain.suspend().await,
            other => panic!("{other:?}"),
        }
    });
    let id = peer.call_of::<remote::DomainSuspendArgs>().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    handler.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection_and_says_why() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer, 1, 0).await;
    peer.with(|server| server.emit(&lifecycle(1, 9)).unwrap()).await;
    peer.die().await;
    assert_eq!(detail(&mut events).await, 9);
    assert!(matches!(events.next().await, Some(Err(Error::Closed { .. }))));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_subscription_keeps_its_connection() {
    let (connection, mut peer) = connect().await;
    let mut events = subscribe(&connection, &mut peer, 1, 0).await;
    drop(connection);
    peer.with(|server| server.emit(&lifecycle(1, 9)).unwrap()).await;
    assert_eq!(detail(&mut events).await, 9);
    drop(events);
    peer.closed().await;
}

#[tokio::test]
async fn the_daemon_tells_that_its_hypervisor_is_gone() {
    let (connection, peer) = connect().await;
    assert_eq!(connection.hypervisor_close_reason(), None);
    peer.with(|server| server.emit(&remote::ConnectEventConnectionClosedMsg { reason: 1 }).unwrap()).await;
    while connection.hypervisor_close_reason().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let reason = connection.hypervisor_close_reason();
    assert_eq!(reason, Some(virtwire::proto::enums::CloseReason::EOF));
}
