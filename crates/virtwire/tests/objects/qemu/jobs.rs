//! What takes its time with a guest's disks: copies, commits, pulls, snapshots, checkpoints, backups.

use super::{Host, LIMIT, answers, until};
use crate::coverage::{Log, run};
use std::io::Read;
use std::os::unix::net::UnixStream;
use virtwire::Domain;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::typed_params::TypedParams;
use virtwire_testbed::{Failed, boot_sector};

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let xml = host.guest("jobs", "qcow2", "")?;
    let guest = host.connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
    let guest = guest.create(DomainCreateFlags::empty()).await?;
    answers(&guest).await?;
    snapshots(log, &guest).await?;
    checkpoints(log, host, &guest).await?;
    overlays(log, host, &guest).await?;
    copies(log, host, &guest).await?;
    // After all of that the guest still has its disk.
    answers(&guest).await?;
    guest.destroy(DomainDestroyFlags::GRACEFUL).await?;
    let left = DomainUndefineFlags::SNAPSHOTS_METADATA | DomainUndefineFlags::CHECKPOINTS_METADATA;
    guest.undefine(left).await?;
    Ok(())
}

/// Snapshots within the image, with the guest's memory.
async fn snapshots(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let (create, list) = (DomainSnapshotCreateFlags::empty(), DomainSnapshotListFlags::empty());
    let xml = |name: &str| format!("<domainsnapshot><name>{name}</name></domainsnapshot>");
    assert!(!run!(log, guest.has_current_snapshot())?);
    let first = run!(log, guest.snapshot_create_xml(xml("first"), create))?;
    let second = guest.snapshot_create_xml(xml("second"), create).await?;
    assert_eq!(run!(log, guest.snapshot_num(list))?, 2);
    assert_eq!(run!(log, guest.snapshot_list_names(list))?.len(), 2);
    assert_eq!(run!(log, guest.list_all_snapshots(list))?.len(), 2);
    assert_eq!(run!(log, guest.snapshot_lookup_by_name("first"))?, first);
    assert_eq!(run!(log, guest.snapshot_current())?, second);
    assert_eq!(run!(log, second.parent())?, first);
    assert_eq!(run!(log, first.num_children(list))?, 1);
    assert_eq!(run!(log, first.list_children_names(list))?, ["second"]);
    assert_eq!(run!(log, first.list_all_children(list))?, std::slice::from_ref(&second));
    let shown = run!(log, first.xml_desc(DomainSnapshotXmlFlags::empty()))?.to_string();
    assert!(shown.contains("<memory snapshot='internal'/>"), "{shown}");
    assert!(run!(log, second.is_current())? && run!(log, first.has_metadata())?);
    run!(log, first.revert(DomainSnapshotRevertFlags::RUNNING))?;
    assert!(first.is_current().await?);
    assert_eq!(guest.info().await?.state, DomainState::RUNNING);
    run!(log, first.delete(DomainSnapshotDeleteFlags::CHILDREN))?;
    assert_eq!(guest.snapshot_num(list).await?, 0);
    Ok(())
}

async fn checkpoints(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let xml = |name: &str| format!("<domaincheckpoint><name>{name}</name></domaincheckpoint>");
    let (create, list) = (DomainCheckpointCreateFlags::empty(), DomainCheckpointListFlags::empty());
    let first = run!(log, guest.checkpoint_create_xml(xml("first"), create))?;
    let second = guest.checkpoint_create_xml(xml("second"), create).await?;
    assert_eq!(run!(log, guest.list_all_checkpoints(list))?.len(), 2);
    assert_eq!(run!(log, guest.checkpoint_lookup_by_name("second"))?, second);
    assert_eq!(run!(log, second.parent())?, first);
    assert_eq!(run!(log, first.list_all_children(list))?, std::slice::from_ref(&second));
    let shown = run!(log, first.xml_desc(DomainCheckpointXmlFlags::empty()))?.to_string();
    assert!(shown.contains("checkpoint='bitmap'"), "{shown}");

    // To be pulled from a socket, for as long as it takes.
    let socket = host.text("nbd");
    let pull = format!(
        "<domainbackup mode='pull'><incremental>first</incremental><server transport='unix' socket='{socket}'/>\
         <disks><disk name='vda' backup='yes' type='file'><scratch file='{}'/></disk></disks></domainbackup>",
        host.text("scratch")
    );
    run!(log, guest.backup_begin(pull, None, DomainBackupBeginFlags::empty()))?;
    let shown = run!(log, guest.backup_xml_desc())?.to_string();
    assert!(shown.contains("mode='pull'") && shown.contains("<incremental>first<"), "{shown}");
    let job = run!(log, guest.job_info())?;
    assert_eq!(job.kind, DomainJobType::UNBOUNDED);
    assert_eq!(run!(log, guest.job_stats(DomainGetJobStatsFlags::empty()))?.kind, DomainJobType::UNBOUNDED);
    let mut server = UnixStream::connect(host.path("nbd"))?;
    server.set_read_timeout(Some(LIMIT))?;
    let mut magic = [0; 16];
    server.read_exact(&mut magic)?;
    assert_eq!(&magic, b"NBDMAGICIHAVEOPT");
    drop(server);
    run!(log, guest.abort_job(DomainAbortJobFlags::empty()))?;
    until("the backup has ended", async || {
        Ok((guest.job_info().await?.kind == DomainJobType::NONE).then_some(()))
    })
    .await?;

    // To be pushed to a file, with a checkpoint made at the same moment.
    let push = format!(
        "<domainbackup mode='push'><disks><disk name='vda' backup='yes' type='file'><target file='{}'/>\
         <driver type='raw'/></disk></disks></domainbackup>",
        host.text("pushed")
    );
    guest.backup_begin(push, xml("third"), DomainBackupBeginFlags::empty()).await?;
    until("the backup is complete", async || {
        Ok((guest.job_info().await?.kind == DomainJobType::NONE).then_some(()))
    })
    .await?;
    let pushed = std::fs::read(host.path("pushed"))?;
    assert_eq!((pushed.len(), &pushed[..512]), (1 << 20, &boot_sector()[..]));
    assert_eq!(guest.checkpoint_lookup_by_name("third").await?.parent().await?, second);
    run!(log, first.delete(DomainCheckpointDeleteFlags::CHILDREN))?;
    assert_eq!(guest.list_all_checkpoints(list).await?, []);
    Ok(())
}

