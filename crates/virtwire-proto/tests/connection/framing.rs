//! Where packets end: length words, types with a count, and what comes half.

use crate::rig::{Pair, Side, Split, each_split, hand_reply, raw};
use crate::samples::*;
use bytes::BytesMut;
use std::collections::VecDeque;
use virtwire_proto::connection::{ClientEvent, CloseReason, ServerEvent, Time};
use virtwire_proto::packet::{self, FramingError, Header, MAX_LEN, MIN_LEN, PacketType, Serial, Status};
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::ConnectGetLibVersionArgs;

/// libvirtd hangs up at 0, 3, 4, 33 554 437 and 4 294 967 295, waits for the rest of 27 and then hangs up; 28
/// is a packet, and 33 554 436 may become one.
#[test]
fn length_words() {
    for length in [0, 3, 4, 27, 33_554_437, u32::MAX] {
        let bytes = length.to_be_bytes();
        let reason = CloseReason::Framing(FramingError::Length { length });
        let text = format!(
            "the peer broke the protocol: expected a packet's length of 28 to 33554436 bytes, got {length}"
        );
        assert_eq!(reason.to_string(), text);
        each_split(Side::client, |client| {
            let call = client.call(&VERSION, Time::START).unwrap();
            client.feed(&bytes);
            assert_eq!(client.close_reason(), Some(&reason));
            client.result(call).unwrap_err();
            assert!(matches!(client.event(), Some(ClientEvent::Closed { reason: why }) if why == reason));
        });
        each_split(Side::server, |server| {
            server.feed(&bytes);
            assert_eq!(server.close_reason(), Some(&reason));
            assert!(matches!(server.event(), Some(ServerEvent::Closed { reason: why }) if why == reason));
            assert!(server.packets().is_empty());
        });
    }
    let mut server = Side::server();
    server.feed(&33_554_436_u32.to_be_bytes());
    server.feed(&[0; 100]);
    assert_eq!(server.close_reason(), None);
    let mut server = Side::server();
    server.feed(&[&28_u32.to_be_bytes()[..], &[0; 24]].concat());
    assert_eq!(server.headers().len(), 1, "program 0 is refused, as a packet");
    assert_eq!(server.close_reason(), None);
}

#[test]
fn garbage_ends_the_connection_that_sent_it_alone() {
    let mut pairs = [Pair::open(), Pair::open()];
    let serials = [0, 1].map(|at: usize| pairs[at].client.call(&VERSION, Time::START).unwrap());
    let ids = [0, 1].map(|at: usize| pairs[at].called().id);
    pairs[0].server.feed(b"\xff\xff\xff\xff");
    assert!(pairs[0].server.close_reason().is_some());
    assert!(pairs[0].server.reply(ids[0], &version(1)).is_err());
    pairs[1].server.reply(ids[1], &version(1)).unwrap();
    pairs[1].run();
    pairs[1].client.result(serials[1]).unwrap();
}

#[test]
fn what_comes_before_garbage_counts() {
    each_split(Side::client, |client| {
        let call = client.call(&VERSION, Time::START).unwrap();
        let mut bytes = hand_reply(ConnectGetLibVersionArgs::PROCEDURE, call, &version(1));
        bytes.extend([0; 4]);
        client.feed(&bytes);
        client.result(call).unwrap();
        assert!(matches!(client.event(), Some(ClientEvent::Closed { .. })));
    });
}

#[test]
fn receive_says_why_it_ended_ever_after() {
    let mut client = Side::client();
    client.feed(&[0; 4]);
    let reason = client.close_reason().unwrap().clone();
    let mut more = BytesMut::from(&[0; 28][..]);
    assert_eq!(client.receive(), ());
    let again =
        std::ops::DerefMut::deref_mut(&mut client).receive(&mut more, &mut VecDeque::new(), Time::START);
    assert_eq!(again, Err(reason));
    assert_eq!(more.len(), 28);
}

