//! QEMU's driver with guests that are emulated, and the real drivers beside it.

mod agent;
mod disks;
mod host;
mod jobs;
mod life;
pub(crate) mod mdev;
mod moved;
mod network;
mod talk;
mod tuning;

use crate::coverage::Log;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use virtwire::proto::enums::DomainState;
use virtwire::proto::flags::*;
use virtwire::{Connection, Domain};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Testbed, make_guest_disk};

/// Guests that move from one daemon to another.
pub(crate) async fn run_moved(log: &Log, here: &Host, there: &Host) -> Result<(), Failed> {
    moved::run(log, here, there).await
}

/// A real network with a guest on it, and what the machine has of interfaces and devices. `folder` is the one of
/// [`mdev::config`].
pub(crate) async fn run_network(log: &Log, host: &Host, folder: &Path) -> Result<(), Failed> {
    network::run(log, host).await?;
    mdev::run(log, host, folder).await
}

/// A guest's life: started, put to sleep, saved, dumped, ended.
pub(crate) async fn run_life(log: &Log, host: &Host) -> Result<(), Failed> {
    host::run(log, &host.connection).await?;
    life::run(log, host).await
}

/// A guest talked to: its console, channel, screen, keyboard, monitor and agent.
pub(crate) async fn run_talk(log: &Log, host: &Host) -> Result<(), Failed> {
    talk::run(log, host).await?;
    agent::run(log, host).await
}

/// A guest's devices and disks: statistics, changes while it runs, jobs, snapshots, checkpoints.
pub(crate) async fn run_disks(log: &Log, host: &Host) -> Result<(), Failed> {
    disks::run(log, host).await?;
    tuning::run(log, host).await?;
    jobs::run(log, host).await
}

/// A daemon with all its drivers, and a connection to QEMU's.
pub(crate) struct Host {
    pub(crate) connection: Connection,
    daemon: Daemon,
    testbed: Testbed,
}

impl Host {
    pub(crate) fn start(testbed: &Testbed, runtime: &Runtime) -> Result<Self, Failed> {
        Self::with(testbed, runtime, Config::new())
    }

    /// Another one, which a guest of this one can move to.
    pub(crate) fn another(&self, runtime: &Runtime) -> Result<Self, Failed> {
        let config = Config::new()
            // By that daemons know their own host, which no guest migrates to.
            .set("host_uuid", "5f0e6a1c-0000-4000-8002-000000000002")
            .network_of(&self.daemon)?;
        Self::with(&self.testbed, runtime, config)
    }

    pub(crate) fn with(testbed: &Testbed, runtime: &Runtime, config: Config) -> Result<Self, Failed> {
        let daemon = Daemon::start(testbed, config.drivers(Drivers::All))?;
        let connection = runtime.block_on(Connection::open(&uri(&daemon, "qemu")))?;
        Ok(Self { connection, daemon, testbed: testbed.clone() })
    }

    /// A connection to another driver.
    async fn driver(&self, name: &str) -> Result<Connection, Failed> {
        Ok(Connection::open(&uri(&self.daemon, name)).await?)
    }

    /// A path in the daemon's folder.
    fn path(&self, name: &str) -> PathBuf {
        self.daemon.folder().join(name)
    }

    /// A path in the daemon's folder, as text.
    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// A domain's XML: a guest of ours on a disk in `format`, made anew, with the `devices` besides.
    fn guest(&self, name: &str, format: &str, devices: &str) -> Result<String, Failed> {
        let disk = self.path(&format!("{name}.{format}"));
        make_guest_disk(self.testbed.root(), &disk, format)?;
        Ok(format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu current='1'>2</vcpu>\
             <iothreads>1</iothreads><os><type arch='x86_64' machine='pc'>hvm</type></os>\
             <features><acpi/><apic/></features><pm><suspend-to-mem enabled='yes'/></pm><devices>\
             <disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{}'/>\
             <target dev='vda' bus='virtio'/></disk>\
             <serial type='pty'><target port='0'/></serial><controller type='usb' model='none'/>\
             <channel type='unix'><target type='virtio' name='virtwire.echo'/>\
             <address type='virtio-serial' controller='0' bus='0' port='2'/></channel>\
             <memballoon model='virtio'/>{devices}</devices></domain>",
            disk.display()
        ))
    }
}

fn uri(daemon: &Daemon, driver: &str) -> String {
    format!("{driver}+unix:///system?socket={}", daemon.socket().display())
}

/// What waits for something gives up after this; nothing here takes nearly as long.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks `question` again and again until it has an answer.
async fn until<T>(
    what: &str,
    mut question: impl AsyncFnMut() -> Result<Option<T>, Failed>,
) -> Result<T, Failed> {
    let asking = async {
        loop {
            if let Some(answer) = question().await? {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(LIMIT, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("waited in vain: {what}").into()),
    }
}

/// Waits until `domain` is in `state`.
async fn until_state(domain: &Domain, state: DomainState) -> Result<(), Failed> {
    let what = format!("{:?} {state:?}", domain.name());
    until(&what, async || Ok((domain.info().await?.state == state).then_some(()))).await
}

/// Makes sure that the guest runs, by its console.
async fn answers(domain: &Domain) -> Result<(), Failed> {
    let mut console = Console::open(domain).await?;
    console.say(b"here?", "here?").await?;
    console.close().await
}

/// A guest's console, as the test talks to it.
struct Console {
    stream: virtwire::Stream,
}

impl Console {
    /// Opens it, and waits until the guest answers.
    async fn open(domain: &Domain) -> Result<Self, Failed> {
        Self::over(domain.open_console(None, DomainConsoleFlags::empty()).await?).await
    }

    async fn over(stream: virtwire::Stream) -> Result<Self, Failed> {
        let mut console = Self { stream };
        console.ready().await?;
        Ok(console)
    }

    /// Waits until the guest echoes: what comes before it has started is lost.
    async fn ready(&mut self) -> Result<(), Failed> {
        for count in 0.. {
            self.stream.send(&b"?"[..]).await?;
            match tokio::time::timeout(Duration::from_millis(300), self.expect("?")).await {
                Ok(found) => return found,
                Err(_) if count > 100 => return Err("no echo from the guest".into()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Reads until `text` has come.
    async fn expect(&mut self, text: &str) -> Result<(), Failed> {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(text) {
            let chunk = tokio::time::timeout(LIMIT, self.stream.receive()).await;
            match chunk.map_err(|_| format!("{text:?} is wanted, and this came: {seen:?}"))?? {
                Some(virtwire::Chunk::Data(data)) => seen.extend_from_slice(&data),
                other => return Err(format!("{text:?} is wanted: {other:?}").into()),
            }
        }
        Ok(())
    }

    /// Sends `bytes` and waits for the echo of `text`.
    async fn say(&mut self, bytes: &[u8], echo: &str) -> Result<(), Failed> {
        self.stream.send(bytes.to_vec()).await?;
        self.expect(echo).await
    }

    /// Gives it back, so that it can be opened again. (Taking it from a stream that is just being given up can make
    /// libvirtd 9.0 stand still: each of the two waits for what the other holds.)
    async fn close(self) -> Result<(), Failed> {
        Ok(self.stream.finish().await?)
    }
}
