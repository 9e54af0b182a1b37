//! CRAM-MD5 (RFC 2195): the password signs what the daemon made up.

use super::{Mechanism, MechanismError, Setting, hex};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use zeroize::Zeroizing;

pub(super) struct CramMd5 {
    name: String,
    /// Taken by the only answer that there is.
    password: Option<Zeroizing<String>>,
}

impl CramMd5 {
    pub(super) fn new(setting: &Setting<'_>) -> Result<Self, MechanismError> {
        if setting.credentials.authorization().is_some() {
            return Err(MechanismError::new("CRAM-MD5 lets nobody act as somebody else"));
        }
        let (name, password) = setting.credentials.pair();
        Ok(Self { name: name.to_owned(), password: Some(Zeroizing::new(password.to_owned())) })
    }
}

impl Mechanism for CramMd5 {
    fn step(&mut self, challenge: &[u8]) -> Result<Option<Vec<u8>>, MechanismError> {
        // A daemon that takes the start for the first answer comes with nothing.
        let password = self.password.take().ok_or_else(MechanismError::one_more)?;
        if challenge.is_empty() {
            return Err(MechanismError::new("the daemon's challenge is empty"));
        }
        let mut mac =
            Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(challenge);
        Ok(Some(format!("{} {}", self.name, hex(&mac.finalize().into_bytes())).into_bytes()))
    }

    fn done(&self) -> bool {
        self.password.is_none()
    }
}
