//! Events of networks.

use super::{EventIds, Subscription, decode};
use crate::{Connection, Network, Result};
use bytes::Bytes;
use virtwire_proto::enums::{NetworkEventId, NetworkEventLifecycleType, NetworkMetadataType};
use virtwire_proto::program::{Procedure, remote};
use virtwire_proto::xdr::Text;

/// An event of a network's: a variant for each [`NetworkEventId`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkEvent {
    /// It was defined, undefined, started or stopped ([`NetworkEventId::LIFECYCLE`]).
    Lifecycle {
        /// The network.
        network: Network,
        /// What happened.
        event: NetworkEventLifecycleType,
        /// Always 0 so far.
        detail: i32,
    },
    /// Its title, its description or a metadata element was changed ([`NetworkEventId::METADATA_CHANGE`]).
    MetadataChange {
        /// The network.
        network: Network,
        /// What was changed.
        kind: NetworkMetadataType,
        /// The element's XML namespace, where it is an element.
        uri: Option<Text>,
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

impl NetworkEvent {
    /// The network that it is about; `None` where it is [`NetworkEvent::Other`].
    #[must_use]
    pub fn network(&self) -> Option<&Network> {
        match self {
            Self::Lifecycle { network, .. } | Self::MetadataChange { network, .. } => Some(network),
            Self::Other { .. } => None,
        }
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let network = |handle| connection.network(handle);
        decode! { procedure, payload;
            remote::NetworkEventLifecycleMsg { net, event, detail, .. } => Self::Lifecycle { network: network(net), event: NetworkEventLifecycleType(event), detail },
            remote::NetworkEventCallbackMetadataChangeMsg { net, type_, nsuri, .. } => Self::MetadataChange { network: network(net), kind: NetworkMetadataType(type_), uri: nsuri },
        }
    }
}

impl Connection {
    /// Subscribes to events of all networks: of one kind, or of several.
    ///
    /// Since libvirt 1.2.1; each [`NetworkEventId`] says since when it is there, and a daemon that does not know one
    /// refuses the subscription. Permissions: `connect:search_networks`. Filtered by:
    /// `network:getattr`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::NetworkEvent;
    /// use virtwire::enums::NetworkEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.network_events(NetworkEventId::LIFECYCLE).await?;
    /// while let Some(event) = events.next().await {
    ///     if let NetworkEvent::Lifecycle { network, event, .. } = event? {
    ///         println!("{}: {event}", network.name());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectNetworkEventRegisterAny")]
    pub async fn network_events(
        &self,
        ids: impl Into<EventIds<NetworkEventId>>,
    ) -> Result<Subscription<NetworkEvent>> {
        let register =
            |id: NetworkEventId| remote::ConnectNetworkEventRegisterAnyArgs { event_id: id.0, net: None };
        self.subscribe_with(ids.into().into_iter().map(register), NetworkEvent::decode).await
    }
}

impl Network {
    /// Subscribes to events of this network alone: of one kind, or of several.
    ///
    /// Since libvirt 1.2.1, as [`Connection::network_events`] has it. Permissions: `connect:search_networks`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectNetworkEventRegisterAny")]
    pub async fn events(
        &self,
        ids: impl Into<EventIds<NetworkEventId>>,
    ) -> Result<Subscription<NetworkEvent>> {
        let register = |id: NetworkEventId| remote::ConnectNetworkEventRegisterAnyArgs {
            event_id: id.0,
            net: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(ids.into().into_iter().map(register), NetworkEvent::decode).await
    }
}
