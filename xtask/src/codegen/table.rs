//! A program's tables: its procedures, structs and limits as data.

use super::model::{Limit, Model, Type, is_typed_param, limit_name};
use super::names;
use crate::protocol::{Implementation, Priority, Procedure, Program, Stream};
use anyhow::{Context, Result};
use std::fmt::Write as _;

/// The module of a program's tables.
pub(super) fn tables(model: &Model, program: &Program) -> Result<String> {
    let mut body = String::new();
    if program.procedures.is_empty() {
        body.push_str(
            "/// The structs that the packets of all programs share, in the order of the definitions.\n",
        );
        let _ = writeln!(body, "pub static STRUCTS: &[&Struct] = &{};", structs(program));
    } else {
        let _ = writeln!(
            body,
            "/// The program's tables.\npub static PROGRAM: Program = Program {{
                name: {:?}, number: {:#010x}, version: {}, procedures: &PROCEDURES, structs: &{}, limits: &{},
            }};",
            program.name,
            program.number.context("a program has a number")?,
            program.version.context("a program has a version")?,
            structs(program),
            limits(program),
        );
        let _ = writeln!(
            body,
            "\n#[rustfmt::skip]\npub(super) static PROCEDURES: [Procedure; {}] = [",
            program.procedures.len()
        );
        for of in &program.procedures {
            procedure(&mut body, program, of)?;
        }
        body.push_str("];\n");
    }
    for name in described(program) {
        let _ = write!(
            body,
            "\npub(in crate::program) static {}: Struct = Struct {{ name: {name:?}, fields: &[",
            static_name(program, name)
        );
        for (field, ty) in model.fields(program, name)? {
            let _ = write!(body, "Field {{ name: {field:?}, ty: {} }}, ", describe(model, program, &ty)?);
        }
        body.push_str("] };\n");
    }

    let mut out = String::from("//! The program as data.\n\n");
    let types = ["EventClass", "Field", "Kind", "Limit", "Procedure", "Program", "Struct", "Type", "Version"];
    let used: Vec<_> = types.into_iter().filter(|name| names::mentions(&body, name)).collect();
    let _ = writeln!(out, "use super::super::{{{}}};", used.join(", "));
    for other in &program.uses {
        let _ = writeln!(out, "use super::super::{other};");
    }
    if body.contains("ErrorDomain::") {
        out.push_str("use crate::enums::ErrorDomain;\n");
    }
    if body.contains("limits::") && program.limits.keys().any(|name| body.contains(&path(program, name))) {
        out.push_str("use super::limits;\n");
    }
    Ok(out + "\n" + &body)
}

fn path(program: &Program, name: &str) -> String {
    format!("limits::{}", limit_name(program, name))
}

fn static_name(program: &Program, name: &str) -> String {
    names::upper(name.strip_prefix(&program.prefix).unwrap_or(name))
}

/// The structs that have a description: a typed parameter is a type of its own.
fn described(program: &Program) -> impl Iterator<Item = &String> {
    program.structs.keys().filter(|name| !is_typed_param(program, name))
}

fn structs(program: &Program) -> String {
    let names: Vec<_> = described(program).map(|name| format!("&{}", static_name(program, name))).collect();
    format!("[{}]", names.join(", "))
}

fn limits(program: &Program) -> String {
    let limits: Vec<_> = program
        .limits
        .keys()
        .map(|name| format!("Limit {{ name: {name:?}, value: {} }}", path(program, name)))
        .collect();
    format!("[{}]", limits.join(", "))
}

/// A row: one line for what every procedure has, one for what only some have.
fn procedure(out: &mut String, program: &Program, procedure: &Procedure) -> Result<()> {
    let constructor = if procedure.is_call() { "call" } else { "event" };
    let _ = write!(out, "    Procedure::{constructor}(&PROGRAM, {}, {:?})", procedure.number, procedure.name);
    if let Some(function) = &procedure.c_name {
        let _ = write!(out, ".c_name({function:?})");
    }
    if let Some(since) = &procedure.since {
        let _ = write!(out, ".since({})", since.replace('.', ", "));
    }
    let how = |how| match how {
        Implementation::Generated => "true",
        Implementation::Handwritten => "false",
    };
    let _ = write!(out, ".generated({}, {})", how(procedure.client), how(procedure.server));
    if procedure.priority == Priority::High {
        out.push_str(".high()");
    }
    out.push_str("\n        ");
    if !procedure.acl.is_empty() {
        let _ = write!(out, ".acl(&{:?})", procedure.acl);
    }
    if !procedure.acl_filter.is_empty() {
        let _ = write!(out, ".acl_filter(&{:?})", procedure.acl_filter);
    }
    if let (Some(stream), Some(parameter)) = (procedure.stream, procedure.stream_parameter) {
        let direction = match stream {
            Stream::Read => "Read",
            Stream::Write => "Write",
        };
        let _ = write!(out, ".stream(super::super::StreamDirection::{direction}, {parameter})");
    }
    if let Some(flag) = &procedure.sparse_flag {
        let _ = write!(out, ".sparse_flag({flag:?})");
    }
    if let Some(class) = &procedure.event_class {
        let _ = write!(out, ".event_class(EventClass::{})", names::camel(class));
    }
    if let Some(domain) = &procedure.error_domain {
        let domain = domain.strip_prefix("VIR_FROM_").context("an error domain's name")?;
        let _ = write!(out, ".error_domain(ErrorDomain::{domain})");
    }
    if procedure.writes {
        out.push_str(".writes()");
    }
    for (method, name) in [("args", &procedure.args), ("ret", &procedure.ret)] {
        if let Some(name) = name {
            let _ = write!(out, ".{method}(&{})", static_name(program, name));
        }
    }
    while out.ends_with(' ') || out.ends_with('\n') {
        out.pop();
    }
    out.push_str(",\n");
    Ok(())
}

/// The type as an expression of the tables.
fn describe(model: &Model, here: &Program, ty: &Type) -> Result<String> {
    let limit = |limit: &Limit| -> Result<String> {
        let program = model.program(&limit.program)?;
        let path = path(program, &limit.name);
        Ok(if program.name == here.name { path } else { format!("{}::{path}", program.name) })
    };
    Ok(match ty {
        Type::Number(number) => format!("Type::{}", number.table),
        Type::Uuid => "Type::Uuid".to_owned(),
        Type::String(max) => format!("Type::String({})", limit(max)?),
        Type::Opaque(max) => format!("Type::Opaque({})", limit(max)?),
        Type::Chars(max) => format!("Type::Chars({})", limit(max)?),
        Type::FixedChars(length) => format!("Type::FixedChars({length})"),
        Type::TypedParam(max) => format!("Type::TypedParam({})", limit(max)?),
        Type::Enum(..) => "Type::Int".to_owned(),
        Type::Struct(program, name) => {
            let program = model.program(program)?;
            let path =
                if program.name == here.name { String::new() } else { format!("{}::table::", program.name) };
            format!("Type::Struct(&{path}{})", static_name(program, name))
        }
        Type::Optional(ty) => format!("Type::Optional(&{})", describe(model, here, ty)?),
        Type::Array(ty, max) => format!("Type::Array(&{}, {})", describe(model, here, ty)?, limit(max)?),
    })
}
