//! Sets of CPUs, as documents write them ("0-3,^2,8") and as calls carry them (a bit each, the lowest first).

use std::fmt::{self, Write as _};

/// One more than the highest CPU's number: what the longest map of a call holds.
const MAX_CPUS: u32 = 16_384;

/// A set of CPUs. It takes no more memory than its text, as a document would write it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CpuSet {
    /// From and to, both included, in ascending order and with gaps between.
    ranges: Vec<(u16, u16)>,
}

impl CpuSet {
    /// The first `count` CPUs.
    pub(crate) fn first(count: u32) -> Self {
        let last = count.min(MAX_CPUS).checked_sub(1).and_then(|last| u16::try_from(last).ok());
        Self { ranges: last.map(|last| (0, last)).into_iter().collect() }
    }

    /// The set that a call carries.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte & 1 << bit != 0));
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for (cpu, _) in (0..=u16::MAX).zip(bits).filter(|(_, there)| *there) {
            match ranges.last_mut() {
                Some((_, to)) if *to + 1 == cpu => *to = cpu,
                _ => ranges.push((cpu, cpu)),
            }
        }
        Self { ranges }
    }

    /// The set that a document writes, if that makes sense.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|cpu| u32::from(*cpu) < MAX_CPUS);
        let mut bytes = [0; (MAX_CPUS / 8) as usize];
        for part in text.split(',') {
            if let Some(cpu) = part.trim().strip_prefix('^') {
                let cpu = number(cpu)?;
                *bytes.get_mut(usize::from(cpu / 8))? &= !(1 << (cpu % 8));
            } else {
                let (from, to) = part.split_once('-').unwrap_or((part, part));
                let (from, to) = (number(from)?, number(to)?);
                if from > to {
                    return None;
                }
                fill(&mut bytes, from, to);
            }
        }
        Some(Self::from_bytes(&bytes))
    }

    /// The set as a call carries it: in `len` bytes, what is beyond them left out.
    pub(crate) fn to_bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for &(from, to) in &self.ranges {
            fill(&mut bytes, from, to);
        }
        bytes
    }

    /// The last CPU in it.
    pub(crate) fn last(&self) -> Option<u16> {
        self.ranges.last().map(|(_, to)| *to)
    }
}

/// Sets the bits of a range, as far as there are bytes for them.
fn fill(bytes: &mut [u8], from: u16, to: u16) {
    let (first, last) = (usize::from(from / 8), usize::from(to / 8));
    let (head, tail) = (0xff_u8 << (from % 8), 0xff_u8 >> (7 - to % 8));
    let end = bytes.len().min(last + 1);
    let Some(range) = bytes.get_mut(first..end) else { return };
    let old = (range.first().copied(), range.get(last - first).copied());
    range.fill(0xff);
    // What the range's ends share their bytes with stays.
    if let (Some(byte), Some(old)) = (range.first_mut(), old.0) {
        *byte = old | head;
    }
    if let (Some(byte), Some(old)) = (range.get_mut(last - first), old.1) {
        *byte = old | if first == last { head & tail } else { tail };
    }
}

/// As a document writes it.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            match from == to {
                true => write!(f, "{from}")?,
                false => write!(f, "{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn documents_write_ranges() {
        for (text, written, bytes) in [
            ("0", "0", &[1_u8][..]),
            ("0-3", "0-3", &[0b1111]),
            ("0-7,^3,^4 , 9", "0-2,5-7,9", &[0b1110_0111, 0b10]),
            ("0,1", "0-1", &[0b11]),
            ("15-15", "15", &[0, 0x80]),
            ("3,^3", "", &[]),
        ] {
            let set = CpuSet::parse(text).unwrap();
            assert_eq!(set.to_string(), written);
            assert_eq!(set, CpuSet::from_bytes(bytes));
            assert_eq!(set.to_bytes(bytes.len()), bytes);
        }
        for text in ["", "a", "1-", "-1", "3-99999", "16384", "1,,2", "^", "3-2", "^1-2"] {
            assert_eq!(CpuSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last() {
        assert_eq!((CpuSet::first(0), CpuSet::default().last()), (CpuSet::default(), None));
        for count in [1, 7, 8, 9, 16, 16_384] {
            let set = CpuSet::first(count);
            assert_eq!(set.last().map(u32::from), Some(count - 1));
            assert_eq!(CpuSet::parse(&set.to_string()), Some(set));
        }
        assert_eq!(CpuSet::first(u32::MAX), CpuSet::first(MAX_CPUS));
    }

    proptest! {
        #[test]
        fn any_map_and_its_text_are_the_same_set(bytes in vec(any::<u8>(), 0..40), len in 0_usize..50) {
            let set = CpuSet::from_bytes(&bytes);
            let mut expected = bytes.clone();
            expected.resize(len, 0);
            prop_assert_eq!(set.to_bytes(len), expected);
            if !set.to_string().is_empty() {
                prop_assert_eq!(CpuSet::parse(&set.to_string()), Some(set));
            }
        }
    }

    #[test]
    fn a_map_has_the_length_that_is_asked_for() {
        let set = CpuSet::first(9);
        assert_eq!(set.to_bytes(1), [0xff]);
        assert_eq!(set.to_bytes(3), [0xff, 1, 0]);
        assert_eq!(CpuSet::from_bytes(&[1, 0, 0]), CpuSet::first(1));
    }
}
