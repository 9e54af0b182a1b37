//! The hypervisor as a server offers it, through packets: every procedure that it has, and what is the server's to
//! say rather than the model's.

mod common;
#[path = "common/raw.rs"]
mod raw;

use common::document;
use raw::Raw;
use std::sync::Arc;
use virtwire_embedded::{Hypervisor, Node};
use virtwire_proto::enums::{DomainEventId, DomainState, DriverFeature, ErrorDomain, ErrorNumber};
use virtwire_proto::flags::ConnectFlags;
use virtwire_proto::program::Kind;
use virtwire_proto::program::remote::*;

const DEFAULT: &str = "test:///default";

/// A client of a hypervisor of its own.
async fn raw() -> Raw {
    Raw::opened(Hypervisor::new().server().connect().unwrap(), DEFAULT).await
}

/// The procedures of the remote program that are answered, by the part that they are about.
const ANSWERED: &[&str] = &[
    // The connection. `connect_open` and `connect_close` begin and end every one.
    "connect_get_type",
    "connect_get_version",
    "connect_get_lib_version",
    "connect_get_hostname",
    "connect_get_uri",
    "connect_is_secure",
    "connect_supports_feature",
    "connect_set_identity",
    "connect_register_close_callback",
    "connect_unregister_close_callback",
    // The node.
    "connect_get_capabilities",
    "connect_get_sysinfo",
    "connect_get_max_vcpus",
    "node_get_info",
    "node_get_free_memory",
    "node_get_cells_free_memory",
    "node_get_cpu_map",
    "node_get_security_model",
    // Domains.
    "connect_num_of_domains",
    "connect_list_domains",
    "connect_num_of_defined_domains",
    "connect_list_defined_domains",
    "connect_list_all_domains",
    "connect_get_all_domain_stats",
    "domain_lookup_by_id",
    "domain_lookup_by_name",
    "domain_lookup_by_uuid",
    "domain_define_xml",
    "domain_define_xml_flags",
    "domain_create_xml",
    "domain_create_xml_with_files",
    "domain_create",
    "domain_create_with_flags",
    "domain_create_with_files",
    "domain_suspend",
    "domain_resume",
    "domain_shutdown",
    "domain_shutdown_flags",
    "domain_reboot",
    "domain_reset",
    "domain_destroy",
    "domain_destroy_flags",
    "domain_undefine",
    "domain_undefine_flags",
    "domain_rename",
    "domain_managed_save",
    "domain_has_managed_save_image",
    "domain_managed_save_remove",
    "domain_get_state",
    "domain_get_info",
    "domain_get_control_info",
    "domain_get_xml_desc",
    "domain_is_active",
    "domain_is_persistent",
    "domain_is_updated",
    "domain_get_hostname",
    "domain_get_os_type",
    "domain_get_security_label",
    "domain_get_autostart",
    "domain_set_autostart",
    "domain_get_max_memory",
    "domain_set_max_memory",
    "domain_set_memory",
    "domain_set_memory_flags",
    "domain_get_max_vcpus",
    "domain_get_vcpus",
    "domain_get_vcpus_flags",
    "domain_set_vcpus",
    "domain_set_vcpus_flags",
    "domain_pin_vcpu",
    "domain_pin_vcpu_flags",
    "domain_get_vcpu_pin_info",
    "domain_get_metadata",
    "domain_set_metadata",
    // Events.
    "connect_domain_event_register",
    "connect_domain_event_deregister",
    "connect_domain_event_register_any",
    "connect_domain_event_deregister_any",
    "connect_domain_event_callback_register_any",
    "connect_domain_event_callback_deregister_any",
    "connect_network_event_register_any",
    "connect_network_event_deregister_any",
    "connect_storage_pool_event_register_any",
    "connect_storage_pool_event_deregister_any",
    "connect_node_device_event_register_any",
    "connect_node_device_event_deregister_any",
    // What there is nothing of.
    "connect_num_of_networks",
    "connect_list_networks",
    "connect_num_of_defined_networks",
    "connect_list_defined_networks",
    "connect_list_all_networks",
    "network_lookup_by_name",
    "network_lookup_by_uuid",
    "connect_num_of_storage_pools",
    "connect_list_storage_pools",
    "connect_num_of_defined_storage_pools",
    "connect_list_defined_storage_pools",
    "connect_list_all_storage_pools",
    "storage_pool_lookup_by_name",
    "storage_pool_lookup_by_uuid",
    "connect_num_of_interfaces",
    "connect_list_interfaces",
    "connect_num_of_defined_interfaces",
    "connect_list_defined_interfaces",
    "connect_list_all_interfaces",
    "interface_lookup_by_name",
    "interface_lookup_by_mac_string",
    "node_num_of_devices",
    "node_list_devices",
    "connect_list_all_node_devices",
    "node_device_lookup_by_name",
    "domain_snapshot_num",
    "domain_snapshot_list_names",
    "domain_list_all_snapshots",
    "domain_has_current_snapshot",
    "domain_snapshot_lookup_by_name",
    "domain_snapshot_current",
    "domain_list_all_checkpoints",
    "domain_checkpoint_lookup_by_name",
];

