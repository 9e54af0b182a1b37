//! Domains, snapshots and checkpoints of the test driver.

use crate::coverage::{Log, run};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};
use virtwire::info::DomainStateReason;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::names;
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire::{AgentTimeout, Connection, CpuSet, Domain};
use virtwire_testbed::Failed;

const XML: &str = "<domain type='test'><name>demo</name><memory>65536</memory><vcpu>2</vcpu>\
    <iothreads>1</iothreads><os><type>hvm</type></os><devices>\
    <disk type='file' device='disk'><source file='/guest/disk.img'/><target dev='vda' bus='virtio'/></disk>\
    <interface type='network'><mac address='aa:bb:cc:dd:ee:ff'/><source network='default'/><target dev='testnet0'/>\
    </interface><console type='pty'/></devices></domain>";

pub(crate) async fn run(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let domain = listed(log, &connection).await?;
    life(log, &connection).await?;
    settings(log, &domain).await?;
    cpus(log, &domain).await?;
    let demo = connection.domain_create_xml(XML, DomainCreateFlags::empty()).await?;
    disks(log, &demo).await?;
    guest(log, &demo).await?;
    jobs(log, &connection, &demo).await?;
    snapshots(log, &domain).await?;
    let with_qcow2 = XML
        .replace("<source file='/guest/disk.img'/>", "<driver name='qemu' type='qcow2'/><source file='/q'/>");
    let demo = connection.domain_create_xml(with_qcow2, DomainCreateFlags::empty()).await?;
    checkpoints(log, &demo).await?;
    demo.destroy(DomainDestroyFlags::empty()).await?;
    Ok(())
}

async fn listed(log: &Log, connection: &Connection) -> Result<Domain, Failed> {
    let connection = connection.clone();
    let domains = run!(log, connection.list_all_domains(ListAllDomainsFlags::empty()))?;
    let [domain] = &domains[..] else { return Err(format!("{domains:?}").into()) };
    assert_eq!(run!(log, connection.list_domains())?, [1]);
    assert_eq!(run!(log, connection.num_of_domains())?, 1);
    assert_eq!(run!(log, connection.list_defined_domains())?.len(), 0);
    assert_eq!(run!(log, connection.num_of_defined_domains())?, 0);
    assert_eq!(&run!(log, connection.domain_lookup_by_id(1))?, domain);
    assert_eq!(&run!(log, connection.domain_lookup_by_name("test"))?, domain);
    assert_eq!(&run!(log, connection.domain_lookup_by_uuid(domain.uuid()))?, domain);
    assert!(connection.domain_lookup_by_id(u32::MAX).await.unwrap_err().is_no_domain());
    let stats = DomainStatsTypes::empty();
    let all = run!(log, connection.all_domain_stats(stats, GetAllDomainStatsFlags::empty()))?;
    assert_eq!((all.len(), &all[0].domain), (1, domain));
    assert_eq!(all[0].params.get_as::<i32>("state.state")?, Some(DomainState::RUNNING.0));
    let of = [domain.clone()];
    let some = run!(log, connection.domain_list_stats(&of, stats, GetAllDomainStatsFlags::empty()))?;
    assert_eq!(some, all);
    assert_eq!(connection.domain_list_stats(&[], stats, GetAllDomainStatsFlags::empty()).await?, []);
    Ok(domain.clone())
}

