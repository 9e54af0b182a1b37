//! A string as the wire has it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Range;
use core::str::Utf8Error;

/// A string as the wire has it: bytes that are nearly always UTF-8.
///
/// libvirt's strings are bytes by contract; a volume's name, a path or a translated message need not be UTF-8.
/// A `Text` keeps what came, whatever it is. [`Text::to_str`] gives it as `&str` where it is one, and
/// formatting with `{}` shows what is not UTF-8 as U+FFFD.
///
/// A short one, as most names are, is stored in place. A longer one that was decoded shares its reply's memory,
/// so cloning is cheap and keeps the reply alive: [`Text::detach`] one that shall outlive a large reply.
///
/// # Examples
/// ```
/// use virtwire_proto::xdr::Text;
/// let name = Text::from("demo");
/// assert_eq!(name, "demo");
/// assert_eq!(name.to_str(), Ok("demo"));
/// let odd = Text::from(vec![b'v', 0xff]);
/// assert!(odd.to_str().is_err());
/// assert_eq!(odd.to_string(), "v\u{fffd}");
/// ```
// A bulk reply decodes to hundreds of thousands of these: 24 bytes, and for most of them no reference count.
#[derive(Clone)]
pub struct Text(Repr);

// The layout is laid down, with the characters of both forms at multiples of 4, so that they are moved in words.
#[derive(Clone)]
#[repr(u8)]
enum Repr {
    /// The string, and bytes of no meaning behind it.
    Short { len: u8, _padding: [u8; 2], bytes: [u8; Text::SHORT] },
    /// A part of a payload, which is far below 4 GiB, or of memory of its own.
    Shared { start: u32, memory: Arc<Bytes>, len: u32 },
}

impl Repr {
    const EMPTY: Self = Self::Short { len: 0, _padding: [0; 2], bytes: [0; Text::SHORT] };
}

impl Text {
    /// How long a string is that is stored in place, at most, in bytes.
    pub(super) const SHORT: usize = 20;

    /// Becomes the string of `len` bytes, which are at most [`Self::SHORT`], at the front of `from`. What is behind
    /// it may be copied too: a copy of constant length is the faster one.
    #[inline(always)]
    pub(super) fn set_short(&mut self, from: &[u8], count: usize) {
        if let Repr::Shared { .. } = self.0 {
            self.0 = Repr::EMPTY;
        }
        if let Repr::Short { len, bytes, .. } = &mut self.0 {
            *len = count as u8;
            match from.first_chunk() {
                Some(chunk) => *bytes = *chunk,
                None => *bytes = Self::padded(from),
            }
        }
    }

    #[cold]
    fn padded(bytes: &[u8]) -> [u8; Self::SHORT] {
        let mut padded = [0; Self::SHORT];
        padded[..bytes.len()].copy_from_slice(bytes);
        padded
    }

    /// The bytes of a string that is stored in place, bytes of no meaning behind it, and its length.
    #[inline]
    pub(super) fn as_short(&self) -> Option<(&[u8; Self::SHORT], usize)> {
        match &self.0 {
            // The length is never more: this tells the compiler.
            Repr::Short { len, bytes, .. } => Some((bytes, usize::from(*len).min(Self::SHORT))),
            Repr::Shared { .. } => None,
        }
    }

    /// The part `range` of `memory`, which is a packet's payload and so far below 4 GiB.
    #[inline]
    pub(super) fn shared(memory: &Arc<Bytes>, range: Range<usize>) -> Self {
        Self(Repr::Shared { memory: Arc::clone(memory), start: range.start as u32, len: range.len() as u32 })
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short { len, bytes, .. } => &bytes[..usize::from(*len)],
            Repr::Shared { memory, start, len } => &memory[*start as usize..][..*len as usize],
        }
    }

    /// The string, where it is UTF-8.
    ///
    /// # Errors
    /// [`Utf8Error`] says where the first byte is that is not.
    pub fn to_str(&self) -> Result<&str, Utf8Error> {
        core::str::from_utf8(self.as_bytes())
    }

    /// The string, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The same string in memory of its own, so that the reply that it came in can be freed.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::from(self.as_bytes())
    }
}

impl From<Bytes> for Text {
    /// # Panics
    /// If there are 4 GiB or more: no message of the protocol can carry them.
    fn from(bytes: Bytes) -> Self {
        if bytes.len() <= Self::SHORT {
            return Self::from(&bytes[..]);
        }
        let len = u32::try_from(bytes.len()).expect("a string of the protocol is shorter than 4 GiB");
        Self(Repr::Shared { memory: Arc::new(bytes), start: 0, len })
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        if bytes.len() > Self::SHORT {
            return Self::from(Bytes::copy_from_slice(bytes));
        }
        let mut text = Self::default();
        text.set_short(bytes, bytes.len());
        text
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<&str> for Text {
    fn from(string: &str) -> Self {
        Self::from(string.as_bytes())
    }
}

impl From<String> for Text {
    fn from(string: String) -> Self {
        Self::from(string.into_bytes())
    }
}

impl From<&String> for Text {
    fn from(string: &String) -> Self {
        Self::from(string.as_bytes())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(string: Cow<'_, str>) -> Self {
        Self::from(string.into_owned())
    }
}

impl Default for Text {
    #[inline]
    fn default() -> Self {
        Self(Repr::EMPTY)
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_string_lossy())
    }
}

impl fmt::Debug for Text {
    /// As a byte string's literal without its `b`: what is not printable is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_str() {
            Ok(string) => fmt::Debug::fmt(string, f),
            Err(_) => write!(f, "b\"{}\"", self.as_bytes().escape_ascii()),
        }
    }
}
