//! Packets: a length word, a header of 24 bytes, a payload, and descriptors beside it.
//!
//! ```text
//! length   u32  counts itself, the header, the count of descriptors and the payload: 28 ..= 33 554 436
//! program  u32  ┐
//! version  u32  │
//! procedure i32 │ the header
//! type     i32  │
//! serial   u32  │
//! status   i32  ┘
//! count    u32  how many descriptors, 0 ..= 32: only in packets of the types with descriptors
//! payload       what the header says
//! ```
//! Behind a packet with descriptors, outside its length, comes one byte for each of them, which carries it.

mod cut;
mod descriptor;

pub use crate::program::net::{MessageStatus as Status, MessageType as PacketType};
pub use cut::{FramingError, cut, missing};
pub use descriptor::Descriptor;

use crate::program::{Call, Event, Procedure, net};
use crate::xdr::{EncodeError, Writer, Xdr};
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;

/// How long a packet's length word is, in bytes.
pub const LENGTH_LEN: usize = 4;
/// How long a packet's header is, in bytes (VIR_NET_MESSAGE_HEADER_MAX).
pub const HEADER_LEN: usize = 24;
/// The shortest packet, its length word included, in bytes.
pub const MIN_LEN: usize = LENGTH_LEN + HEADER_LEN;
/// The longest packet, its length word included, in bytes (VIR_NET_MESSAGE_MAX + VIR_NET_MESSAGE_LEN_MAX).
pub const MAX_LEN: usize = LENGTH_LEN + 33_554_432;
/// The longest payload, in bytes (VIR_NET_MESSAGE_PAYLOAD_MAX).
pub const MAX_PAYLOAD_LEN: usize = MAX_LEN - MIN_LEN;
/// The most bytes of a stream that libvirt puts into one packet (VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX).
pub const STREAM_PAYLOAD_LEN: usize = 262_120;
/// The most descriptors beside one packet (VIR_NET_MESSAGE_NUM_FDS_MAX).
pub const MAX_DESCRIPTORS: usize = 32;

/// Whether a count of descriptors follows the header of packets of this type.
fn has_descriptors(packet_type: PacketType) -> bool {
    matches!(packet_type, PacketType::CALL_WITH_FDS | PacketType::REPLY_WITH_FDS)
}

/// The number that ties a reply, and the packets of a stream, to their call. An event's is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(pub u32);

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The header of a packet (virNetMessageHeader).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The program's number.
    pub program: u32,
    /// The program's version.
    pub version: u32,
    /// The procedure's number in the program.
    pub procedure: i32,
    /// What the packet is for.
    pub packet_type: PacketType,
    /// The call that it belongs to.
    pub serial: Serial,
    /// How it went.
    pub status: Status,
}

impl Header {
    /// A header of `procedure`'s.
    #[must_use]
    pub fn new(procedure: &Procedure, packet_type: PacketType, serial: Serial, status: Status) -> Self {
        Self {
            program: procedure.program.number,
            version: procedure.program.version,
            procedure: procedure.number,
            packet_type,
            serial,
            status,
        }
    }

    /// Whether it names this procedure.
    #[must_use]
    pub fn names(&self, procedure: &Procedure) -> bool {
        self.program == procedure.program.number
            && self.version == procedure.program.version
            && self.procedure == procedure.number
    }

    /// Appends it behind a packet's length word.
    fn put(&self, buffer: &mut BytesMut, length: u32) {
        let words = [
            length,
            self.program,
            self.version,
            self.procedure as u32,
            self.packet_type.0 as u32,
            self.serial.0,
            self.status.0 as u32,
        ];
        let mut bytes = [0; MIN_LEN];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        buffer.extend_from_slice(&bytes);
    }

    fn take(mut bytes: &[u8]) -> Self {
        Self {
            program: bytes.get_u32(),
            version: bytes.get_u32(),
            procedure: bytes.get_i32(),
            packet_type: PacketType(bytes.get_i32()),
            serial: Serial(bytes.get_u32()),
            status: Status(bytes.get_i32()),
        }
    }
}

/// "REPLY OK of procedure 16 of program 0x20008086 version 1, serial 3".
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, version, procedure, packet_type, serial, status } = self;
        write!(
            f,
            "{packet_type} {status} of procedure {procedure} of program {program:#x} version {version}, serial {serial}"
        )
    }
}

/// A packet as it came, its payload not yet decoded.
#[derive(Debug)]
pub struct Packet {
    /// Its header.
    pub header: Header,
    /// What it carries, without the count of descriptors.
    pub payload: Bytes,
    /// The descriptors beside it.
    pub descriptors: Vec<Descriptor>,
}

/// Why a packet cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// A value passes a maximum of libvirt's definitions.
    #[error("{procedure} cannot be sent: {source}")]
    Value {
        /// "remote.domain_get_info"
        procedure: &'static Procedure,
        /// Which maximum.
        source: EncodeError,
    },
    /// The whole packet is longer than any peer takes.
    #[error("{procedure} cannot be sent: its packet of {len} bytes exceeds the maximum of {MAX_LEN}")]
    TooLong {
        /// "remote.domain_get_info"
        procedure: &'static Procedure,
        /// How long it would be, in bytes.
        len: usize,
    },
    /// More descriptors than a packet carries.
    #[error("{procedure} cannot be sent: {count} descriptors exceed the maximum of {MAX_DESCRIPTORS}")]
    TooManyDescriptors {
        /// "remote.domain_get_info"
        procedure: &'static Procedure,
        /// How many there are.
        count: usize,
    },
    /// Descriptors travel beside the bytes of a UNIX socket, and so beside a security layer too: neither side
    /// could tell their bytes from sealed ones.
    #[error("{procedure} cannot be sent: descriptors cannot pass a security layer")]
    Sealed {
        /// "remote.domain_get_info"
        procedure: &'static Procedure,
    },
}

