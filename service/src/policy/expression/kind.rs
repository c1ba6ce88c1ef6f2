//! Kind: what an expression's value is, as far as a check before the first payment needs to know it.

use std::fmt;

use schemas::mapping::FieldKind;
use schemas::value::ValueKind;

/// The kind of a value. Any word of an entity, a field or a feature may also be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CEL's `bool`.
    Flag,
    /// CEL's `int`.
    Whole,
    /// CEL's `double`.
    Real,
    /// CEL's `string`.
    Text,
    /// `null`.
    Null,
    /// CEL's `list(string)`.
    Texts,
    /// Of something that is wrong: it fits everywhere, so that one flaw is not told twice.
    Unknown,
}

impl Kind {
    /// Whether it can be compared by size with numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Kind::Whole | Kind::Real | Kind::Unknown)
    }

    /// Whether a value of one may stand where the other is wanted.
    pub(super) fn fits(self, other: Kind) -> bool {
        self == other || self == Kind::Unknown || other == Kind::Unknown
    }

    /// Whether `==` between them can be true.
    pub(super) fn can_equal(self, other: Kind) -> bool {
        let null = self == Kind::Null || other == Kind::Null;
        self.fits(other) || null || (self.is_number() && other.is_number())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Flag => "true or false (bool)",
            Kind::Whole => "a whole number (int)",
            Kind::Real => "a number (double)",
            Kind::Text => "a text (string)",
            Kind::Null => "null",
            Kind::Texts => "a list of texts",
            Kind::Unknown => "an unknown value",
        })
    }
}

impl From<FieldKind> for Kind {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text => Kind::Text,
            FieldKind::Integer | FieldKind::Decimal { .. } => Kind::Whole,
            FieldKind::Flag => Kind::Flag,
        }
    }
}

impl From<ValueKind> for Kind {
    fn from(kind: ValueKind) -> Self {
        match kind {
            ValueKind::Int => Kind::Whole,
            ValueKind::Real => Kind::Real,
            ValueKind::Flag => Kind::Flag,
        }
    }
}
