//! A guest's life: defined, started, asleep, saved, dumped, ended.

use super::{Console, Host, answers, until_state};
use crate::coverage::{Log, run};
use std::time::Duration;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::names;
use virtwire::proto::typed_params::TypedParams;
use virtwire::{Connection, Domain};
use virtwire_testbed::{Failed, SLEEP};

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let connection = host.connection.clone();
    let xml = host.guest("first", "qcow2", "")?;
    let native = run!(log, connection.domain_xml_to_native("qemu-argv", xml.clone()))?;
    assert!(native.to_string().contains("-blockdev") && native.to_string().contains("first"), "{native}");
    run!(log, connection.domain_xml_from_native("qemu-argv", native)).ok();

    let first = run!(log, connection.domain_define_xml(xml, DomainDefineFlags::VALIDATE))?;
    defined(log, &connection, &first).await?;
    let guest = run!(log, first.rename("guest"))?;
    started(log, &connection, &guest).await?;
    slept(log, &guest).await?;
    saved(log, host, &guest).await?;
    managed(log, &guest).await?;
    dumped(log, host, &guest).await?;
    migration(log, &guest).await?;

    // The power button, and what is left.
    run!(log, guest.shutdown(DomainShutdownFlags::ACPI_POWER_BTN))?;
    until_state(&guest, DomainState::SHUTOFF).await?;
    run!(log, guest.undefine(DomainUndefineFlags::NVRAM | DomainUndefineFlags::MANAGED_SAVE))?;
    let listed = connection.list_all_domains(ListAllDomainsFlags::empty()).await?;
    assert_eq!(listed, []);
    Ok(())
}

async fn defined(log: &Log, connection: &Connection, first: &Domain) -> Result<(), Failed> {
    let (connection, first) = (connection.clone(), first.clone());
    assert_eq!(run!(log, connection.list_defined_domains())?, ["first"]);
    assert_eq!(run!(log, connection.num_of_defined_domains())?, 1);
    assert_eq!(run!(log, connection.domain_lookup_by_name("first"))?, first);
    assert_eq!(run!(log, connection.domain_lookup_by_uuid(first.uuid()))?, first);
    assert_eq!(run!(log, first.os_type())?, "hvm");
    run!(log, first.set_autostart(true))?;
    assert!(run!(log, first.autostart())?);
    first.set_autostart(false).await?;
    if run!(log, first.set_autostart_once(true)).is_ok() {
        assert!(run!(log, first.autostart_once())?);
        first.set_autostart_once(false).await?;
    }
    let config = DomainModificationImpact::CONFIG;
    let title = DomainMetadataType::TITLE;
    run!(log, first.set_metadata(title, "A title", None, None, config))?;
    assert_eq!(run!(log, first.metadata(title, None, config))?, "A title");
    let (element, uri) = (DomainMetadataType::ELEMENT, "urn:virtwire");
    first.set_metadata(element, "<own/>", "vw", uri, config).await?;
    let metadata = first.metadata(element, uri, config).await?.to_string();
    assert!(metadata.contains("own"), "{metadata}");
    run!(log, first.set_max_memory(48 << 10))?;
    assert_eq!(run!(log, first.max_memory())?, 48 << 10);
    first.set_max_memory(32 << 10).await?;
    Ok(())
}

async fn started(log: &Log, connection: &Connection, guest: &Domain) -> Result<(), Failed> {
    let (connection, guest) = (connection.clone(), guest.clone());
    let guest = run!(log, guest.create(DomainCreateFlags::PAUSED))?;
    let id = guest.id().ok_or("a running domain's number")?;
    assert_eq!(run!(log, connection.domain_lookup_by_id(id))?, guest);
    assert_eq!(run!(log, connection.num_of_domains())?, 1);
    assert_eq!(run!(log, connection.list_domains())?.len(), 1);
    assert_eq!(run!(log, guest.info())?.state, DomainState::PAUSED);
    run!(log, guest.resume())?;
    let mut console = Console::open(&guest).await?;
    run!(log, guest.suspend())?;
    run!(log, guest.state())?;
    until_state(&guest, DomainState::PAUSED).await?;
    guest.resume().await?;
    let info = run!(log, guest.info())?;
    assert_eq!((info.max_memory, info.vcpus), (32 << 10, 1));
    console.say(b"on", "on").await?;
    let (on, action) = (DomainLifecycle::CRASH, DomainLifecycleAction::DESTROY);
    run!(log, guest.set_lifecycle_action(on, action, DomainModificationImpact::LIVE)).ok();
    run!(log, guest.hostname(DomainGetHostnameFlags::empty())).ok();

    // By the button, off and on again; and without one.
    run!(log, guest.reboot(DomainRebootFlags::ACPI_POWER_BTN))?;
    console.expect(virtwire_testbed::GREETING).await?;
    run!(log, guest.reset())?;
    console.expect(virtwire_testbed::GREETING).await?;
    assert_eq!(guest.info().await?.state, DomainState::RUNNING);
    console.close().await
}

