//! EXTERNAL (RFC 4422): who it is, the daemon knows already, such as from a TLS certificate.

use super::{Mechanism, MechanismError, Setting};

pub(super) struct External {
    /// Whom to act as; empty for oneself.
    act_as: String,
    /// How often it may still be said. An empty answer along with the mechanism's name looks to libvirtd like none,
    /// and is asked for again.
    left: u8,
}

impl External {
    pub(super) fn new(setting: &Setting<'_>) -> Self {
        Self { act_as: setting.credentials.authorization().unwrap_or_default().to_owned(), left: 2 }
    }

    fn say(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        self.left = self.left.checked_sub(1).ok_or_else(MechanismError::one_more)?;
        Ok(Some(self.act_as.clone().into_bytes()))
    }
}

impl Mechanism for External {
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn step(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn done(&self) -> bool {
        self.left < 2
    }
}
