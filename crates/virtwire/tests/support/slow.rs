//! Calls that take as long as a test wants on a real daemon: volumes of a format that `qemu-img` makes, where
//! `qemu-img` is a script of the test's.
#![allow(dead_code, reason = "each test target uses its own part")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use virtwire::flags::{StoragePoolCreateFlags, StorageVolCreateFlags};
use virtwire::{Connection, StoragePool, StorageVol};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Testbed};

/// A daemon whose calls of [`Slow::call`] take as long as a shell script does.
pub(crate) struct Slow {
    pub(crate) daemon: Daemon,
    folder: TempDir,
}

impl Slow {
    /// Starts one; `$folder` in the script is a folder that all its runs share.
    pub(crate) fn start(testbed: &Testbed, config: Config, script: &str) -> Result<Self, Failed> {
        // In /tmp, which chroots share.
        let folder = tempfile::Builder::new().prefix("virtwire-").tempdir_in("/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let program = folder.path().join("qemu-img");
        // Its last two arguments are the volume's path and size.
        let text = format!(
            "#!/bin/sh\nfor word; do path=$last; last=$word; done\n: >\"$path\"\nfolder={}\n{script}\n",
            folder.path().display()
        );
        std::fs::write(&program, text)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        let path = format!("{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", folder.path().display());
        let daemon = Daemon::start(testbed, config.drivers(Drivers::Storage).env("PATH", path))?;
        Ok(Self { daemon, folder })
    }

    pub(crate) fn uri(&self) -> String {
        format!("storage+unix:///system?socket={}", self.daemon.socket().display())
    }

    /// The folder that all runs of the script share.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A pool to make volumes in.
    pub(crate) async fn pool(&self, connection: &Connection, name: &str) -> Result<StoragePool, Failed> {
        let path = self.daemon.folder().join(name);
        let xml = format!(
            "<pool type='dir'><name>{name}</name><target><path>{}</path></target></pool>",
            path.display()
        );
        Ok(connection.storage_pool_create_xml(xml, StoragePoolCreateFlags::WITH_BUILD).await?)
    }
}

/// A call that takes as long as the script does. The daemon runs many of them at a time.
pub(crate) async fn call(pool: &StoragePool, name: String) -> virtwire::Result<StorageVol> {
    let xml = format!(
        "<volume><name>{name}</name><capacity>65536</capacity><target><format type='qcow2'/></target></volume>"
    );
    pool.vol_create_xml(xml, StorageVolCreateFlags::empty()).await
}
