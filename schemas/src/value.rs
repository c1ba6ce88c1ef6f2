//! Feature values: what the feature store computes, the model reads and a decision records.
//!
//! The only type that the feature store and the models share. Integers stay integers up to here, so that two
//! computations of one feature are equal or they are not; a float is made by one division at the very end.

use std::fmt;

/// The value of one feature for one payment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FeatureValue {
    /// Undefined: no such events, or the payment has no key for the entity.
    Null,
    /// Counts and sums, whole units of what was counted.
    Int(i64),
    /// Means and ratios: one division of two integers.
    Real(f64),
    /// Yes or no.
    Flag(bool),
}

impl FeatureValue {
    /// The value as a model's input; `NaN` where it is undefined, which a model may refuse.
    pub fn as_input(self) -> f32 {
        self.as_f64().map_or(f32::NAN, |value| value as f32)
    }

    /// The value as a number, if defined.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            FeatureValue::Null => None,
            FeatureValue::Int(value) => Some(value as f64),
            FeatureValue::Real(value) => Some(value),
            FeatureValue::Flag(value) => Some(f64::from(u8::from(value))),
        }
    }

    /// Equal to the last bit: what reconciliation and replay mean by "the same value".
    pub fn same_bits(self, other: FeatureValue) -> bool {
        match (self, other) {
            (FeatureValue::Real(a), FeatureValue::Real(b)) => a.to_bits() == b.to_bits(),
            _ => self == other,
        }
    }
}

impl fmt::Display for FeatureValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeatureValue::Null => f.write_str("undefined"),
            FeatureValue::Int(value) => write!(f, "{value}"),
            FeatureValue::Real(value) => write!(f, "{value:.4}"),
            FeatureValue::Flag(value) => write!(f, "{value}"),
        }
    }
}

/// What a feature's values look like, for the columns of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// `FeatureValue::Int` or null.
    Int,
    /// `FeatureValue::Real` or null.
    Real,
    /// `FeatureValue::Flag`.
    Flag,
}
