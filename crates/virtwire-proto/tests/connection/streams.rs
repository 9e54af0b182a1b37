//! Streams: data and holes in both directions, every way in which they end, and what is late or early.

use crate::rig::{Pair, Side, each_split, each_split_of_a_pair, hand, hand_data, hand_reply, raw};
use crate::samples::*;
use bytes::Bytes;
use virtwire_proto::connection::{
    CallId, Client, ClientConfig, ClientEvent, SendError, Server, ServerEvent, ServerStreamEvent,
    StreamEvent, StreamFailure, Time,
};
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::Call;
use virtwire_proto::program::net::StreamHole;

/// Opens a stream; its call's reply has been seen.
fn open<C: Call<Ret = ()>>(pair: &mut Pair, args: &C) -> (Serial, CallId) {
    let serial = pair.client.call(args, Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &()).unwrap();
    pair.run();
    pair.client.result(serial).unwrap();
    (serial, id)
}

/// What happened next on the client's side of this stream.
fn seen(client: &mut Client, stream: Serial) -> StreamEvent {
    match client.event() {
        Some(ClientEvent::Stream { serial, event }) if serial == stream => event,
        other => panic!("expected something on stream {stream}, got {other:?}"),
    }
}

/// What happened next on the server's side of this stream.
fn served(server: &mut Server, stream: CallId) -> ServerStreamEvent {
    match server.event() {
        Some(ServerEvent::Stream { id, event }) if id == stream => event,
        other => panic!("expected something on the stream, got {other:?}"),
    }
}

fn data(event: StreamEvent) -> Bytes {
    match event {
        StreamEvent::Data(data) => data,
        other => panic!("expected data, got {other:?}"),
    }
}

/// The stream is gone on both sides.
fn gone(pair: &mut Pair, serial: Serial, id: CallId) {
    pair.run();
    pair.client.no_event();
    pair.server.no_event();
    assert_eq!(pair.client.send(serial, Bytes::from_static(b"x")), Err(SendError::NoStream(serial)));
    assert!(pair.server.send(id, Bytes::from_static(b"x")).is_err());
}

#[test]
fn a_download_ends_with_an_empty_packet_and_two_confirmations() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.send(id, Bytes::from_static(b"first")).unwrap();
        pair.server.send(id, Bytes::from_static(b"second")).unwrap();
        pair.server.end(id).unwrap();
        pair.run();
        assert_eq!(data(seen(&mut pair.client, serial)), "first");
        assert_eq!(data(seen(&mut pair.client, serial)), "second");
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::End));
        pair.client.finish(serial).unwrap();
        assert_eq!(pair.client.finish(serial), Err(SendError::Finished));
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        pair.server.confirm(id).unwrap();
        pair.run();
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::Finished));
        gone(pair, serial, id);
    });
}

#[test]
fn an_upload_is_confirmed() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &upload());
        pair.client.send(serial, Bytes::from_static(b"data")).unwrap();
        pair.client.finish(serial).unwrap();
        assert_eq!(pair.client.send(serial, Bytes::from_static(b"more")), Err(SendError::Finished));
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Data(Bytes::from_static(b"data")));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        pair.client.no_event();
        pair.server.confirm(id).unwrap();
        pair.run();
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::Finished));
        gone(pair, serial, id);
    });
}

#[test]
fn an_upload_fails_where_it_should_be_confirmed() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &upload());
        pair.client.finish(serial).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        pair.server.fail(id, &error(38)).unwrap();
        pair.run();
        match seen(&mut pair.client, serial) {
            StreamEvent::Failed(StreamFailure::Server(failure)) => assert_eq!(*failure, error(38)),
            other => panic!("expected the server's error, got {other:?}"),
        }
        gone(pair, serial, id);
    });
}

