//! Snapshots and checkpoints of domains.

use super::object;
use crate::Domain;
use virtwire_proto::program::remote::{NonnullDomainCheckpoint, NonnullDomainSnapshot};
use virtwire_proto::xdr::Text;

object! {
    /// A snapshot of a domain: a state that it can be taken back to.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::{DomainSnapshotCreateFlags, DomainSnapshotRevertFlags};
    /// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
    /// let xml = "<domainsnapshot><name>before</name></domainsnapshot>";
    /// let snapshot = domain.snapshot_create_xml(xml, DomainSnapshotCreateFlags::empty()).await?;
    /// // ...
    /// snapshot.revert(DomainSnapshotRevertFlags::empty()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virDomainSnapshot")]
    #[doc(alias = "virDomainSnapshotPtr")]
    pub struct DomainSnapshot(NonnullDomainSnapshot) of Connection, made by domain_snapshot;
    same: name, domain;
    shown: name, domain;
}

impl DomainSnapshot {
    /// Its name, which no other snapshot of its domain has.
    #[doc(alias = "virDomainSnapshotGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its domain.
    #[doc(alias = "virDomainSnapshotGetDomain")]
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.connection.domain(self.handle.dom.clone())
    }
}

object! {
    /// A checkpoint of a domain: a moment since which its disks' changes are known, for backups of what has changed.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::{DomainCheckpointListFlags, DomainCheckpointXmlFlags};
    /// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
    /// for checkpoint in domain.list_all_checkpoints(DomainCheckpointListFlags::TOPOLOGICAL).await? {
    ///     let xml = checkpoint.xml_desc(DomainCheckpointXmlFlags::SIZE).await?;
    ///     println!("{}: {xml}", checkpoint.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virDomainCheckpoint")]
    #[doc(alias = "virDomainCheckpointPtr")]
    pub struct DomainCheckpoint(NonnullDomainCheckpoint) of Connection, made by domain_checkpoint;
    same: name, domain;
    shown: name, domain;
}

impl DomainCheckpoint {
    /// Its name, which no other checkpoint of its domain has.
    #[doc(alias = "virDomainCheckpointGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its domain.
    #[doc(alias = "virDomainCheckpointGetDomain")]
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.connection.domain(self.handle.dom.clone())
    }
}
