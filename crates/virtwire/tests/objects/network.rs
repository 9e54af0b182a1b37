//! Networks, interfaces, node devices of the test driver, and real network filters.

use crate::coverage::{Log, run};
use virtwire::Connection;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::typed_params::TypedParams;
use virtwire_testbed::Failed;

pub(crate) async fn run(log: &Log, connection: &Connection) -> Result<(), Failed> {
    networks(log, connection).await?;
    interfaces(log, connection).await?;
    node_devices(log, connection).await
}

async fn networks(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let networks = run!(log, connection.list_all_networks(ListAllNetworksFlags::empty()))?;
    let [network] = &networks[..] else { return Err(format!("{networks:?}").into()) };
    let network = network.clone();
    let _events = run!(log, connection.network_events(NetworkEventId::LIFECYCLE))?;
    let _events = run!(log, network.events(NetworkEventId::LIFECYCLE))?;
    assert_eq!(run!(log, connection.list_networks())?, ["default"]);
    assert_eq!(run!(log, connection.num_of_networks())?, 1);
    assert_eq!(run!(log, connection.list_defined_networks())?.len(), 0);
    assert_eq!(run!(log, connection.num_of_defined_networks())?, 0);
    assert_eq!(run!(log, connection.network_lookup_by_name("default"))?, network);
    assert_eq!(run!(log, connection.network_lookup_by_uuid(network.uuid()))?, network);
    let error = connection.network_lookup_by_name("absent").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_NETWORK), "{error}");

    let xml = "<network><name>other</name><forward mode='nat'/><bridge name='virbr7'/>\
        <ip address='10.7.0.1' netmask='255.255.255.0'><dhcp><range start='10.7.0.2' end='10.7.0.9'/></dhcp></ip></network>";
    let other = run!(log, connection.network_define_xml(xml, NetworkDefineFlags::empty()))?;
    connection
        .network_define_xml(
            xml.replace("other", "third").replace("virbr7", "virbr8"),
            NetworkDefineFlags::VALIDATE,
        )
        .await
        .ok();
    run!(log, other.create())?;
    assert!(run!(log, other.is_active())? && run!(log, other.is_persistent())?);
    assert_eq!(run!(log, other.bridge_name())?, "virbr7");
    run!(log, other.set_autostart(true))?;
    assert!(run!(log, other.autostart())?);
    let host = "<host mac='52:54:00:00:00:01' ip='10.7.0.5'/>";
    let (command, section) = (NetworkUpdateCommand::ADD_LAST, NetworkUpdateSection::IP_DHCP_HOST);
    run!(log, other.update(command, section, None, host, NetworkUpdateFlags::AFFECT_LIVE))?;
    // What was asked for is what came about: on daemons of either order.
    let shown = run!(log, other.xml_desc(NetworkXmlFlags::empty()))?.to_string();
    assert!(shown.contains("52:54:00:00:00:01"), "{shown}");
    assert_eq!(run!(log, other.dhcp_leases(None)).unwrap_or_default(), []);
    let live = NetworkUpdateFlags::AFFECT_LIVE;
    let title = NetworkMetadataType::TITLE;
    run!(log, other.set_metadata(title, "A title", None, None, live)).ok();
    run!(log, other.metadata(title, None, live)).ok();
    run!(log, other.list_all_ports()).ok();
    run!(log, other.port_create_xml("<networkport/>", NetworkPortCreateFlags::empty())).ok();
    run!(log, other.port_lookup_by_uuid(other.uuid())).ok();
    let handle = virtwire::proto::program::remote::NonnullNetworkPort {
        net: other.handle().clone(),
        uuid: other.uuid(),
    };
    let port = connection.network_port(handle);
    assert_eq!(port.network(), other);
    run!(log, port.xml_desc()).ok();
    run!(log, port.parameters()).ok();
    run!(log, port.set_parameters(TypedParams::new())).ok();
    run!(log, port.delete()).ok();
    run!(log, other.destroy())?;
    run!(log, other.undefine())?;
    let transient = run!(log, connection.network_create_xml(xml, NetworkCreateFlags::empty()))?;
    assert!(!transient.is_persistent().await?);
    transient.destroy().await?;
    Ok(())
}

async fn interfaces(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let interfaces = run!(log, connection.list_all_interfaces(ListAllInterfacesFlags::empty()))?;
    let [eth1] = &interfaces[..] else { return Err(format!("{interfaces:?}").into()) };
    let eth1 = eth1.clone();
    assert_eq!(run!(log, connection.list_interfaces())?, ["eth1"]);
    assert_eq!(run!(log, connection.num_of_interfaces())?, 1);
    assert_eq!(run!(log, connection.list_defined_interfaces())?.len(), 0);
    assert_eq!(run!(log, connection.num_of_defined_interfaces())?, 0);
    assert_eq!(run!(log, connection.interface_lookup_by_name("eth1"))?, eth1);
    assert_eq!(run!(log, connection.interface_lookup_by_mac_string(eth1.mac().clone()))?, eth1);
    run!(log, connection.interface_change_begin())?;
    run!(log, connection.interface_change_rollback())?;
    connection.interface_change_begin().await?;
    let xml = run!(log, eth1.xml_desc(InterfaceXmlFlags::empty()))?;
    let xml = xml.to_string().replace("eth1", "eth2").replace("aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:00");
    let eth2 = run!(log, connection.interface_define_xml(xml, InterfaceDefineFlags::empty()))?;
    run!(log, connection.interface_change_commit())?;
    assert!(!run!(log, eth2.is_active())?);
    run!(log, eth2.create())?;
    assert!(eth2.is_active().await?);
    run!(log, eth2.destroy())?;
    run!(log, eth2.undefine())?;
    Ok(())
}