#[test]
fn a_server_fails_a_stream_in_its_middle() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &upload());
        pair.client.send(serial, Bytes::from_static(b"data")).unwrap();
        pair.run();
        pair.server.fail(id, &error(38)).unwrap();
        // On its way when the stream went: dropped by the server, without a word.
        pair.client.send(serial, Bytes::from_static(b"late")).unwrap();
        pair.client.finish(serial).unwrap();
        pair.run();
        assert!(matches!(served(&mut pair.server, id), ServerStreamEvent::Data(_)));
        assert!(matches!(
            seen(&mut pair.client, serial),
            StreamEvent::Failed(StreamFailure::Server(failure)) if *failure == error(38)
        ));
        gone(pair, serial, id);
    });
}

#[test]
fn a_client_aborts() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.send(id, Bytes::from_static(b"data")).unwrap();
        pair.client.abort(serial);
        pair.client.abort(serial);
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        gone(pair, serial, id);
    });
}

#[test]
fn an_abort_is_one_packet_without_payload() {
    let mut pair = Pair::open();
    let (serial, _) = open(&mut pair, &download());
    pair.client.abort(serial);
    let packets = pair.client.packets();
    assert_eq!(packets.len(), 1);
    assert_eq!(packets[0].header, Header::new(DOWNLOAD, PacketType::STREAM, serial, Status::ERROR));
    assert!(packets[0].payload.is_empty());
}

#[test]
fn an_abort_crosses_the_servers_failure() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.fail(id, &error(1)).unwrap();
        pair.client.abort(serial);
        gone(pair, serial, id);
    });
}

#[test]
fn an_abort_after_the_server_already_failed_sends_nothing() {
    let mut pair = Pair::open();
    let (serial, id) = open(&mut pair, &download());
    pair.server.fail(id, &error(1)).unwrap();
    pair.run();
    seen(&mut pair.client, serial);
    pair.client.abort(serial);
    assert!(pair.client.packets().is_empty());
}

#[test]
fn an_abort_crosses_the_end_of_the_data() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.end(id).unwrap();
        pair.client.abort(serial);
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        gone(pair, serial, id);
    });
}

/// Behind stream/ok the server closes the stream anyway: libvirtd answers it once and ignores an abort behind it.
#[test]
fn an_abort_while_finishing_sends_nothing_and_tells_nothing() {
    for confirmed in [true, false] {
        each_split_of_a_pair(|pair| {
            let (serial, id) = open(pair, &upload());
            pair.client.finish(serial).unwrap();
            pair.run();
            assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
            pair.client.abort(serial);
            assert!(pair.client.packets().is_empty());
            if confirmed {
                pair.server.confirm(id).unwrap();
            } else {
                pair.server.fail(id, &error(1)).unwrap();
            }
            gone(pair, serial, id);
        });
    }
}

#[test]
fn a_download_may_be_finished_before_its_end() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.client.finish(serial).unwrap();
        pair.server.send(id, Bytes::from_static(b"on its way")).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        pair.server.confirm(id).unwrap();
        pair.run();
        assert_eq!(data(seen(&mut pair.client, serial)), "on its way");
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::Finished));
        gone(pair, serial, id);
    });
}

#[test]
fn a_server_that_finishes_unasked_fails_the_stream() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &upload());
        pair.server.confirm(id).unwrap();
        pair.run();
        let failed = seen(&mut pair.client, serial);
        assert!(matches!(failed, StreamEvent::Failed(StreamFailure::Unfinished { .. })), "{failed:?}");
        gone(pair, serial, id);
    });
}

#[test]
fn a_console_is_two_way_on_one_serial() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &console());
        pair.client.send(serial, Bytes::from_static(b"ls\n")).unwrap();
        pair.server.send(id, Bytes::from_static(b"file\n")).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Data(Bytes::from_static(b"ls\n")));
        assert_eq!(data(seen(&mut pair.client, serial)), "file\n");
        // The guest goes; what was typed meanwhile still arrives.
        pair.server.end(id).unwrap();
        pair.client.send(serial, Bytes::from_static(b"exit\n")).unwrap();
        pair.run();
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::End));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Data(Bytes::from_static(b"exit\n")));
        pair.client.finish(serial).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        pair.server.confirm(id).unwrap();
        pair.run();
        assert!(matches!(seen(&mut pair.client, serial), StreamEvent::Finished));
        gone(pair, serial, id);
    });
}

