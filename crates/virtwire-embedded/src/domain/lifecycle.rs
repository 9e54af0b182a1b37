//! From definition to removal: the calls by which a domain comes, runs, stops and goes.

use super::{Definition, Domain, DomainRef};
use crate::error::{Result, bad_argument, check_exclusive, check_flags, error};
use crate::events::LifecycleEvent;
use crate::node::{Node, State};
use crate::numbers::{
    DEFINE_VALIDATE, DESTROY_GRACEFUL, PAUSED_USER, REBOOT_ALL, RUNNING_BOOTED, RUNNING_UNPAUSED,
    SAVE_BYPASS_CACHE, SAVE_PAUSED, SAVE_RUNNING, SHUTOFF_DESTROYED, SHUTOFF_SAVED, SHUTOFF_SHUTDOWN,
    START_VALIDATE, UNDEFINE_MANAGED_SAVE, UNDEFINE_SNAPSHOTS_METADATA,
};
use virtwire_proto::enums::{DomainState, ErrorDomain, ErrorNumber};
use virtwire_proto::xdr::Text;

/// A domain's life.
impl Node {
    /// Gives a domain a configuration that stays, or makes a domain of it. An active one runs on as it is until
    /// it stops. Tells [`LifecycleEvent::DefinedAdded`] or [`LifecycleEvent::DefinedUpdated`].
    /// C: `virDomainDefineXMLFlags`, `virDomainDefineFlags`; the flag VALIDATE changes nothing.
    ///
    /// # Errors
    /// The document is not well-formed or not a domain's, lacks a name, type, operating system or memory, or
    /// shares only one of name and UUID with another domain.
    pub fn domain_define_xml(&self, xml: impl AsRef<[u8]>, flags: u32) -> Result<DomainRef> {
        check_flags("virDomainDefineXMLFlags", flags, DEFINE_VALIDATE)?;
        let definition = Definition::from_xml(xml.as_ref())?;
        if definition.name.as_bytes().contains(&b'\n') {
            return Err(error(
                ErrorDomain::XML,
                ErrorNumber::XML_DETAIL,
                "invalid char in name: a line feed",
            ));
        }
        let meant = meant(&definition);
        self.change(|state| {
            let (_, replaced) = state.assign(definition, false, false)?;
            let domain = state.change_domain(&meant, |found| {
                found.persistent = true;
                Ok(found.reference())
            })?;
            let event = if replaced { LifecycleEvent::DefinedUpdated } else { LifecycleEvent::DefinedAdded };
            state.tell(domain.clone(), event);
            Ok(domain)
        })
    }

    /// Starts a domain from a document. One that has no configuration of its own goes when it stops; one that
    /// has goes back to that. Tells [`LifecycleEvent::StartedBooted`].
    /// C: `virDomainCreateXML`, `virDomainCreateFlags`; of the flags only VALIDATE is known, and changes nothing.
    ///
    /// # Errors
    /// As [`Node::domain_define_xml`], or the domain is active.
    pub fn domain_create_xml(&self, xml: impl AsRef<[u8]>, flags: u32) -> Result<DomainRef> {
        check_flags("virDomainCreateXML", flags, START_VALIDATE)?;
        let definition = Definition::from_xml(xml.as_ref())?;
        let meant = meant(&definition);
        self.change(|state| {
            let (slot, _) = state.assign(definition, true, true)?;
            state.start(slot, RUNNING_BOOTED);
            let domain = state.get(&meant)?.reference();
            state.tell(domain.clone(), LifecycleEvent::StartedBooted);
            Ok(domain)
        })
    }

    /// Starts a defined domain, and gives it with its new id. Tells [`LifecycleEvent::StartedBooted`].
    /// C: `virDomainCreateWithFlags`.
    ///
    /// # Errors
    /// Any flag, or the domain is not off.
    pub fn domain_create(&self, domain: &DomainRef, flags: u32) -> Result<DomainRef> {
        check_flags("virDomainCreateWithFlags", flags, 0)?;
        self.change(|state| {
            if state.get(domain)?.state != DomainState::SHUTOFF {
                let message = format!("Domain '{}' is already running", domain.name);
                return Err(error(ErrorDomain::TEST, ErrorNumber::INTERNAL_ERROR, message));
            }
            let slot = state.find(domain)?;
            state.start(slot, RUNNING_BOOTED);
            let started = state.get(domain)?.reference();
            state.tell(started.clone(), LifecycleEvent::StartedBooted);
            Ok(started)
        })
    }

    /// Pauses a domain. Tells [`LifecycleEvent::SuspendedPaused`]. C: `virDomainSuspend`.
    ///
    /// # Errors
    /// The domain is off or paused.
    pub fn domain_suspend(&self, domain: &DomainRef) -> Result<()> {
        self.set_state(domain, DomainState::PAUSED, PAUSED_USER, LifecycleEvent::SuspendedPaused, |state| {
            if matches!(state, DomainState::SHUTOFF | DomainState::PAUSED) { Some("running") } else { None }
        })
    }

