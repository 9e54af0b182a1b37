//! Why a command ends early, and with which status.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a command ends early: a line for standard error, and the status to end with.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Nobody reads the output any more. That is an end like any other.
    Unread,
    /// The output cannot be written.
    Output,
    /// What was asked for makes no sense, or cannot be read.
    Usage,
}

impl Failure {
    /// What was asked for makes no sense, or cannot be read.
    pub(crate) fn usage(error: impl fmt::Display) -> Self {
        Self { cause: Cause::Usage, text: error.to_string() }
    }

    /// The output cannot be written.
    pub(crate) fn output(error: io::Error) -> Self {
        let cause = if error.kind() == io::ErrorKind::BrokenPipe { Cause::Unread } else { Cause::Output };
        Self { cause, text: format!("standard output: {error}") }
    }

    /// Says it, and gives the status.
    pub(crate) fn report(self) -> ExitCode {
        if self.cause == Cause::Unread {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {}", one_line(&self.text));
        ExitCode::from(match self.cause {
            Cause::Unread => 0,
            Cause::Output => 1,
            Cause::Usage => 2,
        })
    }
}

/// The text without line breaks and other characters that steer a terminal: it may be a server's.
fn one_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_several_lines_becomes_one_without_escapes() {
        assert_eq!(one_line("two\nlines\r\n\u{1b}[31mred"), "two lines [31mred");
    }
}
