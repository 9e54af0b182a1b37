//! Typed events of every class: each message becomes its variant, for all objects or one, and classes never mix.

mod support;

use support::{Peer, connect, failure};
use virtwire::enums::*;
use virtwire::flags::{DomainMemoryFailureFlags, DomainQemuMonitorEventRegisterFlags};
use virtwire::proto::connection::{CallId, IncomingCall};
use virtwire::proto::program::{Call, Event, qemu, remote};
use virtwire::proto::typed_params::TypedParams;
use virtwire::{
    Connection, DomainEvent, DomainEventDetail, Error, EventIds, NetworkEvent, NodeDeviceEvent, Result,
    SecretEvent, StoragePoolEvent, Subscription, Text, Uuid,
};

type RegisterDomain = remote::ConnectDomainEventCallbackRegisterAnyArgs;
type DeregisterDomain = remote::ConnectDomainEventCallbackDeregisterAnyArgs;

fn dom() -> remote::NonnullDomain {
    remote::NonnullDomain { name: "demo".into(), uuid: Uuid::from_u128(7), id: 3 }
}

fn net() -> remote::NonnullNetwork {
    remote::NonnullNetwork { name: "default".into(), uuid: Uuid::from_u128(8) }
}

fn pool() -> remote::NonnullStoragePool {
    remote::NonnullStoragePool { name: "images".into(), uuid: Uuid::from_u128(9) }
}

fn dev() -> remote::NonnullNodeDevice {
    remote::NonnullNodeDevice { name: "pci_0".into() }
}

fn secret() -> remote::NonnullSecret {
    remote::NonnullSecret { uuid: Uuid::from_u128(10), usage_type: 2, usage_id: "ceph".into() }
}

/// Runs what subscribes, while the peer answers each registration with a callback identifier that `answer` chooses.
async fn subscribing<E: Send + 'static>(
    peer: &mut Peer,
    registrations: usize,
    subscribe: impl Future<Output = Result<Subscription<E>>> + Send + 'static,
    mut answer: impl FnMut(&IncomingCall) -> i32,
) -> Subscription<E> {
    let subscribing = tokio::spawn(subscribe);
    for _ in 0..registrations {
        let call = peer.call().await;
        let callback_id = answer(&call);
        registered(peer, call.id, callback_id).await;
    }
    subscribing.await.unwrap().unwrap()
}

/// Every registration is answered with the identifier alone.
async fn registered(peer: &Peer, id: CallId, callback_id: i32) {
    let reply = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id };
    peer.with(move |server| server.reply(id, &reply).unwrap()).await;
}

async fn emit<M: Event + Send + 'static>(peer: &Peer, message: M) {
    peer.with(move |server| server.emit(&message).unwrap()).await;
}

async fn next<E: std::fmt::Debug>(events: &mut Subscription<E>) -> E {
    let next = tokio::time::timeout(std::time::Duration::from_secs(20), events.next());
    next.await.expect("in time").expect("more").expect("an event")
}

/// The callback identifier by which the peer knows an event.
fn callback(id: DomainEventId) -> i32 {
    100 + id.0
}

fn params() -> TypedParams {
    TypedParams::new().with("one", 1_i32).with("two", "zwei")
}

