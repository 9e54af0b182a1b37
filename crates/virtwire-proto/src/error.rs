//! libvirt's errors, as a server makes them.

use crate::enums::{ErrorDomain, ErrorLevel, ErrorNumber};
use crate::program::net::MessageError;
use crate::xdr::{DecodeError, Text};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// An error as libvirt raises one with a text: level "error", str1 the text's pattern, str2 what fills it.
#[must_use]
pub fn raised(code: ErrorNumber, domain: ErrorDomain, pattern: &str, detail: &str) -> MessageError {
    MessageError {
        code: code.0,
        domain: domain.0,
        message: Some(Text::from(pattern.replace("%s", detail))),
        level: ErrorLevel::ERROR.0,
        str1: Some(Text::from(pattern)),
        str2: (!detail.is_empty()).then(|| Text::from(detail)),
        int1: -1,
        int2: -1,
        ..MessageError::default()
    }
}

/// What an error says; where it has no message, which it is.
pub(crate) fn text(error: &MessageError) -> Cow<'_, str> {
    match &error.message {
        Some(message) => message.to_string_lossy(),
        None => format!("error {} of domain {}, without a message", error.code, error.domain).into(),
    }
}

/// VIR_ERR_RPC of VIR_FROM_RPC: the peer did something that the protocol does not know.
pub(crate) fn rpc_error(text: String) -> MessageError {
    raised(ErrorNumber::RPC, ErrorDomain::RPC, "%s", &text)
}

/// VIR_ERR_RPC of VIR_FROM_STREAMS: a stream's packet that no stream has.
pub(crate) fn stream_error(text: &str) -> MessageError {
    raised(ErrorNumber::RPC, ErrorDomain::STREAMS, "%s", text)
}

/// What libvirtd answers where a payload is not what the procedure takes. Where it went wrong, which libvirtd
/// does not say, stands in str3.
#[must_use]
pub fn malformed_error(error: &DecodeError) -> MessageError {
    let mut answer = rpc_error("Unable to decode message payload".into());
    answer.str3 = Some(Text::from(format!("{error}")));
    answer
}

/// VIR_ERR_AUTH_FAILED of VIR_FROM_RPC: no more is told to who is not let in.
pub(crate) fn auth_error() -> MessageError {
    raised(ErrorNumber::AUTH_FAILED, ErrorDomain::RPC, "authentication failed: %s", "authentication failed")
}
