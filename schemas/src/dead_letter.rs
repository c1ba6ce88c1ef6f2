//! A record that could not be decided, as `avro/dead_letter.avsc` has it. It carries a hash of the record and
//! never its content, which may hold what must not leave (I15).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::decision::first;
use crate::reject::Reject;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: i32,
    /// Offset of the record in its partition.
    pub offset: i64,
    /// [`crate::reject::RejectCode`]'s word.
    pub code: String,
    /// The reason for a person.
    #[serde(default)]
    pub reason: String,
    /// SHA-256 of the record's value, 64 lower-case hexadecimal digits.
    #[serde(default)]
    pub value_sha256: String,
    /// Length of the record's value, bytes.
    #[serde(default)]
    pub value_bytes: i32,
    /// Wall-clock time of the refusal, milliseconds since 1970.
    #[serde(rename = "died_at")]
    pub died_at_ms: i64,
    /// How often this dead letter was written, counted from 1.
    #[serde(default = "first")]
    pub attempt: i32,
}

impl DeadLetter {
    /// The first dead letter of a record with this value.
    pub fn new(
        topic: &str,
        partition: i32,
        offset: i64,
        value: &[u8],
        reject: &Reject,
        died_at_ms: i64,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            offset,
            code: reject.code.as_str().to_owned(),
            reason: reject.detail.clone(),
            value_sha256: sha256_hex(value),
            value_bytes: i32::try_from(value.len()).unwrap_or(i32::MAX),
            died_at_ms,
            attempt: first(),
        }
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::RejectCode;

    #[test]
    fn the_hash_is_the_values() {
        let reject = Reject::new(RejectCode::Malformed, "cut short");
        let letter = DeadLetter::new("tx", 1, 2, b"abc", &reject, 3);
        assert_eq!(letter.value_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((letter.value_bytes, letter.code.as_str(), letter.attempt), (3, "malformed", 1));
    }
}
