//! A migration while it runs: what is told of it, and what changes it.

use crate::lab::{Hosts, Lab, Side, TCP, under_way};
use std::time::Duration;
use tokio::time::timeout;
use virtwire::enums::*;
use virtwire::flags::*;
use virtwire::proto::names::job;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{Domain, DomainEvent, MigrateParams, Subscription};
use virtwire_testbed::{Failed, Testbed};

use DomainMigrateFlags as F;

const EVENTS: [DomainEventId; 3] =
    [DomainEventId::LIFECYCLE, DomainEventId::MIGRATION_ITERATION, DomainEventId::JOB_COMPLETED];

pub(crate) fn it_is_watched_and_steered_on_its_way(testbed: &Testbed) -> Result<(), Failed> {
    let lab = Lab::start(testbed)?;
    lab.run(async |hosts| {
        is_told_on_both_sides(&hosts).await?;
        is_slowed_down_and_sped_up(&hosts).await?;
        goes_on_at_the_destination(&hosts).await?;
        is_given_up(&hosts).await
    })
}

async fn is_told_on_both_sides(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let mut here = hosts.from.domain_events(EVENTS).await?;
    let mut there = hosts.to.domain_events(EVENTS).await?;
    let guest = hosts.guest("told").await?;
    assert_eq!(until(&mut here, "STARTED").await?, ["RESUMED UNPAUSED", "STARTED BOOTED"]);
    guest.migrate(&hosts.to, MigrateParams::new().uri(TCP), F::LIVE).await?;

    let told = until(&mut here, "job done").await?;
    let (iterations, mut rest): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|event| event.starts_with("pass "));
    // Newer hypervisors say how they end, too.
    rest.retain(|event| event != "SHUTDOWN HOST");
    assert_eq!(rest, ["SUSPENDED MIGRATED", "STOPPED MIGRATED", "job done"]);
    // The first pass takes all of the memory, and each one more what was changed meanwhile. Newer hypervisors do not tell
    // of the first.
    let numbers: Vec<i32> = iterations.iter().map(|event| event[5..].parse()).collect::<Result<_, _>>()?;
    assert!(matches!(numbers[..], [1 | 2, ..]), "{numbers:?}");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let told = until(&mut there, "RESUMED").await?;
    assert_eq!(told.last().map(String::as_str), Some("RESUMED MIGRATED"));
    assert_eq!(told.first().map(String::as_str), Some("STARTED MIGRATED"));
    hosts.lives(Side::Destination, "told", DomainState::RUNNING).await
}

/// What is told until a domain's life takes this turn.
async fn until(events: &mut Subscription<DomainEvent>, turn: &str) -> Result<Vec<String>, Failed> {
    let mut told = Vec::new();
    while !told.last().is_some_and(|event: &String| event.starts_with(turn)) {
        let event = timeout(Duration::from_secs(20), events.next()).await;
        let event = event.map_err(|_| format!("no more events: {told:?}"))?.ok_or("the events' end")??;
        told.push(match event {
            DomainEvent::Lifecycle { event, detail, .. } => format!("{event} {detail}"),
            DomainEvent::MigrationIteration { iteration, .. } => format!("pass {iteration}"),
            DomainEvent::JobCompleted { params, .. } => {
                let operation = DomainJobOperation(params.get_as(job::OPERATION)?.ok_or("an operation")?);
                assert_eq!(operation, DomainJobOperation::MIGRATION_OUT);
                assert!(
                    params.get_as::<u64>(job::MEMORY_PROCESSED)?.is_some_and(|bytes| bytes > 0),
                    "{params:?}"
                );
                "job done".to_owned()
            }
            other => return Err(format!("{other:?}").into()),
        });
    }
    Ok(told)
}