#[tokio::test]
async fn every_other_procedure_is_not_supported_and_says_which() {
    let mut raw = raw().await;
    let mut answered = Vec::new();
    for procedure in PROGRAM.procedures.iter().filter(|it| it.kind == Kind::Call) {
        let name = procedure.name;
        if name.starts_with("auth_") || matches!(name, "connect_open" | "connect_close") {
            continue;
        }
        // Zeros are arguments of any call: no text, no list, nothing of what is optional.
        match raw.call_raw(procedure, &[0; 4096]).await {
            Err(error) if error.code == ErrorNumber::NO_SUPPORT.0 => {
                if let Some(function) = procedure.c_name {
                    assert_eq!(error.str2.as_ref().map(ToString::to_string).as_deref(), Some(function));
                }
            }
            Err(error) => {
                // About the arguments, never about the wire.
                assert_ne!(error.code, ErrorNumber::RPC.0, "{name}: {error:?}");
                answered.push(name);
            }
            Ok(_) => answered.push(name),
        }
    }
    let mut expected = ANSWERED.to_vec();
    expected.sort_unstable();
    answered.sort_unstable();
    assert_eq!(answered, expected);
    // And the connection has lived through all of it.
    assert_eq!(raw.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 1);
}

#[tokio::test]
async fn the_node_answers() {
    let mut raw = raw().await;
    assert_eq!(raw.call(&ConnectGetTypeArgs {}).await.unwrap().type_, "TEST");
    assert_eq!(raw.call(&ConnectGetVersionArgs {}).await.unwrap().hv_ver, 2);
    assert_eq!(raw.call(&ConnectGetLibVersionArgs {}).await.unwrap().lib_ver, 12_008_000);
    assert_eq!(raw.call(&ConnectGetUriArgs {}).await.unwrap().uri, DEFAULT);
    assert!(!raw.call(&ConnectGetHostnameArgs {}).await.unwrap().hostname.is_empty());
    assert_eq!(raw.call(&ConnectIsSecureArgs {}).await.unwrap().secure, 1);
    let max_vcpus = raw.call(&ConnectGetMaxVcpusArgs { type_: Some("kvm".into()) }).await.unwrap();
    assert_eq!(max_vcpus.max_vcpus, 32);

    let info = raw.call(&NodeGetInfoArgs {}).await.unwrap();
    assert_eq!(&info.model[..5], b"i686\0");
    let NodeGetInfoRet { memory, cpus, mhz, nodes, sockets, cores, threads, .. } = info;
    assert_eq!((memory, cpus, mhz, nodes, sockets, cores, threads), (3_145_728, 16, 1400, 2, 2, 2, 2));

    let capabilities = raw.call(&ConnectGetCapabilitiesArgs {}).await.unwrap().capabilities;
    assert!(capabilities.to_str().unwrap().contains("<cells num='2'>"));
    let sysinfo = raw.call(&ConnectGetSysinfoArgs { flags: 0 }).await.unwrap().sysinfo;
    assert!(sysinfo.to_str().unwrap().contains("LENOVO"));
    assert_eq!(raw.call(&NodeGetFreeMemoryArgs {}).await.unwrap().free_mem, 3_145_728);
    let cells = raw.call(&NodeGetCellsFreeMemoryArgs { start_cell: 1, maxcells: 9 }).await.unwrap();
    assert_eq!(cells.cells, [4_194_304]);
    for (start_cell, maxcells, code) in [(0, 0, 8), (-1, 1, 8), (2, 1, 8), (0, -1, 8), (0, 1025, 1)] {
        let refused = raw.refused(&NodeGetCellsFreeMemoryArgs { start_cell, maxcells }).await;
        assert_eq!(refused.0, code, "{start_cell}, {maxcells}: {}", refused.2);
    }

    let map = raw.call(&NodeGetCpuMapArgs { need_map: 1, need_online: 1, flags: 0 }).await.unwrap();
    assert_eq!((&*map.cpumap, map.online, map.ret), (&[0b10101][..], 3, 8));
    let map = raw.call(&NodeGetCpuMapArgs::default()).await.unwrap();
    assert_eq!((&*map.cpumap, map.online, map.ret), (&[][..], 0, 8));
    let model = raw.call(&NodeGetSecurityModelArgs {}).await.unwrap();
    assert_eq!((&*model.model, &*model.doi), (&b"testSecurity\0"[..], &b"\0"[..]));
}