/// What comes of each domain event, in the order of their identifiers.
fn expected(connection: &Connection) -> Vec<DomainEvent> {
    let domain = connection.domain(dom());
    let (device, source) = (Text::from("ua-disk"), Text::from("/images/a.qcow2"));
    macro_rules! events {
        ($($variant:ident { $($field:ident: $value:expr),* })*) => {
            vec![$(DomainEvent::$variant { domain: domain.clone(), $($field: $value),* }),*]
        };
    }
    let mut events = events! {
        Lifecycle {
            event: DomainEventType::STOPPED,
            detail: DomainEventDetail::Stopped(DomainEventStoppedDetailType::CRASHED)
        }
        Reboot {}
        RtcChange { offset: -3600 }
        Watchdog { action: DomainEventWatchdogAction::RESET }
        IoError {
            source: source.clone(), device: device.clone(), action: DomainEventIoErrorAction::PAUSE
        }
        IoErrorReason {
            source: source.clone(), device: device.clone(), action: DomainEventIoErrorAction::REPORT,
            reason: "enospc".into()
        }
        ControlError {}
        BlockJob {
            source: source.clone(), kind: DomainBlockJobType::PULL, status: DomainEventBlockJobStatus::FAILED
        }
        DiskChange {
            old_source: Some(source.clone()), new_source: None, device: device.clone(),
            reason: DomainEventDiskChangeReason::DROP_MISSING_ON_START
        }
        TrayChange { device: device.clone(), reason: DomainEventTrayChangeReason::CLOSE }
        PmWakeup { reason: 4 }
        PmSuspend { reason: 5 }
        BalloonChange { memory: 1 << 40 }
        PmSuspendDisk { reason: 6 }
        DeviceRemoved { device: device.clone() }
        BlockJob2 {
            target: "vda".into(), kind: DomainBlockJobType::BACKUP, status: DomainEventBlockJobStatus::READY
        }
        Tunable { params: params() }
        AgentLifecycle {
            state: DomainEventAgentLifecycleState::DISCONNECTED,
            reason: DomainEventAgentLifecycleReason::CHANNEL
        }
        DeviceAdded { device: device.clone() }
        MigrationIteration { iteration: 11 }
        JobCompleted { params: params() }
        DeviceRemovalFailed { device: device.clone() }
        MetadataChange { kind: DomainMetadataType::ELEMENT, uri: Some("http://example.com/".into()) }
        BlockThreshold { device: "vda[1]".into(), path: Some(source.clone()), threshold: 1 << 30, excess: 512 }
        MemoryFailure {
            recipient: DomainMemoryFailureRecipientType::GUEST, action: DomainMemoryFailureActionType::INJECT,
            flags: DomainMemoryFailureFlags::RECURSIVE
        }
        MemoryDeviceSizeChange { device: device.clone(), size: 4096 }
        NicMacChange {
            device: device.clone(), old_mac: "52:54:00:00:00:01".into(), new_mac: "52:54:00:00:00:02".into()
        }
        VcpuRemoved { vcpu: 3 }
        ChannelLifecycle {
            channel: "org.qemu.guest_agent.0".into(), state: DomainEventChannelLifecycleState::CONNECTED,
            reason: DomainEventChannelLifecycleReason::DOMAIN_STARTED
        }
    };
    // Made by hand, since nothing outside can make its addresses: the test looks at it by itself.
    events.insert(5, DomainEvent::Reboot { domain });
    events
}

