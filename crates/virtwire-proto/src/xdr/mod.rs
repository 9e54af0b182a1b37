//! XDR (RFC 4506) as libvirt speaks it: [`Reader`], [`Writer`], and the [`Xdr`] trait that ties a Rust
//! type to its bytes.
//!
//! What is decided where the RFC, C's habits and hostile peers pull in different directions:
//!
//! | on the wire | reading | writing |
//! | --- | --- | --- |
//! | padding behind strings and opaque data | must be there; its value is ignored | zeros |
//! | an optional's discriminant | any word but 0 means present | 1 |
//! | a string, opaque or array longer than its named maximum | refused, even where the bytes are there | refused |
//! | a count | compared with its maximum and with the bytes that are left, before anything is reserved | |
//! | `char`, `unsigned char`, `short`, `unsigned short` | a whole word, of which the low bits are kept | sign-extended (`char`, `short`) or zero-extended |
//! | `bool` | does not occur: libvirt's booleans are `int`, and 2 stays 2 | |
//! | an enum's value | any, known or not, survives | the same |
//! | a union's discriminant | one that is not known is refused: its length cannot be known | |
//! | a NUL or bytes that are not UTF-8 inside a string | survive | the same |
//! | NaN, infinities, −0.0 | survive bit for bit | the same |
//! | bytes behind a payload | ignored, as libvirt does; [`Reader::remaining`] tells | none |

mod fixed;
mod reader;
mod text;
mod writer;

pub use fixed::Fixed;
pub use reader::{DecodeError, DecodeErrorKind, DecodeFailure, Reader};
pub use text::Text;
pub use writer::{EncodeError, EncodeFailure, Writer};

use alloc::boxed::Box;
use bytes::Bytes;
use uuid::Uuid;

/// A type with an XDR form.
///
/// Strings, opaque data and arrays carry a maximum that belongs to the place where they stand rather than to
/// their type, so they are read and written by the methods of [`Reader`] and [`Writer`] that take it.
// Values are decoded in place: an element of a reply's long array is written where it stays, rather than put
// together on the stack, field by field, and then moved, which stalls on every one.
pub trait Xdr: Default {
    /// The fewest bytes that a value takes on the wire. What bounds how many elements a count may announce.
    const MIN_LEN: usize;

    /// Appends the value.
    ///
    /// # Errors
    /// [`EncodeError`] where a string, opaque or array is longer than its maximum in libvirt's definitions.
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Takes one value from the front of what is left, in place of this one.
    ///
    /// # Errors
    /// [`DecodeError`] where bytes are missing, a maximum is passed or a union's discriminant is not known. Which
    /// parts of this value are replaced then is not defined.
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError>;

    /// Takes one value from the front of what is left.
    ///
    /// # Errors
    /// As [`Xdr::decode_into`].
    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut value = Self::default();
        value.decode_into(reader)?;
        Ok(value)
    }
}

macro_rules! words {
    ($($ty:ty, $len:literal, $read:ident, $write:ident;)*) => {$(
        impl Xdr for $ty {
            const MIN_LEN: usize = $len;
            #[inline]
            fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
                writer.$write(*self);
                Ok(())
            }
            #[inline]
            fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
                *self = reader.$read()?;
                Ok(())
            }
        }
    )*};
}

words! {
    i32, 4, int, put_int;
    u32, 4, uint, put_uint;
    i64, 8, hyper, put_hyper;
    u64, 8, uhyper, put_uhyper;
    i16, 4, short, put_short;
    u16, 4, ushort, put_ushort;
    i8, 4, char, put_char;
    u8, 4, uchar, put_uchar;
    f64, 8, double, put_double;
}

impl Xdr for () {
    const MIN_LEN: usize = 0;
    fn encode(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {
        Ok(())
    }
    fn decode_into(&mut self, _: &mut Reader<'_>) -> Result<(), DecodeError> {
        Ok(())
    }
}

impl Xdr for Uuid {
    const MIN_LEN: usize = 16;
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_fixed(*self);
        Ok(())
    }
    #[inline]
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = Uuid::from_bytes(*reader.fixed_opaque()?);
        Ok(())
    }
}

/// XDR's optional data: a discriminant word, then the value where it is not 0.
impl<T: Xdr> Xdr for Option<T> {
    const MIN_LEN: usize = 4;
    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_uint(self.is_some().into());
        self.as_ref().map_or(Ok(()), |value| value.encode(writer))
    }
    #[inline]
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        *self = None;
        if reader.uint()? == 0 { Ok(()) } else { self.insert(T::default()).decode_into(reader) }
    }
}

impl<T: Xdr> Xdr for Box<T> {
    const MIN_LEN: usize = T::MIN_LEN;
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        T::encode(self, writer)
    }
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        T::decode_into(self, reader)
    }
}

/// The bytes of one value.
///
/// # Errors
/// As [`Xdr::encode`].
///
/// # Examples
/// ```
/// let bytes = virtwire_proto::xdr::to_bytes(&Some(7_i32))?;
/// assert_eq!(&bytes[..], [0, 0, 0, 1, 0, 0, 0, 7]);
/// # Ok::<(), virtwire_proto::xdr::EncodeError>(())
/// ```
pub fn to_bytes<T: Xdr>(value: &T) -> Result<Bytes, EncodeError> {
    let mut buffer = bytes::BytesMut::new();
    value.encode(&mut Writer::new(&mut buffer))?;
    Ok(buffer.freeze())
}

/// The value that stands at the front of `bytes`; what is behind it is ignored, as libvirt does.
///
/// # Errors
/// As [`Xdr::decode`].
pub fn from_bytes<T: Xdr>(bytes: Bytes) -> Result<T, DecodeError> {
    T::decode(&mut Reader::new(&bytes))
}
