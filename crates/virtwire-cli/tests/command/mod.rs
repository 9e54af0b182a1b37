//! The command, run as a program.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value;

/// The command, with an environment that says nothing about libvirt.
pub(crate) fn virtwire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virtwire"));
    for name in ["LIBVIRT_DEFAULT_URI", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command
}

/// Runs the command on `input`.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = virtwire()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    thread::scope(|scope| {
        // The command may end before it has read all.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the command ends")
    })
}

/// Runs the command on `input`; it has to succeed, without a word on standard error.
pub(crate) fn output(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{arguments:?}: {}: {said}", output.status);
    output.stdout
}

/// What `decode` shows of a capture. `encode` has to make the same capture of it.
pub(crate) fn decoded(capture: &[u8]) -> Vec<Value> {
    let text = output(&["decode"], capture);
    let objects = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("a line is an object"))
        .collect();
    assert!(output(&["encode"], &text) == capture, "encode makes other bytes than decode was given");
    objects
}
