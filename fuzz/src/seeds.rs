//! Inputs to start from that follow from the definitions, or are put together by hand.

#[path = "../../crates/virtwire-proto/tests/program/schema.rs"]
#[expect(dead_code, reason = "its other half is for the tests that it stands among")]
mod schema;

use crate::{common_input, packets_input, procedure_input};
use bytes::BytesMut;
use schema::Random;
use virtwire_cli::json::Capture;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::error::raised;
use virtwire_proto::packet::{self, Header, PacketType, Serial, Status, put_error};
use virtwire_proto::program::remote::{
    self, AuthSaslInitArgs, AuthSaslStartArgs, AuthSaslStepArgs, DomainGetInfoArgs, DomainOpenConsoleArgs,
    StorageVolUploadArgs,
};
use virtwire_proto::program::{Call, Event, PROGRAMS, Procedure, keepalive, net};
use virtwire_proto::xdr::{Xdr, to_bytes};

/// A file's name, and what it holds.
pub type Seed = (String, Vec<u8>);

/// A seed of `decoders` for every call, event and reply that carries something, and for what all programs share.
#[must_use]
pub fn decoders() -> Vec<Seed> {
    let mut random = Random::new(0x7365_6564_7300_0001);
    let mut seeds = Vec::new();
    for (place, program) in PROGRAMS.iter().enumerate() {
        for procedure in program.procedures {
            for (reply, of) in [(false, procedure.args), (true, procedure.ret)] {
                if !of.fields.is_empty() {
                    let payload = random.bytes(of, 3);
                    let input = procedure_input(place, procedure.number, reply, &payload);
                    let suffix = if reply { "-reply" } else { "" };
                    seeds.push((format!("{}.{}{suffix}", program.name, procedure.name), input));
                }
            }
        }
    }
    for (place, of) in net::STRUCTS.iter().enumerate() {
        seeds.push((of.name.to_owned(), common_input(place, &random.bytes(of, 3))));
    }
    seeds
}

/// Seeds of `packets`: what good and bad peers send. `client-…` is what a client gets, whose calls have the serials
/// from 1 on; `server-…` is what a server gets.
#[must_use]
pub fn packets() -> Vec<Seed> {
    let console = DomainOpenConsoleArgs::PROCEDURE;
    let upload = StorageVolUploadArgs::PROCEDURE;
    let info = DomainGetInfoArgs::PROCEDURE;
    let lifecycle = remote::DomainEventCallbackLifecycleMsg::PROCEDURE;
    let register = remote::ConnectDomainEventCallbackRegisterAnyArgs::PROCEDURE;
    let (call, reply, stream) = (PacketType::CALL, PacketType::REPLY, PacketType::STREAM);
    let (ok, error, more) = (Status::OK, Status::ERROR, Status::CONTINUE);
    let event = remote::DomainEventCallbackLifecycleMsg { callback_id: 7, ..Default::default() };
    let hole = net::StreamHole { length: i64::MAX, flags: 0 };
    let failure = raised(ErrorNumber::NO_DOMAIN, ErrorDomain::TEST, "%s", "no domain");
    let ping = Header::new(keepalive::PingMsg::PROCEDURE, PacketType::MESSAGE, Serial(0), ok);
    let unknown = Header { program: 1, version: 2, procedure: 3, ..Header::new(info, call, Serial(9), ok) };
    let sasl_start = AuthSaslStartArgs { mech: "PLAIN".into(), nil: 0, data: b"\0fred\0secret"[..].into() };
    let sasl_step = AuthSaslStepArgs { nil: 0, data: b"x"[..].into() };
    let sasl_ret = remote::AuthSaslStartRet { complete: 1, nil: 1, ..Default::default() };
    let mut error_packet = BytesMut::new();
    put_error(&mut error_packet, Header::new(info, reply, Serial(2), error), &failure);

    let streams: [(&str, u8, Vec<Vec<u8>>); 15] = [
        ("client-reply", 0, vec![of(info, reply, 2, ok, &remote::DomainGetInfoRet::default())]),
        ("client-error", 0, vec![error_packet.to_vec()]),
        (
            "client-event-first",
            0,
            vec![
                of(lifecycle, PacketType::MESSAGE, 0, ok, &event),
                of(register, reply, 1, ok, &7),
                of(lifecycle, PacketType::MESSAGE, 0, ok, &event),
            ],
        ),
        (
            "client-download",
            16,
            vec![
                of(console, reply, 3, ok, &()),
                raw(Header::new(console, stream, Serial(3), more), b"data"),
                of(console, PacketType::STREAM_HOLE, 3, more, &hole),
                of(console, stream, 3, more, &()),
                of(console, stream, 3, ok, &()),
            ],
        ),
        (
            "client-early-data",
            0,
            vec![
                raw(Header::new(console, stream, Serial(3), more), b"data"),
                of(console, reply, 3, ok, &()),
                of(console, stream, 3, error, &failure),
            ],
        ),
        ("client-upload", 16, vec![of(upload, reply, 4, ok, &()), of(upload, stream, 4, ok, &())]),
        ("client-sasl", 0, vec![of(AuthSaslStartArgs::PROCEDURE, reply, 5, ok, &sasl_ret), raw(ping, b"")]),
        (
            "client-descriptor",
            1,
            vec![
                of(info, PacketType::REPLY_WITH_FDS, 2, ok, &1_u32),
                vec![0],
                of(info, PacketType::REPLY_WITH_FDS, 2, ok, &33_u32),
            ],
        ),
        ("pings", 0, vec![raw(ping, b""), raw(ping, b""), raw(Header { procedure: 2, ..ping }, b"")]),
        ("server-call", 16, vec![of(info, call, 1, ok, &DomainGetInfoArgs::default())]),
        (
            "server-unknown",
            0,
            vec![
                raw(unknown, b""),
                raw(Header { procedure: 9999, ..Header::new(info, call, Serial(1), ok) }, b""),
                raw(Header::new(info, PacketType(7), Serial(1), ok), b""),
                raw(Header::new(info, call, Serial(1), Status(5)), b""),
                raw(Header::new(info, reply, Serial(1), ok), b""),
            ],
        ),
        (
            "server-upload",
            16,
            vec![
                of(upload, call, 1, ok, &StorageVolUploadArgs::default()),
                raw(Header::new(upload, stream, Serial(1), more), b"data"),
                of(upload, PacketType::STREAM_HOLE, 1, more, &hole),
                of(upload, stream, 1, ok, &()),
                of(info, call, 2, ok, &DomainGetInfoArgs::default()),
            ],
        ),
        (
            "server-abort",
            16,
            vec![
                of(console, call, 1, ok, &DomainOpenConsoleArgs::default()),
                raw(Header::new(console, stream, Serial(1), error), b""),
                raw(Header::new(console, stream, Serial(1), more), b"late"),
            ],
        ),
        (
            "server-sasl",
            0x30,
            vec![
                of(AuthSaslInitArgs::PROCEDURE, call, 1, ok, &()),
                of(AuthSaslStartArgs::PROCEDURE, call, 2, ok, &sasl_start),
                of(AuthSaslStepArgs::PROCEDURE, call, 3, ok, &sasl_step),
                of(info, call, 4, ok, &DomainGetInfoArgs::default()),
            ],
        ),
        (
            "server-polkit",
            0x50,
            vec![
                of(info, call, 1, ok, &DomainGetInfoArgs::default()),
                of(remote::AuthListArgs::PROCEDURE, call, 2, ok, &()),
                of(remote::AuthPolkitArgs::PROCEDURE, call, 3, ok, &()),
            ],
        ),
    ];
    let mut seeds: Vec<Seed> = Vec::new();
    for (name, options, packets) in streams {
        seeds.push((name.to_owned(), packets_input(options, 7, &packets.concat())));
    }
    for length in [0_u32, 3, 4, 27, 28, 33_554_436, 33_554_437, u32::MAX] {
        let stream = [&length.to_be_bytes(), &[0; 24][..]].concat();
        seeds.push((format!("length-{length}"), packets_input(0, 0, &stream)));
    }
    seeds
}