#[test]
fn a_type_with_a_count_and_no_count() {
    // 28 to 31 bytes: libvirtd hangs up as well.
    for extra in 0..4 {
        for packet_type in [PacketType::CALL_WITH_FDS, PacketType::REPLY_WITH_FDS] {
            let header = Header::new(ConnectGetLibVersionArgs::PROCEDURE, packet_type, Serial(1), Status::OK);
            each_split(Side::server, |server| {
                server.feed(&raw(header, &vec![0; extra]));
                let expected = FramingError::NoCount { length: (MIN_LEN + extra) as u32 };
                assert_eq!(server.close_reason(), Some(&CloseReason::Framing(expected)));
            });
        }
    }
}

#[test]
fn a_type_or_status_that_is_not_known_is_reported_and_dropped() {
    for packet_type in [0, 4, 7, -1, i32::MIN, i32::MAX] {
        let header = Header {
            packet_type: PacketType(packet_type),
            ..Header::new(ConnectGetLibVersionArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK)
        };
        each_split(Side::client, |client| {
            client.feed(&raw(header, &[0; 4]));
            assert!(
                matches!(client.event(), Some(ClientEvent::Unexpected { header: came }) if came == header)
            );
            client.no_event();
            assert_eq!(client.close_reason(), None);
        });
    }
    each_split(Side::client, |client| {
        let call = client.call(&VERSION, Time::START).unwrap();
        let header = Header::new(ConnectGetLibVersionArgs::PROCEDURE, PacketType::REPLY, call, Status(3));
        client.feed(&raw(header, &[0; 8]));
        let failed = client.result(call).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "expected a reply to remote.connect_get_lib_version, \
             got REPLY 3 of procedure 157 of program 0x20008086 version 1, serial 1"
        );
        assert_eq!(client.close_reason(), None);
    });
}

#[test]
fn half_a_packet_is_none() {
    let whole = hand_reply(ConnectGetLibVersionArgs::PROCEDURE, Serial(1), &version(1));
    for length in 0..whole.len() {
        for split in [Split::Whole, Split::Bytes] {
            let mut client = Side::client();
            client.split = split;
            client.call(&VERSION, Time::START).unwrap();
            client.feed(&whole[..length]);
            client.no_event();
            assert_eq!(client.bytes.len(), length, "it stays where it is");
        }
    }
}

#[test]
fn missing_says_how_much_to_ask_for() {
    let reply = hand_reply(ConnectGetLibVersionArgs::PROCEDURE, Serial(1), &version(1));
    assert_eq!(packet::missing(&[]), Ok(MIN_LEN));
    assert_eq!(packet::missing(&reply[..3]), Ok(MIN_LEN - 3));
    assert_eq!(packet::missing(&reply[..4]), Ok(32));
    assert_eq!(packet::missing(&reply[..30]), Ok(6));
    assert_eq!(packet::missing(&reply), Ok(0));
    assert_eq!(packet::missing(&(MAX_LEN as u32).to_be_bytes()), Ok(MAX_LEN - 4));
    assert_eq!(packet::missing(&[0; 4]), Err(FramingError::Length { length: 0 }));
    let header =
        Header::new(ConnectGetLibVersionArgs::PROCEDURE, PacketType::REPLY_WITH_FDS, Serial(1), Status::OK);
    let two = raw(header, &2_u32.to_be_bytes());
    assert_eq!(packet::missing(&two[..28]), Ok(4), "the count is not there yet");
    assert_eq!(packet::missing(&two), Ok(2), "a byte for each descriptor");
}

#[test]
fn what_is_put_can_be_cut() {
    let mut bytes = BytesMut::new();
    packet::put_call(&mut bytes, Serial(5), &lookup("demo"), 0).unwrap();
    let before = bytes.clone();
    // What is refused leaves the buffer as it was.
    let text = vec![b'x'; 4_194_305];
    packet::put_call(&mut bytes, Serial(6), &lookup(text), 0).unwrap_err();
    packet::put_call(&mut bytes, Serial(6), &lookup("demo"), 33).unwrap_err();
    assert_eq!(bytes, before);
    let packet = packet::cut(&mut bytes, &mut VecDeque::new()).unwrap().unwrap();
    assert_eq!(packet.header.serial, Serial(5));
    assert!(bytes.is_empty());
    assert_eq!(packet::cut(&mut bytes, &mut VecDeque::new()).unwrap().map(|packet| packet.header), None);
}
