//! Events of node devices.

use super::{EventIds, Subscription, decode};
use crate::{Connection, NodeDevice, Result};
use bytes::Bytes;
use virtwire_proto::enums::{NodeDeviceEventId, NodeDeviceEventLifecycleType};
use virtwire_proto::program::{Procedure, remote};

/// An event of a node device's: a variant for each [`NodeDeviceEventId`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeDeviceEvent {
    /// It came or went, or was defined or undefined ([`NodeDeviceEventId::LIFECYCLE`]).
    Lifecycle {
        /// The device.
        device: NodeDevice,
        /// What happened.
        event: NodeDeviceEventLifecycleType,
        /// Always 0 so far.
        detail: i32,
    },
    /// Its XML is another now ([`NodeDeviceEventId::UPDATE`]).
    Update {
        /// The device.
        device: NodeDevice,
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

impl NodeDeviceEvent {
    /// The device that it is about; `None` where it is [`NodeDeviceEvent::Other`].
    #[must_use]
    pub fn node_device(&self) -> Option<&NodeDevice> {
        match self {
            Self::Lifecycle { device, .. } | Self::Update { device, .. } => Some(device),
            Self::Other { .. } => None,
        }
    }

    fn decode(connection: &Connection, procedure: &'static Procedure, payload: Bytes) -> Result<Self> {
        let device = |handle| connection.node_device(handle);
        decode! { procedure, payload;
            remote::NodeDeviceEventLifecycleMsg { dev, event, detail, .. } => Self::Lifecycle { device: device(dev), event: NodeDeviceEventLifecycleType(event), detail },
            remote::NodeDeviceEventUpdateMsg { dev, .. } => Self::Update { device: device(dev) },
        }
    }
}

impl Connection {
    /// Subscribes to events of all node devices: of one kind, or of several.
    ///
    /// Since libvirt 2.2.0; each [`NodeDeviceEventId`] says since when it is there, and a daemon that does not know one
    /// refuses the subscription. Permissions: `connect:search_node_devices`. Filtered by:
    /// `node_device:getattr`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    ///
    /// # Examples
    /// ```no_run
    /// use virtwire::NodeDeviceEvent;
    /// use virtwire::enums::NodeDeviceEventId;
    /// # async fn example(connection: virtwire::Connection) -> virtwire::Result<()> {
    /// let mut events = connection.node_device_events(NodeDeviceEventId::LIFECYCLE).await?;
    /// while let Some(event) = events.next().await {
    ///     if let NodeDeviceEvent::Lifecycle { device, event, .. } = event? {
    ///         println!("{}: {event}", device.name());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "virConnectNodeDeviceEventRegisterAny")]
    pub async fn node_device_events(
        &self,
        ids: impl Into<EventIds<NodeDeviceEventId>>,
    ) -> Result<Subscription<NodeDeviceEvent>> {
        let register = |id: NodeDeviceEventId| remote::ConnectNodeDeviceEventRegisterAnyArgs {
            event_id: id.0,
            dev: None,
        };
        self.subscribe_with(ids.into().into_iter().map(register), NodeDeviceEvent::decode).await
    }
}

impl NodeDevice {
    /// Subscribes to events of this device alone: of one kind, or of several.
    ///
    /// Since libvirt 2.2.0, as [`Connection::node_device_events`] has it. Permissions: `connect:search_node_devices`.
    ///
    /// # Errors
    /// As [`Connection::call`].
    #[doc(alias = "virConnectNodeDeviceEventRegisterAny")]
    pub async fn events(
        &self,
        ids: impl Into<EventIds<NodeDeviceEventId>>,
    ) -> Result<Subscription<NodeDeviceEvent>> {
        let register = |id: NodeDeviceEventId| remote::ConnectNodeDeviceEventRegisterAnyArgs {
            event_id: id.0,
            dev: Some(self.handle().clone()),
        };
        self.connection().subscribe_with(ids.into().into_iter().map(register), NodeDeviceEvent::decode).await
    }
}
