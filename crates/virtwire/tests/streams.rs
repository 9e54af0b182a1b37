//! Streams: every end, both directions, holes, and consumers that take their time.

mod support;

use bytes::Bytes;
use std::time::{Duration, Instant};
use support::{Peer, builder, connect, connect_with, failure, open_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use virtwire::proto::connection::{CallId, ServerStreamEvent};
use virtwire::proto::program::remote;
use virtwire::{CallOptions, Chunk, Connection, Error, Stream};

async fn download(connection: &Connection, peer: &mut Peer) -> (Stream, CallId) {
    open_stream(connection, peer, remote::StorageVolDownloadArgs::default()).await
}

async fn upload(connection: &Connection, peer: &mut Peer) -> (Stream, CallId) {
    open_stream(connection, peer, remote::StorageVolUploadArgs::default()).await
}

async fn send(peer: &Peer, id: CallId, data: impl Into<Bytes>) {
    let data = data.into();
    peer.with(move |server| server.send(id, data).unwrap()).await;
}

async fn ask(connection: &Connection, peer: &mut Peer) -> Duration {
    let begin = Instant::now();
    let call = tokio::spawn({
        let connection = connection.clone();
        async move { connection.lib_version().await }
    });
    let id = peer.call_of::<remote::ConnectGetLibVersionArgs>().await.id;
    peer.with(move |server| server.reply(id, &remote::ConnectGetLibVersionRet { lib_ver: 1 }).unwrap()).await;
    call.await.unwrap().unwrap();
    begin.elapsed()
}

#[tokio::test]
async fn a_download_ends_when_the_daemon_has_confirmed_it() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, "one").await;
    assert_eq!(stream.receive().await.unwrap(), Some(Chunk::Data(Bytes::from("one"))));
    peer.with(move |server| server.end(id).unwrap()).await;
    let end = tokio::spawn(async move { stream.receive().await });
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    assert!(!end.is_finished());
    peer.with(move |server| server.confirm(id).unwrap()).await;
    assert_eq!(end.await.unwrap().unwrap(), None);
    // It is gone: dropping it said nothing.
    ask(&connection, &mut peer).await;
}

#[tokio::test]
async fn a_download_that_fails_at_its_end_says_so() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, "one").await;
    peer.with(move |server| server.end(id).unwrap()).await;
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.fail(id, &failure(38, 0, "%s", "disk on fire")).unwrap()).await;
    assert!(stream.receive().await.unwrap().is_some());
    let error = stream.receive().await.unwrap_err();
    assert!(error.to_string().starts_with("remote.storage_vol_download: disk on fire"), "{error}");
}

#[tokio::test]
async fn an_upload_succeeds_only_with_the_daemons_word() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = upload(&connection, &mut peer).await;
    stream.send("one").await.unwrap();
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Data(Bytes::from("one")));
    let finishing = tokio::spawn(stream.finish());
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.confirm(id).unwrap()).await;
    finishing.await.unwrap().unwrap();

    let (stream, id) = upload(&connection, &mut peer).await;
    let finishing = tokio::spawn(stream.finish());
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.fail(id, &failure(38, 0, "%s", "disk full")).unwrap()).await;
    let error = finishing.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
}

#[tokio::test]
async fn a_sender_learns_why_its_stream_failed() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = upload(&connection, &mut peer).await;
    peer.with(move |server| server.fail(id, &failure(38, 0, "%s", "disk full")).unwrap()).await;
    let error = loop {
        match stream.send("data").await {
            Ok(()) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("disk full"), "{error}");
    assert!(stream.finish().await.unwrap_err().to_string().contains("disk full"));
}

#[tokio::test]
async fn a_dropped_stream_is_given_up_and_others_go_on() {
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, vec![1; 1 << 20]).await;
    drop(stream);
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    ask(&connection, &mut peer).await;
    // Also while it is opened.
    let opening = tokio::spawn({
        let connection = connection.clone();
        async move { connection.open_stream(&remote::StorageVolDownloadArgs::default(), CallOptions::new()).await }
    });
    let id = peer.call_of::<remote::StorageVolDownloadArgs>().await.id;
    opening.abort();
    opening.await.unwrap_err();
    peer.with(move |server| server.reply(id, &()).unwrap()).await;
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    ask(&connection, &mut peer).await;
}

#[tokio::test]
async fn a_refused_stream_is_an_error() {
    let (connection, mut peer) = connect().await;
    let opening = tokio::spawn({
        let connection = connection.clone();
        async move {
            connection
                .open_stream(&remote::StorageVolDownloadArgs::default(), CallOptions::new())
                .await
                .map(drop)
        }
    });
    let id = peer.call().await.id;
    peer.with(move |server| server.reply_error(id, &failure(50, 18, "%s", "no such volume")).unwrap()).await;
    assert!(opening.await.unwrap().unwrap_err().to_string().contains("no such volume"));
}