/// Sends each domain event once, in the order of their identifiers.
async fn emit_all(peer: &Peer) {
    macro_rules! emit {
        // Messages that hold another, and those that do not.
        ($($id:ident: $message:ident { $($outer:ident: $outer_value:expr),* } $inner:ident { $($field:ident: $value:expr),* })*) => {
            $(emit(peer, remote::$message {
                callback_id: callback(DomainEventId::$id),
                $($outer: $outer_value,)*
                msg: remote::$inner { dom: dom(), $($field: $value),* },
            }).await;)*
        };
        ($($id:ident: $message:ident { $($field:ident: $value:expr),* })*) => {
            $(emit(peer, remote::$message {
                callback_id: callback(DomainEventId::$id), dom: dom(), $($field: $value),*
            }).await;)*
        };
    }
    let (device, source) = (Text::from("ua-disk"), Text::from("/images/a.qcow2"));
    let address = |node: &str| remote::DomainEventGraphicsAddress {
        family: 1,
        node: node.into(),
        service: "5900".into(),
    };
    let identity = remote::DomainEventGraphicsIdentity { type_: "x509dname".into(), name: "CN=me".into() };
    emit! {
        LIFECYCLE: DomainEventCallbackLifecycleMsg {} DomainEventLifecycleMsg { event: 5, detail: 2 }
        REBOOT: DomainEventCallbackRebootMsg {} DomainEventRebootMsg {}
        RTC_CHANGE: DomainEventCallbackRtcChangeMsg {} DomainEventRtcChangeMsg { offset: -3600 }
        WATCHDOG: DomainEventCallbackWatchdogMsg {} DomainEventWatchdogMsg { action: 2 }
        IO_ERROR: DomainEventCallbackIoErrorMsg {} DomainEventIoErrorMsg {
            src_path: source.clone(), dev_alias: device.clone(), action: 1
        }
        GRAPHICS: DomainEventCallbackGraphicsMsg {} DomainEventGraphicsMsg {
            phase: 2, local: address("::1"), remote: address("::2"), auth_scheme: "vnc".into(),
            subject: vec![identity]
        }
        IO_ERROR_REASON: DomainEventCallbackIoErrorReasonMsg {} DomainEventIoErrorReasonMsg {
            src_path: source.clone(), dev_alias: device.clone(), action: 2, reason: "enospc".into()
        }
        CONTROL_ERROR: DomainEventCallbackControlErrorMsg {} DomainEventControlErrorMsg {}
        BLOCK_JOB: DomainEventCallbackBlockJobMsg {} DomainEventBlockJobMsg {
            path: source.clone(), type_: 1, status: 1
        }
        DISK_CHANGE: DomainEventCallbackDiskChangeMsg {} DomainEventDiskChangeMsg {
            old_src_path: Some(source.clone()), new_src_path: None, dev_alias: device.clone(), reason: 1
        }
        TRAY_CHANGE: DomainEventCallbackTrayChangeMsg {} DomainEventTrayChangeMsg {
            dev_alias: device.clone(), reason: 1
        }
        PMWAKEUP: DomainEventCallbackPmwakeupMsg { reason: 4 } DomainEventPmwakeupMsg {}
        PMSUSPEND: DomainEventCallbackPmsuspendMsg { reason: 5 } DomainEventPmsuspendMsg {}
        BALLOON_CHANGE: DomainEventCallbackBalloonChangeMsg {} DomainEventBalloonChangeMsg { actual: 1 << 40 }
        PMSUSPEND_DISK: DomainEventCallbackPmsuspendDiskMsg { reason: 6 } DomainEventPmsuspendDiskMsg {}
        DEVICE_REMOVED: DomainEventCallbackDeviceRemovedMsg {} DomainEventDeviceRemovedMsg {
            dev_alias: device.clone()
        }
    }
    emit! {
        BLOCK_JOB_2: DomainEventBlockJob2Msg { dst: "vda".into(), type_: 5, status: 3 }
        TUNABLE: DomainEventCallbackTunableMsg { params: params().into() }
        AGENT_LIFECYCLE: DomainEventCallbackAgentLifecycleMsg { state: 2, reason: 2 }
        DEVICE_ADDED: DomainEventCallbackDeviceAddedMsg { dev_alias: device.clone() }
        MIGRATION_ITERATION: DomainEventCallbackMigrationIterationMsg { iteration: 11 }
        JOB_COMPLETED: DomainEventCallbackJobCompletedMsg { params: params().into() }
        DEVICE_REMOVAL_FAILED: DomainEventCallbackDeviceRemovalFailedMsg { dev_alias: device.clone() }
        METADATA_CHANGE: DomainEventCallbackMetadataChangeMsg {
            type_: 2, nsuri: Some("http://example.com/".into())
        }
        BLOCK_THRESHOLD: DomainEventBlockThresholdMsg {
            dev: "vda[1]".into(), path: Some(source.clone()), threshold: 1 << 30, excess: 512
        }
        MEMORY_FAILURE: DomainEventMemoryFailureMsg { recipient: 1, action: 1, flags: 2 }
        MEMORY_DEVICE_SIZE_CHANGE: DomainEventMemoryDeviceSizeChangeMsg { alias: device.clone(), size: 4096 }
        NIC_MAC_CHANGE: DomainEventNicMacChangeMsg {
            alias: device.clone(), old_mac: "52:54:00:00:00:01".into(), new_mac: "52:54:00:00:00:02".into()
        }
        VCPU_REMOVED: DomainEventVcpuRemovedMsg { vcpuid: 3 }
        CHANNEL_LIFECYCLE: DomainEventCallbackChannelLifecycleMsg {
            channel_name: "org.qemu.guest_agent.0".into(), state: 1, reason: 1
        }
    }
}

