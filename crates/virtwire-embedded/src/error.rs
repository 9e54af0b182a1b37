//! The errors that the hypervisor answers with: libvirt's numbers, and messages that mean the same.

use crate::xml::Malformed;
use uuid::Uuid;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};

/// An error as libvirt reports one: every field of the wire's error struct but the objects it may name.
///
/// Its level is always 2, an error. C: `virError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Error {
    /// What kind of error it is; C: `virErrorNumber`.
    pub code: ErrorNumber,
    /// Which part of libvirt would have reported it; C: `virErrorDomain`.
    pub domain: ErrorDomain,
    /// The whole message for people.
    pub message: String,
    /// The kind's part of the message with `%s` for the rest, or the function's name for an argument's error.
    pub str1: Option<String>,
    /// The rest of the message, or the argument's name.
    pub str2: Option<String>,
    /// Further text; the hypervisor has none.
    pub str3: Option<String>,
    /// A number about the error; -1 where there is none.
    pub int1: i32,
    /// A second number about the error; -1 where there is none.
    pub int2: i32,
}

/// What the methods of the hypervisor give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `VIR_ERR_ERROR`, the level of every error here.
    pub const LEVEL: i32 = 2;
}

/// What a message of this kind says before its detail; tools match on these.
fn prefix(kind: ErrorNumber) -> &'static str {
    match kind {
        ErrorNumber::INTERNAL_ERROR => "internal error",
        ErrorNumber::INVALID_ARG => "invalid argument",
        ErrorNumber::OPERATION_FAILED => "operation failed",
        ErrorNumber::NO_NAME => "missing name information",
        ErrorNumber::XML_ERROR => "XML error",
        ErrorNumber::OPERATION_DENIED => "operation forbidden",
        ErrorNumber::NO_DOMAIN => "Domain not found",
        ErrorNumber::OPERATION_INVALID => "Requested operation is not valid",
        ErrorNumber::CONFIG_UNSUPPORTED => "unsupported configuration",
        ErrorNumber::NO_DOMAIN_METADATA => "metadata not found",
        ErrorNumber::OVERFLOW => "numerical overflow",
        ErrorNumber::ARGUMENT_UNSUPPORTED => "argument unsupported",
        _ => "",
    }
}

/// An error of this kind; an empty detail leaves the kind's own words alone.
pub(crate) fn error(from: ErrorDomain, kind: ErrorNumber, detail: impl Into<String>) -> Error {
    let detail = detail.into();
    let (message, str1) = match (prefix(kind), &*detail) {
        (prefix, "") => (prefix.to_owned(), prefix.to_owned()),
        ("", detail) => (detail.to_owned(), "%s".to_owned()),
        (prefix, detail) => (format!("{prefix}: {detail}"), format!("{prefix}: %s")),
    };
    Error {
        code: kind,
        domain: from,
        message,
        str1: Some(str1),
        str2: Some(detail).filter(|detail| !detail.is_empty()),
        str3: None,
        int1: -1,
        int2: -1,
    }
}

/// An argument that a call does not allow: `function` is the call's C name.
pub(crate) fn bad_argument(
    from: ErrorDomain,
    function: &str,
    argument: &str,
    message: impl Into<String>,
) -> Error {
    Error {
        code: ErrorNumber::INVALID_ARG,
        domain: from,
        message: message.into(),
        str1: Some(function.to_owned()),
        str2: Some(argument.to_owned()),
        str3: None,
        int1: 0,
        int2: 0,
    }
}

/// Checks that no flag is set but these; `function` is the call's C name.
pub(crate) fn check_flags(function: &str, flags: u32, known: u32) -> Result<()> {
    let unknown = flags & !known;
    if unknown == 0 {
        return Ok(());
    }
    // It is the driver that checks them, in a function named after the public one.
    let function = format!("test{}", function.trim_start_matches("vir"));
    let message = format!("unsupported flags (0x{unknown:x}) in function {function}");
    Err(bad_argument(ErrorDomain::TEST, &function, "flags", message))
}

