//! Real networks with a guest on one, network filters, interfaces, and devices of the machine.

use super::{Host, until};
use crate::coverage::{Log, run};
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::names;
use virtwire::proto::program::remote::NonnullNodeDevice;
use virtwire::proto::typed_params::{TypedParams, TypedParamsExt};
use virtwire::{Connection, Domain, Network};
use virtwire_testbed::Failed;

const NETWORK: &str = "<network><name>served</name><uuid>5f0e6a1c-0000-4000-8003-000000000001</uuid>\
    <bridge name='vwserved'/>\
    <ip address='10.77.0.1' netmask='255.255.255.0'>\
    <dhcp><range start='10.77.0.2' end='10.77.0.9'/></dhcp></ip></network>";

const MAC: &str = "52:54:00:00:00:21";

/// The network card's firmware asks for an address, which the emulated guest could not do by itself.
const INTERFACE: &str = "<interface type='network'><mac address='52:54:00:00:00:21'/><source network='served'/>\
    <target dev='vwserved-g'/><model type='virtio'/><filterref filter='open'/><boot order='1'/></interface>";

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let connection = host.driver("network").await?;
    let network = defined(log, &connection).await?;
    let filters = host.driver("nwfilter").await?;
    let xml = "<filter name='open' chain='root'><rule action='accept' direction='inout'/></filter>";
    filters.nw_filter_define_xml(xml, NwFilterDefineFlags::empty()).await?;
    let xml = host.guest("booter", "raw", INTERFACE)?;
    let guest = host.connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    ports(log, &network, &guest).await?;
    bindings(log, &filters).await?;
    leases(log, &network, &guest).await?;
    interfaces(log, &host.driver("interface").await?).await?;
    guest.destroy(DomainDestroyFlags::empty()).await?;
    assert_eq!(filters.list_all_nw_filter_bindings().await?, []);
    run!(log, network.destroy())?;
    run!(log, network.undefine())?;
    node_devices(log, &host.driver("nodedev").await?, &host.connection).await
}

async fn defined(log: &Log, connection: &Connection) -> Result<Network, Failed> {
    let connection = connection.clone();
    let network = run!(log, connection.network_define_xml(NETWORK, NetworkDefineFlags::empty()))?;
    assert_eq!(run!(log, connection.list_defined_networks())?, ["served"]);
    run!(log, network.create())?;
    assert!(run!(log, network.is_active())? && run!(log, network.is_persistent())?);
    assert_eq!(run!(log, network.bridge_name())?, "vwserved");
    assert_eq!(run!(log, connection.list_networks())?, ["served"]);
    run!(log, network.set_autostart(true))?;
    assert!(run!(log, network.autostart())?);
    let both = NetworkUpdateFlags::AFFECT_LIVE | NetworkUpdateFlags::AFFECT_CONFIG;
    let record = "<host ip='10.77.0.7'><hostname>seven</hostname></host>";
    for (command, is_there) in [(NetworkUpdateCommand::ADD_LAST, true), (NetworkUpdateCommand::DELETE, false)]
    {
        run!(log, network.update(command, NetworkUpdateSection::DNS_HOST, None, record, both))?;
        for flags in [NetworkXmlFlags::empty(), NetworkXmlFlags::INACTIVE] {
            let shown = run!(log, network.xml_desc(flags))?.to_string();
            assert_eq!(shown.contains("seven"), is_there, "{shown}");
        }
    }
    let title = NetworkMetadataType::TITLE;
    if run!(log, network.set_metadata(title, "A title", None, None, both)).is_ok() {
        assert_eq!(run!(log, network.metadata(title, None, NetworkUpdateFlags::AFFECT_LIVE))?, "A title");
    }
    Ok(network)
}

async fn ports(log: &Log, network: &Network, guest: &Domain) -> Result<(), Failed> {
    let network = network.clone();
    let ports = run!(log, network.list_all_ports())?;
    let [port] = &ports[..] else { return Err(format!("{ports:?}").into()) };
    let port = port.clone();
    assert_eq!(
        (port.network(), run!(log, network.port_lookup_by_uuid(port.uuid()))?),
        (network.clone(), port.clone())
    );
    let shown = run!(log, port.xml_desc())?.to_string();
    assert!(shown.contains(MAC) && shown.contains(&guest.uuid().to_string()), "{shown}");
    let params = TypedParams::new().with(names::network_port::BANDWIDTH_IN_AVERAGE, 2000_u32);
    if run!(log, port.set_parameters(params)).is_ok() {
        let params = run!(log, port.parameters())?;
        let average = params.get_as::<u32>(names::network_port::BANDWIDTH_IN_AVERAGE)?;
        assert_eq!(average, Some(2000), "{params:?}");
    } else {
        run!(log, port.parameters())?;
    }

    // One that no guest has.
    let xml = "<networkport><uuid>5f0e6a1c-0000-4000-8003-000000000004</uuid><owner><name>nobody</name><uuid>5f0e6a1c-0000-4000-8003-000000000002</uuid></owner>\
        <mac address='52:54:00:00:00:22'/></networkport>";
    let own = run!(log, network.port_create_xml(xml, NetworkPortCreateFlags::empty()))?;
    assert_eq!(network.list_all_ports().await?.len(), 2);
    run!(log, own.delete())?;
    assert_eq!(network.list_all_ports().await?, [port]);
    Ok(())
}

