//! Temporary.
#![allow(missing_docs)]
use super::*;
use crate::xdr::{DecodeError, EncodeError, Reader, Text, Writer};
use alloc::vec::Vec;
use bytes::Bytes;
use uuid::Uuid;
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthListArgs {}
impl Xdr for AuthListArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self {})
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthListRet {
    pub types: Vec<AuthType>,
}
impl Xdr for AuthListRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        w.put_elements(&self.types, 20)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { types: r.elements(20)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthPolkitArgs {}
impl Xdr for AuthPolkitArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self {})
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthPolkitRet {
    pub complete: i32,
}
impl Xdr for AuthPolkitRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.complete.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { complete: Xdr::decode(r)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslInitArgs {}
impl Xdr for AuthSaslInitArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self {})
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslInitRet {
    pub mechlist: Text,
}
impl Xdr for AuthSaslInitRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        w.put_string(&self.mechlist, 4194304)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { mechlist: r.string(4194304)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslStartArgs {
    pub mech: Text,
    pub nil: i32,
    pub data: Bytes,
}
impl Xdr for AuthSaslStartArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        w.put_string(&self.mech, 4194304)?;
        self.nil.encode(w)?;
        w.put_chars(&self.data, 65536)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { mech: r.string(4194304)?, nil: Xdr::decode(r)?, data: r.chars(65536)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslStartRet {
    pub complete: i32,
    pub nil: i32,
    pub data: Bytes,
}
impl Xdr for AuthSaslStartRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.complete.encode(w)?;
        self.nil.encode(w)?;
        w.put_chars(&self.data, 65536)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { complete: Xdr::decode(r)?, nil: Xdr::decode(r)?, data: r.chars(65536)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslStepArgs {
    pub nil: i32,
    pub data: Bytes,
}
impl Xdr for AuthSaslStepArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.nil.encode(w)?;
        w.put_chars(&self.data, 65536)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { nil: Xdr::decode(r)?, data: r.chars(65536)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthSaslStepRet {
    pub complete: i32,
    pub nil: i32,
    pub data: Bytes,
}
impl Xdr for AuthSaslStepRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.complete.encode(w)?;
        self.nil.encode(w)?;
        w.put_chars(&self.data, 65536)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { complete: Xdr::decode(r)?, nil: Xdr::decode(r)?, data: r.chars(65536)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectGetLibVersionArgs {}
impl Xdr for ConnectGetLibVersionArgs {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self {})
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectGetLibVersionRet {
    pub lib_ver: u64,
}
impl Xdr for ConnectGetLibVersionRet {
    const MIN_LEN: usize = 0;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let _ = &w;
        self.lib_ver.encode(w)?;
        Ok(())
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let _ = &r;
        Ok(Self { lib_ver: Xdr::decode(r)? })
    }
}
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectDomainEventCallbackDeregisterAnyArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectDomainEventCallbackDeregisterAnyArgs {
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectNetworkEventDeregisterAnyArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectNetworkEventDeregisterAnyArgs {
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectStoragePoolEventDeregisterAnyArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectStoragePoolEventDeregisterAnyArgs {
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectNodeDeviceEventDeregisterAnyArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectNodeDeviceEventDeregisterAnyArgs {
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectSecretEventDeregisterAnyArgs {
    pub callback_id: i32,
}
impl Xdr for ConnectSecretEventDeregisterAnyArgs {
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
impl Call for AuthListArgs {
    type Ret = AuthListRet;
    const PROCEDURE: &'static Procedure = &PROCS[0];
}
impl Call for AuthPolkitArgs {
    type Ret = AuthPolkitRet;
    const PROCEDURE: &'static Procedure = &PROCS[1];
}
impl Call for AuthSaslInitArgs {
    type Ret = AuthSaslInitRet;
    const PROCEDURE: &'static Procedure = &PROCS[2];
}
impl Call for AuthSaslStartArgs {
    type Ret = AuthSaslStartRet;
    const PROCEDURE: &'static Procedure = &PROCS[3];
}
impl Call for AuthSaslStepArgs {
    type Ret = AuthSaslStepRet;
    const PROCEDURE: &'static Procedure = &PROCS[4];
}
impl Call for ConnectGetLibVersionArgs {
    type Ret = ConnectGetLibVersionRet;
    const PROCEDURE: &'static Procedure = &PROCS[5];
}
impl Call for ConnectDomainEventCallbackDeregisterAnyArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[6];
}
impl Call for ConnectNetworkEventDeregisterAnyArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[7];
}
impl Call for ConnectStoragePoolEventDeregisterAnyArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[8];
}
impl Call for ConnectNodeDeviceEventDeregisterAnyArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[9];
}
impl Call for ConnectSecretEventDeregisterAnyArgs {
    type Ret = ();
    const PROCEDURE: &'static Procedure = &PROCS[10];
}
static PROCS: [Procedure; 11] = [
    Procedure {
        program: &PROGRAM,
        number: 66,
        name: "AuthListArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 70,
        name: "AuthPolkitArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 67,
        name: "AuthSaslInitArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 68,
        name: "AuthSaslStartArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 69,
        name: "AuthSaslStepArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 157,
        name: "ConnectGetLibVersionArgs",
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
        event_class: None,
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 300,
        name: "ConnectDomainEventCallbackDeregisterAnyArgs",
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
        event_class: Some(EventClass::Domain),
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 301,
        name: "ConnectNetworkEventDeregisterAnyArgs",
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
        event_class: Some(EventClass::Network),
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 302,
        name: "ConnectStoragePoolEventDeregisterAnyArgs",
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
        event_class: Some(EventClass::StoragePool),
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 303,
        name: "ConnectNodeDeviceEventDeregisterAnyArgs",
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
        event_class: Some(EventClass::NodeDevice),
        args: &EMPTY,
        ret: &EMPTY,
    },
    Procedure {
        program: &PROGRAM,
        number: 304,
        name: "ConnectSecretEventDeregisterAnyArgs",
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
        event_class: Some(EventClass::Secret),
        args: &EMPTY,
        ret: &EMPTY,
    },
];
pub static PROGRAM: Program =
    Program { name: "remote", number: 536903814, version: 1, procedures: &PROCS, structs: &[], limits: &[] };
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuthType(pub i32);
impl AuthType {
    pub const NONE: Self = Self(0);
    pub const SASL: Self = Self(1);
    pub const POLKIT: Self = Self(2);
}
impl Xdr for AuthType {
    const MIN_LEN: usize = 4;
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        r.int().map(Self)
    }
}
