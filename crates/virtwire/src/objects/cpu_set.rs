//! Sets of CPUs: which CPUs there are, or which of them something may run on.

use bytes::Bytes;
use std::cmp::{max, min};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use virtwire_proto::program::remote::limits::CPUMAP_MAX;

/// A set of CPUs by their numbers: a CPU map.
///
/// It is written and read as libvirt's XML has it, `0-3,7`, and as virsh takes it, `0-7,^5`.
///
/// # Examples
/// ```
/// use virtwire::CpuSet;
/// let set: CpuSet = "0-3,7".parse()?;
/// assert!(set.contains(2) && !set.contains(5));
/// assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 7]);
/// assert_eq!(CpuSet::from_iter([3, 1, 2]).to_string(), "1-3");
/// assert_eq!("0-7,^5".parse::<CpuSet>()?.to_string(), "0-4,6-7");
/// # Ok::<(), virtwire::CpuSetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CpuSet {
    /// In ascending order, with a gap between any two: so that a set of billions takes no more than one of two.
    ranges: Vec<(u32, u32)>,
}

impl CpuSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The set that a CPU map of the wire means: bit 0 of byte 0 is CPU 0.
    #[must_use]
    pub fn from_map(map: &[u8]) -> Self {
        let bits = map.iter().zip(0_u32..).flat_map(|(&byte, index)| {
            (0..8).filter(move |bit| byte & (1 << bit) != 0).map(move |bit| index.saturating_mul(8) + bit)
        });
        bits.collect()
    }

    /// The CPU map of the wire, as long as the highest CPU needs it.
    ///
    /// Numbers over 16 383 have no place in any of libvirt's maps: a call that is given them fails before it is
    /// sent.
    #[must_use]
    pub fn to_map(&self) -> Bytes {
        let Some(&(_, last)) = self.ranges.last() else { return Bytes::new() };
        let len = last / 8 + 1;
        if len > CPUMAP_MAX {
            // One byte too many, for the encoder to say so.
            return Bytes::from(vec![0; CPUMAP_MAX as usize + 1]);
        }
        let mut map = vec![0_u8; len as usize];
        for cpu in self.iter() {
            map[(cpu / 8) as usize] |= 1 << (cpu % 8);
        }
        Bytes::from(map)
    }

    /// Whether the CPU is in it.
    #[must_use]
    pub fn contains(&self, cpu: u32) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&cpu))
    }

    /// Puts a CPU in. Gives whether it was not in it.
    pub fn insert(&mut self, cpu: u32) -> bool {
        let was_in = self.contains(cpu);
        self.insert_range(cpu..=cpu);
        !was_in
    }

    /// Puts all CPUs of a range in.
    pub fn insert_range(&mut self, range: RangeInclusive<u32>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        self.ranges.retain(|&(from, to)| {
            let touches = from <= last.saturating_add(1) && first <= to.saturating_add(1);
            if touches {
                (first, last) = (min(first, from), max(last, to));
            }
            !touches
        });
        let place = self.ranges.partition_point(|&(from, _)| from < first);
        self.ranges.insert(place, (first, last));
    }

    /// Takes a CPU out. Gives whether it was in it.
    pub fn remove(&mut self, cpu: u32) -> bool {
        let Some(place) = self.ranges.iter().position(|&(first, last)| (first..=last).contains(&cpu)) else {
            return false;
        };
        let (first, last) = self.ranges.remove(place);
        if cpu < last {
            self.ranges.insert(place, (cpu + 1, last));
        }
        if first < cpu {
            self.ranges.insert(place, (first, cpu - 1));
        }
        true
    }

    /// How many CPUs are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether no CPU is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The CPUs, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + Clone {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }

    /// The CPUs as ranges, in ascending order, with a gap between any two.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = RangeInclusive<u32>> + Clone {
        self.ranges.iter().map(|&(first, last)| first..=last)
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        let mut set = Self::new();
        set.extend(cpus);
        set
    }
}

