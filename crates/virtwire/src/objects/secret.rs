//! Secrets.

use super::object;
use uuid::Uuid;
use virtwire_proto::enums::SecretUsageType;
use virtwire_proto::program::remote::NonnullSecret;
use virtwire_proto::xdr::Text;

object! {
    /// A secret that libvirt keeps: a passphrase or a key of a volume, Ceph, iSCSI, TLS or a TPM.
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::SecretDefineFlags;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let xml = "<secret ephemeral='no' private='no'><usage type='ceph'><name>demo</name></usage></secret>";
    /// let secret = connection.secret_define_xml(xml, SecretDefineFlags::empty()).await?;
    /// secret.set_value(&b"not very secret"[..]).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virSecret")]
    #[doc(alias = "virSecretPtr")]
    pub struct Secret(NonnullSecret) of Connection, made by secret;
    same: uuid;
    shown: uuid, usage_type, usage_id;
}

impl Secret {
    /// Its UUID.
    #[doc(alias = "virSecretGetUUID")]
    #[doc(alias = "virSecretGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }

    /// What it is for.
    #[doc(alias = "virSecretGetUsageType")]
    #[must_use]
    pub fn usage_type(&self) -> SecretUsageType {
        SecretUsageType(self.handle.usage_type)
    }

    /// Which of these it is for: a volume's path, or the name that Ceph, iSCSI, TLS or a TPM knows it by.
    #[doc(alias = "virSecretGetUsageID")]
    #[must_use]
    pub fn usage_id(&self) -> &Text {
        &self.handle.usage_id
    }
}