/// Images on top of the disk, and the ways to be rid of them.
async fn overlays(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let put = async |name: &str| -> Result<(), Failed> {
        let xml = format!(
            "<domainsnapshot><name>{name}</name><disks><disk name='vda' snapshot='external'>\
             <source file='{}'/></disk></disks></domainsnapshot>",
            host.text(name)
        );
        let flags = DomainSnapshotCreateFlags::DISK_ONLY
            | DomainSnapshotCreateFlags::ATOMIC
            | DomainSnapshotCreateFlags::NO_METADATA;
        guest.snapshot_create_xml(xml, flags).await?;
        assert!(source(&guest).await?.ends_with(&format!("/{name}")));
        Ok(())
    };
    put("overlay1").await?;
    let active = DomainBlockCommitFlags::ACTIVE;
    run!(log, guest.block_commit("vda", None, None, 0, active))?;
    until_ready(&guest).await?;
    run!(log, guest.block_job_abort("vda", DomainBlockJobAbortFlags::PIVOT))?;
    assert!(source(&guest).await?.ends_with("/jobs.qcow2"));

    put("overlay2").await?;
    run!(log, guest.block_pull("vda", 0, DomainBlockPullFlags::empty()))?;
    until_ended(log, &guest).await?;
    put("overlay3").await?;
    run!(log, guest.block_rebase("vda", None, 0, DomainBlockRebaseFlags::empty()))?;
    until_ended(log, &guest).await?;
    let shown = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
    assert!(!shown.contains("overlay2") && shown.contains("overlay3"), "{shown}");
    Ok(())
}

async fn copies(log: &Log, host: &Host, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let copy = |name: &str| {
        format!("<disk type='file'><driver type='qcow2'/><source file='{}'/></disk>", host.text(name))
    };
    let transient = DomainBlockCopyFlags::TRANSIENT_JOB;
    // So slow that it is still at it when it is looked at.
    let slow = TypedParams::new().with(virtwire::proto::names::block_copy::BANDWIDTH, 1_u64 << 16);
    run!(log, guest.block_copy("vda", copy("copy1"), slow, transient))?;
    let job = run!(log, guest.block_job_info("vda", DomainBlockJobInfoFlags::BANDWIDTH_BYTES))?;
    assert_eq!(job.ok_or("a job")?.kind, DomainBlockJobType::COPY);
    let bytes = DomainBlockJobSetSpeedFlags::BANDWIDTH_BYTES;
    run!(log, guest.block_job_set_speed("vda", 1 << 30, bytes))?;
    let faster = guest.block_job_info("vda", DomainBlockJobInfoFlags::BANDWIDTH_BYTES).await?;
    assert_eq!(faster.ok_or("a job")?.bandwidth, 1 << 30);
    guest.block_job_abort("vda", DomainBlockJobAbortFlags::empty()).await?;
    assert!(source(&guest).await?.ends_with("/overlay3"));

    guest.block_copy("vda", copy("copy2"), TypedParams::new(), transient).await?;
    until_ready(&guest).await?;
    guest.block_job_abort("vda", DomainBlockJobAbortFlags::PIVOT).await?;
    assert!(source(&guest).await?.ends_with("/copy2"));
    Ok(())
}

/// The file that the guest's disk is at the moment.
async fn source(guest: &Domain) -> Result<String, Failed> {
    let xml = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
    let file = xml.split_once("<source file='").and_then(|(_, rest)| rest.split_once('\''));
    Ok(file.ok_or_else(|| format!("no disk in {xml}"))?.0.to_owned())
}

/// Waits until a job has nothing left to copy, and only mirrors what is written.
async fn until_ready(guest: &Domain) -> Result<(), Failed> {
    until("the job is ready", async || {
        let xml = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
        Ok(xml.contains("ready='yes'").then_some(()))
    })
    .await
}

async fn until_ended(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    until("the job has ended", async || {
        let job = run!(log, guest.block_job_info("vda", DomainBlockJobInfoFlags::empty()))?;
        Ok(job.is_none().then_some(()))
    })
    .await
}
