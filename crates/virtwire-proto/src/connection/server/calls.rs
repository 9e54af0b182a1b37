//! Calls that came in: looked up, admitted, handed out, answered in any order.

use super::{Server, ServerEvent};
use crate::error::{malformed_error, rpc_error};
use crate::packet::{self, Descriptor, Header, Packet, PacketError, PacketType, Serial, Status};
use crate::program::{Call, Kind, Procedure, StreamDirection, net};
use crate::xdr::{DecodeError, Xdr, from_bytes};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;

/// A call of one connection's, and the stream that it opens. Unlike its serial, which the client chooses, this
/// never comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u64);

/// A call that is to be answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct IncomingCall {
    /// What it is answered by.
    pub id: CallId,
    /// The procedure that is called.
    pub procedure: &'static Procedure,
    /// Its arguments, encoded.
    pub payload: Bytes,
    /// The descriptors that came with it.
    pub descriptors: Vec<Descriptor>,
}

impl IncomingCall {
    /// The arguments.
    ///
    /// # Errors
    /// They are not what the procedure takes. [`Server::reply_malformed`] answers as libvirtd does.
    pub fn args<C: Call>(&self) -> Result<C, DecodeError> {
        from_bytes(self.payload.clone())
    }
}

/// Why an answer cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The call has been answered already, or the connection has ended.
    #[error("the call is not, or no longer, waiting for an answer")]
    NotWaiting,
    /// The answer cannot be sent. The call still waits for one.
    #[error(transparent)]
    Refused(#[from] PacketError),
}

/// A call that is being worked on.
#[derive(Debug, Clone, Copy)]
struct Working {
    header: Header,
    procedure: &'static Procedure,
}

#[derive(Debug)]
pub(super) struct Calls {
    max: usize,
    last: u64,
    working: BTreeMap<CallId, Working>,
}

impl Calls {
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.max(1), last: 0, working: BTreeMap::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.working.len() < self.max
    }

    pub(super) fn end(&mut self) {
        self.working.clear();
    }
}

impl Server {
    pub(super) fn take_call(&mut self, packet: Packet) {
        let Packet { header, payload, descriptors } = packet;
        let Some(program) = self
            .programs
            .iter()
            .find(|program| program.number == header.program && program.version == header.version)
        else {
            // Both as signed numbers, as libvirtd prints them.
            let (program, version) = (header.program.cast_signed(), header.version.cast_signed());
            return self
                .refuse(header, &rpc_error(format!("Cannot find program {program} version {version}")));
        };
        if header.status != Status::OK {
            let status = header.status.0.cast_unsigned();
            return self.refuse(header, &rpc_error(format!("Unexpected message status {status}")));
        }
        let Some(procedure) = program.procedure(header.procedure).filter(|known| known.kind == Kind::Call)
        else {
            return self.refuse(header, &rpc_error(format!("unknown procedure: {}", header.procedure)));
        };
        if !self.admission.allows(procedure) {
            return self.refuse(header, &rpc_error("authentication required".into()));
        }
        self.calls.last += 1;
        let id = CallId(self.calls.last);
        self.calls.working.insert(id, Working { header, procedure });
        let call = IncomingCall { id, procedure, payload, descriptors };
        if let Some(call) = self.take_authentication(call) {
            self.events.push_back(ServerEvent::Call(call));
        }
    }

    /// How many calls are being worked on.
    #[must_use]
    pub fn pending_calls(&self) -> usize {
        self.calls.working.len()
    }

    /// Answers a call. Where its procedure opens a stream, the stream is open from here on.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn reply<T: Xdr>(&mut self, id: CallId, ret: &T) -> Result<(), ReplyError> {
        self.reply_with(id, ret, Vec::new())
    }

    /// Answers a call, with descriptors beside the answer. Only a UNIX socket carries any.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn reply_with<T: Xdr>(
        &mut self,
        id: CallId,
        ret: &T,
        descriptors: Vec<Descriptor>,
    ) -> Result<(), ReplyError> {
        let &Working { header, procedure } = self.calls.working.get(&id).ok_or(ReplyError::NotWaiting)?;
        self.link.admits(procedure, descriptors.len())?;
        packet::put_reply(self.link.outbox.tail(), procedure, header.serial, ret, descriptors.len())?;
        self.link.outbox.push_descriptors(descriptors);
        self.answered(id, procedure, header.serial);
        Ok(())
    }

    fn answered(&mut self, id: CallId, procedure: &'static Procedure, serial: Serial) {
        self.calls.working.remove(&id);
        if procedure.stream != StreamDirection::None {
            self.streams.open(id, procedure, serial);
        }
    }

    /// Answers a call with an answer that is encoded already, which is sent without a copy where it is long.
    ///
    /// # Errors
    /// [`ReplyError`].
    pub fn reply_raw(
        &mut self,
        id: CallId,
        payload: Bytes,
        descriptors: Vec<Descriptor>,
    ) -> Result<(), ReplyError> {
        let &Working { header, procedure } = self.calls.working.get(&id).ok_or(ReplyError::NotWaiting)?;
        self.link.admits(procedure, descriptors.len())?;
        let serial = header.serial;
        if descriptors.is_empty() {
            let header = Header::new(procedure, PacketType::REPLY, serial, Status::OK);
            packet::put_head(self.link.outbox.tail(), procedure, header, payload.len())?;
            self.link.outbox.push(payload);
        } else {
            let header = Header::new(procedure, PacketType::REPLY_WITH_FDS, serial, Status::OK);
            packet::put_raw(self.link.outbox.tail(), procedure, header, &payload, descriptors.len())?;
            self.link.outbox.push_descriptors(descriptors);
        }
        self.answered(id, procedure, serial);
        Ok(())
    }

    /// Answers a call with an error.
    ///
    /// # Errors
    /// [`ReplyError::NotWaiting`].
    pub fn reply_error(&mut self, id: CallId, error: &net::MessageError) -> Result<(), ReplyError> {
        let working = self.calls.working.remove(&id).ok_or(ReplyError::NotWaiting)?;
        self.refuse(working.header, error);
        Ok(())
    }

    /// Answers a call whose arguments cannot be decoded.
    ///
    /// # Errors
    /// [`ReplyError::NotWaiting`].
    pub fn reply_malformed(&mut self, id: CallId, error: &DecodeError) -> Result<(), ReplyError> {
        self.reply_error(id, &malformed_error(error))
    }
}
