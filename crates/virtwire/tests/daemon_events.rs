//! Events of every class judged by a real libvirtd.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use virtwire::enums::*;
use virtwire::flags::*;
use virtwire::proto::program::remote;
use virtwire::{
    Connection, DomainEvent, DomainEventDetail, Error, NetworkEvent, NodeDeviceEvent, SecretEvent,
    StoragePoolEvent, Subscription,
};
use virtwire_testbed::{
    Config, Daemon, Drivers, Failed, Signal, Testbed, Tool, Version, tests, tiny_guest_xml,
};

fn main() -> ExitCode {
    let mut all = tests![
        domains_tell_of_their_life_and_their_metadata,
        networks_tell_of_their_life,
        pools_tell_of_their_life_and_of_refreshing,
        node_devices_tell_of_coming_and_going,
        real_pools_and_secrets_tell_of_themselves,
        the_test_driver_has_no_monitor_and_loses_no_hypervisor,
        a_storm_of_events_is_told_to_all_and_slows_nobody_down,
        subscriptions_come_and_go_in_a_storm,
    ];
    let with_guests =
        tests![two_real_drivers_that_number_their_callbacks_alike_never_mix, a_guest_and_its_monitor_tell,];
    all.extend(with_guests.into_iter().map(|test| test.needs(Tool::Qemu)));
    virtwire_testbed::run_tests(all)
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        match tokio::time::timeout(Duration::from_secs(60), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

async fn next<E>(events: &mut Subscription<E>) -> Result<E, Failed> {
    let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    Ok(next.map_err(|_| "no event")?.ok_or("no more events")??)
}

/// That nothing waits. What a daemon sends before an answer has arrived with that answer.
async fn nothing<E: std::fmt::Debug>(events: &mut Subscription<E>) -> Result<(), Failed> {
    match tokio::time::timeout(Duration::from_millis(200), events.next()).await {
        Ok(event) => Err(format!("{event:?}").into()),
        Err(_) => Ok(()),
    }
}

fn domains_tell_of_their_life_and_their_metadata(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let ids = [DomainEventId::LIFECYCLE, DomainEventId::METADATA_CHANGE];
        let mut all = connection.domain_events(ids).await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        let mut metadata = domain.events(DomainEventId::METADATA_CHANGE).await?;

        let live = DomainModificationImpact::LIVE;
        domain.suspend().await?;
        domain.set_metadata(DomainMetadataType::TITLE, "A title", None, None, live).await?;
        domain.resume().await?;
        let (xml, uri) = ("<a/>", "http://example.com/");
        domain.set_metadata(DomainMetadataType::ELEMENT, xml, "x", uri, live).await?;
        domain.destroy(DomainDestroyFlags::empty()).await?;

        let lifecycle = |event, code| DomainEvent::Lifecycle {
            domain: domain.clone(),
            event,
            detail: DomainEventDetail::new(event, code),
        };
        let changed = |kind, uri: Option<&str>| DomainEvent::MetadataChange {
            domain: domain.clone(),
            kind,
            uri: uri.map(Into::into),
        };
        // In the order of what happened, whichever registration each is of.
        let title = changed(DomainMetadataType::TITLE, None);
        let element = changed(DomainMetadataType::ELEMENT, Some("http://example.com/"));
        for expected in [
            lifecycle(DomainEventType::SUSPENDED, DomainEventSuspendedDetailType::PAUSED.0),
            title.clone(),
            lifecycle(DomainEventType::RESUMED, DomainEventResumedDetailType::UNPAUSED.0),
            element.clone(),
            lifecycle(DomainEventType::STOPPED, DomainEventStoppedDetailType::DESTROYED.0),
        ] {
            assert_eq!(next(&mut all).await?, expected);
        }
        assert_eq!(next(&mut metadata).await?, title);
        assert_eq!(next(&mut metadata).await?, element);
        nothing(&mut metadata).await?;

        // An identifier that no daemon knows.
        let refused = connection.domain_events([DomainEventId::LIFECYCLE, DomainEventId(4000)]).await;
        assert!(refused.unwrap_err().libvirt().is_some());
        domain.create(DomainCreateFlags::empty()).await?;
        let expected = lifecycle(DomainEventType::STARTED, DomainEventStartedDetailType::BOOTED.0);
        assert_eq!(next(&mut all).await?, expected);
        Ok(())
    })
}

