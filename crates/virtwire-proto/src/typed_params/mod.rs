//! Typed parameters: named values, each of one of seven types, as tunables and statistics travel.
//!
//! [`TypedParam`] is one of them, as the wire has it. [`TypedParams`] is a set to build and change.
//! [`TypedParamsExt`] finds and checks fields by name, in a set as well as in the `Vec<TypedParam>` of a reply
//! or an event.
//!
//! # Examples
//! A set built and read:
//! ```
//! use virtwire_proto::typed_params::{TypedParams, TypedParamsExt};
//!
//! let params = TypedParams::new().with("cpu_shares", 1024_u64).with("vcpu_quota", -1_i64);
//! assert_eq!(params.get_as::<u64>("cpu_shares"), Ok(Some(1024)));
//! assert_eq!(params.get_as::<u64>("global_period"), Ok(None));
//! let error = params.get_as::<u64>("vcpu_quota").unwrap_err();
//! assert_eq!(error.to_string(), "the field \"vcpu_quota\" is of type llong, expected ullong");
//! ```

mod error;
mod set;
mod slice;
mod value;

#[cfg(test)]
mod tests;

pub use error::TypedParamError;
pub use set::TypedParams;
pub use slice::TypedParamsExt;
pub use value::{FromTypedValue, TypedParamType, TypedValue, UnknownTypedParamType};

use crate::xdr::{DecodeError, EncodeError, Reader, Text, Writer, Xdr};
use core::fmt;

/// The most bytes that the name of a field has in any libvirt API.
///
/// The wire allows 4 194 304, and so do the codecs here. libvirt's own peers refuse a message in which a name is
/// longer than this.
#[doc(alias = "VIR_TYPED_PARAM_FIELD_LENGTH")]
pub const FIELD_LENGTH_MAX: usize = 79;

/// A name and its value: libvirt's `virTypedParameter`, and `remote_typed_param` and `admin_typed_param` on the
/// wire, which have one form.
#[doc(alias("virTypedParameter", "remote_typed_param", "admin_typed_param"))]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TypedParam {
    /// The name. In one list it may stand more than once, where the API in question says so.
    pub field: Text,
    /// The value.
    pub value: TypedValue,
}

impl TypedParam {
    /// A parameter of this name and value; the value's Rust type says which of libvirt's it gets.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedValue};
    /// let param = TypedParam::new("cpu_shares", 1024_u64);
    /// assert_eq!(param.value, TypedValue::Ullong(1024));
    /// assert_eq!(param.to_string(), "cpu_shares=1024");
    /// ```
    pub fn new(field: impl Into<Text>, value: impl Into<TypedValue>) -> Self {
        Self { field: field.into(), value: value.into() }
    }
}

impl<F: Into<Text>, V: Into<TypedValue>> From<(F, V)> for TypedParam {
    fn from((field, value): (F, V)) -> Self {
        Self::new(field, value)
    }
}

impl fmt::Display for TypedParam {
    /// `field=value`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.field, self.value)
    }
}

impl Xdr for TypedParam {
    const MIN_LEN: usize = 12;

    #[inline(always)]
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        // As the field and then the value, but in one go: there are tens of thousands in a reply of statistics.
        let (field, kind) = (&self.field, self.value.kind() as i32);
        match self.value {
            TypedValue::Int(value) | TypedValue::Boolean(value) => {
                writer.put_string_and(field, STRING_MAX, (kind, value))
            }
            TypedValue::Uint(value) => writer.put_string_and(field, STRING_MAX, (kind, value)),
            TypedValue::Llong(value) => writer.put_string_and(field, STRING_MAX, (kind, value)),
            TypedValue::Ullong(value) => writer.put_string_and(field, STRING_MAX, (kind, value)),
            TypedValue::Double(value) => writer.put_string_and(field, STRING_MAX, (kind, value)),
            TypedValue::String(ref value) => {
                writer.put_string_and(field, STRING_MAX, kind)?;
                writer.put_string(value, STRING_MAX)
            }
        }
    }

    #[inline(always)]
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        reader.string_into(&mut self.field, STRING_MAX)?;
        self.value.decode_into(reader)
    }
}

/// REMOTE_STRING_MAX and ADMIN_STRING_MAX of libvirt's definitions.
const STRING_MAX: u32 = 4_194_304;
