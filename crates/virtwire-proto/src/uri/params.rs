//! The parameters behind the `?`: those that are for the client, with their types, and all others.

use super::Uri;
use crate::xdr::Text;
use alloc::vec::Vec;
use core::fmt;

/// A parameter of a URI, decoded. One without a value has an empty one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UriParam {
    /// The name.
    pub name: Text,
    /// The value.
    pub value: Text,
}

/// A parameter has a value that it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URI's parameter {name} is {value:?}, expected {expected}")]
#[non_exhaustive]
pub struct UriParamError {
    /// The parameter's name.
    pub name: &'static str,
    /// The value that came.
    pub value: Text,
    /// What can stand there.
    pub expected: &'static str,
}

/// Which of a host's daemons to speak to: the parameter `mode`.
#[doc(alias = "remoteDriverMode")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// The driver's own daemon where its socket is there, else libvirtd.
    #[default]
    Auto,
    /// libvirtd.
    Legacy,
    /// The driver's own daemon.
    Direct,
}

/// What reaches the socket on the far side of an SSH connection: the parameter `proxy`.
#[doc(alias = "virNetClientProxy")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Proxy {
    /// virt-ssh-helper where it is installed, else netcat.
    #[default]
    Auto,
    /// netcat on the socket.
    Netcat,
    /// virt-ssh-helper.
    Native,
}

/// How to authenticate, whatever the server lists first: the parameter `auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod<'a> {
    /// SASL.
    Sasl {
        /// The mechanism, where the parameter names one.
        mechanism: Option<&'a str>,
    },
    /// polkit.
    Polkit,
}

/// Parameters that are for the client and are not sent on.
const FOR_CLIENT: [&str; 18] = [
    "name",
    "command",
    "argv",
    "socket",
    "auth",
    "sshauth",
    "netcat",
    "keyfile",
    "pkipath",
    "known_hosts",
    "known_hosts_verify",
    "tls_priority",
    "mode",
    "proxy",
    "no_sanity",
    "no_verify",
    "no_tty",
    "authfile",
];

impl UriParam {
    /// Whether this is the name, in whatever case: libvirt makes no difference.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether the parameter tells the client how to connect, and so is not sent to the server.
    ///
    /// `argv` is one since libvirt 12.8.0 at the latest; 11.3.0 sends it on.
    #[must_use]
    pub fn is_for_client(&self) -> bool {
        FOR_CLIENT.iter().any(|name| self.is(name))
    }
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> Option<&Text> {
            self.param(stringify!($name))
        }
    )*};
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// The value is no whole number; any but 0 means yes.
        pub fn $name(&self) -> Result<bool, UriParamError> {
            self.flag(stringify!($name))
        }
    )*};
}

/// The parameters. Where one is there several times, the last one counts; `A` and `a` are one name.
impl Uri {
    /// All parameters, in order.
    #[must_use]
    pub fn params(&self) -> &[UriParam] {
        &self.params
    }

