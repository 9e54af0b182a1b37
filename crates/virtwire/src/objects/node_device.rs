//! Devices of the host.

use super::object;
use virtwire_proto::program::remote::NonnullNodeDevice;
use virtwire_proto::xdr::Text;

object! {
    /// A device of the host: a PCI or USB device, a disk, a network card, a mediated device.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::{ListAllNodeDeviceFlags, NodeDeviceXmlFlags};
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// for device in connection.list_all_node_devices(ListAllNodeDeviceFlags::CAP_PCI_DEV).await? {
    ///     println!("{}: {}", device.name(), device.xml_desc(NodeDeviceXmlFlags::empty()).await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virNodeDevice")]
    #[doc(alias = "virNodeDevicePtr")]
    pub struct NodeDevice(NonnullNodeDevice) of Connection, made by node_device;
    same: name;
    shown: name;
}

impl NodeDevice {
    /// Its name, such as "pci_0000_00_1f_2".
    #[doc(alias = "virNodeDeviceGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }
}
