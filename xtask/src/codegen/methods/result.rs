//! What a method gives, and how it is made from the procedure's answer.

use super::{Object, Subject, unknown};
use crate::codegen::model::{Type, args_name};
use crate::codegen::names;
use anyhow::{Context, Result, bail};

/// The structs of the objects' module that generated methods give.
pub(super) const STRUCTS: [&str; 17] = [
    "DomainBlockInfo",
    "DomainBlockStats",
    "DomainControlInfo",
    "DomainDiskError",
    "DomainFsInfo",
    "DomainInfo",
    "DomainInterface",
    "DomainInterfaceStats",
    "DomainJobInfo",
    "DomainJobStats",
    "DomainMemoryStats",
    "GuestInfo",
    "NetworkDhcpLease",
    "NodeInfo",
    "SecurityLabel",
    "SecurityModel",
    "StoragePoolInfo",
];

/// What a method gives.
pub(super) struct Given {
    /// The Rust type.
    pub(super) ty: String,
    /// What is taken of the answer, behind its name.
    field: String,
    /// What becomes of it: an expression with `{}` where it stands.
    wrap: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// One call.
    Call,
    /// A call that opens a stream.
    Stream,
    /// A call for the number of parameters, then one for as many.
    Params,
}

impl Given {
    pub(super) fn new(of: &Subject<'_>, fields: &[(&str, Type)]) -> Result<Self> {
        if of.procedure.stream.is_some() {
            return Self::stream(fields);
        }
        // What counts a list or the parameters that stand beside it says nothing more.
        let fields: Vec<_> = match fields {
            [(first, Type::Array(..)), (second, Type::Number(_))] if matches!(*second, "ret" | "nerrors") => {
                vec![(*first, fields[0].1.clone())]
            }
            [(_, Type::Array(inner, _)), (second, Type::Number(_))]
                if *second == "nparams" && matches!(**inner, Type::TypedParam(_)) =>
            {
                return Ok(Self {
                    ty: "TypedParams".to_owned(),
                    field: String::new(),
                    wrap: "{}".to_owned(),
                    kind: Kind::Params,
                });
            }
            _ => fields.to_vec(),
        };
        let (ty, field, wrap) = Self::value(of, &fields)?;
        Ok(Self { ty, field, wrap, kind: Kind::Call })
    }

    fn stream(fields: &[(&str, Type)]) -> Result<Self> {
        let (ty, field, wrap) = match fields {
            [] => ("Stream", ".1", "{}"),
            [("mime", Type::Optional(_))] => ("(Text, Stream)", "", "({}.0.mime.unwrap_or_default(), {}.1)"),
            _ => bail!("its stream needs a method by hand"),
        };
        Ok(Self { ty: ty.to_owned(), field: field.to_owned(), wrap: wrap.to_owned(), kind: Kind::Stream })
    }

