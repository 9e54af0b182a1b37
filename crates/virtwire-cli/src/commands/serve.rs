//! `virtwire serve`: the hypervisor in memory as a daemon.

use std::fmt;
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use virtwire_embedded::{Hypervisor, Node};
use virtwire_server::Listener;

use crate::failure::{Failure, say};

/// How long calls that are worked on may take when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Who may connect to a socket that this makes: its owner.
const SOCKET_MODE: u32 = 0o700;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A UNIX socket's path.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => match address.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                    Ok(Self::Tcp(address.to_owned()))
                }
                _ => Err("expected tcp:HOST:PORT".to_owned()),
            },
            _ => Err("expected unix:PATH or tcp:HOST:PORT".to_owned()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// Serves until the process is told to end.
pub(crate) async fn run(
    listen: &[Listen],
    node: Option<&Path>,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let node = match node {
        None => Node::default(),
        Some(file) => Node::builder()
            .file(file)
            .map_err(|error| Failure::usage(format_args!("{}: {error}", file.display())))?,
    };
    // Unlike libvirtd's, the node stays when its last client goes: that is what a daemon is started for.
    let server = Hypervisor::with_node(Arc::new(node)).server();
    // From here on a signal is waited for rather than deadly: no socket is left behind.
    let mut signals = Signals::new().map_err(Failure::connection)?;
    let mut listeners = Vec::new();
    let places = if listen.is_empty() { &[default_place()?][..] } else { listen };
    for place in places {
        let opened = match place {
            Listen::Unix(path) => Listener::unix(path, SOCKET_MODE),
            Listen::Tcp(address) => Listener::tcp(address.as_str()).await,
        };
        let failed =
            |error: io::Error| Failure::connection(format_args!("cannot listen on {place}: {error}"));
        listeners.push(opened.map_err(failed)?);
    }
    for listener in listeners {
        let line = format!("listening on {}\n", listener.address());
        server.listen(listener);
        // Who does not read this may still connect.
        let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
    }
    let name = signals.next().await;
    say(format_args!("{name}: ending"));
    tokio::select! {
        () = server.shutdown(GRACE) => {}
        // Told twice: at once. What is left of the sockets goes with the server.
        _ = signals.next() => {}
    }
    Ok(())
}

/// Where to listen if nothing is said: in a folder that nobody else may enter.
fn default_place() -> Result<Listen, Failure> {
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None if rustix::process::geteuid().is_root() => "/run".into(),
        None => return Err(Failure::usage("XDG_RUNTIME_DIR is not set: say where to listen by --listen")),
    };
    let folder = folder.join("virtwire");
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|error| Failure::connection(format_args!("{}: {error}", folder.display())))?;
    Ok(Listen::Unix(folder.join("virtwire-sock")))
}

/// The signals that end a daemon.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one and gives its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen_on_are_read_and_refused() {
        assert_eq!("unix:/run/a:b".parse(), Ok(Listen::Unix("/run/a:b".into())));
        assert_eq!("tcp:127.0.0.1:0".parse(), Ok(Listen::Tcp("127.0.0.1:0".into())));
        assert_eq!("tcp:[::1]:16509".parse(), Ok(Listen::Tcp("[::1]:16509".into())));
        for wrong in
            ["", "unix:", "/run/socket", "tcp:16509", "tcp::1", "tcp:host:port", "tcp:host:70000", "udp:a:1"]
        {
            let error = wrong.parse::<Listen>().expect_err(wrong);
            assert!(error.starts_with("expected "), "{error}");
        }
    }
}
