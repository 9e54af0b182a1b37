//! What is kept for each serial in use.

use crate::packet::Serial;
use alloc::vec::Vec;
use core::fmt;

/// A map by serial, for what a driver keeps of each call: its size follows how many serials are in use, and finding
/// one takes a few instructions.
///
/// The serials kept should be this side's own: one that a peer merely names is looked up, not inserted.
#[derive(Clone)]
pub struct SerialMap<V> {
    /// Each entry stands at its [home](Self::home) or behind it with no gap between, round the end. At most half
    /// are taken, and their number is a power of two.
    slots: Vec<Option<(Serial, V)>>,
    len: usize,
}

/// How many slots a map has at least once it has any.
const LEAST: usize = 4;

impl<V> SerialMap<V> {
    /// An empty map. It takes no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: Vec::new(), len: 0 }
    }

    /// How many serials it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it has this serial.
    #[must_use]
    pub fn contains_key(&self, serial: &Serial) -> bool {
        self.find(*serial).is_some()
    }

    /// What it has for this serial.
    #[must_use]
    pub fn get(&self, serial: &Serial) -> Option<&V> {
        let at = self.find(*serial)?;
        self.slots[at].as_ref().map(|(_, value)| value)
    }

    /// What it has for this serial, to be changed.
    pub fn get_mut(&mut self, serial: &Serial) -> Option<&mut V> {
        let at = self.find(*serial)?;
        self.slots[at].as_mut().map(|(_, value)| value)
    }

    /// Puts a value in for this serial; gives the one that was there.
    pub fn insert(&mut self, serial: Serial, value: V) -> Option<V> {
        if let Some(before) = self.get_mut(&serial) {
            return Some(core::mem::replace(before, value));
        }
        if (self.len + 1) * 2 > self.slots.len() {
            self.resize((self.slots.len() * 2).max(LEAST));
        }
        self.put(serial, value);
        None
    }

    /// Takes out what it has for this serial.
    pub fn remove(&mut self, serial: &Serial) -> Option<V> {
        let mut gap = self.find(*serial)?;
        let (_, value) = self.slots[gap].take()?;
        self.len -= 1;
        // What stands behind the gap and may not stand behind one moves up into it.
        let mask = self.slots.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let Some((serial, _)) = &self.slots[at] else { break };
            let from_home = at.wrapping_sub(self.home(*serial)) & mask;
            if from_home >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = self.slots[at].take();
                gap = at;
            }
        }
        if self.slots.len() > 16 * LEAST && self.len * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
        Some(value)
    }

    /// Keeps what `keep` says yes to, asked in the order of the serials.
    pub fn retain(&mut self, mut keep: impl FnMut(&Serial, &mut V) -> bool) {
        for (serial, mut value) in core::mem::take(self) {
            if keep(&serial, &mut value) {
                self.insert(serial, value);
            }
        }
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.iter().flatten().map(|(_, value)| value)
    }

    /// Where a serial stands unless the place is taken. Serials in use mostly follow one another: this spreads them.
    fn home(&self, serial: Serial) -> usize {
        let bits = self.slots.len().trailing_zeros();
        (serial.0.wrapping_mul(0x9e37_79b9) as u64 >> (32 - bits)) as usize
    }

    fn find(&self, serial: Serial) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = self.home(serial);
        while let Some((other, _)) = &self.slots[at] {
            if *other == serial {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Puts in what is not there, where there is room.
    fn put(&mut self, serial: Serial, value: V) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(serial);
        while self.slots[at].is_some() {
            at = (at + 1) & mask;
        }
        self.slots[at] = Some((serial, value));
        self.len += 1;
    }

    fn resize(&mut self, slots: usize) {
        let mut larger = Vec::new();
        larger.resize_with(slots, || None);
        let before = core::mem::replace(&mut self.slots, larger);
        self.len = 0;
        before.into_iter().flatten().for_each(|(serial, value)| self.put(serial, value));
    }
}

impl<V> Default for SerialMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug> fmt::Debug for SerialMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.slots.iter().flatten().map(|(serial, value)| (serial, value))).finish()
    }
}

/// In the order of the serials.
impl<V> IntoIterator for SerialMap<V> {
    type Item = (Serial, V);
    type IntoIter = alloc::vec::IntoIter<(Serial, V)>;

    fn into_iter(self) -> Self::IntoIter {
        let mut entries: Vec<_> = self.slots.into_iter().flatten().collect();
        entries.sort_unstable_by_key(|(serial, _)| *serial);
        entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Serials as they are handed out, some of which live long, and some as they come at the end of the numbers.
    fn serial(random: u32) -> Serial {
        Serial(match random % 4 {
            0 => random >> 27,
            1 => u32::MAX - (random >> 28),
            _ => (random >> 16) % 512,
        })
    }

    #[test]
    fn it_does_as_an_ordered_map_does() {
        let (mut map, mut model) = (SerialMap::new(), BTreeMap::new());
        let mut random = 1_u32;
        for turn in 0..200_000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let serial = serial(random);
            // Grows and shrinks in turns.
            if (random >> 8) % 100 < if turn % 20_000 < 10_000 { 70 } else { 20 } {
                assert_eq!(map.insert(serial, turn), model.insert(serial, turn));
            } else {
                assert_eq!(map.remove(&serial), model.remove(&serial));
            }
            assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            assert_eq!(map.get(&serial), model.get(&serial));
            if turn % 5_000 == 0 {
                assert!(model.iter().all(|(serial, value)| map.get(serial) == Some(value)));
                assert_eq!(map.values().count(), model.len());
                let odd = |_: &Serial, value: &mut u32| *value % 2 == 1;
                map.retain(odd);
                model.retain(odd);
                assert!(map.clone().into_iter().eq(model.clone()));
            }
        }
    }

    #[test]
    fn its_memory_follows_what_it_holds() {
        let mut map = SerialMap::new();
        for serial in 0..10_000 {
            map.insert(Serial(serial), ());
        }
        for serial in 0..9_990 {
            map.remove(&Serial(serial));
        }
        assert!(map.slots.len() <= 128, "{} slots for {} serials", map.slots.len(), map.len());
        // However many pass through.
        for serial in 10_000..200_000 {
            map.insert(Serial(serial), ());
            map.remove(&Serial(serial));
        }
        assert!(map.slots.len() <= 128 && (9_990..10_000).all(|serial| map.contains_key(&Serial(serial))));
    }
}
