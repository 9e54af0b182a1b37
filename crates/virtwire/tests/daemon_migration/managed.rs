//! Migrations that this client manages.

use crate::lab::{Hosts, Lab, Side, TCP, tell, written};
use std::fs;
use std::path::Path;
use virtwire::MigrateParams;
use virtwire::enums::DomainState;
use virtwire::flags::*;
use virtwire_testbed::{Failed, Testbed, WRITE, boot_sector, make_guest_disk, run};

use DomainMigrateFlags as F;

pub(crate) fn a_guest_goes_over_in_every_way(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    let socket = lab.destination.folder().join("migration");
    let unix = format!("unix://{}", socket.display());
    lab.run(async |hosts| {
        let params = || MigrateParams::new().uri(TCP);
        for (params, flags) in [
            // The guest is paused meanwhile.
            (params(), F::empty()),
            (params(), F::LIVE | F::CHANGE_PROTECTION | F::ABORT_ON_ERROR),
            (params().bandwidth(200).listen_address("127.0.0.1"), F::LIVE),
            (MigrateParams::new().uri("tcp:127.0.0.1:49999"), F::LIVE),
            (MigrateParams::new().uri(&*unix), F::LIVE),
            (params().parallel_connections(2), F::LIVE | F::PARALLEL),
            (params().compression(["xbzrle"]).xbzrle_cache(8 << 20), F::LIVE | F::COMPRESSED),
            (params().auto_converge_initial(30).auto_converge_increment(20), F::LIVE | F::AUTO_CONVERGE),
        ] {
            let shown = format!("{params:?} {flags:?}");
            let went = goes(&hosts, params, flags).await;
            went.map_err(|error| format!("{shown}: {}", error.message().unwrap_or_default()))?;
        }
        is_renamed(&hosts).await?;
        stays_paused(&hosts).await?;
        is_defined_there_and_not_here(&hosts).await?;
        is_not_active(&hosts).await?;
        has_other_xml(&hosts).await
    })
}

async fn goes(hosts: &Hosts<'_>, params: MigrateParams, flags: F) -> Result<(), Failed> {
    let guest = hosts.guest("goes").await?;
    let there = guest.migrate(&hosts.to, params, flags).await?;
    assert_eq!((there.uuid(), there.connection().uri()), (guest.uuid(), hosts.to.uri()));
    assert!(there.id().is_some());
    assert!(guest.info().await.unwrap_err().is_no_domain());
    hosts.lives(Side::Destination, "goes", DomainState::RUNNING).await?;
    assert_eq!(hosts.defined().await?, [[""; 0]; 2]);
    Ok(())
}

async fn is_renamed(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let guest = hosts.guest("old").await?;
    let params = MigrateParams::new().uri(TCP).dest_name("new");
    let there = guest.migrate(&hosts.to, params, F::LIVE).await?;
    assert_eq!((there.name().to_string().as_str(), there.uuid()), ("new", guest.uuid()));
    hosts.lives(Side::Destination, "new", DomainState::RUNNING).await
}

async fn stays_paused(hosts: &Hosts<'_>) -> Result<(), Failed> {
    // By the flag, and since it was paused before.
    for (flags, pauses) in [(F::LIVE | F::PAUSED, false), (F::LIVE, true)] {
        let guest = hosts.guest("paused").await?;
        if pauses {
            guest.suspend().await?;
        }
        guest.migrate(&hosts.to, MigrateParams::new().uri(TCP), flags).await?;
        hosts.lives(Side::Destination, "paused", DomainState::PAUSED).await?;
    }
    Ok(())
}

async fn is_defined_there_and_not_here(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let xml = hosts.lab.guest("defined");
    let guest = hosts.from.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
    guest.create(DomainCreateFlags::empty()).await?;
    let flags = F::LIVE | F::PERSIST_DEST | F::UNDEFINE_SOURCE;
    let there = guest.migrate(&hosts.to, MigrateParams::new().uri(TCP), flags).await?;
    hosts.lives(Side::Destination, "defined", DomainState::RUNNING).await?;
    assert_eq!(hosts.defined().await?, [vec![], vec!["defined".to_owned()]]);
    there.undefine(DomainUndefineFlags::empty()).await?;
    Ok(())
}

async fn is_not_active(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let xml = hosts.lab.guest("asleep");
    let guest = hosts.from.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
    let flags = F::OFFLINE | F::PERSIST_DEST | F::UNDEFINE_SOURCE;
    let there = guest.migrate(&hosts.to, MigrateParams::new().uri(TCP), flags).await?;
    assert_eq!(there.id(), None);
    assert_eq!(hosts.defined().await?, [vec![], vec!["asleep".to_owned()]]);
    there.create(DomainCreateFlags::empty()).await?;
    hosts.lives(Side::Destination, "asleep", DomainState::RUNNING).await?;
    there.undefine(DomainUndefineFlags::empty()).await?;
    Ok(())
}

