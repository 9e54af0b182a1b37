//! What a method takes, and how it becomes what the procedure takes.

use super::{Object, Subject, unknown};
use crate::codegen::model::{Limit, Type, limit_name};
use crate::codegen::names;
use crate::protocol::Procedure;
use anyhow::{Context, Result, bail, ensure};

/// What generated methods use of the objects' module.
pub(super) const HELPERS: [&str; 6] =
    ["AgentTimeout", "CpuSet", "OptionalText", "STRING_OKAY", "count", "milliseconds"];

/// An argument of a procedure.
pub(super) struct Argument<'a> {
    /// The field's name in the definitions.
    pub(super) c: &'a str,
    /// The method's parameter: its name and type; nothing where the value is known.
    pub(super) parameter: Option<(String, String)>,
    pub(super) value: Source,
    /// A statement before all else, where what was given is asked about before it is sent.
    pub(super) before: Option<String>,
}

/// The field's value, as an expression.
pub(super) struct Source(pub(super) String);

impl<'a> Argument<'a> {
    /// The argument that the object itself is.
    pub(super) fn of_self(c: &'a str, ty: &Type) -> Self {
        let value = match ty {
            Type::Struct(..) => "self.handle().clone()",
            _ => "self.name().clone()",
        };
        Self { c, parameter: None, value: Source(value.to_owned()), before: None }
    }

    pub(super) fn new(of: &Subject<'_>, procedure: &Procedure, c: &'a str, ty: &Type) -> Result<Self> {
        let name = match (of.entry.names.get(c), names::field(c).as_str()) {
            (Some(name), _) => name.clone(),
            (None, "type_") => "kind".to_owned(),
            (None, name) => name.to_owned(),
        };
        let fixed = |value: String| Self { c, parameter: None, value: Source(value), before: None };
        let taken = |ty: &str, value: String| Self {
            c,
            parameter: Some((name.clone(), ty.to_owned())),
            value: Source(value),
            before: None,
        };
        if let Some(kind) = of.entry.args.get(c) {
            if let Some(value) = kind.strip_prefix('=') {
                return Ok(fixed(value.trim().to_owned()));
            }
            return by_kind(of, kind, &name, ty).map(|(ty, value)| taken(&ty, value));
        }
        if let Some(values) = procedure.values.get(c) {
            let (path, is_flags) = of.symbols.resolve(values)?;
            let mut value = number_of(&name, is_flags, ty)?;
            if of.entry.strings && c == "flags" {
                value += " | STRING_OKAY";
            }
            return Ok(taken(&path, value));
        }
        Ok(match (c, ty) {
            // No flag is defined.
            ("flags", Type::Number(_)) => {
                fixed(if of.entry.strings { "STRING_OKAY" } else { "0" }.to_owned())
            }
            ("need_results", Type::Number(_)) => fixed("1".to_owned()),
            ("nparams", Type::Number(_)) => fixed(name.clone()),
            ("maxnames" | "maxids" | "maxuuids", Type::Number(_)) => fixed(most(of)?),
            (_, Type::Number(number)) => taken(number.rust, name.clone()),
            (_, Type::Uuid) => taken("Uuid", name.clone()),
            (_, Type::String(_)) => taken("impl Into<Text>", format!("{name}.into()")),
            (_, Type::Opaque(_)) => taken("impl Into<Bytes>", format!("{name}.into()")),
            (_, Type::Optional(inner)) if matches!(**inner, Type::String(_)) => {
                let optional = taken("impl Into<OptionalText>", format!("{name}.into().0"));
                match of.entry.plain {
                    None => optional,
                    Some(_) => Self {
                        value: Source(name.clone()),
                        before: Some(format!("let {name} = {name}.into().0;\n")),
                        ..optional
                    },
                }
            }
            (_, Type::Array(inner, _)) => match &**inner {
                Type::String(_) => taken(
                    "impl IntoIterator<Item = impl Into<Text>>",
                    format!("{name}.into_iter().map(Into::into).collect()"),
                ),
                Type::TypedParam(_) => taken("impl Into<TypedParams>", format!("{name}.into().into()")),
                Type::Number(number) => taken(&format!("&[{}]", number.rust), format!("{name}.to_vec()")),
                other => bail!("an array of {other:?} needs a method by hand"),
            },
            (_, Type::Struct(program, struct_name)) => {
                let object = Object::of(program, struct_name).context("no object's handle")?;
                taken(&format!("&{}", object.name), format!("{name}.handle().clone()"))
            }
            (_, other) => bail!("{other:?} needs a method by hand"),
        })
    }

