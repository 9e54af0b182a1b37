//! Sets of CPUs, as documents write them ("0-3,^2,8") and as calls carry them (a bit each, the lowest first).

use std::fmt::{self, Write as _};

/// One more than the highest CPU's number: what the longest map of a call holds.
const MAX_CPUS: u32 = 16_384;

/// A set of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CpuSet {
    /// A bit each, the lowest first. No zero byte at the end.
    bytes: Vec<u8>,
}

impl CpuSet {
    /// The first `count` CPUs.
    pub(crate) fn first(count: u32) -> Self {
        let count = count.min(MAX_CPUS);
        let mut bytes = vec![0xff; (count / 8) as usize];
        bytes.push(!(0xff_u8 << (count % 8)));
        Self::from_bytes(&bytes)
    }

    /// The set that a call carries.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Self { bytes: bytes[..used].to_vec() }
    }

    /// The set that a document writes, if that makes sense.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|cpu| *cpu < MAX_CPUS);
        let mut bytes = vec![0_u8; (MAX_CPUS / 8) as usize];
        let mut set = |cpu: u32, there: bool| {
            if let Some(byte) = bytes.get_mut((cpu / 8) as usize) {
                let bit = 1 << (cpu % 8);
                *byte = if there { *byte | bit } else { *byte & !bit };
            }
        };
        for part in text.split(',') {
            if let Some(cpu) = part.trim().strip_prefix('^') {
                set(number(cpu)?, false);
            } else if let Some((from, to)) = part.split_once('-') {
                (number(from)?..=number(to)?).for_each(|cpu| set(cpu, true));
            } else {
                set(number(part)?, true);
            }
        }
        Some(Self::from_bytes(&bytes))
    }

    /// The set as a call carries it: in `len` bytes, what is beyond them left out.
    pub(crate) fn to_bytes(&self, len: usize) -> impl Iterator<Item = u8> {
        self.bytes.iter().copied().chain(std::iter::repeat(0)).take(len)
    }

    /// The last CPU in it.
    pub(crate) fn last(&self) -> Option<u32> {
        let last = self.bytes.last()?;
        let index = u32::try_from(self.bytes.len() - 1).ok()?;
        Some(index * 8 + last.checked_ilog2()?)
    }

    fn contains(&self, cpu: u32) -> bool {
        self.bytes.get((cpu / 8) as usize).is_some_and(|byte| byte & 1 << (cpu % 8) != 0)
    }
}

/// As a document writes it.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.last().map_or(0, |last| last + 1);
        let mut cpus = (0..end).filter(|cpu| self.contains(*cpu)).peekable();
        let mut is_first = true;
        while let Some(from) = cpus.next() {
            let mut to = from;
            while let Some(next) = cpus.next_if(|next| *next == to + 1) {
                to = next;
            }
            if !is_first {
                f.write_char(',')?;
            }
            is_first = false;
            match to {
                to if to == from => write!(f, "{from}")?,
                to => write!(f, "{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(set.to_bytes(bytes.len()).collect::<Vec<_>>(), bytes);
        }
        for text in ["", "a", "1-", "-1", "3-99999", "16384", "1,,2", "^"] {
            assert_eq!(CpuSet::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last() {
        assert_eq!((CpuSet::first(0), CpuSet::default().last()), (CpuSet::default(), None));
        for count in [1, 7, 8, 9, 16, 16_384] {
            let set = CpuSet::first(count);
            assert_eq!(set.last(), Some(count - 1));
            assert_eq!(CpuSet::parse(&set.to_string()), Some(set));
        }
        assert_eq!(CpuSet::first(u32::MAX).last(), Some(MAX_CPUS - 1));
    }

    #[test]
    fn a_map_has_the_length_that_is_asked_for() {
        let set = CpuSet::first(9);
        assert_eq!(set.to_bytes(1).collect::<Vec<_>>(), [0xff]);
        assert_eq!(set.to_bytes(3).collect::<Vec<_>>(), [0xff, 1, 0]);
        assert_eq!(CpuSet::from_bytes(&[1, 0, 0]), CpuSet::first(1));
    }
}
