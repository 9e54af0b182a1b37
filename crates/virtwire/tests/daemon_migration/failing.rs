//! Migrations that fail: the guest goes on where it was.

use crate::lab::{Hosts, Lab, Side, TCP};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use virtwire::enums::{DomainState, ErrorNumber};
use virtwire::flags::*;
use virtwire::{Connection, MigrateParams};
use virtwire_testbed::{Daemon, Failed, Signal, Testbed, Version, wait_until};

use DomainMigrateFlags as F;

pub(crate) fn where_it_fails_the_guest_stays(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    lab.run(async |hosts| {
        has_a_namesake(&hosts).await?;
        for (params, flags) in [
            // Addresses that are none, or that nobody can reach.
            (MigrateParams::new().uri("nonsense://127.0.0.1"), F::LIVE),
            (MigrateParams::new().uri("tcp://192.0.2.1"), F::LIVE),
            (MigrateParams::new().uri("tcp://no-such-host.invalid:49300"), F::LIVE),
            (MigrateParams::new().uri("unix:///nonexistent/folder/socket"), F::LIVE),
            (MigrateParams::new().uri(TCP).listen_address("192.0.2.1"), F::LIVE),
            // What the daemons do not have, or not for this guest.
            (MigrateParams::new().uri(TCP).set("no.such.parameter", 1), F::LIVE),
            (MigrateParams::new().uri(TCP).dest_xml("<domain/>"), F::LIVE),
            (MigrateParams::new().uri(TCP).disks(["vdz"]), F::NON_SHARED_DISK),
            (MigrateParams::new().uri(TCP), F::LIVE | F::TLS),
            (MigrateParams::new().uri(TCP), F::LIVE | F::POSTCOPY_RESUME),
        ] {
            let shown = format!("{params:?} {flags:?}");
            let guest = hosts.guest("stays").await?;
            let Err(error) = guest.migrate(&hosts.to, params, flags).await else { return Err(shown.into()) };
            assert!(error.libvirt().is_some(), "{shown}: {error:?}");
            let lives = hosts.lives(Side::Source, "stays", DomainState::RUNNING).await;
            lives.map_err(|error| format!("{shown}: {}", error.message().unwrap_or_default()))?;
            assert_eq!(hosts.defined().await?, [[""; 0]; 2], "{shown}");
        }

        // To where it is already.
        let guest = hosts.guest("stays").await?;
        let error = guest.migrate(&hosts.from, MigrateParams::new().uri(TCP), F::LIVE).await.unwrap_err();
        assert!(error.libvirt().is_some(), "{error:?}");
        hosts.lives(Side::Source, "stays", DomainState::RUNNING).await
    })
}

async fn has_a_namesake(hosts: &Hosts<'_>) -> Result<(), Failed> {
    for (params, name) in [
        (MigrateParams::new().uri(TCP), "stays"),
        (MigrateParams::new().uri(TCP).dest_name("other"), "other"),
    ] {
        let xml = hosts.lab.guest(name);
        let namesake = hosts.to.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
        let guest = hosts.guest("stays").await?;
        let error = guest.migrate(&hosts.to, params, F::LIVE).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorNumber::OPERATION_FAILED), "{error}");
        assert!(error.to_string().contains("already"), "{error}");
        hosts.lives(Side::Source, "stays", DomainState::RUNNING).await?;
        assert_eq!(hosts.defined().await?, [vec![], vec![name.to_owned()]]);
        namesake.undefine(DomainUndefineFlags::empty()).await?;
    }
    Ok(())
}

pub(crate) fn where_a_daemon_is_lost_one_guest_lives(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    lab.run(async |hosts| {
        // The connection of the client's, first to the source.
        let (from, wire) = cut_off(&lab.source).await?;
        let guest = hosts.guest("cut-off").await?;
        let same = from.domain_lookup_by_name("cut-off").await?;
        let migrating = hosts.begin_slowly(&same, F::empty()).await?;
        wire.abort();
        assert!(migrating.await?.unwrap_err().is_closed());
        assert!(guest.info().await.is_ok());
        hosts.lives(Side::Source, "cut-off", DomainState::RUNNING).await?;

        // Then to the destination.
        let (to, wire) = cut_off(&lab.destination).await?;
        let guest = hosts.guest("cut-off").await?;
        let migrating = Hosts { lab: &lab, from: hosts.from.clone(), to };
        let migrating = migrating.begin_slowly(&guest, F::empty()).await?;
        wire.abort();
        assert!(migrating.await?.unwrap_err().is_closed());
        hosts.lives(Side::Source, "cut-off", DomainState::RUNNING).await?;

        // The destination's daemon.
        let guest = hosts.guest("orphan").await?;
        let migrating = hosts.begin_slowly(&guest, F::empty()).await?;
        lab.destination.kill(Signal::KILL)?;
        let error = migrating.await?.unwrap_err();
        assert!(error.is_closed(), "{error}");
        assert_eq!(guest.info().await?.state, DomainState::RUNNING);
        assert_eq!(guest.job_info().await?.kind, virtwire::enums::DomainJobType::NONE);
        // What waited there for the rest of the memory sees that nothing comes any more. A newer daemon has told it to wait
        // until it is asked why.
        if testbed.version() < Version(11, 0, 0) {
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            assert!(wait_until(deadline, || lab.destination.descendants().is_empty()));
        }
        assert_eq!(lab.source.descendants().len(), 1);
        guest.destroy(DomainDestroyFlags::empty()).await?;
        Ok(())
    })?;

    // The source's daemon.
    let lab = Lab::start(testbed)?;
    lab.run(async |hosts| {
        let guest = hosts.guest("orphan").await?;
        let migrating = hosts.begin_slowly(&guest, F::empty()).await?;
        lab.source.kill(Signal::KILL)?;
        assert!(migrating.await?.unwrap_err().is_closed());
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        assert!(wait_until(deadline, || lab.destination.descendants().is_empty()));
        assert!(hosts.to.list_all_domains(ListAllDomainsFlags::empty()).await?.is_empty());
        assert_eq!(lab.source.descendants().len(), 1);
        Ok(())
    })
}

/// A connection over a wire that can be cut.
async fn cut_off(daemon: &Daemon) -> Result<(Connection, JoinHandle<()>), Failed> {
    let mut far = UnixStream::connect(daemon.socket()).await?;
    let (near, mut end) = tokio::io::duplex(1 << 16);
    let wire = tokio::spawn(async move {
        tokio::io::copy_bidirectional(&mut end, &mut far).await.ok();
    });
    Ok((Connection::builder("qemu:///system").open_over(near).await?, wire))
}
