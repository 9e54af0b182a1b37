//! Why something did not work: one family of errors for the whole crate.

use crate::connection::Gap;
use std::fmt;
use std::io;
use std::time::Duration;

use virtwire_proto::connection::{CallError, CloseReason, SendError, StreamFailure};
use virtwire_proto::enums::{ErrorDomain, ErrorLevel, ErrorNumber};
use virtwire_proto::flags::DomainMigrateFlags;
use virtwire_proto::packet::{Header, PacketError};
use virtwire_proto::program::{Procedure, Version, net};
use virtwire_proto::typed_params::TypedParamError;
use virtwire_proto::xdr::{DecodeError, Text};

/// A result of this crate's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
///
/// It prints as one line; [`source`](std::error::Error::source) leads to what is behind it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libvirt answered with an error.
    #[error(transparent)]
    Libvirt(#[from] Box<LibvirtError>),
    /// The daemon does not know the procedure: it is older.
    #[error("{procedure} is not supported by this daemon{}", Since(*since))]
    Unsupported {
        /// The procedure that was called.
        procedure: &'static Procedure,
        /// The version of libvirt that brought it, where that is known.
        since: Option<Version>,
    },
    /// The daemon broke the protocol.
    #[error("{procedure}: {source}")]
    Protocol {
        /// The procedure or event.
        procedure: &'static Procedure,
        /// What was expected, what came, and where.
        source: ProtocolError,
    },
    /// The arguments cannot be sent: a string, an array or the whole call is longer than libvirt allows. Nothing
    /// was sent.
    #[error(transparent)]
    Argument(#[from] PacketError),
    /// The transport could not be made.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// What was being connected: a socket's path, or a host and port.
        to: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection has ended, and with it everything that was open on it.
    #[error("{}{reason}", During(*procedure))]
    Closed {
        /// The procedure that was not answered; `None` where it was a stream or a subscription that ended, or
        /// the connection itself is asked.
        procedure: Option<&'static Procedure>,
        /// Why it has ended.
        reason: CloseReason,
    },
    /// The answer did not come in time. Whether the daemon has done what it was asked is not known.
    #[error("{during}: no answer within {after:?}")]
    Timeout {
        /// What was not answered: a procedure's name, or "open".
        during: String,
        /// How long was waited.
        after: Duration,
    },
    /// The daemon does not let this client in, or asks for a way to authenticate that this client does not have.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// The URI names nothing that can be connected.
    #[error("{uri:?} is not a connection URI: {reason}")]
    InvalidUri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The URI asks for a transport that this build does not have.
    #[error(
        "the transport {transport:?} is not supported; there are {available}{}",
        Instead(transport, available)
    )]
    UnsupportedTransport {
        /// The transport that was asked for.
        transport: String,
        /// Those that there are, with commas between them.
        available: String,
    },
    /// A migration that this client manages does not work.
    #[error("the migration failed: {0}")]
    Migration(#[from] MigrationError),
    /// The subscription's oldest events were dropped, since its consumer was slower than they came. It goes on.
    #[error("{0} events were lost: the subscription's consumer is too slow")]
    Lagged(u64),
    /// The link to the daemon was lost and opened again: events may be missing from the subscription. It goes on.
    #[error("{0}")]
    Gap(Gap),
    /// The stream was given up, since its consumer was too slow while others waited for answers on the same
    /// connection.
    #[error("the stream was given up: {buffered} bytes wait for its consumer, more than {limit}")]
    Stalled {
        /// How many bytes wait.
        buffered: usize,
        /// How many may.
        limit: usize,
    },
    /// A copy between a stream and a file has stopped, since the stream has failed.
    #[error("the copy stopped at offset {offset}: {source}")]
    Copy {
        /// Where in the file.
        offset: u64,
        /// What became of the stream.
        source: Box<Error>,
    },
    /// A file that a stream is copied to or from does not do what it is asked.
    #[error("cannot {action} the file at offset {offset}: {source}")]
    File {
        /// What was asked: "read", "write", "make a hole in".
        action: &'static str,
        /// Where in the file.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The stream was finished or aborted before, on this side.
    #[error("the stream has ended already")]
    StreamEnded,
}

impl Error {
    /// libvirt's number for the error (virErrorNumber), where libvirt answered with one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorNumber> {
        self.libvirt().map(|error| error.code)
    }

    /// What libvirt answered, where it answered with an error.
    #[must_use]
    pub fn libvirt(&self) -> Option<&LibvirtError> {
        match self {
            Self::Libvirt(error) | Self::Migration(MigrationError::Both { source: error, .. }) => Some(error),
            Self::Copy { source, .. } => source.libvirt(),
            _ => None,
        }
    }

    /// Whether there is no such domain (VIR_ERR_NO_DOMAIN).
    #[must_use]
    pub fn is_no_domain(&self) -> bool {
        self.code() == Some(ErrorNumber::NO_DOMAIN)
    }

    /// Whether what was asked for is not there, or not any more: a domain, a network, a volume, a secret and so on, a
    /// device of a domain's, its metadata or its backup.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code().is_some_and(|code| NOT_FOUND.contains(&code))
    }

    /// Whether it took too long: the daemon to answer ([`Error::Timeout`]), or the daemon to come to its turn or to do it,
    /// or the agent in a guest (VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_AGENT_COMMAND_TIMEOUT).
    ///
    /// Whether it was done nevertheless is not known, or the daemon's message says it. A call that only reads may be
    /// repeated; of another, ask first what has become of it.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        let codes = [ErrorNumber::OPERATION_TIMEOUT, ErrorNumber::AGENT_COMMAND_TIMEOUT];
        matches!(self, Self::Timeout { .. }) || self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Whether the daemon does not let this client do it: it does not let it in ([`Error::Authentication`],
    /// VIR_ERR_AUTH_FAILED and its like), its access checks say no (VIR_ERR_ACCESS_DENIED), or the connection may only
    /// read (VIR_ERR_OPERATION_DENIED).
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Authentication(_)) || self.code().is_some_and(|code| DENIED.contains(&code))
    }

    /// Whether neither the daemon nor its driver has what was asked for: [`Error::Unsupported`], or
    /// VIR_ERR_NO_SUPPORT.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. }) || self.code() == Some(ErrorNumber::NO_SUPPORT)
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Closed { .. } => true,
            Self::Copy { source, .. } => source.is_closed(),
            _ => false,
        }
    }

    pub(crate) fn from_call(
        procedure: &'static Procedure,
        error: CallError,
        timeout: Option<Duration>,
    ) -> Self {
        match error {
            CallError::Refused(source) => Self::Argument(source),
            CallError::Server(error) => Self::from_server(procedure, *error),
            CallError::Malformed { source, .. } => Self::malformed(procedure, source),
            CallError::Mismatched { header, .. } => {
                Self::Protocol { procedure, source: ProtocolError::Mismatched { header } }
            }
            CallError::TimedOut => {
                Self::Timeout { during: procedure.to_string(), after: timeout.unwrap_or_default() }
            }
            CallError::Closed(reason) => Self::Closed { procedure: Some(procedure), reason },
            // Any kind that comes to be: its text says what it is.
            other => Self::Protocol { procedure, source: ProtocolError::Other(other.to_string()) },
        }
    }

    pub(crate) fn from_stream(procedure: &'static Procedure, failure: StreamFailure) -> Self {
        match failure {
            StreamFailure::Server(error) => Self::from_server(procedure, *error),
            StreamFailure::Malformed { source, .. } => Self::malformed(procedure, source),
            StreamFailure::Unfinished { .. } => {
                Self::Protocol { procedure, source: ProtocolError::Unfinished }
            }
            StreamFailure::Closed(reason) => Self::Closed { procedure: Some(procedure), reason },
            other => Self::Protocol { procedure, source: ProtocolError::Other(other.to_string()) },
        }
    }

    pub(crate) fn from_send(error: SendError) -> Self {
        match error {
            SendError::Refused(source) => Self::Argument(source),
            _ => Self::StreamEnded,
        }
    }

    pub(crate) fn malformed(procedure: &'static Procedure, source: DecodeError) -> Self {
        Self::Protocol { procedure, source: ProtocolError::Malformed(source) }
    }

    fn from_server(procedure: &'static Procedure, error: net::MessageError) -> Self {
        // An older daemon says so in a text only.
        let unknown =
            || error.message.as_ref().is_some_and(|m| m.as_bytes().starts_with(b"unknown procedure:"));
        if error.code == ErrorNumber::RPC.0 && error.domain == ErrorDomain::RPC.0 && unknown() {
            return Self::Unsupported { procedure, since: procedure.since };
        }
        Self::Libvirt(Box::new(LibvirtError::new(procedure, error)))
    }
}

