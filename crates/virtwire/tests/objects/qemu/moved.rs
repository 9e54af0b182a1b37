//! Guests that move between two daemons: by the client, by the daemons, and with the second half of their memory later.

use super::{Host, answers, until};
use crate::coverage::{Log, run};
use std::fs::File;
use std::io::{self, Read};
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::names::job;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{Domain, MigrateParams};
use virtwire_testbed::Failed;

use DomainMigrateFlags as F;

/// Where to send memory: the port is the destination's choice.
const TCP: &str = "tcp://127.0.0.1";

pub(super) async fn run(log: &Log, here: &Host, there: &Host) -> Result<(), Failed> {
    let (from, to) = (&here.connection, &there.connection);
    // So much of its memory is not zero that it takes a while to move.
    let mut random = File::open("/dev/urandom")?.take(16 << 20);
    io::copy(&mut random, &mut File::create(here.path("ballast"))?)?;
    let xml =
        here.guest("mover", "raw", "")?.replace("<source file", "<source startupPolicy='optional' file");
    let loader = format!(
        "<qemu:commandline><qemu:arg value='-device'/><qemu:arg value='loader,file={},addr=0x400000,force-raw=on'/>\
         </qemu:commandline></domain>",
        here.text("ballast")
    );
    let xml = xml
        .replace(
            "<domain type='qemu'>",
            "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>",
        )
        .replace("</domain>", &loader);
    let guest = from.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    answers(&guest).await?;

    let params = MigrateParams::new().uri(TCP);
    let moved = run!(log, guest.migrate(to, params.clone(), F::LIVE | F::UNSAFE))?;
    assert!(!guest.is_active().await.is_ok_and(|active| active));
    answers(&moved).await?;

    // Back again, the daemon there talking to the one here.
    let back = from.uri();
    run!(log, moved.migrate_to_uri(back, params, F::LIVE | F::UNSAFE | F::PEER2PEER))?;
    let guest = from.domain_lookup_by_name("mover").await?;
    answers(&guest).await?;

    // Slowly, until it is told to run there at once.
    let slow = MigrateParams::new().uri(TCP).bandwidth(1);
    let moving = guest.migrate(to, slow, F::LIVE | F::UNSAFE | F::POSTCOPY);
    let (moved, steered) = tokio::join!(moving, steer(log, &guest));
    steered?;
    let moved = moved?;
    answers(&moved).await?;
    assert_eq!(from.list_all_domains(ListAllDomainsFlags::ACTIVE).await?, []);
    moved.destroy(DomainDestroyFlags::empty()).await?;
    Ok(())
}

async fn steer(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    until("memory is on its way", async || {
        let stats = run!(log, guest.job_stats(DomainGetJobStatsFlags::empty()))?;
        let sent = stats.params.get_as::<u64>(job::MEMORY_PROCESSED)?;
        Ok(sent.is_some_and(|bytes| bytes > 0).then_some(stats.kind))
    })
    .await
    .map(|kind| assert_eq!(kind, DomainJobType::UNBOUNDED))?;
    Ok(run!(log, guest.migrate_start_post_copy())?)
}
