//! Connection URIs: `driver[+transport]://[user@][host][:port]/path[?parameters]`.
//!
//! libvirt reads URIs with libxml2, which takes more than RFC 3986 does (zone ids with a bare `%`,
//! `[` in a fragment) and refuses an empty port that the RFC allows; its query has rules of its own for `;` and
//! for parameters without a value. The crates for generic URIs (`iri-string`, `fluent-uri`) validate the RFC's
//! grammar, give no place for what is wrong, and leave the decoding and encoding of each part, the larger half
//! of the work, to their user. So the parser is here: what libxml2 and libvirt do, minus the cases below.
//!
//! A [`Uri`] says where to connect ([`Uri::transport`], [`Uri::host`], [`Uri::socket`], …), what to say there
//! ([`Uri::open_name`], the argument of CONNECT_OPEN), and what a helper on the far side of an SSH connection is
//! told ([`Uri::helper_uri`]). [`ClientConfig`] reads aliases and the default URI from libvirt.conf.
//!
//! Where this differs from libvirt 12.8.0, on purpose:
//!
//! | in the URI | libvirt | here |
//! | --- | --- | --- |
//! | `%00` | cuts the part off there | refused |
//! | an empty user (`//@host`) | takes the rest of the URI as the user | no user |
//! | a port over 65535 | fails when it connects | refused |
//! | brackets | anything inside | an IPv6 address, with a zone id if need be |
//! | a parameter whose name needs escapes (`a%26b=1`) | sent on without them (`a&b=1`) | sent on with them |
//! | host or user that are not UTF-8 | passed on | refused |
//!
//! # Examples
//! ```
//! use virtwire_proto::uri::{Transport, Uri};
//! let uri: Uri = "qemu+ssh://admin@host.example.com:2222/system?keyfile=/home/a/key&no_tty=1".parse()?;
//! assert_eq!(uri.driver(), "qemu");
//! assert_eq!(uri.transport(), Transport::Ssh);
//! assert_eq!((uri.user(), uri.host(), uri.port()), (Some("admin"), Some("host.example.com"), Some(2222)));
//! assert_eq!(uri.keyfile().unwrap(), "/home/a/key");
//! assert_eq!(uri.no_tty(), Ok(true));
//! assert_eq!(uri.open_name(), "qemu:///system");
//! # Ok::<(), virtwire_proto::uri::UriError>(())
//! ```

mod config;
mod error;
mod params;
mod parse;
mod percent;

#[cfg(test)]
mod tests;

pub use config::{ClientConfig, ConfigError, ConfigErrorKind, ResolveError};
pub use error::{UriError, UriErrorKind, UriPart};
pub use params::{AuthMethod, Mode, Proxy, UriParam, UriParamError};

use crate::xdr::Text;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::str::FromStr;

/// The TCP port of TLS connections where the URI gives none.
#[doc(alias = "LIBVIRTD_TLS_PORT")]
pub const TLS_PORT: u16 = 16514;

/// The TCP port of connections without TLS where the URI gives none.
#[doc(alias = "LIBVIRTD_TCP_PORT")]
pub const TCP_PORT: u16 = 16509;

/// A connection URI, taken apart and decoded.
///
/// [`FromStr`] reads one; formatting with `{}` gives a canonical text that reads as an equal value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    scheme: String,
    driver_len: usize,
    transport: Transport,
    user: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: Text,
    params: Vec<UriParam>,
    fragment: Option<Text>,
}

/// How a connection's bytes travel.
#[doc(alias = "remoteDriverTransport")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Transport {
    /// A UNIX socket: what a URI without transport and host means.
    Unix,
    /// TCP, in the clear.
    Tcp,
    /// TLS over TCP: what a URI without transport and with a host means.
    Tls,
    /// The `ssh` command.
    Ssh,
    /// A command of the user's that carries the bytes on its standard input and output.
    Ext,
    /// SSH by libvirt's use of the libssh library.
    Libssh,
    /// SSH by libvirt's use of the libssh2 library.
    Libssh2,
}

