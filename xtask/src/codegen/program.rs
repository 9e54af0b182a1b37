//! A program's types: limits, enums, structs, and which call or event each struct belongs to.

use super::model::{Limit, Model, Role, Type};
use super::model::{args_name, is_emitted, limit_name, procedure_of, type_name};
use super::{names, symbols};
use crate::protocol::{Procedure, Program};
use anyhow::{Result, ensure};
use std::collections::HashSet;
use std::fmt::Write as _;

/// The module of a program's types.
pub(super) fn types(model: &Model, program: &Program) -> Result<String> {
    let mut body = String::new();
    for (name, values) in &program.enums {
        body += &enumeration(program, name, values);
    }
    // Those that no procedure names come first: the others are made of them.
    let (own, shared): (Vec<_>, Vec<_>) = program
        .structs
        .keys()
        .filter(|name| is_emitted(program, name))
        .partition(|name| procedure_of(program, name).is_some());
    for name in shared {
        let doc = format!("/// Part of what other structs carry: `{name}`.\n");
        structure(&mut body, model, program, name, &doc, true)?;
    }
    let mut seen = HashSet::new();
    for (index, procedure) in program.procedures.iter().enumerate() {
        call(&mut body, model, program, procedure, index, &mut seen)?;
    }
    ensure!(seen.len() == own.len(), "{}: a struct belongs to two procedures", program.name);

    let mut out = String::new();
    let _ = writeln!(out, "{}", module_doc(program));
    for (path, names) in [
        ("super", ["Call", "Event", "Procedure", "remote"].as_slice()),
        ("crate::typed_params", &["TypedParam"]),
        ("crate::xdr", &["DecodeError", "EncodeError", "Reader", "Text", "Writer", "Xdr"]),
        ("alloc::vec", &["Vec"]),
        ("bytes", &["Bytes"]),
        ("uuid", &["Uuid"]),
    ] {
        let used: Vec<_> = names
            .iter()
            .filter(|name| **name != program.name && names::mentions(&body, name))
            .copied()
            .collect();
        if !used.is_empty() {
            let _ = writeln!(out, "use {path}::{{{}}};", used.join(", "));
        }
    }
    if names::mentions(&body, "PROCEDURES") {
        out.push_str("use table::PROCEDURES;\n");
    }
    out.push_str("\npub(super) mod table;\n");
    let public = if program.procedures.is_empty() { "STRUCTS" } else { "PROGRAM" };
    let _ = writeln!(out, "\npub use table::{public};");
    limits(&mut out, program);
    Ok(out + &body)
}

fn module_doc(program: &Program) -> String {
    match (program.number, program.version) {
        (Some(number), Some(version)) => format!(
            "//! The program \"{}\", number {number:#010x}, version {version}: what its {} procedures carry.\n",
            program.name,
            program.procedures.len()
        ),
        _ => "//! What the packets of all programs share: header, error, hole in a stream, and limits.\n"
            .into(),
    }
}

fn limits(out: &mut String, program: &Program) {
    if program.limits.is_empty() {
        return;
    }
    out.push_str(
        "\n/// How long strings, opaque data and arrays may be: bytes, or elements.\npub mod limits {\n",
    );
    for (name, value) in &program.limits {
        let _ = writeln!(
            out,
            "/// `{name}`.\n#[doc(alias = {name:?})]\npub const {}: u32 = {};",
            limit_name(program, name),
            grouped(*value)
        );
    }
    out.push_str("}\n");
}

