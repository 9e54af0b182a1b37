//! The methods of libvirt's remote program that the hypervisor has.

use super::nothing::{
    CHECKPOINT, DEVICE, INTERFACE, NETWORK, POOL, SNAPSHOT, answer_not_found, answer_not_found_in_a_domain,
    answer_nothing, answer_nothing_of_a_domain, deregister, deregister_from_nothing, register_for_nothing,
};
use super::{Session, answers};
use virtwire_proto::enums::{DomainEventId, DriverFeature};
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::EventClass;
use virtwire_proto::program::remote::*;
use virtwire_server::{Client, RemoteService, Result};

/// The libvirt whose interface this is: 12.8.0.
const LIBVIRT_VERSION: u64 = 12_008_000;

impl RemoteService for Session {
    // ---- the connection ----

    async fn connect_open(&self, _: &Client, args: ConnectOpenArgs) -> Result<()> {
        self.open(args.name).await
    }

    async fn connect_get_type(&self, _: &Client, _: ConnectGetTypeArgs) -> Result<ConnectGetTypeRet> {
        Ok(ConnectGetTypeRet { type_: self.node()?.kind().into() })
    }

    async fn connect_get_version(
        &self,
        _: &Client,
        _: ConnectGetVersionArgs,
    ) -> Result<ConnectGetVersionRet> {
        Ok(ConnectGetVersionRet { hv_ver: self.node()?.version() })
    }

    async fn connect_get_lib_version(
        &self,
        _: &Client,
        _: ConnectGetLibVersionArgs,
    ) -> Result<ConnectGetLibVersionRet> {
        Ok(ConnectGetLibVersionRet { lib_ver: LIBVIRT_VERSION })
    }

    async fn connect_get_uri(&self, _: &Client, _: ConnectGetUriArgs) -> Result<ConnectGetUriRet> {
        Ok(ConnectGetUriRet { uri: self.opened()?.name.clone() })
    }

    async fn connect_get_hostname(
        &self,
        _: &Client,
        _: ConnectGetHostnameArgs,
    ) -> Result<ConnectGetHostnameRet> {
        Ok(ConnectGetHostnameRet { hostname: self.node()?.hostname().into() })
    }

    async fn connect_is_secure(&self, _: &Client, _: ConnectIsSecureArgs) -> Result<ConnectIsSecureRet> {
        Ok(ConnectIsSecureRet { secure: self.node()?.is_secure().into() })
    }

    async fn connect_supports_feature(
        &self,
        _: &Client,
        args: ConnectSupportsFeatureArgs,
    ) -> Result<ConnectSupportsFeatureRet> {
        let supported = matches!(
            DriverFeature(args.feature),
            DriverFeature::TYPED_PARAM_STRING | DriverFeature::NETWORK_UPDATE_HAS_CORRECT_ORDER
        );
        Ok(ConnectSupportsFeatureRet { supported: supported.into() })
    }

    async fn connect_set_identity(&self, _: &Client, _: ConnectSetIdentityArgs) -> Result<()> {
        // Whoever a proxy speaks for, nothing depends on it.
        Ok(())
    }

    // ---- the node ----

    async fn connect_get_capabilities(
        &self,
        _: &Client,
        _: ConnectGetCapabilitiesArgs,
    ) -> Result<ConnectGetCapabilitiesRet> {
        Ok(ConnectGetCapabilitiesRet { capabilities: self.node()?.capabilities().into() })
    }

    async fn connect_get_sysinfo(
        &self,
        _: &Client,
        args: ConnectGetSysinfoArgs,
    ) -> Result<ConnectGetSysinfoRet> {
        Ok(ConnectGetSysinfoRet { sysinfo: self.node()?.sysinfo(args.flags)?.into() })
    }

    async fn connect_get_max_vcpus(
        &self,
        _: &Client,
        _: ConnectGetMaxVcpusArgs,
    ) -> Result<ConnectGetMaxVcpusRet> {
        Ok(ConnectGetMaxVcpusRet { max_vcpus: self.node()?.max_vcpus().cast_signed() })
    }

