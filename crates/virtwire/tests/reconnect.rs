//! A connection that outlasts its links: what fails, what waits, what is made again, and what is told of it.

mod support;

use std::io::{Error as IoError, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::{Peer, builder, failure};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use virtwire::enums::{DomainEventId, DomainEventType};
use virtwire::proto::connection::{Authentication, CloseReason, ServerEvent};
use virtwire::proto::program::{Call, remote};
use virtwire::{
    Builder, CallOptions, Connection, DomainEvent, Error, Gap, LinkEvent, Reconnect, Subscription,
};

type Register = remote::ConnectDomainEventCallbackRegisterAnyArgs;
type Deregister = remote::ConnectDomainEventCallbackDeregisterAnyArgs;
type Version = remote::ConnectGetLibVersionArgs;

/// Where clients connect: a new peer for each that comes, unless none are let in.
struct Host {
    peers: mpsc::UnboundedReceiver<Peer>,
    down: Arc<AtomicBool>,
    attempts: Arc<AtomicUsize>,
}

fn quick() -> Reconnect {
    Reconnect::new().initial_delay(Duration::from_millis(1)).max_delay(Duration::from_millis(20))
}

async fn host(builder: Builder) -> (Connection, Peer, Host) {
    host_asking(builder, || Authentication::None).await
}

async fn host_asking(
    builder: Builder,
    ask: impl Fn() -> Authentication + Send + Sync + 'static,
) -> (Connection, Peer, Host) {
    let (arrived, peers) = mpsc::unbounded_channel();
    let (down, attempts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut host = Host { peers, down: Arc::clone(&down), attempts: Arc::clone(&attempts) };
    let connect = move || {
        attempts.fetch_add(1, Ordering::SeqCst);
        let connected = if down.load(Ordering::SeqCst) {
            Err(IoError::from(ErrorKind::ConnectionRefused))
        } else {
            let (ours, theirs) = UnixStream::pair().unwrap();
            arrived.send(Peer::start_asking(theirs, ask())).ok();
            Ok(ours)
        };
        std::future::ready(connected)
    };
    let connection = builder.open_with_unix(connect).await.unwrap();
    let peer = host.peer().await;
    (connection, peer, host)
}

impl Host {
    /// The next one that a client has connected to.
    async fn peer(&mut self) -> Peer {
        tokio::time::timeout(Duration::from_secs(60), self.peers.recv())
            .await
            .expect("in time")
            .expect("more")
    }

    fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    async fn attempted(&self, count: usize) {
        while self.attempts() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn ask(connection: &Connection) -> JoinHandle<virtwire::Result<u64>> {
    let connection = connection.clone();
    tokio::spawn(async move { Ok(connection.lib_version().await?.number()) })
}

async fn answer(peer: &mut Peer, lib_ver: u64) {
    let id = peer.call_of::<Version>().await.id;
    peer.with(move |server| server.reply(id, &remote::ConnectGetLibVersionRet { lib_ver }).unwrap()).await;
}

/// Lets the client register, and says for what it does.
async fn admit(peer: &mut Peer, callback_id: i32) -> Register {
    let call = peer.call_of::<Register>().await;
    let args = call.args::<Register>().unwrap();
    let ret = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id };
    peer.with(move |server| server.reply(call.id, &ret).unwrap()).await;
    args
}

fn subscribe(
    connection: &Connection,
    id: DomainEventId,
) -> JoinHandle<virtwire::Result<Subscription<DomainEvent>>> {
    let connection = connection.clone();
    tokio::spawn(async move { connection.domain_events(id).await })
}

async fn subscription(
    connection: &Connection,
    peer: &mut Peer,
    id: DomainEventId,
    callback_id: i32,
) -> Subscription<DomainEvent> {
    let subscribing = subscribe(connection, id);
    admit(peer, callback_id).await;
    subscribing.await.unwrap().unwrap()
}

fn lifecycle(callback_id: i32, detail: i32) -> remote::DomainEventCallbackLifecycleMsg {
    let dom = remote::NonnullDomain { name: "demo".into(), ..Default::default() };
    let msg = remote::DomainEventLifecycleMsg { dom, event: DomainEventType::STARTED.0, detail };
    remote::DomainEventCallbackLifecycleMsg { callback_id, msg }
}

async fn emit(peer: &Peer, callback_id: i32, detail: i32) {
    peer.with(move |server| server.emit(&lifecycle(callback_id, detail)).unwrap()).await;
}

async fn item(events: &mut Subscription<DomainEvent>) -> Option<virtwire::Result<DomainEvent>> {
    tokio::time::timeout(Duration::from_secs(60), events.next()).await.expect("in time")
}

async fn detail(events: &mut Subscription<DomainEvent>) -> i32 {
    match item(events).await {
        Some(Ok(DomainEvent::Lifecycle { detail, .. })) => detail.code(),
        other => panic!("expected an event, got {other:?}"),
    }
}

async fn gap(events: &mut Subscription<DomainEvent>) -> Gap {
    match item(events).await {
        Some(Err(Error::Gap(gap))) => gap,
        other => panic!("expected a gap, got {other:?}"),
    }
}

fn assert_lost(error: Error) {
    assert!(matches!(error, Error::Closed { reason: CloseReason::Peer, .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_daemon_had_fails_and_what_is_asked_meanwhile_waits() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let domain = {
        let looking = tokio::spawn({
            let connection = connection.clone();
            async move { connection.domain_lookup_by_name("demo").await }
        });
        let id = peer.call_of::<remote::DomainLookupByNameArgs>().await.id;
        let dom = remote::NonnullDomain { name: "demo".into(), ..Default::default() };
        peer.with(move |server| server.reply(id, &remote::DomainLookupByNameRet { dom }).unwrap()).await;
        looking.await.unwrap().unwrap()
    };
    let in_flight = ask(&connection);
    peer.call_of::<Version>().await;
    host.down(true);
    peer.die().await;
    assert_lost(in_flight.await.unwrap().unwrap_err());
    assert!(!connection.is_linked());
    assert!(connection.is_alive());
    assert_eq!((connection.close_reason(), connection.reconnects()), (None, 0));

    let before = host.attempts();
    let waiting = ask(&connection);
    // On an object as well as on the connection.
    let of_object = tokio::spawn(async move { domain.suspend().await });
    host.attempted(before + 3).await;
    assert!(!waiting.is_finished() && !of_object.is_finished());
    host.down(false);
    let mut peer = host.peer().await;
    answer(&mut peer, 7).await;
    let id = peer.call_of::<remote::DomainSuspendArgs>().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 7);
    of_object.await.unwrap().unwrap();
    assert!(connection.is_linked());
    assert_eq!(connection.reconnects(), 1);
    // The call that was lost was not sent again.
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn calls_that_were_not_sent_yet_are_not_lost() {
    let (connection, mut peer, mut host) = host(builder().max_calls_in_flight(1).reconnect(quick())).await;
    let calls: Vec<_> = (0..3)
        .map(|number| {
            let connection = connection.clone();
            let args = remote::DomainLookupByIdArgs { id: number };
            tokio::spawn(async move { connection.call(&args).await })
        })
        .collect();
    let first = peer.call_of::<remote::DomainLookupByIdArgs>().await;
    let first = first.args::<remote::DomainLookupByIdArgs>().unwrap().id;
    tokio::time::sleep(Duration::from_millis(5)).await;
    peer.die().await;
    let mut peer = host.peer().await;
    for _ in 0..2 {
        let call = peer.call_of::<remote::DomainLookupByIdArgs>().await;
        let id = call.args::<remote::DomainLookupByIdArgs>().unwrap().id;
        assert_ne!(id, first);
        let dom = remote::NonnullDomain { id, ..Default::default() };
        peer.with(move |server| server.reply(call.id, &remote::DomainLookupByIdRet { dom }).unwrap()).await;
    }
    for (number, call) in calls.into_iter().enumerate() {
        match call.await.unwrap() {
            Ok(reply) => assert_eq!(reply.dom.id, number as i32),
            Err(error) => {
                assert_eq!(number as i32, first);
                assert_lost(error);
            }
        }
    }
}

#[tokio::test]
async fn subscriptions_live_on_and_are_told_of_the_gap_at_its_place() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let mut events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 3).await;
    emit(&peer, 3, 1).await;
    emit(&peer, 3, 2).await;
    answer_one(&connection, &mut peer).await;
    peer.die().await;
    while connection.is_linked() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let call = ask(&connection);
    let mut peer = host.peer().await;
    // The registration comes first, and the call only behind its answer.
    let registration = peer.call_of::<Register>().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(peer.try_event().is_none());
    // An event that overtakes the answer belongs behind the gap.
    emit(&peer, 8, 3).await;
    let ret = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 8 };
    peer.with(move |server| server.reply(registration.id, &ret).unwrap()).await;
    emit(&peer, 8, 4).await;
    answer(&mut peer, 1).await;
    call.await.unwrap().unwrap();

    assert_eq!(detail(&mut events).await, 1);
    assert_eq!(detail(&mut events).await, 2);
    let gap = gap(&mut events).await;
    assert_eq!((gap.reason, gap.reopening), (CloseReason::Peer, 1));
    assert!(gap.lost_at.elapsed().unwrap() >= gap.outage);
    assert_eq!(detail(&mut events).await, 3);
    assert_eq!(detail(&mut events).await, 4);
    // With it dropped, its registration on the new link is undone.
    drop(events);
    let call = peer.call_of::<Deregister>().await;
    assert_eq!(call.args::<Deregister>().unwrap().callback_id, 8);
}

async fn answer_one(connection: &Connection, peer: &mut Peer) {
    let call = ask(connection);
    answer(peer, 1).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_registration_is_made_again_with_its_filter_and_no_other_is() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let dom = remote::NonnullDomain { name: "demo".into(), uuid: virtwire::Uuid::from_bytes([7; 16]), id: 4 };
    let filtered = Register { event_id: DomainEventId::REBOOT.0, dom: Some(dom) };
    let subscribing = tokio::spawn({
        let (connection, filtered) = (connection.clone(), filtered.clone());
        async move { connection.subscribe::<_, remote::DomainEventCallbackRebootMsg>(&filtered).await }
    });
    assert_eq!(admit(&mut peer, 1).await, filtered);
    let of_one = subscribing.await.unwrap().unwrap();
    // One that ends before the loss, one while there is no link, and one that goes on.
    drop(subscription(&connection, &mut peer, DomainEventId::WATCHDOG, 2).await);
    let id = peer.call_of::<Deregister>().await.id;
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    let meanwhile = subscription(&connection, &mut peer, DomainEventId::IO_ERROR, 3).await;
    host.down(true);
    let attempts = host.attempts();
    peer.die().await;
    host.attempted(attempts + 1).await;
    drop(meanwhile);
    host.down(false);
    let mut peer = host.peer().await;
    assert_eq!(admit(&mut peer, 1).await, filtered);
    answer_one(&connection, &mut peer).await;
    assert!(peer.try_event().is_none());
    drop(of_one);
}

#[tokio::test]
async fn several_kinds_of_one_subscription_have_one_gap() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events([DomainEventId::LIFECYCLE, DomainEventId::REBOOT]).await }
    });
    admit(&mut peer, 1).await;
    admit(&mut peer, 2).await;
    let mut events = subscribing.await.unwrap().unwrap();
    for reopening in 1..=3 {
        peer.die().await;
        peer = host.peer().await;
        admit(&mut peer, 11).await;
        admit(&mut peer, 12).await;
        emit(&peer, 11, 5).await;
        assert_eq!(gap(&mut events).await.reopening, reopening);
        assert_eq!(detail(&mut events).await, 5);
    }
}

