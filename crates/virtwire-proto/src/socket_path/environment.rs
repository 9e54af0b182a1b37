//! What the environment of a process says about sockets and daemons.

use super::{Scope, SocketPathError};
use crate::uri::Mode;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

/// Where libvirt's daemons are installed when no variable says otherwise.
const DAEMON_DIR: &str = "/usr/sbin";

/// What the environment of a process says about sockets and daemons.
///
/// # Examples
/// With the standard library, for a user who is not root:
/// ```
/// use virtwire_proto::socket_path::Environment;
/// let environment = Environment::new(false, |name| std::env::var(name).ok());
/// # let environment = Environment::new(false, |name| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/1000".into()));
/// assert_eq!(environment.runtime_dir.as_deref(), Some("/run/user/1000/libvirt"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Environment {
    /// Whether the process runs as root, who has no session of its own.
    pub root: bool,
    /// The folder of the user's sockets: `$XDG_RUNTIME_DIR/libvirt`, else `$XDG_CACHE_HOME/libvirt`, else
    /// `$HOME/.cache/libvirt`. libvirt makes it with mode 0700.
    pub runtime_dir: Option<String>,
    /// Whether a session's daemon may be started: LIBVIRT_AUTOSTART is not `0`.
    pub autostart: bool,
    /// The folder of the daemons' programs: VIRTD_PATH, else LIBVIRTD_PATH, else `/usr/sbin`.
    pub daemon_dir: String,
    /// The mode where a URI says none: libvirt.conf's `remote_mode`, [`Mode::Auto`] unless it is set.
    pub mode: Mode,
}

impl Environment {
    /// Names of the variables that are asked for.
    pub const VARIABLES: [&str; 6] =
        ["XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME", "LIBVIRT_AUTOSTART", "VIRTD_PATH", "LIBVIRTD_PATH"];

    /// What `variable` says; `root` is whether the effective user is 0.
    ///
    /// Where HOME is not set libvirt takes the home folder of the system's list of users: let `variable` do so.
    #[doc(alias("VIRTD_PATH", "LIBVIRTD_PATH", "LIBVIRT_AUTOSTART", "XDG_RUNTIME_DIR"))]
    pub fn new(root: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name| variable(name).filter(|folder| !folder.is_empty());
        let runtime_dir = folder("XDG_RUNTIME_DIR")
            .or_else(|| folder("XDG_CACHE_HOME"))
            .or_else(|| folder("HOME").map(|home| join(&home, ".cache")))
            .map(|dir| join(&dir, "libvirt"));
        Self {
            root,
            runtime_dir,
            autostart: variable("LIBVIRT_AUTOSTART").is_none_or(|value| value != "0"),
            daemon_dir: variable("VIRTD_PATH")
                .or_else(|| variable("LIBVIRTD_PATH"))
                .unwrap_or_else(|| DAEMON_DIR.to_owned()),
            mode: Mode::Auto,
        }
    }

    /// The scope of the user's own daemons.
    ///
    /// # Errors
    /// [`SocketPathError::NoRuntimeDir`].
    pub fn session(&self) -> Result<Scope, SocketPathError> {
        let runtime_dir = self.runtime_dir.clone().ok_or(SocketPathError::NoRuntimeDir)?;
        Ok(Scope::Session { runtime_dir })
    }
}

/// The folder, one slash, and the name.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        return name.to_owned();
    }
    format!("{}/{name}", folder.trim_end_matches('/'))
}
