//! Numbers and sizes in a domain's XML, read as libvirt reads them.

use crate::error::{Result, error};
use crate::xml::Element;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};

/// The most bytes that a size may stand for.
const MAX_BYTES: u64 = i64::MAX as u64;
/// The most KiB that a size may be.
pub(crate) const MAX_KIB: u64 = MAX_BYTES.div_ceil(1024) - 1;

/// A decimal number as C's `strtoull` reads it where nothing may follow: spaces before it and a plus count not.
pub(crate) fn c_number(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// The size in the first part with this name, in KiB rounded up; 0 where there is none.
pub(crate) fn kib(root: &Element, name: &str) -> Result<u64> {
    match root.child(name) {
        Some(part) => parse_kib(&part.text(), part.attribute("unit"), &format!("./{name}[1]")),
        None => Ok(0),
    }
}

/// A size in KiB, rounded up; `place` says where it stands. Without a unit the number counts KiB.
pub(crate) fn parse_kib(value: &str, unit: Option<&str>, place: &str) -> Result<u64> {
    if value.is_empty() {
        return Ok(0);
    }
    let number = c_number(value).ok_or_else(|| {
        error(
            ErrorDomain::XML,
            ErrorNumber::XML_ERROR,
            format!("Invalid value '{value}' for element or attribute '{place}'"),
        )
    })?;
    let unit = unit.unwrap_or_default();
    let scale = scale(unit).ok_or_else(|| {
        error(ErrorDomain::NONE, ErrorNumber::INVALID_ARG, format!("unknown suffix '{unit}' of a size"))
    })?;
    let too_large =
        |from: ErrorDomain| error(from, ErrorNumber::OVERFLOW, format!("value too large: {number}{unit}"));
    let bytes = number
        .checked_mul(scale)
        .filter(|&bytes| bytes <= MAX_BYTES)
        .ok_or_else(|| too_large(ErrorDomain::NONE))?;
    let kib = bytes.div_ceil(1024);
    if kib > MAX_KIB { Err(too_large(ErrorDomain::DOMAIN)) } else { Ok(kib) }
}

/// How many bytes one of a unit is.
fn scale(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let (power, base) = match unit.as_bytes() {
        [] => return Some(1024),
        b"b" | b"byte" | b"bytes" => return Some(1),
        [power] | [power, b'i', b'b'] => (*power, 1024_u64),
        [power, b'b'] => (*power, 1000),
        _ => return None,
    };
    let exponent = b"kmgtpe".iter().position(|&known| known == power)? + 1;
    base.checked_pow(u32::try_from(exponent).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            ("5", Some(5)),
            (" \t\n5", Some(5)),
            ("+5", Some(5)),
            ("05", Some(5)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("5 ", None),
            ("0x10", None),
            ("5.5", None),
            ("-5", None),
            ("++5", None),
            ("+", None),
            ("", None),
            ("abc", None),
        ] {
            assert_eq!(c_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn units_scale_as_libvirt_scales_them() {
        for (value, unit, expected) in [
            ("1", None, 1),
            ("1", Some(""), 1),
            ("1", Some("k"), 1),
            ("1", Some("KiB"), 1),
            ("1", Some("kib"), 1),
            ("1", Some("kb"), 1),
            ("1000", Some("KB"), 977),
            ("1", Some("m"), 1024),
            ("1", Some("b"), 1),
            ("1", Some("B"), 1),
            ("1", Some("byte"), 1),
            ("1025", Some("bytes"), 2),
            ("1", Some("Gb"), 976_563),
            ("1", Some("EiB"), 1_125_899_906_842_624),
            ("9007199254740990", None, 9_007_199_254_740_990),
            ("9007199254740991", None, 9_007_199_254_740_991),
        ] {
            assert_eq!(parse_kib(value, unit, "./memory[1]"), Ok(expected), "{value} {unit:?}");
        }
    }

    #[test]
    fn bad_sizes_have_the_codes_of_libvirt() {
        for (value, unit, code, domain) in [
            ("abc", None, 27, 5),
            ("-5", None, 27, 5),
            ("5 ", None, 27, 5),
            ("18446744073709551616", None, 27, 5),
            ("5", Some("foo"), 8, 0),
            ("5", Some("x"), 8, 0),
            ("5", Some("ki"), 8, 0),
            ("99999", Some("EiB"), 82, 0),
            ("9007199254740992", None, 82, 0),
            ("9223372036854775807", None, 82, 0),
        ] {
            let error = parse_kib(value, unit, "./memory[1]").unwrap_err();
            assert_eq!((error.code.0, error.domain.0), (code, domain), "{value} {unit:?}");
        }
    }
}
