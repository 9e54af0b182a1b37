//! The server judged by libvirt: virsh talks to it, and it answers as libvirtd does.

mod common;

use common::raw::{Raw, Wire};
use common::tiny::{Tiny, domain, lifecycle, server, tiny};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use virtwire_proto::connection::{CallOptions, Time};
use virtwire_proto::enums::ErrorNumber;
use virtwire_proto::program::remote::{ConnectOpenArgs, PROGRAM};
use virtwire_proto::program::{EventClass, Kind, Procedure};
use virtwire_server::{Error, Listener, Object, Server};
use virtwire_testbed::{Config, Daemon, Failed, Testbed, run, run_tests, tests, wait_until};

fn main() -> ExitCode {
    run_tests(tests![
        virsh_lists_domains,
        virsh_over_tcp,
        virsh_shows_errors,
        virsh_may_not_write_on_a_socket_for_reading,
        virsh_sees_events,
        a_hundred_virshs_at_once,
        read_only_connections_are_refused_what_libvirtd_refuses,
        functions_that_are_not_there_are_refused_as_by_libvirtd,
    ])
}

/// A server with two sockets that virsh can reach.
struct Served {
    tiny: Arc<Tiny>,
    server: Server,
    folder: TempDir,
    runtime: Runtime,
}

fn serve() -> Result<Served, Failed> {
    // Of the machine's folders a virsh of another version sees this one alone.
    let folder = tempfile::tempdir_in("/tmp")?;
    let runtime = Runtime::new()?;
    let (tiny, _) = tiny();
    let server = server(&tiny);
    let served = Served { tiny, server, folder, runtime };
    let inside = served.runtime.enter();
    served.server.listen(Listener::unix(served.path("sock"), 0o777)?);
    served.server.listen(Listener::unix(served.path("sock-ro"), 0o777)?.read_only(true));
    drop(inside);
    Ok(served)
}

impl Served {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn virsh_on(&self, testbed: &Testbed, socket: &str) -> Command {
        let mut virsh = testbed.virsh();
        virsh.args(["-c", &format!("test+unix:///default?socket={}", self.path(socket).display())]);
        virsh
    }

    fn virsh(&self, testbed: &Testbed) -> Command {
        self.virsh_on(testbed, "sock")
    }
}

fn virsh_lists_domains(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let list = run(served.virsh(testbed).arg("list"))?;
    let row: Vec<_> = list.lines().nth(2).unwrap_or_default().split_whitespace().collect();
    assert_eq!(row, ["1", "tiny", "running"], "{list}");
    assert_eq!(run(served.virsh(testbed).arg("hostname"))?.trim(), "tiny.example");
    assert_eq!(run(served.virsh(testbed).args(["domstate", "tiny", "--reason"]))?.trim(), "running (booted)");
    Ok(())
}

fn virsh_over_tcp(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let _inside = served.runtime.enter();
    let listener = served.runtime.block_on(Listener::tcp("127.0.0.1:0"))?;
    let address = listener.address().to_string();
    served.server.listen(listener);
    let uri = format!("test+tcp://{}/default", address.trim_start_matches("tcp:"));
    assert_eq!(run(testbed.virsh().args(["-c", &uri, "hostname"]))?.trim(), "tiny.example");
    Ok(())
}

fn virsh_shows_errors(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let error = |args: &[&str]| run(served.virsh(testbed).args(args)).unwrap_err().to_string();
    let unsupported = "error: this function is not supported by the connection driver: virDomainDestroy";
    let text = error(&["destroy", "tiny"]);
    assert!(text.contains(unsupported), "{text}");
    let text = error(&["domstate", "nobody"]);
    assert!(text.contains("failed to get domain 'nobody'"), "{text}");
    Ok(())
}

fn virsh_may_not_write_on_a_socket_for_reading(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let mut virsh = served.virsh_on(testbed, "sock-ro");
    assert_eq!(run(virsh.args(["-r", "hostname"]))?.trim(), "tiny.example");
    // Without -r virsh asks for a connection that may write: the socket decides.
    let text = run(served.virsh_on(testbed, "sock-ro").args(["destroy", "tiny"])).unwrap_err().to_string();
    assert!(text.contains("read only access prevents virDomainDestroy"), "{text}");
    Ok(())
}

fn virsh_sees_events(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let mut virsh = served.virsh(testbed);
    virsh.args(["event", "--event", "lifecycle", "--timeout", "20"]).stdout(Stdio::piped());
    let mut child = virsh.spawn()?;
    let object = Object::Uuid(domain().uuid);
    // virsh ends with the first event; its library drops one that comes before it has dealt with the answer to
    // the registration.
    let ended = wait_until(Instant::now() + Duration::from_secs(20), || {
        if let Some(client) = served.tiny.client.lock().unwrap().clone() {
            client.notify(EventClass::Domain, 0, Some(&object), |id| lifecycle(id, 2)).unwrap();
        }
        child.try_wait().is_ok_and(|status| status.is_some())
    });
    assert!(ended, "virsh has seen no event");
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("'lifecycle' for domain 'tiny'"), "{text}");
    Ok(())
}