#[test]
fn many_streams_and_calls_share_a_connection() {
    each_split_of_a_pair(|pair| {
        let (first, first_id) = open(pair, &download());
        let (second, second_id) = open(pair, &download());
        pair.server.send(second_id, Bytes::from_static(b"2")).unwrap();
        pair.server.send(first_id, Bytes::from_static(b"1")).unwrap();
        let call = pair.client.call(&VERSION, Time::START).unwrap();
        pair.server.end(second_id).unwrap();
        let id = pair.called().id;
        pair.server.reply(id, &version(1)).unwrap();
        pair.run();
        assert_eq!(data(seen(&mut pair.client, second)), "2");
        assert_eq!(data(seen(&mut pair.client, first)), "1");
        assert!(matches!(seen(&mut pair.client, second), StreamEvent::End));
        pair.client.result(call).unwrap();
        pair.client.no_event();
    });
}

#[test]
fn a_dead_consumer_stops_no_calls() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.send(id, Bytes::from_static(b"data")).unwrap();
        pair.run();
        pair.client.abort(serial);
        let call = pair.client.call(&VERSION, Time::START).unwrap();
        pair.server.send(id, Bytes::from_static(b"more")).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        let called = pair.server.called().id;
        pair.server.reply(called, &version(1)).unwrap();
        pair.run();
        assert_eq!(data(seen(&mut pair.client, serial)), "data", "it had come before");
        pair.client.result(call).unwrap();
        gone(pair, serial, id);
    });
}

#[test]
fn a_cancelled_call_aborts_the_stream_that_it_opens() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.call(&download(), Time::START).unwrap();
        let id = pair.called().id;
        pair.client.cancel(serial);
        pair.server.reply(id, &()).unwrap();
        pair.server.send(id, Bytes::from_static(b"data")).unwrap();
        pair.run();
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        gone(pair, serial, id);
    });
}

#[test]
fn a_call_that_fails_opens_no_stream() {
    each_split_of_a_pair(|pair| {
        let serial = pair.client.call(&download(), Time::START).unwrap();
        let id = pair.called().id;
        pair.server.reply_error(id, &error(1)).unwrap();
        pair.run();
        pair.client.result(serial).unwrap_err();
        gone(pair, serial, id);
    });
}

/// libvirtd answers in one thread and reads the volume in another: of 10 277 downloads from a libvirtd 9.0.0, 9
/// began with data before the reply.
#[test]
fn data_before_the_reply_waits_for_it() {
    each_split(Side::client, |client| {
        let serial = client.call(&download(), Time::START).unwrap();
        client.feed(&hand_data(DOWNLOAD, serial, b"early"));
        client.feed(&hand_data(DOWNLOAD, serial, b""));
        client.no_event();
        client.feed(&hand_reply(DOWNLOAD, serial, &()));
        client.result(serial).unwrap();
        assert_eq!(data(seen(client, serial)), "early");
        assert!(matches!(seen(client, serial), StreamEvent::End));
        client.no_event();
    });
}

#[test]
fn an_early_failure_comes_behind_the_reply() {
    each_split(Side::client, |client| {
        let serial = client.call(&download(), Time::START).unwrap();
        client.feed(&hand(DOWNLOAD, PacketType::STREAM, serial, Status::ERROR, &error(5)));
        client.feed(&hand_reply(DOWNLOAD, serial, &()));
        client.result(serial).unwrap();
        assert!(matches!(seen(client, serial), StreamEvent::Failed(StreamFailure::Server(_))));
        assert_eq!(client.send(serial, Bytes::from_static(b"x")), Err(SendError::NoStream(serial)));
    });
}