fn networks_tell_of_their_life(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let version = testbed.version();
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let mut all = connection.network_events(NetworkEventId::LIFECYCLE).await?;
        let default = connection.network_lookup_by_name("default").await?;
        let mut of_default = default.events(NetworkEventId::LIFECYCLE).await?;

        let xml = "<network><name>other</name><bridge name='virbr7'/></network>";
        let other = connection.network_define_xml(xml, NetworkDefineFlags::empty()).await?;
        other.create().await?;
        other.destroy().await?;
        other.undefine().await?;
        default.destroy().await?;
        for event in [
            NetworkEventLifecycleType::DEFINED,
            NetworkEventLifecycleType::STARTED,
            NetworkEventLifecycleType::STOPPED,
            NetworkEventLifecycleType::UNDEFINED,
        ] {
            let expected = NetworkEvent::Lifecycle { network: other.clone(), event, detail: 0 };
            assert_eq!(next(&mut all).await?, expected);
        }
        let event = NetworkEventLifecycleType::STOPPED;
        let expected = NetworkEvent::Lifecycle { network: default.clone(), event, detail: 0 };
        assert_eq!(next(&mut all).await?, expected);
        assert_eq!(next(&mut of_default).await?, expected);
        nothing(&mut of_default).await?;

        // Since 9.8.0 networks tell of their metadata.
        let metadata = default.events(NetworkEventId::METADATA_CHANGE).await;
        if version < Version(9, 8, 0) {
            assert!(metadata.unwrap_err().libvirt().is_some());
            return Ok(());
        }
        let mut metadata = metadata?;
        default.create().await?;
        let (kind, live) = (NetworkMetadataType::TITLE, NetworkUpdateFlags::AFFECT_LIVE);
        default.set_metadata(kind, "A title", None, None, live).await?;
        let expected = NetworkEvent::MetadataChange { network: default, kind, uri: None };
        assert_eq!(next(&mut metadata).await?, expected);
        Ok(())
    })
}

fn pools_tell_of_their_life_and_of_refreshing(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let ids = [StoragePoolEventId::LIFECYCLE, StoragePoolEventId::REFRESH];
        let mut all = connection.storage_pool_events(ids).await?;
        let default = connection.storage_pool_lookup_by_name("default-pool").await?;
        let mut of_default = default.events(StoragePoolEventId::REFRESH).await?;

        let xml = "<pool type='dir'><name>other</name><target><path>/other</path></target></pool>";
        let other = connection.storage_pool_define_xml(xml, StoragePoolDefineFlags::empty()).await?;
        other.create(StoragePoolCreateFlags::empty()).await?;
        other.refresh().await?;
        default.refresh().await?;
        other.destroy().await?;
        other.undefine().await?;

        let lifecycle = |event| StoragePoolEvent::Lifecycle { pool: other.clone(), event, detail: 0 };
        for expected in [
            lifecycle(StoragePoolEventLifecycleType::DEFINED),
            lifecycle(StoragePoolEventLifecycleType::STARTED),
            StoragePoolEvent::Refresh { pool: other.clone() },
            StoragePoolEvent::Refresh { pool: default.clone() },
            lifecycle(StoragePoolEventLifecycleType::STOPPED),
            lifecycle(StoragePoolEventLifecycleType::UNDEFINED),
        ] {
            assert_eq!(next(&mut all).await?, expected);
        }
        assert_eq!(next(&mut of_default).await?, StoragePoolEvent::Refresh { pool: default });
        nothing(&mut of_default).await
    })
}

