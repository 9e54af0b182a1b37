//! What a server answers by itself: to programs, versions, procedures and statuses that it does not know.
//!
//! Every answer here was compared with a libvirtd 9.0.0: code, domain, message, level, str1, str2, int1, int2.

use crate::rig::{Side, each_split, raw};
use virtwire_proto::connection::{Server, ServerConfig, ServerEvent, Time};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::net::MessageError;
use virtwire_proto::program::{admin, qemu, remote};
use virtwire_proto::xdr::{Text, from_bytes};

/// A call of a procedure of the remote program's: AUTH_LIST.
const CALL: Header = Header {
    program: 0x2000_8086,
    version: 1,
    procedure: 66,
    packet_type: PacketType::CALL,
    serial: Serial(7),
    status: Status::OK,
};

/// VIR_ERR_RPC of VIR_FROM_RPC, raised with a text alone.
fn rpc(text: &str) -> MessageError {
    MessageError {
        code: 39,
        domain: 7,
        message: Some(Text::from(text)),
        level: 2,
        dom: None,
        str1: Some(Text::from("%s")),
        str2: Some(Text::from(text)),
        str3: None,
        int1: -1,
        int2: -1,
        net: None,
    }
}

fn libvirtd() -> Side<Server> {
    Side::new(Server::new(ServerConfig::new(&[&remote::PROGRAM, &qemu::PROGRAM]), Time::START))
}

/// The server refuses a call under its own header, and goes on.
fn refused(call: Header, payload: &[u8], error: &MessageError) {
    each_split(libvirtd, |server| {
        server.feed(&raw(call, payload));
        let packets = server.packets();
        assert_eq!(packets.len(), 1);
        assert_eq!(
            packets[0].header,
            Header { packet_type: PacketType::REPLY, status: Status::ERROR, ..call }
        );
        assert_eq!(&from_bytes::<MessageError>(packets[0].payload.clone()).unwrap(), error);
        server.no_event();
        assert_eq!((server.pending_calls(), server.close_reason()), (0, None));
        server.feed(&raw(CALL, &[]));
        assert_eq!(server.headers()[0].status, Status::OK);
    });
}

#[test]
fn an_unknown_program() {
    refused(Header { program: 0x1234_5678, ..CALL }, &[], &rpc("Cannot find program 305419896 version 1"));
    // libvirtd prints both as signed numbers.
    let high = Header { program: 0xf234_5678, version: 0xffff_fff0, ..CALL };
    refused(high, &[], &rpc("Cannot find program -231451016 version -16"));
    let fds = Header { program: 0x1234_5678, packet_type: PacketType::CALL_WITH_FDS, ..CALL };
    refused(fds, &[0; 4], &rpc("Cannot find program 305419896 version 1"));
}

#[test]
fn a_program_that_is_known_but_not_offered() {
    let text = format!("Cannot find program {} version 1", admin::PROGRAM.number);
    refused(Header { program: admin::PROGRAM.number, ..CALL }, &[], &rpc(&text));
    refused(Header { program: 0x6b65_6570, ..CALL }, &[], &rpc("Cannot find program 1801807216 version 1"));
}

#[test]
fn an_unknown_version() {
    refused(Header { version: 2, ..CALL }, &[], &rpc("Cannot find program 536903814 version 2"));
}

#[test]
fn an_unknown_procedure() {
    for number in [99_999, 0, -1] {
        let text = format!("unknown procedure: {number}");
        refused(Header { procedure: number, ..CALL }, &[], &rpc(&text));
    }
}

#[test]
fn an_event_cannot_be_called() {
    // REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE.
    refused(Header { procedure: 318, ..CALL }, &[], &rpc("unknown procedure: 318"));
}

#[test]
fn a_status_that_no_call_has() {
    let statuses = [(1, "1"), (2, "2"), (77, "77"), (-1, "4294967295")];
    for (status, printed) in statuses {
        let text = format!("Unexpected message status {printed}");
        refused(Header { status: Status(status), ..CALL }, &[], &rpc(&text));
    }
    // Program before status, status before procedure.
    let both = Header { status: Status::ERROR, procedure: 99_999, ..CALL };
    refused(both, &[], &rpc("Unexpected message status 1"));
    let all = Header { program: 1, ..both };
    refused(all, &[], &rpc("Cannot find program 1 version 1"));
}

#[test]
fn the_answer_carries_the_calls_serial_whatever_it_is() {
    for serial in [0, u32::MAX] {
        refused(
            Header { procedure: 99_999, serial: Serial(serial), ..CALL },
            &[],
            &rpc("unknown procedure: 99999"),
        );
    }
}

#[test]
fn packets_that_are_no_calls_are_dropped_in_silence() {
    for program in [CALL.program, 0x1234_5678] {
        for packet_type in [1, 2, 3, 6, 7, -1, 100] {
            let header = Header { program, packet_type: PacketType(packet_type), ..CALL };
            each_split(libvirtd, |server| {
                server.feed(&raw(header, &[0; 12]));
                match server.event() {
                    // A stream's late packets are normal.
                    None => assert!(matches!(packet_type, 3 | 6)),
                    Some(ServerEvent::Unexpected { header: came }) => assert_eq!(came, header),
                    other => panic!("expected nothing more, got {other:?}"),
                }
                assert!(server.packets().is_empty());
                assert_eq!(server.close_reason(), None);
            });
        }
    }
}

#[test]
fn one_serial_twice_is_two_calls() {
    each_split(libvirtd, |server| {
        server.feed(&raw(CALL, &[]).repeat(2));
        let serials: Vec<_> = server.headers().iter().map(|header| header.serial).collect();
        assert_eq!(serials, [Serial(7), Serial(7)]);
    });
}

/// libvirtd says no more than the text; where it went wrong stands in str3, which it leaves out.
#[test]
fn a_payload_that_is_not_what_the_procedure_takes() {
    each_split(libvirtd, |server| {
        server.feed(&raw(Header { procedure: 23, ..CALL }, &[0, 0, 0, 3, b'a', b'b', b'c']));
        let call = server.called();
        let error = call.args::<remote::DomainLookupByNameArgs>().unwrap_err();
        server.reply_malformed(call.id, &error).unwrap();
        let answer: MessageError = from_bytes(server.packets()[0].payload.clone()).unwrap();
        let at = Text::from("at byte 0 of 7: expected 8 more bytes, 7 are left");
        assert_eq!(answer, MessageError { str3: Some(at), ..rpc("Unable to decode message payload") });
    });
}

#[test]
fn an_error_whose_text_is_too_long_keeps_its_numbers() {
    let mut server = libvirtd();
    server.feed(&raw(Header { procedure: 157, ..CALL }, &[]));
    let call = server.called();
    let long = Some(Text::from(vec![b'x'; 4_194_305]));
    let error =
        MessageError { message: long, code: 5, domain: 6, level: 2, int1: 8, ..MessageError::default() };
    server.reply_error(call.id, &error).unwrap();
    let answer: MessageError = from_bytes(server.packets()[0].payload.clone()).unwrap();
    assert_eq!(answer, MessageError { message: None, ..error });
}
