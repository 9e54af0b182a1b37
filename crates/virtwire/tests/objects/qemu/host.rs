//! What QEMU's driver says of its host.

use crate::coverage::{Log, run};
use std::fs;
use virtwire::Connection;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire_testbed::Failed;

pub(super) async fn run(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    assert_eq!(run!(log, connection.hypervisor_type())?, "QEMU");
    assert!(run!(log, connection.version())?.major >= 7);
    assert!(run!(log, connection.max_vcpus("qemu"))? > 1);
    assert!(run!(log, connection.capabilities())?.to_string().contains("<domain type='qemu'/>"));
    let node = run!(log, connection.node_info())?;
    assert!(node.memory > 0 && node.cpus > 0, "{node:?}");
    assert!(run!(log, connection.node_cpu_map())?.online.len() as u32 <= node.cpus);
    assert!(run!(log, connection.node_free_memory())? > 0);
    assert_eq!(run!(log, connection.node_cells_free_memory(0, 1))?.len(), 1);
    let stats = run!(log, connection.node_cpu_stats(None))?;
    assert!(stats.kernel().is_some(), "{stats:?}");
    let stats = run!(log, connection.node_memory_stats(None))?;
    assert!(stats.total().is_some_and(|total| total > 0), "{stats:?}");
    pages(log, &connection).await?;
    run!(log, connection.node_security_model())?;
    run!(log, connection.node_sev_info()).ok();
    run!(log, connection.sysinfo()).ok();
    models(log, &connection).await
}

/// What the machine has of huge pages and of merging pages. Nothing is changed: it is told what it is.
async fn pages(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    assert!(run!(log, connection.node_free_pages(&[4], Some(0..1)))?[0][0] > 0);
    if let Ok(count) = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages") {
        let count = count.trim().parse()?;
        run!(log, connection.node_alloc_pages(&[(2048, count)], Some(0..1), NodeAllocPagesFlags::SET)).ok();
    }
    if let Ok(params) = run!(log, connection.node_memory_parameters()) {
        let name = virtwire::proto::names::node_memory::SHARED_PAGES_TO_SCAN;
        if let Some(count) = params.get_as::<u32>(name)? {
            run!(log, connection.node_set_memory_parameters(TypedParams::new().with(name, count))).ok();
        }
    }
    Ok(())
}

async fn models(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    assert!(run!(log, connection.cpu_model_names("x86_64"))?.iter().any(|name| *name == "qemu64"));
    let none = GetDomainCapabilitiesFlags::empty();
    let xml = run!(log, connection.domain_capabilities(None, None, None, "qemu", none))?;
    assert!(xml.to_string().contains("<domainCapabilities>"), "{xml}");
    let cpu = "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>";
    let compare = CompareCpuFlags::empty();
    run!(log, connection.compare_cpu("<cpu><arch>x86_64</arch><model>qemu64</model></cpu>", compare)).ok();
    let compared = run!(log, connection.compare_hypervisor_cpu(None, None, None, "qemu", cpu, compare))?;
    assert_ne!(compared, CpuCompareResult::ERROR);
    let baseline = BaselineCpuFlags::empty();
    let cpus = ["<cpu><arch>x86_64</arch><model>qemu64</model></cpu>"; 2];
    let xml = run!(log, connection.baseline_hypervisor_cpu(None, None, None, "qemu", cpus, baseline))?;
    assert!(xml.to_string().contains("<model"), "{xml}");
    run!(log, connection.baseline_cpu(cpus, baseline)).ok();
    run!(log, connection.domain_qemu_attach(1)).ok();
    Ok(())
}