async fn life(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let demo = run!(log, connection.domain_define_xml(XML, DomainDefineFlags::VALIDATE))?;
    assert_eq!(demo.id(), None);
    assert!(!run!(log, demo.is_active())?);
    assert!(run!(log, demo.is_persistent())?);
    assert!(!run!(log, demo.is_updated())?);
    let renamed = run!(log, demo.rename("other"))?;
    assert_eq!(*renamed.name(), "other");
    let demo = renamed.rename("demo").await?;
    run!(log, demo.set_max_memory(131_072))?;
    assert_eq!(demo.max_memory().await?, 131_072);
    run!(log, demo.set_autostart(true))?;
    assert!(run!(log, demo.autostart())?);
    demo.set_autostart(false).await?;
    run!(log, demo.set_autostart_once(true)).ok();
    run!(log, demo.autostart_once()).ok();
    let demo = run!(log, demo.create(DomainCreateFlags::empty()))?;
    assert!(demo.id().is_some());
    run!(log, demo.suspend())?;
    assert_eq!(
        run!(log, demo.state())?,
        (DomainState::PAUSED, DomainStateReason::Paused(DomainPausedReason::USER))
    );
    run!(log, demo.resume())?;
    assert_eq!(run!(log, demo.info())?.state, DomainState::RUNNING);
    run!(log, demo.reboot(DomainRebootFlags::empty()))?;
    run!(log, demo.reset()).ok();
    run!(log, demo.pm_suspend_for_duration(NodeSuspendTarget::MEM, Duration::ZERO)).ok();
    run!(log, demo.pm_wakeup()).ok();
    let demo = connection.domain_lookup_by_name("demo").await?;
    run!(log, demo.managed_save(DomainSaveRestoreFlags::empty()))?;
    assert!(run!(log, demo.has_managed_save_image())?);
    run!(log, demo.managed_save_xml_desc(DomainSaveImageXmlFlags::empty())).ok();
    run!(log, demo.managed_save_define_xml(XML, DomainSaveRestoreFlags::empty())).ok();
    run!(log, demo.managed_save_remove())?;
    demo.create(DomainCreateFlags::empty()).await?;
    run!(log, demo.shutdown(DomainShutdownFlags::empty()))?;
    demo.create(DomainCreateFlags::empty()).await?;
    run!(log, demo.destroy(DomainDestroyFlags::empty()))?;
    demo.create(DomainCreateFlags::empty()).await?;
    demo.destroy(DomainDestroyFlags::GRACEFUL).await?;
    let files = vec![OwnedFd::from(File::open("/dev/null")?)];
    let demo = run!(log, demo.create_with_files(files, DomainCreateFlags::empty()))?;
    demo.destroy(DomainDestroyFlags::empty()).await?;
    run!(log, demo.undefine(DomainUndefineFlags::empty()))?;
    connection
        .domain_define_xml(XML, DomainDefineFlags::empty())
        .await?
        .undefine(DomainUndefineFlags::MANAGED_SAVE)
        .await?;

    let transient = run!(log, connection.domain_create_xml(XML, DomainCreateFlags::empty()))?;
    assert!(!transient.is_persistent().await?);
    transient.destroy(DomainDestroyFlags::empty()).await?;
    let files = vec![OwnedFd::from(File::open("/dev/null")?)];
    run!(log, connection.domain_create_xml_with_files(XML, files, DomainCreateFlags::empty()))?
        .destroy(DomainDestroyFlags::empty())
        .await?;
    Ok(())
}

