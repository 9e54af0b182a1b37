//! Opens the connection that a command is about.

use std::path::Path;

use virtwire::Connection;
use virtwire_proto::socket_path::{Environment, SocketFinder};

use crate::failure::{Failure, say};

/// The hypervisor in memory.
const EMBEDDED: &str = "test:///default";

/// Opens the URI that the command line gives, or the default one.
pub(crate) async fn open(uri: Option<&str>) -> Result<Connection, Failure> {
    let uri = match uri {
        Some(uri) => uri.to_owned(),
        None => default(),
    };
    Connection::open(&uri).await.map_err(Failure::connection)
}

/// What is meant where nothing is said. Empty leaves it to the host's daemon.
fn default() -> String {
    let variable = |name: &str| std::env::var(name).ok();
    if let Some(uri) = variable("LIBVIRT_DEFAULT_URI").filter(|uri| !uri.is_empty()) {
        return uri;
    }
    let root = rustix::process::geteuid().is_root();
    if daemon_is_there(&Environment::new(root, variable), |path| Path::new(path).exists()) {
        return String::new();
    }
    say(format_args!("no libvirt daemon on this host: using {EMBEDDED}, a hypervisor in memory"));
    EMBEDDED.to_owned()
}

/// Whether this host has a daemon's socket for who names none.
fn daemon_is_there(environment: &Environment, exists: impl Fn(&str) -> bool) -> bool {
    let found = SocketFinder::for_uri(None, environment).and_then(|finder| finder.find(&exists));
    // Where there is none, what is found is where one would be.
    found.is_ok_and(|found| found.path.to_str().is_ok_and(exists))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_or_a_users_daemon_is_found_by_its_socket() {
        let root = Environment::new(true, |_| None);
        assert!(!daemon_is_there(&root, |_| false));
        assert!(daemon_is_there(&root, |path| path == "/run/libvirt/libvirt-sock"));
        assert!(daemon_is_there(&root, |path| path == "/run/libvirt/virtqemud-sock"));

        let user = Environment::new(false, |name| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/7".into()));
        assert!(!daemon_is_there(&user, |_| false));
        assert!(daemon_is_there(&user, |path| path == "/run/user/7/libvirt/libvirt-sock"));
    }
}
