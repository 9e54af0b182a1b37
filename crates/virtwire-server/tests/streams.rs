//! Streams, both ways, with every ending.

mod common;

use bytes::Bytes;
use common::raw::Raw;
use common::soon;
use common::tiny::{Outcome, PART, Tiny, domain, server, tiny, volume};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use virtwire_proto::connection::{StreamEvent, StreamFailure};
use virtwire_proto::packet::Serial;
use virtwire_proto::program::remote::*;
use virtwire_server::{Config, Server, StreamError, StreamItem};

/// Everything that a stream test needs.
struct Bench {
    raw: Raw,
    tiny: Arc<Tiny>,
    outcomes: UnboundedReceiver<Outcome>,
}

async fn bench_on(make: impl FnOnce(&Arc<Tiny>) -> Server) -> Bench {
    let (tiny, outcomes) = tiny();
    Bench { raw: Raw::opened(&make(&tiny)).await, tiny, outcomes }
}

async fn bench() -> Bench {
    bench_on(server).await
}

impl Bench {
    async fn download(&mut self, ending: &str, parts: u32) -> Serial {
        let vol = volume(ending);
        let serial = self.raw.start(&StorageVolDownloadArgs { vol, offset: 0, length: 0, flags: parts });
        self.raw.reply(serial).await.unwrap();
        serial
    }

    async fn upload(&mut self, ending: &str) -> Serial {
        let vol = volume(ending);
        let serial = self.raw.start(&StorageVolUploadArgs { vol, offset: 0, length: 0, flags: 0 });
        self.raw.reply(serial).await.unwrap();
        serial
    }

    async fn outcome(&mut self) -> Outcome {
        soon(self.outcomes.recv()).await.unwrap()
    }

    /// Reads data until something else comes.
    async fn data(&mut self, serial: Serial) -> (Vec<u8>, StreamEvent) {
        let mut all = Vec::new();
        loop {
            match self.raw.stream(serial).await {
                StreamEvent::Data(data) => all.extend_from_slice(&data),
                other => return (all, other),
            }
        }
    }

    /// The error that a stream ended with.
    async fn failure(&mut self, serial: Serial) -> String {
        match self.data(serial).await.1 {
            StreamEvent::Failed(StreamFailure::Server(error)) => {
                error.message.unwrap().to_string_lossy().into()
            }
            other => panic!("no failure: {other:?}"),
        }
    }

    /// The connection is as good as before.
    async fn works(&mut self) {
        self.raw.call(&ConnectGetHostnameArgs {}).await.unwrap();
    }
}

#[tokio::test]
async fn a_download_arrives_whole_and_is_confirmed_by_both() {
    let mut bench = bench().await;
    let serial = bench.download("well", 40).await;
    let (data, event) = bench.data(serial).await;
    assert!(matches!(event, StreamEvent::End), "{event:?}");
    assert_eq!(data.len(), 40 * PART);
    assert!(
        data.chunks(PART).enumerate().all(|(number, part)| part.iter().all(|byte| *byte == number as u8))
    );
    bench.raw.machine.finish(serial).unwrap();
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Finished));
    assert_eq!(bench.outcome().await, (Ok(()), Vec::new()));
}

#[tokio::test]
async fn a_hole_arrives_as_a_hole() {
    let mut bench = bench().await;
    let serial = bench.download("holes", 1).await;
    let (data, event) = bench.data(serial).await;
    assert_eq!(data.len(), PART);
    assert!(matches!(event, StreamEvent::Hole { length, .. } if length == 1 << 40), "{event:?}");
}

#[tokio::test]
async fn a_download_that_fails_tells_the_error() {
    let mut bench = bench().await;
    let serial = bench.download("failing", 3).await;
    assert_eq!(bench.failure(serial).await, "cannot read");
    bench.works().await;
}

#[tokio::test]
async fn a_dropped_stream_fails() {
    let mut bench = bench().await;
    let serial = bench.download("dropped", 3).await;
    assert_eq!(bench.failure(serial).await, "stream had unexpected termination");
    bench.works().await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_or_failed_before_its_call_is_answered_fails() {
    let mut bench = bench().await;
    let serial = bench.upload("lost").await;
    assert_eq!(bench.failure(serial).await, "stream had unexpected termination");
    let serial = bench.upload("at once").await;
    assert_eq!(bench.failure(serial).await, "cannot write");
    bench.works().await;
}

#[tokio::test]
async fn a_stream_whose_call_fails_was_never_there() {
    let mut bench = bench().await;
    let args = StorageVolDownloadArgs { vol: volume("refused"), offset: 0, length: 0, flags: 0 };
    assert_eq!(bench.raw.call(&args).await.unwrap_err().code, 50);
    assert_eq!(bench.outcome().await.0, Err(StreamError::NotOpened));
    bench.works().await;
}

#[tokio::test]
async fn a_client_may_abort_a_download() {
    let mut bench = bench().await;
    let serial = bench.download("well", u32::MAX).await;
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Data(_)));
    bench.raw.machine.abort(serial);
    bench.raw.flush().await;
    bench.works().await;
    assert_eq!(bench.outcome().await.0, Err(StreamError::Aborted));
}

#[tokio::test]
async fn a_client_may_finish_a_download_early() {
    let mut bench = bench().await;
    let serial = bench.download("well", u32::MAX).await;
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Data(_)));
    bench.raw.machine.finish(serial).unwrap();
    let (_, event) = bench.data(serial).await;
    assert!(matches!(event, StreamEvent::Finished), "{event:?}");
    assert_eq!(bench.outcome().await.0, Err(StreamError::Finished));
}