/// A number with an underscore before every three digits.
fn grouped(value: u32) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) && digits.len() > 4 {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// An enum of the definitions, as an open one or as bit flags.
fn enumeration(program: &Program, name: &str, values: &indexmap::IndexMap<String, i64>) -> String {
    let rust = type_name(program, name);
    let doc = [format!("/// `{name}`."), format!("#[doc(alias = {name:?})]")];
    let flags =
        rust.strip_suffix("Flags").map(|rust| format!("{}{}_", program.constant_prefix, names::upper(rust)));
    let prefix =
        flags.clone().unwrap_or_else(|| names::common_prefix(values.keys().map(String::as_str)).to_owned());
    let values: Vec<_> = values
        .iter()
        .map(|(name, &number)| {
            let short = name.strip_prefix(&prefix).unwrap_or(name).to_owned();
            symbols::Value { short, name, number, since: None }
        })
        .collect();
    match flags {
        Some(_) => symbols::bit_flags(&doc, &rust, &values),
        None => symbols::open_enum(&doc, &rust, &values),
    }
}

/// What a procedure carries, and that it does.
fn call(
    out: &mut String,
    model: &Model,
    program: &Program,
    procedure: &Procedure,
    index: usize,
    seen: &mut HashSet<String>,
) -> Result<()> {
    let rust = args_name(program, procedure);
    let role = if procedure.is_call() { Role::Args } else { Role::Message };
    let doc = procedure_doc(program, procedure, role);
    match &procedure.args {
        Some(name) => {
            structure(out, model, program, name, &doc, false)?;
            seen.insert(name.clone());
        }
        None => empty(out, &doc, procedure, &rust),
    }
    let ret = match &procedure.ret {
        Some(name) => type_name(program, name),
        None => "()".to_owned(),
    };
    let constant = format!("const PROCEDURE: &'static Procedure = &PROCEDURES[{index}];");
    let _ = if procedure.is_call() {
        writeln!(out, "impl Call for {rust} {{ type Ret = {ret}; {constant} }}\n")
    } else {
        writeln!(out, "impl Event for {rust} {{ {constant} }}\n")
    };
    if let Some(name) = &procedure.ret {
        let doc = procedure_doc(program, procedure, Role::Ret);
        structure(out, model, program, name, &doc, false)?;
        seen.insert(name.clone());
    }
    Ok(())
}

fn procedure_doc(program: &Program, procedure: &Procedure, role: Role) -> String {
    let name = format!("{}PROC_{}", program.constant_prefix, procedure.name.to_ascii_uppercase());
    let what = match role {
        Role::Args => "Calls",
        Role::Message => "The event",
        Role::Ret => "What the server replies to",
    };
    let mut doc = format!("/// {what} `{name}` ({})", procedure.number);
    if let Some(function) = &procedure.c_name {
        let _ = write!(doc, ", `{function}`");
    }
    doc.push_str(".\n");
    if role == Role::Ret {
        return doc + "///\n" + &format!("/// See [`{}`].\n", args_name(program, procedure));
    }
    let mut facts = Vec::new();
    if let Some(since) = &procedure.since {
        facts.push(format!("Since libvirt {since}."));
    }
    let code = |list: &[String]| list.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ");
    if procedure.acl.iter().any(|acl| acl != "none") {
        facts.push(format!("Permissions: {}.", code(&procedure.acl)));
    }
    if !procedure.acl_filter.is_empty() {
        facts.push(format!("Filtered by: {}.", code(&procedure.acl_filter)));
    }
    if let Some(stream) = procedure.stream {
        let direction = match stream {
            crate::protocol::Stream::Read => "reads from",
            crate::protocol::Stream::Write => "writes to",
        };
        facts.push(format!("Opens a stream that the client {direction}."));
    }
    if let Some(flag) = &procedure.sparse_flag {
        facts.push(format!("`{flag}` lets holes through."));
    }
    if !facts.is_empty() {
        let _ = writeln!(doc, "///\n/// {}", facts.join(" "));
    }
    if let Some(function) = &procedure.c_name {
        let _ = writeln!(doc, "#[doc(alias = {function:?})]");
    }
    doc
}

fn empty(out: &mut String, doc: &str, procedure: &Procedure, rust: &str) {
    let what = if procedure.is_call() { "It takes no arguments." } else { "It carries nothing." };
    let (text, alias) = doc.split_at(doc.find("#[").unwrap_or(doc.len()));
    let _ = writeln!(
        out,
        "\n{text}///\n/// {what}\n{alias}#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]\npub struct {rust};\n\n\
         impl Xdr for {rust} {{
            const MIN_LEN: usize = 0;
            fn encode(&self, _: &mut Writer<'_>) -> Result<(), EncodeError> {{ Ok(()) }}
            fn decode_into(&mut self, _: &mut Reader<'_>) -> Result<(), DecodeError> {{ Ok(()) }}
        }}\n"
    );
}

/// A struct and its form on the wire.
fn structure(
    out: &mut String,
    model: &Model,
    program: &Program,
    name: &str,
    doc: &str,
    inline: bool,
) -> Result<()> {
    let rust = type_name(program, name);
    let fields = model.fields(program, name)?;
    let eq = model.is_eq(&Type::Struct(program.name.clone(), name.to_owned()))?;
    let eq = if eq { ", Eq" } else { "" };
    let copy = if fields.iter().all(|(_, ty)| matches!(ty, Type::Number(_) | Type::Uuid | Type::Enum(..))) {
        ", Copy"
    } else {
        ""
    };
    let mut members = String::new();
    let mut min_len = MinLen::default();
    let mut decode = String::new();
    for (c, ty) in &fields {
        let field = names::field(c);
        let place = Place { model, program };
        let alias = if field == *c { String::new() } else { format!("#[doc(alias = {c:?})]\n") };
        let _ = writeln!(
            members,
            "/// `{c}`: {}.\n{alias}pub {field}: {},",
            place.describe(ty)?,
            place.rust(ty)?
        );
        min_len.add(&place, ty)?;
        let _ = writeln!(decode, "{}", place.decode(ty, &format!("self.{field}"))?);
    }
    let encode = result(encoding(&Place { model, program }, &fields)?);
    let decode = result(decode);
    // A struct that others are made of: in their arrays it is one of thousands.
    let inline = if inline { "#[inline(always)]\n" } else { "" };
    let _ = writeln!(
        out,
        "\n{doc}#[doc(alias = {name:?})]\n#[derive(Debug, Clone{copy}, PartialEq{eq}, Default)]\npub struct {rust} {{
            {members}
        }}

        impl Xdr for {rust} {{
            const MIN_LEN: usize = {min_len};
            {inline}fn encode(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {{
                {encode}
            }}
            {inline}fn decode_into(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {{
                {decode}
            }}
        }}\n",
        min_len = min_len.expression(),
    );
    Ok(())
}

/// Statements as a function's body: where the last one is a call that may fail, its result is the function's.
fn result(statements: String) -> String {
    let last = statements.trim_end().lines().next_back().unwrap_or_default();
    match statements.trim_end().strip_suffix("?;") {
        Some(statements) if !last.contains(" = ") => statements.to_owned(),
        _ => statements + "Ok(())",
    }
}

/// The most values that stand in one tuple: as many as have an implementation.
const RUN_MAX: usize = 8;

/// The statements that write a struct's fields. Values of a fixed length that follow each other are written together,
/// and together with a string before them.
fn encoding(place: &Place<'_>, fields: &[(&str, Type)]) -> Result<String> {
    let mut out = String::new();
    let mut fields = fields.iter().map(|(c, ty)| (format!("self.{}", names::field(c)), ty)).peekable();
    while let Some((value, ty)) = fields.next() {
        let mut run: Vec<String> = place.fixed(ty, &value).into_iter().collect();
        if !run.is_empty() || matches!(ty, Type::String(_)) {
            while let Some(next) = fields.peek().and_then(|(value, ty)| place.fixed(ty, value))
                && run.len() < RUN_MAX
            {
                run.push(next);
                fields.next();
            }
        }
        let together = match run.as_slice() {
            [value] => value.clone(),
            run => format!("({})", run.join(", ")),
        };
        let statement = match ty {
            Type::String(max) if !run.is_empty() => {
                format!("writer.put_string_and(&{value}, {}, {together})?;", place.limit(max)?)
            }
            _ if run.len() > 1 => format!("writer.put_fixed({together});"),
            _ => place.encode(ty, &value)?,
        };
        let _ = writeln!(out, "{statement}");
    }
    Ok(out)
}

/// The fewest bytes of a struct, as an expression: what is known now as a number, other structs by name.
#[derive(Default)]
struct MinLen {
    bytes: usize,
    structs: Vec<String>,
}

impl MinLen {
    fn add(&mut self, place: &Place<'_>, ty: &Type) -> Result<()> {
        match ty {
            Type::Number(number) => self.bytes += number.len,
            Type::Uuid => self.bytes += 16,
            Type::FixedChars(length) => self.bytes += 4 * *length as usize,
            Type::TypedParam(_) | Type::Struct(..) => self.structs.push(place.rust(ty)?),
            _ => self.bytes += 4,
        }
        Ok(())
    }

    fn expression(&self) -> String {
        let mut terms: Vec<String> = self.structs.iter().map(|name| format!("{name}::MIN_LEN")).collect();
        if self.bytes > 0 || terms.is_empty() {
            terms.push(self.bytes.to_string());
        }
        terms.join(" + ")
    }
}

/// Where a type is used.
struct Place<'a> {
    model: &'a Model,
    program: &'a Program,
}