    /// Lets a paused domain run on. Tells [`LifecycleEvent::ResumedUnpaused`]. C: `virDomainResume`.
    ///
    /// # Errors
    /// The domain is not paused.
    pub fn domain_resume(&self, domain: &DomainRef) -> Result<()> {
        self.set_state(
            domain,
            DomainState::RUNNING,
            RUNNING_UNPAUSED,
            LifecycleEvent::ResumedUnpaused,
            |state| {
                if state == DomainState::PAUSED { None } else { Some("paused") }
            },
        )
    }

    /// Asks the guest to shut down, which it does at once: what follows is what its `on_poweroff` says. Tells
    /// [`LifecycleEvent::StoppedShutdown`] if it stops, and nothing if it starts again.
    /// C: `virDomainShutdownFlags`.
    ///
    /// # Errors
    /// Any flag, or the domain is off.
    pub fn domain_shutdown(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainShutdownFlags", flags, 0)?;
        self.change(|state| {
            let found = state.get(domain)?;
            if found.state == DomainState::SHUTOFF {
                return Err(is_not(domain, "running"));
            }
            let restarts = found.definition.on_poweroff.restarts();
            guest_ends(state, domain, restarts)
        })
    }

    /// Asks the guest to boot again, which it does at once: what follows is what its `on_reboot` says. Tells
    /// [`LifecycleEvent::StoppedShutdown`] if it stops, and nothing if it starts again.
    /// C: `virDomainReboot`, `virDomainRebootFlagValues`; all ways are the same.
    ///
    /// # Errors
    /// An unknown flag, or the domain is not active.
    pub fn domain_reboot(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainReboot", flags, REBOOT_ALL)?;
        self.change(|state| {
            let found = state.get(domain)?;
            found.check_active()?;
            let restarts = found.definition.on_reboot.restarts();
            guest_ends(state, domain, restarts)
        })
    }

    /// Resets an active domain, which changes nothing. C: `virDomainReset`.
    ///
    /// # Errors
    /// Any flag, or the domain is not active.
    pub fn domain_reset(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainReset", flags, 0)?;
        self.read_domain(domain, Domain::check_active)?
    }

    /// Stops a domain by force. Tells [`LifecycleEvent::StoppedDestroyed`].
    /// C: `virDomainDestroyFlags`, `virDomainDestroyFlagsValues`; GRACEFUL changes nothing.
    ///
    /// # Errors
    /// An unknown flag, or the domain is not active.
    pub fn domain_destroy(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainDestroyFlags", flags, DESTROY_GRACEFUL)?;
        self.change(|state| {
            state.get(domain)?.check_active()?;
            stop(state, domain, SHUTOFF_DESTROYED, LifecycleEvent::StoppedDestroyed)
        })
    }

    /// Removes the configuration of a domain. An active one runs on and goes when it stops. Tells
    /// [`LifecycleEvent::UndefinedRemoved`]. C: `virDomainUndefineFlags`, `virDomainUndefineFlagsValues`.
    ///
    /// # Errors
    /// An unknown flag, or the domain has a managed save image and the flag to remove that is not set.
    pub fn domain_undefine(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainUndefineFlags", flags, UNDEFINE_MANAGED_SAVE | UNDEFINE_SNAPSHOTS_METADATA)?;
        self.change(|state| {
            let slot = state.find(domain)?;
            let (reference, is_active) = state.change_domain(domain, |found| {
                if found.has_managed_save && flags & UNDEFINE_MANAGED_SAVE == 0 {
                    let message = "a domain with a managed save image is not undefined";
                    return Err(error(ErrorDomain::TEST, ErrorNumber::OPERATION_INVALID, message));
                }
                found.has_managed_save = false;
                found.persistent = false;
                Ok((found.reference(), found.is_active()))
            })?;
            if !is_active {
                state.domains.remove(slot);
            }
            state.tell(reference, LifecycleEvent::UndefinedRemoved);
            Ok(())
        })
    }

    /// Gives a domain that is off another name. Tells [`LifecycleEvent::UndefinedRenamed`] with the old name
    /// and [`LifecycleEvent::DefinedRenamed`] with the new one. C: `virDomainRename`.
    ///
    /// # Errors
    /// Any flag; the name is empty, has a slash, is not UTF-8, is the domain's or another's; or the domain is
    /// active.
    pub fn domain_rename(&self, domain: &DomainRef, new_name: &Text, flags: u32) -> Result<()> {
        const FUNCTION: &str = "virDomainRename";
        if new_name.is_empty() {
            let message = format!("string new_name in {FUNCTION} must not be empty");
            return Err(bad_argument(ErrorDomain::DOMAIN, FUNCTION, "new_name", message));
        }
        check_flags(FUNCTION, flags, 0)?;
        let refuse = |from, message: String| Err(error(from, ErrorNumber::OPERATION_INVALID, message));
        self.change(|state| {
            let found = state.get(domain)?;
            if found.is_active() {
                return refuse(ErrorDomain::TEST, "cannot rename active domain".to_owned());
            }
            if found.definition.name == *new_name {
                return refuse(ErrorDomain::DOMAIN, "a domain cannot be renamed to itself".to_owned());
            }
            if state.domains.by_name(new_name.as_bytes()).is_some() {
                return refuse(ErrorDomain::DOMAIN, format!("domain with name '{new_name}' already exists"));
            }
            // A name stands in the domain's document, which has no other way to write it.
            if new_name.as_bytes().contains(&b'/') || new_name.to_str().is_err() {
                let message = format!("name {new_name} cannot contain '/' or bytes that are not UTF-8");
                return Err(error(ErrorDomain::TEST, ErrorNumber::XML_ERROR, message));
            }
            let before = found.reference();
            let after = state.change_domain(domain, |found| {
                found.get_mut(super::Which::Live).name = new_name.clone();
                Ok(found.reference())
            })?;
            state.tell(before, LifecycleEvent::UndefinedRenamed);
            state.tell(after, LifecycleEvent::DefinedRenamed);
            Ok(())
        })
    }

