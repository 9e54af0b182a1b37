//! Events of storage pools.

use super::{EventIds, Subscription, decode};
use crate::{Connection, Result, StoragePool};
use bytes::Bytes;
use virtwire_proto::enums::{StoragePoolEventId, StoragePoolEventLifecycleType};
use virtwire_proto::program::{Procedure, remote};

/// An event of a storage pool's: a variant for each [`StoragePoolEventId`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoragePoolEvent {
    /// It was defined, built, started, stopped, and so on ([`StoragePoolEventId::LIFECYCLE`]).
    Lifecycle {
        /// The pool.
        pool: StoragePool,
        /// What happened.
        event: StoragePoolEventLifecycleType,
        /// Always 0 so far.
        detail: i32,
    },
    /// Its list of volumes was brought up to date ([`StoragePoolEventId::REFRESH`]).
    Refresh {
        /// The pool.
        pool: StoragePool,
    },
    /// An event without a form of its own here: its message decodes as the struct that implements
    /// [`Event`](virtwire_proto::program::Event).
    Other {
        /// Which event.
        procedure: &'static Procedure,
        /// Its message, encoded.
        payload: Bytes,
    },
}

impl StoragePoolEvent {
    /// The pool that it is about; `None` where it is [`StoragePoolEvent::Other`].
    #[must_use]
    pub fn storage_pool(&self) -> Option<&StoragePool> {
        match self {
            Self::Lifecycle { pool, .. } | Self::Refresh { pool, .. } => Some(pool),
            Self::Other { .. } => None,
        }
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let pool = |handle| connection.storage_pool(handle);
        decode! { procedure, payload;
            remote::StoragePoolEventLifecycleMsg { pool: handle, event, detail, .. } => Self::Lifecycle { pool: pool(handle), event: StoragePoolEventLifecycleType(event), detail },
            remote::StoragePoolEventRefreshMsg { pool: handle, .. } => Self::Refresh { pool: pool(handle) },
        }
    }
}

impl Connection {
    /// Subscribes to events of all storage pools: of one kind, or of several.
    ///
    /// Since libvirt 2.0.0; each [`StoragePoolEventId`] says since when it is there, and a daemon that does not know one
    /// refuses the subscription. Permissions: `connect:search_storage_pools`. Filtered by:
    /// `storage_pool:getattr`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::StoragePoolEvent;
    /// use virtwire::enums::StoragePoolEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.storage_pool_events(StoragePoolEventId::LIFECYCLE).await?;
    /// while let Some(event) = events.next().await {
    ///     if let StoragePoolEvent::Lifecycle { pool, event, .. } = event? {
    ///         println!("{}: {event}", pool.name());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectStoragePoolEventRegisterAny")]
    pub async fn storage_pool_events(
        &self,
        ids: impl Into<EventIds<StoragePoolEventId>>,
    ) -> Result<Subscription<StoragePoolEvent>> {
        let register = |id: StoragePoolEventId| remote::ConnectStoragePoolEventRegisterAnyArgs {
            event_id: id.0,
            pool: None,
        };
        self.subscribe_with(ids.into().into_iter().map(register), StoragePoolEvent::decode).await
    }
}

impl StoragePool {
    /// Subscribes to events of this pool alone: of one kind, or of several.
    ///
    /// Since libvirt 2.0.0, as [`Connection::storage_pool_events`] has it. Permissions: `connect:search_storage_pools`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectStoragePoolEventRegisterAny")]
    pub async fn events(
        &self,
        ids: impl Into<EventIds<StoragePoolEventId>>,
    ) -> Result<Subscription<StoragePoolEvent>> {
        let register = |id: StoragePoolEventId| remote::ConnectStoragePoolEventRegisterAnyArgs {
            event_id: id.0,
            pool: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(ids.into().into_iter().map(register), StoragePoolEvent::decode).await
    }
}