/// The binding of the guest's interface, which QEMU's driver has made.
async fn bindings(log: &Log, filters: &Connection) -> Result<(), Failed> {
    let filters = filters.clone();
    let bindings = run!(log, filters.list_all_nw_filter_bindings())?;
    let [binding] = &bindings[..] else { return Err(format!("{bindings:?}").into()) };
    let binding = binding.clone();
    assert!(*binding.port_dev() == "vwserved-g" && *binding.filter_name() == "open", "{binding:?}");
    assert_eq!(run!(log, filters.nw_filter_binding_lookup_by_port_dev("vwserved-g"))?, binding);
    let shown = run!(log, binding.xml_desc())?.to_string();
    assert!(shown.contains("<name>booter</name>"), "{shown}");
    let filter = filters.nw_filter_lookup_by_name("open").await?;
    let error = run!(log, filter.undefine()).unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_INVALID), "{error}");
    Ok(())
}

/// The address that the guest's firmware is given, as the network knows it and as the domain does.
async fn leases(log: &Log, network: &Network, guest: &Domain) -> Result<(), Failed> {
    let (network, guest) = (network.clone(), guest.clone());
    let lease = until("the guest has an address", async || {
        Ok(run!(log, network.dhcp_leases(Some(MAC)))?.into_iter().next())
    })
    .await?;
    let address = lease.address.to_string();
    assert!(address.starts_with("10.77.0.") && lease.prefix == 24, "{lease:?}");
    assert_eq!(lease.mac.map(|mac| mac.to_string()), Some(MAC.into()));
    assert!(lease.expires.is_some());
    assert_eq!(network.dhcp_leases("52:54:00:00:00:99").await?, []);
    let interfaces = run!(log, guest.interface_addresses(DomainInterfaceAddressesSource::LEASE))?;
    assert_eq!((interfaces.len(), &*interfaces[0].addresses[0].address.to_string()), (1, &*address));
    Ok(())
}

async fn interfaces(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let active = ListAllInterfacesFlags::ACTIVE;
    let all = run!(log, connection.list_all_interfaces(active))?;
    assert!(all.iter().any(|interface| *interface.name() == "vwserved"), "{all:?}");
    assert_eq!(run!(log, connection.num_of_interfaces())? as usize, all.len());
    assert_eq!(run!(log, connection.list_interfaces())?.len(), all.len());
    let bridge = run!(log, connection.interface_lookup_by_name("vwserved"))?;
    assert!(run!(log, bridge.is_active())?);
    assert_eq!(run!(log, connection.interface_lookup_by_mac_string(bridge.mac().clone()))?, bridge);
    let shown = run!(log, bridge.xml_desc(InterfaceXmlFlags::empty()))?.to_string();
    assert!(shown.contains("<bridge") && shown.contains("vwserved-g"), "{shown}");
    // Debian builds the driver that only looks.
    assert!(bridge.destroy().await.unwrap_err().is_unsupported());
    Ok(())
}

async fn node_devices(log: &Log, connection: &Connection, hypervisor: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let devices = run!(log, connection.list_all_node_devices(ListAllNodeDeviceFlags::empty()))?;
    assert_eq!(run!(log, connection.node_num_of_devices(None))? as usize, devices.len());
    assert_eq!(run!(log, connection.node_list_devices(None))?.len(), devices.len());
    let computer = run!(log, connection.node_device_lookup_by_name("computer"))?;
    assert!(devices.contains(&computer));
    assert!(
        run!(log, computer.xml_desc(NodeDeviceXmlFlags::empty()))?.to_string().contains("<name>computer<")
    );
    assert_eq!(run!(log, computer.parent())?, None);
    assert_eq!(run!(log, computer.num_of_caps())?, 1);
    assert_eq!(run!(log, computer.list_caps())?, ["system"]);
    assert!(run!(log, computer.is_active())?);
    run!(log, computer.is_persistent())?;
    run!(log, computer.autostart())?;
    // None of this is for a whole computer.
    run!(log, computer.set_autostart(true)).unwrap_err();
    run!(log, computer.create()).unwrap_err();
    run!(log, computer.undefine()).unwrap_err();
    run!(log, computer.update("<device/>", NodeDeviceUpdateFlags::empty())).unwrap_err();
    let error = computer.destroy().await.unwrap_err();
    assert!(matches!(error, virtwire::Error::Libvirt(_)), "{error}");
    // Nor does anything here take the machine's own devices away from it: this one is nowhere.
    let absent = hypervisor.node_device(NonnullNodeDevice { name: "pci_ffff_ff_1f_7".into() });
    run!(log, absent.detach(None)).unwrap_err();
    run!(log, absent.re_attach()).unwrap_err();
    run!(log, absent.reset()).unwrap_err();
    run!(log, connection.node_device_lookup_scsi_host_by_wwn("2000000012341234", "1000000012341234"))
        .unwrap_err();
    Ok(())
}
