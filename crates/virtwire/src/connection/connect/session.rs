//! A session's daemon, started where none answers.

use super::unix::{PAUSE, connect_path};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use virtwire_proto::socket_path::DaemonCommand;

/// How long a daemon may take until it answers.
const LIMIT: Duration = Duration::from_secs(30);

/// What a daemon sees of this process's environment, besides what is a session's.
const VARIABLES: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// Connects to the daemon at `path`. Where none answers, it is started.
pub(super) async fn connect(path: &[u8], command: &DaemonCommand) -> io::Result<UnixStream> {
    match connect_path(path).await {
        Err(error) if is_absent(&error) => {}
        result => return result,
    }
    let _lock = Lock::take(Path::new(&command.lock_path)).await?;
    let deadline = Instant::now() + LIMIT;
    let mut started: Option<Started> = None;
    loop {
        // One that ends tells nothing of whether another one has just come up.
        let has_failed = started.as_mut().and_then(Started::failure);
        match connect_path(path).await {
            Err(error) if is_absent(&error) => match has_failed {
                Some(failure) => return Err(Error::other(format!("{error}, and {failure}"))),
                None if Instant::now() >= deadline => {
                    let program = &command.program;
                    return Err(Error::other(format!("{error}, {LIMIT:?} after {program} was started")));
                }
                None => {}
            },
            result => return result,
        }
        if started.is_none() {
            started = Some(Started::new(command)?);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// The program that was started. It puts the daemon into the background and ends.
struct Started {
    child: Option<Child>,
    program: String,
}

impl Started {
    fn new(command: &DaemonCommand) -> io::Result<Self> {
        let mut program = Command::new(&command.program);
        program.args(&command.arguments).arg("--daemon");
        program.env_clear().env("LC_ALL", "C");
        for name in VARIABLES.iter().chain(command.variables) {
            if let Some(value) = std::env::var_os(name) {
                program.env(name, value);
            }
        }
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = program.spawn().map_err(|error| {
            let text = format!("no daemon answers, and {} cannot be started: {error}", command.program);
            Error::new(error.kind(), text)
        })?;
        Ok(Self { child: Some(child), program: command.program.clone() })
    }

    /// What it said, where it has ended without a daemon.
    fn failure(&mut self) -> Option<String> {
        let child = self.child.as_mut()?;
        let status = child.try_wait().ok()??;
        let stderr = child.stderr.take();
        self.child = None;
        if status.success() {
            return None;
        }
        let said = stderr.map(read_what_is_there).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        Some(format!("{} has ended ({status}): {}", self.program, said.trim()))
    }
}

/// Nobody is left behind that has to be waited for.
impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take()
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// What has been written to a pipe, without waiting for more: who wrote it may have left it to others.
fn read_what_is_there(mut pipe: std::process::ChildStderr) -> Vec<u8> {
    let mut said = Vec::new();
    let flags = rustix::fs::fcntl_getfl(&pipe)
        .and_then(|flags| rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK));
    if flags.is_ok() {
        // It keeps what it read before there was no more.
        let _ = Read::by_ref(&mut pipe).take(4096).read_to_end(&mut said);
    }
    said
}

/// Clients of libvirt's lock this file while one of them starts the daemon.
struct Lock {
    path: PathBuf,
    // Closing any descriptor of the file would unlock it, so that it is closed before another task opens it.
    _file: File,
    _turn: MutexGuard<'static, ()>,
}

/// The lock is the process's: tasks of it take turns.
static TURN: Mutex<()> = Mutex::const_new(());

impl Lock {
    async fn take(path: &Path) -> io::Result<Self> {
        let turn = TURN.lock().await;
        if let Some(folder) = path.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        }
        loop {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
            let file =
                file.map_err(|error| Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            lock(&file).await?;
            // Who had it before removes it: then it locks nobody out any more.
            let own = file.metadata()?;
            if std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino()))
            {
                return Ok(Self { path: path.to_owned(), _file: file, _turn: turn });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn lock(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, fcntl_lock};
    loop {
        match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => tokio::time::sleep(PAUSE).await,
            result => return Ok(result?),
        }
    }
}
