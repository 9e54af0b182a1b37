//! From a payload to JSON.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use virtwire_proto::program::{Struct, Type};
use virtwire_proto::typed_params::{TypedParam, TypedValue};
use virtwire_proto::xdr::{DecodeErrorKind, Reader, Text, Xdr};

use super::hex::wrapped;
use super::path::JsonError;

/// The value of the struct `shape` that stands at the front of `payload`; what is behind it is ignored.
///
/// # Errors
/// The payload is none of that struct's: the error says which field, and where.
pub fn to_json(shape: &Struct, payload: &Bytes) -> Result<Value, JsonError> {
    structure(&mut Reader::new(payload), shape)
}

fn structure(reader: &mut Reader<'_>, shape: &Struct) -> Result<Value, JsonError> {
    let mut map = Map::with_capacity(shape.fields.len());
    for field in shape.fields {
        let value = value(reader, &field.ty).map_err(|error| error.within(field.name))?;
        map.insert(field.name.to_owned(), value);
    }
    Ok(Value::Object(map))
}

fn value(reader: &mut Reader<'_>, ty: &Type) -> Result<Value, JsonError> {
    Ok(match *ty {
        Type::Int => reader.int().map_err(located)?.into(),
        Type::Uint => reader.uint().map_err(located)?.into(),
        Type::Hyper => reader.hyper().map_err(located)?.into(),
        Type::Uhyper => reader.uhyper().map_err(located)?.into(),
        Type::Short => reader.short().map_err(located)?.into(),
        Type::Ushort => reader.ushort().map_err(located)?.into(),
        Type::Char => reader.char().map_err(located)?.into(),
        Type::Uchar => reader.uchar().map_err(located)?.into(),
        Type::Double => double(reader.double().map_err(located)?),
        Type::Uuid => uuid::Uuid::decode(reader).map_err(located)?.to_string().into(),
        Type::String(max) => text(&reader.string(max).map_err(located)?),
        Type::Opaque(max) => wrapped(&reader.opaque(max).map_err(located)?),
        Type::Chars(max) => wrapped(&reader.chars(max).map_err(located)?),
        Type::FixedChars(length) => {
            let (wanted, left) = (4 * length as usize, reader.remaining());
            if left < wanted {
                return Err(located(reader.error(0, DecodeErrorKind::Truncated { wanted, left })));
            }
            let chars: Result<Vec<u8>, _> = (0..length).map(|_| reader.uchar()).collect();
            wrapped(&chars.map_err(located)?)
        }
        Type::TypedParam(_) => typed_param(&TypedParam::decode(reader).map_err(located)?),
        Type::Struct(shape) => structure(reader, shape)?,
        Type::Optional(ty) => {
            if reader.uint().map_err(located)? == 0 {
                Value::Null
            } else {
                value(reader, ty)?
            }
        }
        Type::Array(ty, max) => {
            let count = count(reader, ty, max)?;
            elements(reader, ty, count)?
        }
        Type::FixedArray(ty, count) => elements(reader, ty, count)?,
        _ => return Err(unknown_type(ty)),
    })
}

fn elements(reader: &mut Reader<'_>, ty: &Type, count: u32) -> Result<Value, JsonError> {
    (0..count as usize).map(|index| value(reader, ty).map_err(|error| error.at(index))).collect()
}

/// How long the count of an array's elements is, in bytes.
const COUNT_LEN: usize = 4;

/// A count of elements, which is within its maximum and within what the bytes that are left can hold.
fn count(reader: &mut Reader<'_>, ty: &Type, max: u32) -> Result<u32, JsonError> {
    let count = reader.uint().map_err(located)?;
    let left = reader.remaining();
    let wanted = (count as usize).saturating_mul(min_len(ty).max(4));
    let kind = match count {
        count if count > max => DecodeErrorKind::TooLong { what: "an array", count, max },
        count if wanted > left => DecodeErrorKind::ArrayTruncated { count, wanted, left },
        count => return Ok(count),
    };
    Err(located(reader.error(COUNT_LEN, kind)))
}

/// The fewest bytes that a value takes.
fn min_len(ty: &Type) -> usize {
    match *ty {
        Type::Hyper | Type::Uhyper | Type::Double => 8,
        Type::Uuid => 16,
        Type::TypedParam(_) => TypedParam::MIN_LEN,
        Type::FixedChars(length) => 4 * length as usize,
        Type::Struct(shape) => shape.fields.iter().map(|field| min_len(&field.ty)).sum(),
        Type::FixedArray(ty, count) => min_len(ty).saturating_mul(count as usize),
        _ => 4,
    }
}

fn typed_param(param: &TypedParam) -> Value {
    let value = match &param.value {
        TypedValue::Int(value) | TypedValue::Boolean(value) => (*value).into(),
        TypedValue::Uint(value) => (*value).into(),
        TypedValue::Llong(value) => (*value).into(),
        TypedValue::Ullong(value) => (*value).into(),
        TypedValue::Double(value) => double(*value),
        TypedValue::String(value) => text(value),
    };
    json!({ "field": text(&param.field), "value": { "type": param.value.kind().as_str(), "value": value } })
}

/// A string, or `{"hex": …}` where it is not UTF-8.
pub(crate) fn text(text: &Text) -> Value {
    match text.to_str() {
        Ok(text) => text.into(),
        Err(_) => wrapped(text.as_bytes()),
    }
}

/// JSON has no infinities and no NaN, of which there are many.
fn double(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| wrapped(&value.to_be_bytes()), Value::Number)
}

fn located(error: impl std::fmt::Display) -> JsonError {
    JsonError::new(error.to_string())
}

/// The tables may come to know more types than there are JSON forms; a test sees to it that there are none.
pub(super) fn unknown_type(ty: &Type) -> JsonError {
    JsonError::new(format!("{ty:?} has no form in JSON"))
}
