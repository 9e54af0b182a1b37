//! Appends values to a buffer.

use super::{Fixed, Text, Xdr};
use alloc::boxed::Box;
use bytes::BytesMut;
use core::ops::Deref;

/// Appends XDR values to a buffer that its caller owns.
///
/// The buffer is longer than what has been written, and cut to it when the writer is dropped: an integer is
/// then a store, rather than a reservation and a store.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut BytesMut,
    position: usize,
}

/// Why a value cannot be sent: it passes a maximum of libvirt's definitions, so that no peer would take it. See
/// the fields of [`EncodeFailure`].
// Boxed, so that the results of a message's thousands of small writes fit into a register.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(Box<EncodeFailure>);

impl Deref for EncodeError {
    type Target = EncodeFailure;
    fn deref(&self) -> &EncodeFailure {
        &self.0
    }
}

/// What an [`EncodeError`] says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} of {count} exceeds its maximum of {max}")]
#[non_exhaustive]
pub struct EncodeFailure {
    /// "a string", "opaque data" or "an array".
    pub what: &'static str,
    /// Its length: bytes, or elements of an array.
    pub count: usize,
    /// The maximum in libvirt's definitions.
    pub max: u32,
}

#[cold]
fn too_long(what: &'static str, count: usize, max: u32) -> EncodeError {
    EncodeError(Box::new(EncodeFailure { what, count, max }))
}

/// How long a word is, in bytes.
const WORD: usize = 4;

/// A length that is rounded up to words.
#[inline(always)]
const fn padded(len: usize) -> usize {
    (len + (WORD - 1)) & !(WORD - 1)
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.position);
    }
}

impl<'a> Writer<'a> {
    /// How many bytes of the buffer's capacity are made ready at first: as many as most calls take.
    const WINDOW: usize = 256;

    /// How many bytes are made ready at a time at most: they are still near when they are written.
    const CHUNK: usize = 4096;

    /// From this length on bytes are appended, without room being made ready for them first.
    const LONG: usize = 256;

    /// A writer that appends to `buffer`.
    #[inline]
    pub fn new(buffer: &'a mut BytesMut) -> Self {
        let position = buffer.len();
        buffer.resize(buffer.capacity().min(position + Self::WINDOW), 0);
        Self { buffer, position }
    }

    /// The next `len` bytes.
    #[inline(always)]
    fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.position + len;
        if self.buffer.len() < end {
            self.grow(len);
        }
        &mut self.buffer[self.position..end]
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) {
        let more = self.position.clamp(Self::WINDOW, Self::CHUNK);
        self.buffer.resize(self.position + len + more, 0);
    }

    /// Appends bytes that are encoded already.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        if bytes.len() < Self::LONG {
            self.room(bytes.len()).copy_from_slice(bytes);
        } else {
            self.buffer.truncate(self.position);
            self.buffer.extend_from_slice(bytes);
        }
        self.position += bytes.len();
    }

    /// Appends a value of a fixed length, or several in a tuple.
    #[inline(always)]
    pub fn put_fixed<F: Fixed>(&mut self, value: F) {
        value.write(self.room(F::LEN));
        self.position += F::LEN;
    }

    /// Appends an `int`.
    #[inline]
    pub fn put_int(&mut self, value: i32) {
        self.put_fixed(value);
    }

    /// Appends an `unsigned int`.
    #[inline]
    pub fn put_uint(&mut self, value: u32) {
        self.put_fixed(value);
    }

    /// Appends a `hyper`.
    #[inline]
    pub fn put_hyper(&mut self, value: i64) {
        self.put_fixed(value);
    }

    /// Appends an `unsigned hyper`.
    #[inline]
    pub fn put_uhyper(&mut self, value: u64) {
        self.put_fixed(value);
    }

    /// Appends a `short`, sign-extended to a word.
    #[inline]
    pub fn put_short(&mut self, value: i16) {
        self.put_fixed(value);
    }

    /// Appends an `unsigned short`, zero-extended to a word.
    #[inline]
    pub fn put_ushort(&mut self, value: u16) {
        self.put_fixed(value);
    }

    /// Appends a `char`, sign-extended to a word as C does on x86.
    #[inline]
    pub fn put_char(&mut self, value: i8) {
        self.put_fixed(value);
    }

    /// Appends an `unsigned char`, zero-extended to a word.
    #[inline]
    pub fn put_uchar(&mut self, value: u8) {
        self.put_fixed(value);
    }

    /// Appends a `double`, bit for bit.
    #[inline]
    pub fn put_double(&mut self, value: f64) {
        self.put_fixed(value);
    }

    /// Appends opaque data of a fixed length that is a multiple of 4.
    #[inline]
    pub fn put_fixed_opaque<const N: usize>(&mut self, value: &[u8; N]) {
        const { assert!(N.is_multiple_of(4), "libvirt defines no fixed opaque data that needs padding") };
        self.room(N).copy_from_slice(value);
        self.position += N;
    }

    #[inline]
    fn put_counted(&mut self, what: &'static str, bytes: &[u8], max: u32) -> Result<(), EncodeError> {
        self.put_count(what, bytes.len(), max)?;
        let padded = padded(bytes.len());
        if bytes.len() < Self::LONG {
            // The last word first, so that what is behind the bytes is zero.
            let room = self.room(padded);
            if let Some(last) = room.last_chunk_mut::<WORD>() {
                *last = [0; WORD];
            }
            room[..bytes.len()].copy_from_slice(bytes);
            self.position += padded;
        } else {
            self.put_raw(bytes);
            self.put_raw(&[0; WORD][..padded - bytes.len()]);
        }
        Ok(())
    }

    #[inline]
    fn put_count(&mut self, what: &'static str, count: usize, max: u32) -> Result<(), EncodeError> {
        if count > max as usize {
            return Err(too_long(what, count, max));
        }
        self.put_uint(count as u32);
        Ok(())
    }

    /// Appends a string of at most `max` bytes.
    ///
    /// # Errors
    /// The string is longer.
    #[inline]
    pub fn put_string(&mut self, value: &Text, max: u32) -> Result<(), EncodeError> {
        self.put_string_and(value, max, ())
    }

    /// Appends a string of at most `max` bytes, and behind it `then`: room is looked for once.
    ///
    /// # Errors
    /// The string is longer.
    #[inline(always)]
    pub fn put_string_and<F: Fixed>(&mut self, value: &Text, max: u32, then: F) -> Result<(), EncodeError> {
        match value.as_short() {
            Some((chunk, len)) if len <= max as usize => {
                // Copies of constant length, the later over the end of the earlier.
                let end = WORD + padded(len);
                let room = self.room(WORD + Text::SHORT + WORD + F::LEN);
                room[..WORD].copy_from_slice(&(len as u32).to_be_bytes());
                room[WORD..][..Text::SHORT].copy_from_slice(chunk);
                room[WORD + len..][..WORD].fill(0);
                then.write(&mut room[end..][..F::LEN]);
                self.position += end + F::LEN;
            }
            _ => {
                self.put_long_string(value, max)?;
                self.put_fixed(then);
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn put_long_string(&mut self, value: &Text, max: u32) -> Result<(), EncodeError> {
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
