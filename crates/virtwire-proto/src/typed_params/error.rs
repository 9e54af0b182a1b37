//! What is wrong with the fields of a list.

use super::TypedParamType;
use crate::xdr::Text;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::Utf8Error;

/// Why a list of typed parameters is not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedParamError {
    /// A field is there and has another type.
    #[error("the field {field:?} is of type {found}, expected {expected}")]
    WrongType {
        /// The field's name.
        field: Text,
        /// The type that was asked for.
        expected: TypedParamType,
        /// The type that it has.
        found: TypedParamType,
    },
    /// A string was asked for as UTF-8 and is not; as a [`Text`] it can be had.
    #[error("the field {field:?} is a string that is not UTF-8: {error}")]
    NotUtf8 {
        /// The field's name.
        field: Text,
        /// Where in the string.
        error: Utf8Error,
    },
    /// A field is there that nobody asked for.
    #[error("the field {field:?} is not supported here, expected {}", Expected(expected))]
    Unexpected {
        /// The field's name.
        field: Text,
        /// The names of the fields that would do.
        expected: Vec<String>,
    },
    /// A field is there twice where once is allowed.
    #[error("the field {field:?} is there more than once")]
    Repeated {
        /// The field's name.
        field: Text,
    },
}

/// "no field", or the names with commas between them.
struct Expected<'a>(&'a [String]);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, others @ ..] = self.0 else { return f.write_str("no field") };
        f.write_str(first)?;
        others.iter().try_for_each(|name| write!(f, ", {name}"))
    }
}
