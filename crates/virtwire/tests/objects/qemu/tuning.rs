//! A guest's processors, threads and shares.

use super::Host;
use crate::coverage::{Log, run};
use virtwire::proto::flags::*;
use virtwire::proto::names;
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire::{CpuSet, Domain};
use virtwire_testbed::Failed;

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let xml = host.guest("tuned", "raw", "")?;
    let guest = host.connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
    shares(log, &guest).await?;
    let guest = guest.create(DomainCreateFlags::empty()).await?;
    processors(log, &guest).await?;
    threads(log, &guest).await?;
    guest.destroy(DomainDestroyFlags::empty()).await?;
    guest.undefine(DomainUndefineFlags::empty()).await?;
    Ok(())
}

/// What is written down for the next start: without control groups, nothing of it can be had while the guest runs.
async fn shares(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let config = DomainModificationImpact::CONFIG;
    run!(log, guest.scheduler_type()).ok();
    let params = TypedParams::new().with(names::scheduler::CPU_SHARES, 2048_u64);
    run!(log, guest.set_scheduler_parameters(params, config))?;
    let params = run!(log, guest.scheduler_parameters(config))?;
    assert_eq!(params.get_as::<u64>(names::scheduler::CPU_SHARES)?, Some(2048), "{params:?}");
    let params = TypedParams::new().with(names::memory::HARD_LIMIT, 1_000_000_u64);
    run!(log, guest.set_memory_parameters(params, config))?;
    let params = run!(log, guest.memory_parameters(config))?;
    assert_eq!(params.get_as::<u64>(names::memory::HARD_LIMIT)?, Some(1_000_000), "{params:?}");
    guest.set_memory_parameters(TypedParams::new().with(names::memory::HARD_LIMIT, 0_u64), config).await.ok();
    let params = TypedParams::new().with(names::blkio::WEIGHT, 500_u32);
    run!(log, guest.set_blkio_parameters(params, config))?;
    let params = run!(log, guest.blkio_parameters(config))?;
    assert_eq!(params.get_as::<u32>(names::blkio::WEIGHT)?, Some(500), "{params:?}");
    guest.set_blkio_parameters(TypedParams::new().with(names::blkio::WEIGHT, 0_u32), config).await?;
    run!(log, guest.set_numa_parameters(TypedParams::new().with(names::numa::NODESET, "0"), config))?;
    let params = run!(log, guest.numa_parameters(config))?;
    assert_eq!(params.get_as::<&str>(names::numa::NODESET)?, Some("0"), "{params:?}");
    run!(log, guest.set_perf_events(TypedParams::new().with("cpu_clock", true), config))?;
    let events = run!(log, guest.perf_events(config))?;
    assert_eq!(events.get_as::<bool>("cpu_clock")?, Some(true), "{events:?}");
    guest.set_perf_events(TypedParams::new().with("cpu_clock", false), config).await?;
    run!(log, guest.security_label()).ok();
    run!(log, guest.security_label_list()).ok();
    Ok(())
}

async fn processors(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let live = DomainModificationImpact::LIVE;
    assert_eq!(run!(log, guest.max_vcpus())?, 2);
    assert_eq!(run!(log, guest.vcpus_flags(DomainVcpuFlags::LIVE))?, 1);
    run!(log, guest.set_vcpus(2))?;
    assert_eq!(guest.vcpus_flags(DomainVcpuFlags::LIVE).await?, 2);
    run!(log, guest.set_vcpus_flags(1, DomainVcpuFlags::CONFIG))?;
    assert_eq!(guest.vcpus_flags(DomainVcpuFlags::CONFIG).await?, 1);
    run!(log, guest.set_vcpu(&CpuSet::from_iter([1]), true, DomainSetVcpuFlags::AFFECT_CONFIG)).ok();

    let first = CpuSet::from_iter([0]);
    run!(log, guest.pin_vcpu(0, &first))?;
    run!(log, guest.pin_vcpu_flags(1, &first, live))?;
    let vcpus = run!(log, guest.vcpus())?;
    assert_eq!(vcpus.len(), 2);
    assert!(vcpus.iter().all(|vcpu| vcpu.affinity == first), "{vcpus:?}");
    assert_eq!(run!(log, guest.vcpu_pin_info(live))?, [first.clone(), first.clone()]);
    run!(log, guest.pin_emulator(&first, live))?;
    assert_eq!(run!(log, guest.emulator_pin_info(live))?, first);
    run!(log, guest.cpu_stats_total()).ok();
    run!(log, guest.cpu_stats_count()).ok();
    run!(log, guest.cpu_stats(0..1)).ok();
    Ok(())
}

async fn threads(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let live = DomainModificationImpact::LIVE;
    run!(log, guest.add_io_thread(7, live))?;
    let threads = run!(log, guest.io_thread_info(live))?;
    let mut numbers: Vec<_> = threads.iter().map(|thread| thread.id).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 7]);
    let first = CpuSet::from_iter([0]);
    run!(log, guest.pin_io_thread(7, &first, live))?;
    let threads = guest.io_thread_info(live).await?;
    assert!(threads.iter().any(|thread| thread.id == 7 && thread.affinity == first), "{threads:?}");
    let params = TypedParams::new().with(names::iothread::POLL_GROW, 4_u32);
    run!(log, guest.set_io_thread_params(7, params, live))?;
    run!(log, guest.del_io_thread(7, live))?;
    assert_eq!(guest.io_thread_info(live).await?.len(), 1);
    Ok(())
}
