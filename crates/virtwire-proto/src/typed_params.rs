//! Typed parameters: a name and a value of one of seven types.

use crate::program::remote::limits::STRING_MAX;
use crate::xdr::{DecodeError, DecodeErrorKind, EncodeError, Reader, Text, Writer, Xdr};

/// A typed parameter: `remote_typed_param` and `admin_typed_param`.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedParam {
    /// Its name: at most 4 194 304 bytes.
    pub field: Text,
    /// Its value.
    pub value: TypedValue,
}

/// A typed parameter's value.
#[derive(Debug, Clone, PartialEq)]
pub enum TypedValue {
    /// `int`.
    Int(i32),
    /// `unsigned int`.
    Uint(u32),
    /// `long long`.
    Llong(i64),
    /// `unsigned long long`.
    Ullong(u64),
    /// `double`.
    Double(f64),
    /// A boolean, which is an `int` on the wire.
    Boolean(i32),
    /// A string: at most 4 194 304 bytes.
    String(Text),
}

impl Xdr for TypedParam {
    const MIN_LEN: usize = 12;

    fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_string(&self.field, STRING_MAX)?;
        let mut tag = |value| writer.put_int(value);
        match &self.value {
            TypedValue::Int(value) => {
                tag(1);
                writer.put_int(*value);
            }
            TypedValue::Uint(value) => {
                tag(2);
                writer.put_uint(*value);
            }
            TypedValue::Llong(value) => {
                tag(3);
                writer.put_hyper(*value);
            }
            TypedValue::Ullong(value) => {
                tag(4);
                writer.put_uhyper(*value);
            }
            TypedValue::Double(value) => {
                tag(5);
                writer.put_double(*value);
            }
            TypedValue::Boolean(value) => {
                tag(6);
                writer.put_int(*value);
            }
            TypedValue::String(value) => {
                tag(7);
                writer.put_string(value, STRING_MAX)?;
            }
        }
        Ok(())
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let field = reader.string(STRING_MAX)?;
        let at = reader.clone();
        let value = match reader.int()? {
            1 => TypedValue::Int(reader.int()?),
            2 => TypedValue::Uint(reader.uint()?),
            3 => TypedValue::Llong(reader.hyper()?),
            4 => TypedValue::Ullong(reader.uhyper()?),
            5 => TypedValue::Double(reader.double()?),
            6 => TypedValue::Boolean(reader.int()?),
            7 => TypedValue::String(reader.string(STRING_MAX)?),
            value => {
                let union = "remote_typed_param_value";
                return Err(at.error(DecodeErrorKind::UnknownDiscriminant { union, value }));
            }
        };
        Ok(Self { field, value })
    }
}
