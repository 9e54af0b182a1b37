//! A list of typed parameters that is built and changed by name.

use super::{TypedParam, TypedValue};
use crate::xdr::Text;
use alloc::vec::{self, Vec};
use core::ops::{Deref, DerefMut};

/// A list of typed parameters to build and to change by name.
///
/// It derefs to a slice, so that all of a slice's methods and those of
/// [`TypedParamsExt`](super::TypedParamsExt) work on it, and turns into the `Vec<TypedParam>` that calls take. A list of
/// pairs is one, too: `[("cpu_shares", 1024_u64)]`.
///
/// # Examples
/// ```
/// use virtwire_proto::typed_params::{TypedParam, TypedParams};
/// let mut params = TypedParams::new().with("bandwidth", 100_u64).with("bandwidth", 200_u64);
/// assert_eq!(params.len(), 1);
/// params.push("migrate_disks", "vda");
/// params.push("migrate_disks", "vdb");
/// let on_the_wire: Vec<TypedParam> = params.into();
/// assert_eq!(on_the_wire.len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TypedParams(Vec<TypedParam>);

impl TypedParams {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The list with the field [set](Self::set).
    #[must_use]
    pub fn with(mut self, field: impl Into<Text>, value: impl Into<TypedValue>) -> Self {
        self.set(field, value);
        self
    }

    /// Sets the first field of this name to the value, even where it had one of another type, or appends the
    /// field where there is none. Gives the value that was there.
    pub fn set(&mut self, field: impl Into<Text>, value: impl Into<TypedValue>) -> Option<TypedValue> {
        let param = TypedParam::new(field, value);
        match self.0.iter_mut().find(|old| old.field == param.field) {
            Some(old) => Some(core::mem::replace(&mut old.value, param.value)),
            None => {
                self.0.push(param);
                None
            }
        }
    }

    /// Appends a field, even where there is one of this name: some APIs take a field several times.
    #[doc(alias(
        "virTypedParamsAddInt",
        "virTypedParamsAddUInt",
        "virTypedParamsAddLLong",
        "virTypedParamsAddULLong",
        "virTypedParamsAddDouble",
        "virTypedParamsAddBoolean",
        "virTypedParamsAddString",
        "virTypedParamsAddStringList"
    ))]
    pub fn push(&mut self, field: impl Into<Text>, value: impl Into<TypedValue>) {
        self.0.push(TypedParam::new(field, value));
    }

    /// Takes all fields of this name out, and says how many they were.
    pub fn remove(&mut self, field: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|param| param.field != *field);
        before - self.0.len()
    }
}

impl Deref for TypedParams {
    type Target = [TypedParam];

    fn deref(&self) -> &[TypedParam] {
        &self.0
    }
}

impl DerefMut for TypedParams {
    fn deref_mut(&mut self) -> &mut [TypedParam] {
        &mut self.0
    }
}

impl From<Vec<TypedParam>> for TypedParams {
    fn from(params: Vec<TypedParam>) -> Self {
        Self(params)
    }
}

/// The items in their order; names may repeat.
impl<P: Into<TypedParam>, const N: usize> From<[P; N]> for TypedParams {
    fn from(params: [P; N]) -> Self {
        params.into_iter().collect()
    }
}

impl From<TypedParams> for Vec<TypedParam> {
    fn from(params: TypedParams) -> Self {
        params.0
    }
}

/// The items in their order; names may repeat.
impl<P: Into<TypedParam>> FromIterator<P> for TypedParams {
    fn from_iter<I: IntoIterator<Item = P>>(params: I) -> Self {
        Self(params.into_iter().map(Into::into).collect())
    }
}

/// Appends the items in their order; names may repeat.
impl<P: Into<TypedParam>> Extend<P> for TypedParams {
    fn extend<I: IntoIterator<Item = P>>(&mut self, params: I) {
        self.0.extend(params.into_iter().map(Into::into));
    }
}

impl IntoIterator for TypedParams {
    type Item = TypedParam;
    type IntoIter = vec::IntoIter<TypedParam>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a TypedParams {
    type Item = &'a TypedParam;
    type IntoIter = core::slice::Iter<'a, TypedParam>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