impl Uri {
    /// The scheme as it was written: the driver and, where the URI names one, `+` and the transport.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The hypervisor driver: `qemu`, `xen`, `test`, …, whatever it is, as it was written.
    ///
    /// `remote` leaves the choice to the server.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.scheme[..self.driver_len]
    }

    /// The transport that the URI names, else TLS where it has a host and a UNIX socket where it has none.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether the URI names its transport.
    #[must_use]
    pub fn names_transport(&self) -> bool {
        self.driver_len < self.scheme.len()
    }

    /// The user, decoded. A colon and what follows it is part of it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, decoded: a name, an IPv4 address, or an IPv6 address without brackets, its zone id behind `%`.
    ///
    /// Where there is none, a transport that needs one goes to `localhost`.
    /// It may begin with `-`: whoever passes it to a command has to keep it from being taken as an option.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port, where the URI gives one that is not 0.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The path, decoded and with its slash: `/system`, `/session`, `/default`, an absolute file name, …
    #[must_use]
    pub fn path(&self) -> &Text {
        &self.path
    }

    /// Whether the path is `/session`: a daemon of the user's own.
    #[must_use]
    pub fn is_session(&self) -> bool {
        self.path == "/session"
    }

    /// What follows `#`, decoded.
    #[must_use]
    pub fn fragment(&self) -> Option<&Text> {
        self.fragment.as_ref()
    }

    /// The URI without parameters and fragment.
    #[must_use]
    pub fn base(&self) -> String {
        let mut base = String::new();
        self.write_base(&mut base);
        base
    }

    /// The name to send in CONNECT_OPEN.
    ///
    /// That is the parameter `name` where there is one; else nothing for the driver `remote`, which lets the
    /// server choose; else the URI without transport, user, host and port, and without those parameters that
    /// are for the client.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::uri::Uri;
    /// let uri: Uri = "test+unix:///tmp/a%20b.xml?socket=/run/s&colour=light%20blue".parse()?;
    /// assert_eq!(uri.open_name(), "test:///tmp/a%20b.xml?colour=light%20blue");
    /// # Ok::<(), virtwire_proto::uri::UriError>(())
    /// ```
    #[doc(alias = "remote_connect_open_args")]
    #[must_use]
    pub fn open_name(&self) -> Text {
        self.name_with(|param| !param.is_for_client())
    }

    /// The URI that virt-ssh-helper is given on the far side of an SSH connection: as [`Uri::open_name`], but
    /// the parameters `mode` and `socket` stay.
    #[must_use]
    pub fn helper_uri(&self) -> Text {
        self.name_with(|param| !param.is_for_client() || param.is("mode") || param.is("socket"))
    }

    /// What [`Uri::open_name`] describes, with the parameters that `keep` selects.
    fn name_with(&self, keep: impl Fn(&UriParam) -> bool) -> Text {
        if let Some(name) = self.name() {
            return name.clone();
        }
        if self.driver() == "remote" {
            return Text::default();
        }
        let mut name = String::from(self.driver());
        // Two slashes even before a path that does not begin with one, as libvirt writes it.
        name.push_str("://");
        percent::encode(&mut name, self.path.as_bytes(), percent::is_path);
        self.write_rest(&mut name, keep);
        name.into()
    }

    fn write_base(&self, out: &mut String) {
        out.push_str(&self.scheme);
        out.push(':');
        if self.user.is_some()
            || self.host.is_some()
            || self.path.is_empty()
            || self.path.as_bytes()[0] == b'/'
        {
            out.push_str("//");
        }
        if let Some(user) = &self.user {
            percent::encode(out, user.as_bytes(), percent::is_user);
            out.push('@');
        }
        if let Some(host) = self.host.as_deref() {
            match parse::ipv6_with_zone(host) {
                Some((address, zone)) => {
                    out.push('[');
                    out.push_str(address);
                    if let Some(zone) = zone {
                        out.push_str("%25");
                        percent::encode(out, zone.as_bytes(), percent::is_unreserved);
                    }
                    out.push(']');
                }
                None => percent::encode(out, host.as_bytes(), percent::is_host),
            }
        }
        if let Some(port) = self.port {
            // Writing to a String cannot fail.
            let _ = write!(out, ":{port}");
        }
        percent::encode(out, self.path.as_bytes(), percent::is_path);
    }

    /// The parameters that `keep` selects, and the fragment.
    fn write_rest(&self, out: &mut String, keep: impl Fn(&UriParam) -> bool) {
        let mut separator = '?';
        for param in self.params.iter().filter(|param| keep(param)) {
            out.push(separator);
            separator = '&';
            percent::encode(out, param.name.as_bytes(), percent::is_param_name);
            out.push('=');
            percent::encode(out, param.value.as_bytes(), percent::is_unreserved);
        }
        if let Some(fragment) = &self.fragment {
            out.push('#');
            percent::encode(out, fragment.as_bytes(), percent::is_fragment);
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(uri: &str) -> Result<Self, UriError> {
        parse::parse(uri)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.base();
        self.write_rest(&mut text, |_| true);
        f.write_str(&text)
    }
}

impl Transport {
    /// All transports.
    pub const ALL: [Self; 7] =
        [Self::Unix, Self::Tcp, Self::Tls, Self::Ssh, Self::Ext, Self::Libssh, Self::Libssh2];

    /// The name that stands behind the `+`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ssh => "ssh",
            Self::Ext => "ext",
            Self::Libssh => "libssh",
            Self::Libssh2 => "libssh2",
        }
    }

    /// The port that the transport uses where the URI gives none; for SSH, its own configuration decides.
    #[must_use]
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp => Some(TCP_PORT),
            Self::Tls => Some(TLS_PORT),
            _ => None,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
