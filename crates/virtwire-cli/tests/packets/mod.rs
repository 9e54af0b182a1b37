//! Packets made and read by the JSON forms.

use bytes::BytesMut;
use serde_json::Value;
use virtwire_cli::json::{Capture, packet_from_json};
use virtwire_proto::packet::{Header, PacketType, Serial, Status};
use virtwire_proto::program::{PROGRAMS, Procedure};

pub(crate) fn procedures() -> impl Iterator<Item = &'static Procedure> {
    PROGRAMS.iter().flat_map(|program| program.procedures)
}

/// What `decode` shows of a capture, through text.
pub(crate) fn decoded(capture: &[u8]) -> Vec<Value> {
    let mut cut = Capture::new();
    cut.push(capture);
    cut.finish();
    let mut objects = Vec::new();
    while let Some(piece) = cut.next() {
        objects.push(serde_json::from_str(&piece.to_json().to_string()).expect("it is JSON"));
    }
    objects
}

pub(crate) fn encoded(objects: &[Value]) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    for object in objects {
        packet_from_json(object, &mut buffer).unwrap_or_else(|error| panic!("{error} in {object}"));
    }
    buffer.to_vec()
}

pub(crate) fn packet(
    procedure: &Procedure,
    packet_type: PacketType,
    status: Status,
    payload: &[u8],
) -> Vec<u8> {
    raw_packet(Header::new(procedure, packet_type, Serial(7), status), payload)
}

pub(crate) fn raw_packet(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut packet = (28 + payload.len() as u32).to_be_bytes().to_vec();
    packet.extend(header.program.to_be_bytes());
    packet.extend(header.version.to_be_bytes());
    packet.extend(header.procedure.to_be_bytes());
    packet.extend(header.packet_type.0.to_be_bytes());
    packet.extend(header.serial.0.to_be_bytes());
    packet.extend(header.status.0.to_be_bytes());
    packet.extend(payload);
    packet
}