    /// The type, the field that it is in, and what becomes of it.
    fn value(of: &Subject<'_>, fields: &[(&str, Type)]) -> Result<(String, String, String)> {
        let plain =
            |ty: &str, field: &str| (ty.to_owned(), format!(".{}", names::field(field)), "{}".to_owned());
        let wrapped = |ty: &str, field: &str, wrap: &str| {
            (ty.to_owned(), format!(".{}", names::field(field)), wrap.to_owned())
        };
        let connection = of.object.connection();
        if let Some(kind) = &of.entry.gives {
            if kind == "nothing" {
                return Ok(("()".to_owned(), String::new(), "?{};\nOk(())".to_owned()));
            }
            if let Some(field) = kind.strip_prefix('.') {
                let found = fields.iter().find(|(name, _)| names::field(name) == *field);
                return Self::one(of, found.with_context(|| format!("no field {field}"))?);
            }
            if let Some(element) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
                let [(field, Type::Array(..))] = fields else { bail!("the answer is no list") };
                let wrap = format!("{{}}.into_iter().map({element}::from).collect()");
                return Ok(wrapped(&format!("Vec<{element}>"), field, &wrap));
            }
            if STRUCTS.contains(&kind.as_str()) {
                return Ok((kind.clone(), String::new(), format!("{kind}::from({{}})")));
            }
            let [(field, ty)] = fields else { bail!("the answer is not one field") };
            let call = args_name(of.program, of.procedure);
            let call = format!("{}::{call}", of.program.name);
            return Ok(match (kind.as_str(), ty) {
                ("bool", Type::Number(_)) => wrapped("bool", field, "{} != 0"),
                ("count", Type::Number(number)) if number.rust == "i32" => {
                    return Ok((
                        "u32".to_owned(),
                        format!(".{}", names::field(field)),
                        format!("?count::<{call}>({{}})"),
                    ));
                }
                ("count", Type::Array(inner, _)) if matches!(**inner, Type::Number(_)) => {
                    let wrap = format!("?{{}}.into_iter().map(count::<{call}>).collect()");
                    wrapped("Vec<u32>", field, &wrap)
                }
                ("text", Type::Optional(_)) => wrapped("Text", field, "{}.unwrap_or_default()"),
                ("milliseconds", Type::Number(_)) => wrapped("Duration", field, "Duration::from_millis({})"),
                ("version", Type::Number(_)) => wrapped("Version", field, "Version::from_number({})"),
                (kind, Type::Number(number)) => {
                    let path = of.symbols.by_rust_name(kind).with_context(|| format!("no kind {kind}"))?;
                    let wrap = match number.rust {
                        "i32" => format!("{path}({{}})"),
                        _ => return unknown(kind, ty),
                    };
                    wrapped(&path, field, &wrap)
                }
                (kind, ty) => return unknown(kind, ty),
            });
        }
        match fields {
            [] => Ok(("()".to_owned(), String::new(), String::new())),
            [(field, Type::Array(inner, _))] => Ok(match &**inner {
                Type::Struct(program, name) => {
                    let object = Object::of(program, name).with_context(|| {
                        format!("{} of a list needs `gives`", of.path(program, name).unwrap_or_default())
                    })?;
                    let wrap =
                        format!("{{}}.into_iter().map(|of| {connection}.{}(of)).collect()", object.maker);
                    wrapped(&format!("Vec<{}>", object.name), field, &wrap)
                }
                Type::String(_) => plain("Vec<Text>", field),
                Type::TypedParam(_) => wrapped("TypedParams", field, "{}.into()"),
                Type::Number(number) => plain(&format!("Vec<{}>", number.rust), field),
                other => bail!("a list of {other:?} needs a method by hand"),
            }),
            [field] => Self::one(of, field),
            _ => bail!("several fields need `gives`, or a method by hand"),
        }
    }

    /// One field that is given as it is, or as an object.
    fn one(of: &Subject<'_>, (field, ty): &(&str, Type)) -> Result<(String, String, String)> {
        let access = format!(".{}", names::field(field));
        let (ty, wrap) = match ty {
            Type::Number(number) => (number.rust.to_owned(), "{}".to_owned()),
            Type::String(_) => ("Text".to_owned(), "{}".to_owned()),
            Type::Opaque(_) => ("Bytes".to_owned(), "{}".to_owned()),
            Type::Optional(inner) if matches!(**inner, Type::String(_)) => {
                ("Option<Text>".to_owned(), "{}".to_owned())
            }
            Type::Struct(program, name) => {
                let object = Object::of(program, name).context("no object's handle")?;
                (object.name.to_owned(), format!("{}.{}({{}})", of.object.connection(), object.maker))
            }
            other => bail!("{other:?} needs a method by hand"),
        };
        Ok((ty, access, wrap))
    }

    /// The statements of a call, the last of which gives what is wanted of its answer.
    pub(super) fn call(&self, of: &Subject<'_>, args: &str) -> Call {
        let connection = of.object.connection();
        let (before, args) = match args.contains('{') {
            true if self.kind != Kind::Params => (format!("let args = {args};\n"), "args"),
            _ => (String::new(), args),
        };
        match self.kind {
            Kind::Call if self.wrap.is_empty() => {
                Call { before, value: format!("{connection}.call(&{args}).await") }
            }
            Kind::Call => Call { before, value: format!("{connection}.call(&{args}).await?{}", self.field) },
            Kind::Stream => {
                let options = "CallOptions::default()";
                let value = format!("{connection}.open_stream(&{args}, {options}).await?{}", self.field);
                Call { before, value }
            }
            Kind::Params => {
                let name = args.split(" {").next().unwrap_or(args);
                let asking = args.replacen("nparams", "nparams: 0", 1);
                // Most procedures are asked for the number first; some give everything whatever they are asked.
                let before = format!(
                    "let args = {asking};\n\
                     let reply = {connection}.call(&args).await?;\n\
                     if reply.nparams == 0 {{ return Ok(reply.params.into()); }}\n\
                     let args = {name} {{ nparams: reply.nparams, ..args }};\n"
                );
                Call { before, value: format!("Ok({connection}.call(&args).await?.params.into())") }
            }
        }
    }

    /// The method's body: the call, and what becomes of what it gives.
    pub(super) fn body(&self, call: &Call) -> String {
        let Call { before, value } = call;
        format!("{before}{}", self.wrapped(value))
    }

    /// The method's body where one of two calls is made.
    pub(super) fn body_of_two(&self, condition: &str, first: &Call, second: &Call) -> String {
        let branch = |call: &Call| format!("{}{}", call.before, call.value);
        let either = format!("if {condition} {{ {} }} else {{ {} }}", branch(first), branch(second));
        match self.wrap.as_str() {
            "" => either,
            "{}" => format!("Ok({either})"),
            _ => format!("let got = {either};\n{}", self.wrapped("got")),
        }
    }

    fn wrapped(&self, value: &str) -> String {
        if self.kind == Kind::Params || self.wrap.is_empty() {
            value.to_owned()
        } else if let Some(wrap) = self.wrap.strip_prefix('?') {
            wrap.replace("{}", value)
        } else if self.wrap.matches("{}").count() > 1 {
            format!("let got = {value};\nOk({})", self.wrap.replace("{}", "got"))
        } else {
            format!("Ok({})", self.wrap.replace("{}", value))
        }
    }
}

/// A call: statements, and an expression behind them.
pub(super) struct Call {
    before: String,
    value: String,
}