impl Place<'_> {
    fn limit(&self, limit: &Limit) -> Result<String> {
        let program = self.model.program(&limit.program)?;
        let path =
            if program.name == self.program.name { String::new() } else { format!("{}::", program.name) };
        Ok(format!("{path}limits::{}", limit_name(program, &limit.name)))
    }

    fn path(&self, program: &str, name: &str) -> Result<String> {
        let program = self.model.program(program)?;
        let path =
            if program.name == self.program.name { String::new() } else { format!("{}::", program.name) };
        Ok(path + &type_name(program, name))
    }

    fn rust(&self, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Number(number) => number.rust.to_owned(),
            Type::Uuid => "Uuid".to_owned(),
            Type::String(_) => "Text".to_owned(),
            Type::Opaque(_) | Type::Chars(_) => "Bytes".to_owned(),
            Type::FixedChars(length) => {
                ensure!(*length <= 32, "an array of {length} has no default");
                format!("[u8; {length}]")
            }
            Type::TypedParam(_) => "TypedParam".to_owned(),
            Type::Struct(program, name) | Type::Enum(program, name) => self.path(program, name)?,
            Type::Optional(ty) => format!("Option<{}>", self.rust(ty)?),
            Type::Array(ty, _) => format!("Vec<{}>", self.rust(ty)?),
        })
    }

    fn describe(&self, ty: &Type) -> Result<String> {
        Ok(match ty {
            Type::Number(number) => format!("`{}`", number.c),
            Type::Uuid => "a UUID".to_owned(),
            Type::String(max) => format!("a string of at most [`{}`] bytes", self.short(max)?),
            Type::Opaque(max) => format!("at most [`{}`] bytes", self.short(max)?),
            Type::Chars(max) => format!("at most [`{}`] characters", self.short(max)?),
            Type::FixedChars(length) => format!("{length} characters"),
            Type::TypedParam(_) => "a typed parameter".to_owned(),
            Type::Struct(_, name) | Type::Enum(_, name) => format!("`{name}`"),
            Type::Optional(ty) => format!("{}, or nothing", self.describe(ty)?),
            Type::Array(ty, max) => {
                format!("at most [`{}`] of {}", self.short(max)?, self.describe(ty)?)
            }
        })
    }

    fn short(&self, limit: &Limit) -> Result<String> {
        self.limit(limit)
    }

    /// A value of a fixed length, as it stands among others.
    fn fixed(&self, ty: &Type, value: &str) -> Option<String> {
        match ty {
            Type::Number(_) | Type::Uuid => Some(value.to_owned()),
            Type::Enum(..) => Some(format!("{value}.0")),
            _ => None,
        }
    }

    fn encode(&self, ty: &Type, value: &str) -> Result<String> {
        Ok(match ty {
            Type::Number(number) => format!("writer.put_{}({value});", number.method),
            Type::Uuid => format!("writer.put_fixed({value});"),
            Type::String(max) => format!("writer.put_string(&{value}, {})?;", self.limit(max)?),
            Type::Opaque(max) => format!("writer.put_opaque(&{value}, {})?;", self.limit(max)?),
            Type::Chars(max) => format!("writer.put_chars(&{value}, {})?;", self.limit(max)?),
            Type::FixedChars(_) => format!("writer.put_fixed_chars(&{value});"),
            Type::Enum(..) => format!("writer.put_int({value}.0);"),
            Type::Optional(ty) => match &**ty {
                Type::String(max) => {
                    format!("writer.put_optional_string({value}.as_ref(), {})?;", self.limit(max)?)
                }
                Type::Struct(..) | Type::Number(_) => format!("{value}.encode(writer)?;"),
                other => anyhow::bail!("an optional {other:?} is not supported"),
            },
            Type::Array(ty, max) => match &**ty {
                Type::String(max_len) => {
                    format!("writer.put_strings(&{value}, {}, {})?;", self.limit(max)?, self.limit(max_len)?)
                }
                Type::Array(..) | Type::Opaque(_) | Type::Optional(_) | Type::Chars(_) => {
                    anyhow::bail!("an array of {ty:?} is not supported")
                }
                _ => format!("writer.put_elements(&{value}, {})?;", self.limit(max)?),
            },
            Type::Struct(..) | Type::TypedParam(_) => format!("{value}.encode(writer)?;"),
        })
    }

    fn decode(&self, ty: &Type, value: &str) -> Result<String> {
        Ok(match ty {
            Type::Number(number) => format!("{value} = reader.{}()?;", number.method),
            Type::String(max) => format!("reader.string_into(&mut {value}, {})?;", self.limit(max)?),
            Type::Opaque(max) => format!("{value} = reader.opaque({})?;", self.limit(max)?),
            Type::Chars(max) => format!("{value} = reader.chars({})?;", self.limit(max)?),
            Type::FixedChars(_) => format!("{value} = reader.fixed_chars()?;"),
            Type::Uuid | Type::Enum(..) | Type::Struct(..) | Type::TypedParam(_) => {
                format!("{value}.decode_into(reader)?;")
            }
            Type::Optional(inner) => match &**inner {
                Type::String(max) => {
                    format!("reader.optional_string_into(&mut {value}, {})?;", self.limit(max)?)
                }
                _ => format!("{value}.decode_into(reader)?;"),
            },
            Type::Array(inner, max) => match &**inner {
                Type::String(max_len) => {
                    format!("{value} = reader.strings({}, {})?;", self.limit(max)?, self.limit(max_len)?)
                }
                _ => format!("{value} = reader.elements({})?;", self.limit(max)?),
            },
        })
    }
}
