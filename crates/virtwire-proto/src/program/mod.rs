//! libvirt's programs: their procedures, types and limits, generated from the definitions in `protocol/`.
//!
//! Every procedure has a type of its own, the struct of its arguments, which implements [`Call`]; every event
//! has the struct of its message, which implements [`Event`]. The same facts stand in one table for each
//! program, [`Program`], for whoever works with procedures by number or name.

pub mod admin;
pub mod keepalive;
pub mod lock;
pub mod log;
pub mod lxc;
pub mod net;
pub mod qemu;
pub mod remote;

use crate::enums::ErrorDomain;
use crate::xdr::Xdr;
use core::fmt;

/// All programs.
pub static PROGRAMS: &[&Program] = &[
    &remote::PROGRAM,
    &qemu::PROGRAM,
    &lxc::PROGRAM,
    &admin::PROGRAM,
    &lock::PROGRAM,
    &log::PROGRAM,
    &keepalive::PROGRAM,
];

/// The program of this number and version.
#[must_use]
pub fn find(number: u32, version: u32) -> Option<&'static Program> {
    PROGRAMS.iter().copied().find(|program| program.number == number && program.version == version)
}

/// A procedure that a client calls. Implemented by the struct of its arguments.
pub trait Call: Xdr {
    /// What the server's reply carries; `()` where it carries nothing.
    type Ret: Xdr;
    /// The procedure's row in the table.
    const PROCEDURE: &'static Procedure;
}

/// An event that a server sends. Implemented by the struct of its message.
pub trait Event: Xdr {
    /// The event's row in the table.
    const PROCEDURE: &'static Procedure;
}

/// A program of libvirt's RPC, such as "remote": what one kind of daemon offers.
#[derive(Debug)]
pub struct Program {
    /// Its name in lower case: "remote", "qemu", "lxc", "admin", "lock", "log", "keepalive".
    pub name: &'static str,
    /// Its number in a packet's header.
    pub number: u32,
    /// Its version in a packet's header.
    pub version: u32,
    /// Its procedures, in ascending order of their numbers.
    pub procedures: &'static [Procedure],
    /// Its structs, in the order of the definitions.
    pub structs: &'static [&'static Struct],
    /// Its named maxima.
    pub limits: &'static [Limit],
}

impl Program {
    /// The procedure with this number.
    #[must_use]
    pub fn procedure(&self, number: i32) -> Option<&'static Procedure> {
        // Numbers count up from 1 with few gaps, so that the place is mostly known.
        let guess = usize::try_from(number).ok()?.wrapping_sub(1);
        match self.procedures.get(guess) {
            Some(procedure) if procedure.number == number => Some(procedure),
            _ => self.procedures.iter().find(|procedure| procedure.number == number),
        }
    }

    /// The procedure with this name, in lower case and without the PROC prefix: "domain_get_info".
    #[must_use]
    pub fn procedure_named(&self, name: &str) -> Option<&'static Procedure> {
        self.procedures.iter().find(|procedure| procedure.name == name)
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.version == other.version
    }
}

impl Eq for Program {}

/// A named maximum: how many bytes of a string or opaque, or elements of an array, may travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its name in libvirt's definitions.
    pub name: &'static str,
    /// Bytes, or elements of an array.
    pub value: u32,
}

