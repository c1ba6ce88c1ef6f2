//! A model's version: one word of a path, ordered as people count (`2` before `10`, `1.9` before `1.10`).
//!
//! Not semantic versioning: `2-rc1` comes after `2`, because it is longer. Nothing is rounded or trimmed, so
//! that two versions are equal only when they are spelled alike.

use std::cmp::Ordering;
use std::fmt;

use schemas::name::Name;

/// Longest name or version of a model, bytes: both are folder names and stand in every decision.
const WORD_BYTES: usize = 64;

/// A version, such as `7` or `2026-11-25.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Name);

impl Version {
    /// What a version looks like, for messages.
    pub const EXPECTED: &str =
        "a version of letters, digits, \".\", \"_\" and \"-\", such as \"3\" or \"2026-11-25\"";

    /// Reads a version; `None` where it could not be a folder's name.
    pub fn parse(text: &str) -> Option<Self> {
        is_path_word(text).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Whether the text can be one component of a path everywhere: no separator, not hidden, no space, short.
pub fn is_path_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=WORD_BYTES).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(fits)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        natural(self.as_str(), other.as_str()).then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Runs of digits against each other as numbers of any length, everything else byte by byte.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    loop {
        let (number_a, number_b) = (leading_number(a), leading_number(b));
        if !number_a.is_empty() && !number_b.is_empty() {
            let (short_a, short_b) = (number_a.trim_start_matches('0'), number_b.trim_start_matches('0'));
            let order = short_a.len().cmp(&short_b.len()).then_with(|| short_a.cmp(short_b));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[number_a.len()..], &b[number_b.len()..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) if x == y => (a, b) = (rest_a.as_str(), rest_b.as_str()),
            (x, y) => return x.cmp(&y),
        }
    }
}

fn leading_number(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_as_people_count() {
        let words =
            ["1", "01.5", "1.9", "1.10", "2", "2-rc1", "10", "99999999999999999999", "a2", "a10", "b"];
        for pair in words.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|word| Version::parse(word).unwrap());
            assert_eq!((a.cmp(&b), b.cmp(&a)), (Ordering::Less, Ordering::Greater), "{a} and {b}");
        }
        let [a, b] = ["1", "01"].map(|word| Version::parse(word).unwrap());
        assert_ne!(a.cmp(&b), Ordering::Equal, "spelled differently, so another version");
    }

    #[test]
    fn a_version_is_one_word_of_a_path() {
        for wrong in ["", ".", "..", ".partial", "-1", "a/b", "a\\b", "a b", "\u{e9}", &"9".repeat(65)] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }
}
