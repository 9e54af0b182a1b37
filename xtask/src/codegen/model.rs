//! The definitions with every type resolved.

use super::names;
use crate::protocol::{Procedure, Program};
use anyhow::{Context, Result, bail, ensure};

/// All programs.
pub(super) struct Model {
    pub(super) programs: Vec<Program>,
}

/// A type, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    /// A number: its names in C, in Rust, in the tables, and in the reader's and writer's methods.
    Number(&'static Number),
    Uuid,
    String(Limit),
    Opaque(Limit),
    Chars(Limit),
    FixedChars(u32),
    TypedParam(Limit),
    /// A struct, by program and C name.
    Struct(String, String),
    /// An enum, by program and C name: an `int`.
    Enum(String, String),
    Optional(Box<Type>),
    Array(Box<Type>, Limit),
}

/// A named maximum, by program and C name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Limit {
    pub(super) program: String,
    pub(super) name: String,
}

#[derive(Debug, PartialEq)]
pub(super) struct Number {
    pub(super) c: &'static str,
    pub(super) rust: &'static str,
    pub(super) table: &'static str,
    pub(super) method: &'static str,
    pub(super) len: usize,
}

const fn number(
    c: &'static str,
    rust: &'static str,
    table: &'static str,
    method: &'static str,
    len: usize,
) -> Number {
    Number { c, rust, table, method, len }
}

static NUMBERS: [Number; 9] = [
    number("int", "i32", "Int", "int", 4),
    number("unsigned int", "u32", "Uint", "uint", 4),
    number("hyper", "i64", "Hyper", "hyper", 8),
    number("unsigned hyper", "u64", "Uhyper", "uhyper", 8),
    number("short", "i16", "Short", "short", 4),
    number("unsigned short", "u16", "Ushort", "ushort", 4),
    number("char", "i8", "Char", "char", 4),
    number("unsigned char", "u8", "Uchar", "uchar", 4),
    number("double", "f64", "Double", "double", 8),
];

/// What a procedure's struct is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Args,
    Ret,
    Message,
}

impl Model {
    pub(super) fn new(programs: Vec<Program>) -> Result<Self> {
        let model = Self { programs };
        for program in &model.programs {
            for (name, fields) in program.structs.iter().filter(|(name, _)| !is_typed_param(program, name)) {
                for (field, ty) in fields {
                    model.resolve(program, ty).with_context(|| format!("{name}.{field}"))?;
                }
            }
        }
        Ok(model)
    }

    pub(super) fn program(&self, name: &str) -> Result<&Program> {
        self.programs
            .iter()
            .find(|program| program.name == name)
            .with_context(|| format!("no program {name}"))
    }

    /// The type that is written `text` in a program's file.
    pub(super) fn resolve(&self, program: &Program, text: &str) -> Result<Type> {
        if let Some(ty) = text.strip_suffix(" *") {
            return Ok(Type::Optional(Box::new(self.resolve(program, ty)?)));
        }
        if let Some((element, max)) = text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            let limit = Limit { program: program.name.clone(), name: max.to_owned() };
            ensure!(program.limits.contains_key(max), "{max} is no limit of {}", program.name);
            return Ok(match element {
                "string" => Type::String(limit),
                "opaque" => Type::Opaque(limit),
                "char" => Type::Chars(limit),
                element => Type::Array(Box::new(self.resolve(program, element)?), limit),
            });
        }
        if let Some((element, length)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            return Ok(match (element, length) {
                ("opaque", "16") => Type::Uuid,
                ("char", length) => Type::FixedChars(length.parse()?),
                _ => bail!("arrays of a fixed length are not supported: {text}"),
            });
        }
        if let Some(number) = NUMBERS.iter().find(|number| number.c == text) {
            return Ok(Type::Number(number));
        }
        if is_typed_param(program, text) {
            let name = format!("{}STRING_MAX", program.constant_prefix);
            return Ok(Type::TypedParam(Limit { program: program.name.clone(), name }));
        }
        if let Some(ty) = program.types.get(text) {
            return self.resolve(program, ty);
        }
        if program.structs.contains_key(text) {
            return Ok(Type::Struct(program.name.clone(), text.to_owned()));
        }
        if program.enums.contains_key(text) {
            return Ok(Type::Enum(program.name.clone(), text.to_owned()));
        }
        for other in &program.uses {
            if let Ok(ty) = self.resolve(self.program(other)?, text) {
                return Ok(ty);
            }
        }
        bail!("the type {text:?} is not known")
    }

    /// The fields of a struct: their C names and types.
    pub(super) fn fields<'a>(&self, program: &'a Program, name: &str) -> Result<Vec<(&'a str, Type)>> {
        let fields = program.structs.get(name).with_context(|| format!("no struct {name}"))?;
        fields.iter().map(|(field, ty)| Ok((field.as_str(), self.resolve(program, ty)?))).collect()
    }

    /// Whether two values of the type are equal or not, never neither: it holds no `double`.
    pub(super) fn is_eq(&self, ty: &Type) -> Result<bool> {
        Ok(match ty {
            Type::Number(number) => number.c != "double",
            Type::TypedParam(_) => false,
            Type::Optional(ty) | Type::Array(ty, _) => self.is_eq(ty)?,
            Type::Struct(program, name) => {
                let fields = self.fields(self.program(program)?, name)?;
                fields
                    .iter()
                    .map(|(_, ty)| self.is_eq(ty))
                    .try_fold(true, |all, eq| Ok::<_, anyhow::Error>(all & eq?))?
            }
            _ => true,
        })
    }
}

/// Whether a struct is the program's typed parameter, which is one type for all programs and written by hand.
pub(super) fn is_typed_param(program: &Program, name: &str) -> bool {
    name.strip_prefix(&program.prefix) == Some("typed_param")
}

/// Whether a struct is the program's copy of the error that every program's replies carry, which is net's.
pub(super) fn is_error(program: &Program, name: &str) -> bool {
    program.name != "net" && name.strip_prefix(&program.prefix) == Some("error")
}

/// Whether a struct gets a Rust type in its program's module.
pub(super) fn is_emitted(program: &Program, name: &str) -> bool {
    !is_typed_param(program, name) && !is_error(program, name)
}

/// A struct's or enum's name in Rust.
pub(super) fn type_name(program: &Program, name: &str) -> String {
    names::camel(name.strip_prefix(&program.prefix).unwrap_or(name))
}

/// A limit's name in Rust.
pub(super) fn limit_name<'a>(program: &Program, name: &'a str) -> &'a str {
    name.strip_prefix(&program.constant_prefix).unwrap_or(name)
}

/// The name of the struct of what a call or event carries in Rust, which is there even where it carries
/// nothing.
pub(super) fn args_name(program: &Program, procedure: &Procedure) -> String {
    match &procedure.args {
        Some(name) => type_name(program, name),
        None => names::camel(&procedure.name) + if procedure.is_call() { "Args" } else { "Msg" },
    }
}

/// The procedure that a struct belongs to, and as what.
pub(super) fn procedure_of<'a>(program: &'a Program, name: &str) -> Option<(&'a Procedure, Role)> {
    program.procedures.iter().find_map(|procedure| {
        if procedure.args.as_deref() == Some(name) {
            Some((procedure, if procedure.is_call() { Role::Args } else { Role::Message }))
        } else if procedure.ret.as_deref() == Some(name) {
            Some((procedure, Role::Ret))
        } else {
            None
        }
    })
}