/// A row of a program's table of procedures.
pub struct Procedure {
    /// The program that it belongs to.
    pub program: &'static Program,
    /// Its number in a packet's header.
    pub number: i32,
    /// Its name in lower case, as in the definitions without the PROC prefix: "domain_get_info".
    pub name: &'static str,
    /// Whether clients call it or servers send it.
    pub kind: Kind,
    /// The C function that it carries, where there is one: "virDomainGetInfo".
    pub c_name: Option<&'static str>,
    /// The first version of libvirt that has it, where that is known.
    pub since: Option<Version>,
    /// Whether libvirtd may answer it from a worker that never waits for a guest.
    pub priority: Priority,
    /// The permissions that libvirtd asks its access driver for: "domain:read". "none" where it asks for none.
    pub acl: &'static [&'static str],
    /// The permissions by which libvirtd filters what a listing shows or who receives an event.
    pub acl_filter: &'static [&'static str],
    /// Which way data flows on the stream that it opens.
    pub stream: StreamDirection,
    /// Where the stream stands among the C function's parameters, counted from 0 behind the object.
    pub stream_parameter: Option<u8>,
    /// The C name of the flag that asks for a sparse stream, one with holes.
    pub sparse_flag: Option<&'static str>,
    /// How libvirt makes the client's side of it.
    pub client: Implementation,
    /// How libvirt makes the server's side of it.
    pub server: Implementation,
    /// Which numbering the callback identifier belongs to that it registers, deregisters or carries.
    pub event_class: Option<EventClass>,
    /// The domain under which its C function reports errors of its own, such as that a driver lacks it.
    pub error_domain: ErrorDomain,
    /// Whether it is refused on a read-only connection, whatever its flags are.
    pub writes: bool,
    /// What a call or an event carries. Has no fields where it carries nothing.
    pub args: &'static Struct,
    /// What the reply carries. Has no fields where it carries nothing, and for events.
    pub ret: &'static Struct,
}

/// How the tables state a row: what most procedures have in common is left out.
impl Procedure {
    const fn new(program: &'static Program, number: i32, name: &'static str, kind: Kind) -> Self {
        Self {
            program,
            number,
            name,
            kind,
            c_name: None,
            since: None,
            priority: Priority::Low,
            acl: &[],
            acl_filter: &[],
            stream: StreamDirection::None,
            stream_parameter: None,
            sparse_flag: None,
            client: Implementation::Handwritten,
            server: Implementation::Handwritten,
            event_class: None,
            error_domain: ErrorDomain::NONE,
            writes: false,
            args: &NOTHING,
            ret: &NOTHING,
        }
    }

    const fn call(program: &'static Program, number: i32, name: &'static str) -> Self {
        Self::new(program, number, name, Kind::Call)
    }

    const fn event(program: &'static Program, number: i32, name: &'static str) -> Self {
        Self::new(program, number, name, Kind::Event)
    }

    const fn c_name(self, name: &'static str) -> Self {
        Self { c_name: Some(name), ..self }
    }

    const fn since(self, major: u16, minor: u16, release: u16) -> Self {
        Self { since: Some(Version::new(major, minor, release)), ..self }
    }

    const fn high(self) -> Self {
        Self { priority: Priority::High, ..self }
    }

    const fn generated(self, client: bool, server: bool) -> Self {
        const fn how(generated: bool) -> Implementation {
            if generated { Implementation::Generated } else { Implementation::Handwritten }
        }
        Self { client: how(client), server: how(server), ..self }
    }

    const fn acl(self, acl: &'static [&'static str]) -> Self {
        Self { acl, ..self }
    }

    const fn acl_filter(self, acl_filter: &'static [&'static str]) -> Self {
        Self { acl_filter, ..self }
    }

    const fn stream(self, stream: StreamDirection, parameter: u8) -> Self {
        Self { stream, stream_parameter: Some(parameter), ..self }
    }

    const fn sparse_flag(self, flag: &'static str) -> Self {
        Self { sparse_flag: Some(flag), ..self }
    }

    const fn event_class(self, class: EventClass) -> Self {
        Self { event_class: Some(class), ..self }
    }

    const fn error_domain(self, domain: ErrorDomain) -> Self {
        Self { error_domain: domain, ..self }
    }

    const fn writes(self) -> Self {
        Self { writes: true, ..self }
    }

    const fn args(self, args: &'static Struct) -> Self {
        Self { args, ..self }
    }

    const fn ret(self, ret: &'static Struct) -> Self {
        Self { ret, ..self }
    }
}

impl PartialEq for Procedure {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.program == other.program
    }
}

impl Eq for Procedure {}

