//! From JSON to a payload.

use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};
use virtwire_proto::program::{Struct, Type};
use virtwire_proto::typed_params::{TypedParam, TypedParamType, TypedValue};
use virtwire_proto::xdr::{EncodeError, Text, Writer, Xdr};

use super::hex::unwrapped;
use super::minimal::minimal_value;
use super::path::JsonError;
use super::to_json::unknown_type;

/// What to do about a field that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Refuse,
    /// It is zero, empty or absent, as in [`minimal`](super::minimal()).
    Fill,
}

/// The payload of the struct `shape` that `value` describes.
///
/// # Errors
/// A field is unknown, of another type, over its maximum in libvirt's definitions, or missing: the error says
/// which.
pub fn from_json(shape: &Struct, value: &Value, missing: Missing) -> Result<Bytes, JsonError> {
    let mut buffer = BytesMut::new();
    Payload { writer: Writer::new(&mut buffer), missing }.structure(shape, value)?;
    Ok(buffer.freeze())
}

struct Payload<'a> {
    writer: Writer<'a>,
    missing: Missing,
}

impl Payload<'_> {
    fn structure(&mut self, shape: &Struct, value: &Value) -> Result<(), JsonError> {
        let Value::Object(map) = value else { return Err(JsonError::expected("an object", value)) };
        let known = |name: &str| shape.fields.iter().any(|field| field.name == name);
        if let Some(name) = map.keys().find(|name| !known(name)) {
            let problem = match shape.fields {
                [] => "unknown field, there is none".to_owned(),
                fields => {
                    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                    format!("unknown field, expected {}", names.join(", "))
                }
            };
            return Err(JsonError::new(problem).within(name.clone()));
        }
        for field in shape.fields {
            let written = match (map.get(field.name), self.missing) {
                (Some(value), _) => self.value(&field.ty, value),
                (None, Missing::Fill) => self.value(&field.ty, &minimal_value(&field.ty)),
                (None, Missing::Refuse) => Err(JsonError::new("missing")),
            };
            written.map_err(|error| error.within(field.name))?;
        }
        Ok(())
    }

    fn value(&mut self, ty: &Type, value: &Value) -> Result<(), JsonError> {
        match *ty {
            Type::Int => self.writer.put_int(integer(value)?),
            Type::Uint => self.writer.put_uint(integer(value)?),
            Type::Hyper => self.writer.put_hyper(integer(value)?),
            Type::Uhyper => self.writer.put_uhyper(integer(value)?),
            Type::Short => self.writer.put_short(integer(value)?),
            Type::Ushort => self.writer.put_ushort(integer(value)?),
            Type::Char => self.writer.put_char(integer(value)?),
            Type::Uchar => self.writer.put_uchar(integer(value)?),
            Type::Double => self.writer.put_double(double(value)?),
            Type::Uuid => uuid(value)?.encode(&mut self.writer).map_err(refused)?,
            Type::String(max) => self.writer.put_string(&text(value)?, max).map_err(refused)?,
            Type::Opaque(max) => self.writer.put_opaque(&hex(value)?, max).map_err(refused)?,
            Type::Chars(max) => self.writer.put_chars(&hex(value)?, max).map_err(refused)?,
            Type::FixedChars(length) => {
                let chars = hex(value)?;
                if chars.len() != length as usize {
                    return Err(JsonError::new(format!("expected {length} bytes, got {}", chars.len())));
                }
                self.writer.put_fixed_chars(&chars);
            }
            Type::TypedParam(_) => typed_param(value)?.encode(&mut self.writer).map_err(refused)?,
            Type::Struct(shape) => self.structure(shape, value)?,
            Type::Optional(ty) => {
                self.writer.put_uint((!value.is_null()).into());
                if !value.is_null() {
                    self.value(ty, value)?;
                }
            }
            Type::Array(ty, max) => {
                let elements = array(value)?;
                match u32::try_from(elements.len()) {
                    Ok(count) if count <= max => self.writer.put_uint(count),
                    _ => {
                        let count = elements.len();
                        return Err(JsonError::new(format!("{count} elements exceed the maximum of {max}")));
                    }
                }
                self.elements(ty, elements)?;
            }
            Type::FixedArray(ty, count) => {
                let elements = array(value)?;
                if elements.len() != count as usize {
                    let problem = format!("expected {count} elements, got {}", elements.len());
                    return Err(JsonError::new(problem));
                }
                self.elements(ty, elements)?;
            }
            _ => return Err(unknown_type(ty)),
        }
        Ok(())
    }

    fn elements(&mut self, ty: &Type, elements: &[Value]) -> Result<(), JsonError> {
        let mut elements = elements.iter().enumerate();
        elements.try_for_each(|(index, element)| self.value(ty, element).map_err(|error| error.at(index)))
    }
}

