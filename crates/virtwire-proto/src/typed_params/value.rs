//! One value, its type, and the Rust types that it turns into and is made from.

use super::STRING_MAX;
use crate::xdr::{DecodeError, DecodeErrorKind, EncodeError, Reader, Text, Writer, Xdr};
use alloc::string::String;
use core::fmt;
use core::str::{FromStr, Utf8Error};

/// A value of one of the seven types.
///
/// `i32`, `u32`, `i64`, `u64`, `f64`, `bool` and strings turn into it with [`From`].
/// Formatting with `{}` shows a value as virsh does, save that a double has as many digits as it needs: numbers
/// in decimal, a boolean as yes or no, a string as it is.
#[doc(alias("virTypedParameterValue", "remote_typed_param_value", "admin_typed_param_value"))]
#[derive(Debug, Clone, PartialEq)]
pub enum TypedValue {
    /// A C `int`.
    Int(i32),
    /// An `unsigned int`.
    Uint(u32),
    /// A `long long int`.
    Llong(i64),
    /// An `unsigned long long int`.
    Ullong(u64),
    /// A `double`.
    Double(f64),
    /// A truth value. It travels as an `int` and keeps its number; any but 0 means true.
    Boolean(i32),
    /// A string.
    String(Text),
}

/// The type of a value, with its number on the wire.
#[doc(alias = "virTypedParameterType")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum TypedParamType {
    /// A C `int`.
    #[doc(alias = "VIR_TYPED_PARAM_INT")]
    Int = 1,
    /// An `unsigned int`.
    #[doc(alias = "VIR_TYPED_PARAM_UINT")]
    Uint = 2,
    /// A `long long int`.
    #[doc(alias = "VIR_TYPED_PARAM_LLONG")]
    Llong = 3,
    /// An `unsigned long long int`.
    #[doc(alias = "VIR_TYPED_PARAM_ULLONG")]
    Ullong = 4,
    /// A `double`.
    #[doc(alias = "VIR_TYPED_PARAM_DOUBLE")]
    Double = 5,
    /// A truth value.
    #[doc(alias = "VIR_TYPED_PARAM_BOOLEAN")]
    Boolean = 6,
    /// A string.
    #[doc(alias = "VIR_TYPED_PARAM_STRING")]
    String = 7,
}

/// A Rust type that a value of exactly one libvirt type can be read as.
///
/// `i32`, `u32`, `i64`, `u64` and `f64` are int, uint, llong, ullong and double; `bool` is boolean; `&str`,
/// [`&Text`](Text) and [`Text`] are string. Nothing is converted: an int is not read as a `i64`, as libvirt's own
/// getters do not either.
pub trait FromTypedValue<'a>: Sized {
    /// The type that a value must have.
    const TYPE: TypedParamType;

    /// The value, or `None` where it is of another type.
    ///
    /// # Errors
    /// The value is of the right type but not in this Rust type's range: bytes that are not UTF-8, as `&str`.
    fn from_typed_value(value: &'a TypedValue) -> Result<Option<Self>, Utf8Error>;
}

/// A name that is none of a typed parameter's types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no type of a typed parameter, expected int, uint, llong, ullong, double, boolean or string"
)]
pub struct UnknownTypedParamType {
    /// The name that came.
    pub name: String,
}

impl TypedValue {
    /// The type of the value.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> TypedParamType {
        match self {
            Self::Int(_) => TypedParamType::Int,
            Self::Uint(_) => TypedParamType::Uint,
            Self::Llong(_) => TypedParamType::Llong,
            Self::Ullong(_) => TypedParamType::Ullong,
            Self::Double(_) => TypedParamType::Double,
            Self::Boolean(_) => TypedParamType::Boolean,
            Self::String(_) => TypedParamType::String,
        }
    }
}

impl fmt::Display for TypedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Uint(value) => value.fmt(f),
            Self::Llong(value) => value.fmt(f),
            Self::Ullong(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Boolean(value) => f.pad(if *value == 0 { "no" } else { "yes" }),
            Self::String(value) => value.fmt(f),
        }
    }
}