/// Checks that at most one of two flags is set, given as (bit, C name).
pub(crate) fn check_exclusive(
    function: &str,
    flags: u32,
    one: (u32, &str),
    other: (u32, &str),
) -> Result<()> {
    if flags & one.0 == 0 || flags & other.0 == 0 {
        return Ok(());
    }
    let message = format!("Flags '{}' and '{}' are mutually exclusive", one.1, other.1);
    Err(bad_argument(ErrorDomain::DOMAIN, function, "ctl", message))
}

/// A number that a call does not allow to be zero.
pub(crate) fn must_not_be_zero(function: &str, argument: &str) -> Error {
    bad_argument(
        ErrorDomain::DOMAIN,
        function,
        argument,
        format!("{argument} in {function} must not be zero"),
    )
}

/// No domain has this name, UUID or id.
pub(crate) fn no_such_domain(what: &str, value: impl std::fmt::Display) -> Error {
    error(ErrorDomain::TEST, ErrorNumber::NO_DOMAIN, format!("no domain with matching {what} '{value}'"))
}

/// The domain that a caller holds is gone.
pub(crate) fn domain_is_gone(uuid: Uuid, name: impl std::fmt::Display) -> Error {
    error(
        ErrorDomain::TEST,
        ErrorNumber::NO_DOMAIN,
        format!("no domain with matching uuid '{uuid}' ({name})"),
    )
}

/// The call needs a running domain.
pub(crate) fn not_running() -> Error {
    error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_INVALID, "domain is not running")
}

/// A document that is not well-formed; `source` says which.
pub(crate) fn malformed(from: ErrorDomain, source: &str, malformed: &Malformed) -> Error {
    error(from, ErrorNumber::XML_DETAIL, format!("{source}:{}: {}", malformed.line, malformed.reason))
}

/// A document with another root than asked for.
pub(crate) fn unexpected_root(expected: &str, found: &str) -> Error {
    error(
        ErrorDomain::XML,
        ErrorNumber::XML_ERROR,
        format!("the root element must be '{expected}', not '{found}'"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_as_libvirt_fills_them() {
        let with_detail = error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_INVALID, "domain is not running");
        assert_eq!(with_detail.to_string(), "Requested operation is not valid: domain is not running");
        assert_eq!(with_detail.str1.as_deref(), Some("Requested operation is not valid: %s"));
        assert_eq!(with_detail.str2.as_deref(), Some("domain is not running"));
        assert_eq!(
            (with_detail.code, with_detail.domain),
            (ErrorNumber::OPERATION_INVALID, ErrorDomain::DOMAIN)
        );
        assert_eq!((with_detail.int1, with_detail.int2), (-1, -1));

        let alone = error(ErrorDomain::DOMAIN, ErrorNumber::NO_NAME, "");
        assert_eq!(alone.to_string(), "missing name information");
        assert_eq!((alone.str1.as_deref(), alone.str2), (Some("missing name information"), None));

        let argument = must_not_be_zero("virDomainSetMemory", "memory");
        assert_eq!(argument.to_string(), "memory in virDomainSetMemory must not be zero");
        assert_eq!((argument.code, argument.domain), (ErrorNumber::INVALID_ARG, ErrorDomain::DOMAIN));
        assert_eq!(argument.str1.as_deref(), Some("virDomainSetMemory"));
        assert_eq!(argument.str2.as_deref(), Some("memory"));
        assert_eq!((argument.int1, argument.int2), (0, 0));
    }

    #[test]
    fn unknown_flags_alone_are_named() {
        assert_eq!(check_flags("f", 0b101, 0b111), Ok(()));
        let error = check_flags("virDomainReboot", 0x1001, 1).unwrap_err();
        assert_eq!(error.to_string(), "unsupported flags (0x1000) in function testDomainReboot");
        assert_eq!((error.code, error.domain), (ErrorNumber::INVALID_ARG, ErrorDomain::TEST));
    }
}
