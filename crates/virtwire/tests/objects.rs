//! Every method of every object on a real libvirtd: its test driver, what its storage, secret and filter drivers can do
//! without a guest, and QEMU's driver with guests.
#![cfg(unix)]

#[path = "support/coverage.rs"]
mod coverage;
#[path = "objects/domain.rs"]
mod domain;
#[path = "objects/host.rs"]
mod host;
#[path = "objects/network.rs"]
mod network;
#[path = "objects/qemu/mod.rs"]
mod qemu;
#[path = "support/source.rs"]
mod source;
#[path = "objects/storage.rs"]
mod storage;

use coverage::{Log, run};
use qemu::Host;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use virtwire::{AdminConnection, Connection};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Test, Testbed, Tool};

fn main() -> ExitCode {
    let mut all = vec![Test::new("without_guests", |testbed| part(testbed, 0, run_without_guests))];
    let with_guests = [
        Test::new("a_guest_s_life", |testbed| {
            part(testbed, 1, |testbed, runtime| {
                let host = Host::start(testbed, runtime)?;
                limited(runtime, qemu::run_life(&LOG, &host))
            })
        }),
        Test::new("a_guest_talked_to", |testbed| {
            part(testbed, 1, |testbed, runtime| {
                let host = Host::start(testbed, runtime)?;
                limited(runtime, qemu::run_talk(&LOG, &host))
            })
        }),
        Test::new("a_guest_s_devices_and_disks", |testbed| {
            part(testbed, 1, |testbed, runtime| {
                let host = Host::start(testbed, runtime)?;
                limited(runtime, qemu::run_disks(&LOG, &host))
            })
        }),
        Test::new("a_guest_s_network", |testbed| {
            part(testbed, 1, |testbed, runtime| {
                let folder = tempfile::tempdir_in("/tmp")?;
                let host = Host::with(testbed, runtime, qemu::mdev::config(folder.path())?)?;
                limited(runtime, qemu::run_network(&LOG, &host, folder.path()))
            })
        }),
        Test::new("a_guest_moved", |testbed| {
            part(testbed, GUESTS, |testbed, runtime| {
                let here = Host::start(testbed, runtime)?;
                let there = here.another(runtime)?;
                limited(runtime, qemu::run_moved(&LOG, &here, &there))
            })
        }),
    ];
    all.extend(with_guests.map(|test| test.needs(Tool::Qemu).limit(Duration::from_secs(400))));
    virtwire_testbed::run_tests(all)
}

/// What needs a guest is not run where there is no QEMU.
const WITHOUT_QEMU: &[(&str, &str)] = &[("Domain::migrate", NO_QEMU), ("Domain::migrate_to_uri", NO_QEMU)];

const NO_QEMU: &str = "QEMU is not installed, and nothing else migrates";

/// How many parts there are.
const PARTS: usize = 6;

/// How many guests may be there at once, so that no machine is too small.
const GUESTS: usize = 2;

/// What all parts have run.
static LOG: Log = Log::new();

/// How many parts have ended well.
static DONE: AtomicUsize = AtomicUsize::new(0);

/// How many guests may still come.
static FREE: (Mutex<usize>, Condvar) = (Mutex::new(GUESTS), Condvar::new());

/// Runs a part of all methods, as soon as there is room for its `guests`; the last one reports them all. (Where one
/// fails or is left out, there is no report.)
fn part(
    testbed: &Testbed,
    guests: usize,
    run: fn(&Testbed, &Runtime) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let _room = Room::take(guests);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    run(testbed, &runtime)?;
    let (parts, reasons) = if testbed.has(Tool::Qemu) { (PARTS, &[][..]) } else { (1, WITHOUT_QEMU) };
    if DONE.fetch_add(1, Ordering::SeqCst) + 1 == parts {
        println!("{}", LOG.report(reasons)?);
    }
    Ok(())
}

/// Room for as many guests, given back when dropped.
struct Room(usize);

impl Room {
    fn take(guests: usize) -> Self {
        let free = FREE.0.lock().unwrap();
        let mut free = FREE.1.wait_while(free, |free| *free < guests).unwrap();
        *free -= guests;
        Self(guests)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap() += self.0;
        FREE.1.notify_all();
    }
}

fn limited(runtime: &Runtime, all: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let limit = Duration::from_secs(110);
    runtime.block_on(async { tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err("hangs".into())) })
}