fn a_hundred_virshs_at_once(testbed: &Testbed) -> Result<(), Failed> {
    let served = serve()?;
    let children: Result<Vec<_>, _> =
        (0..100).map(|_| served.virsh(testbed).arg("hostname").stdout(Stdio::piped()).spawn()).collect();
    for child in children? {
        assert_eq!(child.wait_with_output()?.stdout, b"tiny.example\n\n");
    }
    Ok(())
}

/// Calls whose answer is not for every caller, that end the connection, or that would wait.
const LEFT_OUT: [&str; 9] = [
    "connect_open",
    "connect_close",
    "auth_list",
    "auth_sasl_init",
    "auth_sasl_start",
    "auth_sasl_step",
    "auth_polkit",
    "connect_set_identity",
    "domain_migrate_set_max_speed",
];

/// What libvirtd may find wrong before it looks whether a connection is read-only.
const BEFORE: [ErrorNumber; 3] = [ErrorNumber::RPC, ErrorNumber::INVALID_ARG, ErrorNumber::INTERNAL_ERROR];

/// Code, domain and message of an error, or nothing where there is none.
type Answer = Option<(i32, i32, String)>;

/// What libvirtd answers to every procedure with arguments that are all zeros.
fn answers(daemon: &Daemon, read_only: bool) -> Result<Vec<(&'static Procedure, Answer)>, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = if read_only { daemon.socket_ro() } else { daemon.socket() };
        let mut raw = Raw::new(Wire::Unix(UnixStream::connect(path).await?));
        let open = ConnectOpenArgs { name: Some("test:///default".into()), flags: u32::from(read_only) };
        raw.call(&open).await.map_err(|error| format!("{error:?}"))?;
        let mut answers = Vec::new();
        for procedure in PROGRAM.procedures {
            if procedure.kind == Kind::Event || LEFT_OUT.contains(&procedure.name) {
                continue;
            }
            let zeros = [0; 1024];
            let serial = raw.machine.call_raw(procedure, &zeros, CallOptions::default(), Time::START)?;
            let error = raw.reply(serial).await.err();
            let error = error.map(|error| {
                (
                    error.code,
                    error.domain,
                    error.message.map(|text| text.to_string_lossy().into()).unwrap_or_default(),
                )
            });
            answers.push((procedure, error));
        }
        Ok(answers)
    })
}

fn read_only_connections_are_refused_what_libvirtd_refuses(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let (mut refused, mut differ) = (0, Vec::new());
    for (procedure, answer) in answers(&daemon, true)? {
        let ours = Error::read_only(procedure);
        let ours = (ours.message().code, ours.message().domain, ours.to_string());
        let denied = |answer: &(i32, i32, String)| answer.0 == ErrorNumber::OPERATION_DENIED.0;
        refused += usize::from(answer.as_ref().is_some_and(denied));
        match answer {
            Some(theirs) if procedure.writes && theirs == ours => {}
            // Refused before it came to that: the procedure is younger than the daemon, a descriptor is
            // missing, or an argument may not be zero.
            Some((code, ..)) if procedure.writes && BEFORE.contains(&ErrorNumber(code)) => {}
            // Allowed since a version behind 9.0.
            Some(_) if !procedure.writes && procedure.name == "node_device_get_autostart" => {}
            answer if !procedure.writes && !answer.as_ref().is_some_and(denied) => {}
            theirs => differ.push(format!("{procedure}: {theirs:?}, here {}", procedure.writes)),
        }
    }
    println!("{refused} procedures are refused");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(refused > 150, "{refused}");
    Ok(())
}

fn functions_that_are_not_there_are_refused_as_by_libvirtd(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let (mut refused, mut differ) = (0, Vec::new());
    for (procedure, answer) in answers(&daemon, false)? {
        // Drivers have further reasons of their own for this kind of error.
        let lacks =
            |code, message: &str| code == ErrorNumber::NO_SUPPORT.0 && message.contains("driver: vir");
        let Some(theirs) = answer.filter(|(code, _, message)| lacks(*code, message)) else { continue };
        let ours = Error::unsupported(procedure);
        let ours = (ours.message().code, ours.message().domain, ours.to_string());
        refused += 1;
        if ours != theirs {
            differ.push(format!("{procedure}: {theirs:?}, here {ours:?}"));
        }
    }
    println!("{refused} functions are not supported");
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(refused > 100, "{refused}");
    Ok(())
}
