//! The methods of the client's objects, by what its source says: their names, and which procedures they call.
#![allow(dead_code, reason = "each test target uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use virtwire::proto::program::{PROGRAMS, Procedure};

/// The objects whose methods are the procedures', in the order of the documentation.
pub(crate) const OBJECTS: [&str; 16] = [
    "Connection",
    "Domain",
    "DomainSnapshot",
    "DomainCheckpoint",
    "Network",
    "NetworkPort",
    "Interface",
    "NodeDevice",
    "NwFilter",
    "NwFilterBinding",
    "Secret",
    "StoragePool",
    "StorageVol",
    "AdminConnection",
    "AdminServer",
    "AdminClient",
];

/// A method that calls procedures.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) object: &'static str,
    pub(crate) name: String,
    pub(crate) procedures: Vec<&'static Procedure>,
}

/// The public asynchronous methods of the objects that call a procedure of their own.
pub(crate) fn methods() -> Vec<Method> {
    let functions = functions();
    let mut helpers: BTreeMap<&str, Vec<&Function>> = BTreeMap::new();
    for function in functions.iter().filter(|function| !function.is_public) {
        helpers.entry(&function.name).or_default().push(function);
    }
    let mut methods = Vec::new();
    for object in OBJECTS {
        for function in functions.iter().filter(|of| of.is_public && of.object.as_deref() == Some(object)) {
            let mut words = BTreeSet::new();
            reach(function, &helpers, &mut words, &mut BTreeSet::new());
            let procedures: Vec<_> = procedures().filter(|of| words.contains(&args_name(of))).collect();
            if !procedures.is_empty() {
                methods.push(Method { object, name: function.name.clone(), procedures });
            }
        }
    }
    methods
}

/// What the source of the library says of a public type, function or method: one that `pub` stands before.
#[derive(Debug)]
pub(crate) struct Item {
    /// The type that it is a method of.
    pub(crate) object: Option<String>,
    pub(crate) name: String,
    /// Its documentation.
    pub(crate) doc: String,
    /// What else it is found by.
    pub(crate) aliases: Vec<String>,
}

impl Item {
    pub(crate) fn path(&self) -> String {
        self.object.iter().map(|object| format!("{object}::")).chain([self.name.clone()]).collect()
    }
}

/// The public types of the library, and the public methods of its types.
pub(crate) fn items() -> Vec<Item> {
    let mut files = Vec::new();
    collect(&src(), &mut files);
    files.iter().flat_map(|file| items_of(&fs::read_to_string(file).unwrap())).collect()
}

/// Reads source as rustfmt writes it, as [`parse`] does.
fn items_of(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut object: Option<(usize, String)> = None;
    let (mut doc, mut aliases) = (String::new(), Vec::new());
    for line in text.lines() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("#[cfg(test)]") {
            break;
        }
        if let Some(text) = code.strip_prefix("///") {
            doc.push_str(text);
            doc.push('\n');
            continue;
        }
        if let Some(attribute) = code.strip_prefix("#[") {
            if let Some(alias) = attribute.strip_prefix("doc(alias = \"") {
                aliases.extend(alias.split('"').next().map(str::to_owned));
            } else if let Some((_, text)) = attribute.split_once("doc = ") {
                let text = text.trim_start_matches("concat!(").trim_start_matches('"');
                doc.push_str(text.split('"').next().unwrap_or_default());
                doc.push('\n');
            }
            continue;
        }
        let (doc, aliases) = (std::mem::take(&mut doc), std::mem::take(&mut aliases));
        let mut item = |object: Option<String>, name: &str| {
            let name = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            items.push(Item { object, name, doc: doc.clone(), aliases: aliases.clone() });
        };
        if let Some((start, _)) = &object
            && code == "}"
            && indent == *start
        {
            object = None;
        } else if let Some(of) = code.strip_prefix("impl ").and_then(|code| code.strip_suffix(" {")) {
            let of = of.split('<').next().unwrap_or(of);
            object = Some((indent, of.to_owned()));
        } else if let Some((name, true)) = function_name(code) {
            // What a macro writes is documented there.
            if !name.starts_with('$') {
                item(object.as_ref().map(|(_, name)| name.clone()), &name);
            }
        } else if let Some(name) = ["pub struct ", "pub enum "].iter().find_map(|of| code.strip_prefix(of)) {
            item(None, name);
        }
    }
    items.retain(|item| !item.name.is_empty());
    items
}