fn node_devices_tell_of_coming_and_going(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let ids = [NodeDeviceEventId::LIFECYCLE, NodeDeviceEventId::UPDATE];
        let mut all = connection.node_device_events(ids).await?;
        let host = connection.node_device_lookup_by_name("scsi_host1").await?;
        let mut of_host = host.events(NodeDeviceEventId::LIFECYCLE).await?;

        let xml = "<device><parent>scsi_host1</parent><capability type='scsi_host'>\
            <capability type='fc_host'><wwnn>1000000023452345</wwnn><wwpn>1000000023452346</wwpn></capability>\
            </capability></device>";
        let device = connection.node_device_create_xml(xml, NodeDeviceCreateXmlFlags::empty()).await?;
        device.destroy().await?;
        for event in [NodeDeviceEventLifecycleType::CREATED, NodeDeviceEventLifecycleType::DELETED] {
            let expected = NodeDeviceEvent::Lifecycle { device: device.clone(), event, detail: 0 };
            assert_eq!(next(&mut all).await?, expected);
        }
        nothing(&mut of_host).await
    })
}

fn real_pools_and_secrets_tell_of_themselves(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?;
    let uri = |driver| format!("{driver}+unix:///system?socket={}", daemon.socket().display());
    run(async {
        let connection = Connection::open(&uri("storage")).await?;
        let ids: Vec<_> = StoragePoolEventId::known().collect();
        let mut events = connection.storage_pool_events(ids).await?;
        let target = daemon.folder().join("events");
        let target = target.display();
        let xml = format!("<pool type='dir'><name>p</name><target><path>{target}</path></target></pool>");
        let pool = connection.storage_pool_define_xml(xml, StoragePoolDefineFlags::empty()).await?;
        pool.build(StoragePoolBuildFlags::empty()).await?;
        pool.create(StoragePoolCreateFlags::empty()).await?;
        pool.refresh().await?;
        pool.destroy().await?;
        pool.delete(StoragePoolDeleteFlags::empty()).await?;
        pool.undefine().await?;
        let lifecycle = |event| StoragePoolEvent::Lifecycle { pool: pool.clone(), event, detail: 0 };
        for expected in [
            lifecycle(StoragePoolEventLifecycleType::DEFINED),
            lifecycle(StoragePoolEventLifecycleType::CREATED),
            lifecycle(StoragePoolEventLifecycleType::STARTED),
            StoragePoolEvent::Refresh { pool: pool.clone() },
            lifecycle(StoragePoolEventLifecycleType::STOPPED),
            lifecycle(StoragePoolEventLifecycleType::DELETED),
            lifecycle(StoragePoolEventLifecycleType::UNDEFINED),
        ] {
            assert_eq!(next(&mut events).await?, expected);
        }

        let connection = Connection::open(&uri("secret")).await?;
        let ids = [SecretEventId::LIFECYCLE, SecretEventId::VALUE_CHANGED];
        let mut events = connection.secret_events(ids).await?;
        let xml = |name: &str| {
            format!(
                "<secret ephemeral='yes' private='no'><usage type='ceph'><name>{name}</name></usage></secret>"
            )
        };
        let other = connection.secret_define_xml(xml("other"), SecretDefineFlags::empty()).await?;
        let secret = connection.secret_define_xml(xml("one"), SecretDefineFlags::empty()).await?;
        let mut of_one = secret.events(SecretEventId::VALUE_CHANGED).await?;
        other.set_value(&b"other"[..]).await?;
        secret.set_value(&b"value"[..]).await?;
        secret.undefine().await?;
        let lifecycle = |secret: &virtwire::Secret, event| SecretEvent::Lifecycle {
            secret: secret.clone(),
            event,
            detail: 0,
        };
        let changed = SecretEvent::ValueChanged { secret: secret.clone() };
        for expected in [
            lifecycle(&other, SecretEventLifecycleType::DEFINED),
            lifecycle(&secret, SecretEventLifecycleType::DEFINED),
            SecretEvent::ValueChanged { secret: other.clone() },
            changed.clone(),
            lifecycle(&secret, SecretEventLifecycleType::UNDEFINED),
        ] {
            assert_eq!(next(&mut events).await?, expected);
        }
        assert_eq!(next(&mut of_one).await?, changed);
        nothing(&mut of_one).await
    })
}

