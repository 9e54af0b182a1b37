//! Two daemons, a guest for them, and what is to be left when it has gone from one to the other, or has not.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use virtwire::enums::{DomainJobType, DomainState, ErrorNumber};
use virtwire::flags::*;
use virtwire::proto::names::job;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{Chunk, Connection, Domain, MigrateParams, Stream};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Testbed, make_guest_disk};

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(40);

/// As much of the guest's memory is not zero: at a MiB in a second, a migration goes on for as many seconds.
const BALLAST: u64 = 24 << 20;

/// Where to send the guest's memory: the port is the destination's choice.
pub(crate) const TCP: &str = "tcp://127.0.0.1";

pub(crate) struct Lab {
    pub(crate) source: Daemon,
    pub(crate) destination: Daemon,
}

/// The lab with a connection to each of its daemons.
pub(crate) struct Hosts<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) from: Connection,
    pub(crate) to: Connection,
}

/// Where the guest is to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

impl Lab {
    pub(crate) fn start(testbed: &Testbed) -> Result<Self, Failed> {
        let source = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
        let config = Config::new()
            .drivers(Drivers::All)
            .listen_tcp()
            // By that daemons know their own host, which no guest migrates to.
            .set("host_uuid", "5f0e6a1c-0000-4000-8002-000000000002")
            .network_of(&source)?;
        let destination = Daemon::start(testbed, config)?;
        let lab = Self { source, destination };
        make_guest_disk(testbed.root(), &lab.boot(), "raw")?;
        let mut random = File::open("/dev/urandom")?.take(BALLAST);
        io::copy(&mut random, &mut File::create(lab.ballast())?)?;
        Ok(lab)
    }

    /// Runs an asynchronous test on it in a runtime of its own.
    pub(crate) fn run(&self, test: impl AsyncFnOnce(Hosts<'_>) -> Result<(), Failed>) -> Result<(), Failed> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            let from = Connection::open(&uri(&self.source)).await?;
            let to = Connection::open(&uri(&self.destination)).await?;
            test(Hosts { lab: self, from, to }).await
        })
    }

    fn boot(&self) -> PathBuf {
        self.source.folder().join("boot.raw")
    }

    fn ballast(&self) -> PathBuf {
        self.source.folder().join("ballast")
    }

    /// A guest that boots from a disk that both hosts have.
    pub(crate) fn guest(&self, name: &str) -> String {
        let boot = self.boot();
        self.guest_on(name, &format!("<source file='{}'/><readonly/>", boot.display()), "raw")
    }

    pub(crate) fn guest_on(&self, name: &str, disk: &str, format: &str) -> String {
        format!(
            "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
             <name>{name}</name><memory unit='MiB'>40</memory><vcpu>1</vcpu>\
             <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>\
             <devices>\
             <disk type='file' device='disk'><driver name='qemu' type='{format}'/>{disk}\
             <target dev='vda' bus='virtio'/></disk>\
             <serial type='pty'><target port='0'/></serial>\
             <console type='pty'><target type='serial' port='0'/></console>\
             <memballoon model='none'/>\
             </devices>\
             <qemu:commandline><qemu:arg value='-device'/>\
             <qemu:arg value='loader,file={},addr=0x400000,force-raw=on'/></qemu:commandline>\
             </domain>",
            self.ballast().display()
        )
    }
}

fn uri(daemon: &Daemon) -> String {
    format!("qemu+unix:///system?socket={}", daemon.socket().display())
}

