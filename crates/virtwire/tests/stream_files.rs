//! Copies between streams and files, with a daemon played by hand: every byte and hole, and every way in which
//! either side fails.
#![cfg(unix)]

mod support;

use bytes::Bytes;
use rustix::fs::{SeekFrom, seek};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Peer, connect, failure, open_stream};
use tempfile::tempfile;
use virtwire::proto::connection::{CallId, ServerStreamEvent};
use virtwire::proto::program::remote;
use virtwire::{Connection, Copied, Error, Stream};

const MIB: usize = 1 << 20;

async fn download(connection: &Connection, peer: &mut Peer) -> (Stream, CallId) {
    open_stream(connection, peer, remote::StorageVolDownloadArgs::default()).await
}

async fn upload(connection: &Connection, peer: &mut Peer) -> (Stream, CallId) {
    open_stream(connection, peer, remote::StorageVolUploadArgs::default()).await
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Data(Vec<u8>),
    Hole(i64),
}

use Part::{Data, Hole};

/// Sends these parts, and the end that the daemon confirms.
async fn send_all(peer: &mut Peer, id: CallId, parts: Vec<Part>) {
    peer.with(move |server| {
        for part in parts {
            match part {
                Data(data) => server.send(id, Bytes::from(data)).unwrap(),
                Hole(length) => server.send_hole(id, length, 0).unwrap(),
            }
        }
        server.end(id).unwrap();
    })
    .await;
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Finish);
    peer.with(move |server| server.confirm(id).unwrap()).await;
}

/// Downloads these parts into a file.
async fn receive(file: &File, parts: Vec<Part>) -> Result<Copied, Error> {
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    let copy = stream.receive_to_file(file);
    let (copied, ()) = tokio::join!(copy.into_future(), send_all(&mut peer, id, parts));
    copied
}

/// What a client sends until it finishes, which is confirmed; pieces of data next to each other are one.
async fn sent(peer: &mut Peer, id: CallId) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        match peer.stream_event().await {
            ServerStreamEvent::Data(data) => match parts.last_mut() {
                Some(Data(before)) => before.extend_from_slice(&data),
                _ => parts.push(Data(data.to_vec())),
            },
            ServerStreamEvent::Hole { length, .. } => parts.push(Hole(length)),
            ServerStreamEvent::Finish => break,
            other => panic!("{other:?}"),
        }
    }
    peer.with(move |server| server.confirm(id).unwrap()).await;
    parts
}

/// Where data begins and ends in a file.
fn extents(file: &File) -> Vec<(u64, u64)> {
    let mut extents = Vec::new();
    let mut at = 0;
    while let Ok(from) = seek(file, SeekFrom::Data(at)) {
        at = seek(file, SeekFrom::Hole(from)).unwrap();
        extents.push((from, at));
    }
    extents
}

fn content(file: &File) -> Vec<u8> {
    let mut file = file.try_clone().unwrap();
    file.rewind().unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    content
}

fn numbers(len: usize) -> Vec<u8> {
    (0..len.div_ceil(4)).flat_map(|number| (number as u32).to_le_bytes()).take(len).collect()
}

fn copied(data: usize, holes: usize) -> (u64, u64) {
    (data as u64, holes as u64)
}

fn moved(copied: Copied) -> (u64, u64) {
    (copied.data, copied.holes)
}

#[tokio::test]
async fn a_download_keeps_its_holes_in_the_file() {
    let file = tempfile().unwrap();
    let parts = vec![
        Hole(MIB as i64),
        Data(numbers(3 * MIB + 5)),
        Hole((MIB - 5) as i64),
        Data(numbers(MIB)),
        Hole(2 * MIB as i64),
    ];
    let result = receive(&file, parts).await.unwrap();
    assert_eq!(moved(result), copied(4 * MIB + 5, 4 * MIB - 5));
    assert_eq!(result.total(), 8 * MIB as u64);
    let content = content(&file);
    assert_eq!(content.len(), 8 * MIB);
    assert!(content[MIB..4 * MIB + 5] == numbers(3 * MIB + 5) && content[5 * MIB..6 * MIB] == numbers(MIB));
    assert!(content[..MIB].iter().chain(&content[4 * MIB + 5..5 * MIB]).all(|&byte| byte == 0));
    let extents = extents(&file);
    assert_eq!((extents[0].0, extents[extents.len() - 1].1), (MIB as u64, 6 * MIB as u64), "{extents:?}");
}