    /// Saves a domain where the hypervisor keeps it, and stops it. Its next start goes on from there, which
    /// shows only in the image's being gone. Tells [`LifecycleEvent::StoppedSaved`].
    /// C: `virDomainManagedSave`, `virDomainSaveRestoreFlags`.
    ///
    /// # Errors
    /// An unknown flag, both RUNNING and PAUSED, or the domain is not active or is transient.
    pub fn domain_managed_save(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        const FUNCTION: &str = "virDomainManagedSave";
        check_exclusive(
            FUNCTION,
            flags,
            (SAVE_RUNNING, "VIR_DOMAIN_SAVE_RUNNING"),
            (SAVE_PAUSED, "VIR_DOMAIN_SAVE_PAUSED"),
        )?;
        check_flags(FUNCTION, flags, SAVE_BYPASS_CACHE | SAVE_RUNNING | SAVE_PAUSED)?;
        self.change(|state| {
            let found = state.get(domain)?;
            found.check_active()?;
            if !found.persistent {
                let message = "a transient domain has no managed save";
                return Err(error(ErrorDomain::TEST, ErrorNumber::OPERATION_INVALID, message));
            }
            stop(state, domain, SHUTOFF_SAVED, LifecycleEvent::StoppedSaved)?;
            state.change_domain(domain, |found| {
                found.has_managed_save = true;
                Ok(())
            })
        })
    }

    /// Whether a managed save image exists. C: `virDomainHasManagedSaveImage`.
    ///
    /// # Errors
    /// Any flag.
    pub fn domain_has_managed_save_image(&self, domain: &DomainRef, flags: u32) -> Result<bool> {
        check_flags("virDomainHasManagedSaveImage", flags, 0)?;
        self.read_domain(domain, |found| found.has_managed_save)
    }

    /// Removes a managed save image, if there is one. C: `virDomainManagedSaveRemove`.
    ///
    /// # Errors
    /// Any flag.
    pub fn domain_managed_save_remove(&self, domain: &DomainRef, flags: u32) -> Result<()> {
        check_flags("virDomainManagedSaveRemove", flags, 0)?;
        self.change_domain(domain, |found| {
            found.has_managed_save = false;
            Ok(())
        })
    }

    fn set_state(
        &self,
        domain: &DomainRef,
        to: DomainState,
        reason: i32,
        event: LifecycleEvent,
        missing: impl FnOnce(DomainState) -> Option<&'static str>,
    ) -> Result<()> {
        self.change(|state| {
            let reference = state.change_domain(domain, |found| {
                if let Some(missing) = missing(found.state) {
                    return Err(is_not(domain, missing));
                }
                found.set_state(to, reason);
                Ok(found.reference())
            })?;
            state.tell(reference, event);
            Ok(())
        })
    }
}

fn is_not(domain: &DomainRef, what: &str) -> crate::Error {
    error(ErrorDomain::TEST, ErrorNumber::INTERNAL_ERROR, format!("domain '{}' not {what}", domain.name))
}

/// The domain that a document is about.
fn meant(definition: &Definition) -> DomainRef {
    DomainRef { name: definition.name.clone(), uuid: definition.uuid, id: -1 }
}

/// A guest has ended by itself and starts again, in which case it keeps its id, or stops.
fn guest_ends(state: &mut State, domain: &DomainRef, restarts: bool) -> Result<()> {
    if restarts {
        return state.change_domain(domain, |found| {
            found.set_state(DomainState::RUNNING, RUNNING_BOOTED);
            Ok(())
        });
    }
    stop(state, domain, SHUTOFF_SHUTDOWN, LifecycleEvent::StoppedShutdown)
}

/// Stops a domain, and removes it if nothing of it stays.
fn stop(state: &mut State, domain: &DomainRef, reason: i32, event: LifecycleEvent) -> Result<()> {
    let slot = state.find(domain)?;
    let (reference, persistent) =
        state.change_domain(domain, |found| Ok((found.stop(reason), found.persistent)))?;
    if !persistent {
        state.domains.remove(slot);
    }
    state.tell(reference, event);
    Ok(())
}