impl Xdr for TypedValue {
    const MIN_LEN: usize = 8;

    #[inline]
    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        let kind = self.kind() as i32;
        match *self {
            Self::Int(value) | Self::Boolean(value) => writer.put_fixed((kind, value)),
            Self::Uint(value) => writer.put_fixed((kind, value)),
            Self::Llong(value) => writer.put_fixed((kind, value)),
            Self::Ullong(value) => writer.put_fixed((kind, value)),
            Self::Double(value) => writer.put_fixed((kind, value)),
            Self::String(ref value) => {
                writer.put_fixed(kind);
                return writer.put_string(value, STRING_MAX);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match reader.int()? {
            1 => *self = Self::Int(reader.int()?),
            2 => *self = Self::Uint(reader.uint()?),
            3 => *self = Self::Llong(reader.hyper()?),
            4 => *self = Self::Ullong(reader.uhyper()?),
            5 => *self = Self::Double(reader.double()?),
            6 => *self = Self::Boolean(reader.int()?),
            7 => *self = Self::String(reader.string(STRING_MAX)?),
            value => {
                let union = "remote_typed_param_value";
                return Err(reader.error(4, DecodeErrorKind::UnknownDiscriminant { union, value }));
            }
        }
        Ok(())
    }
}

impl Default for TypedValue {
    /// The `int` 0.
    #[inline]
    fn default() -> Self {
        Self::Int(0)
    }
}

impl TypedParamType {
    /// All types, by their numbers.
    pub const ALL: [Self; 7] =
        [Self::Int, Self::Uint, Self::Llong, Self::Ullong, Self::Double, Self::Boolean, Self::String];

    /// The type's name: the last word of its C name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Llong => "llong",
            Self::Ullong => "ullong",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::String => "string",
        }
    }
}

impl fmt::Display for TypedParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TypedParamType {
    type Err = UnknownTypedParamType;

    /// The type of this [name](TypedParamType::as_str).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| UnknownTypedParamType { name: name.into() })
    }
}

macro_rules! conversions {
    ($($variant:ident($ty:ty);)*) => {$(
        impl From<$ty> for TypedValue {
            fn from(value: $ty) -> Self {
                Self::$variant(value)
            }
        }

        impl<'a> FromTypedValue<'a> for $ty {
            const TYPE: TypedParamType = TypedParamType::$variant;

            #[inline]
            fn from_typed_value(value: &'a TypedValue) -> Result<Option<Self>, Utf8Error> {
                Ok(if let TypedValue::$variant(value) = value { Some(value.clone()) } else { None })
            }
        }
    )*};
}

conversions! {
    Int(i32);
    Uint(u32);
    Llong(i64);
    Ullong(u64);
    Double(f64);
    String(Text);
}

impl From<bool> for TypedValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value.into())
    }
}

impl From<&str> for TypedValue {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for TypedValue {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl<'a> FromTypedValue<'a> for bool {
    const TYPE: TypedParamType = TypedParamType::Boolean;

    fn from_typed_value(value: &'a TypedValue) -> Result<Option<Self>, Utf8Error> {
        Ok(if let TypedValue::Boolean(value) = value { Some(*value != 0) } else { None })
    }
}

impl<'a> FromTypedValue<'a> for &'a Text {
    const TYPE: TypedParamType = TypedParamType::String;

    fn from_typed_value(value: &'a TypedValue) -> Result<Option<Self>, Utf8Error> {
        Ok(if let TypedValue::String(value) = value { Some(value) } else { None })
    }
}

impl<'a> FromTypedValue<'a> for &'a str {
    const TYPE: TypedParamType = TypedParamType::String;

    fn from_typed_value(value: &'a TypedValue) -> Result<Option<Self>, Utf8Error> {
        if let TypedValue::String(value) = value { value.to_str().map(Some) } else { Ok(None) }
    }
}
