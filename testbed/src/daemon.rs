//! A private libvirtd: started in a mount namespace of its own, ended with its handle.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::config::{Config, Drivers, TLS_FILES};
use crate::error::{Context, Error, Result};
use crate::harness;
use crate::process::{Namespace, listening_ports, send, wait_until};
use crate::reaper;
use crate::root::{MOUNTS, Root};
use crate::testbed::Testbed;

/// How long a daemon may take until it answers, and how long until it has ended.
const LIMIT: Duration = Duration::from_secs(30);

/// Where a libvirtd keeps its files, and the folder below the daemon's own that takes the place.
const PLACES: [(&str, &str); 5] = [
    ("etc", "/etc/libvirt"),
    ("lib", "/var/lib/libvirt"),
    ("cache", "/var/cache/libvirt"),
    ("log", "/var/log/libvirt"),
    ("state", "/run/libvirt"),
];

/// The drivers beside the test driver that need no hypervisor.
const STORAGE_DRIVERS: [&str; 5] = ["storage", "secret", "nwfilter", "interface", "network"];

/// For a daemon in a network namespace of its own: the folder of the kernel's devices shows that of whoever mounted it.
const NETWORK: &str = r#"
mount -t sysfs sysfs "$root/sys" || echo "the devices of the machine's network are shown" >&2
if [ -n "$root" ]; then chroot "$root" ip link set lo up; else ip link set lo up; fi
"#;

