//! Numbers as they are written in JSON, to exactly that number or to a fault.

use super::fault::{INVALID_FORMAT, OUT_OF_RANGE, TOO_PRECISE, WRONG_TYPE, Wrong};
use crate::codec::tree::Digits;

/// A whole number. `1.0` and `1e2` are not written as one, whatever their value.
pub(super) fn long(number: &str) -> Result<i64, Wrong> {
    number.parse().map_err(|_| {
        if number.contains(['.', 'e', 'E']) {
            Wrong::new(WRONG_TYPE, "expected a whole number, without fraction and exponent")
        } else {
            Wrong::new(OUT_OF_RANGE, "not within -2^63 to 2^63 - 1")
        }
    })
}

/// A whole number of 32 bits.
pub(super) fn int(number: &str) -> Result<i32, Wrong> {
    let long = match long(number) {
        Err(wrong) if wrong.code == WRONG_TYPE => return Err(wrong),
        long => long.ok(),
    };
    let int = long.and_then(|long| i32::try_from(long).ok());
    int.ok_or_else(|| Wrong::new(OUT_OF_RANGE, "not within -2^31 to 2^31 - 1"))
}

/// The double nearest to the number.
pub(super) fn double(number: &str) -> Result<f64, Wrong> {
    let double = number.parse().ok().filter(|double: &f64| double.is_finite());
    double.ok_or_else(|| Wrong::new(OUT_OF_RANGE, "beyond the largest double"))
}

/// The float nearest to the number.
pub(super) fn float(number: &str) -> Result<f32, Wrong> {
    let float = number.parse().ok().filter(|float: &f32| float.is_finite());
    float.ok_or_else(|| Wrong::new(OUT_OF_RANGE, "beyond the largest float"))
}

/// A decimal's unscaled value, from plain notation: `-12.50`, no exponent, at most the scale's decimal places.
pub(super) fn decimal(number: &str, digits: Digits) -> Result<i128, Wrong> {
    let (whole, places) = match number.split_once('.') {
        Some((whole, places)) => (whole, Some(places)),
        None => (number, None),
    };
    let unsigned = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = unsigned.len() > 1 && unsigned.starts_with('0');
    if !all_digits(unsigned) || leading_zero || places.is_some_and(|places| !all_digits(places)) {
        return Err(Wrong::new(INVALID_FORMAT, "expected a decimal in plain notation, such as \"12.50\""));
    }
    let places = places.unwrap_or_default();
    let scale = digits.scale as usize;
    if places.len() > scale {
        return Err(Wrong::new(TOO_PRECISE, format!("at most {scale} decimal places are kept")));
    }
    let out = || {
        let Digits { precision, scale } = digits;
        Wrong::new(OUT_OF_RANGE, format!("more than {precision} digits, {scale} of them decimal places"))
    };
    let zeros = std::iter::repeat_n(b'0', scale - places.len());
    let mut unscaled = 0_i128;
    for digit in unsigned.bytes().chain(places.bytes()).chain(zeros) {
        let digit = i128::from(digit - b'0');
        unscaled = unscaled.checked_mul(10).and_then(|more| more.checked_add(digit)).ok_or_else(out)?;
    }
    if 10_i128.checked_pow(digits.precision).is_some_and(|limit| unscaled >= limit) {
        return Err(out());
    }
    Ok(if whole.starts_with('-') { -unscaled } else { unscaled })
}
