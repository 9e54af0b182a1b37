//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::serve::Listen;

/// libvirt's RPC protocol: shown, spoken and served.
#[derive(Debug, Parser)]
#[command(name = "virtwire", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to connect to, as libvirt's URIs have it, such as qemu:///system or
    /// test+unix:///default?socket=/path
    ///
    /// Otherwise what LIBVIRT_DEFAULT_URI says; without it this host's daemon; without one test:///default, the
    /// hypervisor in memory.
    #[arg(short, long, value_name = "URI", global = true)]
    pub(crate) connect: Option<String>,

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
    /// Call a procedure and print what it returns
    ///
    /// Opens the connection, sends the call, and prints the reply's payload as `decode` would show it. A stream that
    /// the procedure opens is given up at once.
    ///
    /// On an error that the server answers, its code, origin and message go to standard error in one line, and the
    /// status is 1. It is 2 where procedure or arguments make no sense, and 3 where there is no connection.
    Call {
        /// The procedure's name, such as domain_get_info; another program's as qemu.domain_monitor_command
        procedure: String,
        /// Its arguments, a JSON object; - reads them from standard input
        ///
        /// Fields that are missing, here or in any object inside, are zero, empty or null.
        #[arg(value_name = "JSON", allow_hyphen_values = true)]
        arguments: Option<String>,
    },
    /// Serve the hypervisor in memory, as libvirtd serves its test driver
    ///
    /// Clients open test:///default, which is one node for all of them, or the path of a node file, which is then
    /// each one's own. Prints "listening on ..." for each place once clients can connect to it. Ends on SIGTERM and
    /// SIGINT, and removes its sockets.
    ///
    /// Nobody has to authenticate: a UNIX socket lets its owner in, a TCP port everybody who reaches it, and clients
    /// can have node files read with the rights of this process.
    Serve {
        /// Where to listen: unix:PATH or tcp:HOST:PORT, any number of times; with port 0 the system picks one
        ///
        /// Otherwise unix:$XDG_RUNTIME_DIR/virtwire/virtwire-sock.
        #[arg(long, value_name = "PLACE")]
        listen: Vec<Listen>,
        /// The node file to serve as test:///default, in the format of libvirt's test driver
        #[arg(long, value_name = "FILE.xml")]
        node: Option<PathBuf>,
    },
    /// List domains
    ///
    /// Active ones, unless more is said.
    List {
        /// List inactive domains too
        #[arg(long)]
        all: bool,
        /// List inactive domains only
        #[arg(long)]
        inactive: bool,
        /// Print JSON: an array of objects with the keys id, name, uuid and state; without an id it is null
        #[arg(long)]
        json: bool,
    },
}