#[tokio::test]
async fn a_hole_replaces_what_the_file_had_and_what_lies_behind_stays() {
    let mut file = tempfile().unwrap();
    file.write_all(&vec![7; 4 * MIB]).unwrap();
    file.rewind().unwrap();
    receive(&file, vec![Data(vec![1; MIB]), Hole(2 * MIB as i64)]).await.unwrap();
    assert_eq!(file.stream_position().unwrap(), 3 * MIB as u64);
    let content = content(&file);
    assert_eq!(content.len(), 4 * MIB);
    for (range, byte) in [(0..MIB, 1), (MIB..3 * MIB, 0), (3 * MIB..4 * MIB, 7)] {
        assert!(content[range].iter().all(|&found| found == byte));
    }
    assert_eq!(extents(&file), [(0, MIB as u64), (3 * MIB as u64, 4 * MIB as u64)]);
}

#[tokio::test]
async fn copies_begin_at_the_file_s_position_and_leave_it_behind_them() {
    let mut file = tempfile().unwrap();
    file.write_all(b"head").unwrap();
    receive(&file, vec![Data(b"tail".to_vec())]).await.unwrap();
    file.write_all(b"!").unwrap();
    assert_eq!(content(&file), b"headtail!");

    file.seek(std::io::SeekFrom::Start(4)).unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = upload(&connection, &mut peer).await;
    let (copied, parts) = tokio::join!(stream.send_file(&file).into_future(), sent(&mut peer, id));
    assert_eq!(copied.unwrap().data, 5);
    assert_eq!(parts, [Data(b"tail!".to_vec())]);
    assert_eq!(file.stream_position().unwrap(), 9);
}

#[tokio::test]
async fn a_hole_that_no_file_is_long_enough_for_is_refused() {
    for parts in [vec![Hole(i64::MAX), Hole(1)], vec![Data(vec![1; 10]), Hole(i64::MAX)]] {
        let file = tempfile().unwrap();
        let (connection, mut peer) = connect().await;
        let (stream, id) = download(&connection, &mut peer).await;
        peer.with(move |server| {
            for part in parts {
                match part {
                    Data(data) => server.send(id, Bytes::from(data)).unwrap(),
                    Hole(length) => server.send_hole(id, length, 0).unwrap(),
                }
            }
        })
        .await;
        let error = stream.receive_to_file(&file).await.unwrap_err();
        let Error::File { offset, source, .. } = &error else { panic!("{error:?}") };
        // Holes next to each other are one, if both had come when it was taken.
        assert!([0, 10, i64::MAX as u64].contains(offset), "{error}");
        assert_eq!(source.kind(), ErrorKind::FileTooLarge, "{error}");
        assert!(error.to_string().contains(&format!("at offset {offset}: ")), "{error}");
        // The daemon is told.
        assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
        assert!(file.metadata().unwrap().len() <= 10);
    }
}