#[tokio::test]
async fn every_domain_event_is_a_variant_and_one_subscription_keeps_their_order() {
    let (connection, mut peer) = connect().await;
    let ids: Vec<_> = DomainEventId::known().collect();
    let subscribe = {
        let (connection, ids) = (connection.clone(), ids.clone());
        async move { connection.domain_events(ids).await }
    };
    let mut asked = Vec::new();
    let mut events = subscribing(&mut peer, ids.len(), subscribe, |call| {
        let args = call.args::<RegisterDomain>().unwrap();
        assert_eq!(args.dom, None);
        asked.push(DomainEventId(args.event_id));
        callback(DomainEventId(args.event_id))
    })
    .await;
    assert_eq!(asked, ids);

    emit_all(&peer).await;
    for (id, expected) in ids.iter().zip(expected(&connection)) {
        let event = next(&mut events).await;
        assert_eq!(event.id(), Some(*id));
        assert_eq!(event.domain().map(|domain| domain.handle().clone()), Some(dom()));
        let DomainEvent::Graphics { phase, local, remote, auth_scheme, subject, .. } = event else {
            assert_eq!(event, expected);
            continue;
        };
        assert_eq!((phase, auth_scheme), (DomainEventGraphicsPhase::DISCONNECT, "vnc".into()));
        assert_eq!(local.family, DomainEventGraphicsAddressType::IPV6);
        assert_eq!((local.node, remote.node, local.service), ("::1".into(), "::2".into(), "5900".into()));
        assert_eq!(
            (subject.len(), &subject[0].kind, &subject[0].name),
            (1, &"x509dname".into(), &"CN=me".into())
        );
    }

    // All registrations end with it.
    drop(events);
    let mut ended = Vec::new();
    for _ in &ids {
        let call = peer.call_of::<DeregisterDomain>().await;
        ended.push(call.args::<DeregisterDomain>().unwrap().callback_id);
        peer.with(move |server| server.reply(call.id, &()).unwrap()).await;
    }
    ended.sort_unstable();
    assert_eq!(ended, ids.iter().map(|id| callback(*id)).collect::<Vec<_>>());
}

#[tokio::test]
async fn numbers_that_are_not_known_survive() {
    let (connection, mut peer) = connect().await;
    let subscribe = async move { connection.network_events(NetworkEventId(99)).await };
    let mut events = subscribing(&mut peer, 1, subscribe, |call| {
        let args = call.args::<remote::ConnectNetworkEventRegisterAnyArgs>().unwrap();
        assert_eq!(args.event_id, 99);
        1
    })
    .await;
    emit(&peer, remote::NetworkEventLifecycleMsg { callback_id: 1, net: net(), event: 77, detail: 5 }).await;
    let NetworkEvent::Lifecycle { event, detail, .. } = next(&mut events).await else { panic!() };
    assert_eq!((event, detail), (NetworkEventLifecycleType(77), 5));
    let detail = DomainEventDetail::new(DomainEventType(77), 5);
    assert_eq!((detail, detail.code(), detail.to_string()), (DomainEventDetail::Other(5), 5, "5".to_owned()));
}