async fn settings(log: &Log, domain: &Domain) -> Result<(), Failed> {
    let domain = domain.clone();
    assert!(run!(log, domain.xml_desc(DomainXmlFlags::empty()))?.to_string().contains("<name>test</name>"));
    assert_eq!(run!(log, domain.os_type())?, "linux");
    run!(log, domain.hostname(DomainGetHostnameFlags::empty()))?;
    run!(log, domain.control_info()).ok();
    assert_eq!(run!(log, domain.max_memory())?, 8_388_608);
    run!(log, domain.set_memory(1_048_576))?;
    assert_eq!(domain.info().await?.memory, 1_048_576);
    run!(log, domain.set_memory_flags(2_097_152, DomainMemoryModFlags::LIVE))?;
    run!(log, domain.set_memory_stats_period(Duration::from_secs(5), DomainMemoryModFlags::empty())).ok();
    let stats = run!(log, domain.memory_stats())?;
    assert_eq!(stats.get(DomainMemoryStatTags::ACTUAL_BALLOON), Some(2_097_152), "{stats:?}");
    let action = (DomainLifecycle::REBOOT, DomainLifecycleAction::DESTROY);
    run!(log, domain.set_lifecycle_action(action.0, action.1, DomainModificationImpact::LIVE)).ok();
    let live = DomainModificationImpact::LIVE;
    run!(log, domain.set_metadata(DomainMetadataType::TITLE, "A title", None, None, live))?;
    assert_eq!(run!(log, domain.metadata(DomainMetadataType::TITLE, None, live))?, "A title");
    domain.set_metadata(DomainMetadataType::TITLE, None, None, None, live).await?;
    let error = domain.metadata(DomainMetadataType::TITLE, None, live).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_DOMAIN_METADATA), "{error}");
    run!(log, domain.messages(DomainMessageType::empty()))?;

    let (scheduler, count) = run!(log, domain.scheduler_type())?;
    assert_eq!((&*scheduler.to_string(), count), ("fair", 1));
    let params = run!(log, domain.scheduler_parameters(DomainModificationImpact::empty()))?;
    assert_eq!(params.get_as::<u32>("weight")?, Some(50), "{params:?}");
    let params = TypedParams::new().with("weight", 60_u32);
    run!(log, domain.set_scheduler_parameters(params.clone(), DomainModificationImpact::empty()))?;
    domain.set_scheduler_parameters(params, live).await.ok();
    domain.scheduler_parameters(live).await.ok();
    let none = DomainModificationImpact::empty();
    let params = TypedParams::new().with(names::memory::HARD_LIMIT, 1_000_000_u64);
    run!(log, domain.set_memory_parameters(params, none))?;
    let params = run!(log, domain.memory_parameters(none))?;
    assert_eq!(params.get_as::<u64>(names::memory::HARD_LIMIT)?, Some(1_000_000), "{params:?}");
    let params = TypedParams::new().with(names::numa::NODESET, "0");
    run!(log, domain.set_numa_parameters(params, none)).ok();
    let params = run!(log, domain.numa_parameters(none))?;
    // A string, which only who says that it takes them gets.
    assert!(params.get_as::<&str>(names::numa::NODESET)?.is_some(), "{params:?}");
    run!(log, domain.set_blkio_parameters(TypedParams::new().with(names::blkio::WEIGHT, 500_u32), none)).ok();
    run!(log, domain.blkio_parameters(none)).ok();
    run!(log, domain.perf_events(none))?;
    run!(log, domain.set_perf_events(TypedParams::new().with("cmt", true), none)).ok();
    run!(log, domain.launch_security_info()).ok();
    run!(log, domain.set_launch_security_state(TypedParams::new().with("sev-secret", "x"))).ok();
    run!(log, domain.security_label()).ok();
    run!(log, domain.security_label_list()).ok();
    Ok(())
}