impl Hosts<'_> {
    /// A new guest at the source.
    pub(crate) async fn guest(&self, name: &str) -> Result<Domain, Failed> {
        Ok(self.from.domain_create_xml(self.lab.guest(name), DomainCreateFlags::empty()).await?)
    }

    /// Migrates in a task of its own.
    pub(crate) fn begin(
        &self,
        domain: &Domain,
        params: MigrateParams,
        flags: DomainMigrateFlags,
    ) -> JoinHandle<virtwire::Result<Domain>> {
        let (domain, to) = (domain.clone(), self.to.clone());
        tokio::spawn(async move { domain.migrate(&to, params, flags).await })
    }

    /// Begins a live migration that takes half a minute, and waits until memory travels.
    pub(crate) async fn begin_slowly(
        &self,
        domain: &Domain,
        flags: DomainMigrateFlags,
    ) -> Result<JoinHandle<virtwire::Result<Domain>>, Failed> {
        let params = MigrateParams::new().uri(TCP).bandwidth(1);
        let migrating = self.begin(domain, params, DomainMigrateFlags::LIVE | flags);
        under_way(domain).await?;
        assert!(!migrating.is_finished());
        Ok(migrating)
    }

    /// That the guest is active on this side alone, without a job, and as one process; that it runs unless it is
    /// paused; and ends it.
    pub(crate) async fn lives(&self, side: Side, name: &str, state: DomainState) -> Result<(), Failed> {
        let (at, elsewhere) = match side {
            Side::Source => (&self.from, &self.to),
            Side::Destination => (&self.to, &self.from),
        };
        // What a step that nobody waited for has begun is ended a moment later.
        let deadline = Instant::now() + LIMIT;
        loop {
            let there = active(at).await?;
            let not_there = active(elsewhere).await?;
            let processes = self.processes();
            let one = if side == Side::Source { (1, 0) } else { (0, 1) };
            if there.len() == 1 && not_there.is_empty() && processes == one {
                let [domain] = &there[..] else { unreachable!() };
                assert_eq!(domain.name(), name);
                let info = domain.info().await?;
                if info.state == state && domain.job_info().await?.kind == DomainJobType::NONE {
                    return self.ends(domain, state).await;
                }
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{name} is to live at the {side:?}, {state}: there {there:?}, elsewhere {not_there:?}, \
                     processes {processes:?}"
                )
                .into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ends(&self, domain: &Domain, state: DomainState) -> Result<(), Failed> {
        if state == DomainState::PAUSED {
            domain.resume().await?;
        }
        echoes(domain).await?;
        domain.destroy(DomainDestroyFlags::empty()).await?;
        let deadline = Instant::now() + LIMIT;
        while self.processes() != (0, 0) {
            assert!(Instant::now() < deadline, "{:?}", self.processes());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How many processes each daemon has.
    fn processes(&self) -> (usize, usize) {
        (self.lab.source.descendants().len(), self.lab.destination.descendants().len())
    }

    /// The names of what is defined at each of them.
    pub(crate) async fn defined(&self) -> Result<[Vec<String>; 2], Failed> {
        let mut names = [Vec::new(), Vec::new()];
        for (connection, names) in [&self.from, &self.to].into_iter().zip(&mut names) {
            let persistent = connection.list_all_domains(ListAllDomainsFlags::PERSISTENT).await?;
            names.extend(persistent.iter().map(|domain| domain.name().to_string()));
        }
        Ok(names)
    }
}

async fn active(at: &Connection) -> Result<Vec<Domain>, Failed> {
    Ok(at.list_all_domains(ListAllDomainsFlags::ACTIVE).await?)
}

/// Waits until the domain's memory travels.
pub(crate) async fn under_way(domain: &Domain) -> Result<(), Failed> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stats = domain.job_stats(DomainGetJobStatsFlags::empty()).await?;
        if stats.params.get_as::<u64>(job::MEMORY_PROCESSED)?.is_some_and(|bytes| bytes > 0) {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Its console, once nobody else has it: one that was dropped is given up a moment later. Not with the flag `FORCE`: a
/// daemon that ends a stream by it while its own client does forgets that one of the client's requests is over, and
/// after a few reads no more from it.
async fn console(domain: &Domain) -> Result<Stream, Failed> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match domain.open_console(None, DomainConsoleFlags::empty()).await {
            Err(error)
                if error.code() == Some(ErrorNumber::OPERATION_FAILED) && Instant::now() < deadline =>
            {
                sleep(Duration::from_millis(20)).await;
            }
            other => return Ok(other?),
        }
    }
}

/// That the guest answers: that it lives, and not only its process.
async fn echoes(domain: &Domain) -> Result<(), Failed> {
    let mut console = console(domain).await?;
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        // Nothing of the greeting, which it may just be writing. It may not have come so far as to read.
        console.send("=").await?;
        if let Ok(chunk) = timeout(Duration::from_millis(300), console.receive()).await {
            match chunk? {
                Some(Chunk::Data(bytes)) if bytes.contains(&b'=') => return Ok(()),
                Some(_) => {}
                None => return Err("the console has ended".into()),
            }
        }
    }
    Err(format!("{} does not answer on its console", domain.name()).into())
}

/// Writes a byte that the guest answers.
pub(crate) async fn tell(domain: &Domain, byte: u8) -> Result<(), Failed> {
    echoes(domain).await?;
    let mut console = console(domain).await?;
    console.send(vec![byte]).await?;
    let told = async {
        loop {
            match console.receive().await? {
                Some(Chunk::Data(bytes)) if bytes.contains(&byte) => return Ok(()),
                Some(_) => {}
                None => return Err(Failed::from("the console has ended")),
            }
        }
    };
    timeout(LIMIT, told).await.map_err(|_| "no answer on the console")?
}

/// The 512 bytes that the guest writes to its disk.
pub(crate) fn written(disk: &Path) -> Result<Vec<u8>, Failed> {
    Ok(fs::read(disk)?.get(4096..4608).ok_or("a short disk")?.to_vec())
}