#[tokio::test]
async fn a_message_that_cannot_be_understood_is_an_error_and_the_next_one_comes() {
    let (connection, mut peer) = connect().await;
    let subscribe = async move { connection.domain_events(DomainEventId::REBOOT).await };
    let mut events = subscribing(&mut peer, 1, subscribe, |_| 1).await;
    peer.with(|server| {
        let procedure = remote::DomainEventCallbackRebootMsg::PROCEDURE;
        server.emit_raw(procedure, vec![0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff].into()).unwrap();
        let msg = remote::DomainEventRebootMsg { dom: dom() };
        server.emit(&remote::DomainEventCallbackRebootMsg { callback_id: 1, msg }).unwrap();
    })
    .await;
    assert!(matches!(events.next().await, Some(Err(Error::Protocol { .. }))));
    assert!(matches!(next(&mut events).await, DomainEvent::Reboot { .. }));
}

#[tokio::test]
async fn a_subscription_of_which_one_part_is_refused_is_undone() {
    let (connection, mut peer) = connect().await;
    let subscribing = tokio::spawn(async move {
        // What is there twice counts once.
        let ids = [DomainEventId::LIFECYCLE, DomainEventId(4000), DomainEventId::LIFECYCLE];
        connection.domain_events(ids).await.map(drop)
    });
    let first = peer.call_of::<RegisterDomain>().await;
    registered(&peer, first.id, 21).await;
    let second = peer.call_of::<RegisterDomain>().await;
    let error = failure(ErrorNumber::INVALID_ARG.0, ErrorDomain::RPC.0, "invalid argument: %s", "eventID");
    peer.with(move |server| server.reply_error(second.id, &error).unwrap()).await;
    let error = subscribing.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::INVALID_ARG));
    let call = peer.call_of::<DeregisterDomain>().await;
    assert_eq!(call.args::<DeregisterDomain>().unwrap().callback_id, 21);
}

/// Subscribes by each of these calls, and looks at what the peer is asked.
macro_rules! registers {
    ($peer:ident, $args:ty, $($subscribe:expr => $expected:expr,)+) => {$(
        let events = {
            let subscribe = $subscribe;
            subscribing(&mut $peer, 1, subscribe, |call| {
                assert_eq!(call.procedure, <$args>::PROCEDURE);
                assert_eq!(call.args::<$args>().unwrap(), $expected);
                1
            })
            .await
        };
        drop(events);
        let call = $peer.call().await;
        assert!(call.procedure.name.contains("_deregister"), "{}", call.procedure);
        $peer.with(move |server| server.reply(call.id, &()).unwrap()).await;
    )+};
}