#[tokio::test]
async fn a_registration_that_was_on_its_way_fails_and_leaves_nothing() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let subscribing = subscribe(&connection, DomainEventId::LIFECYCLE);
    peer.call_of::<Register>().await;
    peer.die().await;
    assert_lost(subscribing.await.unwrap().unwrap_err());
    let mut peer = host.peer().await;
    answer_one(&connection, &mut peer).await;
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn a_registration_without_a_link_is_made_on_the_next() {
    let (connection, peer, mut host) = host(builder().reconnect(quick())).await;
    host.down(true);
    let attempts = host.attempts();
    peer.die().await;
    host.attempted(attempts + 1).await;
    let subscribing = subscribe(&connection, DomainEventId::LIFECYCLE);
    let given_up = subscribe(&connection, DomainEventId::REBOOT);
    host.attempted(host.attempts() + 1).await;
    given_up.abort();
    assert!(given_up.await.is_err());
    host.down(false);
    let mut peer = host.peer().await;
    assert_eq!(admit(&mut peer, 5).await.event_id, DomainEventId::LIFECYCLE.0);
    let mut events = subscribing.await.unwrap().unwrap();
    emit(&peer, 5, 6).await;
    // It misses nothing.
    assert_eq!(detail(&mut events).await, 6);
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn a_subscription_that_is_dropped_while_it_is_registered_again_is_undone() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    peer.die().await;
    let mut peer = host.peer().await;
    let registration = peer.call_of::<Register>().await;
    drop(events);
    // Nothing waits for its answer any more.
    answer_one(&connection, &mut peer).await;
    let ret = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id: 4 };
    peer.with(move |server| server.reply(registration.id, &ret).unwrap()).await;
    let call = peer.call_of::<Deregister>().await;
    assert_eq!(call.args::<Deregister>().unwrap().callback_id, 4);
}

