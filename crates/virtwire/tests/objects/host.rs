//! What a connection says of its host and driver.

use crate::coverage::{Log, run};
use std::time::Duration;
use virtwire::Connection;
use virtwire::proto::enums::{DriverFeature, NodeSuspendTarget};
use virtwire::proto::flags::*;
use virtwire::proto::typed_params::TypedParams;
use virtwire_testbed::Failed;

pub(crate) async fn run(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    assert_eq!(run!(log, connection.hypervisor_type())?, "TEST");
    assert_eq!(run!(log, connection.version())?.to_string(), "0.0.2");
    assert!(run!(log, connection.lib_version())?.major >= 9);
    assert!(!run!(log, connection.hostname())?.is_empty());
    run!(log, connection.is_secure())?;
    assert_eq!(run!(log, connection.max_vcpus(None))?, 32);
    assert!(run!(log, connection.capabilities())?.to_string().starts_with("<capabilities>"));
    assert!(run!(log, connection.supports_feature(DriverFeature::FD_PASSING))?);
    let node = run!(log, connection.node_info())?;
    assert_eq!((&*node.model.to_string(), node.memory, node.cpus, node.nodes), ("i686", 3_145_728, 16, 2));
    let map = run!(log, connection.node_cpu_map())?;
    assert_eq!(map.cpus, 8);
    assert_eq!(map.online.to_string(), "0,2,4");
    assert!(run!(log, connection.node_free_memory())? > 0);
    let cells = run!(log, connection.node_cells_free_memory(0, 2))?;
    assert_eq!(cells.len(), 2);
    // The test driver says that it has found none, which the daemon takes for an error without a text.
    run!(log, connection.node_free_pages(&[4, 2048], Some(0..2))).ok();
    run!(log, connection.node_alloc_pages(&[(2048, 1)], Some(0..1), NodeAllocPagesFlags::empty())).ok();
    run!(log, connection.node_cpu_stats(None)).ok();
    run!(log, connection.node_memory_stats(None)).ok();
    run!(log, connection.node_memory_parameters()).ok();
    run!(log, connection.node_set_memory_parameters(TypedParams::new().with("shm_pages_to_scan", 1_u32)))
        .ok();
    run!(log, connection.node_security_model()).ok();
    run!(log, connection.node_sev_info()).ok();
    run!(log, connection.sysinfo()).ok();
    run!(log, connection.node_suspend_for_duration(NodeSuspendTarget::MEM, Duration::from_secs(60))).ok();
    assert!(run!(log, connection.cpu_model_names("x86_64"))?.iter().any(|name| *name == "Haswell"));
    let cpu = "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>";
    run!(log, connection.compare_cpu(cpu, CompareCpuFlags::empty())).ok();
    run!(log, connection.compare_hypervisor_cpu(None, None, None, None, cpu, CompareCpuFlags::empty())).ok();
    assert!(
        run!(log, connection.baseline_cpu([cpu], BaselineCpuFlags::empty()))?.to_string().contains("qemu64")
    );
    run!(log, connection.baseline_hypervisor_cpu(None, None, None, None, [cpu], BaselineCpuFlags::empty()))
        .ok();
    run!(log, connection.domain_capabilities(None, None, None, None, GetDomainCapabilitiesFlags::empty()))
        .ok();
    run!(log, connection.storage_pool_capabilities()).ok();
    run!(log, connection.domain_xml_from_native("qemu-argv", "/usr/bin/qemu")).ok();
    run!(log, connection.domain_xml_to_native("qemu-argv", "<domain/>")).ok();
    run!(log, connection.domain_qemu_attach(1)).ok();
    let identity = TypedParams::new().with("user-name", "tester");
    run!(log, connection.set_identity(identity)).ok();
    Ok(())
}
