//! Temporary.
#![allow(missing_docs)]
use super::*;
use crate::xdr::{DecodeError, EncodeError, Reader, Text, Writer};
use alloc::vec::Vec;
use bytes::Bytes;
use uuid::Uuid;
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectDomainMonitorEventDeregisterArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectDomainMonitorEventDeregisterArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.callback_id.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { callback_id: Xdr::decode(r)? })
    }
}
pub static EMPTY: Struct = Struct { name: "", fields: &[] };
impl Call for ConnectDomainMonitorEventDeregisterArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[0];
}
static PROCS: [Procedure; 1] = [Procedure {
    program: &PROGRAM,
    number: 5,
    name: "ConnectDomainMonitorEventDeregisterArgs",
    kind: Kind::Call,
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
    event_class: Some(EventClass::QemuMonitor),
    args: &EMPTY,
    ret: &EMPTY,
}];
pub static PROGRAM: Program =
    Program { name: "qemu", number: 536903815, version: 1, procedures: &PROCS, structs: &[], limits: &[] };
