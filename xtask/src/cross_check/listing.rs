//! The `*_protocol-structs` files: C structs as the compiler's debugging data has them.

use super::Report;
use crate::import::delta::ProgramDelta;
use crate::protocol::Program;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a program's listing is.
fn file(program: &str) -> String {
    match program {
        "net" => "src/virnetprotocol-structs".to_owned(),
        "keepalive" => "src/virkeepaliveprotocol-structs".to_owned(),
        other => format!("src/{other}_protocol-structs"),
    }
}

/// Compares a program's structs, unions and enums with its listing, field by field. Gives nothing where
/// libvirt keeps no listing of the program.
pub(super) fn compare(
    program: &Program,
    tree: &Path,
    delta: Option<&ProgramDelta>,
) -> Result<Option<Report>> {
    let path = tree.join(file(&program.name));
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut listed = parse(&text);
    let mut report = Report::default();
    for (name, fields) in &program.structs {
        if delta.is_some_and(|delta| delta.structs.contains_key(name)) {
            report.newer += 1;
            continue;
        }
        let mut lines = Vec::new();
        for (field, ty) in fields {
            let renamed = delta.into_iter().flat_map(|delta| &delta.renamed);
            let mut renamed = renamed.filter(|of| of.structs.contains(name) && of.to == *field);
            let field = renamed.next().map_or(field, |of| {
                report.newer += 1;
                &of.from
            });
            lines.extend(declaration(field, ty));
        }
        report.structs += 1;
        report.fields += fields.len();
        check(&mut report, &mut listed, &format!("struct {name}"), lines);
    }
    for (name, union) in &program.unions {
        // The listing names a union's members; the definitions here do not.
        let types: Vec<_> = union.cases.values().map(|ty| c_type(ty)).collect();
        let head = format!("struct {name}");
        let found: Vec<_> = listed
            .remove(&head)
            .unwrap_or_default()
            .iter()
            .filter_map(|line| line.rsplit_once(' ').map(|(ty, _)| ty.to_owned()))
            .filter(|ty| ty != "union" && ty != "}")
            .collect();
        let wanted: Vec<_> = std::iter::once(c_type(&union.discriminant)).chain(types).collect();
        report.structs += 1;
        report.fields += union.cases.len();
        if found != wanted {
            report.differs(format!("{head}: {wanted:?} here, {found:?} listed"));
        }
    }
    for (name, values) in &program.enums {
        let lines = values.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>();
        report.enumerators += lines.len();
        check(&mut report, &mut listed, &format!("enum {name}"), lines);
    }
    if !program.procedures.is_empty() {
        let newer = |number| delta.is_some_and(|delta| delta.procedures.iter().any(|of| of.number == number));
        let (newer, old): (Vec<_>, Vec<_>) = program.procedures.iter().partition(|of| newer(of.number));
        report.newer += newer.len();
        let lines = old.iter().map(|of| {
            format!("{}PROC_{} = {}", program.constant_prefix, of.name.to_ascii_uppercase(), of.number)
        });
        let lines: Vec<_> = lines.collect();
        report.enumerators += lines.len();
        let joint = if program.prefix.ends_with('_') { "procedure" } else { "Procedure" };
        check(&mut report, &mut listed, &format!("enum {}{joint}", program.prefix), lines);
    }
    // A listing has the structs of the programs that it uses, too, which are compared in theirs.
    let of_other = |name: &str| program.uses.iter().any(|of| name.starts_with(&format!("struct {of}_")));
    for name in listed.keys().filter(|name| !of_other(name)) {
        report.differs(format!("{name} is listed and not here"));
    }
    Ok(Some(report))
}

fn check(report: &mut Report, listed: &mut BTreeMap<String, Vec<String>>, head: &str, lines: Vec<String>) {
    match listed.remove(head) {
        Some(found) if found == lines => {}
        Some(found) => report.differs(format!("{head}: {lines:?} here, {found:?} listed")),
        None => report.differs(format!("{head} is here and not listed")),
    }
}

/// Each struct and enum with its lines, blanks between words made one.
fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    let mut current: Option<(String, Vec<String>)> = None;
    for line in text.lines().filter(|line| !line.starts_with("/*")) {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.trim_end_matches([';', ',']).to_owned();
        match &mut current {
            None => current = words.strip_suffix(" {").map(|head| (head.to_owned(), Vec::new())),
            Some(_) if line.starts_with('}') => all.extend(current.take()),
            Some((_, lines)) => lines.push(words),
        }
    }
    all
}

/// A field as the listing has it.
fn declaration(field: &str, ty: &str) -> Vec<String> {
    if let Some((element, _)) = ty.strip_suffix('>').and_then(|ty| ty.split_once('<')) {
        if element == "string" {
            return vec![format!("char * {field}")];
        }
        let element = if element == "opaque" { "char".to_owned() } else { c_type(element) };
        return vec![
            "struct {".to_owned(),
            format!("u_int {field}_len"),
            format!("{element} * {field}_val"),
            format!("}} {field}"),
        ];
    }
    if let Some((element, length)) = ty.strip_suffix(']').and_then(|ty| ty.split_once('[')) {
        return vec![format!("{} {field}[{length}]", c_type(element))];
    }
    vec![format!("{} {field}", c_type(ty))]
}

fn c_type(ty: &str) -> String {
    match ty {
        "unsigned int" => "u_int",
        "unsigned short" => "u_short",
        "unsigned char" => "u_char",
        "hyper" => "int64_t",
        "unsigned hyper" => "uint64_t",
        other => other,
    }
    .to_owned()
}