async fn cpus(log: &Log, domain: &Domain) -> Result<(), Failed> {
    let domain = domain.clone();
    let none = DomainModificationImpact::empty();
    assert_eq!(run!(log, domain.max_vcpus())?, 2);
    run!(log, domain.set_vcpus(1))?;
    run!(log, domain.set_vcpus_flags(2, DomainVcpuFlags::LIVE))?;
    assert_eq!(run!(log, domain.vcpus_flags(DomainVcpuFlags::LIVE))?, 2);
    let vcpus = run!(log, domain.vcpus())?;
    assert_eq!((vcpus.len(), vcpus[1].number, vcpus[1].state), (2, 1, VcpuState::RUNNING));
    assert!(vcpus.iter().all(|vcpu| vcpu.affinity.len() == 8 && vcpu.cpu_time > Duration::ZERO), "{vcpus:?}");
    let odd = CpuSet::from_iter([1, 3]);
    run!(log, domain.pin_vcpu(1, &odd))?;
    assert_eq!(domain.vcpus().await?[1].affinity, odd);
    run!(log, domain.pin_vcpu_flags(0, &odd, none))?;
    assert_eq!(domain.vcpus().await?[0].affinity, odd);
    let pins = run!(log, domain.vcpu_pin_info(none))?;
    assert_eq!((pins.len(), &pins[1]), (2, &odd));
    run!(log, domain.pin_emulator(&odd, none))?;
    assert_eq!(run!(log, domain.emulator_pin_info(none))?, odd);
    run!(log, domain.set_vcpu(&CpuSet::from_iter([1]), false, DomainSetVcpuFlags::empty())).ok();
    let all = CpuSet::from_iter(0..20_000);
    let error = domain.pin_vcpu(0, &all).await.unwrap_err();
    assert!(matches!(error, virtwire::Error::Argument(_)), "{error:?}");
    run!(log, domain.guest_vcpus()).ok();
    run!(log, domain.set_guest_vcpus(&CpuSet::from_iter([1]), true)).ok();

    let total = run!(log, domain.cpu_stats_total())?;
    assert!(total.get_as::<u64>(names::cpu_stats::CPUTIME)?.is_some(), "{total:?}");
    let count = run!(log, domain.cpu_stats_count())?;
    let each = run!(log, domain.cpu_stats(0..1000))?;
    assert_eq!(each.len(), count as usize);
    assert!(each[0].get_as::<u64>(names::cpu_stats::CPUTIME)?.is_some(), "{each:?}");
    assert_eq!(domain.cpu_stats(5..5).await?, []);

    run!(log, domain.add_io_thread(7, none))?;
    let threads = run!(log, domain.io_thread_info(none))?;
    assert!(threads.iter().any(|thread| thread.id == 7), "{threads:?}");
    run!(log, domain.pin_io_thread(7, &odd, none))?;
    assert!(domain.io_thread_info(none).await?.iter().any(|thread| thread.affinity == odd));
    run!(
        log,
        domain.set_io_thread_params(7, TypedParams::new().with(names::iothread::POLL_GROW, 4_u32), none)
    )
    .ok();
    run!(log, domain.del_io_thread(7, none))?;
    Ok(())
}