async fn has_other_xml(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let guest = hosts.guest("changed").await?;
    let xml = guest.xml_desc(DomainXmlFlags::MIGRATABLE | DomainXmlFlags::SECURE).await?.to_string();
    let log = hosts.lab.destination.folder().join("serial.log");
    let changed = xml.replace(
        "<target type='isa-serial' port='0'>",
        &format!("<log file='{}'/><target type='isa-serial' port='0'>", log.display()),
    );
    assert_ne!(xml, changed);
    let params = MigrateParams::new().uri(TCP).dest_xml(changed);
    let there = guest.migrate(&hosts.to, params, F::LIVE).await?;
    assert!(there.xml_desc(DomainXmlFlags::empty()).await?.to_string().contains("serial.log"));
    hosts.lives(Side::Destination, "changed", DomainState::RUNNING).await?;
    assert!(fs::read(log)?.contains(&b'='));
    Ok(())
}

pub(crate) fn a_guest_goes_over_with_its_disk(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    let here = lab.source.folder().join("own.raw");
    let there = lab.destination.folder().join("own.raw");
    let base = lab.source.folder().join("base.raw");
    make_guest_disk(testbed.root(), &base, "raw")?;
    let layers = [lab.source.folder().join("top.qcow2"), lab.destination.folder().join("top.qcow2")];
    for layer in &layers {
        let mut create = testbed.root().command("qemu-img");
        run(create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).args([&base, layer]))?;
    }
    let sockets = ["memory", "disks"].map(|name| lab.destination.folder().join(name));
    let [memory, disks] = sockets.map(|path| format!("unix://{}", path.display()));
    lab.run(async |hosts| {
        for (params, flags) in [
            (MigrateParams::new().uri(TCP), F::LIVE | F::NON_SHARED_DISK),
            (MigrateParams::new().uri(TCP).disks(["vda"]).disks_port(49_700), F::NON_SHARED_DISK),
            (
                MigrateParams::new().uri(&*memory).disks_uri(&*disks),
                F::LIVE | F::NON_SHARED_DISK | F::NON_SHARED_SYNCHRONOUS_WRITES,
            ),
        ] {
            let shown = format!("{params:?} {flags:?}");
            make_guest_disk(testbed.root(), &here, "raw")?;
            fs::write(&there, vec![0xa5; 1 << 20])?;
            let xml = lab.guest_on("own", &source(&here), "raw");
            let went = goes_with_disk(&hosts, &xml, [&here, &there], params, flags).await;
            went.map_err(|error| format!("{shown}: {}", error.message().unwrap_or_default()))?;
            // What it wrote before has gone with it; what it wrote there is there alone.
            assert_eq!(fs::read(&there)?[..512], boot_sector());
            assert_eq!(written(&there)?, boot_sector());
            assert_eq!(written(&here)?, vec![0; 512]);
        }
        // Only what lies over a disk that both have.
        let [here, there] = &layers;
        let xml = lab.guest_on("own", &source(here), "qcow2");
        let params = MigrateParams::new().uri(TCP);
        goes_with_disk(&hosts, &xml, [here, there], params, F::LIVE | F::NON_SHARED_INC).await?;
        let raw = lab.destination.folder().join("top.raw");
        let mut convert = testbed.root().command("qemu-img");
        run(convert.args(["convert", "-O", "raw"]).args([there, &raw]))?;
        assert_eq!(written(&raw)?, boot_sector());
        assert_eq!(written(&base)?, vec![0; 512]);
        Ok(())
    })
}

fn source(disk: &Path) -> String {
    format!("<source file='{}'/>", disk.display())
}

/// From the first disk to the second, where the guest then writes.
async fn goes_with_disk(
    hosts: &Hosts<'_>,
    xml: &str,
    [here, there]: [&Path; 2],
    params: MigrateParams,
    flags: F,
) -> Result<(), Failed> {
    let guest = hosts.from.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    let xml = guest.xml_desc(DomainXmlFlags::MIGRATABLE | DomainXmlFlags::SECURE).await?.to_string();
    let moved = xml.replace(&here.display().to_string(), &there.display().to_string());
    assert_ne!(xml, moved);
    let there = guest.migrate(&hosts.to, params.dest_xml(moved), flags).await?;
    tell(&there, WRITE).await?;
    hosts.lives(Side::Destination, "own", DomainState::RUNNING).await
}
