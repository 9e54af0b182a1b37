//! Interfaces of the host.

use super::object;
use virtwire_proto::program::remote::NonnullInterface;
use virtwire_proto::xdr::Text;

object! {
    /// A network interface of the host, as its configuration has it.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::ListAllInterfacesFlags;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// for interface in connection.list_all_interfaces(ListAllInterfacesFlags::ACTIVE).await? {
    ///     println!("{} {}", interface.name(), interface.mac());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virInterface")]
    #[doc(alias = "virInterfacePtr")]
    pub struct Interface(NonnullInterface) of Connection, made by interface;
    same: name;
    shown: name, mac;
}

impl Interface {
    /// Its name, such as "eth0".
    #[doc(alias = "virInterfaceGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its MAC address; empty where it has none.
    #[doc(alias = "virInterfaceGetMACString")]
    #[must_use]
    pub fn mac(&self) -> &Text {
        &self.handle.mac
    }
}
