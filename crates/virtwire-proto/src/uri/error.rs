//! What can be wrong with a URI.

use super::Transport;
use alloc::string::String;
use core::fmt;

/// Why a text is not a connection URI: what was expected, what came, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URI {uri:?} is wrong at byte {offset}: {kind}")]
#[non_exhaustive]
pub struct UriError {
    /// The text.
    pub uri: String,
    /// Where in the text the part in question begins, in bytes.
    pub offset: usize,
    /// What was expected and what came.
    pub kind: UriErrorKind,
}

/// What was expected in a URI, and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriErrorKind {
    /// There is no driver in front.
    #[error("expected a driver's name and a colon, as in qemu:///system")]
    NoDriver,
    /// The scheme names a transport that there is not.
    #[error("{found:?} is no transport, expected unix, tcp, tls, ssh, ext, libssh or libssh2")]
    UnknownTransport {
        /// What stands behind the `+`.
        found: String,
    },
    /// A character that may not stand in this part.
    #[error("expected the {part}, found {found:?}, which has to be written as an escape (%XX)")]
    Character {
        /// The part.
        part: UriPart,
        /// The character.
        found: char,
    },
    /// A `%` that two hexadecimal digits do not follow.
    #[error("expected two hexadecimal digits behind % in the {part}")]
    Escape {
        /// The part.
        part: UriPart,
    },
    /// An escape for the byte 0, which no part can hold.
    #[error("the {part} cannot hold a byte 0")]
    Nul {
        /// The part.
        part: UriPart,
    },
    /// A user or host that decodes to bytes that are not UTF-8.
    #[error("expected UTF-8 in the {part}")]
    NotUtf8 {
        /// The part.
        part: UriPart,
    },
    /// A `[` without its `]`.
    #[error("expected ] behind an IPv6 address")]
    OpenBracket,
    /// Something in brackets that is no IPv6 address.
    #[error("expected an IPv6 address in brackets, found {found:?}")]
    NotIpv6 {
        /// What stands in the brackets.
        found: String,
    },
    /// A port that is no number from 0 to 65535.
    #[error("expected a port from 0 to 65535, found {found:?}")]
    Port {
        /// What stands behind the colon.
        found: String,
    },
    /// The transport does not go to a host, and there is one.
    #[error("the transport {transport} does not reach the host {host:?}")]
    HostWithLocalTransport {
        /// The transport.
        transport: Transport,
        /// The host.
        host: String,
    },
    /// `qemu://system`, where system is taken as a host.
    #[error("{host:?} stands where a host does, did you mean {suggestion}?")]
    MissingSlash {
        /// `system` or `session`.
        host: String,
        /// The URI that was probably meant.
        suggestion: String,
    },
}

/// A part of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriPart {
    /// In front of the `@`.
    User,
    /// Behind the two slashes.
    Host,
    /// From the slash behind the host.
    Path,
    /// Behind the `?`.
    Query,
    /// Behind the `#`.
    Fragment,
}

impl fmt::Display for UriPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Host => "host",
            Self::Path => "path",
            Self::Query => "query",
            Self::Fragment => "fragment",
        })
    }
}
