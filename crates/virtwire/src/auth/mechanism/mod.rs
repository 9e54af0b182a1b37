//! SASL's mechanisms: what each says, and which one it is to be.

mod anonymous;
mod choice;
mod cram_md5;
mod digest_md5;
mod external;
mod plain;
mod prepare;
mod scram;
#[cfg(test)]
mod tests;

pub(super) use choice::{Candidates, Choice, Needs};

use super::credentials::Credentials;
use crate::transport::Privacy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use virtwire_proto::connection::SecurityLayer;

/// One run of a mechanism, the client's side: it answers challenges until it is [done](Mechanism::done).
pub(super) trait Mechanism: Send {
    /// What is sent along with the mechanism's name, where the client speaks first.
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        Ok(None)
    }

    /// The answer to a challenge; none where there is nothing to say. It may compute for a while.
    fn step(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, MechanismError>;

    /// Whether all has been said, and proved where the mechanism has the server prove itself.
    fn done(&self) -> bool;

    /// The security layer that was negotiated, once all is done.
    fn layer(&mut self) -> Option<Box<dyn SecurityLayer>> {
        None
    }
}

/// Why a mechanism does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct MechanismError(String);

impl MechanismError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The server goes on where the mechanism has nothing more to say.
    fn one_more() -> Self {
        Self::new("the daemon asks on although all has been said")
    }
}

/// What a run of a mechanism goes by.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) credentials: &'a Credentials,
    /// The daemon's host, as the URI has it.
    pub(super) host: &'a str,
    pub(super) privacy: Privacy,
}

/// A number that was never used before, as text.
fn nonce() -> Result<String, MechanismError> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes)
        .map_err(|error| MechanismError::new(format!("the system gives no random numbers: {error}")))?;
    Ok(BASE64.encode(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(HEX[usize::from(nibble)]))
        .collect()
}

const HEX: &[u8; 16] = b"0123456789abcdef";
