//! Temporary.
#![allow(missing_docs)]
use super::*;
use crate::xdr::{DecodeError, EncodeError, Reader, Text, Writer};
use alloc::vec::Vec;
use bytes::Bytes;
use uuid::Uuid;
pub static EMPTY: Struct = Struct { name: "", fields: &[] };
static PROCS: [Procedure; 2] = [
    Procedure {
        program: &PROGRAM,
        number: 1,
        name: "ping",
        kind: Kind::Event,
        c_name: None,
        since: None,
        priority: Priority::Low,
        acl: &[],
        acl_filter: &[],
        stream: StreamDirection::None,
        stream_parameter: None,
        sparse_flag: None,
        client: Implementation::Generated,
        server: Implementation::Generated,
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 2,
        name: "pong",
        kind: Kind::Event,
        c_name: None,
        since: None,
        priority: Priority::Low,
        acl: &[],
        acl_filter: &[],
        stream: StreamDirection::None,
        stream_parameter: None,
        sparse_flag: None,
        client: Implementation::Generated,
        server: Implementation::Generated,
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
];
pub static PROGRAM: Program = Program {
    name: "keepalive",
    number: 1801807216,
    version: 1,
    procedures: &PROCS,
    structs: &[],
    limits: &[],
};