fn run_without_guests(testbed: &Testbed, runtime: &Runtime) -> Result<(), Failed> {
    let test = Daemon::start(testbed, Config::new())?;
    let storage = Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?;
    let log = &LOG;
    limited(runtime, async {
        let connection = Connection::open(&test.uri()).await?;
        host::run(log, &connection).await?;
        domain::run(log, &connection).await?;
        network::run(log, &connection).await?;
        storage::run_test_driver(log, &connection).await?;
        let on = |driver: &str| {
            let socket = storage.socket();
            let uri = format!("{driver}+unix:///system?socket={}", socket.display());
            async move { Connection::open(&uri).await }
        };
        network::run_real(log, &on("network").await?).await?;
        storage::run_real(log, &on("storage").await?, storage.folder()).await?;
        storage::run_secrets(log, &on("secret").await?).await?;
        network::run_filters(log, &on("nwfilter").await?).await?;
        administration(log, &storage).await
    })
}

async fn administration(log: &Log, daemon: &Daemon) -> Result<(), Failed> {
    use virtwire::proto::flags::DaemonShutdownFlags;
    use virtwire::proto::names::{server_clients, threadpool};
    use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};

    let uri = format!("libvirtd+unix:///system?socket={}", daemon.admin_socket().display());
    let connection = AdminConnection::open(&uri).await?;
    let version = run!(log, connection.lib_version())?;
    assert!(version.major >= 9, "{version}");
    let servers = run!(log, connection.list_servers())?;
    let mut names: Vec<_> = servers.iter().map(|server| server.name().to_string()).collect();
    names.sort();
    assert_eq!(names, ["admin", "libvirtd"]);
    let server = run!(log, connection.lookup_server("libvirtd"))?;
    assert!(servers.contains(&server));
    let absent = connection.lookup_server("absent").await.unwrap_err();
    assert_eq!(absent.code(), Some(virtwire::proto::enums::ErrorNumber::NO_SERVER), "{absent}");

    let params = run!(log, server.thread_pool_parameters())?;
    let most: Option<u32> = params.get_as(threadpool::WORKERS_MAX)?;
    let more = TypedParams::new().with(threadpool::WORKERS_MAX, most.ok_or("workers")? + 1);
    run!(log, server.set_thread_pool_parameters(more))?;
    let after: Option<u32> = server.thread_pool_parameters().await?.get_as(threadpool::WORKERS_MAX)?;
    assert_eq!(after, most.map(|most| most + 1));
    let limits = run!(log, server.client_limits())?;
    assert!(limits.get_as::<u32>(server_clients::MAX)?.is_some(), "{limits:?}");
    run!(log, server.set_client_limits(TypedParams::new().with(server_clients::MAX, 77_u32)))?;
    assert_eq!(server.client_limits().await?.get_as::<u32>(server_clients::MAX)?, Some(77));
    run!(log, server.update_tls_files()).unwrap_err();

    // A client that is there to be seen and to be thrown out.
    let uri = format!("storage+unix:///system?socket={}", daemon.socket().display());
    let guest = Connection::open(&uri).await?;
    let clients = run!(log, server.list_clients())?;
    let client = clients.last().ok_or("a client")?;
    let client = run!(log, server.lookup_client(client.id()))?;
    assert!(clients.contains(&client) && client.timestamp().is_some());
    let info = run!(log, client.info())?;
    assert_eq!(info.get_as::<bool>("readonly")?, Some(false));
    run!(log, client.close())?;
    tokio::time::timeout(Duration::from_secs(5), guest.closed()).await?;

    let outputs = run!(log, connection.logging_outputs())?;
    assert!(outputs.to_string().contains("libvirtd.log"), "{outputs}");
    run!(log, connection.set_logging_outputs(outputs))?;
    run!(log, connection.set_logging_filters("3:remote"))?;
    let filters = run!(log, connection.logging_filters())?.ok_or("filters")?;
    assert!(filters.to_string().contains("remote"), "{filters}");
    run!(log, connection.set_daemon_timeout(Duration::from_secs(3600)))?;
    // Since 11.2.0; then this is the end of it.
    if run!(log, connection.daemon_shutdown(DaemonShutdownFlags::empty())).is_ok() {
        tokio::time::timeout(Duration::from_secs(20), connection.closed()).await?;
    } else {
        connection.close().await?;
    }
    Ok(())
}