impl Extend<u32> for CpuSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, cpus: I) {
        for cpu in cpus {
            match self.ranges.last_mut() {
                // Numbers mostly come in their order.
                Some((_, last)) if last.checked_add(1) == Some(cpu) => *last = cpu,
                _ => self.insert_range(cpu..=cpu),
            }
        }
    }
}

/// `0-3,7`: empty where there are none.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// What is written is no set of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected CPUs such as \"0-3,7,^5\", found {part:?}")]
pub struct CpuSetError {
    /// The part between two commas that is not understood.
    pub part: String,
}

/// `0-3,7`; `^5` takes one out that stands before it. The empty string is the empty set.
impl FromStr for CpuSet {
    type Err = CpuSetError;

    fn from_str(text: &str) -> Result<Self, CpuSetError> {
        let mut set = Self::new();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for part in text.split(',').map(str::trim) {
            let error = || CpuSetError { part: part.to_owned() };
            // A sign is no number here.
            let number = |text: &str| {
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(error)
            };
            if let Some(cpu) = part.strip_prefix('^') {
                set.remove(number(cpu)?);
            } else if let Some((first, last)) = part.split_once('-') {
                let range = number(first)?..=number(last)?;
                if range.is_empty() {
                    return Err(error());
                }
                set.insert_range(range);
            } else {
                set.insert(number(part)?);
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn it_is_a_set() {
        // Against the standard library's, over all that eight CPUs can be put in and taken out.
        let mut state = 1_u32;
        let (mut set, mut expected) = (CpuSet::new(), BTreeSet::new());
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let cpu = state >> 16 & 7;
            if state >> 20 & 1 == 0 {
                assert_eq!(set.insert(cpu), expected.insert(cpu));
            } else {
                assert_eq!(set.remove(cpu), expected.remove(&cpu));
            }
            assert!(set.iter().eq(expected.iter().copied()), "{set:?} {expected:?}");
            assert!((0..9).all(|cpu| set.contains(cpu) == expected.contains(&cpu)));
            assert_eq!((set.len(), set.is_empty()), (expected.len() as u64, expected.is_empty()));
            assert!(set.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{set:?}");
            assert_eq!(CpuSet::from_map(&set.to_map()), set);
            assert_eq!(set.to_string().parse(), Ok(set.clone()));
        }
    }

    #[test]
    fn maps_are_little_endian() {
        assert_eq!(CpuSet::from_map(&[0x8f, 0, 1]).to_string(), "0-3,7,16");
        assert_eq!(CpuSet::from_iter([9, 0]).to_map(), [1, 2].as_slice());
        assert!(CpuSet::new().to_map().is_empty());
    }

    #[test]
    fn what_is_written() {
        for (text, shown) in
            [("", ""), ("5", "5"), ("0-3, 7", "0-3,7"), ("0-7,^5,^0", "1-4,6-7"), ("3,2,1", "1-3")]
        {
            assert_eq!(text.parse::<CpuSet>().unwrap().to_string(), shown, "{text:?}");
        }
        for text in [",", "1,", "-1", "3-1", "1-", "a", "+1", "^", "4294967296", "1-2-3"] {
            let error = text.parse::<CpuSet>().unwrap_err();
            assert!(error.to_string().starts_with("expected CPUs"), "{text:?}");
        }
    }

    #[test]
    fn numbers_without_end_take_no_memory_without_end() {
        let all: CpuSet = "0-4294967295".parse().unwrap();
        assert_eq!((all.len(), all.ranges.len()), (1 << 32, 1));
        // Longer than any map: refused by the encoder of every call.
        assert_eq!(all.to_map().len(), CPUMAP_MAX as usize + 1);
        let highest = CpuSet::from_iter([CPUMAP_MAX * 8 - 1]);
        assert_eq!(highest.to_map().len(), CPUMAP_MAX as usize);
    }
}
