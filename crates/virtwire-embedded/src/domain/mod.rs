//! One domain: what a call may ask of it, and what the hypervisor keeps of it.

mod cpu_set;
mod defaults;
mod definition;
mod instructions;
mod lifecycle;
mod metadata;
mod pinning;
mod settings;
mod store;
mod units;

pub(crate) use definition::Definition;
pub(crate) use instructions::Instructions;
pub use pinning::VcpuInfo;
pub(crate) use store::{Slot, Store};
pub(crate) use units::c_number;

use crate::error::{Result, error, not_running};
use crate::numbers::{AFFECT_CONFIG, AFFECT_LIVE};
use std::sync::Arc;
use uuid::Uuid;
use virtwire_proto::enums::{DomainState, ErrorDomain, ErrorNumber};
use virtwire_proto::xdr::Text;

/// Which domain is meant: what stands for one on the wire. C: `virDomainPtr`, `remote_nonnull_domain`.
///
/// Calls find the domain by its UUID alone; the name and the id are what they were when the reference was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainRef {
    /// Its name.
    pub name: Text,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its id while it is active, else -1.
    pub id: i32,
}

/// A domain's state and sizes. C: `virDomainInfo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainInfo {
    /// What it is doing.
    pub state: DomainState,
    /// The most memory that it may have, in KiB.
    pub max_mem: u64,
    /// The memory that it has, in KiB.
    pub memory: u64,
    /// How many vCPUs it has.
    pub nr_virt_cpu: u16,
    /// How long its vCPUs have run, in nanoseconds: simply the time of the node's clock.
    pub cpu_time: u64,
}

/// The security label of a domain's process. C: `virSecurityLabel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityLabel {
    /// The label; empty while the domain is not active.
    pub label: String,
    /// Whether the label is enforced.
    pub enforcing: bool,
}

/// All that the hypervisor keeps of a domain.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    /// What it is now.
    pub(crate) definition: Arc<Definition>,
    /// What it will be after it has stopped, where it is active and has a configuration that stays.
    pub(crate) next: Option<Arc<Definition>>,
    /// Its id while it is active.
    pub(crate) id: Option<i32>,
    pub(crate) state: DomainState,
    /// Why it is in that state; the meaning depends on it.
    pub(crate) reason: i32,
    pub(crate) persistent: bool,
    pub(crate) autostart: bool,
    pub(crate) has_managed_save: bool,
}

/// Which of a domain's definitions a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one of the running guest.
    Live,
    /// The one that stays.
    Config,
}

impl Domain {
    /// A domain that is off.
    pub(crate) fn new(definition: Definition) -> Self {
        Self {
            definition: Arc::new(definition),
            next: None,
            id: None,
            state: DomainState::SHUTOFF,
            reason: 0,
            persistent: false,
            autostart: false,
            has_managed_save: false,
        }
    }

    pub(crate) fn reference(&self) -> DomainRef {
        DomainRef {
            name: self.definition.name.clone(),
            uuid: self.definition.uuid,
            id: self.id.unwrap_or(-1),
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) fn check_active(&self) -> Result<()> {
        if self.is_active() { Ok(()) } else { Err(not_running()) }
    }

    pub(crate) fn set_state(&mut self, state: DomainState, reason: i32) {
        self.state = state;
        self.reason = reason;
    }

    /// Makes it active. What changes while it runs does not touch the configuration that stays.
    pub(crate) fn start(&mut self, id: i32, reason: i32) {
        self.set_state(DomainState::RUNNING, reason);
        self.id = Some(id);
        if self.persistent && self.next.is_none() {
            self.next = Some(Arc::clone(&self.definition));
        }
        self.has_managed_save = false;
    }

    /// Makes it inactive, and gives it as the event of its stopping names it: without its id, unless the domain
    /// ends with this.
    pub(crate) fn stop(&mut self, reason: i32) -> DomainRef {
        self.set_state(DomainState::SHUTOFF, reason);
        let last = self.reference();
        self.id = None;
        match self.next.take() {
            Some(next) => {
                self.definition = next;
                self.reference()
            }
            None => last,
        }
    }

    /// Replaces a definition: the next one while active, else the one there is. `live` means one to be started
    /// at once, after which what was there comes back. Gives whether another definition was replaced for good.
    pub(crate) fn assign(&mut self, definition: Definition, live: bool) -> bool {
        let definition = Arc::new(definition);
        if self.is_active() {
            return self.next.replace(definition).is_some();
        }
        let old = std::mem::replace(&mut self.definition, definition);
        if live {
            self.next.get_or_insert(old);
        }
        !live
    }

    /// Resolves "what is current" in the flags, as (live, config).
    ///
    /// # Errors
    /// The domain is not active and the call is about what is live, or it is transient and the call is about
    /// what stays.
    pub(crate) fn impact(&self, flags: u32) -> Result<(bool, bool)> {
        let (mut live, mut config) = (flags & AFFECT_LIVE != 0, flags & AFFECT_CONFIG != 0);
        if !live && !config {
            live = self.is_active();
            config = !live;
        }
        if live {
            self.check_active()?;
        }
        if config && !self.persistent {
            let message = "transient domains do not have any persistent config";
            return Err(error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_INVALID, message));
        }
        Ok((live, config))
    }

    /// The one definition that the flags name.
    ///
    /// # Errors
    /// As [`Self::impact`].
    pub(crate) fn which(&self, flags: u32) -> Result<Which> {
        let (live, _) = self.impact(flags)?;
        Ok(if live { Which::Live } else { Which::Config })
    }

    pub(crate) fn get(&self, which: Which) -> &Arc<Definition> {
        match which {
            Which::Config => self.next.as_ref().unwrap_or(&self.definition),
            Which::Live => &self.definition,
        }
    }

    pub(crate) fn get_mut(&mut self, which: Which) -> &mut Definition {
        Arc::make_mut(match which {
            Which::Config => self.next.as_mut().unwrap_or(&mut self.definition),
            Which::Live => &mut self.definition,
        })
    }
}
