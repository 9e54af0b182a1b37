//! A program's service trait, for servers: a method for each procedure, and the way from a number to its method.

use super::model::{args_name, type_name};
use super::names;
use crate::protocol::{Procedure, Program};
use anyhow::Result;
use std::fmt::Write as _;

/// The programs that have a service trait.
pub(super) const PROGRAMS: [&str; 4] = ["remote", "qemu", "lxc", "admin"];

/// The procedures that the server itself answers.
const ANSWERED: [(&str, &str); 9] = [
    ("remote", "auth_list"),
    ("remote", "auth_polkit"),
    ("remote", "auth_sasl_init"),
    ("remote", "auth_sasl_start"),
    ("remote", "auth_sasl_step"),
    ("remote", "connect_close"),
    ("remote", "connect_register_close_callback"),
    ("remote", "connect_unregister_close_callback"),
    ("admin", "connect_close"),
];

/// Which procedures take descriptors from the client, or give it some: the definitions do not say it.
const TAKE_DESCRIPTORS: [(&str, &str); 5] = [
    ("remote", "domain_open_graphics"),
    ("remote", "domain_create_xml_with_files"),
    ("remote", "domain_create_with_files"),
    ("remote", "domain_fd_associate"),
    ("qemu", "domain_monitor_command_with_files"),
];
const GIVE_DESCRIPTORS: [(&str, &str); 3] = [
    ("remote", "domain_open_graphics_fd"),
    ("lxc", "domain_open_namespace"),
    ("qemu", "domain_monitor_command_with_files"),
];

/// The module of a program's service trait.
pub(super) fn service(program: &Program) -> Result<String> {
    let name = &program.name;
    let trait_name = names::camel(name) + "Service";
    let is = |list: &[(&str, &str)], procedure: &Procedure| {
        list.iter().any(|(of, name)| *of == program.name && *name == procedure.name)
    };
    let (mut methods, mut arms) = (String::new(), String::new());
    let (mut streams, mut descriptors) = (false, false);
    for procedure in &program.procedures {
        if !procedure.is_call() || is(&ANSWERED, procedure) {
            continue;
        }
        let args = args_name(program, procedure);
        let mut ret = match &procedure.ret {
            Some(ret) => format!("{name}::{}", type_name(program, ret)),
            None => "()".to_owned(),
        };
        let (mut parameters, mut unused, mut kind) = (String::new(), String::new(), "call");
        if procedure.stream.is_some() {
            (streams, kind) = (true, "call_stream");
            parameters.push_str(", stream: Stream");
            unused.push_str("drop(stream);");
        }
        if is(&TAKE_DESCRIPTORS, procedure) {
            (descriptors, kind) = (true, "call_descriptors");
            parameters.push_str(", descriptors: Vec<Descriptor>");
            unused.push_str("drop(descriptors);");
        }
        if is(&GIVE_DESCRIPTORS, procedure) {
            let takes = is(&TAKE_DESCRIPTORS, procedure);
            kind = if takes { "call_exchanging_descriptors" } else { "call_giving_descriptors" };
            descriptors = true;
            ret = format!("({ret}, Vec<Descriptor>)");
        }
        let method = &procedure.name;
        let _ = writeln!(
            methods,
            "{}fn {method}(&self, client: &Client, args: {name}::{args}{parameters})
                -> impl Future<Output = Result<{ret}>> + Send {{ {unused} unsupported(client, args) }}\n",
            doc(program, procedure),
        );
        let _ = writeln!(
            arms,
            "{} => {kind}!(service, client, request, {method}, {name}::{args}),",
            procedure.number
        );
    }
    let mut out = format!(
        "//! What a server of the program \"{name}\" implements.\n
        use super::ServiceFuture;
        use super::dispatch::*;
        use super::Request;
        use crate::client::Client;
        use crate::error::Result;
        use std::future::Future;
        use std::sync::Arc;
        use virtwire_proto::program::{name};\n"
    );
    if streams {
        out.push_str("use crate::stream::Stream;\n");
    }
    if descriptors {
        out.push_str("use virtwire_proto::packet::Descriptor;\n");
    }
    let _ = writeln!(
        out,
        "
        /// A server of the program \"{name}\": a method for each procedure that clients call.
        ///
        /// What is not implemented answers that the driver does not support it (`VIR_ERR_NO_SUPPORT`), as
        /// libvirt does. Implement a method as `async fn`. [`Service::call`](crate::Service::call) says how
        /// they run; [`Programs`](crate::Programs) makes a service of them.
        pub trait {trait_name}: Send + Sync + 'static {{
            {methods}
        }}

        /// Calls the method of a procedure.
        pub(super) fn dispatch<S: {trait_name}>(service: Arc<S>, client: Client, request: Request) -> ServiceFuture {{
            match request.procedure.number {{
                {arms}
                _ => unanswered(&request),
            }}
        }}"
    );
    Ok(out)
}

fn doc(program: &Program, procedure: &Procedure) -> String {
    let name = format!("{}PROC_{}", program.constant_prefix, procedure.name.to_ascii_uppercase());
    let mut doc = format!("/// Answers `{name}` ({})", procedure.number);
    if let Some(function) = &procedure.c_name {
        let _ = write!(doc, ", `{function}`");
    }
    doc.push('.');
    if let Some(since) = &procedure.since {
        let _ = write!(doc, " Since libvirt {since}.");
    }
    doc.push('\n');
    if let Some(function) = &procedure.c_name {
        let _ = writeln!(doc, "#[doc(alias = {function:?})]");
    }
    doc
}
