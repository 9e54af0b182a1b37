//! Every event of a domain that a real QEMU can be made to raise, judged by its content; and what raises the others.

mod devices;
mod disks;
mod hardware;
mod life;
mod watch;

use std::process::ExitCode;
use std::time::Duration;
use virtwire::Connection;
use virtwire::flags::DomainCreateFlags;
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Test, Testbed, Tool};
use watch::Watch;

fn main() -> ExitCode {
    let test = Test::new("each_event_that_a_guest_can_raise", each_event_that_a_guest_can_raise);
    virtwire_testbed::run_tests(vec![test.needs(Tool::Qemu).limit(Duration::from_secs(300))])
}

/// A guest with everything that has something to tell, the watch over all its events, and its hardware.
struct Scene<'a> {
    testbed: &'a Testbed,
    daemon: &'a Daemon,
    connection: Connection,
    domain: virtwire::Domain,
    watch: Watch,
    hardware: hardware::Hardware,
}

fn each_event_that_a_guest_can_raise(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let uri = format!("qemu+unix:///system?socket={}", daemon.socket().display());
        let connection = Connection::open(&uri).await?;
        let mut watch = Watch::begin(&connection, testbed.version()).await?;
        let xml = devices::guest(testbed, &daemon)?;
        let domain = connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
        watch.of(&domain);
        let hardware = hardware::Hardware::open(&daemon.folder().join("hardware")).await?;
        let mut scene = Scene { testbed, daemon: &daemon, connection, domain, watch, hardware };
        life::begins(&mut scene).await?;
        disks::threshold_tuning_and_tray(&mut scene).await?;
        disks::jobs(&mut scene).await?;
        devices::clock_watchdog_and_balloon(&mut scene).await?;
        devices::come_and_go(&mut scene).await?;
        devices::do_not_go(&mut scene).await?;
        devices::display(&mut scene).await?;
        life::sleeps_and_restarts(&mut scene).await?;
        life::is_saved(&mut scene).await?;
        life::ends(&mut scene).await?;
        disks::are_full(&mut scene).await?;
        scene.watch.end()
    })
}
