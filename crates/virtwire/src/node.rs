//! The host that a daemon runs on, and the daemon itself.

use crate::{Connection, Result};
use virtwire_proto::program::{Version, remote};
use virtwire_proto::xdr::Text;

/// What a host has (virNodeInfo).
#[doc(alias = "virNodeInfo")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The CPU's model, such as "x86_64".
    pub model: Text,
    /// Memory in KiB.
    pub memory: u64,
    /// Active CPUs.
    pub cpus: u32,
    /// The CPUs' frequency in MHz; 0 where it is not known.
    pub mhz: u32,
    /// NUMA nodes; 1 where their topology is not uniform.
    pub nodes: u32,
    /// Sockets in each node.
    pub sockets: u32,
    /// Cores in each socket.
    pub cores: u32,
    /// Threads in each core.
    pub threads: u32,
}

impl Connection {
    /// The host's name.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetHostname")]
    pub async fn hostname(&self) -> Result<Text> {
        Ok(self.call(&remote::ConnectGetHostnameArgs).await?.hostname)
    }

    /// The name of the hypervisor's driver, such as "QEMU" or "TEST".
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetType")]
    pub async fn hypervisor_type(&self) -> Result<Text> {
        Ok(self.call(&remote::ConnectGetTypeArgs).await?.type_)
    }

    /// The hypervisor's version.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetVersion")]
    pub async fn version(&self) -> Result<Version> {
        Ok(Version::from_number(self.call(&remote::ConnectGetVersionArgs).await?.hv_ver))
    }

    /// The daemon's version of libvirt.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetLibVersion")]
    pub async fn lib_version(&self) -> Result<Version> {
        Ok(Version::from_number(self.call(&remote::ConnectGetLibVersionArgs).await?.lib_ver))
    }

    /// What the hypervisor can do, as XML (<https://libvirt.org/formatcaps.html>).
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectGetCapabilities")]
    pub async fn capabilities(&self) -> Result<Text> {
        Ok(self.call(&remote::ConnectGetCapabilitiesArgs).await?.capabilities)
    }

    /// What the host has.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virNodeGetInfo")]
    pub async fn node_info(&self) -> Result<NodeInfo> {
        let info = self.call(&remote::NodeGetInfoArgs).await?;
        let model = info.model.split(|&byte| byte == 0).next().unwrap_or_default();
        // A negative count would be a broken daemon's; it is none.
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        Ok(NodeInfo {
            model: Text::from(model),
            memory: info.memory,
            cpus: count(info.cpus),
            mhz: count(info.mhz),
            nodes: count(info.nodes),
            sockets: count(info.sockets),
            cores: count(info.cores),
            threads: count(info.threads),
        })
    }
}
