//! The blocking face, on the embedded hypervisor.
#![cfg(all(unix, feature = "embedded"))]

use std::io::Read;
use std::time::Duration;
use virtwire::blocking::{Io, Iterate, Wait};
use virtwire::enums::{DomainEventId, DomainEventType, DomainState};
use virtwire::{Connection, DomainEvent, Error};

fn open() -> Connection {
    let builder = Connection::builder("test:///default").call_timeout(Duration::from_secs(60));
    builder.open().wait().unwrap()
}

#[test]
fn calls_events_and_the_end_are_waited_for() {
    let connection = open();
    let mut events = connection.domain_events(DomainEventId::LIFECYCLE).wait().unwrap().iterate();
    let domain = connection.domain_lookup_by_name("test").wait().unwrap();
    domain.suspend().wait().unwrap();
    assert_eq!(domain.info().wait().unwrap().state, DomainState::PAUSED);
    domain.resume().wait().unwrap();
    let kinds: Vec<_> = events
        .by_ref()
        .take(2)
        .map(|event| match event.unwrap() {
            DomainEvent::Lifecycle { event, .. } => event,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [DomainEventType::SUSPENDED, DomainEventType::RESUMED]);
    let other = connection.clone();
    connection.close().wait().unwrap();
    assert!(matches!(events.next(), Some(Err(Error::Closed { .. }))));
    assert!(events.next().is_none());
    other.closed().wait();
}

#[test]
fn many_threads_wait_at_once() {
    let connection = open();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    connection.hostname().wait().unwrap();
                }
            });
        }
    });
}

#[test]
fn byte_streams_are_read_and_written() {
    let (ours, theirs) = tokio::io::duplex(16);
    let writing = std::thread::spawn(move || {
        let mut writer = Io::new(theirs);
        std::io::copy(&mut &[7; 1000][..], &mut writer).unwrap();
        std::io::Write::flush(&mut writer).unwrap();
        drop(writer.into_inner());
    });
    let mut data = Vec::new();
    Io::new(ours).read_to_end(&mut data).unwrap();
    assert_eq!(data, [7; 1000]);
    writing.join().unwrap();
}

#[test]
fn in_a_task_of_a_runtime_it_panics_rather_than_to_hang() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let task = runtime.spawn(async { std::future::ready(()).wait() });
    let error = runtime.block_on(task).unwrap_err();
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap();
    assert!(text.contains("runtime"), "{text}");
}
