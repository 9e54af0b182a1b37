//! Takes values from the front of a payload.

use super::{Text, Xdr};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::{Deref, Range};

/// Reads XDR values one after the other out of a payload.
///
/// Strings and opaque data share the payload's memory: nothing is copied, and nothing is reserved for what a
/// count merely announces.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    payload: &'a Bytes,
    /// What is left of it.
    rest: &'a [u8],
    /// The same payload, once a string has had to share it.
    shared: Option<Arc<Bytes>>,
}

/// Why a payload could not be decoded, and where: see the fields of [`DecodeFailure`].
// Boxed, so that the results of a payload's thousands of small reads fit into registers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(Box<DecodeFailure>);

impl Deref for DecodeError {
    type Target = DecodeFailure;
    fn deref(&self) -> &DecodeFailure {
        &self.0
    }
}

/// What a [`DecodeError`] says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset} of {length}: {kind}")]
#[non_exhaustive]
pub struct DecodeFailure {
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

impl<'a> Reader<'a> {
    /// A reader at the front of `payload`.
    #[must_use]
    pub fn new(payload: &'a Bytes) -> Self {
        Self { payload, rest: payload, shared: None }
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.payload.len() - self.rest.len()
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The bytes that are left, sharing the payload's memory.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.payload.slice(self.position()..)
    }

    /// An error about the value that begins `behind` bytes before where the reader stands.
    #[cold]
    #[must_use]
    pub fn error(&self, behind: usize, kind: DecodeErrorKind) -> DecodeError {
        let offset = self.position().saturating_sub(behind);
        DecodeError(Box::new(DecodeFailure { offset, length: self.payload.len(), kind }))
    }

    #[cold]
    fn truncated(&self, behind: usize, wanted: usize) -> DecodeError {
        self.error(behind, DecodeErrorKind::Truncated { wanted, left: behind + self.remaining() })
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((array, rest)) => {
                self.rest = rest;
                Ok(array)
            }
            None => Err(self.truncated(0, N)),
        }
    }

