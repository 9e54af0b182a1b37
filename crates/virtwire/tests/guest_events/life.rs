//! How a guest begins, sleeps, restarts, is saved and ends.

use crate::Scene;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use virtwire::enums::*;
use virtwire::flags::*;
use virtwire::proto::names::job;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{Chunk, Domain, DomainEvent, DomainEventDetail, Stream};
use virtwire_testbed::{Failed, SLEEP};

/// The event of a domain's life with this detail.
pub(crate) fn life(wanted: DomainEventType, code: i32) -> impl Fn(&DomainEvent) -> Option<()> {
    let wanted = (wanted, DomainEventDetail::new(wanted, code));
    move |event| match event {
        DomainEvent::Lifecycle { event, detail, .. } => ((*event, *detail) == wanted).then_some(()),
        _ => None,
    }
}

pub(crate) async fn begins(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let watch = &mut scene.watch;
    watch.wants("start", life(DomainEventType::STARTED, DomainEventStartedDetailType::BOOTED.0)).await?;
    let missing = scene.daemon.folder().join("missing.iso").display().to_string();
    let (old, new, device) = watch
        .wants("change of a disk", |event| match event {
            DomainEvent::DiskChange { old_source, new_source, device, reason, .. } => {
                assert_eq!(*reason, DomainEventDiskChangeReason::CHANGE_MISSING_ON_START);
                Some((old_source.clone(), new_source.clone(), device.to_string()))
            }
            _ => None,
        })
        .await?;
    assert_eq!((old.map(|path| path.to_string()), new, device.as_str()), (Some(missing), None, "ide0-1-1"));

    // The guest has opened its end of both channels.
    let by_guest = DomainEventAgentLifecycleReason::CHANNEL;
    watch.wants("agent", agent(DomainEventAgentLifecycleState::CONNECTED, by_guest)).await?;
    if watch.has(DomainEventId::CHANNEL_LIFECYCLE) {
        watch.wants("channel", channel(DomainEventChannelLifecycleState::CONNECTED)).await?;
    }
    let (kind, live) = (DomainMetadataType::DESCRIPTION, DomainModificationImpact::LIVE);
    scene.domain.set_metadata(kind, "A guest", None, None, live).await?;
    let told = watch.wants("metadata", |event| match event {
        DomainEvent::MetadataChange { kind, uri, .. } => Some((*kind, uri.clone())),
        _ => None,
    });
    assert_eq!(told.await?, (kind, None));
    Ok(())
}

fn agent(
    wanted: DomainEventAgentLifecycleState,
    why: DomainEventAgentLifecycleReason,
) -> impl Fn(&DomainEvent) -> Option<()> {
    move |event| match event {
        DomainEvent::AgentLifecycle { state, reason, .. } => {
            ((*state, *reason) == (wanted, why)).then_some(())
        }
        _ => None,
    }
}

fn channel(wanted: DomainEventChannelLifecycleState) -> impl Fn(&DomainEvent) -> Option<()> {
    move |event| match event {
        DomainEvent::ChannelLifecycle { channel, state, reason, .. } => {
            let by_guest = *reason == DomainEventChannelLifecycleReason::CHANNEL;
            (by_guest && *channel == "virtwire.channel" && *state == wanted).then_some(())
        }
        _ => None,
    }
}

