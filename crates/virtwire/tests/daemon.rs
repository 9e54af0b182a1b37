//! The client judged by a real libvirtd.

use std::process::ExitCode;
use std::time::Duration;
use virtwire::proto::enums::{DomainEventId, DomainEventType, DomainState, ErrorDomain, ErrorNumber};
use virtwire::proto::flags::{
    DomainCreateFlags, DomainDefineFlags, DomainDestroyFlags, DomainUndefineFlags, DomainXmlFlags,
    ListAllDomainsFlags,
};
use virtwire::proto::program::remote;
use virtwire::{Connection, DomainEvent, Error, Subscription};
use virtwire_testbed::{Config, Daemon, Failed, Signal, Testbed, tests};

fn main() -> ExitCode {
    virtwire_testbed::run_tests(tests![
        the_default_node_is_there,
        a_domains_life_with_its_events,
        errors_are_whole,
        a_read_only_connection_changes_nothing,
        fifty_calls_at_once_on_default_settings,
        tcp_carries_the_same,
        a_killed_daemon_fails_all_that_is_pending,
        a_connection_closes_in_order,
    ])
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

fn the_default_node_is_there(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        assert_eq!(connection.hypervisor_type().await?, "TEST");
        assert_eq!(connection.lib_version().await?.to_string(), testbed.version().to_string());
        assert!(!connection.hostname().await?.is_empty());
        assert!(connection.capabilities().await?.to_string().starts_with("<capabilities>"));
        let node = connection.node_info().await?;
        assert_eq!((&*node.model.to_string(), node.memory, node.cpus), ("i686", 3_145_728, 16));

        let domains = connection.list_all_domains(ListAllDomainsFlags::empty()).await?;
        let [domain] = &domains[..] else { panic!("{domains:?}") };
        assert_eq!((&*domain.name().to_string(), domain.id()), ("test", Some(1)));
        let info = domain.info().await?;
        assert_eq!((info.state, info.max_memory, info.vcpus), (DomainState::RUNNING, 8_388_608, 2));
        assert_eq!(&connection.domain_lookup_by_uuid(domain.uuid()).await?, domain);
        assert_eq!(&connection.domain_lookup_by_id(1).await?, domain);
        assert_eq!(connection.list_all_domains(ListAllDomainsFlags::INACTIVE).await?, []);
        Ok(())
    })
}

async fn next(events: &mut Subscription<DomainEvent>) -> Result<(String, DomainEventType), Failed> {
    match events.next().await.ok_or("no more events")?? {
        DomainEvent::Lifecycle { domain, event, .. } => Ok((domain.name().to_string(), event)),
        other => Err(format!("{other:?}").into()),
    }
}

fn a_domains_life_with_its_events(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let mut all = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        let other = connection.domain_lookup_by_name("test").await?;
        let mut of_other = other.events(DomainEventId::LIFECYCLE).await?;

        let xml =
            "<domain type='test'><name>demo</name><memory>65536</memory><os><type>hvm</type></os></domain>";
        let demo = connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
        assert_eq!(demo.id(), None);
        let demo = demo.create(DomainCreateFlags::empty()).await?;
        assert_eq!(demo.state().await?.0, DomainState::RUNNING);
        assert!(demo.id().is_some());
        demo.suspend().await?;
        assert_eq!(demo.state().await?.0, DomainState::PAUSED);
        demo.resume().await?;
        assert!(demo.xml_desc(DomainXmlFlags::empty()).await?.to_string().contains("<name>demo</name>"));
        demo.destroy(DomainDestroyFlags::empty()).await?;
        demo.undefine(DomainUndefineFlags::empty()).await?;
        other.suspend().await?;

        for expected in [
            DomainEventType::DEFINED,
            DomainEventType::STARTED,
            DomainEventType::SUSPENDED,
            DomainEventType::RESUMED,
            DomainEventType::STOPPED,
            DomainEventType::UNDEFINED,
        ] {
            assert_eq!(next(&mut all).await?, ("demo".to_owned(), expected));
        }
        assert_eq!(next(&mut all).await?, ("test".to_owned(), DomainEventType::SUSPENDED));
        assert_eq!(next(&mut of_other).await?, ("test".to_owned(), DomainEventType::SUSPENDED));

        // A subscription that is gone stays gone, and the connection goes on.
        drop(of_other);
        other.resume().await?;
        assert_eq!(next(&mut all).await?, ("test".to_owned(), DomainEventType::RESUMED));
        Ok(())
    })
}

fn errors_are_whole(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let error = connection.domain_lookup_by_name("absent").await.unwrap_err();
        assert!(error.is_no_domain(), "{error}");
        let libvirt = error.libvirt().ok_or("libvirt's")?;
        assert_eq!((libvirt.code, libvirt.domain), (ErrorNumber::NO_DOMAIN, ErrorDomain::TEST));
        assert!(libvirt.message.to_string().starts_with("Domain not found"), "{libvirt}");
        assert!(error.to_string().starts_with("remote.domain_lookup_by_name: Domain not found"), "{error}");
        // What no daemon of these versions has is said to be newer than they are.
        if testbed.version() < virtwire_testbed::Version(12, 5, 0) {
            let dom = connection.domain_lookup_by_name("test").await?.handle().clone();
            let args = remote::DomainAnnounceInterfaceArgs { dom, ..Default::default() };
            let error = connection.call(&args).await.unwrap_err();
            assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
            assert!(error.to_string().ends_with("it came with libvirt 12.5.0"), "{error}");
        }
        let nowhere = Connection::open("test+unix:///default?socket=/nonexistent/sock").await.unwrap_err();
        assert!(matches!(nowhere, Error::Connect { .. }), "{nowhere:?}");
        Ok(())
    })
}

fn a_read_only_connection_changes_nothing(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let uri = Daemon::uri_at(&daemon.socket_ro());
        let connection = Connection::builder(&uri).read_only(true).open().await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        let error = domain.destroy(DomainDestroyFlags::empty()).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorNumber::OPERATION_DENIED), "{error}");
        Ok(())
    })
}

fn fifty_calls_at_once_on_default_settings(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let domain = domain.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        domain.info().await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        assert!(connection.is_alive());
        Ok(())
    })
}

fn tcp_carries_the_same(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().listen_tcp())?;
    let port = daemon.tcp_port().ok_or("no port")?;
    run(async {
        let connection = Connection::open(&format!("test+tcp://127.0.0.1:{port}/default")).await?;
        assert_eq!(*connection.domain_lookup_by_id(1).await?.name(), "test");
        let error = Connection::open(&format!("test+tls://127.0.0.1:{port}/default")).await.unwrap_err();
        assert!(matches!(error, Error::UnsupportedTransport { .. }), "{error:?}");
        Ok(())
    })
}

fn a_killed_daemon_fails_all_that_is_pending(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        daemon.kill(Signal::STOP)?;
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let connection = connection.clone();
                tokio::spawn(async move { connection.hostname().await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let killed = std::time::Instant::now();
        daemon.kill(Signal::KILL)?;
        for call in calls {
            assert!(call.await?.unwrap_err().is_closed());
        }
        assert!(events.next().await.ok_or("its end")?.unwrap_err().is_closed());
        assert!(events.next().await.is_none());
        assert!(killed.elapsed() < Duration::from_secs(1));
        Ok(())
    })
}

fn a_connection_closes_in_order(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        connection.close().await?;
        assert!(domain.info().await.unwrap_err().is_closed());
        Ok(())
    })
}
