//! Which UNIX socket leads to which daemon, and which daemon a session may start.
//!
//! [`Daemon`] knows the names and sockets of libvirt's daemons. [`SocketFinder`] chooses among them for a driver
//! or a [`Uri`]. Nothing here looks at the file system or at the environment: a closure says which files exist,
//! and [`Environment`] says the rest.
//!
//! | | system | session |
//! | --- | --- | --- |
//! | libvirtd, virtproxyd | `/run/libvirt/libvirt-sock` | `$XDG_RUNTIME_DIR/libvirt/libvirt-sock` |
//! | a driver's own daemon | `/run/libvirt/virtqemud-sock` | `$XDG_RUNTIME_DIR/libvirt/virtqemud-sock` |
//! | read-only | `…-sock-ro` | there is none: `…-sock` |
//! | administration | `…/libvirt-admin-sock`, `…/virtqemud-admin-sock` | the same |
//!
//! # Examples
//! ```
//! use virtwire_proto::socket_path::SocketFinder;
//! // A host on which virtqemud runs and libvirtd does not:
//! let exists = |path: &str| path == "/run/libvirt/virtqemud-sock";
//! let socket = SocketFinder::new().driver("qemu").find(exists)?;
//! assert_eq!((&*socket.path.to_string(), socket.daemon.as_deref()), ("/run/libvirt/virtqemud-sock", Some("virtqemud")));
//! # Ok::<(), virtwire_proto::socket_path::SocketPathError>(())
//! ```

mod daemon;
mod environment;
mod finder;

#[cfg(test)]
mod tests;

pub use daemon::Daemon;
pub use environment::Environment;
pub use finder::{DaemonCommand, FoundSocket, SocketFinder};

use crate::uri::{Transport, Uri, UriParamError};
use crate::xdr::Text;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

/// Whose daemon it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The host's, run by root.
    System {
        /// What stands in front of `/run/libvirt`: nothing, or `/var` where a host has no `/run`.
        prefix: String,
    },
    /// A user's own.
    Session {
        /// The folder of the sockets: [`Environment::runtime_dir`].
        runtime_dir: String,
    },
}

/// Why there is no socket path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketPathError {
    /// A driver's own daemon is asked for, the URI names no driver, and no driver's socket is there.
    #[error("no driver is named, and there is none of the sockets {tried}: name a driver in the URI")]
    NoDriver {
        /// The sockets that were looked for, with commas.
        tried: String,
    },
    /// A driver's own daemon is asked for on the far side of a transport, where its socket cannot be known.
    #[error("mode=direct works with the transport unix alone, and the URI's is {transport}")]
    DirectOverTransport {
        /// The transport.
        transport: Transport,
    },
    /// The transport does not lead to a UNIX socket.
    #[error("the transport {transport} does not lead to a UNIX socket")]
    NoSocket {
        /// The transport.
        transport: Transport,
    },
    /// A session is asked for, and the environment does not say where its sockets are.
    #[error("a session's sockets are in XDG_RUNTIME_DIR, XDG_CACHE_HOME or HOME, and none of them is set")]
    NoRuntimeDir,
    /// A parameter of the URI is wrong.
    #[error(transparent)]
    Param(#[from] UriParamError),
    /// The URI for administration has a parameter other than `socket`.
    #[error("expected no parameter but socket in a URI for administration, found {name:?}")]
    AdminParam {
        /// The parameter's name.
        name: Text,
    },
    /// The URI for administration names no daemon.
    #[error("expected libvirtd or a daemon virt…d in a URI for administration, found {driver:?}")]
    AdminDriver {
        /// What stands there.
        driver: String,
    },
    /// The URI for administration has another path than these two.
    #[error("expected /system or /session in a URI for administration, found {path:?}")]
    AdminPath {
        /// The path.
        path: Text,
    },
}

impl Scope {
    /// The host's daemons, at `/run/libvirt`.
    #[must_use]
    pub fn system() -> Self {
        Self::System { prefix: String::new() }
    }

    /// The folder in which the sockets are.
    #[must_use]
    pub fn folder(&self) -> String {
        match self {
            Self::System { prefix } => format!("{prefix}/run/libvirt"),
            Self::Session { runtime_dir } => runtime_dir.clone(),
        }
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::system()
    }
}

/// The administration socket that a URI for administration (`libvirtd:///system`, `virtqemud:///session`) means.
///
/// # Errors
/// The URI names no daemon, has another path than `/system` and `/session` or another parameter than `socket`,
/// or is about a session whose folder the environment does not say.
///
/// # Examples
/// ```
/// use virtwire_proto::socket_path::{Environment, admin_socket};
/// let environment = Environment::new(true, |_| None);
/// let path = admin_socket(&"virtqemud:///system".parse()?, &environment)?;
/// assert_eq!(path, "/run/libvirt/virtqemud-admin-sock");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "virAdmConnectOpen")]
pub fn admin_socket(uri: &Uri, environment: &Environment) -> Result<Text, SocketPathError> {
    if let Some(other) = uri.params().iter().find(|param| param.name != *"socket") {
        return Err(SocketPathError::AdminParam { name: other.name.clone() });
    }
    if let Some(socket) = uri.socket() {
        return Ok(socket.clone());
    }
    let name = uri.driver();
    if name != Daemon::LIBVIRTD.name() && !name.starts_with("virt") {
        return Err(SocketPathError::AdminDriver { driver: name.to_owned() });
    }
    let scope = match uri.path().to_str() {
        Ok("/system") => Scope::system(),
        Ok("/session") => environment.session()?,
        _ => return Err(SocketPathError::AdminPath { path: uri.path().clone() }),
    };
    let prefix =
        Daemon::named(name).map_or_else(|| name.to_string(), |daemon| daemon.socket_prefix().to_string());
    Ok(format!("{}/{prefix}-admin-sock", scope.folder()).into())
}
