//! Migrations that the source's daemon manages by itself.

use crate::lab::{Hosts, Lab, Side, TCP, under_way};
use virtwire::MigrateParams;
use virtwire::enums::{DomainState, ErrorNumber};
use virtwire::flags::*;
use virtwire_testbed::{Failed, Testbed};

use DomainMigrateFlags as F;

pub(crate) fn the_daemons_manage_it_by_themselves(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    let port = lab.destination.tcp_port().ok_or("a port")?;
    lab.run(async |hosts| {
        let tcp = format!("qemu+tcp://127.0.0.1:{port}/system");
        for (uri, flags) in [
            (hosts.to.uri().to_string(), F::PEER2PEER | F::LIVE),
            (tcp.clone(), F::PEER2PEER | F::LIVE),
            (hosts.to.uri().to_string(), F::PEER2PEER | F::TUNNELLED),
            (tcp.clone(), F::PEER2PEER | F::TUNNELLED | F::LIVE),
        ] {
            let guest = hosts.guest("peer").await?;
            let params = if flags.contains(F::TUNNELLED) {
                MigrateParams::new()
            } else {
                MigrateParams::new().uri(TCP)
            };
            let went = guest.migrate_to_uri(&*uri, params, flags).await;
            went.map_err(|error| format!("{uri} {flags:?}: {error}"))?;
            hosts.lives(Side::Destination, "peer", DomainState::RUNNING).await?;
        }

        // The same by the destination's connection, under another name.
        let guest = hosts.guest("peer").await?;
        let params = MigrateParams::new().uri(TCP).dest_name("renamed").bandwidth(300);
        let there = guest.migrate(&hosts.to, params, F::PEER2PEER | F::LIVE).await?;
        assert_eq!((there.name().to_string().as_str(), there.uuid()), ("renamed", guest.uuid()));
        hosts.lives(Side::Destination, "renamed", DomainState::RUNNING).await?;
        fails(&hosts).await
    })
}

async fn fails(hosts: &Hosts<'_>) -> Result<(), Failed> {
    // Nobody is there.
    let guest = hosts.guest("stays").await?;
    let nobody = "qemu+unix:///system?socket=/nonexistent/socket";
    let error = guest.migrate_to_uri(nobody, MigrateParams::new(), F::PEER2PEER).await.unwrap_err();
    assert!(error.libvirt().is_some(), "{error:?}");
    hosts.lives(Side::Source, "stays", DomainState::RUNNING).await?;

    // The hypervisor knows no other without its daemon.
    let guest = hosts.guest("stays").await?;
    let error = guest.migrate_to_uri(None, MigrateParams::new().uri(TCP), F::LIVE).await.unwrap_err();
    assert!(matches!(error, virtwire::Error::Migration(virtwire::MigrationError::Direct)), "{error:?}");
    hosts.lives(Side::Source, "stays", DomainState::RUNNING).await?;

    // Dropping it does not end it; the job's end does.
    let guest = hosts.guest("stays").await?;
    let params = MigrateParams::new().uri(TCP).bandwidth(1);
    let flags = F::PEER2PEER | F::LIVE;
    let migrating = tokio::spawn({
        let (guest, to) = (guest.clone(), hosts.to.clone());
        async move { guest.migrate(&to, params, flags).await }
    });
    under_way(&guest).await?;
    migrating.abort();
    assert!(migrating.await.unwrap_err().is_cancelled());
    under_way(&guest).await?;
    guest.abort_job(DomainAbortJobFlags::empty()).await?;
    hosts.lives(Side::Source, "stays", DomainState::RUNNING).await?;
    // And tells whoever waits for it.
    let guest = hosts.guest("stays").await?;
    let migrating = hosts.begin(&guest, MigrateParams::new().uri(TCP).bandwidth(1), flags);
    under_way(&guest).await?;
    guest.abort_job(DomainAbortJobFlags::empty()).await?;
    let error = migrating.await?.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_ABORTED), "{error}");
    hosts.lives(Side::Source, "stays", DomainState::RUNNING).await
}