#[test]
fn early_data_of_a_failed_or_cancelled_call_is_dropped() {
    each_split(Side::client, |client| {
        let [failed, cancelled] = [(); 2].map(|()| client.call(&download(), Time::START).unwrap());
        client.packets();
        client.cancel(cancelled);
        for serial in [failed, cancelled] {
            client.feed(&hand_data(DOWNLOAD, serial, b"early"));
        }
        client.feed(&hand(DOWNLOAD, PacketType::REPLY, failed, Status::ERROR, &error(1)));
        client.feed(&hand_reply(DOWNLOAD, cancelled, &()));
        client.result(failed).unwrap_err();
        client.no_event();
        let aborted = Header::new(DOWNLOAD, PacketType::STREAM, cancelled, Status::ERROR);
        assert_eq!(client.headers(), [aborted]);
    });
}

#[test]
fn more_early_data_than_is_kept_fails_the_stream() {
    each_split(
        || {
            let mut config = ClientConfig::default();
            config.max_parked_bytes = 100;
            Side::new(Client::new(config, Time::START))
        },
        |client| {
            let serial = client.call(&download(), Time::START).unwrap();
            client.packets();
            for _ in 0..4 {
                client.feed(&hand_data(DOWNLOAD, serial, b"early"));
            }
            client.feed(&hand_reply(DOWNLOAD, serial, &()));
            client.result(serial).unwrap();
            assert!(matches!(seen(client, serial), StreamEvent::Failed(StreamFailure::Overrun { .. })));
            client.no_event();
            let aborted = Header::new(DOWNLOAD, PacketType::STREAM, serial, Status::ERROR);
            assert_eq!(client.headers(), [aborted]);
        },
    );
}

#[test]
fn data_of_a_call_that_opens_no_stream_is_dropped() {
    let mut client = Side::client();
    let serial = client.call(&VERSION, Time::START).unwrap();
    let version_call = virtwire_proto::program::remote::ConnectGetLibVersionArgs::PROCEDURE;
    client.feed(&hand_data(version_call, serial, b"data"));
    client.feed(&hand_reply(version_call, serial, &version(1)));
    client.result(serial).unwrap();
    client.no_event();
}

#[test]
fn holes_are_lengths_and_no_allocation() {
    each_split_of_a_pair(|pair| {
        let (down, down_id) = open(pair, &download());
        let (up, up_id) = open(pair, &upload());
        for length in [0, 1, i64::MAX - 1, i64::MAX, -1, i64::MIN] {
            pair.server.send_hole(down_id, length, 0).unwrap();
            pair.client.send_hole(up, length, 7).unwrap();
            pair.run();
            match seen(&mut pair.client, down) {
                StreamEvent::Hole { length: came, flags: 0 } => assert_eq!(came, length),
                other => panic!("expected a hole, got {other:?}"),
            }
            assert_eq!(served(&mut pair.server, up_id), ServerStreamEvent::Hole { length, flags: 7 });
        }
    });
}

#[test]
fn a_hole_that_cannot_be_decoded_fails_its_stream_alone() {
    each_split(Side::client, |client| {
        let [broken, whole] = [(); 2].map(|()| {
            let serial = client.call(&download(), Time::START).unwrap();
            client.feed(&hand_reply(DOWNLOAD, serial, &()));
            client.result(serial).unwrap();
            serial
        });
        client.packets();
        let header = Header::new(DOWNLOAD, PacketType::STREAM_HOLE, broken, Status::CONTINUE);
        client.feed(&raw(header, &[0; 11]));
        client.feed(&hand_data(DOWNLOAD, broken, b"late"));
        client.feed(&hand_data(DOWNLOAD, whole, b"data"));
        let failed = seen(client, broken);
        assert!(matches!(failed, StreamEvent::Failed(StreamFailure::Malformed { .. })), "{failed:?}");
        assert_eq!(data(seen(client, whole)), "data");
        assert_eq!(client.headers(), [Header::new(DOWNLOAD, PacketType::STREAM, broken, Status::ERROR)]);
        client.feed(&hand(DOWNLOAD, PacketType::STREAM, broken, Status::OK, &()));
        client.no_event();
    });
}