#[tokio::test]
async fn the_longest_hole_that_a_file_can_have_is_no_allocation() {
    let file = tempfile().unwrap();
    // The file system may have a lower limit of its own: then that is the error.
    match receive(&file, vec![Hole(i64::MAX)]).await {
        Ok(copied) => {
            assert_eq!(copied.holes, i64::MAX as u64);
            assert_eq!(file.metadata().unwrap().len(), i64::MAX as u64);
        }
        Err(Error::File { source, .. }) => assert_eq!(source.kind(), ErrorKind::FileTooLarge),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_file_s_holes_are_sent_as_lengths_or_as_zeros() {
    let file = tempfile().unwrap();
    file.write_all_at(&numbers(MIB + 3), MIB as u64).unwrap();
    file.write_all_at(&numbers(MIB), 6 * MIB as u64).unwrap();
    file.set_len(10 * MIB as u64).unwrap();
    let bytes = content(&file);
    let extents = extents(&file);
    for holes in [true, false] {
        (&file).rewind().unwrap();
        let (connection, mut peer) = connect().await;
        let (stream, id) = upload(&connection, &mut peer).await;
        let copy = if holes { stream.send_sparse_file(&file) } else { stream.send_file(&file) };
        let (result, parts) = tokio::join!(copy.into_future(), sent(&mut peer, id));
        let result = result.unwrap();
        let mut at = 0;
        let mut got = Vec::new();
        for part in parts {
            match part {
                Data(data) => {
                    assert!(bytes[at..at + data.len()] == data);
                    got.push((at as u64, (at + data.len()) as u64));
                    at += data.len();
                }
                Hole(length) => at += usize::try_from(length).unwrap(),
            }
        }
        assert_eq!(at, bytes.len());
        assert_eq!(result.total(), bytes.len() as u64);
        assert_eq!(got, if holes { extents.clone() } else { vec![(0, bytes.len() as u64)] });
    }
}

#[tokio::test]
async fn a_file_of_one_hole_and_an_empty_file_are_sent() {
    for (length, expected) in [(0, vec![]), (5 << 40, vec![Hole(5 << 40)])] {
        let file = tempfile().unwrap();
        file.set_len(length).unwrap();
        let (connection, mut peer) = connect().await;
        let (stream, id) = upload(&connection, &mut peer).await;
        let (copied, parts) = tokio::join!(stream.send_sparse_file(&file).into_future(), sent(&mut peer, id));
        assert_eq!(moved(copied.unwrap()), (0, length));
        assert_eq!(parts, expected);
    }
}

#[tokio::test]
async fn progress_is_seen_part_by_part() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |seen: &Arc<Mutex<Vec<(u64, u64)>>>| {
        let seen = Arc::clone(seen);
        move |copied: Copied| seen.lock().unwrap().push((copied.data, copied.holes))
    };
    let file = tempfile().unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    let copy = stream.receive_to_file(&file).progress(note(&seen));
    let parts = vec![Data(numbers(8 * MIB)), Hole(MIB as i64)];
    let (result, ()) = tokio::join!(copy.into_future(), send_all(&mut peer, id, parts));
    result.unwrap();
    let downloaded = std::mem::take(&mut *seen.lock().unwrap());
    assert!(downloaded.len() > 3 && downloaded.is_sorted(), "{downloaded:?}");
    assert_eq!(downloaded.last(), Some(&copied(8 * MIB, MIB)));

    (&file).rewind().unwrap();
    let (stream, id) = upload(&connection, &mut peer).await;
    let copy = stream.send_sparse_file(&file).progress(note(&seen));
    let (result, _) = tokio::join!(copy.into_future(), sent(&mut peer, id));
    result.unwrap();
    let uploaded = std::mem::take(&mut *seen.lock().unwrap());
    assert!(uploaded.len() > 3 && uploaded.is_sorted(), "{uploaded:?}");
    assert_eq!(uploaded.last(), Some(&copied(8 * MIB, MIB)));
}

#[tokio::test]
async fn what_the_daemon_says_in_the_middle_comes_with_the_offset() {
    let file = tempfile().unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    let failing = peer.with(move |server| {
        server.send(id, Bytes::from(numbers(3 * MIB))).unwrap();
        server.fail(id, &failure(38, 0, "%s", "disk on fire")).unwrap();
    });
    let (error, ()) = tokio::join!(stream.receive_to_file(&file).into_future(), failing);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Copy { offset: 3_145_728, .. }), "{error:?}");
    let text = "the copy stopped at offset 3145728: remote.storage_vol_download: disk on fire";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(error.libvirt().unwrap().message, "disk on fire");
    assert!(content(&file) == numbers(3 * MIB));

    // The last word counts too.
    let (stream, id) = upload(&connection, &mut peer).await;
    (&file).rewind().unwrap();
    let refusing = async {
        while peer.stream_event().await != ServerStreamEvent::Finish {}
        peer.with(move |server| server.fail(id, &failure(38, 0, "%s", "disk full")).unwrap()).await;
    };
    let (error, ()) = tokio::join!(stream.send_file(&file).into_future(), refusing);
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Copy { offset: 3_145_728, .. }), "{error:?}");
    peer.die().await;
    connection.closed().await;
}

