//! `virtwire serve`, running.
#![allow(dead_code, reason = "each test program uses a part of it")]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::command::virtwire;

/// A `virtwire serve` that is killed with its handle.
pub(crate) struct Serving {
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it listens, in its own words.
    pub(crate) places: Vec<String>,
}

impl Serving {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let count = arguments.iter().filter(|argument| **argument == "--listen").count();
        let mut command = virtwire();
        command.arg("serve").args(arguments);
        Self::run(command, count)
    }

    /// Runs `command` until it has said `count` times where it listens.
    pub(crate) fn run(mut command: Command, count: usize) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let places = (0..count).map(|_| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("it is text");
            line.trim_end()
                .strip_prefix("listening on ")
                .unwrap_or_else(|| panic!("it said {line:?}"))
                .to_owned()
        });
        let places = places.collect();
        Self { child, stdout, places }
    }

    /// Sends it a signal; gives its status, and what it has written since it listens.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String, String) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not ended");
        let status = self.child.wait().expect("it ends");
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status.code(), stdout, stderr)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