fn typed_param(value: &Value) -> Result<TypedParam, JsonError> {
    const WHOLE: &str = r#"{"field": …, "value": {"type": …, "value": …}}"#;
    const VALUE: &str = r#"{"type": …, "value": …}"#;
    let [field, typed] = pair(value, ["field", "value"], WHOLE)?;
    let field = text(field).map_err(|error| error.within("field"))?;
    let value = typed_value(typed, VALUE).map_err(|error| error.within("value"))?;
    Ok(TypedParam { field, value })
}

fn typed_value(typed: &Value, form: &str) -> Result<TypedValue, JsonError> {
    let [ty, value] = pair(typed, ["type", "value"], form)?;
    let ty = ty.as_str().and_then(|name| name.parse().ok()).ok_or_else(|| {
        let names = TypedParamType::ALL.map(TypedParamType::as_str).join(", ");
        JsonError::expected(format_args!("one of {names}"), ty).within("type")
    })?;
    let typed = match ty {
        TypedParamType::Int => integer(value).map(TypedValue::Int),
        TypedParamType::Uint => integer(value).map(TypedValue::Uint),
        TypedParamType::Llong => integer(value).map(TypedValue::Llong),
        TypedParamType::Ullong => integer(value).map(TypedValue::Ullong),
        TypedParamType::Double => double(value).map(TypedValue::Double),
        TypedParamType::Boolean => integer(value).map(TypedValue::Boolean),
        TypedParamType::String => text(value).map(TypedValue::String),
    };
    typed.map_err(|error| error.within("value"))
}

/// The values of an object that has exactly these two keys.
fn pair<'a>(value: &'a Value, keys: [&str; 2], form: &str) -> Result<[&'a Value; 2], JsonError> {
    let values = |map: &'a Map<String, Value>| Some([map.get(keys[0])?, map.get(keys[1])?]);
    let map = value.as_object().filter(|map| map.len() == 2);
    map.and_then(values).ok_or_else(|| JsonError::expected(form, value))
}

/// A whole number that the type `T` holds.
pub(super) fn integer<T: TryFrom<i128>>(value: &Value) -> Result<T, JsonError> {
    let number = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    match number.map(T::try_from) {
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => {
            let bits = 8 * size_of::<T>();
            let sign = if T::try_from(-1).is_ok() { "a signed" } else { "an unsigned" };
            Err(JsonError::expected(format_args!("{sign} number of {bits} bits"), value))
        }
        None => Err(JsonError::expected("a whole number", value)),
    }
}

fn double(value: &Value) -> Result<f64, JsonError> {
    if let Some(number) = value.as_f64() {
        return Ok(number);
    }
    const EXPECTED: &str = r#"a number, or {"hex": …} of 8 bytes"#;
    let bytes = unwrapped(value).ok_or_else(|| JsonError::expected(EXPECTED, value))?;
    let bytes = bytes.map_err(JsonError::new)?;
    bytes.try_into().map(f64::from_be_bytes).map_err(|_| JsonError::expected(EXPECTED, value))
}

fn uuid(value: &Value) -> Result<uuid::Uuid, JsonError> {
    let uuid = value.as_str().and_then(|text| uuid::Uuid::try_parse(text).ok());
    uuid.ok_or_else(|| JsonError::expected("a UUID", value))
}

fn text(value: &Value) -> Result<Text, JsonError> {
    match value {
        Value::String(text) => Ok(text.into()),
        _ => match unwrapped(value) {
            Some(bytes) => bytes.map(Text::from).map_err(JsonError::new),
            None => Err(JsonError::expected("a string", value)),
        },
    }
}

fn hex(value: &Value) -> Result<Vec<u8>, JsonError> {
    let bytes = unwrapped(value).ok_or_else(|| JsonError::expected(r#"{"hex": …}"#, value))?;
    bytes.map_err(JsonError::new)
}

fn array(value: &Value) -> Result<&[Value], JsonError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| JsonError::expected("an array", value))
}

fn refused(error: EncodeError) -> JsonError {
    JsonError::new(error.to_string())
}