/// What libvirt says where something is not there.
const NOT_FOUND: [ErrorNumber; 18] = [
    ErrorNumber::NO_DOMAIN,
    ErrorNumber::NO_NETWORK,
    ErrorNumber::NO_STORAGE_POOL,
    ErrorNumber::NO_STORAGE_VOL,
    ErrorNumber::NO_NODE_DEVICE,
    ErrorNumber::NO_INTERFACE,
    ErrorNumber::NO_NWFILTER,
    ErrorNumber::NO_SECRET,
    ErrorNumber::NO_DOMAIN_SNAPSHOT,
    ErrorNumber::NO_DOMAIN_METADATA,
    ErrorNumber::NO_SERVER,
    ErrorNumber::NO_CLIENT,
    ErrorNumber::DEVICE_MISSING,
    ErrorNumber::NO_NWFILTER_BINDING,
    ErrorNumber::NO_DOMAIN_CHECKPOINT,
    ErrorNumber::NO_DOMAIN_BACKUP,
    ErrorNumber::NO_NETWORK_PORT,
    ErrorNumber::NO_NETWORK_METADATA,
];

/// What libvirt says to those who may not.
const DENIED: [ErrorNumber; 5] = [
    ErrorNumber::OPERATION_DENIED,
    ErrorNumber::AUTH_FAILED,
    ErrorNumber::AUTH_CANCELLED,
    ErrorNumber::AUTH_UNAVAILABLE,
    ErrorNumber::ACCESS_DENIED,
];

