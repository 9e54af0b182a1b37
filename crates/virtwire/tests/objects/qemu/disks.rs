//! A running guest's disks and devices: statistics, limits, and what is attached and detached.

use super::{Console, Host, answers, until};
use crate::coverage::{Log, run};
use std::fs::File;
use std::os::fd::OwnedFd;
use virtwire::Domain;
use virtwire::proto::flags::*;
use virtwire::proto::names;
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire_testbed::{Failed, WRITE};

const NETWORK: &str = "<network><name>quiet</name><bridge name='vwquiet'/><dns enable='no'/></network>";

const INTERFACE: &str = "<interface type='network'><mac address='52:54:00:00:00:11'/><source network='quiet'/>\
    <target dev='vwguest'/><model type='virtio'/><rom enabled='no'/></interface>";

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let networks = host.driver("network").await?;
    networks.network_create_xml(NETWORK, NetworkCreateFlags::empty()).await?;
    let xml = host.guest("disks", "raw", INTERFACE)?;
    let guest = host.connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    statistics(log, host, &guest).await?;
    limits(log, &guest).await?;
    devices(log, host, &guest).await?;
    guest.destroy(DomainDestroyFlags::empty()).await?;
    passed_in(log, host).await
}

async fn statistics(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let (connection, guest) = (host.connection.clone(), guest.clone());
    let mut console = Console::open(&guest).await?;
    let before = run!(log, guest.block_stats("vda"))?;
    console.say(&[WRITE], "\u{17}").await?;
    console.close().await?;
    let after = guest.block_stats("vda").await?;
    assert_eq!(after.write_bytes, before.write_bytes.map(|bytes| bytes + 512), "{before:?} {after:?}");
    let params = run!(log, guest.block_stats_flags("vda"))?;
    assert_eq!(params.get_as::<i64>(names::block_stats::WRITE_REQ)?, Some(1), "{params:?}");
    let info = run!(log, guest.block_info("vda"))?;
    assert_eq!(info.capacity, 1 << 20, "{info:?}");
    assert_eq!(run!(log, guest.disk_errors())?, []);
    let stats = run!(log, guest.interface_stats("vwguest"))?;
    assert!(stats.rx_bytes.is_some() && stats.tx_dropped.is_some(), "{stats:?}");

    let types = DomainStatsTypes::empty();
    let all = run!(log, connection.all_domain_stats(types, GetAllDomainStatsFlags::empty()))?;
    assert_eq!((all.len(), &all[0].domain), (1, &guest));
    assert_eq!(all[0].params.get_as::<u32>("block.count")?, Some(1), "{all:?}");
    assert_eq!(all[0].params.get_as::<&str>("net.0.name")?, Some("vwguest"), "{all:?}");
    let of = [guest.clone()];
    let block = DomainStatsTypes::BLOCK;
    let some = run!(log, connection.domain_list_stats(&of, block, GetAllDomainStatsFlags::empty()))?;
    assert_eq!(some[0].params.get_as::<u64>("block.0.wr.bytes")?, Some(512), "{some:?}");
    Ok(())
}

async fn limits(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let live = DomainModificationImpact::LIVE;
    let params = TypedParams::new()
        .with(names::block_io_tune::TOTAL_BYTES_SEC, 1_000_000_u64)
        .with(names::block_io_tune::GROUP_NAME, "ours");
    run!(log, guest.set_block_io_tune("vda", params, live))?;
    let params = run!(log, guest.block_io_tune("vda", live))?;
    assert_eq!(params.get_as::<u64>(names::block_io_tune::TOTAL_BYTES_SEC)?, Some(1_000_000), "{params:?}");
    assert_eq!(params.get_as::<&str>(names::block_io_tune::GROUP_NAME)?, Some("ours"), "{params:?}");

    let params = TypedParams::new()
        .with(names::bandwidth::IN_AVERAGE, 1000_u32)
        .with(names::bandwidth::OUT_AVERAGE, 500_u32);
    run!(log, guest.set_interface_parameters("vwguest", params, live)).ok();
    run!(log, guest.interface_parameters("vwguest", live))?;
    run!(log, guest.set_block_threshold("vda", 4096))?;
    let resized = 2 << 20;
    run!(log, guest.block_resize("vda", resized, DomainBlockResizeFlags::BYTES))?;
    assert_eq!(guest.block_info("vda").await?.capacity, resized);

    let params = TypedParams::new().with(names::block_io_tune::READ_IOPS_SEC, 1000_u64);
    if run!(log, guest.set_throttle_group("slow", params, live)).is_ok() {
        run!(log, guest.del_throttle_group("slow", live))?;
    }
    run!(log, guest.announce_interface(None, TypedParams::new())).ok();
    Ok(())
}

async fn devices(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let disk = |name: &str, alias: &str| -> Result<String, Failed> {
        File::create(host.path(name))?.set_len(1 << 20)?;
        Ok(format!(
            "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
             <target dev='{name}' bus='virtio'/>{alias}</disk>",
            host.text(name)
        ))
    };
    let present = async |name: &str| -> Result<bool, Failed> {
        let xml = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
        Ok(xml.contains(&format!("<target dev='{name}'")))
    };
    let gone = async |name: &str| {
        until(&format!("{name} is gone"), async || Ok((!present(name).await?).then_some(()))).await
    };
    let live = DomainDeviceModifyFlags::LIVE;
    let vdb = disk("vdb", "")?;
    run!(log, guest.attach_device(vdb.clone()))?;
    assert!(present("vdb").await?);
    run!(log, guest.detach_device(vdb))?;
    gone("vdb").await?;
    let vdc = disk("vdc", "")?;
    run!(log, guest.attach_device_flags(vdc.clone(), live))?;
    run!(log, guest.detach_device_flags(vdc, live))?;
    gone("vdc").await?;
    let vdd = disk("vdd", "<alias name='ua-ours'/>")?;
    guest.attach_device_flags(vdd, live).await?;
    run!(log, guest.detach_device_alias("ua-ours", live))?;
    gone("vdd").await?;

    let down = INTERFACE.replace("<model", "<link state='down'/><model");
    run!(log, guest.update_device_flags(down, live))?;
    let xml = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
    assert!(xml.contains("<link state='down'/>"), "{xml}");
    Ok(())
}

/// A guest whose disk is a file of ours: opened here, passed to the daemon, and by it to QEMU.
async fn passed_in(log: &Log, host: &Host) -> Result<(), Failed> {
    let connection = host.connection.clone();
    let xml = host.guest("passed", "raw", "")?;
    let file = host.path("passed.raw");
    let xml = xml.replace("passed.raw'/>", "passed.raw' fdgroup='ours'/>");
    let guest = connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
    let open = OwnedFd::from(File::options().read(true).write(true).open(&file)?);
    run!(log, guest.fd_associate("ours", vec![open], DomainFdAssociateFlags::empty()))?;
    // There is no other way to it any more.
    std::fs::remove_file(&file)?;
    std::fs::write(&file, "")?;
    let guest = guest.create(DomainCreateFlags::empty()).await?;
    answers(&guest).await?;
    guest.destroy(DomainDestroyFlags::empty()).await?;
    // QEMU's own descriptors are not ours to give.
    let files = vec![OwnedFd::from(File::open("/dev/null")?)];
    run!(log, guest.create_with_files(files, DomainCreateFlags::empty())).ok();
    guest.destroy(DomainDestroyFlags::empty()).await.ok();
    guest.undefine(DomainUndefineFlags::empty()).await?;
    Ok(())
}
