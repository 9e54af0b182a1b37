//! `call` and `list` at a real daemon, and every procedure of the remote program sent to one.

mod command;
mod serving;

use std::fs;
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::Duration;

use command::virtwire;
use rustix::process::Signal;
use serde_json::{Value, json};
use serving::Serving;
use virtwire::proto::enums::ErrorNumber;
use virtwire::proto::program::{Kind, Procedure, Version, remote};
use virtwire::{CallOptions, Connection, Error};
use virtwire_cli::json::{Missing, from_json, minimal, to_json};
use virtwire_testbed::{Config, Daemon, Failed, Testbed, run, run_tests, tests};

fn main() -> ExitCode {
    run_tests(tests![
        list_is_virshs,
        lists_in_json,
        a_call_prints_its_reply,
        a_servers_error_is_one_line_and_1,
        what_makes_no_sense_is_2_and_sends_nothing,
        no_connection_is_3,
        the_environment_names_the_default,
        tcp_is_spoken_too,
        every_procedure_is_answered,
        virsh_is_served,
    ])
}

/// The command at this daemon.
fn at(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = virtwire();
    command.args(["-c", &daemon.uri()]).args(arguments);
    command
}

fn succeed(mut command: Command) -> Result<String, Failed> {
    let output = command.output()?;
    if output.status.success() && output.stderr.is_empty() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

/// The status and the one line on standard error of a command that fails and prints nothing.
fn fail(mut command: Command) -> Result<(i32, String), Failed> {
    let Output { status, stdout, stderr } = command.output()?;
    let said = String::from_utf8(stderr)?;
    assert_eq!((stdout.as_slice(), said.lines().count()), (&b""[..], 1), "{command:?}: {said}");
    Ok((status.code().ok_or("ended by a signal")?, said.trim_end().to_owned()))
}

/// A node with domains in many states; the file is private to each connection.
fn node(daemon: &Daemon) -> Result<String, Failed> {
    let domain = |name: &str, state: u8| {
        format!(
            "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>{name}</name>\
             <memory>8192</memory><os><type>hvm</type></os><test:runstate>{state}</test:runstate></domain>"
        )
    };
    let domains =
        [("zebra", 1), ("apple", 5), ("a-name-that-is-long", 3), ("Berta", 5), ("umläut", 5), ("broken", 6)];
    let domains: String = domains.iter().map(|(name, state)| domain(name, *state)).collect();
    let file = daemon.folder().join("node.xml");
    fs::write(&file, format!("<node><cpu><nodes>1</nodes></cpu>{domains}</node>"))?;
    Ok(format!("test+unix://{}?socket={}", file.display(), daemon.socket().display()))
}

fn list_is_virshs(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    for uri in [daemon.uri(), node(&daemon)?] {
        for options in [&[][..], &["--all"], &["--inactive"]] {
            let mut virsh = testbed.virsh();
            // Without this it escapes what is not ASCII.
            virsh.env("LC_ALL", "C.UTF-8").args(["-c", &uri, "list"]).args(options);
            let theirs = run(&mut virsh)?;
            let mut ours = virtwire();
            ours.args(["list", "--connect", &uri]).args(options);
            assert_eq!(succeed(ours)?, theirs, "{options:?}");
        }
    }
    Ok(())
}

fn lists_in_json(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let list: Value = serde_json::from_str(&succeed(at(&daemon, &["list", "--json"]))?)?;
    assert_eq!(
        list,
        json!([{"id": 1, "name": "test", "uuid": "6695eb01-f6a4-8304-79aa-97f2502e193f", "state": "running"}])
    );
    let none: Value = serde_json::from_str(&succeed(at(&daemon, &["list", "--inactive", "--json"]))?)?;
    assert_eq!(none, json!([]));

    let mut all = virtwire();
    all.args(["-c", &node(&daemon)?, "list", "--all", "--json"]);
    let all: Vec<Value> = serde_json::from_str(&succeed(all)?)?;
    assert_eq!(all.len(), 6);
    let apple = all.iter().find(|row| row["name"] == "apple").ok_or("it is listed")?;
    assert_eq!((&apple["id"], &apple["state"]), (&Value::Null, &json!("shut off")));
    Ok(())
}

fn a_call_prints_its_reply(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let reply = succeed(at(&daemon, &["call", "domain_lookup_by_name", r#"{"name":"test"}"#]))?;
    assert_eq!(
        reply,
        "{\"dom\":{\"name\":\"test\",\"uuid\":\"6695eb01-f6a4-8304-79aa-97f2502e193f\",\"id\":1}}\n"
    );
    // A reply is what the next call takes, and what is missing is zero.
    let xml = succeed(at(&daemon, &["call", "remote.domain_get_xml_desc", &reply]))?;
    assert!(serde_json::from_str::<Value>(&xml)?["xml"].as_str().ok_or("a text")?.starts_with("<domain"));
    assert_eq!(succeed(at(&daemon, &["call", "domain_suspend", &reply]))?, "{}\n");
    let stats = succeed(at(&daemon, &["call", "connect_get_all_domain_stats"]))?;
    let stats = &serde_json::from_str::<Value>(&stats)?["retStats"][0];
    assert_eq!(stats["dom"]["name"], "test");
    assert_eq!(stats["params"][0], json!({"field": "state.state", "value": {"type": "int", "value": 1}}));

    let input = command::run(&["-c", &daemon.uri(), "call", "domain_lookup_by_id", "-"], b"{\"id\": 1}");
    assert_eq!(serde_json::from_slice::<Value>(&input.stdout)?["dom"]["name"], "test");
    // It opens a stream, which is given up, and ends the connection, which is none.
    assert_eq!(succeed(at(&daemon, &["call", "domain_screenshot", &reply]))?, "{\"mime\":\"image/png\"}\n");
    assert_eq!(succeed(at(&daemon, &["call", "connect_close"]))?, "{}\n");
    assert_eq!(run(daemon.virsh().args(["list", "--name"]))?.lines().next(), Some("test"));
    Ok(())
}

fn a_servers_error_is_one_line_and_1(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let lookup = at(&daemon, &["call", "domain_lookup_by_name", r#"{"name":"nobody"}"#]);
    assert_eq!(
        fail(lookup)?,
        (1, "error: VIR_ERR_NO_DOMAIN (42) of VIR_FROM_TEST (12): Domain not found".to_owned())
    );
    let (status, said) = fail(at(&daemon, &["call", "qemu.domain_monitor_command"]))?;
    assert_eq!(status, 1);
    assert!(said.starts_with("error: VIR_ERR_NO_SUPPORT (3) of VIR_FROM_NONE (0): this function"), "{said}");
    let (status, said) = fail(at(&daemon, &["call", "admin.connect_list_servers"]))?;
    assert_eq!(status, 1);
    assert!(said.starts_with("error: VIR_ERR_RPC (39) of VIR_FROM_RPC (7): Cannot find program"), "{said}");
    Ok(())
}

fn what_makes_no_sense_is_2_and_sends_nothing(_: &Testbed) -> Result<(), Failed> {
    for (arguments, expected) in [
        (
            &["nope"][..],
            "error: \"nope\" is no procedure of the program remote; `virtwire procedures` lists them",
        ),
        (
            &["nope.nope"],
            "error: \"nope\" is no program; there are remote, qemu, lxc, admin, lock, log, keepalive",
        ),
        (
            &["domain_event_lifecycle"],
            "error: remote.domain_event_lifecycle is an event: servers send it, nobody can call it",
        ),
        (&["domain_get_info", "{"], "error: args: EOF while parsing an object at line 1 column 1"),
        (&["domain_get_info", r#"{"dom":{"uuid":5}}"#], "error: args.dom.uuid: expected a UUID, got 5"),
        (&["domain_get_info", r#"{"domain":1}"#], "error: args.domain: unknown field, expected dom"),
        (&["domain_get_info", "-1"], "error: args: expected an object, got -1"),
    ] {
        let mut call = virtwire();
        // There is nothing to connect to, and no attempt to.
        call.args(["-c", "test+unix:///default?socket=/nonexistent", "call"]).args(arguments);
        assert_eq!(fail(call)?, (2, expected.to_owned()));
    }
    Ok(())
}

fn no_connection_is_3(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let refused = format!("nope+unix:///?socket={}", daemon.socket().display());
    for (uri, expected) in [
        ("test+unix:///default?socket=/nonexistent", "cannot connect to /nonexistent: No such file"),
        ("test+tcp://127.0.0.1:1/default", "cannot connect to 127.0.0.1:1: Connection refused"),
        ("nonsense", "\"nonsense\" is not a connection URI"),
        (&refused, "connection driver"),
    ] {
        for arguments in [&["list"][..], &["call", "connect_get_hostname"]] {
            let mut command = virtwire();
            command.args(["-c", uri]).args(arguments);
            let (status, said) = fail(command)?;
            assert!(
                status == 3 && said.starts_with("error: ") && said.contains(expected),
                "{status}: {said}"
            );
        }
    }
    Ok(())
}

fn the_environment_names_the_default(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let mut call = virtwire();
    call.args(["call", "connect_get_uri"]).env("LIBVIRT_DEFAULT_URI", daemon.uri());
    assert_eq!(succeed(call)?, "{\"uri\":\"test:///default\"}\n");
    Ok(())
}

fn tcp_is_spoken_too(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().listen_tcp())?;
    let uri = format!("test+tcp://127.0.0.1:{}/default", daemon.tcp_port().ok_or("it was asked for")?);
    let mut list = virtwire();
    list.args(["-c", &uri, "list", "--json"]);
    assert!(succeed(list)?.contains("\"name\":\"test\""));
    Ok(())
}

/// Procedures that are not sent, each with the reason.
const LEFT_OUT: [(&str, &str); 3] = [
    ("connect_open", "has been sent; a second one takes the connection's hypervisor away"),
    ("connect_close", "ends the connection that the others need"),
    ("node_suspend_for_duration", "would put the machine to sleep, were the daemon to do it"),
];

/// How a procedure was answered.
enum Answer {
    /// With what it returns.
    Reply,
    /// With an error about the arguments or the driver.
    Error,
    /// The daemon is older.
    Unknown(Option<Version>),
}

fn every_procedure_is_answered(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut replies, mut errors, mut unknown, mut wrong) = (0, 0, 0, Vec::new());
    runtime.block_on(async {
        let connection = Connection::open(&daemon.uri()).await?;
        for procedure in remote::PROGRAM.procedures.iter().filter(|it| it.kind == Kind::Call) {
            if LEFT_OUT.iter().any(|(name, _)| *name == procedure.name) {
                continue;
            }
            match answer(&connection, procedure).await {
                Ok(Answer::Reply) => replies += 1,
                Ok(Answer::Error) => errors += 1,
                Ok(Answer::Unknown(since)) => {
                    let version = testbed.version();
                    let version = Version::new(version.0 as u16, version.1 as u16, version.2 as u16);
                    if since.is_none_or(|since| since <= version) {
                        wrong.push(format!("{procedure} is unknown, though since {since:?}"));
                    }
                    unknown += 1;
                }
                Err(problem) => wrong.push(format!("{procedure}: {problem}")),
            }
            if let Some(reason) = connection.close_reason() {
                return Err(Failed::from(format!("{procedure} ended the connection: {reason}")));
            }
        }
        // The same connection still works, and so does a new one.
        connection.domain_lookup_by_name("test").await?;
        connection.close().await?;
        Ok::<_, Failed>(())
    })?;
    println!(
        "{replies} replies and {errors} errors about arguments or driver; {unknown} procedures are newer than \
         the daemon, {} left out",
        LEFT_OUT.len()
    );
    for (name, reason) in LEFT_OUT {
        println!("left out: {name}: {reason}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let calls = remote::PROGRAM.procedures.iter().filter(|procedure| procedure.kind == Kind::Call).count();
    assert_eq!(replies + errors + unknown + LEFT_OUT.len(), calls);
    assert_eq!(run(daemon.virsh().args(["list", "--name"]))?.lines().next(), Some("test"));
    Ok(())
}

/// Sends a procedure with minimal arguments. An error is one about the wire.
async fn answer(connection: &Connection, procedure: &'static Procedure) -> Result<Answer, String> {
    let payload = from_json(procedure.args, &minimal(procedure.args), Missing::Refuse);
    let payload = payload.map_err(|error| error.to_string())?;
    let options = CallOptions::new().timeout(Duration::from_secs(20));
    match connection.call_raw(procedure, &payload, options).await {
        Ok(reply) => {
            let ret = to_json(procedure.ret, &reply.payload).map_err(|error| error.to_string())?;
            let again = from_json(procedure.ret, &ret, Missing::Refuse).map_err(|error| error.to_string())?;
            if again == reply.payload {
                Ok(Answer::Reply)
            } else {
                Err(format!("not all of the reply is in {ret}"))
            }
        }
        Err(Error::Unsupported { since, .. }) => Ok(Answer::Unknown(since)),
        Err(Error::Libvirt(error)) => {
            let message = error.message.to_string_lossy();
            // The last one would mean that an earlier procedure has closed something that the others need.
            let amiss = ["decode", "encode", "connection not open"].iter().any(|word| message.contains(word));
            if error.code == ErrorNumber::RPC || amiss { Err(error.to_string()) } else { Ok(Answer::Error) }
        }
        Err(error) => Err(error.to_string()),
    }
}

fn virsh_is_served(testbed: &Testbed) -> Result<(), Failed> {
    let folder = tempfile::Builder::new().prefix("virtwire-").tempdir_in("/tmp")?;
    let socket = folder.path().join("sock");
    let serving = Serving::start(&["--listen", &format!("unix:{}", socket.display())]);
    let uri = Daemon::uri_at(&socket);
    let virsh = |arguments: &[&str]| {
        let mut command = testbed.virsh();
        command.args(["-c", &uri]).args(arguments);
        command
    };
    let ours = |arguments: &[&str]| {
        let mut command = virtwire();
        command.args(["-c", &uri]).args(arguments);
        succeed(command)
    };
    let file = folder.path().join("domain.xml");
    fs::write(
        &file,
        "<domain type='test'><name>one</name><memory>8192</memory><os><type>hvm</type></os></domain>",
    )?;
    let file = file.to_str().ok_or("a text")?;
    assert_eq!(run(&mut virsh(&["list"]))?, ours(&["list"])?);
    assert!(run(&mut virsh(&["dumpxml", "test"]))?.contains("<name>test</name>"));

    let mut events = virsh(&["event", "--event", "lifecycle", "--loop", "--timeout", "5"]);
    let events = events.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    // There is no telling from outside that it has registered; it takes a few milliseconds.
    thread::sleep(Duration::from_secs(1));
    for (step, state) in [
        (&["define", file][..], Some("shut off")),
        (&["start", "one"], Some("running")),
        (&["suspend", "one"], Some("paused")),
        (&["resume", "one"], Some("running")),
        (&["destroy", "one"], Some("shut off")),
        (&["undefine", "one"], None),
    ] {
        run(&mut virsh(step))?;
        // What one virsh has done, another one and our own client see.
        let theirs = run(&mut virsh(&["list", "--all"]))?;
        assert_eq!(theirs, ours(&["list", "--all"])?);
        let line = theirs.lines().find(|line| line.contains(" one "));
        assert_eq!(line.map(|line| line.ends_with(state.unwrap_or("?"))), state.map(|_| true), "{theirs}");
    }
    let said = String::from_utf8(events.wait_with_output()?.stdout)?;
    let kinds: Vec<_> = said.lines().filter_map(|line| line.split("'one': ").nth(1)).collect();
    let kinds: Vec<_> = kinds.iter().filter_map(|kind| kind.split(' ').next()).collect();
    assert_eq!(kinds, ["Defined", "Started", "Suspended", "Resumed", "Stopped", "Undefined"], "{said}");
    assert_eq!(serving.end(Signal::TERM).0, Some(0));
    assert!(!socket.exists());
    Ok(())
}
