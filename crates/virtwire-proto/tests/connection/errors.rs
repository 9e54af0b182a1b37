//! Errors: whole, of any number, with any text or none.

use crate::rig::{Side, each_split, each_split_of_a_pair, hand};
use crate::samples::*;
use virtwire_proto::connection::{CallError, Time};
use virtwire_proto::packet::{PacketType, Status};
use virtwire_proto::program::Call;
use virtwire_proto::program::net::{MessageError, MessageNonnullDomain, MessageNonnullNetwork};
use virtwire_proto::program::remote::ConnectGetLibVersionArgs;
use virtwire_proto::xdr::Text;

/// What a client is told when a server answers with this error.
fn told(error: &MessageError) -> CallError {
    let told = std::cell::RefCell::new(None);
    each_split_of_a_pair(|pair| {
        let serial = pair.client.call(&VERSION, Time::START).unwrap();
        let id = pair.called().id;
        pair.server.reply_error(id, error).unwrap();
        pair.run();
        let failed = pair.client.result(serial).unwrap_err();
        match &failed {
            CallError::Server(came) => assert_eq!(&**came, error),
            other => panic!("expected the server's error, got {other:?}"),
        }
        told.replace(Some(failed));
    });
    told.into_inner().unwrap()
}

#[test]
fn all_of_an_error_arrives() {
    let dom =
        MessageNonnullDomain { name: Text::from("demo"), uuid: uuid::Uuid::from_bytes([7; 16]), id: -1 };
    let net = MessageNonnullNetwork { name: Text::from("default"), uuid: uuid::Uuid::from_bytes([9; 16]) };
    let failed = told(&MessageError {
        code: 42,
        domain: 10,
        message: Some(Text::from("Domain not found: demo")),
        level: 1,
        dom: Some(dom),
        str1: Some(Text::from("one")),
        str2: Some(Text::from("")),
        str3: Some(Text::from("three")),
        int1: i32::MIN,
        int2: i32::MAX,
        net: Some(net),
    });
    assert_eq!(failed.to_string(), "Domain not found: demo");
}

#[test]
fn an_unknown_code_domain_and_level_survive() {
    for number in [100_000, -1, i32::MAX, i32::MIN] {
        told(&MessageError { code: number, domain: number, level: number, ..error(0) });
    }
}

#[test]
fn an_error_without_a_message() {
    let failed = told(&MessageError { code: 38, ..MessageError::default() });
    assert_eq!(failed.to_string(), "error 38 of domain 0, without a message");
}

#[test]
fn a_message_may_hold_any_bytes() {
    for bytes in [&b"nul\0inside"[..], b"\xff\xfe no utf-8 \xc3", b"", "\u{1f980}".as_bytes()] {
        told(&MessageError { message: Some(Text::from(bytes)), ..error(1) });
    }
    let failed = told(&MessageError { message: Some(Text::from(&b"\xff"[..])), ..error(1) });
    assert_eq!(failed.to_string(), "\u{fffd}");
}

#[test]
fn an_error_that_cannot_be_decoded_fails_its_call_alone() {
    each_split(Side::client, |client| {
        let [broken, whole] = [(); 2].map(|()| client.call(&VERSION, Time::START).unwrap());
        let procedure = ConnectGetLibVersionArgs::PROCEDURE;
        client.feed(&hand(procedure, PacketType::REPLY, broken, Status::ERROR, &5_i32));
        client.feed(&hand(procedure, PacketType::REPLY, whole, Status::ERROR, &error(5)));
        let failed = client.result(broken).unwrap_err();
        assert!(matches!(failed, CallError::Malformed { .. }), "{failed:?}");
        assert_eq!(
            failed.to_string(),
            "the reply to remote.connect_get_lib_version cannot be decoded: \
             at byte 4 of 4: expected 4 more bytes, 0 are left"
        );
        client.result(whole).unwrap_err();
        assert_eq!(client.close_reason(), None);
    });
}
