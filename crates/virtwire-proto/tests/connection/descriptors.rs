//! Descriptors: those announced, fewer, more, none; and that none stays open that nobody took.
//!
//! That a descriptor is closed shows at the other end of its pipe, which then reads its end: unlike a count of
//! all that are open, this is not disturbed by what other tests do.

use crate::rig::{Pair, Side, each_split, each_split_of_a_pair, raw};
use crate::samples::*;
use std::io::{ErrorKind, PipeReader, Read, pipe};
use virtwire_proto::connection::{CallError, CallOptions, Client, ClientEvent, CloseReason, Time, Transmit};
use virtwire_proto::packet::{Descriptor, FramingError, Header, PacketError, PacketType, Serial, Status};
use virtwire_proto::program::Call;
use virtwire_proto::program::remote::DomainOpenGraphicsFdArgs;

/// Descriptors that can be watched.
#[derive(Default)]
struct Watch(Vec<PipeReader>);

impl Watch {
    fn descriptor(&mut self) -> Descriptor {
        let (reader, writer) = pipe().unwrap();
        self.0.push(reader);
        writer.into()
    }

    fn descriptors(&mut self, count: usize) -> Vec<Descriptor> {
        (0..count).map(|_| self.descriptor()).collect()
    }

    /// How many are still open: at the other end of a closed one nothing is to be read any more.
    fn open(&mut self) -> usize {
        self.0.iter().filter(|reader| !at_end(reader)).count()
    }
}

fn at_end(mut reader: &PipeReader) -> bool {
    use std::os::fd::AsFd;
    // A read of an open pipe would block, so it is looked at through /proc, without blocking.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader.as_fd()));
    let mut again = std::fs::File::options();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut again, 0o4000);
    match again.read(true).open(path).unwrap().read(&mut [0]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        other => panic!("expected the pipe's end or nothing, got {other:?} from {:?}", reader.by_ref()),
    }
}

fn options(descriptors: Vec<Descriptor>) -> CallOptions {
    CallOptions { descriptors, ..CallOptions::default() }
}

#[test]
fn they_travel_both_ways() {
    each_split_of_a_pair(|pair| {
        let mut watch = Watch::default();
        let sent = watch.descriptors(2);
        let serial = pair.client.call_with(&graphics(), options(sent), Time::START).unwrap();
        let plain = pair.client.call(&VERSION, Time::START).unwrap();
        let call = pair.called();
        assert_eq!(call.args::<DomainOpenGraphicsFdArgs>().unwrap(), graphics());
        assert_eq!(call.descriptors.len(), 2);
        let next = pair.server.called();
        assert!(next.descriptors.is_empty());
        pair.server.reply_with(call.id, &(), watch.descriptors(1)).unwrap();
        pair.server.reply(next.id, &version(1)).unwrap();
        pair.run();
        let reply = pair.client.result(serial).unwrap();
        assert_eq!(reply.descriptors.len(), 1);
        assert!(reply.payload.is_empty(), "the count is no part of the payload");
        pair.client.result(plain).unwrap();
        assert_eq!(watch.open(), 3);
        drop((call, reply));
        assert_eq!(watch.open(), 0);
    });
}

#[test]
fn one_packet_carries_at_most_32() {
    let mut watch = Watch::default();
    let mut pair = Pair::open();
    pair.client.call_with(&graphics(), options(watch.descriptors(32)), Time::START).unwrap();
    let call = pair.called();
    assert_eq!(call.descriptors.len(), 32);
    let refused = pair.client.call_with(&graphics(), options(watch.descriptors(33)), Time::START);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "remote.domain_open_graphics_fd cannot be sent: 33 descriptors exceed the maximum of 32"
    );
    assert_eq!(watch.open(), 32, "what is refused is closed");
    pair.server.reply_with(call.id, &(), watch.descriptors(33)).unwrap_err();
    pair.server.reply(call.id, &()).unwrap();
    drop(call);
    assert_eq!(watch.open(), 0);
}

fn with_count(packet_type: PacketType, serial: Serial, count: u32) -> Vec<u8> {
    let header = Header::new(DomainOpenGraphicsFdArgs::PROCEDURE, packet_type, serial, Status::OK);
    raw(header, &count.to_be_bytes())
}

#[test]
fn a_packet_that_announces_none_carries_none() {
    each_split(Side::client, |client| {
        let serial = client.call(&graphics(), Time::START).unwrap();
        client.feed(&with_count(PacketType::REPLY_WITH_FDS, serial, 0));
        let reply = client.result(serial).unwrap();
        assert!(reply.descriptors.is_empty() && reply.payload.is_empty());
        assert!(client.bytes.is_empty());
    });
    // libvirtd too takes such a call as one like any other.
    each_split(Side::server, |server| {
        server.feed(&with_count(PacketType::CALL_WITH_FDS, Serial(1), 0));
        assert!(server.called().descriptors.is_empty());
    });
}

/// libvirtd hangs up.
#[test]
fn fewer_than_announced_end_the_connection() {
    each_split(Side::server, |server| {
        let mut watch = Watch::default();
        let mut pieces = vec![
            Transmit::Bytes(with_count(PacketType::CALL_WITH_FDS, Serial(1), 3).into()),
            Transmit::Descriptor(watch.descriptor()),
        ];
        pieces.push(Transmit::Bytes(vec![0, 0].into()));
        server.feed_all(pieces);
        let missing = FramingError::MissingDescriptors { announced: 3, came: 1 };
        assert_eq!(server.close_reason(), Some(&CloseReason::Framing(missing)));
        server.descriptors.clear();
        assert_eq!(watch.open(), 0);
    });
}

