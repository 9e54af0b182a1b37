//! `serve`, and the hypervisor in memory without a server: nothing else has to be installed.

mod command;
mod serving;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use command::virtwire;
use rustix::process::Signal;
use serde_json::{Value, json};
use serving::Serving;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("sock");
    (folder, socket)
}

fn unix(socket: &Path) -> String {
    format!("unix:{}", socket.display())
}

fn at(socket: &Path) -> String {
    format!("test+unix:///default?socket={}", socket.display())
}

fn run(uri: &str, arguments: &[&str]) -> Output {
    virtwire().args(["-c", uri]).args(arguments).output().expect("the command starts")
}

fn printed(uri: &str, arguments: &[&str]) -> String {
    let output = run(uri, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{uri} {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("it is text")
}

const DEFAULT_LIST: &str = " Id   Name   State\n----------------------\n 1    test   running\n\n";

#[test]
fn the_embedded_domain_is_listed_without_any_server() {
    assert_eq!(printed("test:///default", &["list"]), DEFAULT_LIST);
    let list: Value = serde_json::from_str(&printed("test:///default", &["list", "--json"])).unwrap();
    assert_eq!(
        (&list[0]["id"], &list[0]["name"], &list[0]["state"]),
        (&json!(1), &json!("test"), &json!("running"))
    );
    assert_eq!(printed("test:///default", &["call", "connect_get_type"]), "{\"type\":\"TEST\"}\n");

    let missing = run("test:///nonexistent.xml", &["list"]);
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn the_default_is_named_on_standard_error() {
    // A user without a session: no daemon of this host's is theirs, unless the host has one for all.
    let mut command = virtwire();
    command.arg("list").env("HOME", "/nonexistent");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if Path::new("/run/libvirt/libvirt-sock").exists() {
        assert!(!said.contains("in memory"), "{said}");
    } else {
        assert_eq!(said, "no libvirt daemon on this host: using test:///default, a hypervisor in memory\n");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), DEFAULT_LIST);
    }
    let mut command = virtwire();
    let output = command.arg("list").env("LIBVIRT_DEFAULT_URI", "test:///default").output().unwrap();
    assert_eq!((String::from_utf8(output.stdout).unwrap().as_str(), output.stderr.len()), (DEFAULT_LIST, 0));
}

#[test]
fn it_says_where_it_listens_and_serves_there() {
    let (_folder, socket) = folder();
    let serving = Serving::start(&["--listen", &unix(&socket), "--listen", "tcp:127.0.0.1:0"]);
    assert_eq!(serving.places[0], unix(&socket));
    let tcp = serving.places[1].strip_prefix("tcp:").expect("it is a TCP address");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);

    let by_tcp = format!("test+tcp://{tcp}/default");
    for uri in [at(&socket), by_tcp.clone()] {
        assert_eq!(printed(&uri, &["list"]), DEFAULT_LIST);
    }
    // One node for all, and it outlives its clients.
    let dom = printed(&by_tcp, &["call", "domain_lookup_by_name", r#"{"name":"test"}"#]);
    assert_eq!(printed(&by_tcp, &["call", "domain_suspend", &dom]), "{}\n");
    assert!(printed(&at(&socket), &["list"]).contains("paused"));

    let nobody = run(&by_tcp, &["call", "domain_lookup_by_name", r#"{"name":"nobody"}"#]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8(nobody.stderr).unwrap();
    assert!(
        said.starts_with("error: VIR_ERR_NO_DOMAIN (42) of VIR_FROM_TEST (12): Domain not found"),
        "{said}"
    );
}

#[test]
fn either_signal_ends_it_cleanly() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let (_folder, socket) = folder();
        let serving = Serving::start(&["--listen", &unix(&socket)]);
        assert!(socket.exists());
        // A client that stays does not keep it.
        let staying = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        assert_eq!(serving.end(signal), (Some(0), String::new(), format!("{name}: ending\n")));
        assert!(!socket.exists());
        assert_eq!((&staying).read(&mut [0]).unwrap_or(0), 0);
    }
}

#[test]
fn a_node_file_is_served() {
    let (folder, socket) = folder();
    let node = folder.path().join("node.xml");
    let domain =
        "<domain type='test'><name>own</name><memory>8192</memory><os><type>hvm</type></os></domain>";
    fs::write(&node, format!("<node>{domain}</node>")).unwrap();
    let _serving = Serving::start(&["--node", node.to_str().unwrap(), "--listen", &unix(&socket)]);
    let list: Value = serde_json::from_str(&printed(&at(&socket), &["list", "--all", "--json"])).unwrap();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["own"]);
}

#[test]
fn what_cannot_be_served_is_said() {
    let (folder, socket) = folder();
    let (place, node) = (unix(&socket), folder.path().join("node.xml"));
    fs::write(&node, "<nodes/>").unwrap();
    let _serving = Serving::start(&["--listen", &place]);
    let missing = format!("unix:{}/none/sock", folder.path().display());
    for (arguments, status, expected) in [
        (vec!["--listen", &place], 3, "cannot listen on unix:"),
        (vec!["--listen", &missing], 3, "cannot listen on unix:"),
        (vec!["--listen", "tcp:192.0.2.1:1"], 3, "cannot listen on tcp:192.0.2.1:1: "),
        (vec!["--listen", "/run/socket"], 2, "expected unix:PATH or tcp:HOST:PORT"),
        (vec!["--listen", &missing, "--node", node.to_str().unwrap()], 2, "node.xml"),
        (vec!["--listen", &missing, "--node", "/nonexistent.xml"], 2, "/nonexistent.xml"),
    ] {
        let output = virtwire().arg("serve").args(&arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    // The one that was there first is still there.
    assert_eq!(printed(&at(&socket), &["list"]), DEFAULT_LIST);
}

#[test]
fn without_a_place_it_listens_in_the_users_runtime_folder() {
    let (folder, _) = folder();
    let mut command = virtwire();
    command.arg("serve").env("XDG_RUNTIME_DIR", folder.path());
    let serving = Serving::run(command, 1);
    let socket = folder.path().join("virtwire/virtwire-sock");
    assert_eq!(serving.places, [unix(&socket)]);
    assert_eq!(fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(printed(&at(&socket), &["list"]), DEFAULT_LIST);
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let (_folder, socket) = folder();
    let mut first = Serving::start(&["--listen", &unix(&socket)]);
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(socket.exists());
    let _second = Serving::start(&["--listen", &unix(&socket)]);
    assert_eq!(printed(&at(&socket), &["list"]), DEFAULT_LIST);
}