/// As [`Display`](fmt::Display): its program's table holds it again.
impl fmt::Debug for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// "remote.domain_get_info".
impl fmt::Display for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.program.name, self.name)
    }
}

/// Whether clients call a procedure or servers send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client calls it; the server replies.
    Call,
    /// A server sends it unasked.
    Event,
}

/// Whether libvirtd may answer a procedure from a worker that never waits for a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Any worker: it may wait for a guest's monitor.
    Low,
    /// A priority worker too.
    High,
}

/// How libvirt makes one side of a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// Generated from the definitions.
    Generated,
    /// Written by hand.
    Handwritten,
}

/// Which way data flows on the stream that a procedure opens, as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamDirection {
    /// It opens none.
    None,
    /// The client reads (a download); console and channel are read and written.
    Read,
    /// The client writes (an upload).
    Write,
}

/// A numbering of callback identifiers: each of the daemon's drivers counts from its own start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventClass {
    /// Domain events.
    Domain,
    /// Network events.
    Network,
    /// Storage pool events.
    StoragePool,
    /// Node device events.
    NodeDevice,
    /// Secret events.
    Secret,
    /// QEMU monitor events, of the program qemu.
    QemuMonitor,
}

/// A version of libvirt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 12 of 12.8.0.
    pub major: u16,
    /// 8 of 12.8.0.
    pub minor: u16,
    /// 0 of 12.8.0.
    pub release: u16,
}

impl Version {
    /// The version `major.minor.release`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, release: u16) -> Self {
        Self { major, minor, release }
    }

    /// The version as libvirt's API has it: 1 000 000 × major + 1 000 × minor + release.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self::new((number / 1_000_000) as u16, (number / 1_000 % 1_000) as u16, (number % 1_000) as u16)
    }

    /// 1 000 000 × major + 1 000 × minor + release, as libvirt's API has it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.major as u64 * 1_000_000 + self.minor as u64 * 1_000 + self.release as u64
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.release)
    }
}

/// A struct of the definitions, for whoever reads payloads by description rather than by type.
#[derive(Debug)]
pub struct Struct {
    /// Its name in libvirt's definitions: "remote_domain_get_info_ret". Empty where nothing travels.
    pub name: &'static str,
    /// Its fields in the order of the wire.
    pub fields: &'static [Field],
}

/// What a call, an event or a reply carries that carries nothing.
static NOTHING: Struct = Struct { name: "", fields: &[] };

/// A field of a struct.
#[derive(Debug)]
pub struct Field {
    /// Its name in libvirt's definitions: "maxMem".
    pub name: &'static str,
    /// What it carries.
    pub ty: Type,
}

/// What a field carries.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Type {
    /// `int`.
    Int,
    /// `unsigned int`.
    Uint,
    /// `hyper`.
    Hyper,
    /// `unsigned hyper`.
    Uhyper,
    /// `short`.
    Short,
    /// `unsigned short`.
    Ushort,
    /// `char`.
    Char,
    /// `unsigned char`.
    Uchar,
    /// `double`.
    Double,
    /// A UUID: opaque data of 16 bytes.
    Uuid,
    /// A string of at most this many bytes.
    String(u32),
    /// Opaque data of at most this many bytes.
    Opaque(u32),
    /// `char<max>`: characters, each in a word.
    Chars(u32),
    /// `char[length]`: characters, each in a word, without a count.
    FixedChars(u32),
    /// A typed parameter whose field name and string are of at most this many bytes.
    TypedParam(u32),
    /// Another struct.
    Struct(&'static Struct),
    /// A value that may be absent.
    Optional(&'static Type),
    /// An array of at most this many elements.
    Array(&'static Type, u32),
    /// An array of exactly this many elements.
    FixedArray(&'static Type, u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_procedure_is_shown_without_the_table_that_holds_it() {
        let procedure = remote::PROGRAM.procedure(16).expect("it is there");
        assert_eq!(format!("{procedure:?}"), "remote.domain_get_info");
    }
}