    /// Whether nothing is asked for by it, as a condition.
    pub(super) fn is_absent(&self) -> Result<String> {
        match &self.parameter {
            Some((name, ty)) if ty.starts_with("flags::") => Ok(format!("{name}.is_empty()")),
            Some((name, ty)) if ty.ends_with("<OptionalText>") => Ok(format!("{name}.is_none()")),
            Some((name, ty)) if ty.starts_with("enums::") => Ok(format!("{name}.0 == 0")),
            _ => bail!("{} is always asked for", self.c),
        }
    }
}

/// An argument that `protocol/methods.toml` describes: its type, and the field's value.
fn by_kind(of: &Subject<'_>, kind: &str, name: &str, ty: &Type) -> Result<(String, String)> {
    let number = |value: String| match ty {
        Type::Number(number) if number.rust == "u64" => Ok(value),
        Type::Number(number) => Ok(format!("{0}::try_from({value}).unwrap_or({0}::MAX)", number.rust)),
        _ => unknown(kind, ty),
    };
    Ok(match (kind, ty) {
        ("bool", Type::Number(_)) => ("bool".to_owned(), format!("{name}.into()")),
        ("seconds", _) => ("Duration".to_owned(), number(format!("{name}.as_secs()"))?),
        ("milliseconds", _) => ("Duration".to_owned(), number(format!("milliseconds({name})"))?),
        ("count", Type::Number(number)) => {
            ensure!(number.rust == "i32", "only an int has to be told that it is a count");
            // What does not fit is more than there can be: the daemon says so.
            ("u32".to_owned(), format!("i32::try_from({name}).unwrap_or(i32::MAX)"))
        }
        ("text", Type::Optional(_)) => ("impl Into<Text>".to_owned(), format!("Some({name}.into())")),
        ("AgentTimeout", Type::Number(_)) => {
            ("impl Into<AgentTimeout>".to_owned(), format!("{name}.into().seconds()"))
        }
        ("CpuSet", Type::Opaque(_)) => ("&CpuSet".to_owned(), format!("{name}.to_map()")),
        ("CpuSet", Type::String(_)) => ("&CpuSet".to_owned(), format!("{name}.to_string().into()")),
        (kind, _) => {
            let path = of.symbols.by_rust_name(kind).with_context(|| format!("no kind {kind}"))?;
            let value = number_of(name, path.starts_with("flags"), ty)?;
            (path, value)
        }
    })
}

/// The number of an enum or of flags, as the field's type.
fn number_of(name: &str, is_flags: bool, ty: &Type) -> Result<String> {
    let Type::Number(number) = ty else { bail!("{ty:?} is no number") };
    Ok(match (is_flags, number.rust) {
        (true, "u32") => format!("{name}.bits()"),
        (true, "u64") => format!("{name}.bits().into()"),
        (false, "i32") => format!("{name}.0"),
        (false, "u32") => format!("{name}.0.cast_unsigned()"),
        (_, other) => bail!("an enum is no {other}"),
    })
}

/// How many elements the answer's list may have: asked for at once, so that nothing changes between a question
/// for the number and one for the list.
fn most(of: &Subject<'_>) -> Result<String> {
    let fields = super::fields(of.model, of.program, of.procedure.ret.as_deref())?;
    let Some((_, Type::Array(_, Limit { program, name }))) = fields.first() else {
        bail!("what is listed is no array")
    };
    let program = of.model.program(program)?;
    Ok(format!("{}::limits::{}.cast_signed()", program.name, limit_name(program, name)))
}
