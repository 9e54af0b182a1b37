//! Reconnection judged by real daemons: killed and started again on the same socket, frozen and thawed.

use std::process::ExitCode;
use std::time::Duration;
use virtwire::enums::{DomainEventId, DomainEventType};
use virtwire::proto::connection::CloseReason;
use virtwire::{Connection, DomainEvent, Error, LinkEvent, Reconnect, Subscription};
use virtwire_testbed::{Config, Daemon, Failed, Signal, Testbed, tests};

fn main() -> ExitCode {
    virtwire_testbed::run_tests(tests![
        subscriptions_live_on_over_a_killed_daemon,
        a_frozen_daemon_is_waited_for,
        another_connection_is_a_client_of_its_own,
    ])
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        match tokio::time::timeout(Duration::from_secs(100), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

fn quick() -> Reconnect {
    Reconnect::new().initial_delay(Duration::from_millis(20)).max_delay(Duration::from_millis(200))
}

async fn lifecycle(events: &mut Subscription<DomainEvent>) -> Result<DomainEventType, Failed> {
    match events.next().await.ok_or("no more events")?? {
        DomainEvent::Lifecycle { event, .. } => Ok(event),
        other => Err(format!("{other:?}").into()),
    }
}

async fn gap(events: &mut Subscription<DomainEvent>) -> Result<virtwire::Gap, Failed> {
    match events.next().await {
        Some(Err(Error::Gap(gap))) => Ok(gap),
        other => Err(format!("expected a gap, got {other:?}").into()),
    }
}

/// How many clients the daemon has, as virt-admin says.
fn clients(daemon: &Daemon) -> Result<usize, Failed> {
    let output = daemon.virt_admin().args(["srv-clients-info", "libvirtd"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let count = fields.find(|(name, _)| name.trim() == "nclients");
    let count = count.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("no count of clients in {text:?}").into())
}

async fn until_clients(daemon: &Daemon, expected: usize) -> Result<(), Failed> {
    while clients(daemon)? != expected {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn subscriptions_live_on_over_a_killed_daemon(testbed: &Testbed) -> Result<(), Failed> {
    let mut daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::builder(&daemon.uri()).reconnect(quick()).open().await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        let mut all = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        let mut of_one = domain.events(DomainEventId::LIFECYCLE).await?;
        let dropped = connection.domain_events(DomainEventId::REBOOT).await?;
        for reopening in 1..=3 {
            domain.suspend().await?;
            // Seen before the loss, or not; the order holds.
            assert_eq!(lifecycle(&mut all).await?, DomainEventType::SUSPENDED);
            daemon.kill(Signal::KILL)?;
            daemon.wait(Duration::from_secs(30))?;
            let waiting = tokio::spawn({
                let connection = connection.clone();
                async move { connection.hostname().await }
            });
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!connection.is_linked() && !waiting.is_finished());
            daemon.restart(&Config::new())?;
            assert!(!waiting.await??.is_empty());
            assert_eq!(connection.reconnects(), reopening);

            let told = gap(&mut all).await?;
            assert_eq!((told.reason, told.reopening), (CloseReason::Peer, reopening));
            assert_eq!(lifecycle(&mut of_one).await?, DomainEventType::SUSPENDED);
            gap(&mut of_one).await?;
            // The new daemon's domain runs again. Each event comes once.
            for _ in 0..2 {
                domain.suspend().await?;
                domain.resume().await?;
            }
            for events in [&mut all, &mut of_one] {
                for _ in 0..2 {
                    assert_eq!(lifecycle(events).await?, DomainEventType::SUSPENDED);
                    assert_eq!(lifecycle(events).await?, DomainEventType::RESUMED);
                }
            }
            assert_eq!(clients(&daemon)?, 1);
        }
        drop(dropped);
        connection.close().await?;
        until_clients(&daemon, 0).await
    })
}

fn a_frozen_daemon_is_waited_for(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::builder(&daemon.uri())
            .keepalive(Duration::from_millis(500), 1)
            .connect_timeout(Duration::from_secs(2))
            .reconnect(quick())
            .open()
            .await?;
        let domain = connection.domain_lookup_by_name("test").await?;
        let mut events = connection.domain_events(DomainEventId::LIFECYCLE).await?;
        let mut changes = connection.link_events();
        daemon.kill(Signal::STOP)?;
        let error = connection.hostname().await.unwrap_err();
        assert!(matches!(error, Error::Closed { reason: CloseReason::Keepalive { .. }, .. }), "{error:?}");
        assert!(matches!(changes.next().await, Some(LinkEvent::Lost { .. })));
        // It lets in whoever comes, and answers nobody.
        let Some(LinkEvent::Failed { error, .. }) = changes.next().await else {
            return Err("an attempt that hangs fails".into());
        };
        assert!(matches!(*error, Error::Timeout { .. }), "{error:?}");
        daemon.kill(Signal::CONT)?;
        assert!(!connection.hostname().await?.is_empty());
        gap(&mut events).await?;
        domain.suspend().await?;
        domain.resume().await?;
        assert_eq!(lifecycle(&mut events).await?, DomainEventType::SUSPENDED);
        assert_eq!(lifecycle(&mut events).await?, DomainEventType::RESUMED);
        // What was tried meanwhile has left nothing.
        until_clients(&daemon, 1).await
    })
}

fn another_connection_is_a_client_of_its_own(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    run(async {
        let connection = Connection::open(&daemon.uri()).await?;
        let other = connection.open_another().await?;
        assert_eq!(other.uri(), connection.uri());
        assert_eq!(clients(&daemon)?, 2);
        connection.close().await?;
        until_clients(&daemon, 1).await?;
        assert!(!other.hostname().await?.is_empty());
        Ok(())
    })
}
