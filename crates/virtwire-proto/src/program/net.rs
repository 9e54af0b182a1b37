//! Temporary.
#![allow(missing_docs)]
use super::*;
use crate::xdr::{DecodeError, EncodeError, Reader, Text, Writer};
use alloc::vec::Vec;
use bytes::Bytes;
use uuid::Uuid;
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NonnullDomain {
    pub name: Text,
    pub uuid: Uuid,
    pub id: i32,
}
impl Xdr for NonnullDomain {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        w.put_string(&self.name, 4194304)?;
        self.uuid.encode(w)?;
        self.id.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { name: r.string(4194304)?, uuid: Xdr::decode(r)?, id: Xdr::decode(r)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NonnullNetwork {
    pub name: Text,
    pub uuid: Uuid,
}
impl Xdr for NonnullNetwork {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        w.put_string(&self.name, 4194304)?;
        self.uuid.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { name: r.string(4194304)?, uuid: Xdr::decode(r)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageError {
    pub code: i32,
    pub domain: i32,
    pub message: Option<Text>,
    pub level: i32,
    pub dom: Option<NonnullDomain>,
    pub str1: Option<Text>,
    pub str2: Option<Text>,
    pub str3: Option<Text>,
    pub int1: i32,
    pub int2: i32,
    pub net: Option<NonnullNetwork>,
}
impl Xdr for MessageError {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.code.encode(w)?;
        self.domain.encode(w)?;
        w.put_optional_string(self.message.as_ref(), 4194304)?;
        self.level.encode(w)?;
        self.dom.encode(w)?;
        w.put_optional_string(self.str1.as_ref(), 4194304)?;
        w.put_optional_string(self.str2.as_ref(), 4194304)?;
        w.put_optional_string(self.str3.as_ref(), 4194304)?;
        self.int1.encode(w)?;
        self.int2.encode(w)?;
        self.net.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self {
            code: Xdr::decode(r)?,
            domain: Xdr::decode(r)?,
            message: r.optional_string(4194304)?,
            level: Xdr::decode(r)?,
            dom: Xdr::decode(r)?,
            str1: r.optional_string(4194304)?,
            str2: r.optional_string(4194304)?,
            str3: r.optional_string(4194304)?,
            int1: Xdr::decode(r)?,
            int2: Xdr::decode(r)?,
            net: Xdr::decode(r)?,
        })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamHole {
    pub length: i64,
    pub flags: u32,
}
impl Xdr for StreamHole {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.length.encode(w)?;
        self.flags.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { length: Xdr::decode(r)?, flags: Xdr::decode(r)? })
    }
}
pub static EMPTY: Struct = Struct { name: "", fields: &[] };
static PROCS: [Procedure; 0] = [];
pub static PROGRAM: Program =
    Program { name: "net", number: 0, version: 1, procedures: &PROCS, structs: &[], limits: &[] };
