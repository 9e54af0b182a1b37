//! The hypervisor on sockets of its own, for other processes.

use crate::raw::Raw;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use virtwire_embedded::Hypervisor;
use virtwire_server::{Listener, Server};
use virtwire_testbed::{Daemon, Failed, Testbed};

/// A running server. It ends with this.
pub(crate) struct Served {
    _server: Server,
    runtime: Runtime,
    /// In /tmp, which is the same place in every system that virsh may run in.
    folder: TempDir,
}

impl Served {
    /// Serves the hypervisor on one socket for all access and one for reading only.
    pub(crate) fn start(hypervisor: Hypervisor) -> Result<Self, Failed> {
        let folder = tempfile::Builder::new().prefix("virtwire-embedded-").tempdir_in("/tmp")?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let server = hypervisor.server();
        {
            let _inside = runtime.enter();
            server.listen(Listener::unix(folder.path().join("sock"), 0o777)?);
            server.listen(Listener::unix(folder.path().join("sock-ro"), 0o777)?.read_only(true));
        }
        Ok(Self { _server: server, runtime, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("sock")
    }

    /// The URI of the default node.
    pub(crate) fn uri(&self) -> String {
        Daemon::uri_at(&self.socket())
    }

    /// The same for reading only.
    pub(crate) fn uri_read_only(&self) -> String {
        Daemon::uri_at(&self.folder().join("sock-ro"))
    }

    /// The URI of a node file.
    pub(crate) fn uri_of(&self, file: &Path) -> String {
        format!("test+unix://{}?socket={}", file.display(), self.socket().display())
    }

    /// A connection to the default node that does nothing.
    pub(crate) fn holder(&self) -> Raw {
        self.runtime.block_on(Raw::at(&self.socket()))
    }

    /// virsh on the default node.
    pub(crate) fn virsh(&self, testbed: &Testbed) -> Command {
        let mut command = testbed.virsh();
        command.args(["-c", &self.uri()]);
        command
    }
}
