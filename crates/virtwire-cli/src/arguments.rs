//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// libvirt's RPC protocol: shown, spoken and served.
#[derive(Debug, Parser)]
#[command(name = "virtwire", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the procedures of all programs
    ///
    /// One row a procedure. With --json an array of objects with the keys program, program_number, version,
    /// procedure, number, kind (call or event), priority (low or high), stream (none, read or write), since,
    /// acl (an array) and c_name; what is not known is null.
    Procedures {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show packets as JSON
    ///
    /// Reads packets back to back, as one side of a connection sent them, and prints an object a packet, one a
    /// line: program, version, procedure, number, type, serial, status, payload. What has no name is a number.
    ///
    /// The payload is the struct that the header says. Opaque data, a stream's data, and a payload that no table
    /// describes are {"hex": "…"}. Where the struct does not tell every bit, "raw" has the payload's bytes too. A
    /// packet with descriptors has their count in "fds"; the bytes behind it that carry them are in "fd_bytes",
    /// unless they are zeros.
    ///
    /// Every packet is shown. A broken one has the key "error"; behind a broken length, where packets cannot be
    /// told apart any more, the rest is one object of "error" and "raw". `encode` makes the same bytes of all of it.
    Decode {
        /// Read one packet a line, in hexadecimal digits
        #[arg(long)]
        hex: bool,
        /// The file to read; standard input where there is none, or for -
        file: Option<PathBuf>,
    },
    /// Make packets of JSON: the inverse of decode
    ///
    /// Reads objects as `decode` prints them, and writes the packets back to back. All fields of a payload have to be
    /// there; "version" and "number" may be left out where program and procedure are named. "raw" counts before
    /// "payload" and has to agree with it: remove "raw" to change the payload. Without "fd_bytes", a zero for each
    /// descriptor follows the packet.
    Encode {
        /// Write one packet a line, in hexadecimal digits
        #[arg(long)]
        hex: bool,
        /// The file to read; standard input where there is none, or for -
        file: Option<PathBuf>,
    },
}
