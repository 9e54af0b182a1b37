//! Real libvirt daemons and clients for this workspace's tests.
//!
//! A test that judges the project by libvirt itself asks for a [`Testbed`] (the libvirt that `cargo xtask test`
//! has made ready: the installed one, or one in a folder of its own), starts private [`Daemon`]s on it, runs
//! `virsh` and other clients with [`run`](fn@run), and puts a [`Recorder`] between the two where it wants the bytes.
//! Everything a daemon writes lies below one temporary folder, any number of them run side by side, and
//! each ends with its handle, together with whatever it has started; even when the test is killed.
//!
//! Such tests sit in test targets with `harness = false`:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use virtwire_testbed::{Config, Daemon, Failed, Testbed, tests};
//!
//! fn main() -> ExitCode {
//!     virtwire_testbed::run_tests(tests![lists_the_default_domain])
//! }
//!
//! fn lists_the_default_domain(testbed: &Testbed) -> Result<(), Failed> {
//!     let daemon = Daemon::start(testbed, Config::new())?;
//!     let list = virtwire_testbed::run(daemon.virsh().args(["list", "--name"]))?;
//!     assert_eq!(list.lines().next(), Some("test"));
//!     Ok(())
//! }
//! ```
//!
//! Plain `cargo test` shows them as ignored, each with its reason; nothing is installed or started.
//!
//! The daemons need Linux. Elsewhere the crate compiles and says so.

mod config;
mod daemon;
mod error;
mod guest;
mod harness;
mod node;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod pki;
mod process;
mod reaper;
mod recorder;
mod root;
mod sasl;
mod sshd;
mod testbed;

pub use config::{Config, Drivers, Setting};
pub use daemon::Daemon;
pub use error::{Error, Result};
pub use guest::{GREETING, SLEEP, WRITE, boot_sector, make_guest_disk};
pub use harness::{Failed, Test, run_tests};
pub use node::{node_xml, tiny_guest_xml};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub use pki::{Authority, Certificate};
pub use process::{Signal, pids_naming, run, run_for, wait_until};
pub use recorder::{Recorder, Recording};
pub use root::Root;
pub use sasl::Sasl;
pub use sshd::Sshd;
pub use testbed::{Testbed, Tool, Version};
