//! Why a command ends early, and with which status.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use virtwire_proto::enums::{ErrorDomain, ErrorNumber};

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
    /// The server answered with an error, or with what no answer can be.
    Server,
    /// There is no connection, or none any more.
    Connection,
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

    /// There is no connection, or none any more.
    pub(crate) fn connection(error: impl fmt::Display) -> Self {
        Self { cause: Cause::Connection, text: error.to_string() }
    }

    /// The server answered with what no answer can be.
    pub(crate) fn answer(error: impl fmt::Display) -> Self {
        Self { cause: Cause::Server, text: error.to_string() }
    }

    /// A call on an open connection failed.
    pub(crate) fn call(error: virtwire::Error) -> Self {
        use virtwire::Error;
        match error {
            Error::Libvirt(error) => {
                let message = error.message.to_string_lossy();
                let message = if message.is_empty() { "no message".into() } else { message };
                Self::answer(format_args!("{}: {message}", origin(error.code, error.domain)))
            }
            Error::Unsupported { .. } => {
                let origin = origin(ErrorNumber::RPC, ErrorDomain::RPC);
                Self::answer(format_args!("{origin}: {error}"))
            }
            Error::Protocol { .. } => Self::answer(error),
            Error::Argument(_) => Self::usage(error),
            _ => Self::connection(error),
        }
    }

    /// Says it, and gives the status.
    pub(crate) fn report(self) -> ExitCode {
        if self.cause == Cause::Unread {
            return ExitCode::SUCCESS;
        }
        say(format_args!("error: {}", one_line(&self.text)));
        ExitCode::from(match self.cause {
            Cause::Unread => 0,
            Cause::Output | Cause::Server => 1,
            Cause::Usage => 2,
            Cause::Connection => 3,
        })
    }
}

/// Writes a line to standard error. Where that cannot be written nobody is left to be told.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// An error's code and domain, by the names that libvirt gives them and by their numbers:
/// "VIR_ERR_NO_DOMAIN (42) of VIR_FROM_TEST (12)".
fn origin(code: ErrorNumber, domain: ErrorDomain) -> String {
    let code_name = code.c_name().unwrap_or("error");
    let domain_name = domain.c_name().unwrap_or("domain");
    format!("{code_name} ({}) of {domain_name} ({})", code.0, domain.0)
}

/// The text without line breaks and other characters that steer a terminal: it may be a server's.
fn one_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_known_are_shown() {
        assert_eq!(origin(ErrorNumber(42), ErrorDomain(12)), "VIR_ERR_NO_DOMAIN (42) of VIR_FROM_TEST (12)");
        assert_eq!(origin(ErrorNumber(9999), ErrorDomain(-1)), "error (9999) of domain (-1)");
    }

    #[test]
    fn a_text_of_several_lines_becomes_one_without_escapes() {
        assert_eq!(one_line("two\nlines\r\n\u{1b}[31mred"), "two lines [31mred");
    }
}