    /// The value of the parameter: of the last one of this name, in whatever case.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Text> {
        self.params.iter().rev().find(|param| param.is(name)).map(|param| &param.value)
    }

    /// The values of all parameters of this name, in whatever case, in order.
    pub fn param_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Text> {
        self.params.iter().filter(move |param| param.is(name)).map(|param| &param.value)
    }

    /// The URI with a parameter more.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::uri::Uri;
    /// let uri: Uri = "test+unix:///default".parse()?;
    /// let uri = uri.with_param("socket", "/run/a b");
    /// assert_eq!(uri.to_string(), "test+unix:///default?socket=%2Frun%2Fa%20b");
    /// # Ok::<(), virtwire_proto::uri::UriError>(())
    /// ```
    #[must_use]
    pub fn with_param(mut self, name: impl Into<Text>, value: impl Into<Text>) -> Self {
        self.params.push(UriParam { name: name.into(), value: value.into() });
        self
    }

    texts! {
        /// What to send in CONNECT_OPEN in place of what the URI says.
        name;
        /// The command of the transports ssh (in place of `ssh`) and ext (which needs one): a path, or a name to
        /// be found in PATH.
        command;
        /// The path of the UNIX socket, on the host that is connected to.
        socket;
        /// How libssh and libssh2 authenticate: a list with commas.
        sshauth;
        /// The path of netcat on the far side of an SSH connection.
        netcat;
        /// The private key file for SSH.
        keyfile;
        /// The folder that holds all certificates and keys for TLS.
        pkipath;
        /// The file in which libssh and libssh2 look for host keys.
        known_hosts;
        /// What libssh and libssh2 do about host keys: `normal`, `auto` or `ignore`.
        known_hosts_verify;
        /// The priorities of TLS algorithms, in GnuTLS's notation.
        tls_priority;
        /// The file that holds credentials.
        authfile;
    }

    flags! {
        /// Whether to leave out the checks of one's own TLS certificates.
        no_sanity;
        /// Whether to take any server's certificate, and any SSH host key.
        no_verify;
        /// Whether SSH must not ask the user for anything.
        no_tty;
    }

    /// The arguments for the command of the transport ext, one for each parameter `argv`.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::uri::Uri;
    /// let uri: Uri = "qemu+ext:///system?command=/opt/tunnel&argv=-v&argv=a%20b".parse()?;
    /// assert_eq!(uri.argv(), ["-v", "a b"]);
    /// # Ok::<(), virtwire_proto::uri::UriError>(())
    /// ```
    #[must_use]
    pub fn argv(&self) -> Vec<Text> {
        self.param_values("argv").cloned().collect()
    }

    /// Which daemon to speak to, where the URI says so.
    ///
    /// # Errors
    /// The value is none of auto, legacy and direct.
    pub fn mode(&self) -> Result<Option<Mode>, UriParamError> {
        self.one_of("mode", "auto, legacy or direct", Mode::from_name)
    }

    /// What reaches the socket on the far side of an SSH connection, where the URI says so.
    ///
    /// # Errors
    /// The value is none of auto, netcat and native.
    pub fn proxy(&self) -> Result<Option<Proxy>, UriParamError> {
        self.one_of("proxy", "auto, netcat or native", Proxy::from_name)
    }

    /// What reaches the socket on the far side of an SSH connection, by all that the URI says: a socket and a
    /// path of netcat want netcat, a session wants virt-ssh-helper since the far side's paths are not known.
    ///
    /// `session` says whether a user's own daemon is meant, `default` what libvirt.conf sets.
    ///
    /// # Errors
    /// As [`Uri::proxy`], or virt-ssh-helper and a path of netcat are both asked for.
    pub fn effective_proxy(&self, session: bool, default: Option<Proxy>) -> Result<Proxy, UriParamError> {
        let proxy = match self.proxy()?.or(default) {
            Some(proxy) => proxy,
            None if self.socket().is_some() => Proxy::Netcat,
            None if session => Proxy::Native,
            None => Proxy::Auto,
        };
        match (proxy, self.netcat()) {
            (Proxy::Auto, Some(_)) => Ok(Proxy::Netcat),
            (Proxy::Native, Some(netcat)) => {
                let expected = "no path of netcat beside proxy=native";
                Err(UriParamError { name: "netcat", value: netcat.clone(), expected })
            }
            (proxy, _) => Ok(proxy),
        }
    }

    /// How to authenticate, where the URI says so.
    ///
    /// # Errors
    /// The value is none of sasl, sasl.MECHANISM and polkit.
    pub fn auth(&self) -> Result<Option<AuthMethod<'_>>, UriParamError> {
        self.one_of("auth", "sasl, sasl.MECHANISM or polkit", AuthMethod::from_name)
    }

    fn one_of<'a, T>(
        &'a self,
        name: &'static str,
        expected: &'static str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Option<T>, UriParamError> {
        let Some(value) = self.param(name) else { return Ok(None) };
        match value.to_str().ok().and_then(read) {
            Some(read) => Ok(Some(read)),
            None => Err(UriParamError { name, value: value.clone(), expected }),
        }
    }

    fn flag(&self, name: &'static str) -> Result<bool, UriParamError> {
        // libvirt reads each one of a repeated flag, so that a wrong one is refused wherever it stands.
        let mut flag = false;
        for value in self.param_values(name) {
            // As C's strtol: white space in front, and a sign.
            let number = value.to_str().ok().and_then(|text| text.trim_ascii_start().parse::<i32>().ok());
            let expected = "a whole number, 0 for no";
            flag = number.ok_or_else(|| UriParamError { name, value: value.clone(), expected })? != 0;
        }
        Ok(flag)
    }
}

impl Mode {
    /// The mode's name in a URI and in libvirt.conf.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Legacy => "legacy",
            Self::Direct => "direct",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::Legacy, Self::Direct].into_iter().find(|mode| mode.as_str() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Proxy {
    /// The proxy's name in a URI and in libvirt.conf.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Netcat => "netcat",
            Self::Native => "native",
        }
    }

    /// The proxy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::Netcat, Self::Native].into_iter().find(|proxy| proxy.as_str() == name)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'a> AuthMethod<'a> {
    /// The method of this name, in whatever case.
    fn from_name(name: &'a str) -> Option<Self> {
        let (method, mechanism) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
        match (&*method.to_ascii_lowercase(), mechanism) {
            ("sasl", mechanism) => Some(Self::Sasl { mechanism: mechanism.filter(|it| !it.is_empty()) }),
            ("polkit", None) => Some(Self::Polkit),
            _ => None,
        }
    }
}
