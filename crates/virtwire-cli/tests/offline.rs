//! The commands that need no server, run as programs.

mod command;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use command::{decoded, output, run, virtwire};
use serde_json::{Value, json};

const COMMANDS: [&str; 6] = ["procedures", "decode", "encode", "call", "serve", "list"];

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the output is text")
}

/// Status, whether anything was written, and standard error.
fn outcome(arguments: &[&str], input: &[u8]) -> (Option<i32>, bool, String) {
    let output = run(arguments, input);
    (output.status.code(), !output.stdout.is_empty(), text(output.stderr))
}

/// The remote program's connect_close, as a call with this serial.
fn close_call(serial: u8) -> Vec<u8> {
    let mut packet = vec![0; 28];
    packet[3] = 28;
    packet[4..8].copy_from_slice(&0x2000_8086_u32.to_be_bytes());
    (packet[11], packet[15], packet[23]) = (1, 2, serial);
    packet
}

#[test]
fn every_command_has_help() {
    let all = text(output(&["--help"], &[]));
    for command in COMMANDS {
        assert!(all.lines().any(|line| line.trim_start().starts_with(command)), "{command} is not in\n{all}");
        let help = text(output(&[command, "--help"], &[]));
        assert!(help.contains(&format!("Usage: virtwire {command}")), "{help}");
        // A name, and more than a name.
        assert!(help.lines().count() > 8, "{help}");
    }
}

