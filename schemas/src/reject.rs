//! Why a record cannot be decided: data, not an error. It ends as a dead letter and the batch goes on.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The stable code of a dead letter. Scripts and alerts rely on these words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RejectCode { $($(#[$doc])* $name,)* }

        impl RejectCode {
            /// Every code, in the order of the docs.
            pub const ALL: &'static [RejectCode] = &[$(RejectCode::$name,)*];

            /// The word that is written.
            pub fn as_str(self) -> &'static str {
                match self { $(RejectCode::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// No value, or zero bytes.
    Empty = "empty",
    /// Larger than `limits.record_bytes`.
    TooLarge = "too_large",
    /// Shorter than the five bytes of a frame.
    FrameTruncated = "frame_truncated",
    /// The first byte is not the magic byte 0.
    BadMagic = "bad_magic",
    /// The registry says for certain that there is no such schema id.
    SchemaUnknown = "schema_unknown",
    /// The schema is not Avro, too large, too deep, recursive, or not a record.
    SchemaRefused = "schema_refused",
    /// The schema lacks a mapped field, or has it with a type that the mapping cannot take.
    SchemaMismatch = "schema_mismatch",
    /// The body is not a record of its schema: cut short, an index out of range, invalid UTF-8, a bomb.
    Malformed = "malformed",
    /// Bytes are left after the record.
    TrailingBytes = "trailing_bytes",
    /// A field that must be there is null, empty or too long.
    FieldMissing = "field_missing",
    /// A field's value is of another kind than the mapping says.
    FieldInvalid = "field_invalid",
    /// The amount is negative, not finite, or larger than 10^15 minor units.
    AmountOutOfRange = "amount_out_of_range",
    /// The currency is not three capital letters.
    CurrencyInvalid = "currency_invalid",
    /// The event time is negative or not before the year 9999 (often: another unit than was mapped).
    EventTimeOutOfRange = "event_time_out_of_range",
    /// The event time is older than the allowed lateness.
    Late = "late",
    /// The event time is further in the future than the allowed skew.
    Future = "future",
    /// The transaction id was seen before, with other content.
    Conflict = "conflict",
    /// Three times the process died at this record.
    Quarantined = "quarantined",
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one record was refused. The detail names fields and sizes, never content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Reject {
    /// Stable code.
    pub code: RejectCode,
    /// For a person: which field, which limit.
    pub detail: String,
}

impl Reject {
    /// A refusal with its detail.
    pub fn new(code: RejectCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}
