//! A payment event as the whole service knows it: parsed once, at the edge, and valid from there on.

use smallvec::SmallVec;

use crate::time::EventTime;

/// Largest amount accepted, 10^15 minor units: sums of 4,096 of them fit an i64.
pub const MAX_AMOUNT_MINOR: i64 = 1_000_000_000_000_000;

/// Longest id or key accepted, bytes.
pub const MAX_KEY_BYTES: usize = 256;

/// An amount of money in minor units (cents) of its currency, 0 to [`MAX_AMOUNT_MINOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AmountMinor(i64);

impl AmountMinor {
    /// An amount, or `None` when it is negative or too large.
    pub fn new(minor: i64) -> Option<Self> {
        (0..=MAX_AMOUNT_MINOR).contains(&minor).then_some(Self(minor))
    }

    /// Whole minor units.
    pub fn minor(self) -> i64 {
        self.0
    }
}

/// An ISO 4217 currency code: three capital letters. Whether it is assigned is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// A code, or `None` unless it is three capital letters.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

/// A field of the payment that features may filter on, sum or count distinct values of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// Absent or null.
    Null,
    /// A whole number, already scaled by the mapping.
    Int(i64),
    /// A text.
    Text(Box<str>),
    /// Yes or no.
    Flag(bool),
}

/// A hash of all that was mapped from the record: two payments with one id and one hash are the same payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub u64);

/// A valid payment event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The payment's identity, 1 to [`MAX_KEY_BYTES`] bytes.
    pub transaction_id: Box<str>,
    /// When the card holder paid.
    pub event_time: EventTime,
    /// How much.
    pub amount: AmountMinor,
    /// In which currency.
    pub currency: Currency,
    /// The key of each mapped entity, in the mapping's order; `None` where the payment has none.
    pub entities: SmallVec<[Option<Box<str>>; 4]>,
    /// The value of each mapped field, in the mapping's order.
    pub fields: SmallVec<[FieldValue; 4]>,
    /// Hash of the above.
    pub content: ContentHash,
}

/// A fraud verdict about one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The payment it speaks of.
    pub transaction_id: Box<str>,
    /// Fraud, or confirmed legitimate.
    pub fraud: bool,
    /// From when on it is known.
    pub label_time: EventTime,
    /// Who says so.
    pub source: LabelSource,
}

/// Who labelled a payment. A closed set: state keeps it in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelSource {
    /// The card scheme's chargeback.
    Chargeback = 0,
    /// An analyst of the queue.
    Analyst = 1,
    /// The issuing bank.
    Issuer = 2,
    /// The card holder.
    Customer = 3,
    /// The simulator.
    Simulation = 4,
    /// Anyone else.
    Other = 5,
}

impl LabelSource {
    /// Every source.
    pub const ALL: [LabelSource; 6] = [
        LabelSource::Chargeback,
        LabelSource::Analyst,
        LabelSource::Issuer,
        LabelSource::Customer,
        LabelSource::Simulation,
        LabelSource::Other,
    ];

    /// The word in the label contract.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelSource::Chargeback => "chargeback",
            LabelSource::Analyst => "analyst",
            LabelSource::Issuer => "issuer",
            LabelSource::Customer => "customer",
            LabelSource::Simulation => "simulation",
            LabelSource::Other => "other",
        }
    }

    /// The source of a word; any unknown word is `Other`.
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|source| source.as_str() == word).unwrap_or(LabelSource::Other)
    }
}