    async fn node_get_info(&self, _: &Client, _: NodeGetInfoArgs) -> Result<NodeGetInfoRet> {
        Ok(answers::node_info(&self.node()?.info()))
    }

    async fn node_get_free_memory(
        &self,
        _: &Client,
        _: NodeGetFreeMemoryArgs,
    ) -> Result<NodeGetFreeMemoryRet> {
        Ok(NodeGetFreeMemoryRet { free_mem: self.node()?.free_memory() })
    }

    async fn node_get_cells_free_memory(
        &self,
        _: &Client,
        args: NodeGetCellsFreeMemoryArgs,
    ) -> Result<NodeGetCellsFreeMemoryRet> {
        let cells = answers::cells_free_memory(self.node()?, args.start_cell, args.maxcells)?;
        Ok(NodeGetCellsFreeMemoryRet { cells })
    }

    async fn node_get_cpu_map(&self, _: &Client, args: NodeGetCpuMapArgs) -> Result<NodeGetCpuMapRet> {
        Ok(answers::cpu_map(self.node()?, &args)?)
    }

    async fn node_get_security_model(
        &self,
        _: &Client,
        _: NodeGetSecurityModelArgs,
    ) -> Result<NodeGetSecurityModelRet> {
        let found = self.node()?.security_model();
        let (model, doi) = (answers::with_zero(found.model), answers::with_zero(found.doi));
        Ok(NodeGetSecurityModelRet { model, doi })
    }

    // ---- which domains there are ----

    async fn connect_num_of_domains(
        &self,
        _: &Client,
        _: ConnectNumOfDomainsArgs,
    ) -> Result<ConnectNumOfDomainsRet> {
        Ok(ConnectNumOfDomainsRet { num: answers::number(self.node()?.num_of_domains()) })
    }

    async fn connect_list_domains(
        &self,
        _: &Client,
        args: ConnectListDomainsArgs,
    ) -> Result<ConnectListDomainsRet> {
        let room = answers::room("virConnectListDomains", "maxids", args.maxids, answers::DOMAINS)?;
        Ok(ConnectListDomainsRet { ids: self.node()?.list_domains(room) })
    }

    async fn connect_num_of_defined_domains(
        &self,
        _: &Client,
        _: ConnectNumOfDefinedDomainsArgs,
    ) -> Result<ConnectNumOfDefinedDomainsRet> {
        Ok(ConnectNumOfDefinedDomainsRet { num: answers::number(self.node()?.num_of_defined_domains()) })
    }

    async fn connect_list_defined_domains(
        &self,
        _: &Client,
        args: ConnectListDefinedDomainsArgs,
    ) -> Result<ConnectListDefinedDomainsRet> {
        let room =
            answers::room("virConnectListDefinedDomains", "maxnames", args.maxnames, answers::DOMAINS)?;
        Ok(ConnectListDefinedDomainsRet { names: self.node()?.list_defined_domains(room) })
    }

    async fn connect_list_all_domains(
        &self,
        _: &Client,
        args: ConnectListAllDomainsArgs,
    ) -> Result<ConnectListAllDomainsRet> {
        Ok(answers::list_all_domains(self.node()?, &args)?)
    }

    async fn domain_lookup_by_id(
        &self,
        _: &Client,
        args: DomainLookupByIdArgs,
    ) -> Result<DomainLookupByIdRet> {
        Ok(DomainLookupByIdRet { dom: self.node()?.domain_lookup_by_id(args.id)?.into() })
    }

    async fn domain_lookup_by_name(
        &self,
        _: &Client,
        args: DomainLookupByNameArgs,
    ) -> Result<DomainLookupByNameRet> {
        Ok(DomainLookupByNameRet { dom: self.node()?.domain_lookup_by_name(&args.name)?.into() })
    }

    async fn domain_lookup_by_uuid(
        &self,
        _: &Client,
        args: DomainLookupByUuidArgs,
    ) -> Result<DomainLookupByUuidRet> {
        Ok(DomainLookupByUuidRet { dom: self.node()?.domain_lookup_by_uuid(args.uuid)?.into() })
    }

    // ---- a domain's life ----

