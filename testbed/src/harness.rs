//! The harness for tests that need real daemons: where there is none, they are shown as ignored, with the reason.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};

pub use libtest_mimic::Failed;

use crate::error::Result;
use crate::testbed::{Testbed, Tool};

/// How long a test may take unless it [says otherwise](Test::limit).
const LIMIT: Duration = Duration::from_secs(120);

/// How much of a daemon's log is shown with a failure.
const LOG_LINES: usize = 40;

/// The functions named, each as a [`Test`] that needs a real libvirt: `run_tests(tests![one, another])`.
#[macro_export]
macro_rules! tests {
    ($($function:ident),* $(,)?) => {
        vec![$($crate::Test::new(stringify!($function), $function)),*]
    };
}

/// One test that needs a real libvirt.
pub struct Test {
    name: &'static str,
    body: fn(&Testbed) -> std::result::Result<(), Failed>,
    tools: Vec<Tool>,
    limit: Duration,
}

impl Test {
    /// A test called `name`. It fails with what `body` gives back, or by a panic.
    pub fn new(name: &'static str, body: fn(&Testbed) -> std::result::Result<(), Failed>) -> Self {
        Self { name, body, tools: Vec::new(), limit: LIMIT }
    }

    /// Leaves the test out where `tool` is not installed.
    #[must_use]
    pub fn needs(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Lets the test run for `limit` in place of two minutes. One that takes longer has failed; it is left behind,
    /// and its daemons end with the test program.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Why it is to be left out, if it is.
    fn obstacle(&self, testbed: &Result<Option<Testbed>>) -> Option<String> {
        match testbed {
            Ok(None) => Some("needs libvirtd: cargo xtask test".to_owned()),
            Ok(Some(testbed)) => {
                self.tools.iter().find(|tool| !testbed.has(**tool)).map(|tool| format!("needs {tool}"))
            }
            // Asked for and not to be had: each test fails with that.
            Err(_) => None,
        }
    }

    fn into_trial(self, testbed: &Result<Option<Testbed>>) -> Trial {
        let obstacle = self.obstacle(testbed);
        let testbed = match (testbed, &obstacle) {
            (Err(error), _) => Err(error.to_string()),
            (Ok(_), Some(obstacle)) => Err(obstacle.clone()),
            (Ok(None), None) => Err("no libvirt".to_owned()),
            (Ok(Some(testbed)), None) => Ok(testbed.clone()),
        };
        let trial = Trial::test(self.name, move || match testbed {
            Ok(testbed) => run_limited(move || (self.body)(&testbed), self.limit),
            Err(reason) => Err(reason.into()),
        });
        match obstacle {
            Some(obstacle) => trial.with_ignored_flag(true).with_kind(obstacle),
            None => trial,
        }
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Test").field("name", &self.name).field("tools", &self.tools).finish_non_exhaustive()
    }
}

/// The `main` of a test target with `harness = false`: runs `tests` as the command line says, which is the one
/// of every Rust test program, and gives the status to end with.
///
/// Which libvirt they run against, and whether at all, is [`Testbed::from_env`]'s to say.
pub fn run_tests(tests: Vec<Test>) -> ExitCode {
    let arguments = Arguments::from_args();
    let testbed = Testbed::from_env();
    if !arguments.list {
        match &testbed {
            Ok(Some(testbed)) => println!("\nlibvirt {}", testbed.version()),
            Ok(None) => println!("\nno libvirt: `cargo xtask test` runs what is left out here"),
            Err(error) => println!("\nno libvirt: {error}"),
        }
    }
    let trials = tests.into_iter().map(|test| test.into_trial(&testbed)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

thread_local! {
    static LOGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the log of a daemon that has ended, in case the test of this thread fails.
pub(crate) fn remember_log(log: String) {
    // Not there any more while the thread ends: then nobody asks either.
    let _ = LOGS.try_with(|logs| logs.borrow_mut().push(log));
}

/// Runs `body` in a thread of its own, for at most `limit`.
fn run_limited(
    body: impl FnOnce() -> std::result::Result<(), Failed> + Send + 'static,
    limit: Duration,
) -> std::result::Result<(), Failed> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("test".into()).spawn(move || {
        let result = panic::catch_unwind(AssertUnwindSafe(body));
        let outcome = result.unwrap_or_else(|panic| Err(Failed::from(panic_text(&*panic))));
        let _ = sender.send(outcome.map_err(with_logs));
    })?;
    match receiver.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Err(format!("did not end within {limit:?}").into()),
        Err(RecvTimeoutError::Disconnected) => Err("ended without an outcome".into()),
    }
}

/// The failure with the ends of the logs of the daemons that the test had.
fn with_logs(failed: Failed) -> Failed {
    let mut text = failed.message().unwrap_or("failed").to_owned();
    for log in LOGS.take() {
        let lines: Vec<&str> = log.lines().collect();
        if !lines.is_empty() {
            text.push_str("\nlibvirtd's log:\n");
            text.push_str(&lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"));
        }
    }
    text.into()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;

    fn nothing(_: &Testbed) -> std::result::Result<(), Failed> {
        Ok(())
    }

    #[test]
    fn without_a_libvirt_a_test_is_ignored_and_says_why() {
        let trial = Test::new("name", nothing).into_trial(&Ok(None));
        assert!(trial.has_ignored_flag());
        assert_eq!((trial.name(), trial.kind()), ("name", "needs libvirtd: cargo xtask test"));
    }

    #[test]
    fn a_libvirt_that_was_asked_for_and_is_broken_fails_the_test() {
        let broken = Testbed::new(Root::at("/nonexistent")).map(Some);
        let trial = Test::new("name", nothing).into_trial(&broken);
        assert!(!trial.has_ignored_flag());
    }

    #[test]
    fn panics_errors_and_overlong_tests_are_failures_with_their_words() {
        let text =
            |result: std::result::Result<(), Failed>| result.unwrap_err().message().unwrap().to_owned();
        assert_eq!(text(run_limited(|| panic!("number {}", 7), LIMIT)), "number 7");
        assert_eq!(text(run_limited(|| Err("a word".into()), LIMIT)), "a word");
        let slow = || {
            thread::park_timeout(Duration::from_secs(600));
            Ok(())
        };
        assert_eq!(text(run_limited(slow, Duration::from_millis(10))), "did not end within 10ms");
        assert!(run_limited(|| Ok(()), LIMIT).is_ok());
    }

    #[test]
    fn a_failure_shows_the_end_of_the_daemons_log() {
        let failing = || {
            remember_log((0..100).map(|line| format!("line {line}\n")).collect());
            Err("a word".into())
        };
        let text = run_limited(failing, LIMIT).unwrap_err().message().unwrap().to_owned();
        assert!(
            text.starts_with("a word\nlibvirtd's log:\nline 60\n") && text.ends_with("line 99"),
            "{text}"
        );
    }
}
