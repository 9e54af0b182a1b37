//! A private SSH server on a port of the loopback, beside a daemon.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::error::{Context, Error, Result};
use crate::harness;
use crate::process::{run, wait_until};
use crate::testbed::Testbed;

/// How long it may take until it listens.
const LIMIT: Duration = Duration::from_secs(30);

/// A running SSH server that sees what the daemon sees: `/run/libvirt` is the daemon's. It lets root in by one key.
///
/// Its files lie in the daemon's folder. It ends with its handle, and with the daemon.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Sshd {
    /// Starts one, and puts the daemon's sockets where libvirt has them.
    ///
    /// # Errors
    /// It could not be started, or did not listen: the error has its log.
    pub fn start(testbed: &Testbed, daemon: &Daemon) -> Result<Self> {
        let folder = daemon.folder().join("ssh");
        fs::create_dir_all(&folder).context(|| folder.display().to_string())?;
        for socket in [daemon.socket(), daemon.socket_ro()] {
            let name = socket.file_name().unwrap_or_default();
            let place = daemon.folder().join("state").join(name);
            std::os::unix::fs::symlink(&socket, &place).context(|| place.display().to_string())?;
        }
        for key in ["host", "client", "other"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(folder.join(key));
            run(&mut command)?;
        }
        copy(&folder.join("client.pub"), &folder.join("authorized_keys"), "")?;
        let port = free_port()?;
        copy(&folder.join("host.pub"), &folder.join("known_hosts"), &format!("[127.0.0.1]:{port} "))?;
        copy(&folder.join("other.pub"), &folder.join("known_hosts.wrong"), &format!("[127.0.0.1]:{port} "))?;
        let at = folder.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nAuthorizedKeysFile {at}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPrintMotd no\n"
        );
        fs::write(folder.join("sshd_config"), config).context(|| "sshd_config".to_owned())?;
        // Where it keeps the part of itself that strangers speak to.
        let empty = testbed.root().outside("/run/sshd");
        fs::create_dir_all(&empty).context(|| empty.display().to_string())?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", daemon.pid())).args(["--mount", "--root", "--wd"]);
        command.args(["/usr/sbin/sshd", "-D", "-E"]).arg(folder.join("log"));
        command.arg("-f").arg(folder.join("sshd_config"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context(|| "nsenter".to_owned())?;
        let mut sshd = Self { child, port, folder };
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let ready = wait_until(Instant::now() + LIMIT, || sshd.has_ended() || listens());
        if !ready || sshd.has_ended() {
            return Err(Error::new(format!("sshd does not listen\n{}", sshd.log())));
        }
        Ok(sshd)
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that it lets in.
    pub fn key(&self) -> PathBuf {
        self.folder.join("client")
    }

    /// A key that it does not let in.
    pub fn other_key(&self) -> PathBuf {
        self.folder.join("other")
    }

    /// The list of hosts with its key.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// A list of hosts with another key for it.
    pub fn wrong_known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts.wrong")
    }

    /// What it has written to its log.
    pub fn log(&self) -> String {
        let log = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        harness::remember_log(self.log());
    }
}

fn copy(from: &Path, to: &Path, before: &str) -> Result<()> {
    let text = fs::read_to_string(from).context(|| from.display().to_string())?;
    fs::write(to, format!("{before}{text}")).context(|| to.display().to_string())
}

/// A port that is free for now: sshd takes no 0. Should another program take it first, sshd says so.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context(|| "a port".to_owned())?;
    Ok(listener.local_addr().context(|| "a port".to_owned())?.port())
}
