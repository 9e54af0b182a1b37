//! Storage pools, and the volumes in them.

use super::info::StorageVolInfo;
use super::object;
use crate::Result;
use uuid::Uuid;
use virtwire_proto::flags::StorageVolInfoFlags;
use virtwire_proto::program::remote::{self, NonnullStoragePool, NonnullStorageVol};
use virtwire_proto::xdr::Text;

object! {
    /// A storage pool: a folder, a file system, a volume group, or something on another host, that has volumes.
    ///
    /// # Examples
    /// ```no_run
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let pool = connection.storage_pool_lookup_by_name("default").await?;
    /// println!("{} bytes are left", pool.info().await?.available);
    /// for volume in pool.list_all_volumes().await? {
    ///     println!("{}", volume.name());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virStoragePool")]
    #[doc(alias = "virStoragePoolPtr")]
    pub struct StoragePool(NonnullStoragePool) of Connection, made by storage_pool;
    same: uuid;
    shown: name, uuid;
}

impl StoragePool {
    /// Its name.
    #[doc(alias = "virStoragePoolGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// Its UUID.
    #[doc(alias = "virStoragePoolGetUUID")]
    #[doc(alias = "virStoragePoolGetUUIDString")]
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.handle.uuid
    }
}

object! {
    /// A volume of a storage pool: what a disk of a domain's can have as its source.
    ///
    /// Names and keys are the file system's, and need not be UTF-8: see [`Text`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::proto::flags::StorageVolDownloadFlags;
    /// # async fn example(pool: virtwire::StoragePool) -> virtwire::Result<()> {
    /// let volume = pool.vol_lookup_by_name("demo.img").await?;
    /// let mut stream = volume.download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
    /// while let Some(chunk) = stream.receive().await? {
    ///     println!("{chunk:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    /// Much data goes better by a connection of its own, and to a file with the holes that it has:
    /// ```no_run
    /// use virtwire::flags::StorageVolDownloadFlags;
    /// # async fn example(volume: virtwire::StorageVol) -> Result<(), Box<dyn std::error::Error>> {
    /// let bulk = volume.connection().open_another().await?;
    /// let stream = volume.on(&bulk).download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
    /// stream.receive_to_file(std::fs::File::create("disk.img")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virStorageVol")]
    #[doc(alias = "virStorageVolPtr")]
    pub struct StorageVol(NonnullStorageVol) of Connection, made by storage_vol;
    same: key;
    shown: pool_name, name, key;
}

impl StorageVol {
    /// Its name, which no other volume of its pool has.
    #[doc(alias = "virStorageVolGetName")]
    #[must_use]
    pub fn name(&self) -> &Text {
        &self.handle.name
    }

    /// What it is known by in all pools of all hosts, as far as that can be.
    #[doc(alias = "virStorageVolGetKey")]
    #[must_use]
    pub fn key(&self) -> &Text {
        &self.handle.key
    }

    /// The name of its pool. [`StorageVol::storage_pool`] is the pool.
    #[must_use]
    pub fn pool_name(&self) -> &Text {
        &self.handle.pool
    }

    /// What it is, and how large. `flags` may ask for the space that it takes on the host in place of what it has of its
    /// own.
    ///
    /// Since libvirt 0.4.1, with flags since 3.0.0. Permissions: `storage_vol:read`.
    ///
    /// # Errors
    /// As [`Connection::call`](crate::Connection::call).
    #[doc(alias = "virStorageVolGetInfo")]
    #[doc(alias = "virStorageVolGetInfoFlags")]
    pub async fn info(&self, flags: StorageVolInfoFlags) -> Result<StorageVolInfo> {
        let vol = self.handle.clone();
        if flags.is_empty() {
            return Ok(StorageVolInfo::from(
                self.connection.call(&remote::StorageVolGetInfoArgs { vol }).await?,
            ));
        }
        let args = remote::StorageVolGetInfoFlagsArgs { vol, flags: flags.bits() };
        Ok(StorageVolInfo::from(self.connection.call(&args).await?))
    }
}