/// libvirtd hangs up.
#[test]
fn more_announced_than_may_be_end_the_connection() {
    for count in [33, u32::MAX] {
        each_split(Side::server, |server| {
            server.feed(&with_count(PacketType::CALL_WITH_FDS, Serial(1), count));
            let many = FramingError::TooManyDescriptors { count };
            assert_eq!(server.close_reason(), Some(&CloseReason::Framing(many)));
        });
    }
}

#[test]
fn more_than_announced_are_closed() {
    each_split(Side::client, |client| {
        let mut watch = Watch::default();
        let serial = client.call(&graphics(), Time::START).unwrap();
        let reply = with_count(PacketType::REPLY_WITH_FDS, serial, 1);
        // A second descriptor beside the byte of the first.
        let second = watch.descriptor();
        let first = watch.descriptor();
        client.feed_all([Transmit::Bytes(reply.into())]);
        client.descriptors.push_back(first);
        client.descriptors.push_back(second);
        client.feed(&[0]);
        let reply = client.result(serial).unwrap();
        assert_eq!(reply.descriptors.len(), 1);
        assert_eq!(watch.open(), 1);
    });
}

#[test]
fn descriptors_beside_other_packets_are_closed() {
    each_split(Side::server, |server| {
        let mut watch = Watch::default();
        server.descriptors.push_back(watch.descriptor());
        let header =
            Header::new(DomainOpenGraphicsFdArgs::PROCEDURE, PacketType::CALL, Serial(1), Status::OK);
        server.feed(&raw(header, &[]));
        assert!(server.called().descriptors.is_empty());
        assert_eq!(watch.open(), 0);
    });
}

#[test]
fn a_packet_that_never_ends_gathers_no_descriptors() {
    let mut watch = Watch::default();
    let mut server = Side::server();
    let mut endless = 10_000_u32.to_be_bytes().to_vec();
    endless.resize(200, 0);
    for byte in endless {
        server.descriptors.push_back(watch.descriptor());
        server.feed(&[byte]);
        assert!(server.descriptors.len() <= 32);
    }
    assert!(watch.open() <= 32);
}

#[test]
fn those_of_a_dropped_reply_or_packet_are_closed() {
    let mut watch = Watch::default();
    let mut pair = Pair::open();
    let cancelled = pair.client.call(&graphics(), Time::START).unwrap();
    let call = pair.called();
    pair.client.cancel(cancelled);
    pair.server.reply_with(call.id, &(), watch.descriptors(2)).unwrap();
    pair.run();
    pair.client.no_event();
    assert_eq!(watch.open(), 0);
    // To no call.
    let reply = with_count(PacketType::REPLY_WITH_FDS, Serial(99), 1);
    pair.client.feed_all([Transmit::Bytes(reply.into()), Transmit::Descriptor(watch.descriptor())]);
    assert!(matches!(pair.client.event(), Some(ClientEvent::Unexpected { .. })));
    assert_eq!(watch.open(), 0);
    // To a program that is not offered.
    let header = Header {
        program: 5,
        ..Header::new(DomainOpenGraphicsFdArgs::PROCEDURE, PacketType::CALL_WITH_FDS, Serial(1), Status::OK)
    };
    let call = raw(header, &1_u32.to_be_bytes());
    pair.server.feed_all([Transmit::Bytes(call.into()), Transmit::Descriptor(watch.descriptor())]);
    assert_eq!(watch.open(), 0);
}

#[test]
fn those_that_wait_to_be_sent_are_closed_with_the_connection() {
    let mut watch = Watch::default();
    let mut client = Side::client();
    for _ in 0..7 {
        client.call_with(&graphics(), options(watch.descriptors(1)), Time::START).unwrap();
    }
    assert_eq!(watch.open(), 7);
    client.close(CloseReason::Local);
    assert_eq!(watch.open(), 0);
}

#[test]
fn those_of_a_call_cancelled_before_its_turn_are_closed() {
    let mut watch = Watch::default();
    let mut client = Side::client();
    for _ in 0..5 {
        client.call(&VERSION, Time::START).unwrap();
    }
    let serial = client.call_with(&graphics(), options(watch.descriptors(1)), Time::START).unwrap();
    client.cancel(serial);
    assert_eq!(watch.open(), 0);
}

#[test]
fn those_of_a_call_that_waits_its_turn_go_with_it() {
    each_split_of_a_pair(|pair| {
        let mut watch = Watch::default();
        for _ in 0..4 {
            pair.client.call(&VERSION, Time::START).unwrap();
        }
        pair.client.call_with(&graphics(), options(watch.descriptors(2)), Time::START).unwrap();
        let id = pair.called().id;
        for _ in 0..3 {
            pair.server.called();
        }
        pair.server.no_event();
        pair.server.reply(id, &version(1)).unwrap();
        assert_eq!(pair.called().descriptors.len(), 2);
        assert_eq!(watch.open(), 0);
    });
}

#[test]
fn they_cannot_pass_a_security_layer() {
    let mut client = Side::new(Client::new(Default::default(), Time::START));
    client.authenticated(Some(Box::new(crate::authentication::Toy::default())));
    let refused = client.call_with(&graphics(), options(vec![descriptor()]), Time::START).unwrap_err();
    assert!(matches!(refused, CallError::Refused(PacketError::Sealed { .. })), "{refused:?}");
    assert_eq!(client.pending_calls(), 0);
}