#[tokio::test]
async fn a_registration_that_is_refused_now_ends_its_subscription_alone() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let mut refused = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    let mut admitted = subscription(&connection, &mut peer, DomainEventId::REBOOT, 2).await;
    emit(&peer, 1, 9).await;
    answer_one(&connection, &mut peer).await;
    peer.die().await;
    let mut peer = host.peer().await;
    let registration = peer.call_of::<Register>().await.id;
    peer.with(move |server| {
        let error = failure(42, 10, "Domain not found: %s", "demo");
        server.reply_error(registration, &error).unwrap();
    })
    .await;
    admit(&mut peer, 2).await;
    emit(&peer, 2, 3).await;
    gap(&mut admitted).await;
    assert_eq!(detail(&mut admitted).await, 3);

    assert_eq!(detail(&mut refused).await, 9);
    match item(&mut refused).await {
        Some(Err(error)) => assert!(error.is_no_domain(), "{error:?}"),
        other => panic!("expected the refusal, got {other:?}"),
    }
    assert!(item(&mut refused).await.is_none());
    answer_one(&connection, &mut peer).await;
    // And it is not asked for again.
    peer.die().await;
    let mut peer = host.peer().await;
    admit(&mut peer, 2).await;
    answer_one(&connection, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_while_there_is_no_link() {
    let (connection, peer, host) = host(builder().reconnect(quick())).await;
    host.down(true);
    let attempts = host.attempts();
    peer.die().await;
    host.attempted(attempts + 1).await;
    let began = tokio::time::Instant::now();
    let options = CallOptions::new().timeout(Duration::from_secs(3));
    let error = connection.call_with(&Version {}, options).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 3);
    // By a handle of one's own, on objects too, and for streams and subscriptions.
    let patient = connection.with_call_timeout(Duration::from_secs(5));
    let error = patient.domain_lookup_by_name("demo").await.unwrap_err();
    assert!(matches!(error, Error::Timeout { after, .. } if after.as_secs() == 5), "{error:?}");
    let download = remote::StorageVolDownloadArgs::default();
    let error = patient.open_stream(&download, CallOptions::new()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let error = patient.domain_events(DomainEventId::LIFECYCLE).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 3 + 5 + 5 + 5);
}

