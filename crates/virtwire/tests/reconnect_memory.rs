//! A thousand reconnections leave nothing behind.

mod support;

use peak_alloc::PeakAlloc;
use std::time::Duration;
use support::{Peer, builder};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use virtwire::enums::DomainEventId;
use virtwire::proto::program::remote;
use virtwire::{CallOptions, DomainEvent, Error, Reconnect, Subscription};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

async fn admit(peer: &mut Peer, callback_id: i32) {
    let id = peer.call_of::<remote::ConnectDomainEventCallbackRegisterAnyArgs>().await.id;
    let ret = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id };
    peer.with(move |server| server.reply(id, &ret).unwrap()).await;
}

async fn gap(events: &mut Subscription<DomainEvent>) {
    assert!(matches!(events.next().await, Some(Err(Error::Gap(_)))));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn a_thousand_reconnections_leave_nothing_behind() {
    let (arrived, mut peers) = mpsc::unbounded_channel();
    let connect = move || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        arrived.send(Peer::start(theirs)).ok();
        std::future::ready(Ok(ours))
    };
    let settings = Reconnect::new().initial_delay(Duration::ZERO).max_delay(Duration::ZERO);
    let connection = builder().reconnect(settings).open_with_unix(connect).await.unwrap();
    let mut peer = peers.recv().await.unwrap();
    let subscribing = tokio::spawn({
        let connection = connection.clone();
        async move { connection.domain_events(DomainEventId::LIFECYCLE).await }
    });
    admit(&mut peer, 0).await;
    let mut events = subscribing.await.unwrap().unwrap();

    let mut before = None;
    for round in 1..=1_200 {
        // With a call and the opening of a stream in flight.
        let calls = [false, true].map(|streams| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let args = remote::StorageVolDownloadArgs::default();
                if streams {
                    connection.open_stream(&args, CallOptions::new()).await.map(drop)
                } else {
                    connection.hostname().await.map(drop)
                }
            })
        });
        peer.call().await;
        peer.call().await;
        peer.die().await;
        for call in calls {
            assert!(call.await.unwrap().unwrap_err().is_closed());
        }
        peer = peers.recv().await.unwrap();
        admit(&mut peer, round).await;
        gap(&mut events).await;
        if round == 200 {
            before = Some((MEMORY.current_usage(), descriptors()));
        }
    }
    let (memory, open) = before.unwrap();
    assert_eq!(connection.reconnects(), 1_200);
    assert_eq!(descriptors(), open);
    let grown = MEMORY.current_usage().saturating_sub(memory);
    // Less than a small thing a round.
    assert!(grown < 16 * 1024, "{grown} bytes more than after 200");
}
