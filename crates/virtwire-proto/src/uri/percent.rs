//! Percent-encoding, with the sets of characters that libvirt and libxml2 leave as they are in each part.

use alloc::string::String;
use alloc::vec::Vec;

/// Appends the bytes, those that `keep` selects as they are and all others as `%XX`.
pub(super) fn encode(out: &mut String, bytes: &[u8], keep: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte.is_ascii() && keep(byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push(DIGITS[usize::from(byte >> 4)].into());
            out.push(DIGITS[usize::from(byte & 15)].into());
        }
    }
}

/// The bytes with `%XX` resolved; a `%` without two hexadecimal digits stays as it is.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        (rest, _) = match escape(rest) {
            Some(byte) => (&rest[3..], bytes.push(byte)),
            None => (tail, bytes.push(*first)),
        };
    }
    bytes
}

/// The byte that an escape at the front stands for.
pub(super) fn escape(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_sub_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

/// What stands in a host's name.
pub(super) fn is_host(byte: u8) -> bool {
    is_unreserved(byte) || is_sub_delimiter(byte)
}

/// What stands in user information.
pub(super) fn is_user(byte: u8) -> bool {
    is_host(byte) || byte == b':'
}

/// What may stand in a path when it is read.
pub(super) fn is_path_input(byte: u8) -> bool {
    is_user(byte) || b"@/".contains(&byte)
}

/// What stays in a path when it is written: libxml2 encodes the colon.
pub(super) fn is_path(byte: u8) -> bool {
    is_path_input(byte) && byte != b':'
}

/// What may stand in a query when it is read.
pub(super) fn is_query(byte: u8) -> bool {
    is_path_input(byte) || byte == b'?'
}

/// What stays in a parameter's name when it is written: what reads as the same name.
pub(super) fn is_param_name(byte: u8) -> bool {
    is_query(byte) && !b"&;=".contains(&byte)
}

/// What stands in a fragment; libxml2 takes brackets there.
pub(super) fn is_fragment(byte: u8) -> bool {
    is_query(byte) || b"[]".contains(&byte)
}
