//! Chooses the socket for a driver, a mode and a user.

use super::environment::join;
use super::{Daemon, Environment, Scope, SocketPathError};
use crate::uri::{Mode, Transport, Uri};
use crate::xdr::Text;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Drivers in the order in which libvirt looks for one where a URI names none.
const SYSTEM_DRIVERS: &[&str] = &["xen", "qemu", "lxc", "vbox", "bhyve", "vz"];

/// The same for a user who is not root: these have sessions.
const SESSION_DRIVERS: &[&str] = &["qemu", "vbox"];

/// Chooses the socket of a daemon.
///
/// [`SocketFinder::for_uri`] takes what there is to know from a URI; [`SocketFinder::new`] starts from nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SocketFinder {
    socket: Option<Text>,
    transport: Transport,
    scope: Scope,
    driver: Option<String>,
    mode: Mode,
    prefer_direct: bool,
    read_only: bool,
    daemon_dir: Option<String>,
}

/// The socket that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundSocket {
    /// The socket's path. An `@` in front stands for the byte 0 of an abstract socket.
    pub path: Text,
    /// The daemon behind it, where it is not just a path that the URI gives.
    pub daemon: Option<String>,
    /// The command that starts the daemon where nothing answers on the socket and libvirt would start it.
    pub command: Option<DaemonCommand>,
}

/// The command that starts a session's daemon. Running it, and waiting for its socket, is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DaemonCommand {
    /// The program's path.
    pub program: String,
    /// Its arguments: to end itself after two minutes without clients.
    pub arguments: Vec<String>,
    /// The file that clients lock, from before they connect until they have, so that one of them starts it.
    pub lock_path: String,
    /// Variables that it is to be given as the client has them, besides PATH, HOME, USER, LOGNAME and the like.
    pub variables: &'static [&'static str],
}

impl SocketFinder {
    /// The host's libvirtd, unless more is said.
    pub fn new() -> Self {
        Self {
            socket: None,
            transport: Transport::Unix,
            scope: Scope::system(),
            driver: None,
            mode: Mode::Auto,
            prefer_direct: false,
            read_only: false,
            daemon_dir: None,
        }
    }

    /// What a URI means, or no URI at all, to a process in this environment.
    ///
    /// A user who is not root reaches its own daemons by `/session`, by the test driver with a transport, and
    /// without a URI; with the transport unix these may be started. For the SSH transports the socket is the
    /// one on the far side that netcat takes, and so is at `/var/run`, which every host has. The driver `remote`
    /// is none.
    ///
    /// # Errors
    /// The URI's transport leads to no UNIX socket, its mode is none, or it is about a session and the
    /// environment does not say where.
    #[doc(alias("remoteGetURIDaemonInfo", "remoteGetUNIXSocket"))]
    pub fn for_uri(uri: Option<&Uri>, environment: &Environment) -> Result<Self, SocketPathError> {
        let transport = uri.map_or(Transport::Unix, Uri::transport);
        if matches!(transport, Transport::Tcp | Transport::Tls | Transport::Ext) {
            return Err(SocketPathError::NoSocket { transport });
        }
        let socket = uri.and_then(Uri::socket).cloned();
        let mode = uri.map_or(Ok(None), Uri::mode)?.unwrap_or(environment.mode);
        let wants_session =
            uri.is_none_or(|uri| uri.is_session() || (uri.driver() == "test" && uri.names_transport()));
        let is_session = wants_session && !environment.root;
        let scope = match transport {
            // A path that is given needs no folder.
            _ if is_session && socket.is_none() => environment.session()?,
            Transport::Unix => Scope::system(),
            _ => Scope::System { prefix: "/var".to_owned() },
        };
        let starts = is_session
            && environment.autostart
            && transport == Transport::Unix
            && uri.is_none_or(|uri| uri.host().is_none());
        Ok(Self {
            socket,
            transport,
            scope,
            driver: uri.map(Uri::driver).filter(|driver| *driver != "remote").map(ToOwned::to_owned),
            mode,
            daemon_dir: starts.then(|| environment.daemon_dir.clone()),
            ..Self::new()
        })
    }

    /// Sets whose daemon it is.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the driver, as in a URI.
    pub fn driver(mut self, driver: impl Into<String>) -> Self {
        self.driver = Some(driver.into());
        self
    }

    /// Sets which daemon to speak to.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets that it be the read-only socket. A session has none, and its socket is taken.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets what [`Mode::Auto`] means where neither daemon's socket is there: the driver's own daemon rather
    /// than libvirtd. libvirt has it from how it was built (`remote_default_mode`); Debian's prefers libvirtd.
    pub fn prefer_direct(mut self, prefer_direct: bool) -> Self {
        self.prefer_direct = prefer_direct;
        self
    }