async fn is_slowed_down_and_sped_up(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let none = DomainMigrateMaxSpeedFlags::empty();
    let guest = hosts.guest("steered").await?;
    // Before it runs.
    guest.migrate_set_max_speed(1, none).await?;
    assert_eq!(guest.migrate_max_speed(none).await?, 1);
    let postcopy = DomainMigrateMaxSpeedFlags::POSTCOPY;
    guest.migrate_set_max_speed(77, postcopy).await?;
    assert_eq!(guest.migrate_max_speed(postcopy).await?, 77);

    let migrating = hosts.begin(&guest, MigrateParams::new().uri(TCP), F::LIVE);
    under_way(&guest).await?;
    // While it runs.
    guest.migrate_set_max_downtime(Duration::from_millis(1234)).await?;
    assert_eq!(guest.migrate_max_downtime().await?, Duration::from_millis(1234));
    guest.migrate_set_compression_cache(16 << 20).await?;
    assert_eq!(guest.migrate_compression_cache().await?, 16 << 20);
    let none_yet = guest.job_stats(DomainGetJobStatsFlags::COMPLETED).await?;
    assert_eq!(none_yet.kind, DomainJobType::NONE);
    let stats = guest.job_stats(DomainGetJobStatsFlags::empty()).await?;
    assert_eq!(stats.kind, DomainJobType::UNBOUNDED);
    let operation = stats.params.get_as(job::OPERATION)?.map(DomainJobOperation);
    assert_eq!(operation, Some(DomainJobOperation::MIGRATION_OUT));
    let amount = |name| stats.params.get_as::<u64>(name).ok().flatten().unwrap_or_default();
    assert!(amount(job::MEMORY_TOTAL) >= 40 << 20, "{stats:?}");
    assert!(amount(job::MEMORY_REMAINING) > 0 && amount(job::MEMORY_PROCESSED) > 0, "{stats:?}");
    let info = guest.job_info().await?;
    assert_eq!((info.kind, info.memory.total), (DomainJobType::UNBOUNDED, amount(job::MEMORY_TOTAL)));
    assert!(!migrating.is_finished());
    guest.migrate_set_max_speed(1000, none).await?;
    assert_eq!(guest.migrate_max_speed(none).await?, 1000);

    let there = migrating.await??;
    let stats =
        there.job_stats(DomainGetJobStatsFlags::COMPLETED | DomainGetJobStatsFlags::KEEP_COMPLETED).await?;
    assert_eq!(stats.kind, DomainJobType::COMPLETED, "{stats:?}");
    assert!(
        stats.params.get_as::<u64>(job::MEMORY_TOTAL)?.is_some_and(|bytes| bytes >= 40 << 20),
        "{stats:?}"
    );
    assert!(stats.params.get_as::<u64>(job::DOWNTIME)?.is_some(), "{stats:?}");
    hosts.lives(Side::Destination, "steered", DomainState::RUNNING).await
}

/// Post-copy: the guest runs there before its memory is.
async fn goes_on_at_the_destination(hosts: &Hosts<'_>) -> Result<(), Failed> {
    let mut here = hosts.from.domain_events(DomainEventId::LIFECYCLE).await?;
    let mut there = hosts.to.domain_events(DomainEventId::LIFECYCLE).await?;
    let guest = hosts.guest("postcopy").await?;
    // Else all of it may be there before the daemon looks, which then calls it an ordinary migration.
    guest.migrate_set_max_speed(4, DomainMigrateMaxSpeedFlags::POSTCOPY).await?;
    let migrating = hosts.begin_slowly(&guest, F::POSTCOPY).await?;
    guest.migrate_start_post_copy().await?;
    migrating.await??;
    let told = until(&mut here, "STOPPED").await?;
    assert!(told.contains(&"SUSPENDED POSTCOPY".to_owned()), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("STOPPED MIGRATED"));
    let told = until(&mut there, "RESUMED MIGRATED").await?;
    assert!(told.contains(&"RESUMED POSTCOPY".to_owned()), "{told:?}");
    hosts.lives(Side::Destination, "postcopy", DomainState::RUNNING).await
}

async fn is_given_up(hosts: &Hosts<'_>) -> Result<(), Failed> {
    // By whoever asks for it.
    let mut there = hosts.to.domain_events(DomainEventId::LIFECYCLE).await?;
    let guest = hosts.guest("given-up").await?;
    let migrating = hosts.begin_slowly(&guest, F::empty()).await?;
    guest.abort_job(DomainAbortJobFlags::empty()).await?;
    let error = migrating.await?.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_ABORTED), "{error}");
    let told = until(&mut there, "STOPPED").await?;
    assert_eq!(told.last().map(String::as_str), Some("STOPPED FAILED"), "{told:?}");
    hosts.lives(Side::Source, "given-up", DomainState::RUNNING).await?;

    // By dropping it.
    let guest = hosts.guest("dropped").await?;
    let migrating = hosts.begin_slowly(&guest, F::empty()).await?;
    migrating.abort();
    hosts.lives(Side::Source, "dropped", DomainState::RUNNING).await?;
    // Before memory travels, too, at whatever step it is.
    for wait in [0, 5, 50, 150] {
        let guest: Domain = hosts.guest("dropped").await?;
        let params = MigrateParams::new().uri(TCP).bandwidth(1);
        let migrating = guest.migrate(&hosts.to, params, F::LIVE);
        assert!(timeout(Duration::from_millis(wait), migrating).await.is_err());
        hosts.lives(Side::Source, "dropped", DomainState::RUNNING).await?;
    }
    Ok(())
}
