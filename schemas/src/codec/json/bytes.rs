//! Bytes and fixed as text: Base64 (RFC 4648, section 4, with padding), and UUIDs (RFC 9562) by their hex digits.
//!
//! Base64, not Avro's own form of one character for each byte: what JSON libraries do with bytes by themselves, and
//! a text that went through the wrong character set is seen. Avro's own form is that of a schema's defaults.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::{INVALID_FORMAT, OUT_OF_RANGE, WRONG_LENGTH, Wrong};

/// The bytes of a Base64 text.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, Wrong> {
    STANDARD.decode(text).map_err(|_| Wrong::new(INVALID_FORMAT, "expected Base64 (RFC 4648) with padding"))
}

/// Bytes as Base64 text.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of Avro's own form: U+0000 to U+00FF, one character for each.
pub(super) fn characters(text: &str) -> Result<Vec<u8>, Wrong> {
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>();
    bytes.ok_or_else(|| Wrong::new(INVALID_FORMAT, "expected U+0000 to U+00FF"))
}

/// Bytes that must be as many as the fixed has.
pub(super) fn sized(bytes: Vec<u8>, size: usize) -> Result<Vec<u8>, Wrong> {
    if bytes.len() != size {
        return Err(Wrong::new(WRONG_LENGTH, format!("{} bytes, expected {size}", bytes.len())));
    }
    Ok(bytes)
}

/// The sixteen bytes of a UUID's text: 32 hex digits in either case, four dashes.
pub(super) fn uuid(text: &str) -> Result<[u8; 16], Wrong> {
    let wrong =
        || Wrong::new(INVALID_FORMAT, "expected a UUID, such as \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"");
    let mut bytes = [0; 16];
    let mut digits = 0_usize;
    for (at, c) in text.chars().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if c != '-' {
                return Err(wrong());
            }
            continue;
        }
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(wrong)?;
        let byte = bytes.get_mut(digits / 2).ok_or_else(wrong)?;
        *byte = *byte << 4 | digit;
        digits += 1;
    }
    if digits != 32 || text.len() != 36 {
        return Err(wrong());
    }
    Ok(bytes)
}

/// An unscaled decimal in two's complement, big endian, in as few bytes as hold it.
pub(super) fn shortest(unscaled: i128) -> Vec<u8> {
    let wide = unscaled.to_be_bytes();
    let fill = if unscaled < 0 { 0xff } else { 0 };
    let signed = |at: usize| wide.get(at).is_some_and(|byte| (*byte & 0x80 != 0) == (unscaled < 0));
    let mut start = 0;
    while start < 15 && wide.get(start) == Some(&fill) && signed(start + 1) {
        start += 1;
    }
    wide.get(start..).unwrap_or_default().to_vec()
}

/// The same, sign-extended to the size of a fixed.
pub(super) fn extended(unscaled: i128, size: usize) -> Result<Vec<u8>, Wrong> {
    let short = shortest(unscaled);
    if short.len() > size {
        return Err(Wrong::new(OUT_OF_RANGE, format!("does not fit the {size} bytes of its type")));
    }
    let mut bytes = vec![if unscaled < 0 { 0xff } else { 0 }; size - short.len()];
    bytes.extend(short);
    Ok(bytes)
}
