//! A command of the user's that carries the bytes.

use super::Builder;
use crate::transport::{Command, Privacy, Transport};
use crate::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use tokio::process::Command as Program;
use virtwire_proto::uri::Uri;

impl Builder {
    pub(super) fn connect_ext(&self, uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
        let Some((uri, command)) = uri.and_then(|uri| Some((uri, uri.command()?))) else {
            return Err(self.invalid(&"the transport ext takes the parameter command"));
        };
        let mut program = Program::new(super::path(command));
        program.args(uri.argv().iter().map(|word| OsStr::from_bytes(word.as_bytes())));
        let command = command.to_string_lossy().into_owned();
        let started = Command::start(program, command.clone(), command.clone(), Privacy::Unknown);
        Ok(Arc::new(started.map_err(|source| Error::Connect { to: command, source })?))
    }
}