async fn disks(log: &Log, demo: &Domain) -> Result<(), Failed> {
    let demo = demo.clone();
    let none = DomainModificationImpact::empty();
    let stats = run!(log, demo.block_stats("vda"))?;
    assert!(stats.read_bytes.is_some(), "{stats:?}");
    run!(log, demo.block_stats_flags("vda")).ok();
    let stats = run!(log, demo.interface_stats("testnet0"))?;
    assert!(stats.rx_bytes.is_some(), "{stats:?}");
    run!(log, demo.block_info("vda")).ok();
    run!(log, demo.block_peek("vda", 0, 512)).ok();
    run!(log, demo.memory_peek(0, 64, DomainMemoryFlags::VIRTUAL)).ok();
    run!(log, demo.block_resize("vda", 65_536, DomainBlockResizeFlags::empty())).ok();
    let params = TypedParams::new()
        .with(names::block_io_tune::TOTAL_BYTES_SEC, 1_000_000_u64)
        .with(names::block_io_tune::TOTAL_BYTES_SEC_MAX, 2_000_000_u64);
    run!(log, demo.set_block_io_tune("vda", params, none))?;
    let params = run!(log, demo.block_io_tune("vda", none))?;
    assert_eq!(params.get_as::<u64>(names::block_io_tune::TOTAL_BYTES_SEC)?, Some(1_000_000), "{params:?}");
    let errors = run!(log, demo.disk_errors())?;
    assert!(!errors.is_empty() && errors[0].disk == "vda", "{errors:?}");
    let params = TypedParams::new().with(names::bandwidth::IN_AVERAGE, 1000_u32);
    run!(log, demo.set_interface_parameters("testnet0", params, none))?;
    let params = run!(log, demo.interface_parameters("testnet0", none))?;
    assert_eq!(params.get_as::<u32>(names::bandwidth::IN_AVERAGE)?, Some(1000), "{params:?}");
    run!(log, demo.announce_interface(None, TypedParams::new())).ok();
    run!(log, demo.set_block_threshold("vda", 1)).ok();
    run!(log, demo.set_throttle_group("group", TypedParams::new(), none)).ok();
    run!(log, demo.del_throttle_group("group", none)).ok();

    assert_eq!(run!(log, demo.block_job_info("vda", DomainBlockJobInfoFlags::empty())).ok().flatten(), None);
    run!(log, demo.block_pull("vda", 0, DomainBlockPullFlags::empty())).ok();
    run!(log, demo.block_rebase("vda", None, 0, DomainBlockRebaseFlags::empty())).ok();
    let copy = "<disk type='file'><source file='/tmp/copy'/></disk>";
    run!(log, demo.block_copy("vda", copy, TypedParams::new(), DomainBlockCopyFlags::empty())).ok();
    run!(log, demo.block_commit("vda", None, None, 0, DomainBlockCommitFlags::empty())).ok();
    run!(log, demo.block_job_set_speed("vda", 1, DomainBlockJobSetSpeedFlags::empty())).ok();
    run!(log, demo.block_job_abort("vda", DomainBlockJobAbortFlags::empty())).ok();
    run!(log, demo.backup_begin("<domainbackup/>", None, DomainBackupBeginFlags::empty())).ok();
    run!(log, demo.backup_xml_desc()).ok();

    let disk = "<disk type='file' device='disk'><source file='/guest/two.img'/><target dev='vdb' bus='virtio'/></disk>";
    run!(log, demo.attach_device(disk)).ok();
    run!(log, demo.detach_device(disk)).ok();
    let third = disk.replace("vdb", "vdc").replace("two", "three");
    run!(log, demo.attach_device_flags(&third, DomainDeviceModifyFlags::LIVE)).ok();
    run!(log, demo.update_device_flags(&third, DomainDeviceModifyFlags::LIVE)).ok();
    run!(log, demo.detach_device_flags(&third, DomainDeviceModifyFlags::LIVE)).ok();
    run!(log, demo.detach_device_alias("ua-none", DomainDeviceModifyFlags::LIVE)).ok();
    Ok(())
}

async fn guest(log: &Log, demo: &Domain) -> Result<(), Failed> {
    let demo = demo.clone();
    let (mime, mut picture) = run!(log, demo.screenshot(0))?;
    assert_eq!(mime, "image/png");
    let first = picture.receive().await?;
    assert!(matches!(&first, Some(virtwire::Chunk::Data(data)) if data.starts_with(b"\x89PNG")), "{first:?}");
    drop(picture);
    run!(log, demo.open_console(None, DomainConsoleFlags::empty())).ok();
    run!(log, demo.open_channel(None, DomainChannelFlags::empty())).ok();
    let socket = OwnedFd::from(std::os::unix::net::UnixStream::pair()?.0);
    run!(log, demo.open_graphics(0, socket, DomainOpenGraphicsFlags::empty())).ok();
    run!(log, demo.open_graphics_fd(0, DomainOpenGraphicsFlags::empty())).ok();
    let files = vec![OwnedFd::from(File::open("/dev/null")?)];
    run!(log, demo.fd_associate("files", files, DomainFdAssociateFlags::empty())).ok();
    run!(log, demo.graphics_reload(DomainGraphicsReloadType::ANY)).ok();
    run!(log, demo.send_key(KeycodeSet::LINUX, Duration::from_millis(10), &[30])).ok();
    run!(log, demo.send_process_signal(1, DomainProcessSignal::HUP)).ok();
    run!(log, demo.inject_nmi()).ok();
    let interfaces = run!(log, demo.interface_addresses(DomainInterfaceAddressesSource::LEASE))?;
    assert_eq!((interfaces.len(), &*interfaces[0].name.to_string()), (1, "testnet0"), "{interfaces:?}");
    let systems = run!(log, demo.fs_info())?;
    assert!(
        systems.iter().any(|system| system.mountpoint == "/" && system.devices.iter().any(|of| *of == "vda"))
    );
    assert!(run!(log, demo.fs_freeze(["/"]))? > 0);
    assert!(run!(log, demo.fs_thaw(std::iter::empty::<&str>()))? > 0);
    run!(log, demo.fs_trim(None, 0))?;
    run!(log, demo.set_user_password("root", "x", DomainSetUserPasswordFlags::empty())).ok();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 7);
    run!(log, demo.set_time(time, DomainSetTimeFlags::empty()))?;
    assert_eq!(run!(log, demo.time())?, time);
    run!(log, demo.guest_info(DomainGuestInfoTypes::empty())).ok();
    run!(log, demo.agent_set_response_timeout(Duration::from_secs(5))).ok();
    run!(log, demo.authorized_ssh_keys("root")).ok();
    let flags = DomainAuthorizedSshKeysSetFlags::empty();
    run!(log, demo.authorized_ssh_keys_set("root", ["ssh-ed25519 AAAA"], flags)).ok();
    run!(log, demo.qemu_monitor_command("{}", DomainQemuMonitorCommandFlags::empty())).ok();
    run!(log, demo.qemu_monitor_command_with_files("{}", Vec::new(), DomainQemuMonitorCommandFlags::empty()))
        .ok();
    run!(log, demo.qemu_agent_command("{}", AgentTimeout::Default)).ok();
    run!(log, demo.lxc_open_namespace()).ok();
    let _events = run!(log, demo.events(DomainEventId::LIFECYCLE))?;
    let connection = demo.connection().clone();
    let _events = run!(log, connection.domain_events(DomainEventId::REBOOT))?;
    let flags = DomainQemuMonitorEventRegisterFlags::empty();
    run!(log, connection.qemu_monitor_events(None, flags)).ok();
    run!(log, demo.qemu_monitor_events(Some("STOP"), flags)).ok();
    Ok(())
}

