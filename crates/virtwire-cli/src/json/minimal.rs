//! The least value of a type.

use serde_json::{Map, Value, json};
use virtwire_proto::program::{Struct, Type};

use super::hex::wrapped;

/// The value of the struct `shape` in which every number is 0, every string and array empty, every UUID all
/// zeros, and every optional value absent.
///
/// # Examples
/// ```
/// use virtwire_proto::program::remote;
/// let get_info = remote::PROGRAM.procedure_named("domain_get_info").expect("it exists");
/// assert_eq!(
///     virtwire_cli::json::minimal(get_info.args).to_string(),
///     r#"{"dom":{"name":"","uuid":"00000000-0000-0000-0000-000000000000","id":0}}"#,
/// );
/// ```
#[must_use]
pub fn minimal(shape: &Struct) -> Value {
    let fields = shape.fields.iter().map(|field| (field.name.to_owned(), minimal_value(&field.ty)));
    Value::Object(fields.collect::<Map<_, _>>())
}

pub(super) fn minimal_value(ty: &Type) -> Value {
    match *ty {
        Type::Double => 0.0.into(),
        Type::Uuid => uuid::Uuid::nil().to_string().into(),
        Type::String(_) => "".into(),
        Type::Opaque(_) | Type::Chars(_) => wrapped(&[]),
        Type::FixedChars(length) => wrapped(&vec![0; length as usize]),
        Type::TypedParam(_) => json!({ "field": "", "value": { "type": "int", "value": 0 } }),
        Type::Struct(shape) => minimal(shape),
        Type::Optional(_) => Value::Null,
        Type::Array(..) => Value::Array(Vec::new()),
        Type::FixedArray(ty, count) => (0..count).map(|_| minimal_value(ty)).collect(),
        _ => 0.into(),
    }
}