/// Seeds of `json`: the packets of [`packets`] as captures and as text, and some payloads of [`decoders`].
#[must_use]
pub fn json() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, input) in packets() {
        let stream = &input[2..];
        seeds.push((format!("capture-{name}"), [&[0], stream].concat()));
        let mut capture = Capture::new();
        capture.push(stream);
        capture.finish();
        if let Some(piece) = capture.next() {
            seeds.push((format!("text-{name}"), [&[2], piece.to_json().to_string().as_bytes()].concat()));
        }
    }
    for (name, input) in decoders().into_iter().step_by(16) {
        seeds.push((format!("payload-{name}"), [&[1], &input[..]].concat()));
    }
    seeds
}

/// Seeds of `operations`: lists of any operations.
#[must_use]
pub fn operations() -> Vec<Seed> {
    let mut random = Random::new(0x7365_6564_7300_0002);
    let authentications = ["open", "polkit", "sasl"];
    let lists = (0..24_usize).map(|count| {
        let which = count % authentications.len();
        let mut input = vec![which as u8];
        input.extend((0..20 * (1 + count)).map(|_| random.below(256) as u8));
        (format!("{}-{count}", authentications[which]), input)
    });
    lists.collect()
}

/// A packet by hand.
fn raw(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = BytesMut::new();
    let length = payload.len() as u32 + packet::MIN_LEN as u32;
    let Header { program, version, procedure, packet_type, serial, status } = header;
    for word in [
        length,
        program,
        version,
        procedure.cast_unsigned(),
        packet_type.0.cast_unsigned(),
        serial.0,
        status.0.cast_unsigned(),
    ] {
        packet.extend_from_slice(&word.to_be_bytes());
    }
    packet.extend_from_slice(payload);
    packet.to_vec()
}

fn of<T: Xdr>(
    procedure: &Procedure,
    packet_type: PacketType,
    serial: u32,
    status: Status,
    payload: &T,
) -> Vec<u8> {
    let payload = to_bytes(payload).expect("it passes no maximum");
    raw(Header::new(procedure, packet_type, Serial(serial), status), &payload)
}
