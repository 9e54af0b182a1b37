//! The list of all types that the tests walk through.

use super::model::{Limit, Model, Type, args_name, is_emitted, limit_name, type_name};
use super::names;
use crate::protocol::Program;
use anyhow::Result;
use std::fmt::Write as _;

/// The tests' module: every struct with ways to pass its maxima, and every procedure's type.
pub(super) fn registry(model: &Model) -> Result<String> {
    let mut out = "//! Every generated type, for the tests that walk through all of them.\n\n\
                   use super::{Case, Row, bytes, call, case, event, param, text};\n\
                   use virtwire_proto::program::*;\n"
        .to_owned();
    let modules: Vec<_> = model.programs.iter().map(|program| program.name.as_str()).collect();
    for program in &model.programs {
        let name = &program.name;
        let _ = writeln!(out, "\nfn {name}_structs() -> Vec<Case> {{ vec![");
        for structure in program.structs.keys().filter(|name| is_emitted(program, name)) {
            let rust = type_name(program, structure);
            let _ = writeln!(out, "case::<{name}::{rust}>({structure:?}, vec![");
            for (field, ty) in model.fields(program, structure)? {
                for value in too_long(model, &ty)? {
                    let _ = writeln!(out, "|value| value.{} = {value},", names::field(field));
                }
            }
            out.push_str("]),\n");
        }
        out.push_str("]}\n");
        let _ = writeln!(out, "\nfn {name}_procedures() -> Vec<Row> {{ vec![");
        for procedure in &program.procedures {
            let rust = args_name(program, procedure);
            let how = if procedure.is_call() { "call" } else { "event" };
            let _ = writeln!(out, "{how}::<{name}::{rust}>(),");
        }
        out.push_str("]}\n");
    }
    for (doc, what, item) in [
        ("Every struct, by program.", "structs", "Case"),
        ("Every procedure's type, by program.", "procedures", "Row"),
    ] {
        let rows: Vec<_> = modules.iter().map(|name| format!("({name:?}, {name}_{what}())")).collect();
        let _ = writeln!(
            out,
            "\n/// {doc}\npub(crate) fn {what}() -> Vec<(&'static str, Vec<{item}>)> {{ vec![{}] }}",
            rows.join(", ")
        );
    }
    Ok(out)
}

/// Values of a type that pass its maxima, each in one way.
fn too_long(model: &Model, ty: &Type) -> Result<Vec<String>> {
    let path = |limit: &Limit| -> Result<String> {
        let program: &Program = model.program(&limit.program)?;
        Ok(format!("{}::limits::{}", program.name, limit_name(program, &limit.name)))
    };
    Ok(match ty {
        Type::String(max) => vec![format!("text({})", path(max)?)],
        Type::Opaque(max) | Type::Chars(max) => vec![format!("bytes({})", path(max)?)],
        Type::Optional(ty) => {
            too_long(model, ty)?.into_iter().map(|value| format!("Some({value})")).collect()
        }
        Type::Array(ty, max) => {
            let default = match **ty {
                Type::TypedParam(_) => "param()",
                _ => "Default::default()",
            };
            let mut values = vec![format!("vec![{default}; {} as usize + 1]", path(max)?)];
            values.extend(too_long(model, ty)?.into_iter().map(|value| format!("vec![{value}]")));
            values
        }
        _ => Vec::new(),
    })
}
