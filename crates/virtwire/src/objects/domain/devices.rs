//! What goes to a domain as a descriptor, or comes from it as one.

use super::Domain;
use crate::error::ProtocolError;
use crate::{CallOptions, Connection, Error, Result};
use virtwire_proto::flags::{
    DomainCreateFlags, DomainFdAssociateFlags, DomainOpenGraphicsFlags, DomainQemuMonitorCommandFlags,
};
use virtwire_proto::packet::Descriptor;
use virtwire_proto::program::{Call, lxc, qemu, remote};
use virtwire_proto::xdr::Text;

impl Connection {
    /// Starts a domain by its XML, and gives its first process (LXC: init) these files, as descriptors from 3 on.
    ///
    /// Since libvirt 1.1.1. Permissions: `domain:write`, `domain:start`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Argument`] for more than 32 files, or where the connection is no UNIX socket.
    #[doc(alias = "virDomainCreateXMLWithFiles")]
    pub async fn domain_create_xml_with_files(
        &self,
        xml_desc: impl Into<Text>,
        files: Vec<Descriptor>,
        flags: DomainCreateFlags,
    ) -> Result<Domain> {
        let args = remote::DomainCreateXmlWithFilesArgs { xml_desc: xml_desc.into(), flags: flags.bits() };
        let (reply, _) = self.call_with(&args, CallOptions::new().descriptors(files)).await?;
        Ok(self.domain(reply.dom))
    }
}

impl Domain {
    /// Starts it, and gives its first process (LXC: init) these files, as descriptors from 3 on. [`Domain::id`] of the
    /// domain that this gives is its number.
    ///
    /// Since libvirt 1.1.1. Permissions: `domain:start`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Argument`] for more than 32 files, or where the connection is no UNIX socket.
    #[doc(alias = "virDomainCreateWithFiles")]
    pub async fn create_with_files(&self, files: Vec<Descriptor>, flags: DomainCreateFlags) -> Result<Self> {
        let args = remote::DomainCreateWithFilesArgs { dom: self.handle.clone(), flags: flags.bits() };
        let (reply, _) = self.connection.call_with(&args, CallOptions::new().descriptors(files)).await?;
        Ok(self.connection.domain(reply.dom))
    }

    /// Connects its graphics server, counted from 0 by `idx`, to the far end of `socket`, one of a pair of connected
    /// sockets: this side keeps the other and speaks VNC or SPICE on it.
    ///
    /// Since libvirt 0.9.7. Permissions: `domain:open_graphics`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Argument`] where the connection is no UNIX socket.
    #[doc(alias = "virDomainOpenGraphics")]
    pub async fn open_graphics(
        &self,
        idx: u32,
        socket: Descriptor,
        flags: DomainOpenGraphicsFlags,
    ) -> Result<()> {
        let args = remote::DomainOpenGraphicsArgs { dom: self.handle.clone(), idx, flags: flags.bits() };
        self.connection.call_with(&args, CallOptions::new().descriptors(vec![socket])).await?;
        Ok(())
    }

    /// Connects to its graphics server, counted from 0 by `idx`, and gives the socket, on which it speaks VNC or SPICE.
    ///
    /// Since libvirt 1.2.8. Permissions: `domain:open_graphics`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Protocol`] where no socket came.
    #[doc(alias = "virDomainOpenGraphicsFD")]
    pub async fn open_graphics_fd(&self, idx: u32, flags: DomainOpenGraphicsFlags) -> Result<Descriptor> {
        let args = remote::DomainOpenGraphicsFdArgs { dom: self.handle.clone(), idx, flags: flags.bits() };
        let ((), descriptors) = self.connection.call_with(&args, CallOptions::new()).await?;
        let count = descriptors.len();
        match <[Descriptor; 1]>::try_from(descriptors) {
            Ok([socket]) => Ok(socket),
            Err(_) => Err(Error::Protocol {
                procedure: remote::DomainOpenGraphicsFdArgs::PROCEDURE,
                source: ProtocolError::Other(format!("expected 1 descriptor, got {count}")),
            }),
        }
    }

    /// Lets a disk of its XML have these files as its source, where it says `<source fdgroup='name'>`. They belong to
    /// this connection and domain: they are closed in the daemon with the connection, or once the domain has them.
    ///
    /// Since libvirt 9.0.0. Permissions: `domain:write`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Argument`] for more than 32 files, or where the connection is no UNIX socket.
    #[doc(alias = "virDomainFDAssociate")]
    pub async fn fd_associate(
        &self,
        name: impl Into<Text>,
        files: Vec<Descriptor>,
        flags: DomainFdAssociateFlags,
    ) -> Result<()> {
        let args = remote::DomainFdAssociateArgs {
            dom: self.handle.clone(),
            name: name.into(),
            flags: flags.bits(),
        };
        self.connection.call_with(&args, CallOptions::new().descriptors(files)).await?;
        Ok(())
    }

    /// Sends a command to QEMU's monitor, as [`Domain::qemu_monitor_command`] does, with files that go with it, and gives
    /// its answer with the files that came.
    ///
    /// Since libvirt 8.2.0. Permissions: `domain:write`.
    ///
    /// # Errors
    /// As [`Connection::call`]; [`Error::Argument`] for more than 32 files, or where the connection is no UNIX socket.
    #[doc(alias = "virDomainQemuMonitorCommandWithFiles")]
    pub async fn qemu_monitor_command_with_files(
        &self,
        cmd: impl Into<Text>,
        files: Vec<Descriptor>,
        flags: DomainQemuMonitorCommandFlags,
    ) -> Result<(Text, Vec<Descriptor>)> {
        let args = qemu::DomainMonitorCommandWithFilesArgs {
            dom: self.handle.clone(),
            cmd: cmd.into(),
            flags: flags.bits(),
        };
        let (reply, descriptors) =
            self.connection.call_with(&args, CallOptions::new().descriptors(files)).await?;
        Ok((reply.result, descriptors))
    }

    /// The namespaces of a container's (LXC) first process, as descriptors for `setns`.
    ///
    /// Since libvirt 1.0.2. Permissions: `domain:open_namespace`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainLxcOpenNamespace")]
    pub async fn lxc_open_namespace(&self) -> Result<Vec<Descriptor>> {
        let args = lxc::DomainOpenNamespaceArgs { dom: self.handle.clone(), flags: 0 };
        let ((), descriptors) = self.connection.call_with(&args, CallOptions::new()).await?;
        Ok(descriptors)
    }
}