async fn node_devices(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let devices = run!(log, connection.list_all_node_devices(ListAllNodeDeviceFlags::empty()))?;
    let names = run!(log, connection.node_list_devices(None))?;
    assert_eq!(run!(log, connection.node_num_of_devices(None))? as usize, devices.len());
    assert_eq!(names.len(), devices.len());
    let host = run!(log, connection.node_device_lookup_by_name("scsi_host1"))?;
    assert!(devices.contains(&host));
    run!(log, connection.node_device_lookup_scsi_host_by_wwn("2000000012341234", "1000000012341234")).ok();
    assert!(run!(log, host.xml_desc(NodeDeviceXmlFlags::empty()))?.to_string().contains("scsi_host1"));
    assert!(run!(log, host.parent())?.is_some());
    let caps = run!(log, host.list_caps())?;
    assert_eq!(run!(log, host.num_of_caps())? as usize, caps.len());
    assert!(caps.iter().any(|cap| *cap == "scsi_host"), "{caps:?}");
    run!(log, host.is_active()).ok();
    run!(log, host.is_persistent()).ok();
    run!(log, host.autostart()).ok();
    run!(log, host.set_autostart(false)).ok();
    run!(log, host.detach(None)).ok();
    host.detach("vfio").await.ok();
    run!(log, host.re_attach()).ok();
    run!(log, host.reset()).ok();
    run!(log, host.update("<device/>", NodeDeviceUpdateFlags::empty())).ok();
    run!(log, host.create()).ok();
    run!(log, host.undefine()).ok();
    let xml = "<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>\
        <wwnn>1000000023452345</wwnn><wwpn>1000000023452346</wwpn></capability></capability></device>";
    run!(log, connection.node_device_define_xml(xml, NodeDeviceDefineXmlFlags::empty())).ok();
    let made = run!(log, connection.node_device_create_xml(xml, NodeDeviceCreateXmlFlags::empty()))?;
    let _events = run!(log, connection.node_device_events(NodeDeviceEventId::LIFECYCLE))?;
    let _events = run!(log, made.events(NodeDeviceEventId::UPDATE))?;
    run!(log, made.destroy())?;
    Ok(())
}

/// A real network that is defined and never started: started, it would be the machine's.
pub(crate) async fn run_real(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let xml = "<network><name>virtwire-test</name><ip address='10.77.0.1' netmask='255.255.255.0'>\
        <dhcp><range start='10.77.0.2' end='10.77.0.9'/></dhcp></ip></network>";
    let network = run!(log, connection.network_define_xml(xml, NetworkDefineFlags::empty()))?;
    let config = NetworkUpdateFlags::AFFECT_CONFIG;
    for (command, host, is_there) in [
        (NetworkUpdateCommand::ADD_LAST, "<host mac='52:54:00:00:00:01' ip='10.77.0.5'/>", true),
        (NetworkUpdateCommand::DELETE, "<host mac='52:54:00:00:00:01'/>", false),
    ] {
        run!(log, network.update(command, NetworkUpdateSection::IP_DHCP_HOST, None, host, config))?;
        let shown = network.xml_desc(NetworkXmlFlags::empty()).await?.to_string();
        assert_eq!(shown.contains("52:54:00:00:00:01"), is_there, "{shown}");
    }
    run!(log, network.list_all_ports()).ok();
    run!(log, network.dhcp_leases(None)).ok();
    let error = run!(log, network.port_lookup_by_uuid(network.uuid())).unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_NETWORK_PORT), "{error}");
    let title = NetworkMetadataType::TITLE;
    if run!(log, network.set_metadata(title, "A title", None, None, config)).is_ok() {
        assert_eq!(run!(log, network.metadata(title, None, config))?, "A title");
    }
    network.undefine().await?;
    Ok(())
}

pub(crate) async fn run_filters(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let before = run!(log, connection.num_of_nw_filters())?;
    let xml = "<filter name='virtwire-test' chain='root'><rule action='drop' direction='in'/></filter>";
    let filter = run!(log, connection.nw_filter_define_xml(xml, NwFilterDefineFlags::empty()))?;
    assert_eq!(connection.num_of_nw_filters().await?, before + 1);
    assert!(run!(log, connection.list_all_nw_filters())?.contains(&filter));
    assert!(run!(log, connection.list_nw_filters())?.contains(filter.name()));
    assert_eq!(run!(log, connection.nw_filter_lookup_by_name("virtwire-test"))?, filter);
    assert_eq!(run!(log, connection.nw_filter_lookup_by_uuid(filter.uuid()))?, filter);
    assert!(run!(log, filter.xml_desc())?.to_string().contains("virtwire-test"));
    assert_eq!(run!(log, connection.list_all_nw_filter_bindings())?, []);
    let xml = "<filterbinding><owner><name>demo</name><uuid>00000000-0000-4000-8000-000000000007</uuid></owner>\
        <portdev name='vw-none0'/><mac address='52:54:00:00:00:01'/><filterref filter='virtwire-test'/></filterbinding>";
    run!(log, connection.nw_filter_binding_create_xml(xml, NwFilterBindingCreateFlags::empty())).ok();
    run!(log, connection.nw_filter_binding_lookup_by_port_dev("vw-none0")).ok();
    let handle = virtwire::proto::program::remote::NonnullNwfilterBinding {
        portdev: "vw-none0".into(),
        filtername: "virtwire-test".into(),
    };
    let binding = connection.nw_filter_binding(handle);
    run!(log, binding.xml_desc()).ok();
    run!(log, binding.delete()).ok();
    run!(log, filter.undefine())?;
    Ok(())
}