#[test]
fn the_version_is_the_workspaces() {
    assert_eq!(text(output(&["--version"], &[])), format!("virtwire {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_that_makes_no_sense_ends_with_2() {
    for arguments in [&["frobnicate"][..], &["procedures", "--nope"], &["decode", "a", "b"], &[]] {
        let (status, written, stderr) = outcome(arguments, &[]);
        assert_eq!((status, written), (Some(2), false), "{arguments:?}");
        assert!(stderr.contains("Usage: virtwire"), "{stderr}");
    }
    let (status, _, stderr) = outcome(&["decode", "/nonexistent/file"], &[]);
    assert_eq!(status, Some(2));
    assert_eq!(stderr, "error: /nonexistent/file: No such file or directory (os error 2)\n");
}

#[test]
fn procedures_are_all_there_with_the_keys_of_the_contract() {
    let rows: Vec<Value> = serde_json::from_slice(&output(&["procedures", "--json"], &[])).unwrap();
    let keys = [
        "program",
        "program_number",
        "version",
        "procedure",
        "number",
        "kind",
        "priority",
        "stream",
        "since",
        "acl",
        "c_name",
    ];
    let mut counts = BTreeMap::new();
    for row in &rows {
        assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
        assert!(["call", "event"].contains(&row["kind"].as_str().unwrap()), "{row}");
        assert!(["low", "high"].contains(&row["priority"].as_str().unwrap()), "{row}");
        assert!(["none", "read", "write"].contains(&row["stream"].as_str().unwrap()), "{row}");
        assert!(row["acl"].is_array(), "{row}");
        *counts.entry(row["program"].as_str().unwrap()).or_insert(0) += 1;
    }
    let expected =
        [("admin", 20), ("keepalive", 2), ("lock", 8), ("log", 4), ("lxc", 1), ("qemu", 7), ("remote", 456)];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);

    let find = |name: &str| rows.iter().find(|row| row["procedure"] == name).unwrap();
    assert_eq!(
        *find("domain_get_info"),
        json!({"program": "remote", "program_number": 0x2000_8086, "version": 1, "procedure": "domain_get_info",
               "number": 16, "kind": "call", "priority": "low", "stream": "none", "since": "0.0.3",
               "acl": ["domain:read"], "c_name": "virDomainGetInfo"})
    );
    assert_eq!(find("storage_vol_download")["stream"], "read");
    assert_eq!(find("storage_vol_upload")["stream"], "write");
    assert_eq!(find("domain_event_callback_lifecycle")["kind"], "event");
    assert_eq!(find("ping")["since"], "0.9.8");
    // Nothing says it.
    assert_eq!(find("domain_append_log_file")["since"], Value::Null);
}

#[test]
fn the_table_of_procedures_is_aligned() {
    let table = text(output(&["procedures"], &[]));
    let mut lines = table.lines();
    let heading = lines.next().unwrap();
    let place = heading.find("C FUNCTION").unwrap();
    let mut rows = 0;
    for line in lines {
        assert_eq!(&line[place - 2..place], "  ", "{line}");
        assert!(line[place..].starts_with("vir") || line[place..].starts_with('-'), "{line}");
        rows += 1;
    }
    assert_eq!(rows, 498);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = virtwire()
        .args(["procedures", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn decode_shows_and_encode_restores_a_capture() {
    let capture = [close_call(1), close_call(2), vec![0xff; 9]].concat();
    let objects = decoded(&capture);
    assert_eq!(objects.len(), 3);
    assert_eq!((&objects[0]["procedure"], &objects[1]["serial"]), (&json!("connect_close"), &json!(2)));
    assert_eq!(objects[2]["raw"], "ffffffffffffffffff");
    assert_eq!(decoded(&[]), [Value::Null; 0]);
}

#[test]
fn lines_of_hex_go_both_ways() {
    let good = "0000001c200080860000000100000002000000000000000100000000";
    let input = format!("{good}\n\n00000000\nno hex\n  {}  \r\n{good}00", good.to_uppercase());
    let shown = text(output(&["decode", "--hex"], input.as_bytes()));
    let objects: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 5);
    let broken = objects.iter().map(|object| object.get("error").is_some()).collect::<Vec<_>>();
    assert_eq!(broken, [false, true, true, false, true]);
    let again = text(output(&["encode", "--hex"], shown.as_bytes()));
    assert_eq!(again, format!("{good}\n00000000\nno hex\n{good}\n{good}00\n"));

    let (status, _, stderr) = outcome(&["encode"], shown.as_bytes());
    let expected = "error: object 3: line: a line that was no packet has no bytes\n";
    assert_eq!((status, stderr.as_str()), (Some(2), expected));
}

#[test]
fn files_are_read_as_standard_input_is() {
    let folder = std::env::temp_dir().join(format!("virtwire-cli-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (capture, shown) = (folder.join("capture"), folder.join("shown"));
    fs::write(&capture, close_call(1)).unwrap();
    fs::write(&shown, output(&["decode", capture.to_str().unwrap()], &[])).unwrap();
    assert_eq!(output(&["encode", shown.to_str().unwrap()], &[]), close_call(1));
    assert_eq!(output(&["decode", "-"], &close_call(1)), fs::read(&shown).unwrap());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn encode_says_what_is_wrong_and_where() {
    let object = |payload: &str| {
        format!(
            r#"{{"program":"remote","procedure":"domain_get_info","type":"call","serial":1,"status":"ok",
                "payload":{payload}}}"#
        )
    };
    let refused = |input: &str| {
        let (status, _, stderr) = outcome(&["encode"], input.as_bytes());
        assert_eq!(status, Some(2), "{stderr}");
        stderr
    };
    let uuid = r#""00000000-0000-0000-0000-000000000000""#;
    let good = object(&format!(r#"{{"dom":{{"name":"n","uuid":{uuid},"id":1}}}}"#));
    assert_eq!(run(&["encode"], good.as_bytes()).status.code(), Some(0));
    assert_eq!(
        refused(&(good + &object(r#"{"dom":{"name":"n","uuid":5,"id":1}}"#))),
        "error: object 2: payload.dom.uuid: expected a UUID, got 5\n"
    );
    assert_eq!(refused(&object(r#"{"dom":{}}"#)), "error: object 1: payload.dom.name: missing\n");
    assert_eq!(
        refused(&object(r#"{"domain":1}"#)),
        "error: object 1: payload.domain: unknown field, expected dom\n"
    );
    assert_eq!(refused("{"), "error: object 1: EOF while parsing an object at line 1 column 1\n");
    assert_eq!(refused("[1]"), "error: object 1: expected an object, got [1]\n");
}

#[test]
fn what_has_come_is_shown_before_the_input_ends() {
    let mut child = virtwire().arg("decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for serial in [1, 2] {
        stdin.write_all(&close_call(serial)).unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["serial"], serial);
    }
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("", Some(0)));
}