/// An error as libvirt answered it, whole (virError).
#[doc(alias = "virError")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LibvirtError {
    /// The procedure that was called.
    pub procedure: &'static Procedure,
    /// Which error. Newer daemons have numbers that are not known here.
    pub code: ErrorNumber,
    /// Which part of libvirt raised it.
    pub domain: ErrorDomain,
    /// What it says to people, in the daemon's language. Empty where libvirt gave nothing.
    pub message: Text,
    /// How bad it is.
    pub level: ErrorLevel,
    /// More about it: mostly the message's pattern.
    pub str1: Option<Text>,
    /// More about it: mostly what fills the pattern.
    pub str2: Option<Text>,
    /// More about it.
    pub str3: Option<Text>,
    /// A number about it.
    pub int1: i32,
    /// A number about it.
    pub int2: i32,
}

impl LibvirtError {
    fn new(procedure: &'static Procedure, error: net::MessageError) -> Self {
        Self {
            procedure,
            code: ErrorNumber(error.code),
            domain: ErrorDomain(error.domain),
            message: error.message.unwrap_or_default(),
            level: ErrorLevel(error.level),
            str1: error.str1,
            str2: error.str2,
            str3: error.str3,
            int1: error.int1,
            int2: error.int2,
        }
    }
}

/// "remote.domain_lookup_by_name: Domain not found (error NO_DOMAIN of TEST)".
impl fmt::Display for LibvirtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { procedure, message, code, domain, .. } = self;
        // One line, whatever a hypervisor's log has put into it.
        let message = message.to_string_lossy();
        let words: Vec<_> =
            message.split(char::is_control).map(str::trim).filter(|of| !of.is_empty()).collect();
        let message = if words.is_empty() { "no message".to_owned() } else { words.join(" ") };
        write!(f, "{procedure}: {message} (error {code} of {domain})")
    }
}

impl std::error::Error for LibvirtError {}

/// Why a migration does not work that this client manages.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// There is no migration protocol that both daemons and their drivers have.
    #[error("the two daemons have no migration protocol in common")]
    NoCommonProtocol,
    /// Parameters were given that the protocol does not know, or that have a wrong type.
    #[error(transparent)]
    Params(#[from] TypedParamError),
    /// The domain's XML was to be changed, which needs protocol 3 (libvirt 0.9.2) on both sides.
    #[error("the daemons' migration protocol cannot change the domain's XML")]
    Xml,
    /// One of the daemons cannot migrate a domain that is not active.
    #[error("the daemons cannot migrate a domain that is not active")]
    Offline,
    /// The source cannot keep the domain from being changed meanwhile.
    #[error("the source cannot keep the domain from being changed")]
    ChangeProtection,
    /// Tunnelled migration is the daemons' own: it takes the flag `PEER2PEER`.
    #[error("a tunnelled migration has to be one from peer to peer")]
    Tunnelled,
    /// The source's daemon cannot manage a migration by itself, which the flag `PEER2PEER` asks for.
    #[error("the source cannot migrate from peer to peer")]
    PeerToPeer,
    /// The source's hypervisor cannot migrate without the destination's daemon, which the missing flag `PEER2PEER` asks
    /// for.
    #[error("the source cannot migrate without the destination's daemon")]
    Direct,
    /// These flags exclude each other.
    #[error("the flags {} exclude each other", Names(*.0))]
    Exclusive(DomainMigrateFlags),
    /// The flag `NON_SHARED_SYNCHRONOUS_WRITES` takes one of those by which disks are copied.
    #[error("NON_SHARED_SYNCHRONOUS_WRITES takes NON_SHARED_DISK or NON_SHARED_INC")]
    SynchronousWrites,
    /// The source's daemon would take this URI for its own host.
    #[error("{uri:?} leads the source to itself")]
    Here {
        /// The URI.
        uri: Text,
    },
    /// Where to send the domain's memory cannot be said in this protocol with the flag `PEER2PEER`.
    #[error("the daemon's migration protocol asks the destination where to migrate to")]
    Uri,
    /// Nobody has said where to send the domain's memory, or where the destination's daemon is.
    #[error("neither the caller nor the destination says where to migrate to")]
    NoUri,
    /// Nobody waited for it any more.
    #[error("it was given up")]
    GivenUp,
    /// It failed on both sides, and either may be the cause.
    #[error("{source}; and at the destination: {destination}")]
    Both {
        /// What the source says.
        source: Box<LibvirtError>,
        /// What the destination says.
        destination: Box<LibvirtError>,
    },
}