/// Appends a packet to `buffer`: the header, and what `payload` writes. Leaves the buffer as it was on error.
fn put(
    buffer: &mut BytesMut,
    procedure: &'static Procedure,
    header: Header,
    descriptors: usize,
    payload: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
) -> Result<(), PacketError> {
    if descriptors > MAX_DESCRIPTORS {
        return Err(PacketError::TooManyDescriptors { procedure, count: descriptors });
    }
    let start = buffer.len();
    header.put(buffer, 0);
    if has_descriptors(header.packet_type) {
        buffer.put_u32(descriptors as u32);
    }
    let written = payload(&mut Writer::new(buffer));
    let len = buffer.len() - start;
    let result = match written {
        Err(source) => Err(PacketError::Value { procedure, source }),
        Ok(()) if len > MAX_LEN => Err(PacketError::TooLong { procedure, len }),
        Ok(()) => Ok(()),
    };
    match result {
        Ok(()) => buffer[start..][..LENGTH_LEN].copy_from_slice(&(len as u32).to_be_bytes()),
        Err(_) => buffer.truncate(start),
    }
    result
}

/// Appends a call.
///
/// # Errors
/// [`PacketError`]; the buffer is then as it was.
///
/// # Examples
/// ```
/// use bytes::BytesMut;
/// use virtwire_proto::packet::{self, Serial};
/// use virtwire_proto::program::remote::ConnectGetLibVersionArgs;
///
/// let mut buffer = BytesMut::new();
/// packet::put_call(&mut buffer, Serial(1), &ConnectGetLibVersionArgs {}, 0)?;
/// let packet = packet::cut(&mut buffer, &mut Default::default())?.expect("it is whole");
/// assert_eq!(packet.header.procedure, 157);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn put_call<C: Call>(
    buffer: &mut BytesMut,
    serial: Serial,
    args: &C,
    descriptors: usize,
) -> Result<(), PacketError> {
    let packet_type = if descriptors == 0 { PacketType::CALL } else { PacketType::CALL_WITH_FDS };
    let header = Header::new(C::PROCEDURE, packet_type, serial, Status::OK);
    put(buffer, C::PROCEDURE, header, descriptors, |writer| args.encode(writer))
}

/// Appends a packet of `procedure`'s whose payload is encoded already.
///
/// # Errors
/// [`PacketError`]; the buffer is then as it was.
pub fn put_raw(
    buffer: &mut BytesMut,
    procedure: &'static Procedure,
    header: Header,
    payload: &[u8],
    descriptors: usize,
) -> Result<(), PacketError> {
    put(buffer, procedure, header, descriptors, |writer| {
        writer.put_raw(payload);
        Ok(())
    })
}

/// Appends a reply that succeeded.
///
/// # Errors
/// [`PacketError`]; the buffer is then as it was.
pub fn put_reply<T: Xdr>(
    buffer: &mut BytesMut,
    procedure: &'static Procedure,
    serial: Serial,
    ret: &T,
    descriptors: usize,
) -> Result<(), PacketError> {
    let packet_type = if descriptors == 0 { PacketType::REPLY } else { PacketType::REPLY_WITH_FDS };
    let header = Header::new(procedure, packet_type, serial, Status::OK);
    put(buffer, procedure, header, descriptors, |writer| ret.encode(writer))
}

/// Appends an event.
///
/// # Errors
/// [`PacketError`]; the buffer is then as it was.
pub fn put_event<E: Event>(buffer: &mut BytesMut, message: &E) -> Result<(), PacketError> {
    let header = Header::new(E::PROCEDURE, PacketType::MESSAGE, Serial(0), Status::OK);
    put(buffer, E::PROCEDURE, header, 0, |writer| message.encode(writer))
}

/// Appends a failure under `header`, whose status becomes [`Status::ERROR`].
///
/// A header that names no procedure that we know is answered too, as libvirtd does.
pub fn put_error(buffer: &mut BytesMut, header: Header, error: &net::MessageError) {
    let start = buffer.len();
    Header { status: Status::ERROR, ..header }.put(buffer, 0);
    let payload = buffer.len();
    if error.encode(&mut Writer::new(buffer)).is_err() {
        // A text over its maximum cannot be sent: what kind of error it was still can.
        buffer.truncate(payload);
        let bare = net::MessageError {
            code: error.code,
            domain: error.domain,
            level: error.level,
            int1: error.int1,
            int2: error.int2,
            ..net::MessageError::default()
        };
        bare.encode(&mut Writer::new(buffer)).expect("an error without texts passes no maximum");
    }
    let len = buffer.len() - start;
    buffer[start..][..LENGTH_LEN].copy_from_slice(&(len as u32).to_be_bytes());
}

/// Appends the head of a packet whose payload of `payload_len` bytes the caller sends behind it.
///
/// # Errors
/// [`PacketError::TooLong`]; the buffer is then as it was.
pub fn put_head(
    buffer: &mut BytesMut,
    procedure: &'static Procedure,
    header: Header,
    payload_len: usize,
) -> Result<(), PacketError> {
    let len = MIN_LEN + payload_len;
    if len > MAX_LEN {
        return Err(PacketError::TooLong { procedure, len });
    }
    header.put(buffer, len as u32);
    Ok(())
}
