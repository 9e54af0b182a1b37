//! Virtual networks and their ports.

use super::object;
use crate::Result;
use uuid::Uuid;
use virtwire_proto::enums::{NetworkUpdateCommand, NetworkUpdateSection};
use virtwire_proto::flags::NetworkUpdateFlags;
use virtwire_proto::program::remote::{self, NonnullNetwork, NonnullNetworkPort};
use virtwire_proto::xdr::Text;

object! {
    /// A virtual network.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::enums::{NetworkUpdateCommand, NetworkUpdateSection};
    /// use virtwire::proto::flags::NetworkUpdateFlags;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let network = connection.network_lookup_by_name("default").await?;
    /// for lease in network.dhcp_leases(None).await? {
    ///     println!("{} has {}", lease.address, lease.mac.unwrap_or_default());
    /// }
    /// let host = "<host mac='52:54:00:00:00:01' ip='192.168.122.10'/>";
    /// let (command, section) = (NetworkUpdateCommand::ADD_LAST, NetworkUpdateSection::IP_DHCP_HOST);
    /// network.update(command, section, None, host, NetworkUpdateFlags::AFFECT_LIVE).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNetwork")]
    #[doc(alias = "virNetworkPtr")]
    pub struct Network(NonnullNetwork) of Connection, made by network;
    same: uuid;
    shown: name, uuid;
}

impl Network {
    /// Its name.
    #[doc(alias = "virNetworkGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its UUID.
    #[doc(alias = "virNetworkGetUUID")]
    #[doc(alias = "virNetworkGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }

    /// Changes a part of it: adds, removes or replaces the element `xml` in a section of its XML, now or in its
    /// definition, as `flags` say. `parent` says in which one of several elements, counted from 0, where the section is
    /// in one that there may be several of, such as `<ip>`; `None` means the only one, or the first that fits.
    ///
    /// Daemons before libvirt 7.2.0 take command and section in the wrong order: those are asked for it once, and given
    /// what they want.
    ///
    /// Since libvirt 0.10.2. Permissions: `network:write`,
    /// `network:save:!VIR_NETWORK_UPDATE_AFFECT_CONFIG|VIR_NETWORK_UPDATE_AFFECT_LIVE`,
    /// `network:save:VIR_NETWORK_UPDATE_AFFECT_CONFIG`.
    ///
    /// # Errors
    /// As [`Connection::call`](crate::Connection::call).
    #[doc(alias = "virNetworkUpdate")]
    pub async fn update(
        &self,
        command: NetworkUpdateCommand,
        section: NetworkUpdateSection,
        parent: Option<u32>,
        xml: impl Into<Text>,
        flags: NetworkUpdateFlags,
    ) -> Result<()> {
        let (command, section) = (command.0.cast_unsigned(), section.0.cast_unsigned());
        let in_order = self.connection.takes_network_updates_in_order().await?;
        let (command, section) = if in_order { (command, section) } else { (section, command) };
        let args = remote::NetworkUpdateArgs {
            net: self.handle.clone(),
            command,
            section,
            parent_index: parent.map_or(-1, |parent| i32::try_from(parent).unwrap_or(i32::MAX)),
            xml: xml.into(),
            flags: flags.bits(),
        };
        self.connection.call(&args).await
    }
}

object! {
    /// A port of a virtual network: what a domain's interface is connected to.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(network: virtwire::Network) -> virtwire::Result<()> {
    /// for port in network.list_all_ports().await? {
    ///     println!("{}: {:?}", port.uuid(), port.parameters().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNetworkPort")]
    #[doc(alias = "virNetworkPortPtr")]
    pub struct NetworkPort(NonnullNetworkPort) of Connection, made by network_port;
    same: uuid, network;
    shown: uuid, network;
}

impl NetworkPort {
    /// Its UUID.
    #[doc(alias = "virNetworkPortGetUUID")]
    #[doc(alias = "virNetworkPortGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }

    /// Its network.
    #[doc(alias = "virNetworkPortGetNetwork")]
    #[must_use]
    pub fn network(&self) -> Network {
        self.connection.network(self.handle.net.clone())
    }
}