#[tokio::test]
async fn a_daemon_that_dies_ends_the_copy() {
    let file = tempfile().unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| server.send(id, Bytes::from("data")).unwrap()).await;
    let copy = tokio::spawn(stream.receive_to_file(&file).into_future());
    tokio::time::sleep(Duration::from_millis(50)).await;
    peer.die().await;
    let error = copy.await.unwrap().unwrap_err();
    assert!(error.is_closed() && matches!(error, Error::Copy { offset: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_or_read_says_where_and_the_stream_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "data").unwrap();
    let (connection, mut peer) = connect().await;
    let read_only = File::open(&path).unwrap();
    let write_only = OpenOptions::new().write(true).open(&path).unwrap();
    let appending = OpenOptions::new().append(true).open(&path).unwrap();
    for (file, action) in [(read_only, "write"), (appending, "write")] {
        let (stream, id) = download(&connection, &mut peer).await;
        peer.with(move |server| server.send(id, Bytes::from("more")).unwrap()).await;
        let error = stream.receive_to_file(&file).await.unwrap_err();
        assert!(matches!(&error, Error::File { action: found, .. } if *found == action), "{error:?}");
        assert!(error.to_string().starts_with("cannot write the file at offset 0: "), "{error}");
        assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    }
    let (stream, _) = upload(&connection, &mut peer).await;
    let error = stream.send_file(&write_only).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot read the file at offset 0: "), "{error}");
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    // A pipe has no position, and no holes.
    let (reading, _writing) = rustix::pipe::pipe().unwrap();
    let (stream, _) = upload(&connection, &mut peer).await;
    let error = stream.send_file(&reading).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
}

#[tokio::test]
async fn a_full_device_says_where() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let file = OpenOptions::new().write(true).open(full).unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| server.send(id, Bytes::from("data")).unwrap()).await;
    let error = stream.receive_to_file(&file).await.unwrap_err();
    let Error::File { action: "write", offset: 0, source } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::StorageFull);
}

#[tokio::test]
async fn a_dropped_copy_gives_the_stream_up_in_both_directions() {
    let file = tempfile().unwrap();
    file.set_len(64 * MIB as u64).unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, id) = download(&connection, &mut peer).await;
    peer.with(move |server| server.send(id, Bytes::from(numbers(MIB))).unwrap()).await;
    let patience = Duration::from_millis(100);
    tokio::time::timeout(patience, stream.receive_to_file(&file).into_future()).await.unwrap_err();
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);
    // Also where it was never begun.
    let (stream, _) = download(&connection, &mut peer).await;
    drop(stream.receive_to_file(&file));
    assert_eq!(peer.stream_event().await, ServerStreamEvent::Abort);

    let (stream, _) = upload(&connection, &mut peer).await;
    (&file).rewind().unwrap();
    let mut copy = stream.send_file(&file).into_future();
    tokio::select! {
        _ = &mut copy => panic!("nothing has confirmed it"),
        event = peer.stream_event() => assert!(matches!(event, ServerStreamEvent::Data(_)), "{event:?}"),
    }
    drop(copy);
    while peer.stream_event().await != ServerStreamEvent::Abort {}
    assert!(connection.is_alive());
}

/// The naive copy reads ahead what it can get, or waits for the disk in the runtime's thread.
#[tokio::test]
async fn a_copy_to_a_daemon_that_reads_nothing_holds_little_and_blocks_nobody() {
    let file = tempfile().unwrap();
    file.set_len(1 << 40).unwrap();
    let (connection, mut peer) = connect().await;
    let (stream, _) = upload(&connection, &mut peer).await;
    peer.freeze().await;
    let seen = Arc::new(Mutex::new(Copied::default()));
    let note = Arc::clone(&seen);
    let copy = stream.send_file(&file).progress(move |copied| *note.lock().unwrap() = copied);
    tokio::time::timeout(Duration::from_millis(300), copy.into_future()).await.unwrap_err();
    let taken = seen.lock().unwrap().data;
    assert!(taken < 8 * MIB as u64, "{taken} bytes were taken although nobody reads them");
}
