//! Maxima: accepted to the last byte, refused before anything is sent, and the connection lives on.

use crate::rig::{Pair, Side, bytes_of};
use crate::samples::*;
use bytes::Bytes;
use virtwire_proto::connection::{CallError, CallOptions, ReplyError, Time};
use virtwire_proto::packet::{MAX_LEN, MAX_PAYLOAD_LEN, PacketError};
use virtwire_proto::program::remote::*;
use virtwire_proto::program::{Call, net};

/// A payload of this length that no procedure has to understand.
fn filler(len: usize) -> Vec<u8> {
    vec![0; len]
}

#[test]
fn the_longest_packet_passes_both_ways() {
    assert_eq!(MAX_LEN, 33_554_436);
    assert_eq!(MAX_PAYLOAD_LEN as u32, net::limits::MESSAGE_PAYLOAD_MAX);
    let mut pair = Pair::open();
    let payload = filler(MAX_PAYLOAD_LEN);
    let procedure = DomainGetXmlDescArgs::PROCEDURE;
    let serial = pair.client.call_raw(procedure, &payload, CallOptions::default(), Time::START).unwrap();
    let call = pair.called();
    assert_eq!(call.payload.len(), MAX_PAYLOAD_LEN);
    pair.server.reply_raw(call.id, Bytes::from(payload), Vec::new()).unwrap();
    pair.run();
    assert_eq!(pair.client.result(serial).unwrap().payload.len(), MAX_PAYLOAD_LEN);
}

#[test]
fn a_reply_near_the_maximum_is_decoded() {
    // As many domains as the definitions allow, with names that fill the packet.
    let mut domains = vec![domain(); 16_384];
    let name = vec![b'n'; 2020];
    for domain in &mut domains {
        domain.name = name.clone().into();
    }
    let ret = ConnectListAllDomainsRet { domains, ret: 16_384 };
    let mut pair = Pair::open();
    let args = ConnectListAllDomainsArgs { need_results: 1, flags: 0 };
    let serial = pair.client.call(&args, Time::START).unwrap();
    let id = pair.called().id;
    pair.server.reply(id, &ret).unwrap();
    assert!(pair.server.pending_bytes() > MAX_LEN - (1 << 20));
    pair.run();
    let came = pair.client.result(serial).unwrap().decode::<ConnectListAllDomainsArgs>().unwrap();
    assert!(came == ret);
}

#[test]
fn one_byte_more_is_refused_before_it_is_sent() {
    let mut pair = Pair::open();
    let payload = filler(MAX_PAYLOAD_LEN + 1);
    let procedure = DomainGetXmlDescArgs::PROCEDURE;
    let refused = pair.client.call_raw(procedure, &payload, CallOptions::default(), Time::START).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "remote.domain_get_xml_desc cannot be sent: its packet of 33554437 bytes exceeds the maximum of 33554436"
    );
    assert!(matches!(refused, CallError::Refused(PacketError::TooLong { .. })));
    assert_eq!((pair.client.pending_bytes(), pair.client.pending_calls()), (0, 0));
    pair.client.no_event();
    // The connection goes on, with the serial that the refused call did not use.
    let serial = pair.client.call(&VERSION, Time::START).unwrap();
    assert_eq!(serial.0, 1);
    let id = pair.called().id;
    // The same of an answer: the call still waits for one.
    let refused = pair.server.reply_raw(id, Bytes::from(payload), Vec::new()).unwrap_err();
    assert!(matches!(refused, ReplyError::Refused(PacketError::TooLong { .. })), "{refused:?}");
    assert_eq!(pair.server.pending_bytes(), 0);
    pair.server.reply(id, &version(1)).unwrap();
    pair.run();
    pair.client.result(serial).unwrap();
}

#[test]
fn too_long_a_call_behind_the_cap_is_refused_at_once() {
    let mut client = Side::client();
    for _ in 0..5 {
        client.call(&VERSION, Time::START).unwrap();
    }
    let procedure = DomainGetXmlDescArgs::PROCEDURE;
    let payload = filler(MAX_PAYLOAD_LEN + 1);
    client.call_raw(procedure, &payload, CallOptions::default(), Time::START).unwrap_err();
    assert_eq!(client.pending_calls(), 5);
}

#[test]
fn the_longest_string_passes_and_one_byte_more_is_refused() {
    let mut pair = Pair::open();
    let longest = vec![b'x'; 4_194_304];
    pair.client.call(&lookup(longest.clone()), Time::START).unwrap();
    let args: DomainLookupByNameArgs = pair.called().args().unwrap();
    assert_eq!(args.name.len(), 4_194_304);
    let refused = pair.client.call(&lookup(vec![b'x'; 4_194_305]), Time::START).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "remote.domain_lookup_by_name cannot be sent: a string of 4194305 exceeds its maximum of 4194304"
    );
    assert!(bytes_of(pair.client.written()).is_empty());
}

#[test]
fn too_long_an_event_is_refused() {
    let mut pair = Pair::open();
    let mut event = domain_event(1, 1);
    event.msg.dom.name = vec![b'x'; 4_194_305].into();
    pair.server.emit(&event).unwrap_err();
    assert_eq!(pair.server.pending_bytes(), 0);
    pair.server.emit(&domain_event(1, 2)).unwrap();
    assert_eq!(pair.server.packets().len(), 1);
}
