//! Fields by name, in any list of typed parameters.

use super::{FromTypedValue, TypedParam, TypedParamError, TypedParamType, TypedValue};
use alloc::string::ToString;
use alloc::vec::Vec;

/// Finds and checks the fields of a list by name: of a [`TypedParams`](super::TypedParams), and of the
/// `Vec<TypedParam>` that a reply or an event holds.
///
/// A list has the order in which its fields came, and looking for one goes through it from the front.
pub trait TypedParamsExt {
    /// The value of the first field of this name.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedParamsExt, TypedValue};
    /// let reply = [TypedParam::new("state.state", 1), TypedParam::new("vcpu.current", 2_u32)];
    /// assert_eq!(reply.get_value("vcpu.current"), Some(&TypedValue::Uint(2)));
    /// assert_eq!(reply.get_value("vcpu.maximum"), None);
    /// ```
    #[doc(alias = "virTypedParamsGet")]
    fn get_value(&self, field: &str) -> Option<&TypedValue>;

    /// The value of the first field of this name, as a Rust type; `None` where there is no such field.
    ///
    /// # Errors
    /// The field is of another type: `i32` is int and nothing else, `u64` is ullong and nothing else. Or it is a
    /// string that was asked for as `&str` and is not UTF-8.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedParamsExt};
    /// let reply = vec![TypedParam::new("cpu_shares", 1024_u64), TypedParam::new("name", "demo")];
    /// let shares: Option<u64> = reply.get_as("cpu_shares")?;
    /// assert_eq!(shares, Some(1024));
    /// assert_eq!(reply.get_as::<&str>("name")?, Some("demo"));
    /// assert!(reply.get_as::<i32>("cpu_shares").is_err());
    /// # Ok::<(), virtwire_proto::typed_params::TypedParamError>(())
    /// ```
    #[doc(alias(
        "virTypedParamsGetInt",
        "virTypedParamsGetUInt",
        "virTypedParamsGetLLong",
        "virTypedParamsGetULLong",
        "virTypedParamsGetDouble",
        "virTypedParamsGetBoolean",
        "virTypedParamsGetString"
    ))]
    fn get_as<'a, T: FromTypedValue<'a>>(&'a self, field: &str) -> Result<Option<T>, TypedParamError>;

    /// The values of all fields of this name, in order.
    fn get_all(&self, field: &str) -> impl Iterator<Item = &TypedValue>;

    /// The values of all fields of this name, in order, as a Rust type.
    ///
    /// # Errors
    /// As [`TypedParamsExt::get_as`], about the first value that is not of this type.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedParamsExt};
    /// let params = ["vda", "vdb"].map(|disk| TypedParam::new("migrate_disks", disk));
    /// assert_eq!(params.get_all_as::<&str>("migrate_disks")?, ["vda", "vdb"]);
    /// # Ok::<(), virtwire_proto::typed_params::TypedParamError>(())
    /// ```
    fn get_all_as<'a, T: FromTypedValue<'a>>(&'a self, field: &str) -> Result<Vec<T>, TypedParamError>;

    /// Checks that every field has one of these names.
    ///
    /// # Errors
    /// [`TypedParamError::Unexpected`] names the first field that has another.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedParamsExt};
    /// let params = [TypedParam::new("cpu_shares", 1024_u64), TypedParam::new("colour", "red")];
    /// let error = params.check_only(&["cpu_shares", "vcpu_quota"]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the field \"colour\" is not supported here, expected cpu_shares, vcpu_quota"
    /// );
    /// ```
    fn check_only(&self, known: &[&str]) -> Result<(), TypedParamError>;

    /// Checks that every field has one of these names, the type that belongs to it, and comes once: what a
    /// server asks of the parameters of a call.
    ///
    /// # Errors
    /// Says which field is unexpected, of a wrong type, or repeated: the first of them in the list.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::typed_params::{TypedParam, TypedParamType, TypedParamsExt};
    /// let known = [("cpu_shares", TypedParamType::Ullong), ("vcpu_quota", TypedParamType::Llong)];
    /// assert!([TypedParam::new("cpu_shares", 1024_u64)].validate(&known).is_ok());
    /// assert!([TypedParam::new("cpu_shares", 1024_u32)].validate(&known).is_err());
    /// ```
    #[doc(alias = "virTypedParamsValidate")]
    fn validate(&self, known: &[(&str, TypedParamType)]) -> Result<(), TypedParamError>;
}

impl TypedParamsExt for [TypedParam] {
    fn get_value(&self, field: &str) -> Option<&TypedValue> {
        find(self, field).map(|param| &param.value)
    }

    fn get_as<'a, T: FromTypedValue<'a>>(&'a self, field: &str) -> Result<Option<T>, TypedParamError> {
        find(self, field).map(read_as).transpose()
    }

    fn get_all(&self, field: &str) -> impl Iterator<Item = &TypedValue> {
        find_all(self, field).map(|param| &param.value)
    }

    fn get_all_as<'a, T: FromTypedValue<'a>>(&'a self, field: &str) -> Result<Vec<T>, TypedParamError> {
        find_all(self, field).map(read_as).collect()
    }

    fn check_only(&self, known: &[&str]) -> Result<(), TypedParamError> {
        match self.iter().find(|param| !known.iter().any(|name| param.field == *name)) {
            None => Ok(()),
            Some(param) => Err(unexpected(param, known.iter())),
        }
    }

    fn validate(&self, known: &[(&str, TypedParamType)]) -> Result<(), TypedParamError> {
        let mut seen = alloc::vec![false; known.len()];
        for param in self {
            let Some(index) = known.iter().position(|(name, _)| param.field == *name) else {
                return Err(unexpected(param, known.iter().map(|(name, _)| name)));
            };
            if param.value.kind() != known[index].1 {
                return Err(wrong_type(param, known[index].1));
            }
            if core::mem::replace(&mut seen[index], true) {
                return Err(TypedParamError::Repeated { field: param.field.clone() });
            }
        }
        Ok(())
    }
}

fn find<'a>(params: &'a [TypedParam], field: &str) -> Option<&'a TypedParam> {
    params.iter().find(|param| param.field == *field)
}

fn find_all<'a>(params: &'a [TypedParam], field: &str) -> impl Iterator<Item = &'a TypedParam> {
    params.iter().filter(move |param| param.field == *field)
}

fn read_as<'a, T: FromTypedValue<'a>>(param: &'a TypedParam) -> Result<T, TypedParamError> {
    match T::from_typed_value(&param.value) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(wrong_type(param, T::TYPE)),
        Err(error) => Err(TypedParamError::NotUtf8 { field: param.field.clone(), error }),
    }
}

#[cold]
fn wrong_type(param: &TypedParam, expected: TypedParamType) -> TypedParamError {
    TypedParamError::WrongType { field: param.field.clone(), expected, found: param.value.kind() }
}

#[cold]
fn unexpected<'a>(param: &TypedParam, known: impl Iterator<Item = &'a &'a str>) -> TypedParamError {
    let expected = known.map(ToString::to_string).collect();
    TypedParamError::Unexpected { field: param.field.clone(), expected }
}
