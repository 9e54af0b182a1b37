//! Domains: virtual machines and containers.

use crate::{Connection, Result};
use std::fmt;
use std::time::Duration;
use uuid::Uuid;
use virtwire_proto::enums::DomainState;
use virtwire_proto::flags::{
    DomainCreateFlags, DomainDefineFlags, DomainDestroyFlags, DomainRebootFlags, DomainShutdownFlags,
    DomainUndefineFlags, DomainXmlFlags, ListAllDomainsFlags,
};
use virtwire_proto::program::remote::{self, NonnullDomain};
use virtwire_proto::xdr::Text;

/// A domain of a connection's: a virtual machine or a container.
///
/// It names the domain, and keeps its connection open; what the domain does meanwhile, or whether it still is
/// there, only a call tells.
///
/// # Examples
/// ```no_run
/// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
/// let domain = connection.domain_lookup_by_name("demo").await?;
/// let info = domain.info().await?;
/// println!("{}: {}, {} KiB", domain.name(), info.state, info.memory);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "virDomain")]
#[doc(alias = "virDomainPtr")]
#[derive(Clone)]
pub struct Domain {
    connection: Connection,
    handle: NonnullDomain,
}

/// What a domain is doing, and what it takes (virDomainInfo).
#[doc(alias = "virDomainInfo")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainInfo {
    /// Its state.
    pub state: DomainState,
    /// The memory that it may have, in KiB.
    pub max_memory: u64,
    /// The memory that it has, in KiB.
    pub memory: u64,
    /// Its virtual CPUs.
    pub vcpus: u16,
    /// The CPU time that it has taken.
    pub cpu_time: Duration,
}

impl Connection {
    /// All domains, or those that `flags` choose: of each group of flags that has one set, a domain has to match
    /// one. Nothing set means all.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectListAllDomains")]
    #[doc(alias = "virConnectListDomains")]
    #[doc(alias = "virConnectNumOfDomains")]
    pub async fn list_all_domains(&self, flags: ListAllDomainsFlags) -> Result<Vec<Domain>> {
        let args = remote::ConnectListAllDomainsArgs { need_results: 1, flags: flags.bits() };
        let domains = self.call(&args).await?.domains;
        Ok(domains.into_iter().map(|handle| self.domain(handle)).collect())
    }

    /// The domain with this name.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_NO_DOMAIN where there is none
    /// ([`is_no_domain`](crate::Error::is_no_domain)).
    #[doc(alias = "virDomainLookupByName")]
    pub async fn domain_lookup_by_name(&self, name: impl Into<Text>) -> Result<Domain> {
        let reply = self.call(&remote::DomainLookupByNameArgs { name: name.into() }).await?;
        Ok(self.domain(reply.dom))
    }

    /// The domain with this UUID.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_NO_DOMAIN where there is none.
    #[doc(alias = "virDomainLookupByUUID")]
    #[doc(alias = "virDomainLookupByUUIDString")]
    pub async fn domain_lookup_by_uuid(&self, uuid: Uuid) -> Result<Domain> {
        Ok(self.domain(self.call(&remote::DomainLookupByUuidArgs { uuid }).await?.dom))
    }

    /// The active domain with this number.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_NO_DOMAIN where there is none.
    #[doc(alias = "virDomainLookupByID")]
    pub async fn domain_lookup_by_id(&self, id: u32) -> Result<Domain> {
        // Numbers that libvirt's int cannot hold are no domain's: the daemon says so of -1.
        let id = i32::try_from(id).unwrap_or(-1);
        Ok(self.domain(self.call(&remote::DomainLookupByIdArgs { id }).await?.dom))
    }

    /// Defines a persistent domain by its XML (<https://libvirt.org/formatdomain.html>), or changes the definition
    /// of the one with its UUID. It is not started.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_XML_ERROR and its like for XML that cannot be used.
    #[doc(alias = "virDomainDefineXML")]
    #[doc(alias = "virDomainDefineXMLFlags")]
    pub async fn domain_define_xml(&self, xml: impl Into<Text>, flags: DomainDefineFlags) -> Result<Domain> {
        let xml = xml.into();
        // The call with flags came with libvirt 1.2.12; without any flag every daemon can do it.
        let handle = if flags.is_empty() {
            self.call(&remote::DomainDefineXmlArgs { xml }).await?.dom
        } else {
            self.call(&remote::DomainDefineXmlFlagsArgs { xml, flags: flags.bits() }).await?.dom
        };
        Ok(self.domain(handle))
    }

    /// Starts a domain by its XML. Where it is not defined too, it is gone when it stops.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainCreateXML")]
    #[doc(alias = "virDomainCreateLinux")]
    pub async fn domain_create_xml(&self, xml: impl Into<Text>, flags: DomainCreateFlags) -> Result<Domain> {
        let args = remote::DomainCreateXmlArgs { xml_desc: xml.into(), flags: flags.bits() };
        Ok(self.domain(self.call(&args).await?.dom))
    }

    /// The domain that a handle names, such as one out of an event or of [`Connection::call`].
    #[must_use]
    pub fn domain(&self, handle: NonnullDomain) -> Domain {
        Domain { connection: self.clone(), handle }
    }
}

