//! Takes values from the front of a payload.

use super::{Text, Xdr, decode_elements};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// Reads XDR values one after the other out of a payload.
///
/// Strings and opaque data share the payload's memory: nothing is copied, and nothing is reserved for what a
/// count merely announces.
#[derive(Debug, Clone)]
pub struct Reader {
    payload: Bytes,
    /// The same payload, once a string has had to share it.
    shared: Option<Arc<Bytes>>,
    position: usize,
}

/// Why a payload could not be decoded, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset} of {length}: {kind}")]
#[non_exhaustive]
pub struct DecodeError {
    /// How far into the payload the value begins that could not be read, in bytes.
    pub offset: usize,
    /// How long the payload is, in bytes.
    pub length: usize,
    /// What was expected and what came.
    pub kind: DecodeErrorKind,
}

/// What was expected, and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The payload ends inside a value.
    #[error("expected {wanted} more bytes, {left} are left")]
    Truncated {
        /// Bytes that the value needs.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A string, opaque or array announces more than its named maximum.
    #[error("{what} of {count} exceeds its maximum of {max}")]
    TooLong {
        /// "a string", "opaque data" or "an array".
        what: &'static str,
        /// The count that came: bytes, or elements of an array.
        count: u32,
        /// The maximum in libvirt's definitions.
        max: u32,
    },
    /// A count announces more elements than the bytes that are left could hold.
    #[error("an array of {count} elements needs at least {wanted} bytes, {left} are left")]
    ArrayTruncated {
        /// Elements announced.
        count: u32,
        /// The fewest bytes that they could take.
        wanted: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A union's discriminant is none of those in libvirt's definitions.
    #[error("the discriminant {value} of {union} is unknown")]
    UnknownDiscriminant {
        /// The union's name in libvirt's definitions.
        union: &'static str,
        /// The discriminant that came.
        value: i32,
    },
}

impl Reader {
    /// A reader at the front of `payload`.
    #[must_use]
    pub fn new(payload: Bytes) -> Self {
        Self { payload, shared: None, position: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.payload.len() - self.position
    }

    /// The bytes that are left, sharing the payload's memory.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.payload.slice(self.position..)
    }

    /// An error about the value that begins where the reader stands.
    #[cold]
    #[must_use]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { offset: self.position, length: self.payload.len(), kind }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let rest = &self.payload[self.position..];
        let Some(bytes) = rest.first_chunk::<N>() else {
            return Err(self.error(DecodeErrorKind::Truncated { wanted: N, left: rest.len() }));
        };
        let bytes = *bytes;
        self.position += N;
        Ok(bytes)
    }

    /// A C `int`.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// An `unsigned int`.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn uint(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `hyper`.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    #[inline]
    pub fn hyper(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// An `unsigned hyper`.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    #[inline]
    pub fn uhyper(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A `short`: the low bits of a word.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn short(&mut self) -> Result<i16, DecodeError> {
        self.int().map(|word| word as i16)
    }

    /// An `unsigned short`: the low bits of a word.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn ushort(&mut self) -> Result<u16, DecodeError> {
        self.uint().map(|word| word as u16)
    }

    /// A `char`: the low bits of a word.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn char(&mut self) -> Result<i8, DecodeError> {
        self.int().map(|word| word as i8)
    }

    /// An `unsigned char`: the low bits of a word.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn uchar(&mut self) -> Result<u8, DecodeError> {
        self.uint().map(|word| word as u8)
    }

    /// A `double`, bit for bit.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_be_bytes)
    }

    /// Opaque data of a fixed length that is a multiple of 4.
    ///
    /// # Errors
    /// Fewer than `N` bytes are left.
    #[inline]
    pub fn fixed_opaque<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        const { assert!(N.is_multiple_of(4), "libvirt defines no fixed opaque data that needs padding") };
        self.array()
    }

    /// A length word, then that many bytes and their padding; gives where they are.
    #[inline]
    fn counted(&mut self, what: &'static str, max: u32) -> Result<core::ops::Range<usize>, DecodeError> {
        let start = self.position;
        let count = self.uint()?;
        let padded = (count as usize).next_multiple_of(4);
        let left = self.remaining();
        if count > max || padded > left {
            self.position = start;
            let kind = if count > max {
                DecodeErrorKind::TooLong { what, count, max }
            } else {
                DecodeErrorKind::Truncated { wanted: 4 + padded, left: 4 + left }
            };
            return Err(self.error(kind));
        }
        let begin = self.position;
        self.position += padded;
        Ok(begin..begin + count as usize)
    }

    /// A string of at most `max` bytes.
    ///
    /// # Errors
    /// The string or its padding is not all there, or is longer than `max`.
    #[inline]
    pub fn string(&mut self, max: u32) -> Result<Text, DecodeError> {
        let range = self.counted("a string", max)?;
        if let Some(text) = Text::short(&self.payload[range.start..], range.len()) {
            return Ok(text);
        }
        let memory = self.shared.get_or_insert_with(|| Arc::new(self.payload.clone()));
        Ok(Text::shared(memory, range))
    }

    /// An optional string of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Reader::string`].
    #[inline]
    pub fn optional_string(&mut self, max: u32) -> Result<Option<Text>, DecodeError> {
        if self.uint()? == 0 { Ok(None) } else { self.string(max).map(Some) }
    }

    /// Opaque data of at most `max` bytes.
    ///
    /// # Errors
    /// The data or its padding is not all there, or is longer than `max`.
    #[inline]
    pub fn opaque(&mut self, max: u32) -> Result<Bytes, DecodeError> {
        self.counted("opaque data", max).map(|range| self.payload.slice(range))
    }

    /// A count of elements that each take at least `min_len` bytes.
    #[inline]
    fn count(&mut self, max: u32, min_len: usize) -> Result<usize, DecodeError> {
        let start = self.position;
        let count = self.uint()?;
        let left = self.remaining();
        let wanted = (count as usize).saturating_mul(min_len);
        if count > max || wanted > left {
            self.position = start;
            let kind = if count > max {
                DecodeErrorKind::TooLong { what: "an array", count, max }
            } else {
                DecodeErrorKind::ArrayTruncated { count, wanted, left }
            };
            return Err(self.error(kind));
        }
        Ok(count as usize)
    }

    /// An array of at most `max` elements.
    ///
    /// # Errors
    /// The count is over `max` or over what the bytes that are left could hold, or an element is in error.
    #[inline]
    pub fn elements<T: Xdr>(&mut self, max: u32) -> Result<Vec<T>, DecodeError> {
        let count = self.count(max, const { if T::MIN_LEN == 0 { 4 } else { T::MIN_LEN } })?;
        decode_elements(self, count)
    }

    /// An array of at most `max` strings of at most `max_len` bytes each.
    ///
    /// # Errors
    /// As [`Reader::elements`].
    pub fn strings(&mut self, max: u32, max_len: u32) -> Result<Vec<Text>, DecodeError> {
        let count = self.count(max, 4)?;
        let mut strings = Vec::with_capacity(count);
        for _ in 0..count {
            strings.push(self.string(max_len)?);
        }
        Ok(strings)
    }

    /// `char<max>`: a count, then a word for each character.
    ///
    /// # Errors
    /// As [`Reader::elements`].
    pub fn chars(&mut self, max: u32) -> Result<Bytes, DecodeError> {
        let count = self.count(max, 4)?;
        let mut chars = Vec::with_capacity(count);
        for _ in 0..count {
            chars.push(self.uchar()?);
        }
        Ok(chars.into())
    }

    /// `char[N]`: a word for each character, without a count.
    ///
    /// # Errors
    /// Fewer than `4 * N` bytes are left.
    pub fn fixed_chars<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = self.remaining();
        if left < 4 * N {
            return Err(self.error(DecodeErrorKind::Truncated { wanted: 4 * N, left }));
        }
        let mut chars = [0; N];
        for char in &mut chars {
            *char = self.uchar()?;
        }
        Ok(chars)
    }
}
