//! The hypervisor behind libvirt's remote program: what one client calls, answered by its node.

mod answers;
mod convert;
mod events;
mod nothing;
mod opening;
mod remote;

use crate::hypervisor::Hypervisor;
use crate::node::Node;
use events::Events;
use std::sync::{Arc, OnceLock};
use virtwire_proto::xdr::Text;
use virtwire_server::{Error, Result};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Session {
    hypervisor: Hypervisor,
    opened: OnceLock<Opened>,
    events: Events,
}

/// What the client has opened.
#[derive(Debug)]
struct Opened {
    /// The name that it asked for.
    name: Text,
    node: Arc<Node>,
}

impl Session {
    pub(crate) fn new(hypervisor: Hypervisor) -> Self {
        Self { hypervisor, opened: OnceLock::new(), events: Events::default() }
    }

    fn opened(&self) -> Result<&Opened> {
        // Calls before CONNECT_OPEN are refused before they come here.
        self.opened.get().ok_or_else(|| Error::internal("hypervisor connection not open"))
    }

    fn node(&self) -> Result<&Arc<Node>> {
        Ok(&self.opened()?.node)
    }
}
