//! What disks have to tell.

use crate::Scene;
use crate::devices::qemu_img;
use crate::life::{console, life};
use std::path::Path;
use virtwire::enums::*;
use virtwire::flags::*;
use virtwire::proto::names::{block_io_tune, tunable};
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire::{DomainEvent, Text};
use virtwire_testbed::{Failed, WRITE, make_guest_disk, run};

pub(crate) async fn threshold_tuning_and_tray(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let (watch, domain) = (&mut scene.watch, &scene.domain);
    let mut console = console(domain).await?;
    domain.set_block_threshold("vda", 1).await?;
    console.send(vec![WRITE]).await?;
    let top = scene.daemon.folder().join("top.qcow2").display().to_string();
    let (threshold, excess) = watch
        .wants("threshold", |event| match event {
            DomainEvent::BlockThreshold { device, path, threshold, excess, .. } if *device == "vda" => {
                assert_eq!(path.as_ref().map(ToString::to_string), Some(top.clone()));
                Some((*threshold, *excess))
            }
            _ => None,
        })
        .await?;
    assert_eq!(threshold, 1);
    assert!(excess > 0);

    let params = TypedParams::new().with(block_io_tune::TOTAL_BYTES_SEC, 50_000_000_u64);
    domain.set_block_io_tune("vda", params, DomainModificationImpact::LIVE).await?;
    let params = watch
        .wants("tuning", |event| match event {
            DomainEvent::Tunable { params, .. } => Some(params.clone()),
            _ => None,
        })
        .await?;
    assert_eq!(params.get_as::<&str>(tunable::BLKDEV_DISK)?, Some("vda"));
    assert_eq!(params.get_as::<u64>(tunable::BLKDEV_TOTAL_BYTES_SEC)?, Some(50_000_000));

    // The medium goes, and comes.
    let source = scene.daemon.folder().join("cd.iso").display().to_string();
    for (source, expected) in [
        (String::new(), DomainEventTrayChangeReason::OPEN),
        (format!("<source file='{source}'/>"), DomainEventTrayChangeReason::CLOSE),
    ] {
        watch.forget();
        let xml = format!(
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>{source}\
             <target dev='hdc' bus='ide'/><readonly/></disk>"
        );
        domain.update_device_flags(xml, DomainDeviceModifyFlags::LIVE).await?;
        let device = watch.wants(expected, |event| match event {
            DomainEvent::TrayChange { device, reason, .. } if *reason == expected => Some(device.to_string()),
            _ => None,
        });
        assert_eq!(device.await?, "ide0-1-0");
    }
    Ok(())
}

/// Each is told twice: by the disk's source, and by its target.
pub(crate) async fn jobs(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let domain = scene.domain.clone();
    let top = scene.daemon.folder().join("top.qcow2").display().to_string();
    domain.block_pull("vda", 0, DomainBlockPullFlags::empty()).await?;
    let pull = DomainBlockJobType::PULL;
    told(scene, pull, DomainEventBlockJobStatus::COMPLETED, Some(&top)).await?;

    let copy = scene.daemon.folder().join("copy.raw").display().to_string();
    let xml = format!("<disk type='file'><driver type='raw'/><source file='{copy}'/></disk>");
    domain.block_copy("vda", xml, TypedParams::new(), DomainBlockCopyFlags::TRANSIENT_JOB).await?;
    let kind = DomainBlockJobType::COPY;
    told(scene, kind, DomainEventBlockJobStatus::READY, Some(&top)).await?;
    domain.block_job_abort("vda", DomainBlockJobAbortFlags::empty()).await?;
    told(scene, kind, DomainEventBlockJobStatus::CANCELED, None).await
}

