//! Bytes as hexadecimal digits.

use serde_json::{Value, json};

/// Two digits a byte, in lower case.
///
/// # Examples
/// ```
/// assert_eq!(virtwire_cli::json::hex::to_hex(&[0, 0xab]), "00ab");
/// ```
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes of two digits each, in either case; white space between bytes is skipped.
///
/// # Errors
/// What is wrong with the text, for whoever reads it.
///
/// # Examples
/// ```
/// use virtwire_cli::json::hex::from_hex;
/// assert_eq!(from_hex("00 AB"), Ok(vec![0, 0xab]));
/// assert_eq!(from_hex("0"), Err("an odd number of hexadecimal digits".to_owned()));
/// ```
pub fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for word in text.split_whitespace() {
        let mut digits = word.chars().map(|char| match char.to_digit(16) {
            Some(digit) => Ok(digit as u8),
            None => Err(format!("{char:?} is not a hexadecimal digit")),
        });
        while let Some(high) = digits.next().transpose()? {
            let low = digits.next().transpose()?.ok_or("an odd number of hexadecimal digits")?;
            bytes.push(high << 4 | low);
        }
    }
    Ok(bytes)
}

/// `{"hex": …}`.
pub(super) fn wrapped(bytes: &[u8]) -> Value {
    json!({ "hex": to_hex(bytes) })
}

/// The bytes of `{"hex": …}`; `None` where `value` is not of that form.
pub(super) fn unwrapped(value: &Value) -> Option<Result<Vec<u8>, String>> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    Some(match map.get("hex")? {
        Value::String(text) => from_hex(text),
        _ => Err("expected hexadecimal digits in a string".to_owned()),
    })
}
