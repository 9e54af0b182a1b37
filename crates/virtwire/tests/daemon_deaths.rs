//! A real libvirtd that is killed or frozen while much is open on a connection: all of it fails, quickly and with the
//! reason, and nothing is left behind. A program of its own, for it counts what the process has.
#![cfg(unix)]

#[path = "support/slow.rs"]
mod slow;

use peak_alloc::PeakAlloc;
use slow::Slow;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use virtwire::flags::{StorageVolCreateFlags, StorageVolDownloadFlags, StorageVolUploadFlags};
use virtwire::proto::connection::CloseReason;
use virtwire::proto::enums::StoragePoolEventId;
use virtwire::{Connection, Error};
use virtwire_testbed::{Config, Failed, Signal, Test, Testbed};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CALLS: usize = 100;
const STREAMS: usize = 10;
const SUBSCRIPTIONS: usize = 10;
const ROUNDS: usize = 4;
/// How much more memory may be in use after a round than after the first.
const SLACK: usize = 64 * 1024;

fn main() -> ExitCode {
    virtwire_testbed::run_tests(vec![
        Test::new("whatever_is_open_fails_when_the_daemon_dies_or_freezes", every_death)
            .limit(Duration::from_secs(300)),
    ])
}

/// One after the other: they count the descriptors of one process.
fn every_death(testbed: &Testbed) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for signal in [Signal::KILL, Signal::STOP] {
        let mut first = None;
        for round in 0..ROUNDS {
            let took = runtime.block_on(async {
                match tokio::time::timeout(Duration::from_secs(60), death(testbed, signal)).await {
                    Ok(result) => result,
                    Err(_) => Err("hangs".into()),
                }
            })?;
            let expected = first.map(|(descriptors, _)| descriptors);
            let left = settled(expected);
            let (descriptors, memory) = *first.get_or_insert(left);
            println!("{signal:?}: {took:?}; left: {} descriptors, {} bytes", left.0, left.1);
            assert!(took < Duration::from_secs(10), "{took:?}");
            assert_eq!(left.0, descriptors, "descriptors, in round {round}");
            assert!(left.1 <= memory + SLACK, "{} bytes are left, {memory} after the first round", left.1);
        }
    }
    Ok(())
}

/// What the process has once what ends in the background has ended.
fn settled(descriptors: Option<usize>) -> (usize, usize) {
    let count = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let deadline = Instant::now() + Duration::from_secs(10);
    virtwire_testbed::wait_until(deadline, || descriptors.is_none_or(|expected| count() == expected));
    std::thread::sleep(Duration::from_millis(200));
    (count(), MEMORY.current_usage())
}

/// Opens everything, sends the daemon the signal, and gives how long it took until all had failed.
async fn death(testbed: &Testbed, signal: Signal) -> Result<Duration, Failed> {
    let slow = Slow::start(testbed, Config::new(), "sleep 60")?;
    let (interval, count) = (Duration::from_millis(500), 3);
    let connection = Connection::builder(&slow.uri()).keepalive(interval, count).open().await?;
    let pool = slow.pool(&connection, "pool").await?;

    let mut ends = Vec::new();
    for number in 0..SUBSCRIPTIONS {
        let pool = slow.pool(&connection, &format!("pool{number}")).await?;
        let mut events = pool.events(StoragePoolEventId::LIFECYCLE).await?;
        ends.push(tokio::spawn(async move {
            let error = events.next().await.expect("its end").expect_err("an error");
            assert!(events.next().await.is_none());
            error
        }));
    }
    let (dead, _) = watch::channel(false);
    for number in 0..STREAMS {
        let xml = format!("<volume><name>s{number}</name><capacity>67108864</capacity></volume>");
        let volume = pool.vol_create_xml(xml, StorageVolCreateFlags::empty()).await?;
        if number % 2 == 0 {
            let mut stream = volume.upload(0, 0, StorageVolUploadFlags::empty()).await?;
            stream.send(vec![1; 1 << 20]).await?;
            ends.push(tokio::spawn(async move { stream.receive().await.expect_err("an error") }));
        } else {
            // One that has stopped to take what comes.
            let mut stream = volume.download(0, 0, StorageVolDownloadFlags::empty()).await?;
            stream.receive().await?.ok_or("data")?;
            let mut dead = dead.subscribe();
            ends.push(tokio::spawn(async move {
                dead.wait_for(|&dead| dead).await.expect("the test goes on");
                loop {
                    match stream.receive().await {
                        Ok(chunk) => assert!(chunk.is_some(), "it has not come to its end"),
                        Err(error) => break error,
                    }
                }
            }));
        }
    }
    for number in 0..CALLS {
        let pool = pool.clone();
        ends.push(tokio::spawn(async move {
            slow::call(&pool, format!("v{number}")).await.expect_err("an error")
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(ends.iter().all(|end| !end.is_finished()), "all is open");

    let begin = Instant::now();
    slow.daemon.kill(signal)?;
    dead.send_replace(true);
    for end in ends {
        let error = end.await?;
        let Error::Closed { reason, .. } = &error else { return Err(format!("{error:?}").into()) };
        let expected = match reason {
            CloseReason::Peer => signal == Signal::KILL,
            CloseReason::Keepalive { .. } => signal == Signal::STOP,
            _ => false,
        };
        assert!(expected, "{error:?}");
    }
    let took = begin.elapsed();
    assert!(!connection.is_alive());
    if signal == Signal::STOP {
        assert!(took >= interval * count, "the limit is later: {took:?}");
        slow.daemon.kill(Signal::KILL)?;
    }
    Ok(took)
}
