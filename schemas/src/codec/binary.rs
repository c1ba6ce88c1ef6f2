//! What bytes and fixed stand for: decimals and UUIDs.

use crate::mapping::Raw;

/// A decimal's unscaled value from its two's complement bytes, big endian.
pub(crate) fn decimal(bytes: &[u8], scale: u32) -> Option<Raw<'static>> {
    let (first, _) = bytes.split_first()?;
    let negative = *first & 0x80 != 0;
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 16];
    let excess = bytes.len().saturating_sub(wide.len());
    let (extension, low) = bytes.split_at(excess);
    let same_sign = low.first().is_some_and(|top| (*top & 0x80 != 0) == negative);
    if excess > 0 && (!same_sign || extension.iter().any(|byte| *byte != fill)) {
        // Beyond 128 bits is beyond every range: infinity says so to whoever takes it.
        return Some(Raw::Real(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    let start = wide.len().saturating_sub(low.len());
    wide.get_mut(start..)?.copy_from_slice(low);
    Some(Raw::Decimal(i128::from_be_bytes(wide), scale))
}

/// RFC 9562's text of sixteen bytes.
pub(crate) fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}
