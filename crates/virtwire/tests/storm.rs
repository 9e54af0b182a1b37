//! Everything at once from many tasks on several threads: calls that are answered, cancelled and too late, streams
//! and subscriptions that come and go. Whatever happens, nothing hangs, and the connection still answers.

mod support;

use bytes::Bytes;
use std::time::Duration;
use support::{builder, connect_with};
use virtwire::proto::connection::{ServerEvent, ServerStreamEvent};
use virtwire::proto::enums::DomainEventId;
use virtwire::proto::program::{Call, remote};
use virtwire::{CallOptions, Connection, Error};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

async fn act(connection: Connection, seed: u64) -> Result<(), Error> {
    let mut numbers = Numbers(seed);
    for _ in 0..60 {
        let call = connection.lib_version();
        let patience = Duration::from_micros(numbers.below(2_000));
        match numbers.below(6) {
            0 | 1 => assert_eq!(call.await?.number(), 12_008_000),
            // Cancelled, at some point or other.
            2 => drop(tokio::time::timeout(patience, call).await),
            3 => match connection
                .call_with(&remote::ConnectGetTypeArgs, CallOptions::new().timeout(patience))
                .await
            {
                Ok(_) | Err(Error::Timeout { .. }) => {}
                Err(error) => return Err(error),
            },
            4 => {
                let subscribed =
                    tokio::time::timeout(patience, connection.domain_events(DomainEventId::LIFECYCLE)).await;
                drop(subscribed);
            }
            _ => {
                let args = remote::StorageVolDownloadArgs::default();
                let (_, mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
                let mut len = 0;
                while let Ok(Ok(Some(chunk))) = tokio::time::timeout(patience, stream.receive()).await {
                    let virtwire::Chunk::Data(data) = chunk else { panic!("no hole was sent") };
                    len += data.len();
                }
                assert!(len <= 50_000);
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_leaves_a_connection_that_answers() {
    let (connection, mut peer) = connect_with(builder().max_calls_in_flight(20)).await;
    let tasks: Vec<_> =
        (1..=40).map(|seed| tokio::spawn(act(connection.clone(), seed * 0x9e37_79b9_7f4a))).collect();
    let serving = tokio::spawn(async move {
        let mut callback_id = 0;
        loop {
            match peer.event().await {
                ServerEvent::Call(call) if call.procedure == remote::ConnectGetLibVersionArgs::PROCEDURE => {
                    let reply = remote::ConnectGetLibVersionRet { lib_ver: 12_008_000 };
                    peer.with(move |server| server.reply(call.id, &reply).unwrap()).await;
                }
                ServerEvent::Call(call) if call.procedure == remote::ConnectGetTypeArgs::PROCEDURE => {
                    peer.with(move |server| {
                        server.reply(call.id, &remote::ConnectGetTypeRet { type_: "TEST".into() }).unwrap();
                    })
                    .await;
                }
                ServerEvent::Call(call) if call.procedure == remote::StorageVolDownloadArgs::PROCEDURE => {
                    peer.with(move |server| {
                        server.reply(call.id, &()).unwrap();
                        server.send(call.id, Bytes::from(vec![1; 50_000])).unwrap();
                        server.end(call.id).unwrap();
                    })
                    .await;
                }
                ServerEvent::Call(call)
                    if call.procedure == remote::ConnectDomainEventCallbackRegisterAnyArgs::PROCEDURE =>
                {
                    callback_id += 1;
                    let reply = remote::ConnectDomainEventCallbackRegisterAnyRet { callback_id };
                    peer.with(move |server| server.reply(call.id, &reply).unwrap()).await;
                }
                ServerEvent::Call(call) => peer.with(move |server| server.reply(call.id, &()).unwrap()).await,
                ServerEvent::Stream { id, event: ServerStreamEvent::Finish } => {
                    peer.with(move |server| server.confirm(id).ok()).await;
                }
                ServerEvent::Closed { .. } => return,
                _ => {}
            }
        }
    });
    let all = async {
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("nothing hangs");
    assert_eq!(connection.lib_version().await.unwrap().number(), 12_008_000);
    drop(connection);
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("the socket is closed").unwrap();
}
