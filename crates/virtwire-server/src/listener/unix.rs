//! UNIX sockets that are listened on: their files, and who connects.

use crate::{Credentials, Peer};
use rustix::fs::{Mode, chmod, fchmod};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;
use tokio::net::{UnixStream, unix::SocketAddr};

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A UNIX socket that is listened on, and its file, which goes with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// The device and inode of the file: another server may have put its own in its place.
    file: (u64, u64),
}

impl UnixSocket {
    pub(super) fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(mode as _);
        let socket = match create(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                create(path, mode)?
            }
            other => other?,
        };
        // The umask has taken away from what the socket was made with: before anybody can connect, give it.
        chmod(path, mode)?;
        let metadata = fs::symlink_metadata(path)?;
        listen(&socket, BACKLOG)?;
        let listener = UnixListener::from_std(std_unix::UnixListener::from(socket))?;
        Ok(Self { listener, path: path.to_path_buf(), file: (metadata.dev(), metadata.ino()) })
    }

    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.listener.accept().await
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// A socket with its file, which never allows more than `mode`.
fn create(path: &Path, mode: Mode) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    #[cfg(target_vendor = "apple")]
    let flags = SocketFlags::empty();
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    #[cfg(target_vendor = "apple")]
    rustix::io::ioctl_fionbio(&socket, true)?;
    // On Linux the file gets the socket's mode, less the umask; elsewhere this may be refused, and the mode
    // is set before the socket listens in any case.
    let _ = fchmod(&socket, mode);
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Removes the file of a socket on which nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |what: &str| io::Error::new(io::ErrorKind::AddrInUse, format!("{}: {what}", path.display()));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(in_use("there is a file that is no socket"));
    }
    match std_unix::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) => Err(in_use("another server listens there")),
        Err(error) => Err(error),
    }
}

/// The process at the other end.
pub(crate) fn unix_peer(stream: &UnixStream) -> Peer {
    match stream.peer_cred() {
        Ok(cred) => {
            Peer::new().credentials(Credentials { pid: cred.pid(), uid: cred.uid(), gid: cred.gid() })
        }
        // It has gone already.
        Err(_) => Peer::new(),
    }
}