fn the_test_driver_has_no_monitor_and_loses_no_hypervisor(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let flags = DomainQemuMonitorEventRegisterFlags::empty();
        let error = connection.qemu_monitor_events(Some("STOP"), flags).await.unwrap_err();
        assert!(error.is_unsupported(), "{error:?}");
        let mut hypervisor = connection.hypervisor_events()?;
        nothing(&mut hypervisor).await?;
        daemon.kill(Signal::KILL)?;
        let end = hypervisor.next().await.ok_or("its end")?;
        assert!(end.unwrap_err().is_closed());
        assert_eq!(connection.hypervisor_close_reason(), None);
        Ok(())
    })
}

/// How often the domain of the storms is suspended and resumed, each an event.
const STORM: usize = 200;

/// Suspends and resumes the test driver's domain over a connection of its own.
async fn storm(daemon: &Daemon) -> Result<(), Failed> {
    let connection = Connection::open(&daemon.uri()).await?;
    let domain = connection.domain_lookup_by_name("test").await?;
    for _ in 0..STORM {
        domain.suspend().await?;
        domain.resume().await?;
    }
    Ok(())
}

fn a_storm_of_events_is_told_to_all_and_slows_nobody_down(testbed: &Testbed) -> Result<(), Failed> {
    const KEPT: usize = 16;
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let calling = Connection::open(&daemon.uri()).await?;
        let mut handled = calling.domain_events(DomainEventId::LIFECYCLE).await?;
        // The same twice, which libvirt itself refuses.
        let mut again = calling.domain_events([DomainEventId::REBOOT, DomainEventId::LIFECYCLE]).await?;
        let builder = Connection::builder(&daemon.uri()).max_queued_events(KEPT);
        let lagging = builder.open().await?;
        let mut unread = lagging.domain_events(DomainEventId::LIFECYCLE).await?;
        let domain = lagging.domain_lookup_by_name("test").await?;
        let mut beside = domain.events(DomainEventId::LIFECYCLE).await?;

        // Whoever handles an event calls back on the same connection, also about what the event is of.
        let handling = async {
            for number in 0..2 * STORM {
                let DomainEvent::Lifecycle { domain, event, .. } = next(&mut handled).await? else {
                    return Err(Failed::from("another event"));
                };
                let expected =
                    if number % 2 == 0 { DomainEventType::SUSPENDED } else { DomainEventType::RESUMED };
                assert_eq!((event, domain.name().to_string().as_str()), (expected, "test"));
                domain.info().await?;
                if number % 50 == 0 {
                    drop(calling.network_events(NetworkEventId::LIFECYCLE).await?);
                }
            }
            nothing(&mut handled).await
        };
        // Beside a subscription that nobody reads: none is missing without being counted, and calls are answered.
        let reading = async {
            let mut told = 0;
            while told < 2 * STORM as u64 {
                match tokio::time::timeout(Duration::from_secs(20), beside.next()).await? {
                    Some(Ok(_)) => told += 1,
                    Some(Err(Error::Lagged(lost))) => told += lost,
                    other => return Err(format!("{other:?}").into()),
                }
                domain.state().await?;
            }
            assert_eq!(told, 2 * STORM as u64);
            nothing(&mut beside).await
        };
        let (stormed, handled, read) = tokio::join!(storm(&daemon), handling, reading);
        stormed.and(handled).and(read)?;
        for _ in 0..2 * STORM {
            next(&mut again).await?;
        }
        nothing(&mut again).await?;

        // What is left of the one that nobody read: how many it lost, and the last.
        let lost = 2 * STORM - KEPT;
        assert!(matches!(unread.next().await, Some(Err(Error::Lagged(n))) if n == lost as u64));
        for number in lost..2 * STORM {
            let DomainEvent::Lifecycle { event, .. } = next(&mut unread).await? else {
                return Err("another event".into());
            };
            let expected =
                if number % 2 == 0 { DomainEventType::SUSPENDED } else { DomainEventType::RESUMED };
            assert_eq!(event, expected);
        }
        nothing(&mut unread).await
    })
}