    async fn domain_define_xml(&self, _: &Client, args: DomainDefineXmlArgs) -> Result<DomainDefineXmlRet> {
        Ok(DomainDefineXmlRet { dom: self.node()?.domain_define_xml(&args.xml, 0)?.into() })
    }

    async fn domain_define_xml_flags(
        &self,
        _: &Client,
        args: DomainDefineXmlFlagsArgs,
    ) -> Result<DomainDefineXmlFlagsRet> {
        Ok(DomainDefineXmlFlagsRet { dom: self.node()?.domain_define_xml(&args.xml, args.flags)?.into() })
    }

    async fn domain_create_xml(&self, _: &Client, args: DomainCreateXmlArgs) -> Result<DomainCreateXmlRet> {
        Ok(DomainCreateXmlRet { dom: self.node()?.domain_create_xml(&args.xml_desc, args.flags)?.into() })
    }

    async fn domain_create_xml_with_files(
        &self,
        _: &Client,
        args: DomainCreateXmlWithFilesArgs,
        _files: Vec<Descriptor>,
    ) -> Result<DomainCreateXmlWithFilesRet> {
        // The files are for the guest's first process, of which there is none.
        let dom = self.node()?.domain_create_xml(&args.xml_desc, args.flags)?.into();
        Ok(DomainCreateXmlWithFilesRet { dom })
    }

    async fn domain_create(&self, _: &Client, args: DomainCreateArgs) -> Result<()> {
        self.node()?.domain_create(&args.dom.into(), 0)?;
        Ok(())
    }

    async fn domain_create_with_flags(
        &self,
        _: &Client,
        args: DomainCreateWithFlagsArgs,
    ) -> Result<DomainCreateWithFlagsRet> {
        Ok(DomainCreateWithFlagsRet { dom: self.node()?.domain_create(&args.dom.into(), args.flags)?.into() })
    }

    async fn domain_create_with_files(
        &self,
        _: &Client,
        args: DomainCreateWithFilesArgs,
        _files: Vec<Descriptor>,
    ) -> Result<DomainCreateWithFilesRet> {
        let dom = self.node()?.domain_create(&args.dom.into(), args.flags)?.into();
        Ok(DomainCreateWithFilesRet { dom })
    }

    async fn domain_suspend(&self, _: &Client, args: DomainSuspendArgs) -> Result<()> {
        Ok(self.node()?.domain_suspend(&args.dom.into())?)
    }

    async fn domain_resume(&self, _: &Client, args: DomainResumeArgs) -> Result<()> {
        Ok(self.node()?.domain_resume(&args.dom.into())?)
    }

    async fn domain_shutdown(&self, _: &Client, args: DomainShutdownArgs) -> Result<()> {
        Ok(self.node()?.domain_shutdown(&args.dom.into(), 0)?)
    }