async fn jobs(log: &Log, connection: &Connection, demo: &Domain) -> Result<(), Failed> {
    let (connection, demo) = (connection.clone(), demo.clone());
    run!(log, demo.job_info()).ok();
    run!(log, demo.job_stats(DomainGetJobStatsFlags::empty())).ok();
    run!(log, demo.abort_job(DomainAbortJobFlags::empty())).ok();
    run!(log, demo.start_dirty_rate_calc(Duration::from_secs(1), DomainDirtyRateCalcFlags::empty())).ok();
    run!(log, demo.migrate_set_max_downtime(Duration::from_millis(300))).ok();
    run!(log, demo.migrate_max_downtime()).ok();
    run!(log, demo.migrate_set_max_speed(100, DomainMigrateMaxSpeedFlags::empty())).ok();
    run!(log, demo.migrate_max_speed(DomainMigrateMaxSpeedFlags::empty())).ok();
    run!(log, demo.migrate_set_compression_cache(1 << 20)).ok();
    run!(log, demo.migrate_compression_cache()).ok();
    run!(log, demo.migrate_start_post_copy()).ok();

    let folder = std::env::temp_dir().join(format!("virtwire-objects-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    run!(log, demo.core_dump(path("core"), DomainCoreDumpFlags::empty()))?;
    assert!(folder.join("core").exists());
    let raw = DomainCoreDumpFormat::RAW;
    run!(log, demo.core_dump_with_format(path("core2"), raw, DomainCoreDumpFlags::empty()))?;
    run!(log, demo.save(path("saved"), None, DomainSaveRestoreFlags::empty()))?;
    assert!(connection.domain_lookup_by_name("demo").await.unwrap_err().is_no_domain());
    let xml =
        run!(log, connection.domain_save_image_xml_desc(path("saved"), DomainSaveImageXmlFlags::empty()))?;
    assert!(xml.to_string().contains("<name>demo</name>"));
    let none = DomainSaveRestoreFlags::empty();
    run!(log, connection.domain_save_image_define_xml(path("saved"), xml.clone(), none))?;
    run!(log, connection.domain_restore(path("saved"), None, none))?;
    let demo = connection.domain_lookup_by_name("demo").await?;
    demo.save(path("saved"), &xml, none).await.ok();
    connection.domain_restore(path("saved"), xml, none).await.ok();
    let demo = connection.domain_lookup_by_name("demo").await?;
    let params = TypedParams::new().with(names::save::FILE, path("saved"));
    run!(log, demo.save_params(params.clone(), none)).ok();
    run!(log, connection.domain_restore_params(params, none)).ok();
    std::fs::remove_dir_all(&folder)?;
    connection.domain_lookup_by_name("demo").await?.destroy(DomainDestroyFlags::empty()).await?;
    Ok(())
}

async fn snapshots(log: &Log, domain: &Domain) -> Result<(), Failed> {
    let domain = domain.clone();
    let (create, list) = (DomainSnapshotCreateFlags::empty(), DomainSnapshotListFlags::empty());
    assert!(!run!(log, domain.has_current_snapshot())?);
    let error = domain.snapshot_current().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_DOMAIN_SNAPSHOT), "{error}");
    let xml = |name: &str| format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
    let first = run!(log, domain.snapshot_create_xml(xml("first"), create))?;
    let second = domain.snapshot_create_xml(xml("second"), create).await?;
    assert_eq!((first.domain(), &*first.name().to_string()), (domain.clone(), "first"));
    assert_ne!(first, second);
    assert_eq!(run!(log, domain.snapshot_num(list))?, 2);
    let mut names: Vec<_> =
        run!(log, domain.snapshot_list_names(list))?.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(run!(log, domain.list_all_snapshots(list))?.len(), 2);
    assert_eq!(run!(log, domain.snapshot_lookup_by_name("first"))?, first);
    assert_eq!(run!(log, domain.snapshot_current())?, second);
    assert!(run!(log, first.xml_desc(DomainSnapshotXmlFlags::empty()))?.to_string().contains("first"));
    assert_eq!(run!(log, second.parent())?, first);
    assert_eq!(run!(log, first.num_children(list))?, 1);
    assert_eq!(run!(log, first.list_children_names(list))?[0], "second");
    assert_eq!(run!(log, first.list_all_children(list))?, std::slice::from_ref(&second));
    assert!(run!(log, second.is_current())? && !first.is_current().await?);
    assert!(run!(log, first.has_metadata())?);
    run!(log, first.revert(DomainSnapshotRevertFlags::empty()))?;
    assert!(first.is_current().await?);
    run!(log, first.delete(DomainSnapshotDeleteFlags::CHILDREN))?;
    assert_eq!(domain.list_all_snapshots(list).await?, []);
    Ok(())
}