/// libvirtd ends the connection instead, and so it does for a hole in a stream that is not sparse.
#[test]
fn a_clients_hole_that_cannot_be_decoded_fails_its_stream() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &upload());
        let procedure = virtwire_proto::program::remote::StorageVolUploadArgs::PROCEDURE;
        let header = Header::new(procedure, PacketType::STREAM_HOLE, serial, Status::CONTINUE);
        pair.server.feed(&raw(header, &[0; 4]));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        pair.run();
        match seen(&mut pair.client, serial) {
            StreamEvent::Failed(StreamFailure::Server(failure)) => assert_eq!(failure.code, 39),
            other => panic!("expected an error, got {other:?}"),
        }
        gone(pair, serial, id);
    });
}

/// libvirtd answers a hole that it could not write by a reply, and the finish that follows by stream/ok.
#[test]
fn a_stream_may_fail_by_a_reply() {
    each_split_of_a_pair(|pair| {
        let (serial, _) = open(pair, &upload());
        let procedure = virtwire_proto::program::remote::StorageVolUploadArgs::PROCEDURE;
        pair.client.feed(&hand(procedure, PacketType::REPLY, serial, Status::ERROR, &error(38)));
        let failed = seen(&mut pair.client, serial);
        assert!(matches!(failed, StreamEvent::Failed(StreamFailure::Server(_))), "{failed:?}");
        assert_eq!(pair.client.finish(serial), Err(SendError::NoStream(serial)));
        pair.client.feed(&hand(procedure, PacketType::STREAM, serial, Status::OK, &()));
        pair.client.no_event();
    });
}

#[test]
fn a_status_that_is_not_known_aborts_the_stream() {
    each_split(Side::client, |client| {
        let serial = client.call(&download(), Time::START).unwrap();
        client.feed(&hand_reply(DOWNLOAD, serial, &()));
        client.result(serial).unwrap();
        client.packets();
        client.feed(&raw(Header::new(DOWNLOAD, PacketType::STREAM, serial, Status(9)), &[]));
        assert!(matches!(seen(client, serial), StreamEvent::Failed(_)));
        assert_eq!(client.headers(), [Header::new(DOWNLOAD, PacketType::STREAM, serial, Status::ERROR)]);
    });
}

/// As libvirtd words it.
#[test]
fn a_clients_status_that_is_not_known_fails_the_stream() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        pair.server.feed(&raw(Header::new(DOWNLOAD, PacketType::STREAM, serial, Status(9)), &[]));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Abort);
        pair.run();
        match seen(&mut pair.client, serial) {
            StreamEvent::Failed(StreamFailure::Server(failure)) => {
                let text = "stream aborted with unexpected status 9";
                assert_eq!(
                    *failure,
                    virtwire_proto::error::raised(ErrorNumber::RPC, ErrorDomain::STREAMS, "%s", text)
                );
            }
            other => panic!("expected an error, got {other:?}"),
        }
    });
}

#[test]
fn packets_of_another_procedure_are_not_the_streams() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &download());
        let other = virtwire_proto::program::remote::StorageVolUploadArgs::PROCEDURE;
        pair.client.feed(&hand_data(other, serial, b"data"));
        pair.server.feed(&hand_data(other, serial, b"data"));
        assert!(matches!(pair.client.event(), Some(ClientEvent::Unexpected { .. })));
        pair.server.no_event();
        pair.server.send(id, Bytes::from_static(b"data")).unwrap();
        pair.run();
        assert_eq!(data(seen(&mut pair.client, serial)), "data");
    });
}

/// To libvirtd it closes the volume, and what follows fails with "Bad file descriptor".
#[test]
fn an_empty_packet_of_the_clients_means_nothing() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &console());
        let procedure = virtwire_proto::program::remote::DomainOpenConsoleArgs::PROCEDURE;
        pair.server.feed(&hand_data(procedure, serial, b""));
        pair.server.feed(&hand_data(procedure, serial, b"x"));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Data(Bytes::from_static(b"x")));
    });
}