/// How a daemon broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// What came cannot be decoded.
    #[error("what came cannot be decoded: {0}")]
    Malformed(#[source] DecodeError),
    /// The answer carries the call's serial, but belongs to something else.
    #[error("expected its reply, got {header}")]
    Mismatched {
        /// What came.
        header: Header,
    },
    /// The daemon finished a stream that was not to be finished yet.
    #[error("the daemon ended the stream before it was finished")]
    Unfinished,
    /// An event came that the registration was not for.
    #[error("expected its event, got {got}")]
    WrongEvent {
        /// What came.
        got: &'static Procedure,
    },
    /// Something else.
    #[error("{0}")]
    Other(String),
}

struct Names(DomainMigrateFlags);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter_names().map(|(name, _)| name).collect();
        f.write_str(&names.join(" and "))
    }
}

/// What takes a transport's place.
struct Instead<'a>(&'a str, &'a str);

impl fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(transport, available) = self;
        if transport.starts_with("libssh") && available.split(", ").any(|there| there == "ssh") {
            f.write_str("; take ssh, which runs the system's own")?;
        } else if matches!(*transport, "tls" | "ssh") {
            write!(f, "; it takes the feature {transport}")?;
        } else if *transport == "ext" {
            f.write_str("; it takes the feature ssh")?;
        }
        Ok(())
    }
}

struct Since(Option<Version>);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |version| write!(f, ": it came with libvirt {version}"))
    }
}

struct During(Option<&'static Procedure>);

impl fmt::Display for During {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |procedure| write!(f, "{procedure}: "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtwire_proto::program::{Call, remote};

    fn answered(code: ErrorNumber, message: &str) -> Error {
        let error = net::MessageError {
            code: code.0,
            domain: ErrorDomain::QEMU.0,
            message: Some(message.into()),
            ..net::MessageError::default()
        };
        Error::from_server(remote::DomainCreateArgs::PROCEDURE, error)
    }

    #[test]
    fn every_code_that_says_no_is_known_for_one_that_is_not_found_or_for_none() {
        // What is missing in a description of a domain's, of the host's or of libvirt itself.
        let others = [
            "NO_MEMORY",
            "NO_SUPPORT",
            "NO_CONNECT",
            "NO_XEN",
            "NO_KERNEL",
            "NO_ROOT",
            "NO_SOURCE",
            "NO_TARGET",
            "NO_NAME",
            "NO_OS",
            "NO_DEVICE",
            "NO_XENSTORE",
            "NO_SECURITY_MODEL",
            "NO_HOSTNAME",
        ];
        for code in ErrorNumber::known() {
            let name = code.name().unwrap();
            let is_missing = name.starts_with("NO_") && !others.contains(&name) || name == "DEVICE_MISSING";
            assert_eq!(answered(code, "").is_not_found(), is_missing, "{name}");
        }
        assert!(!answered(ErrorNumber(4_242), "").is_not_found());
    }

    #[test]
    fn it_prints_as_one_line() {
        let error = answered(ErrorNumber::INTERNAL_ERROR, "qemu ended: \r\n  no such machine\u{1b}[0m\n");
        assert_eq!(
            error.to_string(),
            "remote.domain_create: qemu ended: no such machine [0m (error INTERNAL_ERROR of QEMU)"
        );
        let error = answered(ErrorNumber(4_242), "\n");
        assert_eq!(error.to_string(), "remote.domain_create: no message (error 4242 of QEMU)");
    }

    #[test]
    fn what_took_too_long_and_what_may_not_be() {
        let procedure = remote::DomainCreateArgs::PROCEDURE;
        let late = Error::Timeout { during: procedure.to_string(), after: Duration::from_secs(1) };
        assert!(late.is_timeout() && !late.is_denied());
        assert!(answered(ErrorNumber::OPERATION_TIMEOUT, "").is_timeout());
        assert!(answered(ErrorNumber::ACCESS_DENIED, "").is_denied());
        assert!(Error::Authentication("no".to_owned()).is_denied());
        assert!(!answered(ErrorNumber::NO_DOMAIN, "").is_denied());
    }
}