/// Lays the private folder `$2` over the places of libvirt in the system below `$1` (empty: the machine), leaves
/// the guard `$3` behind, and becomes the rest of the arguments.
const START: &str = r#"
for place in etc:/etc/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt state:/run/libvirt \
             passwd:/etc/passwd group:/etc/group; do
    own=$folder/${place%%:*} theirs=$root${place#*:}
    if [ ! -e "$own" ]; then continue; fi
    # Missing where libvirt has never run and this user may not make it: then the namespace has it alone.
    if [ ! -e "$theirs" ]; then mount -t tmpfs tmpfs "${theirs%/*}"; mkdir "$theirs"; fi
    mount --bind "$own" "$theirs"
done
exec 3<&0 </dev/null
sh -c "$guard" guard $$ "$folder" <&3 &
echo $! >"$folder/guard"
exec 3<&-
if [ -n "$root" ]; then exec chroot "$root" "$@"; fi
exec "$@"
"#;

/// Waits until the test's end of the pipe is closed, which happens before its time only when the test was killed;
/// then ends the daemon `$1` and all that it started, and removes the folder `$2`.
const GUARD: &str = r#"
read -r _
space=$(readlink /proc/self/ns/mnt)
inside() { [ "$(readlink "/proc/$1/ns/mnt" 2>/dev/null)" = "$space" ]; }
inside "$1" && kill -TERM "$1"
tries=0
while inside "$1" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
for process in /proc/[0-9]*; do
    number=${process#/proc/}
    if [ "$number" != $$ ] && inside "$number"; then kill -KILL "$number"; fi
done
rm -rf --one-file-system "$2"
"#;

/// A running libvirtd with all of its state below one temporary folder. Dropping it ends it, and every process
/// that it started (guests outlive their daemon otherwise).
///
/// The folder lies in `/tmp`, which keeps socket paths short and is the same place inside and outside a chroot.
/// Files put [there](Daemon::folder) are seen by the daemon and by every client.
#[derive(Debug)]
pub struct Daemon {
    root: Root,
    child: Child,
    status: Option<ExitStatus>,
    namespace: Option<Namespace>,
    tcp_port: Option<u16>,
    tls_port: Option<u16>,
    folder: TempDir,
}

impl Daemon {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// It could not be started, ended at once, or did not answer: the error has its log.
    pub fn start(testbed: &Testbed, config: Config) -> Result<Self> {
        let root = testbed.root().clone();
        let folder = tempfile::Builder::new()
            .prefix("virtwire-")
            .tempdir_in("/tmp")
            .context(|| "a temporary folder in /tmp".to_owned())?;
        prepare(testbed, &config, folder.path())
            .context(|| format!("preparing {}", folder.path().display()))?;
        if config.drivers == Drivers::All {
            reaper::start();
        }
        let child = spawn(&root, &config, folder.path())?;
        let mut daemon =
            Self { root, child, status: None, namespace: None, tcp_port: None, tls_port: None, folder };
        match daemon.wait_until_ready(&config) {
            Ok(()) => Ok(daemon),
            Err(error) => {
                Err(Error::new(format!("libvirtd {}: {error}\n{}", testbed.version(), daemon.log())))
            }
        }
    }

    /// The socket for full access.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("run/libvirt-sock")
    }

    /// The socket for reading only.
    pub fn socket_ro(&self) -> PathBuf {
        self.folder().join("run/libvirt-sock-ro")
    }

    /// The socket of the admin program.
    pub fn admin_socket(&self) -> PathBuf {
        self.folder().join("run/libvirt-admin-sock")
    }

    /// The port of 127.0.0.1 that it listens on, when [asked to](Config::listen_tcp).
    pub fn tcp_port(&self) -> Option<u16> {
        self.tcp_port
    }

    /// The port of 127.0.0.1 that it listens on for TLS, when [asked to](Config::listen_tls).
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// The URI of the test driver's default node at this daemon.
    pub fn uri(&self) -> String {
        Self::uri_at(&self.socket())
    }

    /// The URI of the test driver's default node at whatever listens on `socket`: a
    /// [`Recorder`](crate::Recorder), or a server of ours.
    pub fn uri_at(socket: &Path) -> String {
        format!("test+unix:///default?socket={}", socket.display())
    }

    /// `virsh` connected to the test driver's default node at this daemon.
    pub fn virsh(&self) -> Command {
        let mut command = self.root.command("virsh");
        command.args(["-c", &self.uri()]);
        command
    }

    /// `virt-admin` connected to this daemon.
    pub fn virt_admin(&self) -> Command {
        let mut command = self.root.command("virt-admin");
        command.args(["-c", &format!("libvirtd+unix:///system?socket={}", self.admin_socket().display())]);
        command
    }

    /// The folder that holds all that is this daemon's.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has written to its log and to its standard error.
    pub fn log(&self) -> String {
        ["log/libvirtd.log", "output"]
            .iter()
            .filter_map(|file| fs::read(self.folder().join(file)).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it `signal`.
    ///
    /// # Errors
    /// It has ended already and was waited for.
    pub fn kill(&self, signal: Signal) -> Result<()> {
        if let Some(status) = self.status {
            return Err(Error::new(format!("libvirtd has ended: {status}")));
        }
        send(self.pid(), signal).context(|| format!("a signal to libvirtd ({})", self.pid()))
    }

    /// Waits at most `limit` for it to end, and gives its status.
    ///
    /// # Errors
    /// It still runs.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait_until(Instant::now() + limit, || self.has_ended());
        self.status
            .ok_or_else(|| Error::new(format!("libvirtd did not end within {limit:?}\n{}", self.log())))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// The processes that it has started, or that these have, and that still run.
    pub fn descendants(&self) -> Vec<u32> {
        let guard = self.guard();
        let own = |id: &u32| *id == self.pid() || Some(*id) == guard;
        self.namespace.iter().flat_map(Namespace::pids).filter(|id| !own(id)).collect()
    }

    /// The process that ends the daemon should this one be killed.
    fn guard(&self) -> Option<u32> {
        fs::read_to_string(self.folder().join("guard")).ok()?.trim().parse().ok()
    }

    fn wait_until_ready(&mut self, config: &Config) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        let socket = self.socket();
        let ready = wait_until(deadline, || self.has_ended() || answers(&socket, deadline));
        if let Some(status) = self.status {
            return Err(Error::new(format!("ended at once: {status}")));
        }
        if !ready {
            return Err(Error::new(format!("did not answer within {LIMIT:?}")));
        }
        self.namespace = Namespace::of(self.pid()).context(|| "its mount namespace".to_owned())?;
        // In the order in which it opens them.
        let mut ports = Vec::new().into_iter();
        if config.tcp || config.tls.is_some() {
            ports = listening_ports(self.pid()).context(|| "its listening sockets".to_owned())?.into_iter();
        }
        if config.tcp {
            self.tcp_port = Some(ports.next().ok_or_else(|| Error::new("does not listen on TCP"))?);
        }
        if config.tls.is_some() {
            self.tls_port = Some(ports.next().ok_or_else(|| Error::new("does not listen for TLS"))?);
        }
        Ok(())
    }
}

impl Daemon {
    /// Starts another daemon in the place of this one, which has ended: the same folder, sockets and files. Guests of the
    /// one before are ended first.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    ///
    /// # Panics
    /// If it has not ended.
    pub fn restart(&mut self, config: &Config) -> Result<()> {
        assert!(self.has_ended(), "libvirtd ({}) still runs", self.pid());
        // Its guard with them, who would remove the folder.
        if let Some(namespace) = self.namespace.take() {
            namespace.clear(LIMIT);
        }
        self.child = spawn(&self.root, config, self.folder.path())?;
        self.status = None;
        self.wait_until_ready(config)
            .map_err(|error| Error::new(format!("libvirtd once more: {error}\n{}", self.log())))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.has_ended() {
            if self.namespace.is_none() {
                self.namespace = Namespace::of(self.pid()).ok().flatten();
            }
            let _ = self.kill(Signal::TERM);
            if self.wait(LIMIT).is_err() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if let Some(namespace) = self.namespace.take() {
            let left = namespace.clear(LIMIT);
            if !left.is_empty() {
                eprintln!("processes {left:?}, started by a libvirtd that has ended, cannot be killed");
            }
            if let Some(guard) = self.guard() {
                reaper::wait_for(guard);
            }
        }
        harness::remember_log(self.log());
    }
}

/// Makes the daemon's folders and files.
fn prepare(testbed: &Testbed, config: &Config, folder: &Path) -> Result<()> {
    let root = testbed.root();
    for (name, place) in PLACES {
        make_folder(&folder.join(name))?;
        // Something to mount that on. Who may not make it is helped by the script.
        let _ = make_folder(&root.outside(place));
    }
    make_folder(&folder.join("run"))?;
    make_folder(&folder.join("drivers"))?;
    if let Some(sasl) = &config.sasl {
        make_folder(&folder.join("sasl"))?;
        sasl.prepare(root, &folder.join("sasl"))?;
    }
    let text = folder.to_str().ok_or_else(|| Error::new("the path of /tmp is not UTF-8"))?;
    write(&folder.join("libvirtd.conf"), &config.render(text)?)?;
    // Without it, what the user set for libvirt's clients would count.
    write(&folder.join("etc/libvirt.conf"), "")?;
    for ((_, file), text) in TLS_FILES.iter().zip(config.tls.iter().flatten()) {
        write(&folder.join(file), text)?;
    }
    match config.drivers {
        Drivers::Test => Ok(()),
        Drivers::Storage => STORAGE_DRIVERS.iter().try_for_each(|name| link_driver(testbed, name, folder)),
        Drivers::All if !root.has_program("ip") => Err(Error::new(
            "the network of a daemon with all drivers is set up by `ip`, which is not installed",
        )),
        Drivers::All => prepare_qemu(root, folder),
    }
}

/// Puts one of the installed drivers into the folder that the daemon loads its drivers from.
fn link_driver(testbed: &Testbed, name: &str, folder: &Path) -> Result<()> {
    let file = format!("libvirt_driver_{name}.so");
    let outside = testbed
        .library(&format!("libvirt/connection-driver/{file}"))
        .ok_or_else(|| Error::new(format!("{file} is not installed")))?;
    let inside = match testbed.root().folder() {
        Some(root) => Path::new("/").join(outside.strip_prefix(root).unwrap_or(&outside)),
        None => outside,
    };
    symlink(inside, folder.join("drivers").join(&file)).context(|| file)
}

/// What the QEMU driver wants: guests that run as root without any of the machine's services, and, even so, the
/// user that distributions run guests as. Where it is missing, the daemon sees a user list that has it.
fn prepare_qemu(root: &Root, folder: &Path) -> Result<()> {
    let settings = "user = \"root\"\ngroup = \"root\"\nremember_owner = 0\nsecurity_driver = \"none\"\n\
                    cgroup_controllers = []\nnamespaces = []\nstdio_handler = \"file\"\n";
    write(&folder.join("etc/qemu.conf"), settings)?;
    for (list, line) in [
        ("passwd", "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n"),
        ("group", "libvirt-qemu:x:64055:\n"),
    ] {
        let installed = root.outside(Path::new("/etc").join(list));
        let text = fs::read_to_string(&installed).context(|| installed.display().to_string())?;
        if !text.lines().any(|entry| entry.starts_with("libvirt-qemu:")) {
            write(&folder.join(list), &format!("{text}{line}"))?;
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).context(|| path.display().to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| path.display().to_string())
}

/// Starts the process, which is the daemon's from the first moment: every program on the way becomes the next.
fn spawn(root: &Root, config: &Config, folder: &Path) -> Result<Child> {
    let output = fs::File::create(folder.join("output")).context(|| "output".to_owned())?;
    let errors = output.try_clone().context(|| "output".to_owned())?;
    let mut command = Command::new("unshare");
    if let Some(network) = &config.network {
        command = Command::new("nsenter");
        // Through this process, for only it is sure to have the namespace open.
        command.arg(format!("--net=/proc/{}/fd/{}", std::process::id(), network.as_raw_fd()));
        command.args(["--", "unshare"]);
    } else if config.drivers == Drivers::All {
        command.arg("--net");
    }
    root.set_environment(&mut command);
    if config.sasl.is_some() {
        command.env("SASL_CONF_PATH", folder.join("sasl"));
    }
    command.envs(config.environment.iter().map(|(name, value)| (name, value)));
    if config.drivers != Drivers::All {
        command.env("LIBVIRT_DRIVER_DIR", folder.join("drivers"));
    }
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let enter = if root.folder().is_some() { MOUNTS } else { "" };
    let own_network = config.drivers == Drivers::All || config.network.is_some();
    let network = if own_network { NETWORK } else { "" };
    let script = format!("root=$1; folder=$2; guard=$3; shift 3\n{enter}{network}{START}");
    command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-ec", &script, "sh"]);
    command.arg(root.folder().unwrap_or(Path::new(""))).arg(folder).arg(GUARD);
    command.arg("libvirtd").arg("--config").arg(folder.join("libvirtd.conf"));
    command.arg("--pid-file").arg(folder.join("libvirtd.pid"));
    if config.tcp || config.tls.is_some() {
        command.arg("--listen");
    }
    // A group of its own: an interrupt at the terminal ends the test, and the guard then ends the daemon in order.
    command.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0);
    command.spawn().context(|| "unshare".to_owned())
}

/// Whether a libvirtd behind `socket` answers the first question of every client, which it does only once its
/// drivers are ready.
fn answers(socket: &Path, deadline: Instant) -> bool {
    const AUTH_LIST: [u32; 7] = [28, 0x2000_8086, 1, 66, 0, 1, 0];
    let question: Vec<u8> = AUTH_LIST.iter().flat_map(|word| word.to_be_bytes()).collect();
    let ask = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        let rest = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(rest))?;
        stream.write_all(&question)?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        // All of it, for a connection closed with bytes unread is an error in the daemon's log.
        let mut reply = Vec::new();
        stream.take(u64::from(u32::from_be_bytes(length)).saturating_sub(4)).read_to_end(&mut reply)?;
        // The same program, version and procedure; then a reply, of this call, that is no error.
        Ok(reply.get(..12) == Some(&question[4..16])
            && reply.get(12..24) == Some(&[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]))
    };
    ask().unwrap_or(false)
}