fn subscriptions_come_and_go_in_a_storm(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        // Somebody else listens all the time. Where an event comes at the very moment at which the last callback of all
        // goes, a daemon may queue it without telling its timer, and then tells nobody of any other.
        let listening = Connection::open(&daemon.uri()).await?;
        let _listens = listening.domain_events(DomainEventId::LIFECYCLE).await?;
        let churn = async {
            for number in 0..40 {
                let mut events = match number % 2 {
                    0 => connection.domain_events(DomainEventId::LIFECYCLE).await?,
                    _ => domain.events(DomainEventId::LIFECYCLE).await?,
                };
                // At whatever point of the storm: with events that wait, or on their way.
                let event = next(&mut events).await.map_err(|error| format!("{number}: {error:?}"))?;
                assert!(matches!(event, DomainEvent::Lifecycle { .. }));
                drop(events);
                domain.info().await?;
            }
            Ok::<_, Failed>(())
        };
        let done = AtomicBool::new(false);
        // Another storm where one is over before the subscriptions are.
        let storms = async {
            while !done.load(Ordering::Relaxed) {
                storm(&daemon).await?;
            }
            Ok::<_, Failed>(())
        };
        let churn = async {
            let churned = churn.await;
            done.store(true, Ordering::Relaxed);
            churned
        };
        let (churned, stormed) = tokio::join!(churn, storms);
        churned.and(stormed)?;
        // Nothing of it is left: the next one gets its own events alone, each once.
        let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        domain.suspend().await?;
        next(&mut events).await?;
        nothing(&mut events).await
    })
}

fn two_real_drivers_that_number_their_callbacks_alike_never_mix(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let uri = format!("qemu+unix:///system?socket={}", daemon.socket().display());
    run(async {
        let connection = Connection::open(&uri).await?;
        // They do number alike: the first of each has the same number.
        let args = remote::ConnectDomainEventCallbackRegisterAnyArgs { event_id: 0, dom: None };
        let domain = connection.call(&args).await?.callback_id;
        let args = remote::ConnectNetworkEventRegisterAnyArgs { event_id: 0, net: None };
        let network = connection.call(&args).await?.callback_id;
        let args = remote::ConnectStoragePoolEventRegisterAnyArgs { event_id: 0, pool: None };
        let pool = connection.call(&args).await?.callback_id;
        let args = remote::ConnectSecretEventRegisterAnyArgs { event_id: 0, secret: None };
        let secret = connection.call(&args).await?.callback_id;
        assert_eq!((network, pool, secret), (domain, domain, domain));
        let callback_id = domain;
        connection.call(&remote::ConnectDomainEventCallbackDeregisterAnyArgs { callback_id }).await?;
        connection.call(&remote::ConnectNetworkEventDeregisterAnyArgs { callback_id }).await?;
        connection.call(&remote::ConnectStoragePoolEventDeregisterAnyArgs { callback_id }).await?;
        connection.call(&remote::ConnectSecretEventDeregisterAnyArgs { callback_id }).await?;

        let mut domains = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        let mut networks = connection.network_events(NetworkEventId::LIFECYCLE).await?;
        let mut pools = connection.storage_pool_events(StoragePoolEventId::LIFECYCLE).await?;
        let mut secrets = connection.secret_events(SecretEventId::LIFECYCLE).await?;
        for round in 0..5 {
            let name = format!("virtwire-{round}");
            let xml = format!("<network><name>{name}</name></network>");
            let network = connection.network_define_xml(xml, NetworkDefineFlags::empty()).await?;
            let xml =
                format!("<pool type='dir'><name>{name}</name><target><path>/nowhere</path></target></pool>");
            let pool = connection.storage_pool_define_xml(xml, StoragePoolDefineFlags::empty()).await?;
            let xml =
                format!("<secret ephemeral='yes'><usage type='ceph'><name>{name}</name></usage></secret>");
            let secret = connection.secret_define_xml(xml, SecretDefineFlags::empty()).await?;
            let xml = tiny_guest_xml(&name);
            let domain = connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
            network.undefine().await?;
            secret.undefine().await?;
            domain.undefine(DomainUndefineFlags::empty()).await?;
            pool.undefine().await?;
            for (event, code) in [
                (DomainEventType::DEFINED, DomainEventDefinedDetailType::ADDED.0),
                (DomainEventType::UNDEFINED, DomainEventUndefinedDetailType::REMOVED.0),
            ] {
                let detail = DomainEventDetail::new(event, code);
                let expected = DomainEvent::Lifecycle { domain: domain.clone(), event, detail };
                assert_eq!(next(&mut domains).await?, expected);
            }
            for event in [NetworkEventLifecycleType::DEFINED, NetworkEventLifecycleType::UNDEFINED] {
                let expected = NetworkEvent::Lifecycle { network: network.clone(), event, detail: 0 };
                assert_eq!(next(&mut networks).await?, expected);
            }
            for event in [StoragePoolEventLifecycleType::DEFINED, StoragePoolEventLifecycleType::UNDEFINED] {
                let expected = StoragePoolEvent::Lifecycle { pool: pool.clone(), event, detail: 0 };
                assert_eq!(next(&mut pools).await?, expected);
            }
            for event in [SecretEventLifecycleType::DEFINED, SecretEventLifecycleType::UNDEFINED] {
                let expected = SecretEvent::Lifecycle { secret: secret.clone(), event, detail: 0 };
                assert_eq!(next(&mut secrets).await?, expected);
            }
        }
        // No event of the others is taken for one of a domain.
        nothing(&mut domains).await?;
        // And the end of one is the end of that one.
        drop(networks);
        let xml = "<secret ephemeral='yes'><usage type='ceph'><name>last</name></usage></secret>";
        let secret = connection.secret_define_xml(xml, SecretDefineFlags::empty()).await?;
        let event = SecretEventLifecycleType::DEFINED;
        assert_eq!(next(&mut secrets).await?, SecretEvent::Lifecycle { secret, event, detail: 0 });
        Ok(())
    })
}