#[tokio::test]
async fn a_subscription_for_one_object_says_which() {
    let (connection, mut peer) = connect().await;
    let connection = || connection.clone();
    let domain = connection().domain(dom());
    registers! { peer, RegisterDomain,
        { let domain = domain.clone(); async move { domain.events(DomainEventId::REBOOT).await } } =>
            RegisterDomain { event_id: 1, dom: Some(dom()) },
    }
    let (all, one) = (connection(), connection().network(net()));
    registers! { peer, remote::ConnectNetworkEventRegisterAnyArgs,
        async move { all.network_events(NetworkEventId::METADATA_CHANGE).await } =>
            remote::ConnectNetworkEventRegisterAnyArgs { event_id: 1, net: None },
        async move { one.events(NetworkEventId::LIFECYCLE).await } =>
            remote::ConnectNetworkEventRegisterAnyArgs { event_id: 0, net: Some(net()) },
    }
    let (all, one) = (connection(), connection().storage_pool(pool()));
    registers! { peer, remote::ConnectStoragePoolEventRegisterAnyArgs,
        async move { all.storage_pool_events(StoragePoolEventId::REFRESH).await } =>
            remote::ConnectStoragePoolEventRegisterAnyArgs { event_id: 1, pool: None },
        async move { one.events(StoragePoolEventId::LIFECYCLE).await } =>
            remote::ConnectStoragePoolEventRegisterAnyArgs { event_id: 0, pool: Some(pool()) },
    }
    let (all, one) = (connection(), connection().node_device(dev()));
    registers! { peer, remote::ConnectNodeDeviceEventRegisterAnyArgs,
        async move { all.node_device_events(NodeDeviceEventId::UPDATE).await } =>
            remote::ConnectNodeDeviceEventRegisterAnyArgs { event_id: 1, dev: None },
        async move { one.events(NodeDeviceEventId::LIFECYCLE).await } =>
            remote::ConnectNodeDeviceEventRegisterAnyArgs { event_id: 0, dev: Some(dev()) },
    }
    let (all, one) = (connection(), connection().secret(secret()));
    registers! { peer, remote::ConnectSecretEventRegisterAnyArgs,
        async move { all.secret_events(SecretEventId::VALUE_CHANGED).await } =>
            remote::ConnectSecretEventRegisterAnyArgs { event_id: 1, secret: None },
        async move { one.events(SecretEventId::LIFECYCLE).await } =>
            remote::ConnectSecretEventRegisterAnyArgs { event_id: 0, secret: Some(secret()) },
    }
    let flags = DomainQemuMonitorEventRegisterFlags::all();
    let all = connection();
    registers! { peer, qemu::ConnectDomainMonitorEventRegisterArgs,
        async move { all.qemu_monitor_events(None, DomainQemuMonitorEventRegisterFlags::empty()).await } =>
            qemu::ConnectDomainMonitorEventRegisterArgs { dom: None, event: None, flags: 0 },
        async move { domain.qemu_monitor_events(Some("^block"), flags).await } =>
            qemu::ConnectDomainMonitorEventRegisterArgs {
                dom: Some(dom()), event: Some("^block".into()), flags: 3
            },
    }
}

