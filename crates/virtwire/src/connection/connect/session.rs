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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use virtwire_proto::socket_path::{Environment, SocketFinder};

    /// What tells this program to do something in place of its tests.
    const LISTEN_AT: &str = "VIRTWIRE_TEST_LISTEN_AT";
    const LOCK_AT: &str = "VIRTWIRE_TEST_LOCK_AT";

    fn own_test(name: &str) -> String {
        format!("{}::{name}", module_path!().split_once("::").unwrap().1)
    }

    /// A folder for a session's sockets, and one with a program in place of libvirtd.
    struct Session {
        folder: tempfile::TempDir,
        socket: Vec<u8>,
        command: DaemonCommand,
    }

    impl Session {
        fn new(libvirtd: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let text = folder.path().to_str().unwrap();
            let program = folder.path().join("libvirtd");
            std::fs::write(&program, format!("#!/bin/sh\ncd {text}\n{libvirtd}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let environment = Environment::new(false, |name| match name {
                "XDG_RUNTIME_DIR" => Some(format!("{text}/run")),
                "LIBVIRTD_PATH" => Some(text.to_owned()),
                _ => None,
            });
            let uri = "qemu:///session".parse().unwrap();
            let found = SocketFinder::for_uri(Some(&uri), &environment).unwrap().find(|_| false).unwrap();
            Self { folder, socket: found.path.as_bytes().to_vec(), command: found.command.unwrap() }
        }

        /// One whose daemon listens: this program, told so.
        fn listening(before: &str) -> Self {
            let program = std::env::current_exe().unwrap();
            let name = own_test("listens_when_it_is_told_to");
            let listen =
                format!("{LISTEN_AT}=$PWD/run/libvirt/libvirt-sock {} --exact {name}", program.display());
            Self::new(&format!(
                "echo \"$@\" >>arguments; env >variables; {before}\n{listen} >/dev/null 2>&1 &"
            ))
        }

        fn read(&self, file: &str) -> String {
            std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
        }

        fn lock_is_gone(&self) -> bool {
            !Path::new(&self.command.lock_path).exists()
        }
    }

    /// The daemon that the tests start: it takes clients until none has come for a while.
    #[test]
    fn listens_when_it_is_told_to() {
        let Some(path) = std::env::var_os(LISTEN_AT) else { return };
        let listener = UnixListener::bind(path).unwrap();
        let (came, next) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                came.send(client.unwrap()).unwrap();
            }
        });
        let mut clients = Vec::new();
        while let Ok(client) = next.recv_timeout(Duration::from_secs(3)) {
            clients.push(client);
        }
    }

    /// Another client of the session: it has the lock until its input ends.
    #[tokio::test]
    async fn locks_when_it_is_told_to() {
        let Some(path) = std::env::var_os(LOCK_AT) else { return };
        let lock = Lock::take(Path::new(&path)).await.unwrap();
        std::fs::write(Path::new(&path).with_extension("taken"), "").unwrap();
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        drop(lock);
    }

    #[tokio::test]
    async fn clients_that_come_at_once_start_one_daemon() {
        let session = Session::listening("sleep 0.2");
        let connect = || connect(&session.socket, &session.command);
        let (one, two, three) = tokio::join!(connect(), connect(), connect());
        for connected in [one, two, three] {
            connected.unwrap();
        }
        assert_eq!(session.read("arguments"), "--timeout=120 --daemon\n");
        assert!(session.lock_is_gone());
        // It sees what it needs of the environment, and nothing else of this process's.
        let variables = session.read("variables");
        assert!(variables.contains("LC_ALL=C\n") && !variables.contains("CARGO"), "{variables}");
    }

    #[tokio::test]
    async fn a_client_that_is_dropped_leaves_no_lock() {
        let session = Session::listening("sleep 0.5");
        let soon = Duration::from_millis(100);
        tokio::time::timeout(soon, connect(&session.socket, &session.command)).await.unwrap_err();
        assert!(session.lock_is_gone());
        // And the next one connects to what the first has started, or starts it.
        connect(&session.socket, &session.command).await.unwrap();
    }

    #[tokio::test]
    async fn another_process_that_starts_the_daemon_is_waited_for() {
        let session = Session::listening(":");
        let path = session.command.lock_path.clone();
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &own_test("locks_when_it_is_told_to")])
            .env(LOCK_AT, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !Path::new(&path).with_extension("taken").exists() {
            assert!(other.try_wait().unwrap().is_none());
            tokio::time::sleep(PAUSE).await;
        }
        let mut waiting = std::pin::pin!(connect(&session.socket, &session.command));
        tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.unwrap_err();
        assert_eq!(session.read("arguments"), "");
        drop(other.stdin.take());
        waiting.await.unwrap();
        assert_eq!(session.read("arguments"), "--timeout=120 --daemon\n");
        assert!(other.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_start_is_told_of() {
        let session = Session::new("echo 'no such driver' >&2; exit 6");
        let error = connect(&session.socket, &session.command).await.unwrap_err().to_string();
        assert!(error.starts_with("No such file or directory"), "{error}");
        assert!(error.ends_with("libvirtd has ended (exit status: 6): no such driver"), "{error}");
        assert!(session.lock_is_gone());

        let session = Session::new("");
        std::fs::remove_file(&session.command.program).unwrap();
        let error = connect(&session.socket, &session.command).await.unwrap_err().to_string();
        assert!(error.contains("libvirtd cannot be started: No such file"), "{error}");
    }
}