#[tokio::test]
async fn a_stream_ends_with_its_client() {
    let mut bench = bench().await;
    bench.download("well", u32::MAX).await;
    drop(std::mem::replace(&mut bench.raw, Raw::joined(&server(&bench.tiny))));
    assert_eq!(bench.outcome().await.0, Err(StreamError::Disconnected));
}

#[tokio::test]
async fn a_download_that_nobody_reads_waits() {
    let mut bench = bench().await;
    let serial = bench.download("well", 10_000).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let waiting = format!("{:?}", bench.tiny.client());
    assert!(!waiting.is_empty());
    // 1 GB would have been sent; what the sockets and the window hold is there, and calls pass it.
    bench.works().await;
    bench.raw.machine.abort(serial);
    bench.raw.flush().await;
    assert_eq!(bench.outcome().await.0, Err(StreamError::Aborted));
}

#[tokio::test]
async fn an_upload_arrives_in_order_and_is_confirmed() {
    let mut bench = bench().await;
    let serial = bench.upload("well").await;
    bench.raw.send(serial, &b"one"[..]);
    bench.raw.machine.send_hole(serial, 4096, 0).unwrap();
    bench.raw.send(serial, &b"two"[..]);
    bench.raw.machine.finish(serial).unwrap();
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Finished));
    let data = |text: &'static str| StreamItem::Data(Bytes::from_static(text.as_bytes()));
    assert_eq!(bench.outcome().await, (Ok(()), vec![data("one"), StreamItem::Hole(4096), data("two")]));
}

#[tokio::test]
async fn an_upload_that_fails_tells_the_error() {
    let mut bench = bench().await;
    let serial = bench.upload("failing").await;
    bench.raw.send(serial, &b"one"[..]);
    bench.raw.machine.finish(serial).unwrap();
    assert_eq!(bench.failure(serial).await, "cannot write");
    bench.works().await;
}

#[tokio::test]
async fn a_client_may_abort_an_upload() {
    let mut bench = bench().await;
    let serial = bench.upload("well").await;
    bench.raw.send(serial, &b"one"[..]);
    bench.raw.machine.abort(serial);
    bench.works().await;
    assert_eq!(bench.outcome().await.0, Err(StreamError::Aborted));
}

#[tokio::test]
async fn an_upload_faster_than_its_service_is_held_back_and_arrives_whole() {
    let settings = Config::new().stream_window(256 << 10);
    let mut bench = bench_on(|tiny| server(tiny).with_config(settings)).await;
    let serial = bench.upload("slow").await;
    let part = Bytes::from(vec![5; 1 << 20]);
    for _ in 0..32 {
        bench.raw.send(serial, part.clone());
    }
    let held = tokio::time::timeout(std::time::Duration::from_millis(150), bench.raw.flush()).await;
    assert!(held.is_err(), "32 MiB were taken for a service that receives nothing yet");
    // What was being written when the time was over is lost with it: this stream is at its end.
    drop(std::mem::replace(&mut bench.raw, Raw::joined(&server(&bench.tiny))));
    assert_eq!(bench.outcome().await.0, Err(StreamError::Disconnected));
    let mut other = Bench { raw: Raw::opened(&server(&bench.tiny)).await, ..bench };
    let serial = other.upload("slow").await;
    for _ in 0..32 {
        other.raw.send(serial, part.clone());
    }
    other.raw.machine.finish(serial).unwrap();
    assert!(matches!(other.raw.stream(serial).await, StreamEvent::Finished));
    let (result, items) = other.outcome().await;
    let total: usize =
        items.iter().map(|item| if let StreamItem::Data(data) = item { data.len() } else { 0 }).sum();
    assert_eq!((result, total), (Ok(()), 32 << 20));
}

#[tokio::test]
async fn a_console_goes_both_ways_until_either_ends_it() {
    let mut bench = bench().await;
    let args = DomainOpenConsoleArgs { dom: domain(), dev_name: None, flags: 0 };
    let serial = bench.raw.start(&args);
    bench.raw.reply(serial).await.unwrap();
    for word in [&b"hello"[..], b"world"] {
        bench.raw.send(serial, word);
        assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Data(data) if data == word));
    }
    bench.raw.send(serial, &b"bye"[..]);
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::End));
    bench.raw.machine.finish(serial).unwrap();
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Finished));
    assert_eq!(bench.outcome().await.0, Ok(()));

    let serial = bench.raw.start(&args);
    bench.raw.reply(serial).await.unwrap();
    bench.raw.send(serial, &b"once"[..]);
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Data(_)));
    bench.raw.machine.finish(serial).unwrap();
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Finished));
    assert_eq!(bench.outcome().await.0, Ok(()));
}

#[tokio::test]
async fn data_on_a_download_is_thrown_away_once_it_is_finishing() {
    let mut bench = bench().await;
    let serial = bench.download("well", 1).await;
    let (_, event) = bench.data(serial).await;
    assert!(matches!(event, StreamEvent::End));
    for _ in 0..8 {
        bench.raw.send(serial, Bytes::from(vec![1; 1 << 20]));
    }
    bench.raw.machine.finish(serial).unwrap();
    assert!(matches!(bench.raw.stream(serial).await, StreamEvent::Finished));
    bench.works().await;
}