#[tokio::test]
async fn features_are_those_of_libvirtd() {
    let mut raw = raw().await;
    let mut supported = Vec::new();
    for feature in DriverFeature::known() {
        let args = ConnectSupportsFeatureArgs { feature: feature.0 };
        if raw.call(&args).await.unwrap().supported != 0 {
            supported.push(feature);
        }
    }
    assert_eq!(
        supported,
        [
            DriverFeature::FD_PASSING,
            DriverFeature::TYPED_PARAM_STRING,
            DriverFeature::PROGRAM_KEEPALIVE,
            DriverFeature::REMOTE_EVENT_CALLBACK,
            DriverFeature::REMOTE_CLOSE_CALLBACK,
            DriverFeature::NETWORK_UPDATE_HAS_CORRECT_ORDER,
        ]
    );
    let unknown = ConnectSupportsFeatureArgs { feature: 12_345 };
    assert_eq!(raw.call(&unknown).await.unwrap().supported, 0);
}

#[tokio::test]
async fn lists_are_as_long_as_the_client_lets_them() {
    let mut raw = raw().await;
    for name in ["one", "two", "three"] {
        raw.call(&DomainDefineXmlArgs { xml: document(name, &uuid(name), "").into() }).await.unwrap();
    }
    assert_eq!(raw.call(&ConnectNumOfDefinedDomainsArgs {}).await.unwrap().num, 3);
    let names = raw.call(&ConnectListDefinedDomainsArgs { maxnames: 2 }).await.unwrap().names;
    assert_eq!(names, ["one", "two"]);
    assert_eq!(raw.call(&ConnectListDomainsArgs { maxids: 16_384 }).await.unwrap().ids, [1]);
    assert_eq!(raw.call(&ConnectListDomainsArgs { maxids: 0 }).await.unwrap().ids, []);
    for (maxids, expected) in [(-1, (8, 0)), (16_385, (1, 7)), (i32::MAX, (1, 7))] {
        let refused = raw.refused(&ConnectListDomainsArgs { maxids }).await;
        assert_eq!((refused.0, refused.1), expected, "{}", refused.2);
        let refused = raw.refused(&ConnectListDefinedDomainsArgs { maxnames: maxids }).await;
        assert_eq!((refused.0, refused.1), expected, "{}", refused.2);
    }

    let all = raw.call(&ConnectListAllDomainsArgs { need_results: 1, flags: 0 }).await.unwrap();
    assert_eq!((all.domains.len(), all.ret), (4, 4));
    // Any number but 0 means yes.
    let all = raw.call(&ConnectListAllDomainsArgs { need_results: -7, flags: 2 }).await.unwrap();
    assert_eq!((all.domains.len(), all.ret), (3, 3));
    let all = raw.call(&ConnectListAllDomainsArgs { need_results: 0, flags: 0 }).await.unwrap();
    assert_eq!((all.domains.len(), all.ret), (0, 4));
}

/// A UUID for a name.
fn uuid(name: &str) -> String {
    let number = name.bytes().fold(0_u64, |number, byte| number * 31 + u64::from(byte)) % (1 << 48);
    format!("11111111-2222-3333-4444-{number:012x}")
}