async fn checkpoints(log: &Log, domain: &Domain) -> Result<(), Failed> {
    let domain = domain.clone();
    let (create, list) = (DomainCheckpointCreateFlags::empty(), DomainCheckpointListFlags::empty());
    let xml = |name: &str| format!("<domaincheckpoint><name>{name}</name></domaincheckpoint>");
    let first = run!(log, domain.checkpoint_create_xml(xml("first"), create))?;
    let second = domain.checkpoint_create_xml(xml("second"), create).await?;
    assert_eq!((first.domain(), &*first.name().to_string()), (domain.clone(), "first"));
    assert_eq!(run!(log, domain.list_all_checkpoints(list))?.len(), 2);
    assert_eq!(run!(log, domain.checkpoint_lookup_by_name("second"))?, second);
    assert!(run!(log, first.xml_desc(DomainCheckpointXmlFlags::empty()))?.to_string().contains("first"));
    assert_eq!(run!(log, second.parent())?, first);
    assert_eq!(run!(log, first.list_all_children(list))?, [second]);
    let error = first.parent().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_DOMAIN_CHECKPOINT), "{error}");
    run!(log, first.delete(DomainCheckpointDeleteFlags::CHILDREN))?;
    assert_eq!(domain.list_all_checkpoints(list).await?, []);
    Ok(())
}
