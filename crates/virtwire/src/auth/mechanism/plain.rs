//! PLAIN (RFC 4616): user name and password as they are.

use super::{Mechanism, MechanismError, Setting, prepare};
use zeroize::Zeroizing;

pub(super) struct Plain {
    /// What is said, once.
    message: Option<Zeroizing<Vec<u8>>>,
}

impl Plain {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self, MechanismError> {
        let (name, password) = setting.credentials.pair();
        let (name, password) = (prepare::name(name)?, prepare::password(password)?);
        let act_as = setting.credentials.authorization().unwrap_or_default();
        if [act_as, &name, &password].iter().any(|part| part.contains('\0')) {
            return Err(MechanismError::new("PLAIN can carry no NUL in a name or a password"));
        }
        let message = [act_as.as_bytes(), name.as_bytes(), password.as_bytes()].join(&0);
        Ok(Self { message: Some(Zeroizing::new(message)) })
    }

    fn say(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        let message = self.message.take().ok_or_else(MechanismError::one_more)?;
        Ok(Some(message.to_vec()))
    }
}

impl Mechanism for Plain {
    fn start(&mut self) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn step(&mut self, _: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        self.say()
    }

    fn done(&self) -> bool {
        self.message.is_none()
    }
}
