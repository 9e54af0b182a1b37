//! Why a call fails: libvirt's error, as the client is told it.

use std::fmt;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::error::raised;
use virtwire_proto::program::net::MessageError;

/// What a service's methods give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error that answers a call or ends a stream: all that libvirt's error struct holds.
///
/// C: `virError`.
#[derive(Clone, PartialEq)]
pub struct Error(Box<MessageError>);

impl Error {
    /// An error of this kind out of this part of libvirt, as libvirt raises it: `pattern` is the kind's text with `%s` for `detail`.
    ///
    /// # Examples
    /// ```
    /// use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
    ///
    /// let detail = "no domain with matching name 'a'";
    /// let error = virtwire_server::Error::raised(
    ///     ErrorNumber::NO_DOMAIN,
    ///     ErrorDomain::TEST,
    ///     "Domain not found: %s",
    ///     detail,
    /// );
    /// assert_eq!(error.to_string(), "Domain not found: no domain with matching name 'a'");
    /// ```
    #[must_use]
    pub fn raised(code: ErrorNumber, domain: ErrorDomain, pattern: &str, detail: &str) -> Self {
        Self(Box::new(raised(code, domain, pattern, detail)))
    }

    /// Something went wrong inside (`VIR_ERR_INTERNAL_ERROR`).
    #[must_use]
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::raised(ErrorNumber::INTERNAL_ERROR, ErrorDomain::RPC, "internal error: %s", &detail.to_string())
    }

    /// The peer did, or would be sent, what the protocol does not allow (`VIR_ERR_RPC`).
    #[must_use]
    pub fn rpc(detail: impl fmt::Display) -> Self {
        Self::raised(ErrorNumber::RPC, ErrorDomain::RPC, "%s", &detail.to_string())
    }

    /// The error as it travels.
    #[must_use]
    pub fn message(&self) -> &MessageError {
        &self.0
    }
}

impl From<MessageError> for Error {
    fn from(error: MessageError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Error> for MessageError {
    fn from(error: Error) -> Self {
        *error.0
    }
}

impl std::error::Error for Error {}

/// The error's text; its numbers where it has none.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.message {
            Some(message) => f.write_str(&String::from_utf8_lossy(message.as_bytes())),
            None => write!(f, "error {} of domain {}", self.0.code, self.0.domain),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("domain", &self.0.domain)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}