#[tokio::test]
async fn holes_are_lengths_in_both_directions() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| {
        server.send(id, Bytes::from("a")).unwrap();
        server.send_hole(id, i64::MAX, 0).unwrap();
        server.send_hole(id, 7, 0).unwrap();
        server.send(id, Bytes::from("b")).unwrap();
    })
    .await;
    // Time for both holes to arrive: they are one then.
    ask(&connection, &mut peer).await;
    assert_eq!(stream.receive().await.unwrap(), Some(Chunk::Data(Bytes::from("a"))));
    assert_eq!(stream.receive().await.unwrap(), Some(Chunk::Hole(i64::MAX as u64 + 7)));
    assert_eq!(stream.receive().await.unwrap(), Some(Chunk::Data(Bytes::from("b"))));
    drop(stream);
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);

    let (mut stream, _) = upload(&connection, &mut peer).await;
    stream.send_hole(u64::MAX).await.unwrap();
    for length in [i64::MAX, i64::MAX, 1] {
        assert_eq!(peer.stream_event().await, ServerStreamEvent::Hole { length, flags: 0 });
    }
}

#[tokio::test]
async fn it_reads_as_bytes_with_zeros_for_holes() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| {
        server.send(id, Bytes::from("head")).unwrap();
        server.send_hole(id, 100_000, 0).unwrap();
        server.send(id, Bytes::from("tail")).unwrap();
        server.end(id).unwrap();
    })
    .await;
    let read = tokio::spawn(async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.map(|_| all)
    });
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.confirm(id).unwrap()).await;
    let all = read.await.unwrap().unwrap();
    assert_eq!(all.len(), 100_008);
    assert!(all.starts_with(b"head\0") && all.ends_with(b"\0tail"));
}

#[tokio::test]
async fn data_longer_than_a_packet_is_split_as_libvirt_splits_it() {
    const PACKET: usize = 262_120;
    let (connection, mut peer) = connect().await;
    let (mut stream, _) = upload(&connection, &mut peer).await;
    let data: Bytes =
        (0..PACKET as u32).flat_map(u32::to_be_bytes).take(3 * PACKET + 7).collect::<Vec<_>>().into();
    stream.send(data.clone()).await.unwrap();
    for part in data.chunks(PACKET) {
        assert!(peer.stream_event().await == ServerStreamEvent::Data(Bytes::copy_from_slice(part)));
    }
    // Of a write no more is taken than makes one packet.
    assert_eq!(stream.write(&data).await.unwrap(), PACKET);
    assert!(peer.stream_event().await == ServerStreamEvent::Data(data.slice(..PACKET)));
}