#[tokio::test]
async fn a_call_that_is_given_up_while_it_waits_is_never_sent() {
    let (connection, peer, mut host) = host(builder().reconnect(quick())).await;
    host.down(true);
    let attempts = host.attempts();
    peer.die().await;
    host.attempted(attempts + 1).await;
    let given_up = tokio::time::timeout(Duration::from_millis(10), connection.hostname()).await;
    assert!(given_up.is_err());
    host.down(false);
    let mut peer = host.peer().await;
    answer_one(&connection, &mut peer).await;
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn attempts_that_are_used_up_end_it_with_the_reason() {
    let settings = quick().max_attempts(3);
    let (connection, mut peer, host) = host(builder().reconnect(settings)).await;
    let mut events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    let mut changes = connection.link_events();
    let closed = tokio::spawn({
        let connection = connection.clone();
        async move { connection.closed().await }
    });
    host.down(true);
    let before = host.attempts();
    peer.die().await;
    let waiting = ask(&connection);
    let reason = closed.await.unwrap().to_string();
    assert!(reason.contains("the peer closed the connection; 3 attempts"), "{reason}");
    assert!(reason.contains("refused"), "{reason}");
    assert_eq!(host.attempts() - before, 3);
    assert!(waiting.await.unwrap().unwrap_err().is_closed());
    match item(&mut events).await {
        Some(Err(Error::Closed { reason: why, .. })) => assert_eq!(why.to_string(), reason),
        other => panic!("expected the end, got {other:?}"),
    }
    assert!(!connection.is_alive() && !connection.is_linked());
    assert!(ask(&connection).await.unwrap().unwrap_err().is_closed());

    assert!(matches!(changes.next().await, Some(LinkEvent::Lost { reason: CloseReason::Peer })));
    for number in 1..=3 {
        let Some(LinkEvent::Failed { attempt, retry_after, .. }) = changes.next().await else {
            panic!("each attempt is told")
        };
        assert_eq!((attempt, retry_after.is_some()), (number, number < 3));
    }
    assert!(changes.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_a_time() {
    let settings = Reconnect::new().give_up_after(Duration::from_secs(600));
    let (connection, peer, host) = host(builder().reconnect(settings)).await;
    host.down(true);
    let before = host.attempts();
    peer.die().await;
    let began = tokio::time::Instant::now();
    connection.closed().await;
    let elapsed = began.elapsed().as_secs();
    assert!((560..=600).contains(&elapsed), "{elapsed} s");
    // It backs off: with delays of 100 milliseconds there were 6 000.
    let attempts = host.attempts() - before;
    assert!((20..60).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(start_paused = true)]
async fn closing_stops_the_attempts_at_once() {
    let (connection, mut peer, host) = host(builder().reconnect(Reconnect::new())).await;
    let events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    host.down(true);
    let before = host.attempts();
    peer.die().await;
    host.attempted(before + 2).await;
    let waiting = ask(&connection);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = connection.clone();
    connection.close().await.unwrap();
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { reason: CloseReason::Local, .. }), "{error:?}");
    assert_eq!(other.close_reason(), Some(CloseReason::Local));
    let attempts = host.attempts();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(host.attempts(), attempts);
    drop(events);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_stops_the_attempts() {
    let (connection, mut peer, host) = host(builder().reconnect(Reconnect::new())).await;
    let events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    let mut changes = connection.link_events();
    host.down(true);
    let before = host.attempts();
    peer.die().await;
    host.attempted(before + 1).await;
    drop(connection);
    host.attempted(before + 3).await;
    // The subscription was the last.
    drop(events);
    let attempts = host.attempts();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(host.attempts(), attempts);
    while changes.next().await.is_some() {}
}

#[tokio::test]
async fn a_close_that_is_cut_off_does_not_open_again() {
    let (connection, mut peer, host) = host(builder().reconnect(quick())).await;
    let closing = tokio::spawn(connection.clone().close());
    peer.call_of::<remote::ConnectUnregisterCloseCallbackArgs>().await;
    let before = host.attempts();
    peer.die().await;
    assert_lost(closing.await.unwrap().unwrap_err());
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(host.attempts(), before);
    assert_eq!(connection.close_reason(), Some(CloseReason::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_hangs_while_it_is_opened_again_is_left() {
    // One that takes the connection and says nothing, one that stops in the middle of the opening, and one that does
    // not answer a registration.
    let (connection, mut peer, mut host) =
        host(builder().connect_timeout(Duration::from_secs(7)).reconnect(quick())).await;
    let mut events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    let mut changes = connection.link_events();
    peer.die().await;
    let began = tokio::time::Instant::now();
    let call = ask(&connection);
    let frozen = host.peer().await;
    frozen.freeze().await;
    let mut deaf = host.peer().await;
    deaf.call_of::<Register>().await;
    let mut peer = host.peer().await;
    assert!((14..16).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    // Those that were left are closed.
    deaf.closed().await;
    admit(&mut peer, 3).await;
    answer(&mut peer, 1).await;
    assert_eq!(call.await.unwrap().unwrap(), 1);
    assert_eq!(gap(&mut events).await.reopening, 1);
    assert!(matches!(changes.next().await, Some(LinkEvent::Lost { .. })));
    for _ in 0..2 {
        let Some(LinkEvent::Failed { error, .. }) = changes.next().await else { panic!("it has failed") };
        assert!(matches!(*error, Error::Timeout { .. }), "{error:?}");
    }
    assert!(matches!(changes.next().await, Some(LinkEvent::Restored { reopening: 1, .. })));
}

#[tokio::test]
async fn a_new_link_that_is_lost_while_it_is_opened_is_not_the_last() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let mut events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    let mut other = subscription(&connection, &mut peer, DomainEventId::REBOOT, 2).await;
    peer.die().await;
    let call = ask(&connection);
    // One of two registrations is answered, with an event, then it dies.
    let mut peer = host.peer().await;
    admit(&mut peer, 5).await;
    emit(&peer, 5, 1).await;
    peer.call_of::<Register>().await;
    assert_eq!(gap(&mut events).await.reopening, 1);
    assert_eq!(detail(&mut events).await, 1);
    peer.die().await;
    let mut peer = host.peer().await;
    admit(&mut peer, 6).await;
    admit(&mut peer, 7).await;
    emit(&peer, 6, 2).await;
    emit(&peer, 7, 3).await;
    answer(&mut peer, 4).await;
    assert_eq!(call.await.unwrap().unwrap(), 4);
    assert_eq!(gap(&mut events).await.reopening, 1);
    assert_eq!(detail(&mut events).await, 2);
    assert_eq!(gap(&mut other).await.reopening, 1);
    assert_eq!(detail(&mut other).await, 3);
    assert_eq!(connection.reconnects(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_again_gives_up_soon() {
    let asks = AtomicUsize::new(0);
    let asking = move || {
        if asks.fetch_add(1, Ordering::SeqCst) == 0 { Authentication::None } else { Authentication::Polkit }
    };
    let (connection, peer, mut host) = host_asking(builder().reconnect(Reconnect::new()), asking).await;
    peer.die().await;
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let mut peer = host.peer().await;
        let ServerEvent::Polkit { id } = peer.event().await else { panic!("polkit is asked") };
        peer.with(move |server| server.decide(id, Err(&failure(45, 20, "%s", "not you"))).unwrap()).await;
    }
    let reason = connection.closed().await.to_string();
    assert!(reason.contains("3 attempts") && reason.contains("not you"), "{reason}");
    // Not at the pace of the first attempts.
    assert!(began.elapsed().as_secs() > 30, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_frozen_daemon_is_left_by_keepalive() {
    let settings = builder().keepalive(Duration::from_secs(5), 5).reconnect(quick());
    let (connection, mut peer, mut host) = host(settings).await;
    let call = ask(&connection);
    peer.call_of::<Version>().await;
    peer.freeze().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { reason: CloseReason::Keepalive { .. }, .. }), "{error:?}");
    let mut second = host.peer().await;
    answer_one(&connection, &mut second).await;
    // Keepalive is on there too.
    second.freeze().await;
    let mut changes = connection.link_events();
    assert!(matches!(changes.next().await, Some(LinkEvent::Lost { reason: CloseReason::Keepalive { .. } })));
}

#[tokio::test]
async fn a_broken_protocol_is_a_lost_link() {
    let (connections, mut raw) = mpsc::unbounded_channel();
    let broken = AtomicUsize::new(0);
    let connection = builder()
        .reconnect(quick())
        .open_with_unix(move || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let number = broken.fetch_add(1, Ordering::SeqCst);
            connections.send((number, Peer::start(theirs))).ok();
            std::future::ready(Ok(ours))
        })
        .await
        .unwrap();
    let (_, peer) = raw.recv().await.unwrap();
    let call = ask(&connection);
    peer.garble();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Closed { reason: CloseReason::Framing(_), .. }), "{error:?}");
    let (number, mut peer) = raw.recv().await.unwrap();
    assert_eq!(number, 1);
    answer_one(&connection, &mut peer).await;
}

#[tokio::test]
async fn streams_end_with_their_link_and_do_not_slow_down_the_next() {
    let (connection, mut peer, mut host) =
        host(builder().stream_buffer(1000, 1 << 20).reconnect(quick())).await;
    let opening = tokio::spawn({
        let connection = connection.clone();
        async move { connection.open_stream(&remote::StorageVolDownloadArgs::default(), CallOptions::new()).await }
    });
    let id = peer.call_of::<remote::StorageVolDownloadArgs>().await.id;
    peer.with(move |server| {
        server.reply(id, &()).unwrap();
        server.send(id, vec![1; 100_000].into()).unwrap();
    })
    .await;
    let ((), mut stream) = opening.await.unwrap().unwrap();
    let mut received = match stream.receive().await.unwrap() {
        Some(virtwire::Chunk::Data(data)) => data.len(),
        other => panic!("expected data, got {other:?}"),
    };
    peer.die().await;
    let mut peer = host.peer().await;
    for _ in 0..100 {
        answer_one(&connection, &mut peer).await;
    }
    // What had come is there, then the reason.
    let error = loop {
        match stream.receive().await {
            Ok(Some(virtwire::Chunk::Data(data))) => received += data.len(),
            Ok(other) => panic!("expected data, got {other:?}"),
            Err(error) => break error,
        }
    };
    assert!(received <= 100_000);
    assert_lost(error);
    assert_lost(stream.send(&b"late"[..]).await.unwrap_err());
    drop(stream);
    // Nothing of it reaches the new daemon.
    answer_one(&connection, &mut peer).await;
    assert!(peer.try_event().is_none());
}

#[tokio::test]
async fn a_slow_consumer_learns_of_gaps_that_fell_out_of_its_queue() {
    let (connection, mut peer, mut host) = host(builder().max_queued_events(2).reconnect(quick())).await;
    let mut events = subscription(&connection, &mut peer, DomainEventId::LIFECYCLE, 1).await;
    emit(&peer, 1, 1).await;
    answer_one(&connection, &mut peer).await;
    peer.die().await;
    let mut peer = host.peer().await;
    admit(&mut peer, 2).await;
    for number in 2..=4 {
        emit(&peer, 2, number).await;
    }
    answer_one(&connection, &mut peer).await;
    assert!(matches!(item(&mut events).await, Some(Err(Error::Lagged(2)))));
    gap(&mut events).await;
    assert_eq!(detail(&mut events).await, 3);
    assert_eq!(detail(&mut events).await, 4);
}

#[tokio::test]
async fn the_end_of_the_hypervisors_connection_is_of_its_link() {
    let (connection, mut peer, mut host) = host(builder().reconnect(quick())).await;
    let mut events = connection.hypervisor_events().unwrap();
    peer.with(|server| server.emit(&remote::ConnectEventConnectionClosedMsg { reason: 1 }).unwrap()).await;
    assert!(events.next().await.unwrap().is_ok());
    assert!(connection.hypervisor_close_reason().is_some());
    answer_one(&connection, &mut peer).await;
    peer.die().await;
    let mut peer = host.peer().await;
    answer_one(&connection, &mut peer).await;
    assert!(matches!(events.next().await, Some(Err(Error::Gap(_)))));
    assert_eq!(connection.hypervisor_close_reason(), None);
    peer.with(|server| server.emit(&remote::ConnectEventConnectionClosedMsg { reason: 2 }).unwrap()).await;
    assert_eq!(events.next().await.unwrap().unwrap().reason.0, 2);
}

#[tokio::test]
async fn what_the_daemon_chose_stays_chosen() {
    let opened = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&opened);
    let (arrived, mut peers) = mpsc::unbounded_channel();
    let connection = Connection::builder("remote:///")
        .no_keepalive()
        .reconnect(quick())
        .open_with_unix(move || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            arrived.send(Peer::start_telling(theirs, Arc::clone(&seen))).ok();
            std::future::ready(Ok(ours))
        })
        .await
        .unwrap();
    peers.recv().await.unwrap().die().await;
    let mut peer = peers.recv().await.unwrap();
    answer_one(&connection, &mut peer).await;
    let other = connection.open_another().await.unwrap();
    assert_eq!(*opened.lock().unwrap(), ["", "test:///chosen", "test:///chosen"]);
    assert_eq!(connection.uri(), other.uri());
}

#[tokio::test]
async fn a_socket_that_the_caller_made_cannot_be_made_again() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut peer = Peer::start(theirs);
    let error = builder().reconnect(quick()).open_on(ours).await.unwrap_err();
    assert!(error.to_string().contains("Builder::open_with"), "{error}");
    peer.closed().await;

    let (connection, _peer) = support::connect().await;
    let error = connection.open_another().await.unwrap_err();
    assert!(error.to_string().contains("Builder::open_with"), "{error}");
}

#[tokio::test]
async fn another_connection_is_like_the_first_and_lives_by_itself() {
    let (connection, peer, mut host) =
        host(builder().call_timeout(Duration::from_secs(50)).reconnect(quick())).await;
    let other = connection.with_call_timeout(Duration::from_millis(20)).open_another().await.unwrap();
    let mut others = host.peer().await;
    let error = ask(&other).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { after, .. } if after.as_millis() == 20), "{error:?}");
    drop(connection);
    let mut peer = peer;
    peer.closed().await;
    others.die().await;
    others = host.peer().await;
    let call = ask(&other.with_call_timeout(Duration::from_secs(50)));
    answer(&mut others, 3).await;
    assert_eq!(call.await.unwrap().unwrap(), 3);
}

#[test]
fn a_runtime_that_ends_ends_the_search() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let (connection, host) = first.block_on(async {
        let (connection, peer, host) = host(builder().reconnect(quick())).await;
        host.down(true);
        let before = host.attempts();
        peer.die().await;
        host.attempted(before + 1).await;
        (connection, host)
    });
    drop(first);
    let reason = runtime().block_on(connection.closed()).to_string();
    assert!(reason.contains("the runtime that drove the connection has ended"), "{reason}");
    drop(host);
}

#[tokio::test]
async fn procedures_of_calls_are_told_by_their_errors() {
    // The reason names what was lost, as without reconnection.
    let (connection, mut peer, _host) = host(builder().reconnect(quick())).await;
    let call = ask(&connection);
    peer.call_of::<Version>().await;
    peer.die().await;
    match call.await.unwrap() {
        Err(Error::Closed { procedure, .. }) => assert_eq!(procedure, Some(Version::PROCEDURE)),
        other => panic!("{other:?}"),
    }
}