    /// The socket; `exists` says whether there is a file at a path, on this host.
    ///
    /// # Errors
    /// The driver's own daemon is asked for and no driver is named or found, or it is on the far side of a
    /// transport.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::socket_path::{Environment, SocketFinder};
    /// let variable = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/1000".to_string());
    /// let environment = Environment::new(false, variable);
    /// let uri = "qemu:///session?mode=direct".parse()?;
    /// let socket = SocketFinder::for_uri(Some(&uri), &environment)?.find(|_| false)?;
    /// assert_eq!(socket.path, "/run/user/1000/libvirt/virtqemud-sock");
    /// let command = socket.command.unwrap();
    /// assert_eq!((&*command.program, &*command.arguments), ("/usr/sbin/virtqemud", &["--timeout=120".into()][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn find(&self, exists: impl Fn(&str) -> bool) -> Result<FoundSocket, SocketPathError> {
        if let Some(path) = &self.socket {
            return Ok(FoundSocket { path: path.clone(), daemon: None, command: None });
        }
        let legacy = self.candidate(Daemon::LIBVIRTD.socket_prefix(), Daemon::LIBVIRTD.name());
        let chosen = match self.mode {
            Mode::Legacy => legacy,
            Mode::Auto if self.transport != Transport::Unix => legacy,
            Mode::Direct if self.transport != Transport::Unix => {
                return Err(SocketPathError::DirectOverTransport { transport: self.transport });
            }
            Mode::Direct => self.direct(&exists)?,
            Mode::Auto => self.automatic(legacy, &exists)?,
        };
        Ok(FoundSocket {
            command: self.command(&chosen.daemon),
            path: chosen.path.into(),
            daemon: Some(chosen.daemon),
        })
    }

    fn automatic(
        &self,
        legacy: Candidate,
        exists: &impl Fn(&str) -> bool,
    ) -> Result<Candidate, SocketPathError> {
        // Without a driver libvirtd chooses one, if it is there: but where libvirt was built to prefer the
        // drivers' own daemons it looks for those first.
        if self.driver.is_none() && !self.prefer_direct && exists(&legacy.path) {
            return Ok(legacy);
        }
        match self.direct(exists) {
            Ok(direct) if exists(&direct.path) => Ok(direct),
            _ if exists(&legacy.path) => Ok(legacy),
            direct if self.prefer_direct => direct,
            _ => Ok(legacy),
        }
    }

    /// The driver's own daemon, or the first one that is there, or for a session installed.
    fn direct(&self, exists: &impl Fn(&str) -> bool) -> Result<Candidate, SocketPathError> {
        let of_driver = |driver: &str| {
            let daemon = format!("virt{driver}d");
            self.candidate(&daemon, &daemon)
        };
        if let Some(driver) = &self.driver {
            return Ok(of_driver(driver));
        }
        let drivers = match self.scope {
            Scope::System { .. } => SYSTEM_DRIVERS,
            Scope::Session { .. } => SESSION_DRIVERS,
        };
        let candidates: Vec<_> = drivers.iter().map(|driver| of_driver(driver)).collect();
        let installed = |candidate: &&Candidate| {
            self.daemon_dir.as_ref().is_some_and(|folder| exists(&join(folder, &candidate.daemon)))
        };
        let found = candidates.iter().find(|candidate| exists(&candidate.path));
        found.or_else(|| candidates.iter().find(installed)).cloned().ok_or_else(|| {
            let tried: Vec<_> = candidates.iter().map(|candidate| &*candidate.path).collect();
            SocketPathError::NoDriver { tried: tried.join(", ") }
        })
    }

    fn candidate(&self, prefix: &str, daemon: &str) -> Candidate {
        let is_system = matches!(self.scope, Scope::System { .. });
        let suffix = if self.read_only && is_system { "-sock-ro" } else { "-sock" };
        Candidate { path: format!("{}/{prefix}{suffix}", self.scope.folder()), daemon: daemon.to_owned() }
    }

    fn command(&self, daemon: &str) -> Option<DaemonCommand> {
        let daemon_dir = self.daemon_dir.as_ref()?;
        Some(DaemonCommand {
            program: join(daemon_dir, daemon),
            arguments: Vec::from(["--timeout=120".to_owned()]),
            lock_path: format!("{}/{daemon}.lock", self.scope.folder()),
            variables: &["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"],
        })
    }
}

impl Default for SocketFinder {
    fn default() -> Self {
        Self::new()
    }
}

/// A socket, and the daemon that would be behind it.
#[derive(Clone)]
struct Candidate {
    path: String,
    daemon: String,
}