async fn told(
    scene: &mut Scene<'_>,
    expected: DomainBlockJobType,
    becomes: DomainEventBlockJobStatus,
    path: Option<&str>,
) -> Result<(), Failed> {
    let source: Text = scene
        .watch
        .wants(format!("{expected} {becomes}"), |event| match event {
            DomainEvent::BlockJob { source, kind, status, .. } => {
                ((*kind, *status) == (expected, becomes)).then(|| source.clone())
            }
            _ => None,
        })
        .await?;
    if let Some(path) = path {
        assert_eq!(source.to_string(), path);
    }
    let target = scene.watch.wants(format!("{expected} {becomes}"), |event| match event {
        DomainEvent::BlockJob2 { target, kind, status, .. } => {
            ((*kind, *status) == (expected, becomes)).then(|| target.clone())
        }
        _ => None,
    });
    assert_eq!(target.await?, "vda");
    Ok(())
}

/// Guests whose disks lie where no room is left.
pub(crate) async fn are_full(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let folder = scene.daemon.folder().join("full");
    std::fs::create_dir(&folder)?;
    // A small file system that the daemon alone sees, full but for what is there.
    let boot = scene.daemon.folder().join("small.raw");
    make_guest_disk(scene.testbed.root(), &boot, "raw")?;
    let small = scene.daemon.folder().join("small.qcow2");
    qemu_img(
        scene.testbed,
        &["convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4096"],
        &[&boot, &small],
    )?;
    // In the system of the daemon's, where it is a chroot: /tmp is the machine's there, and so is the folder.
    let script = format!(
        "set -e; mount -t tmpfs -o size=1m tmpfs {0}; cp {1} {0}/disk.qcow2; \
         dd if=/dev/zero of={0}/ballast bs=4096 2>/dev/null || true",
        folder.display(),
        small.display()
    );
    let pid = scene.daemon.pid().to_string();
    let mut enter = std::process::Command::new("nsenter");
    // The root, too: this may be a chroot within that namespace.
    enter.args(["--target", &pid, "--mount", "--root"]);
    run(enter.args(["--", "/bin/sh", "-c", &script]))?;
    let disk = folder.join("disk.qcow2");
    for (policy, action) in [
        ("enospace", DomainEventIoErrorAction::PAUSE),
        ("report", DomainEventIoErrorAction::REPORT),
        ("ignore", DomainEventIoErrorAction::NONE),
    ] {
        is_full(scene, &disk, policy, action).await?;
    }
    Ok(())
}

async fn is_full(
    scene: &mut Scene<'_>,
    disk: &Path,
    policy: &str,
    expected: DomainEventIoErrorAction,
) -> Result<(), Failed> {
    let path = disk.display().to_string();
    let xml = format!(
        "<domain type='qemu'><name>full</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='pc'>hvm</type></os>\
         <devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' error_policy='{policy}'/>\
         <source file='{path}'/><target dev='vda' bus='virtio'/></disk>\
         <serial type='pty'/><memballoon model='none'/></devices></domain>"
    );
    let domain = scene.connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    scene.watch.forget();
    scene.watch.of(&domain);
    let mut console = console(&domain).await?;
    console.send(vec![WRITE]).await?;
    let watch = &mut scene.watch;
    let plain = watch.wants("failure of a disk", |event| match event {
        DomainEvent::IoError { source, device, action, .. } => {
            assert_eq!((source.to_string(), device.to_string().as_str()), (path.clone(), "virtio-disk0"));
            Some(*action)
        }
        _ => None,
    });
    assert_eq!(plain.await?, expected);
    let reasoned = watch.wants("failure of a disk with its reason", |event| match event {
        DomainEvent::IoErrorReason { source, action, reason, .. } => {
            assert_eq!(source.to_string(), path);
            Some((*action, reason.to_string()))
        }
        _ => None,
    });
    let (action, reason) = reasoned.await?;
    assert_eq!(action, expected);
    // Only where it matters, says an old daemon.
    if expected == DomainEventIoErrorAction::PAUSE {
        assert_eq!(reason, "enospc");
        let io_error = DomainEventSuspendedDetailType::IOERROR.0;
        watch.wants("pause", life(DomainEventType::SUSPENDED, io_error)).await?;
    }
    domain.destroy(DomainDestroyFlags::empty()).await?;
    let destroyed = DomainEventStoppedDetailType::DESTROYED.0;
    watch.wants("end", life(DomainEventType::STOPPED, destroyed)).await
}