    async fn domain_shutdown_flags(&self, _: &Client, args: DomainShutdownFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_shutdown(&args.dom.into(), args.flags)?)
    }

    async fn domain_reboot(&self, _: &Client, args: DomainRebootArgs) -> Result<()> {
        Ok(self.node()?.domain_reboot(&args.dom.into(), args.flags)?)
    }

    async fn domain_reset(&self, _: &Client, args: DomainResetArgs) -> Result<()> {
        Ok(self.node()?.domain_reset(&args.dom.into(), args.flags)?)
    }

    async fn domain_destroy(&self, _: &Client, args: DomainDestroyArgs) -> Result<()> {
        Ok(self.node()?.domain_destroy(&args.dom.into(), 0)?)
    }

    async fn domain_destroy_flags(&self, _: &Client, args: DomainDestroyFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_destroy(&args.dom.into(), args.flags)?)
    }

    async fn domain_undefine(&self, _: &Client, args: DomainUndefineArgs) -> Result<()> {
        Ok(self.node()?.domain_undefine(&args.dom.into(), 0)?)
    }

    async fn domain_undefine_flags(&self, _: &Client, args: DomainUndefineFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_undefine(&args.dom.into(), args.flags)?)
    }

    async fn domain_rename(&self, _: &Client, args: DomainRenameArgs) -> Result<DomainRenameRet> {
        let new_name = args.new_name.unwrap_or_default();
        self.node()?.domain_rename(&args.dom.into(), &new_name, args.flags)?;
        Ok(DomainRenameRet { retcode: 0 })
    }

    async fn domain_managed_save(&self, _: &Client, args: DomainManagedSaveArgs) -> Result<()> {
        Ok(self.node()?.domain_managed_save(&args.dom.into(), args.flags)?)
    }

    async fn domain_has_managed_save_image(
        &self,
        _: &Client,
        args: DomainHasManagedSaveImageArgs,
    ) -> Result<DomainHasManagedSaveImageRet> {
        let result = self.node()?.domain_has_managed_save_image(&args.dom.into(), args.flags)?;
        Ok(DomainHasManagedSaveImageRet { result: result.into() })
    }

    async fn domain_managed_save_remove(&self, _: &Client, args: DomainManagedSaveRemoveArgs) -> Result<()> {
        Ok(self.node()?.domain_managed_save_remove(&args.dom.into(), args.flags)?)
    }

    // ---- what a domain is and has ----

    async fn domain_get_state(&self, _: &Client, args: DomainGetStateArgs) -> Result<DomainGetStateRet> {
        let (state, reason) = self.node()?.domain_state(&args.dom.into(), args.flags)?;
        Ok(DomainGetStateRet { state: state.0, reason })
    }

    async fn domain_get_info(&self, _: &Client, args: DomainGetInfoArgs) -> Result<DomainGetInfoRet> {
        let info = self.node()?.domain_info(&args.dom.into())?;
        Ok(DomainGetInfoRet {
            state: info.state.0 as u8,
            max_mem: info.max_mem,
            memory: info.memory,
            nr_virt_cpu: info.nr_virt_cpu,
            cpu_time: info.cpu_time,
        })
    }

    async fn domain_get_control_info(
        &self,
        _: &Client,
        args: DomainGetControlInfoArgs,
    ) -> Result<DomainGetControlInfoRet> {
        Ok(answers::control_info(self.node()?, &args.dom.into(), args.flags)?)
    }

    async fn connect_get_all_domain_stats(
        &self,
        _: &Client,
        args: ConnectGetAllDomainStatsArgs,
    ) -> Result<ConnectGetAllDomainStatsRet> {
        Ok(answers::all_domain_stats(self.node()?, args)?)
    }

    async fn domain_get_xml_desc(
        &self,
        client: &Client,
        args: DomainGetXmlDescArgs,
    ) -> Result<DomainGetXmlDescRet> {
        let (node, read_only) = (self.node()?, client.read_only());
        let xml = answers::xml_desc(node, &args.dom.into(), args.flags, read_only)?;
        Ok(DomainGetXmlDescRet { xml: xml.into() })
    }

    async fn domain_is_active(&self, _: &Client, args: DomainIsActiveArgs) -> Result<DomainIsActiveRet> {
        Ok(DomainIsActiveRet { active: self.node()?.domain_is_active(&args.dom.into())?.into() })
    }

    async fn domain_is_persistent(
        &self,
        _: &Client,
        args: DomainIsPersistentArgs,
    ) -> Result<DomainIsPersistentRet> {
        Ok(DomainIsPersistentRet { persistent: self.node()?.domain_is_persistent(&args.dom.into())?.into() })
    }

    async fn domain_is_updated(&self, _: &Client, args: DomainIsUpdatedArgs) -> Result<DomainIsUpdatedRet> {
        Ok(DomainIsUpdatedRet { updated: self.node()?.domain_is_updated(&args.dom.into()).into() })
    }

    async fn domain_get_hostname(
        &self,
        _: &Client,
        args: DomainGetHostnameArgs,
    ) -> Result<DomainGetHostnameRet> {
        Ok(DomainGetHostnameRet {
            hostname: self.node()?.domain_hostname(&args.dom.into(), args.flags)?.into(),
        })
    }

    async fn domain_get_os_type(&self, _: &Client, args: DomainGetOsTypeArgs) -> Result<DomainGetOsTypeRet> {
        Ok(DomainGetOsTypeRet { type_: self.node()?.domain_os_type(&args.dom.into()).into() })
    }

    async fn domain_get_security_label(
        &self,
        _: &Client,
        args: DomainGetSecurityLabelArgs,
    ) -> Result<DomainGetSecurityLabelRet> {
        let found = self.node()?.domain_security_label(&args.dom.into())?;
        let (label, enforcing) = (answers::with_zero(&found.label), found.enforcing.into());
        Ok(DomainGetSecurityLabelRet { label, enforcing })
    }

    async fn domain_get_autostart(
        &self,
        _: &Client,
        args: DomainGetAutostartArgs,
    ) -> Result<DomainGetAutostartRet> {
        Ok(DomainGetAutostartRet { autostart: self.node()?.domain_autostart(&args.dom.into())?.into() })
    }

    async fn domain_set_autostart(&self, _: &Client, args: DomainSetAutostartArgs) -> Result<()> {
        Ok(self.node()?.domain_set_autostart(&args.dom.into(), args.autostart != 0)?)
    }

    async fn domain_get_max_memory(
        &self,
        _: &Client,
        args: DomainGetMaxMemoryArgs,
    ) -> Result<DomainGetMaxMemoryRet> {
        Ok(DomainGetMaxMemoryRet { memory: self.node()?.domain_max_memory(&args.dom.into())? })
    }

    async fn domain_set_max_memory(&self, _: &Client, args: DomainSetMaxMemoryArgs) -> Result<()> {
        Ok(self.node()?.domain_set_max_memory(&args.dom.into(), args.memory)?)
    }

    async fn domain_set_memory(&self, _: &Client, args: DomainSetMemoryArgs) -> Result<()> {
        Ok(self.node()?.domain_set_memory(&args.dom.into(), args.memory)?)
    }

    async fn domain_set_memory_flags(&self, _: &Client, args: DomainSetMemoryFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_set_memory_flags(&args.dom.into(), args.memory, args.flags)?)
    }

    async fn domain_get_max_vcpus(
        &self,
        _: &Client,
        args: DomainGetMaxVcpusArgs,
    ) -> Result<DomainGetMaxVcpusRet> {
        Ok(DomainGetMaxVcpusRet { num: self.node()?.domain_max_vcpus(&args.dom.into())?.cast_signed() })
    }

    async fn domain_get_vcpus_flags(
        &self,
        _: &Client,
        args: DomainGetVcpusFlagsArgs,
    ) -> Result<DomainGetVcpusFlagsRet> {
        Ok(DomainGetVcpusFlagsRet {
            num: self.node()?.domain_vcpus(&args.dom.into(), args.flags)?.cast_signed(),
        })
    }

    async fn domain_set_vcpus(&self, _: &Client, args: DomainSetVcpusArgs) -> Result<()> {
        Ok(self.node()?.domain_set_vcpus(&args.dom.into(), args.nvcpus)?)
    }

    async fn domain_set_vcpus_flags(&self, _: &Client, args: DomainSetVcpusFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_set_vcpus_flags(&args.dom.into(), args.nvcpus, args.flags)?)
    }

    async fn domain_get_vcpus(&self, _: &Client, args: DomainGetVcpusArgs) -> Result<DomainGetVcpusRet> {
        Ok(answers::vcpus(self.node()?, &args.dom.into(), args.maxinfo, args.maplen)?)
    }

    async fn domain_pin_vcpu(&self, _: &Client, args: DomainPinVcpuArgs) -> Result<()> {
        Ok(self.node()?.domain_pin_vcpu(&args.dom.into(), args.vcpu, &args.cpumap, 0)?)
    }

    async fn domain_pin_vcpu_flags(&self, _: &Client, args: DomainPinVcpuFlagsArgs) -> Result<()> {
        Ok(self.node()?.domain_pin_vcpu(&args.dom.into(), args.vcpu, &args.cpumap, args.flags)?)
    }

    async fn domain_get_vcpu_pin_info(
        &self,
        _: &Client,
        args: DomainGetVcpuPinInfoArgs,
    ) -> Result<DomainGetVcpuPinInfoRet> {
        Ok(answers::vcpu_pin_info(self.node()?, args)?)
    }

    async fn domain_get_metadata(
        &self,
        _: &Client,
        args: DomainGetMetadataArgs,
    ) -> Result<DomainGetMetadataRet> {
        let uri = answers::utf8("virDomainGetMetadata", "uri", args.uri.as_ref())?;
        let metadata = self.node()?.domain_metadata(&args.dom.into(), args.type_, uri, args.flags)?;
        Ok(DomainGetMetadataRet { metadata: metadata.into() })
    }

    async fn domain_set_metadata(&self, _: &Client, args: DomainSetMetadataArgs) -> Result<()> {
        Ok(answers::set_metadata(self.node()?, args)?)
    }

    // ---- events ----

    async fn connect_domain_event_register(
        &self,
        client: &Client,
        _: ConnectDomainEventRegisterArgs,
    ) -> Result<ConnectDomainEventRegisterRet> {
        self.events.register_old(client, self.node()?, DomainEventId::LIFECYCLE.0)?;
        // What libvirt's own server says.
        Ok(ConnectDomainEventRegisterRet { cb_registered: 0 })
    }

    async fn connect_domain_event_deregister(
        &self,
        client: &Client,
        _: ConnectDomainEventDeregisterArgs,
    ) -> Result<ConnectDomainEventDeregisterRet> {
        self.events.deregister_old(client, DomainEventId::LIFECYCLE.0)?;
        Ok(ConnectDomainEventDeregisterRet { cb_registered: 0 })
    }

    async fn connect_domain_event_register_any(
        &self,
        client: &Client,
        args: ConnectDomainEventRegisterAnyArgs,
    ) -> Result<()> {
        self.events.register_old(client, self.node()?, args.event_id)
    }

    async fn connect_domain_event_deregister_any(
        &self,
        client: &Client,
        args: ConnectDomainEventDeregisterAnyArgs,
    ) -> Result<()> {
        self.events.deregister_old(client, args.event_id)
    }

    async fn connect_domain_event_callback_register_any(
        &self,
        client: &Client,
        args: ConnectDomainEventCallbackRegisterAnyArgs,
    ) -> Result<ConnectDomainEventCallbackRegisterAnyRet> {
        let callback_id = self.events.register(client, self.node()?, args.event_id, args.dom)?;
        Ok(ConnectDomainEventCallbackRegisterAnyRet { callback_id })
    }

    async fn connect_domain_event_callback_deregister_any(
        &self,
        client: &Client,
        args: ConnectDomainEventCallbackDeregisterAnyArgs,
    ) -> Result<()> {
        self.events.deregister(client, args.callback_id)
    }

    // ---- what there is nothing of ----

    answer_nothing! {
        connect_num_of_networks(ConnectNumOfNetworksArgs) -> ConnectNumOfNetworksRet;
        connect_list_networks(ConnectListNetworksArgs) -> ConnectListNetworksRet;
        connect_num_of_defined_networks(ConnectNumOfDefinedNetworksArgs) -> ConnectNumOfDefinedNetworksRet;
        connect_list_defined_networks(ConnectListDefinedNetworksArgs) -> ConnectListDefinedNetworksRet;
        connect_list_all_networks(ConnectListAllNetworksArgs) -> ConnectListAllNetworksRet;
        connect_num_of_storage_pools(ConnectNumOfStoragePoolsArgs) -> ConnectNumOfStoragePoolsRet;
        connect_list_storage_pools(ConnectListStoragePoolsArgs) -> ConnectListStoragePoolsRet;
        connect_num_of_defined_storage_pools(ConnectNumOfDefinedStoragePoolsArgs)
            -> ConnectNumOfDefinedStoragePoolsRet;
        connect_list_defined_storage_pools(ConnectListDefinedStoragePoolsArgs)
            -> ConnectListDefinedStoragePoolsRet;
        connect_list_all_storage_pools(ConnectListAllStoragePoolsArgs) -> ConnectListAllStoragePoolsRet;
        connect_num_of_interfaces(ConnectNumOfInterfacesArgs) -> ConnectNumOfInterfacesRet;
        connect_list_interfaces(ConnectListInterfacesArgs) -> ConnectListInterfacesRet;
        connect_num_of_defined_interfaces(ConnectNumOfDefinedInterfacesArgs)
            -> ConnectNumOfDefinedInterfacesRet;
        connect_list_defined_interfaces(ConnectListDefinedInterfacesArgs) -> ConnectListDefinedInterfacesRet;
        connect_list_all_interfaces(ConnectListAllInterfacesArgs) -> ConnectListAllInterfacesRet;
        node_num_of_devices(NodeNumOfDevicesArgs) -> NodeNumOfDevicesRet;
        node_list_devices(NodeListDevicesArgs) -> NodeListDevicesRet;
        connect_list_all_node_devices(ConnectListAllNodeDevicesArgs) -> ConnectListAllNodeDevicesRet;
    }

    answer_not_found! {
        network_lookup_by_name(NetworkLookupByNameArgs) -> NetworkLookupByNameRet: NETWORK, name;
        network_lookup_by_uuid(NetworkLookupByUuidArgs) -> NetworkLookupByUuidRet: NETWORK, uuid;
        storage_pool_lookup_by_name(StoragePoolLookupByNameArgs) -> StoragePoolLookupByNameRet: POOL, name;
        storage_pool_lookup_by_uuid(StoragePoolLookupByUuidArgs) -> StoragePoolLookupByUuidRet: POOL, uuid;
        interface_lookup_by_name(InterfaceLookupByNameArgs) -> InterfaceLookupByNameRet: INTERFACE, name;
        interface_lookup_by_mac_string(InterfaceLookupByMacStringArgs)
            -> InterfaceLookupByMacStringRet: INTERFACE, mac;
        node_device_lookup_by_name(NodeDeviceLookupByNameArgs) -> NodeDeviceLookupByNameRet: DEVICE, name;
    }

    register_for_nothing! {
        connect_network_event_register_any(ConnectNetworkEventRegisterAnyArgs)
            -> ConnectNetworkEventRegisterAnyRet: EventClass::Network;
        connect_storage_pool_event_register_any(ConnectStoragePoolEventRegisterAnyArgs)
            -> ConnectStoragePoolEventRegisterAnyRet: EventClass::StoragePool;
        connect_node_device_event_register_any(ConnectNodeDeviceEventRegisterAnyArgs)
            -> ConnectNodeDeviceEventRegisterAnyRet: EventClass::NodeDevice;
    }

    deregister_from_nothing! {
        connect_network_event_deregister_any(ConnectNetworkEventDeregisterAnyArgs): EventClass::Network;
        connect_storage_pool_event_deregister_any(ConnectStoragePoolEventDeregisterAnyArgs):
            EventClass::StoragePool;
        connect_node_device_event_deregister_any(ConnectNodeDeviceEventDeregisterAnyArgs):
            EventClass::NodeDevice;
    }

    answer_nothing_of_a_domain! {
        domain_snapshot_num(DomainSnapshotNumArgs) -> DomainSnapshotNumRet;
        domain_snapshot_list_names(DomainSnapshotListNamesArgs) -> DomainSnapshotListNamesRet;
        domain_list_all_snapshots(DomainListAllSnapshotsArgs) -> DomainListAllSnapshotsRet;
        domain_has_current_snapshot(DomainHasCurrentSnapshotArgs) -> DomainHasCurrentSnapshotRet;
        domain_list_all_checkpoints(DomainListAllCheckpointsArgs) -> DomainListAllCheckpointsRet;
    }

    answer_not_found_in_a_domain! {
        domain_snapshot_lookup_by_name(DomainSnapshotLookupByNameArgs)
            -> DomainSnapshotLookupByNameRet: SNAPSHOT, name;
        domain_checkpoint_lookup_by_name(DomainCheckpointLookupByNameArgs)
            -> DomainCheckpointLookupByNameRet: CHECKPOINT, name;
    }

    async fn domain_snapshot_current(
        &self,
        _: &Client,
        args: DomainSnapshotCurrentArgs,
    ) -> Result<DomainSnapshotCurrentRet> {
        self.node()?.domain_is_active(&args.dom.into())?;
        Err(SNAPSHOT.none("the domain has no current snapshot"))
    }
}