pub(crate) async fn sleeps_and_restarts(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let (watch, domain) = (&mut scene.watch, &scene.domain);
    watch.forget();
    domain.suspend().await?;
    watch.wants("pause", life(DomainEventType::SUSPENDED, DomainEventSuspendedDetailType::PAUSED.0)).await?;
    domain.resume().await?;
    watch.wants("resuming", life(DomainEventType::RESUMED, DomainEventResumedDetailType::UNPAUSED.0)).await?;

    let mut console = console(domain).await?;
    console.send(vec![SLEEP]).await?;
    let suspended = watch.wants("sleep", |event| match event {
        DomainEvent::PmSuspend { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(suspended.await?, 0);
    let memory = DomainEventPmSuspendedDetailType::MEMORY.0;
    watch.wants("sleep", life(DomainEventType::PMSUSPENDED, memory)).await?;
    domain.pm_wakeup().await?;
    let woken = watch.wants("waking up", |event| match event {
        DomainEvent::PmWakeup { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(woken.await?, 0);
    watch.wants("waking up", life(DomainEventType::STARTED, DomainEventStartedDetailType::WAKEUP.0)).await?;
    drop(console);

    watch.forget();
    domain.reset().await?;
    watch.wants("restart", |event| matches!(event, DomainEvent::Reboot { .. }).then_some(())).await?;
    let by_guest = DomainEventAgentLifecycleReason::CHANNEL;
    watch.wants("agent's end", agent(DomainEventAgentLifecycleState::DISCONNECTED, by_guest)).await?;
    watch.wants("agent", agent(DomainEventAgentLifecycleState::CONNECTED, by_guest)).await?;
    if watch.has(DomainEventId::CHANNEL_LIFECYCLE) {
        watch.wants("channel's end", channel(DomainEventChannelLifecycleState::DISCONNECTED)).await?;
        watch.wants("channel", channel(DomainEventChannelLifecycleState::CONNECTED)).await?;
    }
    Ok(())
}

/// A copy of the disk is a job, and saving copies memory by passes.
pub(crate) async fn is_saved(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let (watch, domain) = (&mut scene.watch, &scene.domain);
    watch.forget();
    let copy = scene.daemon.folder().join("backup.qcow2");
    let xml = format!(
        "<domainbackup><disks><disk name='vda' type='file'><target file='{}'/></disk></disks></domainbackup>",
        copy.display()
    );
    domain.backup_begin(xml, None, DomainBackupBeginFlags::empty()).await?;
    let params = watch.wants("end of a job", |event| match event {
        DomainEvent::JobCompleted { params, .. } => Some(params.clone()),
        _ => None,
    });
    let params = params.await?;
    let operation = params.get_as(job::OPERATION)?.map(DomainJobOperation);
    assert_eq!(operation, Some(DomainJobOperation::BACKUP), "{params:?}");
    assert!(params.get_as::<u64>(job::DISK_TOTAL)?.is_some_and(|bytes| bytes > 0), "{params:?}");

    let file = scene.daemon.folder().join("saved").display().to_string();
    domain.save(&*file, None, DomainSaveRestoreFlags::empty()).await?;
    let iteration = watch.wants("pass", |event| match event {
        DomainEvent::MigrationIteration { iteration, .. } => Some(*iteration),
        _ => None,
    });
    // The first, or with newer hypervisors the first that is worth telling.
    assert!((1..=2).contains(&iteration.await?));
    watch.wants("end", life(DomainEventType::STOPPED, DomainEventStoppedDetailType::SAVED.0)).await?;
    scene.connection.domain_restore(&*file, None, DomainSaveRestoreFlags::empty()).await?;
    watch.wants("restart", life(DomainEventType::STARTED, DomainEventStartedDetailType::RESTORED.0)).await?;
    scene.hardware = crate::hardware::Hardware::open(&scene.daemon.folder().join("hardware")).await?;
    Ok(())
}

pub(crate) async fn ends(scene: &mut Scene<'_>) -> Result<(), Failed> {
    scene.watch.forget();
    // By the ACPI register that the guest itself sleeps with: to disk, which is its end.
    scene.hardware.out16(0x604, 0x2000 | 2 << 10).await?;
    let watch = &mut scene.watch;
    let suspended = watch.wants("sleep to disk", |event| match event {
        DomainEvent::PmSuspendDisk { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(suspended.await?, 0);
    let disk = DomainEventPmSuspendedDetailType::DISK.0;
    watch.wants("sleep to disk", life(DomainEventType::PMSUSPENDED, disk)).await?;
    let shutdown = DomainEventStoppedDetailType::SHUTDOWN.0;
    watch.wants("end", life(DomainEventType::STOPPED, shutdown)).await
}

/// The console of a guest that answers.
pub(crate) async fn console(domain: &Domain) -> Result<Stream, Failed> {
    let mut console = loop {
        // One that was dropped is given up a moment later.
        match domain.open_console(None, DomainConsoleFlags::empty()).await {
            Err(error) if error.code() == Some(ErrorNumber::OPERATION_FAILED) => {
                sleep(Duration::from_millis(20)).await;
            }
            other => break other?,
        }
    };
    for _ in 0..200 {
        console.send("=").await?;
        if let Ok(chunk) = timeout(Duration::from_millis(200), console.receive()).await {
            match chunk? {
                Some(Chunk::Data(bytes)) if bytes.contains(&b'=') => return Ok(console),
                Some(_) => {}
                None => return Err("the console has ended".into()),
            }
        }
    }
    Err("the guest does not answer on its console".into())
}
