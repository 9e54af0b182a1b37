//! What a guest has inside: file systems, addresses; and the leases of its network.

use crate::objects::time_at;
use std::time::SystemTime;
use virtwire_proto::enums::IpAddrType;
use virtwire_proto::program::remote;
use virtwire_proto::xdr::Text;

/// A file system that is mounted in a guest (virDomainFSInfo).
#[doc(alias = "virDomainFSInfo")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainFsInfo {
    /// Where it is mounted.
    pub mountpoint: Text,
    /// The guest's name of its device.
    pub name: Text,
    /// Its type, such as "ext4".
    pub fstype: Text,
    /// The target names of the domain's disks that it lies on, such as "vda".
    pub devices: Vec<Text>,
}

impl From<remote::DomainFsinfo> for DomainFsInfo {
    fn from(info: remote::DomainFsinfo) -> Self {
        let remote::DomainFsinfo { mountpoint, name, fstype, dev_aliases } = info;
        Self { mountpoint, name, fstype, devices: dev_aliases }
    }
}

/// An interface of a guest's, with its addresses (virDomainInterface).
#[doc(alias = "virDomainInterface")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainInterface {
    /// Its name: the guest's, or the host's of its device, as the source knows it.
    pub name: Text,
    /// Its MAC address, where it has one.
    pub hwaddr: Option<Text>,
    /// Its addresses.
    pub addresses: Vec<DomainIpAddress>,
}

impl From<remote::DomainInterface> for DomainInterface {
    fn from(interface: remote::DomainInterface) -> Self {
        let remote::DomainInterface { name, hwaddr, addrs } = interface;
        let address = |of: remote::DomainIpAddr| DomainIpAddress {
            kind: IpAddrType(of.type_),
            address: of.addr,
            prefix: of.prefix,
        };
        Self { name, hwaddr, addresses: addrs.into_iter().map(address).collect() }
    }
}

/// An address of a guest's interface (virDomainIPAddress).
#[doc(alias = "virDomainIPAddress")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainIpAddress {
    /// Whether it is IPv4 or IPv6.
    pub kind: IpAddrType,
    /// The address as text.
    pub address: Text,
    /// How many bits of it the network has.
    pub prefix: u32,
}

/// An address that the DHCP server of a network has given (virNetworkDHCPLease).
#[doc(alias = "virNetworkDHCPLease")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkDhcpLease {
    /// The host's interface of the network, such as "virbr0".
    pub interface: Text,
    /// When it ends; `None` where it does not.
    pub expires: Option<SystemTime>,
    /// Whether it is IPv4 or IPv6.
    pub kind: IpAddrType,
    /// To which MAC address it was given.
    pub mac: Option<Text>,
    /// The identity association that it was given to (IPv6).
    pub iaid: Option<Text>,
    /// The address as text.
    pub address: Text,
    /// How many bits of it the network has.
    pub prefix: u32,
    /// The name that the client has said, or was given.
    pub hostname: Option<Text>,
    /// The client's identifier, or its DUID (IPv6).
    pub client_id: Option<Text>,
}

impl From<remote::NetworkDhcpLease> for NetworkDhcpLease {
    fn from(lease: remote::NetworkDhcpLease) -> Self {
        Self {
            interface: lease.iface,
            expires: (lease.expirytime != 0).then(|| time_at(lease.expirytime, 0)).flatten(),
            kind: IpAddrType(lease.type_),
            mac: lease.mac,
            iaid: lease.iaid,
            address: lease.ipaddr,
            prefix: lease.prefix,
            hostname: lease.hostname,
            client_id: lease.clientid,
        }
    }
}
