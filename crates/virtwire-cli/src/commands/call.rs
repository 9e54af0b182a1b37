//! `virtwire call`: one procedure, once.

use std::io::{Read, Write};

use serde_json::{Map, Value};
use virtwire::CallOptions;
use virtwire_proto::program::{Kind, PROGRAMS, Procedure, remote};

use super::{open, unreadable, write_json};
use crate::connect;
use crate::failure::Failure;
use crate::json::{Missing, from_json, to_json};

/// Calls the procedure and prints what it returns.
pub(crate) async fn run(
    uri: Option<&str>,
    procedure: &str,
    arguments: Option<&str>,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    // All that can be wrong here is found before anything is connected.
    let procedure = find(procedure)?;
    let arguments = parse(arguments)?;
    let payload = from_json(procedure.args, &arguments, Missing::Fill)
        .map_err(|error| Failure::usage(error.within("args")))?;

    let connection = connect::open(uri).await?;
    let reply = connection.call_raw(procedure, &payload, CallOptions::new()).await.map_err(Failure::call)?;
    let ret = to_json(procedure.ret, &reply.payload)
        .map_err(|error| Failure::answer(format_args!("{procedure} returned {}", error.within("ret"))))?;
    write_json(&ret, output)?;
    output.write_all(b"\n").and_then(|()| output.flush()).map_err(Failure::output)?;
    // The answer is there; a connection that ends before it is closed takes nothing from it. The procedure may have
    // been the one that closes it.
    let _ = connection.close().await;
    Ok(())
}

/// The procedure of this name; of the remote program unless another one is named in front.
fn find(name: &str) -> Result<&'static Procedure, Failure> {
    let (program, procedure) = match name.split_once('.') {
        None => (&remote::PROGRAM, name),
        Some((program, procedure)) => {
            let found = PROGRAMS.iter().copied().find(|known| known.name == program);
            let names = || PROGRAMS.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
            let unknown = || format!("{program:?} is no program; there are {}", names());
            (found.ok_or_else(|| Failure::usage(unknown()))?, procedure)
        }
    };
    match program.procedure_named(procedure) {
        Some(procedure) if procedure.kind == Kind::Event => {
            Err(Failure::usage(format_args!("{procedure} is an event: servers send it, nobody can call it")))
        }
        Some(procedure) => Ok(procedure),
        None => Err(Failure::usage(format_args!(
            "{procedure:?} is no procedure of the program {}; `virtwire procedures` lists them",
            program.name
        ))),
    }
}

fn parse(arguments: Option<&str>) -> Result<Value, Failure> {
    let text = match arguments {
        None => return Ok(Value::Object(Map::new())),
        Some("-") => {
            let mut text = String::new();
            open(None)?.read_to_string(&mut text).map_err(|error| unreadable(None, &error))?;
            text
        }
        Some(text) => text.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| Failure::usage(format_args!("args: {error}")))
}
