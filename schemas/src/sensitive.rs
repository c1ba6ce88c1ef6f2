//! Card numbers must not leave in any topic, log or error (I15). Ids and keys should be tokens; where a user
//! maps a raw card number all the same, it is masked before anything is written.

use std::borrow::Cow;

/// The text, masked when it is or contains what looks like a card number: 13 to 19 digits (spaces and dashes
/// between them allowed) with a valid check digit (Luhn, ISO/IEC 7812-1). The first six and last four stay.
pub fn masked(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (digits, end) = digit_run(bytes, at);
        if (13..=19).contains(&digits.len()) && luhn(bytes, &digits) {
            let out = out.get_or_insert_with(|| bytes.to_vec());
            for place in &digits[6..digits.len() - 4] {
                out[*place] = b'*';
            }
        }
        at = end;
    }
    match out {
        None => Cow::Borrowed(text),
        Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Whether the text is, or contains, what [`masked`] leaves of a card number: six digits, stars, four digits.
pub fn is_masked(text: &str) -> bool {
    let plain: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).collect();
    let digits = |range: &[u8]| range.iter().all(u8::is_ascii_digit);
    (3..=9).any(|stars| {
        plain.windows(6 + stars + 4).any(|window| {
            let (first, rest) = window.split_at(6);
            let (middle, last) = rest.split_at(stars);
            digits(first) && middle.iter().all(|byte| *byte == b'*') && digits(last)
        })
    })
}

/// Places of the digits from `start` on, single spaces and dashes between digits skipped, and where it ends.
fn digit_run(bytes: &[u8], start: usize) -> (Vec<usize>, usize) {
    let mut digits = Vec::with_capacity(19);
    let mut at = start;
    while at < bytes.len() {
        let between = matches!(bytes[at], b' ' | b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if bytes[at].is_ascii_digit() {
            digits.push(at);
        } else if !between {
            break;
        }
        at += 1;
    }
    (digits, at)
}

fn luhn(bytes: &[u8], digits: &[usize]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, place)| {
            let digit = u32::from(bytes[*place] - b'0') * (1 + (i as u32 & 1));
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_masked_and_nothing_else() {
        assert_eq!(masked("4111111111111111"), "411111******1111");
        assert_eq!(masked("card 4111 1111-1111 1111 x"), "card 4111 11**-**** 1111 x");
        for number in ["4111111111111111", "card 4111 1111-1111 1111 x", "x4222222222222"] {
            assert!(is_masked(&masked(number)) && !is_masked(number), "{number}");
        }
        assert!(!is_masked("card_***") && !is_masked("123456**1234"), "two stars are no card number's");
        for same in ["4111111111111112", "123456789012", "card_1f3a9c", "", "12345678901234567890"] {
            assert_eq!(masked(same), same);
        }
    }
}
