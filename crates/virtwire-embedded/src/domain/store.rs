//! The domains of a node, found by UUID, name and id, and listed in the order in which they appeared.

use super::Domain;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A domain's place, which stays the same as long as the domain exists and is never used again.
pub(crate) type Slot = u64;

/// All domains. No two share a UUID, a name or an id.
#[derive(Debug, Default)]
pub(crate) struct Store {
    domains: BTreeMap<Slot, Domain>,
    next_slot: Slot,
    by_uuid: HashMap<Uuid, Slot>,
    by_name: HashMap<Box<[u8]>, Slot>,
    by_id: BTreeMap<i32, Slot>,
}

impl Store {
    pub(crate) fn by_uuid(&self, uuid: Uuid) -> Option<Slot> {
        self.by_uuid.get(&uuid).copied()
    }

    pub(crate) fn by_name(&self, name: &[u8]) -> Option<Slot> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn by_id(&self, id: i32) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Domain> {
        self.domains.get(&slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.domains.values()
    }

    /// The ids of the active domains, in ascending order.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = i32> {
        self.by_id.keys().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.domains.len()
    }

    /// Adds a domain whose UUID and name no other has.
    pub(crate) fn insert(&mut self, domain: Domain) -> Slot {
        let slot = self.next_slot;
        self.next_slot += 1;
        self.by_uuid.insert(domain.definition.uuid, slot);
        self.index(slot, &domain);
        self.domains.insert(slot, domain);
        slot
    }

    /// Changes a domain; its UUID stays. What it is then found by follows.
    pub(crate) fn change<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Domain) -> R) -> Option<R> {
        let domain = self.domains.get_mut(&slot)?;
        let (old_id, old_name) = (domain.id, domain.definition.name.clone());
        let result = change(domain);
        if old_id != domain.id {
            if let Some(id) = old_id {
                self.by_id.remove(&id);
            }
            if let Some(id) = domain.id {
                self.by_id.insert(id, slot);
            }
        }
        if old_name != domain.definition.name {
            self.by_name.remove(old_name.as_bytes());
            self.by_name.insert(domain.definition.name.as_bytes().into(), slot);
        }
        Some(result)
    }

    pub(crate) fn remove(&mut self, slot: Slot) {
        if let Some(domain) = self.domains.remove(&slot) {
            self.by_uuid.remove(&domain.definition.uuid);
            self.by_name.remove(domain.definition.name.as_bytes());
            if let Some(id) = domain.id {
                self.by_id.remove(&id);
            }
        }
    }

    fn index(&mut self, slot: Slot, domain: &Domain) {
        self.by_name.insert(domain.definition.name.as_bytes().into(), slot);
        if let Some(id) = domain.id {
            self.by_id.insert(id, slot);
        }
    }
}
