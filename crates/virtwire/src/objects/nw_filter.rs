//! Network filters, and their bindings to ports.

use super::object;
use uuid::Uuid;
use virtwire_proto::program::remote::{NonnullNwfilter, NonnullNwfilterBinding};
use virtwire_proto::xdr::Text;

object! {
    /// A network filter: rules for what a domain's interface may send and receive.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let filter = connection.nw_filter_lookup_by_name("clean-traffic").await?;
    /// println!("{}", filter.xml_desc().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNWFilter")]
    #[doc(alias = "virNWFilterPtr")]
    pub struct NwFilter(NonnullNwfilter) of Connection, made by nw_filter;
    same: uuid;
    shown: name, uuid;
}

impl NwFilter {
    /// Its name.
    #[doc(alias = "virNWFilterGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its UUID.
    #[doc(alias = "virNWFilterGetUUID")]
    #[doc(alias = "virNWFilterGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }
}

object! {
    /// The binding of a network filter to a port.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// for binding in connection.list_all_nw_filter_bindings().await? {
    ///     println!("{} is filtered by {}", binding.port_dev(), binding.filter_name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNWFilterBinding")]
    #[doc(alias = "virNWFilterBindingPtr")]
    pub struct NwFilterBinding(NonnullNwfilterBinding) of Connection, made by nw_filter_binding;
    same: port_dev;
    shown: port_dev, filter_name;
}

impl NwFilterBinding {
    /// The device of the port on the host, such as "vnet0".
    #[doc(alias = "virNWFilterBindingGetPortDev")]
    #[must_use]
    pub fn port_dev(&self) -> &Text {
        &self.handle.portdev
    }

    /// The filter's name.
    #[doc(alias = "virNWFilterBindingGetFilterName")]
    #[must_use]
    pub fn filter_name(&self) -> &Text {
        &self.handle.filtername
    }
}