#[tokio::test]
async fn events_of_the_other_classes_are_their_variants() {
    let (connection, mut peer) = connect().await;
    let both = |a, b| EventIds::from([a, b]);

    let of = connection.clone();
    let ids = both(NetworkEventId::LIFECYCLE, NetworkEventId::METADATA_CHANGE);
    let mut networks = subscribing(&mut peer, 2, async move { of.network_events(ids).await }, |_| 1).await;
    emit(&peer, remote::NetworkEventLifecycleMsg { callback_id: 1, net: net(), event: 3, detail: 0 }).await;
    let uri = Some(Text::from("http://example.com/"));
    let nsuri = uri.clone();
    emit(
        &peer,
        remote::NetworkEventCallbackMetadataChangeMsg { callback_id: 1, net: net(), type_: 2, nsuri },
    )
    .await;
    let network = connection.network(net());
    let event = NetworkEventLifecycleType::STOPPED;
    let first = next(&mut networks).await;
    assert_eq!(first.network(), Some(&network));
    assert_eq!(first, NetworkEvent::Lifecycle { network: network.clone(), event, detail: 0 });
    let kind = NetworkMetadataType::ELEMENT;
    assert_eq!(next(&mut networks).await, NetworkEvent::MetadataChange { network, kind, uri });

    let of = connection.clone();
    let ids = [StoragePoolEventId::LIFECYCLE, StoragePoolEventId::REFRESH];
    let mut pools = subscribing(&mut peer, 2, async move { of.storage_pool_events(ids).await }, |_| 1).await;
    emit(&peer, remote::StoragePoolEventLifecycleMsg { callback_id: 1, pool: pool(), event: 4, detail: 0 })
        .await;
    emit(&peer, remote::StoragePoolEventRefreshMsg { callback_id: 1, pool: pool() }).await;
    let of_pool = connection.storage_pool(pool());
    let event = StoragePoolEventLifecycleType::CREATED;
    let first = next(&mut pools).await;
    assert_eq!(first.storage_pool(), Some(&of_pool));
    assert_eq!(first, StoragePoolEvent::Lifecycle { pool: of_pool.clone(), event, detail: 0 });
    assert_eq!(next(&mut pools).await, StoragePoolEvent::Refresh { pool: of_pool });

    let of = connection.clone();
    let ids = vec![NodeDeviceEventId::LIFECYCLE, NodeDeviceEventId::UPDATE];
    let mut devices = subscribing(&mut peer, 2, async move { of.node_device_events(ids).await }, |_| 1).await;
    emit(&peer, remote::NodeDeviceEventLifecycleMsg { callback_id: 1, dev: dev(), event: 1, detail: 0 })
        .await;
    emit(&peer, remote::NodeDeviceEventUpdateMsg { callback_id: 1, dev: dev() }).await;
    let device = connection.node_device(dev());
    let event = NodeDeviceEventLifecycleType::DELETED;
    let first = next(&mut devices).await;
    assert_eq!(first.node_device(), Some(&device));
    assert_eq!(first, NodeDeviceEvent::Lifecycle { device: device.clone(), event, detail: 0 });
    assert_eq!(next(&mut devices).await, NodeDeviceEvent::Update { device });

    let of = connection.clone();
    let ids = [SecretEventId::LIFECYCLE, SecretEventId::VALUE_CHANGED];
    let mut secrets = subscribing(&mut peer, 2, async move { of.secret_events(&ids[..]).await }, |_| 1).await;
    emit(&peer, remote::SecretEventLifecycleMsg { callback_id: 1, secret: secret(), event: 1, detail: 0 })
        .await;
    emit(&peer, remote::SecretEventValueChangedMsg { callback_id: 1, secret: secret() }).await;
    let of_secret = connection.secret(secret());
    let event = SecretEventLifecycleType::UNDEFINED;
    let first = next(&mut secrets).await;
    assert_eq!(first.secret(), Some(&of_secret));
    assert_eq!(first, SecretEvent::Lifecycle { secret: of_secret.clone(), event, detail: 0 });
    assert_eq!(next(&mut secrets).await, SecretEvent::ValueChanged { secret: of_secret });

    let of = connection.clone();
    let none = DomainQemuMonitorEventRegisterFlags::empty();
    let mut monitor =
        subscribing(&mut peer, 1, async move { of.qemu_monitor_events(None, none).await }, |_| 1).await;
    emit(&peer, monitor_event(1, "RESUME")).await;
    let event = next(&mut monitor).await;
    assert_eq!((event.event.clone(), event.domain.clone()), ("RESUME".into(), connection.domain(dom())));
    assert_eq!(event.details, Some("{}".into()));
    let since = event.time().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!((since.as_secs(), since.subsec_micros()), (1_700_000_000, 250_000));
}

fn monitor_event(callback_id: i32, event: &str) -> qemu::DomainMonitorEventMsg {
    qemu::DomainMonitorEventMsg {
        callback_id,
        dom: dom(),
        event: event.into(),
        seconds: 1_700_000_000,
        micros: 250_000,
        details: Some("{}".into()),
    }
}

