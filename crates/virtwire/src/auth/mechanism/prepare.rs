//! User names and passwords as SASL compares them (RFC 4013).

use super::MechanismError;
use zeroize::Zeroizing;

pub(super) fn name(name: &str) -> Result<String, MechanismError> {
    match stringprep::saslprep(name) {
        Ok(name) if name.is_empty() => Err(MechanismError::new("the user name is empty")),
        Ok(name) => Ok(name.into_owned()),
        // The error has the character in it, which in a name is no secret.
        Err(error) => Err(MechanismError::new(format!("the user name {name:?} cannot be sent: {error}"))),
    }
}

pub(super) fn password(password: &str) -> Result<Zeroizing<String>, MechanismError> {
    match stringprep::saslprep(password) {
        Ok(password) if password.is_empty() => Err(MechanismError::new("the password is empty")),
        Ok(password) => Ok(Zeroizing::new(password.into_owned())),
        Err(_) => Err(MechanismError::new("the password has a character that SASL allows in none")),
    }
}