#[tokio::test]
async fn a_dropped_wait_for_data_loses_none() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    let mut all = Vec::new();
    for number in 0..50_u8 {
        send(&peer, id, vec![number]).await;
        tokio::select! {
            biased;
            chunk = stream.receive() => match chunk.unwrap() {
                Some(Chunk::Data(data)) => all.extend_from_slice(&data),
                other => panic!("{other:?}"),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    while all.len() < 50 {
        match stream.receive().await.unwrap() {
            Some(Chunk::Data(data)) => all.extend_from_slice(&data),
            other => panic!("{other:?}"),
        }
    }
    assert!(all.iter().copied().eq(0..50));
}

#[tokio::test]
async fn a_console_speaks_in_both_directions() {
    let (connection, mut peer) = connect().await;
    let (stream, id) = open_stream(&connection, &mut peer, remote::DomainOpenConsoleArgs::default()).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let reader = tokio::spawn(async move {
        let mut line = [0; 7];
        reading.read_exact(&mut line).await.map(|_| line)
    });
    writing.write_all(b"hello\n").await.unwrap();
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Data(Bytes::from("hello\n")));
    send(&peer, id, "login: ").await;
    assert_eq!(&reader.await.unwrap().unwrap(), b"login: ");
    let closing = tokio::spawn(async move { writing.shutdown().await });
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.confirm(id).unwrap()).await;
    closing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_data_passes_unchanged_in_both_directions() {
    const LEN: usize = 40 << 20;
    let (connection, mut peer) = connect().await;
    let data: Bytes =
        (0..LEN / 4).flat_map(|number| (number as u32).to_be_bytes()).collect::<Vec<_>>().into();

    let (mut stream, id) = download(&connection, &mut peer).await;
    let sent = data.clone();
    peer.with(move |server| {
        server.send(id, sent).unwrap();
        server.end(id).unwrap();
    })
    .await;
    let reading = tokio::spawn(async move {
        let mut all = Vec::with_capacity(LEN);
        while let Some(chunk) = stream.receive().await? {
            match chunk {
                Chunk::Data(data) => all.extend_from_slice(&data),
                Chunk::Hole(_) => unreachable!("none was sent"),
            }
        }
        Ok::<_, Error>(all)
    });
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.confirm(id).unwrap()).await;
    assert!(reading.await.unwrap().unwrap() == data);

    let (mut stream, id) = upload(&connection, &mut peer).await;
    let sent = data.clone();
    let writing = tokio::spawn(async move {
        stream.write_all(&sent).await.unwrap();
        stream.finish().await
    });
    let mut all = Vec::with_capacity(LEN);
    loop {
        match peer.stream_event().await {
            ServerStreamEvent::Data(data) => all.extend_from_slice(&data),
            ServerStreamEvent::Finish => break,
            other => panic!("{other:?}"),
        }
    }
    peer.with(move |server| server.confirm(id).unwrap()).await;
    writing.await.unwrap().unwrap();
    assert!(all == data);
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_slows_the_sender_and_memory_is_bounded() {
    const LEN: usize = 30 << 20;
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, vec![1; LEN]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The window, a turn of reading beyond it, and what the socket holds; not more.
    let left = peer.unsent();
    assert!(left > LEN - (8 << 20), "{} bytes were taken", LEN - left);
    // And all is there for it when it comes.
    let mut taken = 0;
    while taken < LEN {
        match stream.receive().await.unwrap() {
            Some(Chunk::Data(data)) => taken += data.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken, LEN);
}

#[tokio::test]
async fn many_small_parts_count_for_the_memory_that_they_take() {
    let (connection, mut peer) = connect_with(builder().stream_buffer(64 << 10, 64 << 20)).await;
    let (_stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| {
        for _ in 0..100_000 {
            server.send(id, Bytes::from_static(b"x")).unwrap();
            server.send_hole(id, 1, 0).unwrap();
        }
    })
    .await;
    // Until nothing more is taken.
    let mut still = 0;
    let mut before = 0;
    while still < 5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = peer.unsent();
        still = if now == before && now > 0 { still + 1 } else { 0 };
        assert!(now > 0 || before == 0, "all was taken");
        before = now;
    }
    // 100 kB of data, but 200 000 parts: most of them are left where they are.
    let packets = 100_000 * (29 + 40);
    assert!(peer.unsent() > packets / 2, "{} of {packets} bytes were taken", packets - peer.unsent());
}

#[tokio::test]
async fn calls_between_two_reads_of_a_stream_never_deadlock() {
    const LEN: usize = 12 << 20;
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, vec![1; LEN]).await;
    let mut taken = 0;
    for turn in 0..10 {
        // Its answer is behind all that waits to be sent of the stream so far.
        if turn == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let Some(Chunk::Data(data)) = stream.receive().await.unwrap() else { panic!("data") };
        taken += data.len();
    }
    // The server sends in order here, a real one would not: the answer comes behind all that nobody takes.
    let waited = ask(&connection, &mut peer).await;
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    while taken < LEN {
        match stream.receive().await.unwrap() {
            Some(Chunk::Data(data)) => taken += data.len(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_consumer_has_stopped_is_given_up_before_others_suffer() {
    let builder = builder().stream_buffer(256 << 10, 2 << 20);
    let (connection, mut peer) = connect_with(builder).await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, vec![1; 16 << 20]).await;
    ask(&connection, &mut peer).await;
    let error = stream.receive().await.unwrap_err();
    assert!(matches!(error, Error::Stalled { limit: 2_097_152, .. }), "{error:?}");
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    // The connection goes on.
    ask(&connection, &mut peer).await;
}

#[tokio::test]
async fn a_peer_that_dies_is_seen_while_nothing_is_read() {
    let (connection, mut peer) = connect().await;
    let (mut stream, id) = download(&connection, &mut peer).await;
    send(&peer, id, vec![1; 30 << 20]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    peer.die().await;
    let died = Instant::now();
    connection.closed().await;
    assert!(died.elapsed() < Duration::from_secs(1), "{:?}", died.elapsed());
    let error = loop {
        match stream.receive().await {
            Ok(chunk) => assert!(chunk.is_some()),
            Err(error) => break error,
        }
    };
    assert!(error.is_closed());
}

#[tokio::test]
async fn a_sender_waits_while_the_daemon_reads_nothing() {
    let (connection, mut peer) = connect().await;
    let (mut stream, _) = upload(&connection, &mut peer).await;
    peer.freeze().await;
    let sent = tokio::time::timeout(Duration::from_millis(300), async {
        let data = Bytes::from(vec![1; 256 << 10]);
        for sent in 0_usize.. {
            if sent > 64 {
                return;
            }
            stream.send(data.clone()).await.unwrap();
        }
    });
    sent.await.expect_err("16 MiB were taken although nobody reads them");
}
