//! The client judged by a real libvirtd.

use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use virtwire::proto::connection::CloseReason;
use virtwire::proto::enums::{DomainEventId, DomainEventType, DomainState, ErrorDomain, ErrorNumber};
use virtwire::proto::flags::{
    DomainCreateFlags, DomainDefineFlags, DomainDestroyFlags, DomainUndefineFlags, DomainXmlFlags,
    ListAllDomainsFlags, StoragePoolCreateFlags, StorageVolDownloadFlags, StorageVolUploadFlags,
};
use virtwire::proto::program::remote;
use virtwire::{CallOptions, Chunk, Connection, DomainEvent, Error, Subscription};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Signal, Testbed, tests};

fn main() -> ExitCode {
    virtwire_testbed::run_tests(tests![
        the_default_node_is_there,
        a_domains_life_with_its_events,
        errors_are_whole,
        a_read_only_connection_changes_nothing,
        fifty_calls_at_once_on_default_settings,
        tcp_carries_the_same,
        a_killed_daemon_fails_all_that_is_pending,
        a_frozen_daemon_counts_as_dead,
        a_connection_closes_in_order,
        a_screenshot_is_a_stream,
        volumes_pass_both_ways_with_their_holes,
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
        let error = Connection::open(&format!("test+libssh://127.0.0.1:{port}/default")).await.unwrap_err();
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
        // A guard against hanging; `daemon_deaths` says how long it takes.
        assert!(killed.elapsed() < Duration::from_secs(10));
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

fn a_frozen_daemon_counts_as_dead(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let second = Duration::from_secs(1);
        let connection = Connection::builder(&daemon.uri()).keepalive(second, 2).open().await?;
        // It answers: nothing happens.
        tokio::time::sleep(second * 4).await;
        assert!(connection.is_alive());
        let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        daemon.kill(Signal::STOP)?;
        let begin = std::time::Instant::now();
        let error = connection.hostname().await.unwrap_err();
        assert!(matches!(error, Error::Closed { reason: CloseReason::Keepalive { .. }, .. }), "{error:?}");
        assert!(begin.elapsed() > second * 2, "{:?}", begin.elapsed());
        assert!(events.next().await.ok_or("its end")?.unwrap_err().is_closed());
        daemon.kill(Signal::CONT)?;
        Ok(())
    })
}

fn a_screenshot_is_a_stream(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let dom = connection.domain_lookup_by_name("test").await?.handle().clone();
        let args = remote::DomainScreenshotArgs { dom, screen: 0, flags: 0 };
        let (reply, mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        assert_eq!(reply.mime.ok_or("no type")?, "image/png");
        let mut image = Vec::new();
        stream.read_to_end(&mut image).await?;
        assert!(image.starts_with(b"\x89PNG") && image.ends_with(b"IEND\xae\x42\x60\x82"));
        // The daemon has let it go: it opens another, and answers.
        for _ in 0..3 {
            drop(connection.open_stream(&args, CallOptions::new()).await?);
        }
        assert!(connection.hostname().await.is_ok());
        Ok(())
    })
}

fn volumes_pass_both_ways_with_their_holes(testbed: &Testbed) -> Result<(), Failed> {
    const LEN: usize = 8 << 20;
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?;
    let uri = format!("storage+unix:///system?socket={}", daemon.socket().display());
    let folder = daemon.folder().join("pool");
    run(async {
        let connection = Connection::open(&uri).await?;
        let target = folder.display();
        let xml = format!("<pool type='dir'><name>p</name><target><path>{target}</path></target></pool>");
        let flags = StoragePoolCreateFlags::WITH_BUILD.bits();
        let pool = connection.call(&remote::StoragePoolCreateXmlArgs { xml: xml.into(), flags }).await?.pool;
        let xml =
            format!("<volume><name>v</name><capacity>{LEN}</capacity><allocation>0</allocation></volume>");
        let vol =
            connection.call(&remote::StorageVolCreateXmlArgs { pool, xml: xml.into(), flags: 0 }).await?.vol;

        // A mebibyte of numbers, a hole of six, and a mebibyte of numbers.
        let data: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
        let flags = StorageVolUploadFlags::SPARSE_STREAM.bits();
        let args = remote::StorageVolUploadArgs { vol: vol.clone(), offset: 0, length: 0, flags };
        let ((), mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        stream.write_all(&data).await?;
        stream.send_hole(6 << 20).await?;
        stream.write_all(&data).await?;
        stream.finish().await?;

        let args = remote::StorageVolDownloadArgs { vol: vol.clone(), offset: 0, length: 0, flags: 0 };
        let ((), mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        assert_eq!(all.len(), LEN);
        assert!(all.starts_with(&data) && all.ends_with(&data));
        assert!(all[data.len()..LEN - data.len()].iter().all(|&byte| byte == 0));

        let flags = StorageVolDownloadFlags::SPARSE_STREAM.bits();
        let args = remote::StorageVolDownloadArgs { vol: vol.clone(), offset: 0, length: 0, flags };
        let ((), mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        let (mut solid, mut holes) = (0, 0);
        while let Some(chunk) = stream.receive().await? {
            match chunk {
                Chunk::Data(data) => solid += data.len() as u64,
                Chunk::Hole(length) => holes += length,
            }
            // Calls between two reads.
            connection.lib_version().await?;
        }
        assert_eq!((solid, holes), (2 << 20, 6 << 20));

        // A stream that is refused is an error, and no more than that.
        std::fs::remove_file(folder.join("v"))?;
        let args = remote::StorageVolDownloadArgs { vol, offset: 0, length: 0, flags: 0 };
        let error = connection.open_stream(&args, CallOptions::new()).await.unwrap_err();
        assert!(error.libvirt().is_some(), "{error}");
        assert!(connection.is_alive());
        Ok(())
    })
}