impl Domain {
    /// Its name.
    #[doc(alias = "virDomainGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its UUID.
    #[doc(alias = "virDomainGetUUID")]
    #[doc(alias = "virDomainGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }

    /// Its number among the active domains when this was made; `None` where it was not active.
    #[doc(alias = "virDomainGetID")]
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        u32::try_from(self.handle.id).ok()
    }

    /// Its connection.
    #[doc(alias = "virDomainGetConnect")]
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the wire knows it by, for [`Connection::call`].
    #[must_use]
    pub fn handle(&self) -> &NonnullDomain {
        &self.handle
    }

    /// What it is doing, and what it takes.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetInfo")]
    pub async fn info(&self) -> Result<DomainInfo> {
        let info = self.connection.call(&remote::DomainGetInfoArgs { dom: self.handle.clone() }).await?;
        Ok(DomainInfo {
            state: DomainState(info.state.into()),
            max_memory: info.max_mem,
            memory: info.memory,
            vcpus: info.nr_virt_cpu,
            cpu_time: Duration::from_nanos(info.cpu_time),
        })
    }

    /// Its state, and why it is in it: a number whose meaning the state decides (virDomainRunningReason and its
    /// like).
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetState")]
    pub async fn state(&self) -> Result<(DomainState, i32)> {
        let args = remote::DomainGetStateArgs { dom: self.handle.clone(), flags: 0 };
        let reply = self.connection.call(&args).await?;
        Ok((DomainState(reply.state), reply.reason))
    }

    /// Its XML (<https://libvirt.org/formatdomain.html>).
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainGetXMLDesc")]
    pub async fn xml_desc(&self, flags: DomainXmlFlags) -> Result<Text> {
        let args = remote::DomainGetXmlDescArgs { dom: self.handle.clone(), flags: flags.bits() };
        Ok(self.connection.call(&args).await?.xml)
    }

    /// Starts it. [`Domain::id`] of the domain that this gives is its number.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_OPERATION_INVALID where it is active.
    #[doc(alias = "virDomainCreate")]
    #[doc(alias = "virDomainCreateWithFlags")]
    pub async fn create(&self, flags: DomainCreateFlags) -> Result<Domain> {
        let args = remote::DomainCreateWithFlagsArgs { dom: self.handle.clone(), flags: flags.bits() };
        Ok(self.connection.domain(self.connection.call(&args).await?.dom))
    }

    /// Stops its CPUs; it keeps its memory.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainSuspend")]
    pub async fn suspend(&self) -> Result<()> {
        self.connection.call(&remote::DomainSuspendArgs { dom: self.handle.clone() }).await
    }

    /// Lets it go on after [`Domain::suspend`].
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainResume")]
    pub async fn resume(&self) -> Result<()> {
        self.connection.call(&remote::DomainResumeArgs { dom: self.handle.clone() }).await
    }

    /// Asks it to shut down. It may take its time, or not do it.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainShutdown")]
    #[doc(alias = "virDomainShutdownFlags")]
    pub async fn shutdown(&self, flags: DomainShutdownFlags) -> Result<()> {
        let dom = self.handle.clone();
        if flags.is_empty() {
            return self.connection.call(&remote::DomainShutdownArgs { dom }).await;
        }
        self.connection.call(&remote::DomainShutdownFlagsArgs { dom, flags: flags.bits() }).await
    }

    /// Asks it to reboot. It may take its time, or not do it.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainReboot")]
    pub async fn reboot(&self, flags: DomainRebootFlags) -> Result<()> {
        let args = remote::DomainRebootArgs { dom: self.handle.clone(), flags: flags.bits() };
        self.connection.call(&args).await
    }

    /// Stops it at once, as pulling the plug does.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virDomainDestroy")]
    #[doc(alias = "virDomainDestroyFlags")]
    pub async fn destroy(&self, flags: DomainDestroyFlags) -> Result<()> {
        let dom = self.handle.clone();
        if flags.is_empty() {
            return self.connection.call(&remote::DomainDestroyArgs { dom }).await;
        }
        self.connection.call(&remote::DomainDestroyFlagsArgs { dom, flags: flags.bits() }).await
    }

    /// Removes its definition. Where it is active it goes on until it stops.
    ///
    /// # Errors
    /// As [`Connection::call`]; VIR_ERR_OPERATION_INVALID where it has what `flags` would have to allow to lose.
    #[doc(alias = "virDomainUndefine")]
    #[doc(alias = "virDomainUndefineFlags")]
    pub async fn undefine(&self, flags: DomainUndefineFlags) -> Result<()> {
        let dom = self.handle.clone();
        if flags.is_empty() {
            return self.connection.call(&remote::DomainUndefineArgs { dom }).await;
        }
        self.connection.call(&remote::DomainUndefineFlagsArgs { dom, flags: flags.bits() }).await
    }
}

/// Two are equal that have the same UUID, on whatever connection.
impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.uuid() == other.uuid()
    }
}

impl Eq for Domain {}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domain")
            .field("name", self.name())
            .field("uuid", &self.uuid())
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