fn a_guest_and_its_monitor_tell(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let uri = format!("qemu+unix:///system?socket={}", daemon.socket().display());
    run(async {
        let connection = Connection::open(&uri).await?;
        let mut life = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        let flags = DomainQemuMonitorEventRegisterFlags::REGEX | DomainQemuMonitorEventRegisterFlags::NOCASE;
        let mut monitor = connection.qemu_monitor_events(Some("^(stop|res[a-z]*)$"), flags).await?;
        let guest = connection.domain_create_xml(tiny_guest_xml("tiny"), DomainCreateFlags::empty()).await?;
        let mut stops =
            guest.qemu_monitor_events(Some("STOP"), DomainQemuMonitorEventRegisterFlags::empty()).await?;
        guest.suspend().await?;
        guest.resume().await?;
        guest.destroy(DomainDestroyFlags::empty()).await?;

        let mut happened = Vec::new();
        while happened.last() != Some(&DomainEventType::STOPPED) {
            let DomainEvent::Lifecycle { domain, event, .. } = next(&mut life).await? else {
                return Err("no lifecycle event".into());
            };
            assert_eq!(domain, guest);
            happened.push(event);
        }
        assert!(happened.contains(&DomainEventType::STARTED), "{happened:?}");
        assert!(happened.contains(&DomainEventType::SUSPENDED), "{happened:?}");

        let mut told = Vec::new();
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(300), monitor.next()).await {
            let event = event.ok_or("no more events")??;
            assert_eq!(event.domain, guest);
            assert!(event.time().ok_or("a time")?.elapsed()? < Duration::from_secs(300));
            told.push(event.event.to_string());
        }
        // The guest goes on when it is started, and when it is resumed.
        assert_eq!(told, ["RESUME", "STOP", "RESUME"]);
        assert_eq!(next(&mut stops).await?.event, "STOP");
        nothing(&mut stops).await
    })
}