    /// A C `int`.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        self.array().map(|bytes| i32::from_be_bytes(*bytes))
    }

    /// An `unsigned int`.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    #[inline]
    pub fn uint(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// A `hyper`.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    #[inline]
    pub fn hyper(&mut self) -> Result<i64, DecodeError> {
        self.array().map(|bytes| i64::from_be_bytes(*bytes))
    }

    /// An `unsigned hyper`.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    #[inline]
    pub fn uhyper(&mut self) -> Result<u64, DecodeError> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
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
        self.array().map(|bytes| f64::from_be_bytes(*bytes))
    }

    /// Opaque data of a fixed length that is a multiple of 4.
    ///
    /// # Errors
    /// Fewer than `N` bytes are left.
    #[inline]
    pub fn fixed_opaque<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        const { assert!(N.is_multiple_of(4), "libvirt defines no fixed opaque data that needs padding") };
        self.array()
    }

    /// A length word, then that many bytes and their padding: gives what is there from the first byte on, and
    /// how many of them belong to the value.
    #[inline(always)]
    fn counted(&mut self, what: &'static str, max: u32) -> Result<(&'a [u8], usize), DecodeError> {
        let count = self.uint()?;
        // A peer may announce what no 32-bit machine can round up.
        let len = count as usize;
        let padded = len.checked_next_multiple_of(4).unwrap_or(usize::MAX);
        if count > max {
            return Err(self.error(4, DecodeErrorKind::TooLong { what, count, max }));
        }
        let Some(rest) = self.rest.get(padded..) else {
            return Err(self.truncated(4, padded.saturating_add(4)));
        };
        let bytes = core::mem::replace(&mut self.rest, rest);
        Ok((bytes, len))
    }

    /// Where `bytes`, which reach to the payload's end, begin in it; and where their first `len` end.
    fn range(&self, bytes: &[u8], len: usize) -> Range<usize> {
        let start = self.payload.len() - bytes.len();
        start..start + len
    }

    /// A string of at most `max` bytes.
    ///
    /// # Errors
    /// The string or its padding is not all there, or is longer than `max`.
    #[inline]
    pub fn string(&mut self, max: u32) -> Result<Text, DecodeError> {
        let mut text = Text::default();
        self.string_into(&mut text, max)?;
        Ok(text)
    }

    /// A string of at most `max` bytes, in place of `text`.
    ///
    /// # Errors
    /// As [`Reader::string`].
    #[inline(always)]
    pub fn string_into(&mut self, text: &mut Text, max: u32) -> Result<(), DecodeError> {
        let (bytes, len) = self.counted("a string", max)?;
        if len <= Text::SHORT {
            text.set_short(bytes, len);
        } else {
            self.long_string_into(text, bytes, len);
        }
        Ok(())
    }

    #[inline(never)]
    fn long_string_into(&mut self, text: &mut Text, bytes: &[u8], len: usize) {
        let range = self.range(bytes, len);
        let memory = self.shared.get_or_insert_with(|| Arc::new(self.payload.clone()));
        *text = Text::shared(memory, range);
    }

    /// An optional string of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Reader::string`].
    #[inline]
    pub fn optional_string(&mut self, max: u32) -> Result<Option<Text>, DecodeError> {
        let mut text = None;
        self.optional_string_into(&mut text, max)?;
        Ok(text)
    }

    /// An optional string of at most `max` bytes, in place of `text`.
    ///
    /// # Errors
    /// As [`Reader::string`].
    #[inline]
    pub fn optional_string_into(&mut self, text: &mut Option<Text>, max: u32) -> Result<(), DecodeError> {
        *text = None;
        if self.uint()? == 0 { Ok(()) } else { self.string_into(text.insert(Text::default()), max) }
    }

    /// Opaque data of at most `max` bytes.
    ///
    /// # Errors
    /// The data or its padding is not all there, or is longer than `max`.
    #[inline]
    pub fn opaque(&mut self, max: u32) -> Result<Bytes, DecodeError> {
        let (bytes, len) = self.counted("opaque data", max)?;
        Ok(self.payload.slice(self.range(bytes, len)))
    }

    /// A count of elements that each take at least `min_len` bytes.
    #[inline(always)]
    fn count(&mut self, max: u32, min_len: usize) -> Result<usize, DecodeError> {
        let count = self.uint()?;
        let left = self.remaining();
        let wanted = (count as usize).saturating_mul(min_len);
        if count > max {
            return Err(self.error(4, DecodeErrorKind::TooLong { what: "an array", count, max }));
        }
        if wanted > left {
            return Err(self.error(4, DecodeErrorKind::ArrayTruncated { count, wanted, left }));
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
        self.each(count, T::decode_into)
    }

    /// An array of at most `max` strings of at most `max_len` bytes each.
    ///
    /// # Errors
    /// As [`Reader::elements`].
    pub fn strings(&mut self, max: u32, max_len: u32) -> Result<Vec<Text>, DecodeError> {
        let count = self.count(max, 4)?;
        self.each(count, |text, reader| reader.string_into(text, max_len))
    }

    /// This many elements, decoded where they stay.
    #[inline(always)]
    fn each<T: Default>(
        &mut self,
        count: usize,
        mut decode: impl FnMut(&mut T, &mut Self) -> Result<(), DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        /// As many at a time as stay in the nearest cache between being made and being decoded.
        const BATCH: usize = 32;
        let mut elements = Vec::with_capacity(count);
        while elements.len() < count {
            let done = elements.len();
            elements.resize_with(count.min(done + BATCH), T::default);
            for element in &mut elements[done..] {
                decode(element, self)?;
            }
        }
        Ok(elements)
    }

    /// `char<max>`: a count, then a word for each character.
    ///
    /// # Errors
    /// As [`Reader::elements`].
    pub fn chars(&mut self, max: u32) -> Result<Bytes, DecodeError> {
        let count = self.count(max, 4)?;
        let (words, rest) = self.rest.split_at(4 * count);
        self.rest = rest;
        Ok(words.chunks_exact(4).map(|word| word[3]).collect())
    }

    /// `char[N]`: a word for each character, without a count.
    ///
    /// # Errors
    /// Fewer than `4 * N` bytes are left.
    pub fn fixed_chars<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        if self.remaining() < 4 * N {
            return Err(self.truncated(0, 4 * N));
        }
        let mut chars = [0; N];
        for char in &mut chars {
            *char = self.uchar()?;
        }
        Ok(chars)
    }
}