async fn slept(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let mut console = Console::open(&guest).await?;
    console.stream.send(vec![SLEEP]).await?;
    until_state(&guest, DomainState::PMSUSPENDED).await?;
    run!(log, guest.pm_wakeup())?;
    console.expect(virtwire_testbed::GREETING).await?;
    until_state(&guest, DomainState::RUNNING).await?;
    console.close().await
}

async fn saved(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let (connection, guest) = (host.connection.clone(), guest.clone());
    let none = DomainSaveRestoreFlags::empty();
    let file = host.text("saved");
    run!(log, guest.save(file.clone(), None, none))?;
    assert!(!guest.is_active().await?);
    let image = DomainSaveImageXmlFlags::empty();
    let xml = run!(log, connection.domain_save_image_xml_desc(file.clone(), image))?.to_string();
    assert!(xml.contains("<name>guest</name>"), "{xml}");
    let changed = xml.replace("<title>A title</title>", "<title>Another</title>");
    assert_ne!(changed, xml);
    run!(log, connection.domain_save_image_define_xml(file.clone(), changed, none))?;
    run!(log, connection.domain_restore(file.clone(), None, none))?;
    let guest = connection.domain_lookup_by_name("guest").await?;
    let title = guest.metadata(DomainMetadataType::TITLE, None, DomainModificationImpact::LIVE).await?;
    assert_eq!(title, "Another");
    // It goes on where it was.
    answers(&guest).await?;

    let params = TypedParams::new().with(names::save::FILE, file);
    run!(log, guest.save_params(params.clone(), none))?;
    if run!(log, connection.domain_restore_params(params, DomainSaveRestoreFlags::PAUSED)).is_err() {
        connection.domain_restore(host.text("saved"), None, DomainSaveRestoreFlags::PAUSED).await?;
    }
    let guest = connection.domain_lookup_by_name("guest").await?;
    assert_eq!(guest.info().await?.state, DomainState::PAUSED);
    guest.resume().await?;
    Ok(())
}

async fn managed(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let none = DomainSaveRestoreFlags::empty();
    run!(log, guest.managed_save(none))?;
    assert!(run!(log, guest.has_managed_save_image())? && !guest.is_active().await?);
    let xml = run!(log, guest.managed_save_xml_desc(DomainSaveImageXmlFlags::empty()))?.to_string();
    let changed = xml.replace("<title>Another</title>", "<title>A third</title>");
    assert_ne!(changed, xml);
    run!(log, guest.managed_save_define_xml(changed, none))?;
    let xml = guest.managed_save_xml_desc(DomainSaveImageXmlFlags::empty()).await?.to_string();
    assert!(xml.contains("A third"), "{xml}");
    run!(log, guest.managed_save_remove())?;
    assert!(!guest.has_managed_save_image().await?);
    guest.create(DomainCreateFlags::empty()).await?;
    answers(&guest).await
}

async fn dumped(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    run!(log, guest.core_dump(host.text("core"), DomainCoreDumpFlags::empty()))?;
    assert!(std::fs::metadata(host.path("core"))?.len() > 100_000);
    let (raw, memory) = (DomainCoreDumpFormat::RAW, DomainCoreDumpFlags::MEMORY_ONLY);
    run!(log, guest.core_dump_with_format(host.text("elf"), raw, memory))?;
    assert!(std::fs::read(host.path("elf"))?.starts_with(b"\x7fELF"));
    assert_eq!(guest.info().await?.state, DomainState::RUNNING);
    Ok(())
}

/// What can be said about migrations without one.
async fn migration(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let job = run!(log, guest.job_info())?;
    assert_eq!(job.kind, DomainJobType::NONE);
    let stats = run!(log, guest.job_stats(DomainGetJobStatsFlags::COMPLETED))?;
    assert_eq!(stats.kind, DomainJobType::COMPLETED);
    let downtime = std::time::Duration::from_millis(400);
    run!(log, guest.migrate_set_max_downtime(downtime))?;
    assert_eq!(run!(log, guest.migrate_max_downtime())?, downtime);
    run!(log, guest.migrate_set_max_speed(77, DomainMigrateMaxSpeedFlags::empty()))?;
    assert_eq!(run!(log, guest.migrate_max_speed(DomainMigrateMaxSpeedFlags::empty()))?, 77);
    run!(log, guest.migrate_set_compression_cache(4 << 20))?;
    assert_eq!(run!(log, guest.migrate_compression_cache())?, 4 << 20);
    let error = guest.migrate_start_post_copy().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_INVALID), "{error}");
    run!(log, guest.start_dirty_rate_calc(Duration::from_secs(1), DomainDirtyRateCalcFlags::empty()))?;
    let error = guest.abort_job(DomainAbortJobFlags::empty()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_INVALID), "{error}");
    run!(log, guest.launch_security_info()).ok();
    run!(log, guest.set_launch_security_state(TypedParams::new().with("sev-secret", "x"))).ok();
    Ok(())
}