/// The procedures that clients call.
pub(crate) fn procedures() -> impl Iterator<Item = &'static Procedure> {
    let programs = PROGRAMS.iter().filter(|of| ["remote", "qemu", "lxc", "admin"].contains(&of.name));
    programs.flat_map(|of| of.procedures).filter(|of| of.kind == virtwire::proto::program::Kind::Call)
}

/// The type of a procedure's arguments, as `program::name` in lower case without underscores.
fn args_name(procedure: &Procedure) -> String {
    let program = procedure.program.name;
    let name = match procedure.args.name {
        "" => format!("{}_args", procedure.name),
        name => name.trim_start_matches(&format!("{program}_")).to_owned(),
    };
    format!("{program}::{}", name.replace('_', ""))
}

/// A function of the source.
#[derive(Debug)]
struct Function {
    /// The type that it is a method of.
    object: Option<String>,
    name: String,
    is_public: bool,
    /// Words of its body, and paths of two words, in lower case.
    words: BTreeSet<String>,
    /// Words of its body that a parenthesis follows.
    calls: BTreeSet<String>,
}

/// Collects the words of a function and of the private ones that it calls.
fn reach<'a>(
    function: &'a Function,
    helpers: &BTreeMap<&str, Vec<&'a Function>>,
    words: &mut BTreeSet<String>,
    seen: &mut BTreeSet<*const Function>,
) {
    if !seen.insert(function) {
        return;
    }
    words.extend(function.words.iter().cloned());
    for call in &function.calls {
        for helper in helpers.get(call.as_str()).into_iter().flatten() {
            reach(helper, helpers, words, seen);
        }
    }
}

/// All functions of what the objects are made of.
fn functions() -> Vec<Function> {
    let src = src();
    let mut files = vec![src.join("events.rs")];
    for folder in ["objects", "events"] {
        collect(&src.join(folder), &mut files);
    }
    files
        .iter()
        .filter(|file| file.exists())
        .flat_map(|file| parse(&fs::read_to_string(file).unwrap()))
        .collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Reads source as rustfmt writes it: what begins with an indentation ends with a brace at the same one.
fn parse(text: &str) -> Vec<Function> {
    let mut functions = Vec::new();
    let mut object: Option<(usize, String)> = None;
    let mut current: Option<(usize, Function)> = None;
    for line in text.lines() {
        let code = line.trim_start();
        if code.starts_with("#[cfg(test)]") {
            break;
        }
        if code.starts_with("//") || code.is_empty() {
            continue;
        }
        let indent = line.len() - code.len();
        if let Some((start, function)) = &mut current {
            words(code, function);
            if code == "}" && indent == *start {
                functions.push(current.take().expect("it is there").1);
            }
            continue;
        }
        if let Some((start, _)) = &object
            && code == "}"
            && indent == *start
        {
            object = None;
        } else if let Some(of) = code.strip_prefix("impl ").and_then(|code| code.strip_suffix(" {")) {
            object = Some((indent, of.to_owned()));
        } else if let Some((name, is_public)) = function_name(code) {
            let object = object.as_ref().map(|(_, name)| name.clone());
            let mut function =
                Function { object, name, is_public, words: BTreeSet::new(), calls: BTreeSet::new() };
            words(code, &mut function);
            if code.ends_with('}') {
                functions.push(function);
            } else {
                current = Some((indent, function));
            }
        }
    }
    functions
}

/// `pub(super) async fn name(...` as its name, and whether it is public.
fn function_name(code: &str) -> Option<(String, bool)> {
    let (before, behind) = code.split_once("fn ")?;
    let is_head = before.split_whitespace().all(|word| {
        matches!(word, "pub" | "async" | "const") || word.starts_with("pub(") || word.ends_with(')')
    });
    let name: String = behind.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (is_head && !name.is_empty()).then(|| (name, before.split_whitespace().next() == Some("pub")))
}

fn words(code: &str, function: &mut Function) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = code;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c) && c != ':').unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(':');
        rest = &rest[end..];
        let mut last: Vec<&str> = path.rsplit("::").take(2).collect();
        last.reverse();
        function.words.insert(last.join("::").to_lowercase());
        if rest.starts_with('(')
            && let Some(call) = last.last()
        {
            function.calls.insert((*call).to_owned());
        }
    }
}