#[tokio::test]
async fn two_classes_that_number_their_callbacks_alike_never_mix() {
    let (connection, mut peer) = connect().await;
    let of = || connection.clone();
    let (a, b, c, d, e, f) = (of(), of(), of(), of(), of(), of());
    let none = DomainQemuMonitorEventRegisterFlags::empty();
    let mut domains =
        subscribing(&mut peer, 1, async move { a.domain_events(DomainEventId::REBOOT).await }, |_| 0).await;
    let mut networks =
        subscribing(&mut peer, 1, async move { b.network_events(NetworkEventId::LIFECYCLE).await }, |_| 0)
            .await;
    let mut pools = subscribing(
        &mut peer,
        1,
        async move { c.storage_pool_events(StoragePoolEventId::REFRESH).await },
        |_| 0,
    )
    .await;
    let mut devices = subscribing(
        &mut peer,
        1,
        async move { d.node_device_events(NodeDeviceEventId::UPDATE).await },
        |_| 0,
    )
    .await;
    let mut secrets =
        subscribing(&mut peer, 1, async move { e.secret_events(SecretEventId::VALUE_CHANGED).await }, |_| 0)
            .await;
    let mut monitor =
        subscribing(&mut peer, 1, async move { f.qemu_monitor_events(None, none).await }, |_| 0).await;

    for round in 0..3 {
        let callback_id = 0;
        emit(&peer, monitor_event(callback_id, "STOP")).await;
        emit(&peer, remote::SecretEventValueChangedMsg { callback_id, secret: secret() }).await;
        emit(&peer, remote::NodeDeviceEventUpdateMsg { callback_id, dev: dev() }).await;
        emit(&peer, remote::StoragePoolEventRefreshMsg { callback_id, pool: pool() }).await;
        emit(&peer, remote::NetworkEventLifecycleMsg { callback_id, net: net(), event: 2, detail: 0 }).await;
        let msg = remote::DomainEventRebootMsg { dom: dom() };
        emit(&peer, remote::DomainEventCallbackRebootMsg { callback_id, msg }).await;

        assert!(matches!(next(&mut domains).await, DomainEvent::Reboot { .. }), "{round}");
        assert!(matches!(next(&mut networks).await, NetworkEvent::Lifecycle { .. }), "{round}");
        assert!(matches!(next(&mut pools).await, StoragePoolEvent::Refresh { .. }), "{round}");
        assert!(matches!(next(&mut devices).await, NodeDeviceEvent::Update { .. }), "{round}");
        assert!(matches!(next(&mut secrets).await, SecretEvent::ValueChanged { .. }), "{round}");
        assert_eq!(next(&mut monitor).await.event, "STOP", "{round}");
    }

    // The end of one is the end of none of the others.
    drop(networks);
    let call = peer.call_of::<remote::ConnectNetworkEventDeregisterAnyArgs>().await;
    assert_eq!(call.args::<remote::ConnectNetworkEventDeregisterAnyArgs>().unwrap().callback_id, 0);
    peer.with(move |server| server.reply(call.id, &()).unwrap()).await;
    emit(&peer, remote::NetworkEventLifecycleMsg { callback_id: 0, net: net(), event: 2, detail: 0 }).await;
    emit(&peer, remote::SecretEventValueChangedMsg { callback_id: 0, secret: secret() }).await;
    let msg = remote::DomainEventRebootMsg { dom: dom() };
    emit(&peer, remote::DomainEventCallbackRebootMsg { callback_id: 0, msg }).await;
    assert!(matches!(next(&mut secrets).await, SecretEvent::ValueChanged { .. }));
    assert!(matches!(next(&mut domains).await, DomainEvent::Reboot { .. }));
}

#[tokio::test]
async fn the_end_of_the_daemons_hypervisor_is_an_event_also_where_it_was_before() {
    let (connection, peer) = connect().await;
    let mut events = connection.hypervisor_events().unwrap();
    emit(&peer, remote::ConnectEventConnectionClosedMsg { reason: 2 }).await;
    assert_eq!(next(&mut events).await.reason, CloseReason::KEEPALIVE);
    let mut late = connection.hypervisor_events().unwrap();
    assert_eq!(next(&mut late).await.reason, CloseReason::KEEPALIVE);
    peer.die().await;
    for events in [&mut events, &mut late] {
        assert!(matches!(events.next().await, Some(Err(Error::Closed { .. }))));
        assert!(events.next().await.is_none());
    }
    // Nor does one wait for ever that comes behind the end.
    let mut behind = connection.hypervisor_events().unwrap();
    assert_eq!(next(&mut behind).await.reason, CloseReason::KEEPALIVE);
    assert!(matches!(behind.next().await, Some(Err(Error::Closed { .. }))));
    assert!(behind.next().await.is_none());
}