#[test]
fn what_follows_the_clients_finish_is_no_part_of_the_stream() {
    each_split_of_a_pair(|pair| {
        let (serial, id) = open(pair, &console());
        let procedure = virtwire_proto::program::remote::DomainOpenConsoleArgs::PROCEDURE;
        pair.server.feed(&hand(procedure, PacketType::STREAM, serial, Status::OK, &()));
        pair.server.feed(&hand_data(procedure, serial, b"x"));
        pair.server.feed(&hand(procedure, PacketType::STREAM, serial, Status::ERROR, &()));
        assert_eq!(served(&mut pair.server, id), ServerStreamEvent::Finish);
        for _ in 0..2 {
            assert!(matches!(pair.server.event(), Some(ServerEvent::Unexpected { .. })));
        }
        pair.server.confirm(id).unwrap();
    });
}

#[test]
fn data_is_cut_as_libvirt_cuts_it() {
    let whole: Vec<u8> = (0..600_000_u32).map(|at| at as u8).collect();
    let mut pair = Pair::open();
    let (serial, _) = open(&mut pair, &upload());
    pair.client.send(serial, Bytes::from(whole.clone())).unwrap();
    pair.client.send(serial, Bytes::new()).unwrap();
    let packets = pair.client.packets();
    let lengths: Vec<_> = packets.iter().map(|packet| packet.payload.len()).collect();
    assert_eq!(lengths, [262_120, 262_120, 600_000 - 2 * 262_120], "no data sends nothing");
    assert!(packets.iter().flat_map(|packet| packet.payload.iter()).eq(&whole));
}

#[test]
fn large_data_is_sent_without_a_copy() {
    let mut pair = Pair::open();
    let (_, id) = open(&mut pair, &download());
    let large = Bytes::from(vec![7; 200_000]);
    pair.server.send(id, large.clone()).unwrap();
    assert_eq!(pair.server.pending_bytes(), 28 + 200_000);
    let written = crate::rig::bytes_of(vec![pair.server.transmit().unwrap()]);
    assert_eq!(written.len(), 28);
    match pair.server.transmit() {
        Some(virtwire_proto::connection::Transmit::Bytes(bytes)) => {
            assert_eq!(bytes.as_ptr(), large.as_ptr())
        }
        other => panic!("expected the data, got {other:?}"),
    }
    assert_eq!(pair.server.pending_bytes(), 0);
}

#[test]
fn the_header_of_each_packet_is_the_calls() {
    let mut pair = Pair::open();
    let (serial, id) = open(&mut pair, &download());
    pair.server.send(id, Bytes::from_static(b"x")).unwrap();
    pair.server.send_hole(id, 5, 0).unwrap();
    pair.server.end(id).unwrap();
    let packets = pair.server.packets();
    let types = [PacketType::STREAM, PacketType::STREAM_HOLE, PacketType::STREAM];
    for (packet, packet_type) in packets.iter().zip(types) {
        assert_eq!(packet.header, Header::new(DOWNLOAD, packet_type, serial, Status::CONTINUE));
    }
    let hole: StreamHole = virtwire_proto::xdr::from_bytes(packets[1].payload.clone()).unwrap();
    assert_eq!((hole.length, hole.flags), (5, 0));
}

#[test]
fn a_client_that_calls_with_a_streams_serial_is_answered_and_the_stream_goes_on() {
    let mut pair = Pair::open();
    let (serial, id) = open(&mut pair, &download());
    let call = virtwire_proto::program::remote::ConnectGetLibVersionArgs::PROCEDURE;
    pair.server.feed(&hand(call, PacketType::CALL, serial, Status::OK, &VERSION));
    let called = pair.server.called().id;
    pair.server.reply(called, &version(1)).unwrap();
    pair.server.send(id, Bytes::from_static(b"x")).unwrap();
    let headers = pair.server.headers();
    assert_eq!(headers.len(), 2);
    assert!(headers.iter().all(|header| header.serial == serial));
}