#[tokio::test]
async fn a_domain_lives_by_its_calls() {
    let mut raw = raw().await;
    let xml = || document("one", &uuid("one"), "<vcpu>4</vcpu>").into();
    let dom = raw.call(&DomainDefineXmlFlagsArgs { xml: xml(), flags: 1 }).await.unwrap().dom;
    assert_eq!((dom.name.to_string(), dom.id), ("one".to_owned(), -1));
    let found = raw.call(&DomainLookupByUuidArgs { uuid: dom.uuid }).await.unwrap().dom;
    assert_eq!(found, dom);

    raw.call(&DomainCreateArgs { dom: dom.clone() }).await.unwrap();
    let running = raw.call(&DomainLookupByIdArgs { id: 2 }).await.unwrap().dom;
    assert_eq!((running.uuid, running.id), (dom.uuid, 2));
    async fn state(raw: &mut Raw, dom: &NonnullDomain) -> (i32, i32) {
        let args = DomainGetStateArgs { dom: dom.clone(), flags: 0 };
        raw.call(&args).await.map(|ret| (ret.state, ret.reason)).unwrap()
    }
    assert_eq!(state(&mut raw, &dom).await, (DomainState::RUNNING.0, 1));
    raw.call(&DomainSuspendArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!(state(&mut raw, &dom).await, (DomainState::PAUSED.0, 1));
    raw.call(&DomainResumeArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!(state(&mut raw, &dom).await, (DomainState::RUNNING.0, 5));
    raw.call(&DomainRebootArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    raw.call(&DomainResetArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    let info = raw.call(&DomainGetInfoArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!((info.state, info.max_mem, info.memory, info.nr_virt_cpu), (1, 65_536, 65_536, 4));
    assert!(info.cpu_time > 0);
    let control = raw.call(&DomainGetControlInfoArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert_eq!(control, DomainGetControlInfoRet::default());
    raw.call(&DomainShutdownArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!(state(&mut raw, &dom).await, (DomainState::SHUTOFF.0, 1));
    let refused = raw.refused(&DomainGetControlInfoArgs { dom: dom.clone(), flags: 0 }).await;
    assert_eq!(refused.0, ErrorNumber::OPERATION_INVALID.0);

    let started = raw.call(&DomainCreateWithFlagsArgs { dom: dom.clone(), flags: 0 }).await.unwrap().dom;
    assert_eq!(started.id, 3);
    raw.call(&DomainDestroyFlagsArgs { dom: dom.clone(), flags: 1 }).await.unwrap();
    raw.call(&DomainCreateWithFilesArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    raw.call(&DomainManagedSaveArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    let saved = DomainHasManagedSaveImageArgs { dom: dom.clone(), flags: 0 };
    assert_eq!(raw.call(&saved).await.unwrap().result, 1);
    raw.call(&DomainManagedSaveRemoveArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    assert_eq!(raw.call(&saved).await.unwrap().result, 0);

    let rename = |name: &str| DomainRenameArgs { dom: dom.clone(), new_name: Some(name.into()), flags: 0 };
    assert_eq!(raw.call(&rename("uno")).await.unwrap().retcode, 0);
    assert_eq!(raw.refused(&rename("test")).await.0, ErrorNumber::OPERATION_INVALID.0);
    let nameless = DomainRenameArgs { new_name: None, ..rename("") };
    assert_eq!(raw.refused(&nameless).await.0, ErrorNumber::INVALID_ARG.0);
    assert_eq!(raw.domain("uno").await.uuid, dom.uuid);

    raw.call(&DomainUndefineFlagsArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    let gone = raw.refused(&DomainGetInfoArgs { dom: dom.clone() }).await;
    assert_eq!((gone.0, gone.1), (ErrorNumber::NO_DOMAIN.0, ErrorDomain::TEST.0));

    // A transient one.
    let dom = raw.call(&DomainCreateXmlArgs { xml_desc: xml(), flags: 0 }).await.unwrap().dom;
    assert_eq!(raw.call(&DomainIsPersistentArgs { dom: dom.clone() }).await.unwrap().persistent, 0);
    assert_eq!(raw.call(&DomainIsActiveArgs { dom: dom.clone() }).await.unwrap().active, 1);
    raw.call(&DomainShutdownFlagsArgs { dom: dom.clone(), flags: 0 }).await.unwrap();
    let args = DomainCreateXmlWithFilesArgs { xml_desc: xml(), flags: 0 };
    let dom = raw.call(&args).await.unwrap().dom;
    raw.call(&DomainDestroyArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!(raw.refused(&DomainUndefineArgs { dom }).await.0, ErrorNumber::NO_DOMAIN.0);
}

#[tokio::test]
async fn what_a_domain_has_is_asked_and_set() {
    let mut raw = raw().await;
    let dom = raw.domain("test").await;
    let xml = raw.call(&DomainGetXmlDescArgs { dom: dom.clone(), flags: 0 }).await.unwrap().xml;
    assert!(xml.to_str().unwrap().starts_with("<domain type='test' id='1'>"));
    let hostname = DomainGetHostnameArgs { dom: dom.clone(), flags: 0 };
    assert_eq!(raw.call(&hostname).await.unwrap().hostname, "testhost");
    assert_eq!(raw.call(&DomainGetOsTypeArgs { dom: dom.clone() }).await.unwrap().type_, "linux");
    assert_eq!(raw.call(&DomainIsUpdatedArgs { dom: dom.clone() }).await.unwrap().updated, 0);
    let label = raw.call(&DomainGetSecurityLabelArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!((&*label.label, label.enforcing), (&b"libvirt-test\0"[..], 1));

    for autostart in [2, 0] {
        raw.call(&DomainSetAutostartArgs { dom: dom.clone(), autostart }).await.unwrap();
        let now = raw.call(&DomainGetAutostartArgs { dom: dom.clone() }).await.unwrap().autostart;
        assert_eq!(now, i32::from(autostart != 0));
    }

    raw.call(&DomainSetMemoryArgs { dom: dom.clone(), memory: 1 << 20 }).await.unwrap();
    let memory = 1 << 22;
    raw.call(&DomainSetMemoryFlagsArgs { dom: dom.clone(), memory, flags: 1 }).await.unwrap();
    assert_eq!(raw.call(&DomainGetInfoArgs { dom: dom.clone() }).await.unwrap().memory, memory);
    assert_eq!(raw.call(&DomainGetMaxMemoryArgs { dom: dom.clone() }).await.unwrap().memory, 1 << 23);
    let refused = raw.refused(&DomainSetMaxMemoryArgs { dom: dom.clone(), memory: 1 << 24 }).await;
    assert_eq!(refused.0, ErrorNumber::OPERATION_INVALID.0);

    assert_eq!(raw.call(&DomainGetMaxVcpusArgs { dom: dom.clone() }).await.unwrap().num, 2);
    raw.call(&DomainSetVcpusArgs { dom: dom.clone(), nvcpus: 1 }).await.unwrap();
    raw.call(&DomainSetVcpusFlagsArgs { dom: dom.clone(), nvcpus: 2, flags: 2 }).await.unwrap();
    for (flags, expected) in [(1, 1), (2, 2), (5, 2)] {
        let args = DomainGetVcpusFlagsArgs { dom: dom.clone(), flags };
        assert_eq!(raw.call(&args).await.unwrap().num, expected);
    }

    let metadata = |type_, metadata: Option<&str>| DomainSetMetadataArgs {
        dom: dom.clone(),
        type_,
        metadata: metadata.map(Into::into),
        ..Default::default()
    };
    raw.call(&metadata(0, Some("the text"))).await.unwrap();
    let get = DomainGetMetadataArgs { dom: dom.clone(), type_: 0, uri: None, flags: 0 };
    assert_eq!(raw.call(&get).await.unwrap().metadata, "the text");
    raw.call(&metadata(0, None)).await.unwrap();
    assert_eq!(raw.refused(&get).await.0, ErrorNumber::NO_DOMAIN_METADATA.0);
    // What is no text cannot stand in a document.
    let bytes = DomainSetMetadataArgs { metadata: Some(vec![0xff].into()), ..metadata(0, None) };
    assert_eq!(raw.refused(&bytes).await.0, ErrorNumber::INVALID_ARG.0);

    let stats = raw.call(&ConnectGetAllDomainStatsArgs::default()).await.unwrap().ret_stats;
    assert_eq!((stats.len(), stats[0].params.len(), &stats[0].dom), (1, 2, &dom));
    let fields: Vec<_> = stats[0].params.iter().map(|param| param.field.to_string()).collect();
    assert_eq!(fields, ["state.state", "state.reason"]);
}

#[tokio::test]
async fn vcpus_are_pinned_to_cpus() {
    let mut raw = raw().await;
    let dom = raw.domain("test").await;
    let vcpus = DomainGetVcpusArgs { dom: dom.clone(), maxinfo: 10, maplen: 3 };
    let all = raw.call(&vcpus).await.unwrap();
    assert_eq!(
        all.info.iter().map(|info| (info.number, info.state, info.cpu)).collect::<Vec<_>>(),
        [(0, 1, 15), (1, 1, 15)]
    );
    assert_eq!(&*all.cpumaps, [0xff, 0xff, 0, 0xff, 0xff, 0]);
    let pin =
        |vcpu, cpumap: &'static [u8]| DomainPinVcpuArgs { dom: dom.clone(), vcpu, cpumap: cpumap.into() };
    raw.call(&pin(1, &[0b0000_1101])).await.unwrap();
    let args = DomainPinVcpuFlagsArgs { dom: dom.clone(), vcpu: 0, cpumap: (&[0, 1][..]).into(), flags: 0 };
    raw.call(&args).await.unwrap();
    let xml = raw.call(&DomainGetXmlDescArgs { dom: dom.clone(), flags: 0 }).await.unwrap().xml.to_string();
    let pins = "  <cputune>\n    <vcpupin vcpu='0' cpuset='8'/>\n    <vcpupin vcpu='1' cpuset='0,2-3'/>\n  </cputune>\n";
    assert!(xml.contains(pins), "{xml}");
    let all = raw.call(&DomainGetVcpusArgs { maxinfo: 1, maplen: 2, ..vcpus.clone() }).await.unwrap();
    assert_eq!((all.info.len(), all.info[0].cpu, &*all.cpumaps), (1, 8, &[0, 1][..]));
    let none = raw.call(&DomainGetVcpusArgs { maplen: 0, ..vcpus.clone() }).await.unwrap();
    assert_eq!((none.info.len(), none.cpumaps.len()), (2, 0));

    let info = DomainGetVcpuPinInfoArgs { dom: dom.clone(), ncpumaps: 9, maplen: 1, flags: 0 };
    let pins = raw.call(&info).await.unwrap();
    assert_eq!((&*pins.cpumaps, pins.num), (&[0, 0b1101][..], 2));
    // The configuration that stays is as it was.
    let pins = raw.call(&DomainGetVcpuPinInfoArgs { flags: 2, ..info.clone() }).await.unwrap();
    assert_eq!(&*pins.cpumaps, [0xff, 0xff]);

    assert_eq!(raw.refused(&pin(2, &[1])).await.0, ErrorNumber::INVALID_ARG.0);
    assert_eq!(raw.refused(&pin(0, &[])).await.0, ErrorNumber::INVALID_ARG.0);
    for (maxinfo, maplen, code) in [(0, 1, 8), (-1, 1, 8), (1, -1, 8), (16_385, 1, 1), (16_384, 513, 1)] {
        let refused = raw.refused(&DomainGetVcpusArgs { maxinfo, maplen, ..vcpus.clone() }).await;
        assert_eq!(refused.0, code, "{maxinfo}, {maplen}: {}", refused.2);
    }
    raw.call(&DomainDestroyArgs { dom: dom.clone() }).await.unwrap();
    assert_eq!(raw.refused(&vcpus).await.0, ErrorNumber::OPERATION_INVALID.0);
    assert_eq!(raw.refused(&pin(0, &[1])).await.0, ErrorNumber::OPERATION_INVALID.0);
}

#[tokio::test]
async fn events_of_both_generations() {
    let server = Hypervisor::new().server();
    let mut watching = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let mut acting = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let dom = acting.domain("test").await;
    let other = acting
        .call(&DomainDefineXmlArgs { xml: document("one", &uuid("one"), "").into() })
        .await
        .unwrap()
        .dom;

    let register = |event: DomainEventId, dom: Option<&NonnullDomain>| {
        ConnectDomainEventCallbackRegisterAnyArgs { event_id: event.0, dom: dom.cloned() }
    };
    watching.call(&ConnectDomainEventRegisterArgs {}).await.unwrap();
    let all = watching.call(&register(DomainEventId::LIFECYCLE, None)).await.unwrap().callback_id;
    let one = watching.call(&register(DomainEventId::LIFECYCLE, Some(&other))).await.unwrap().callback_id;
    let changes = watching.call(&register(DomainEventId::METADATA_CHANGE, None)).await.unwrap().callback_id;
    assert!(all != one && one != changes);

    acting.call(&DomainSuspendArgs { dom: dom.clone() }).await.unwrap();
    let expected = DomainEventLifecycleMsg { dom: dom.clone(), event: 3, detail: 0 };
    assert_eq!(watching.message::<DomainEventLifecycleMsg>().await, expected);
    let message = watching.message::<DomainEventCallbackLifecycleMsg>().await;
    assert_eq!((message.callback_id, message.msg), (all, expected));

    acting.call(&DomainCreateArgs { dom: other.clone() }).await.unwrap();
    watching.message::<DomainEventLifecycleMsg>().await;
    for id in [all, one] {
        let message = watching.message::<DomainEventCallbackLifecycleMsg>().await;
        assert_eq!((message.callback_id, message.msg.event, message.msg.dom.id), (id, 2, 2));
    }

    let title = DomainSetMetadataArgs {
        dom: dom.clone(),
        type_: 2,
        metadata: Some("<a/>".into()),
        key: Some("k".into()),
        uri: Some("urn:x".into()),
        flags: 0,
    };
    acting.call(&title).await.unwrap();
    let message = watching.message::<DomainEventCallbackMetadataChangeMsg>().await;
    assert_eq!((message.callback_id, message.type_), (changes, 2));
    assert_eq!(message.nsuri, Some("urn:x".into()));

    // After deregistering nothing comes.
    watching.call(&ConnectDomainEventDeregisterArgs {}).await.unwrap();
    for callback_id in [all, one] {
        watching.call(&ConnectDomainEventCallbackDeregisterAnyArgs { callback_id }).await.unwrap();
    }
    acting.call(&DomainResumeArgs { dom: dom.clone() }).await.unwrap();
    watching.call(&ConnectGetTypeArgs {}).await.unwrap();
    assert_eq!(watching.left(), 0);

    // The older generation's other way.
    let any = ConnectDomainEventRegisterAnyArgs { event_id: 0 };
    watching.call(&any).await.unwrap();
    acting.call(&DomainSuspendArgs { dom: dom.clone() }).await.unwrap();
    watching.message::<DomainEventLifecycleMsg>().await;
    watching.call(&ConnectDomainEventDeregisterAnyArgs { event_id: 0 }).await.unwrap();
}

#[tokio::test]
async fn registrations_are_refused_as_libvirtd_does() {
    let mut raw = raw().await;
    let internal = ErrorNumber::INTERNAL_ERROR.0;
    for event_id in [-1, DomainEventId::DEVICE_REMOVED.0 + 1, i32::MAX] {
        let refused = raw.refused(&ConnectDomainEventRegisterAnyArgs { event_id }).await;
        assert_eq!(
            (refused.0, &*refused.2),
            (internal, &*format!("internal error: unsupported event ID {event_id}"))
        );
        let refused = raw.refused(&ConnectDomainEventDeregisterAnyArgs { event_id }).await;
        assert_eq!(refused.0, internal);
    }
    let last = DomainEventId::known().next_back().unwrap().0;
    for event_id in [-1, last + 1] {
        let refused = raw.refused(&ConnectDomainEventCallbackRegisterAnyArgs { event_id, dom: None }).await;
        assert_eq!(refused.0, internal);
    }
    for event_id in 0..=last {
        let args = ConnectDomainEventCallbackRegisterAnyArgs { event_id, dom: None };
        assert_eq!(raw.call(&args).await.unwrap().callback_id, event_id);
    }
    let refused = raw.refused(&ConnectDomainEventCallbackDeregisterAnyArgs { callback_id: last + 1 }).await;
    assert_eq!(refused.2, format!("internal error: domain event callback {} not registered", last + 1));

    assert_eq!(raw.refused(&ConnectDomainEventDeregisterArgs {}).await.0, internal);
    raw.call(&ConnectDomainEventRegisterArgs {}).await.unwrap();
    let refused = raw.refused(&ConnectDomainEventRegisterArgs {}).await;
    assert_eq!(refused.2, "invalid argument: event callback already tracked");
    // The same event in the same generation.
    let refused = raw.refused(&ConnectDomainEventRegisterAnyArgs { event_id: 0 }).await;
    assert_eq!(refused.0, ErrorNumber::INVALID_ARG.0);

    // Events that never come can be waited for.
    let net = ConnectNetworkEventRegisterAnyArgs { event_id: 0, net: None };
    let callback_id = raw.call(&net).await.unwrap().callback_id;
    let end = ConnectNetworkEventDeregisterAnyArgs { callback_id };
    raw.call(&end).await.unwrap();
    assert_eq!(raw.refused(&end).await.0, internal);
}

#[tokio::test]
async fn a_reader_sees_no_secrets() {
    let node = Arc::new(Node::default());
    let secret = "<devices><graphics type='vnc' passwd='hush'/></devices>";
    node.domain_define_xml(document("one", &uuid("one"), secret), 0).unwrap();
    let server = Hypervisor::with_node(node).server();
    let mut raw = Raw::new(server.connect().unwrap());
    let open = ConnectOpenArgs { name: Some(DEFAULT.into()), flags: ConnectFlags::RO.bits() };
    raw.call(&open).await.unwrap();
    let dom = raw.domain("one").await;
    for flags in [1, 8, 9] {
        let refused = raw.refused(&DomainGetXmlDescArgs { dom: dom.clone(), flags }).await;
        assert_eq!((refused.0, refused.1), (ErrorNumber::OPERATION_DENIED.0, ErrorDomain::DOMAIN.0));
        assert_eq!(refused.2, "operation forbidden: virDomainGetXMLDesc with secure flag");
    }
    let xml = raw.call(&DomainGetXmlDescArgs { dom: dom.clone(), flags: 2 }).await.unwrap().xml;
    assert!(!xml.to_string().contains("hush"));
    let refused = raw.refused(&DomainCreateArgs { dom: dom.clone() }).await;
    assert_eq!(refused.2, "operation forbidden: read only access prevents virDomainCreate");

    let mut writer = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let xml = writer.call(&DomainGetXmlDescArgs { dom, flags: 1 }).await.unwrap().xml;
    assert!(xml.to_string().contains("hush"));
}

#[tokio::test]
async fn an_answer_that_no_packet_holds_is_an_error() {
    let node = Arc::new(Node::default());
    // Each ampersand takes five bytes in a document: what came in one string does not go out in one.
    let title = "&amp;".repeat(700_000);
    let quotes = format!("<title>{title}</title><description>{}</description>", "\"".repeat(700_000));
    node.domain_define_xml(document("one", &uuid("one"), &quotes), 0).unwrap();
    let server = Hypervisor::with_node(node).server();
    let mut raw = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let dom = raw.domain("one").await;
    let refused = raw.refused(&DomainGetXmlDescArgs { dom: dom.clone(), flags: 0 }).await;
    assert_eq!((refused.0, refused.1), (ErrorNumber::RPC.0, ErrorDomain::RPC.0), "{}", refused.2);
    assert!(refused.2.starts_with("Unable to encode message payload"), "{}", refused.2);
    assert_eq!(raw.call(&DomainGetInfoArgs { dom }).await.unwrap().memory, 65_536);
}

#[tokio::test]
async fn clients_share_the_default_node_while_one_is_there() {
    let hypervisor = Hypervisor::new();
    // Two servers of one hypervisor, too.
    let (server, other) = (hypervisor.server(), hypervisor.server());
    let mut one = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let mut two = Raw::opened(other.connect().unwrap(), DEFAULT).await;
    let dom = one.domain("test").await;
    one.call(&DomainDestroyArgs { dom }).await.unwrap();
    assert_eq!(two.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 0);
    drop(one);
    assert_eq!(two.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 0);
    let mut three = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    assert_eq!(three.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 0);
    drop(two);

    // With the last one it goes, as soon as the server has seen that client's end.
    three.call(&ConnectCloseArgs {}).await.unwrap();
    drop(three);
    raw::soon(async {
        loop {
            let mut fresh = Raw::opened(server.connect().unwrap(), DEFAULT).await;
            if fresh.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num == 1 {
                break;
            }
            drop(fresh);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_kept_node_stays() {
    let node = Arc::new(Node::default());
    let server = Hypervisor::with_node(Arc::clone(&node)).server();
    let mut raw = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    let dom = raw.domain("test").await;
    raw.call(&DomainDestroyArgs { dom }).await.unwrap();
    drop(raw);
    assert_eq!(node.num_of_domains(), 0);
    let mut raw = Raw::opened(server.connect().unwrap(), DEFAULT).await;
    assert_eq!(raw.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 0);
}

#[tokio::test]
async fn a_node_file_is_private_and_reread() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a node.xml");
    let name = format!("test://{}", file.display().to_string().replace(' ', "%20"));
    let server = Hypervisor::new().server();
    let write = |names: &[&str]| {
        let domains: String = names.iter().map(|name| document(name, &uuid(name), "")).collect();
        std::fs::write(&file, format!("<node>{domains}</node>")).unwrap();
    };
    write(&["one"]);
    let mut one = Raw::opened(server.connect().unwrap(), &name).await;
    let dom = one.domain("one").await;
    one.call(&DomainDestroyArgs { dom }).await.unwrap();
    write(&["one", "two"]);
    let mut two = Raw::opened(server.connect().unwrap(), &name).await;
    assert_eq!(one.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 0);
    assert_eq!(two.call(&ConnectNumOfDomainsArgs {}).await.unwrap().num, 2);
    assert_eq!(two.call(&ConnectGetUriArgs {}).await.unwrap().uri, name);
}

#[tokio::test]
async fn a_name_that_is_refused_can_be_followed_by_another() {
    let mut raw = Raw::new(Hypervisor::new().server().connect().unwrap());
    let before = raw.refused(&ConnectGetTypeArgs {}).await;
    assert_eq!((before.0, &*before.2), (1, "internal error: hypervisor connection not open"));
    let open = |name: Option<&str>| ConnectOpenArgs { name: name.map(Into::into), flags: 0 };
    for (name, expected) in [
        (None, (5, 0)),
        (Some(""), (5, 0)),
        (Some("qemu:///system"), (5, 0)),
        (Some("test:///"), (8, 12)),
        (Some("test:///nonexistent.xml"), (27, 12)),
    ] {
        let refused = raw.refused(&open(name)).await;
        assert_eq!((refused.0, refused.1), expected, "{name:?}: {}", refused.2);
    }
    raw.call(&open(Some(DEFAULT))).await.unwrap();
    assert_eq!(raw.refused(&open(Some(DEFAULT))).await.2, "internal error: connection already open");
}
