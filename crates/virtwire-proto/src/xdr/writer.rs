//! Appends values to a buffer.

use super::{Text, Xdr};
use bytes::{BufMut, BytesMut};

/// Appends XDR values to a buffer that its caller owns.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut BytesMut,
}

/// Why a value cannot be sent: it passes a maximum of libvirt's definitions, so that no peer would take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {count} exceeds its maximum of {max}")]
#[non_exhaustive]
pub struct EncodeError {
    /// "a string", "opaque data" or "an array".
    pub what: &'static str,
    /// Its length: bytes, or elements of an array.
    pub count: usize,
    /// The maximum in libvirt's definitions.
    pub max: u32,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `buffer`.
    pub fn new(buffer: &'a mut BytesMut) -> Self {
        Self { buffer }
    }

    /// Appends bytes that are encoded already.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Appends an `int`.
    #[inline]
    pub fn put_int(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    /// Appends an `unsigned int`.
    #[inline]
    pub fn put_uint(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    /// Appends a `hyper`.
    #[inline]
    pub fn put_hyper(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    /// Appends an `unsigned hyper`.
    #[inline]
    pub fn put_uhyper(&mut self, value: u64) {
        self.buffer.put_u64(value);
    }

    /// Appends a `short`, sign-extended to a word.
    #[inline]
    pub fn put_short(&mut self, value: i16) {
        self.put_int(value.into());
    }

    /// Appends an `unsigned short`, zero-extended to a word.
    #[inline]
    pub fn put_ushort(&mut self, value: u16) {
        self.put_uint(value.into());
    }

    /// Appends a `char`, sign-extended to a word as C does on x86.
    #[inline]
    pub fn put_char(&mut self, value: i8) {
        self.put_int(value.into());
    }

    /// Appends an `unsigned char`, zero-extended to a word.
    #[inline]
    pub fn put_uchar(&mut self, value: u8) {
        self.put_uint(value.into());
    }

    /// Appends a `double`, bit for bit.
    #[inline]
    pub fn put_double(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    /// Appends opaque data of a fixed length that is a multiple of 4.
    #[inline]
    pub fn put_fixed_opaque<const N: usize>(&mut self, value: &[u8; N]) {
        const { assert!(N.is_multiple_of(4), "libvirt defines no fixed opaque data that needs padding") };
        self.buffer.put_slice(value);
    }

    #[inline]
    fn put_counted(&mut self, what: &'static str, bytes: &[u8], max: u32) -> Result<(), EncodeError> {
        self.put_count(what, bytes.len(), max)?;
        self.buffer.put_slice(bytes);
        self.buffer.put_bytes(0, bytes.len().next_multiple_of(4) - bytes.len());
        Ok(())
    }

    #[inline]
    fn put_count(&mut self, what: &'static str, count: usize, max: u32) -> Result<(), EncodeError> {
        match u32::try_from(count) {
            Ok(word) if word <= max => {
                self.put_uint(word);
                Ok(())
            }
            _ => Err(EncodeError { what, count, max }),
        }
    }

    /// Appends a string of at most `max` bytes.
    ///
    /// # Errors
    /// The string is longer.
    #[inline]
    pub fn put_string(&mut self, value: &Text, max: u32) -> Result<(), EncodeError> {
        self.put_counted("a string", value.as_bytes(), max)
    }

    /// Appends an optional string of at most `max` bytes.
    ///
    /// # Errors
    /// The string is longer.
    #[inline]
    pub fn put_optional_string(&mut self, value: Option<&Text>, max: u32) -> Result<(), EncodeError> {
        self.put_uint(value.is_some().into());
        value.map_or(Ok(()), |value| self.put_string(value, max))
    }

    /// Appends opaque data of at most `max` bytes.
    ///
    /// # Errors
    /// The data is longer.
    #[inline]
    pub fn put_opaque(&mut self, value: &[u8], max: u32) -> Result<(), EncodeError> {
        self.put_counted("opaque data", value, max)
    }

    /// Appends an array of at most `max` elements.
    ///
    /// # Errors
    /// There are more elements, or one of them cannot be sent.
    #[inline]
    pub fn put_elements<T: Xdr>(&mut self, value: &[T], max: u32) -> Result<(), EncodeError> {
        self.put_count("an array", value.len(), max)?;
        value.iter().try_for_each(|element| element.encode(self))
    }

    /// Appends an array of at most `max` strings of at most `max_len` bytes each.
    ///
    /// # Errors
    /// There are more strings, or one of them is longer.
    pub fn put_strings(&mut self, value: &[Text], max: u32, max_len: u32) -> Result<(), EncodeError> {
        self.put_count("an array", value.len(), max)?;
        value.iter().try_for_each(|string| self.put_string(string, max_len))
    }

    /// Appends `char<max>`: a count, then a word for each character.
    ///
    /// # Errors
    /// There are more characters.
    pub fn put_chars(&mut self, value: &[u8], max: u32) -> Result<(), EncodeError> {
        self.put_count("an array", value.len(), max)?;
        self.put_fixed_chars(value);
        Ok(())
    }

    /// Appends `char[N]`: a word for each character, without a count.
    pub fn put_fixed_chars(&mut self, value: &[u8]) {
        for char in value {
            self.put_char(char.cast_signed());
        }
    }
}
