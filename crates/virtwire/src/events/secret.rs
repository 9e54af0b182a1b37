//! Events of secrets.

use super::{EventIds, Subscription, decode};
use crate::{Connection, Result, Secret};
use bytes::Bytes;
use virtwire_proto::enums::{SecretEventId, SecretEventLifecycleType};
use virtwire_proto::program::{Procedure, remote};

/// An event of a secret's: a variant for each [`SecretEventId`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretEvent {
    /// It was defined or undefined ([`SecretEventId::LIFECYCLE`]).
    Lifecycle {
        /// The secret.
        secret: Secret,
        /// What happened.
        event: SecretEventLifecycleType,
        /// Always 0 so far.
        detail: i32,
    },
    /// Its value was set ([`SecretEventId::VALUE_CHANGED`]).
    ValueChanged {
        /// The secret.
        secret: Secret,
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

impl SecretEvent {
    /// The secret that it is about; `None` where it is [`SecretEvent::Other`].
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Lifecycle { secret, .. } | Self::ValueChanged { secret, .. } => Some(secret),
            Self::Other { .. } => None,
        }
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let secret = |handle| connection.secret(handle);
        decode! { procedure, payload;
            remote::SecretEventLifecycleMsg { secret: handle, event, detail, .. } => Self::Lifecycle { secret: secret(handle), event: SecretEventLifecycleType(event), detail },
            remote::SecretEventValueChangedMsg { secret: handle, .. } => Self::ValueChanged { secret: secret(handle) },
        }
    }
}

impl Connection {
    /// Subscribes to events of all secrets: of one kind, or of several.
    ///
    /// Since libvirt 3.0.0; each [`SecretEventId`] says since when it is there, and a daemon that does not know one
    /// refuses the subscription. Permissions: `connect:search_secrets`. Filtered by:
    /// `secret:getattr`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::SecretEvent;
    /// use virtwire::enums::SecretEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.secret_events(SecretEventId::LIFECYCLE).await?;
    /// while let Some(event) = events.next().await {
    ///     if let SecretEvent::Lifecycle { secret, event, .. } = event? {
    ///         println!("{}: {event}", secret.usage_id());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectSecretEventRegisterAny")]
    pub async fn secret_events(
        &self,
        ids: impl Into<EventIds<SecretEventId>>,
    ) -> Result<Subscription<SecretEvent>> {
        let register =
            |id: SecretEventId| remote::ConnectSecretEventRegisterAnyArgs { event_id: id.0, secret: None };
        self.subscribe_with(ids.into().into_iter().map(register), SecretEvent::decode).await
    }
}

impl Secret {
    /// Subscribes to events of this secret alone: of one kind, or of several.
    ///
    /// Since libvirt 3.0.0, as [`Connection::secret_events`] has it. Permissions: `connect:search_secrets`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectSecretEventRegisterAny")]
    pub async fn events(&self, ids: impl Into<EventIds<SecretEventId>>) -> Result<Subscription<SecretEvent>> {
        let register = |id: SecretEventId| remote::ConnectSecretEventRegisterAnyArgs {
            event_id: id.0,
            secret: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(ids.into().into_iter().map(register), SecretEvent::decode).await
    }
}
