//! The user's own payment schema, mapped by config to a [`Payment`]: names in, a valid payment out.
//!
//! One mapping serves every source. An Avro record or a row of a Parquet file hands over its values as
//! [`Raw`], in the order of [`PaymentMapping::paths`]; all that is checked is checked here, once.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use crate::payment::{AmountMinor, ContentHash, Currency, FieldValue, MAX_KEY_BYTES, Payment};
use crate::reject::{Reject, RejectCode};
use crate::time::EventTime;

mod read;
mod refusals;

/// Largest number of entities and of fields in one mapping: each costs state and time for every payment.
pub const MAX_MAPPED: usize = 16;

/// A dotted path into the user's record: `merchant.country`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// A path, or `None` when a step is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let steps: Vec<_> = text.split('.').map(str::to_owned).collect();
        (!steps.iter().any(String::is_empty)).then_some(Self(steps))
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Unit of an integer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Whole seconds.
    Second,
    /// Milliseconds.
    Milli,
    /// Microseconds, rounded down to milliseconds.
    Micro,
    /// Nanoseconds, rounded down to milliseconds.
    Nano,
}

/// One value of the user's record, as its source stores it.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw<'a> {
    /// Null, or no such column in this record.
    Null,
    /// Any integer.
    Int(i64),
    /// Any float.
    Real(f64),
    /// A string, an enum's symbol, a UUID.
    Text(Cow<'a, str>),
    /// A boolean.
    Flag(bool),
    /// A timestamp with its unit from the schema.
    Time(i64, TimeUnit),
    /// A decimal: unscaled value and scale.
    Decimal(i128, u32),
}

/// How the amount is written in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Whole minor units (cents).
    Minor,
    /// Major units (euros) with this many decimal places; a float is rounded half to even.
    Major {
        /// Decimal places of the currency, 0 to 6.
        scale: u32,
    },
}

/// The currency: in the record or the same for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurrencySource {
    /// Read from this field.
    Field(FieldPath),
    /// Always this.
    Constant(Currency),
}

/// An entity and the field (or fields) that make its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityMapping {
    /// The entity's name in the features file.
    pub name: String,
    /// One field, or several for a composite key.
    pub key: Vec<FieldPath>,
}

/// What a mapped field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A text; an integer is taken as its digits.
    Text,
    /// A whole number.
    Integer,
    /// A number kept as a whole number of 10^-scale.
    Decimal {
        /// Decimal places kept, 0 to 9.
        scale: u32,
    },
    /// Yes or no.
    Flag,
}

impl FieldKind {
    /// Whether it can be summed.
    pub fn is_number(self) -> bool {
        matches!(self, FieldKind::Integer | FieldKind::Decimal { .. })
    }
}

/// A field that features may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMapping {
    /// Its name in the features file.
    pub name: String,
    /// Where it stands in the record.
    pub path: FieldPath,
    /// What it holds.
    pub kind: FieldKind,
}

/// `[payment]` of the config, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMapping {
    /// The field with the payment's identity.
    pub transaction_id: FieldPath,
    /// The field with the event time.
    pub event_time: FieldPath,
    /// Unit of the event time, where its schema does not say.
    pub event_time_unit: Option<TimeUnit>,
    /// The field with the amount.
    pub amount: FieldPath,
    /// How the amount is written.
    pub amount_unit: AmountUnit,
    /// Where the currency comes from.
    pub currency: CurrencySource,
    /// The entities, by name.
    pub entities: Vec<EntityMapping>,
    /// Further fields, by name.
    pub fields: Vec<FieldMapping>,
}

impl PaymentMapping {
    /// The fields wanted from a record, in the order in which [`Self::assemble`] takes their values.
    pub fn paths(&self) -> Vec<&FieldPath> {
        let mut paths = vec![&self.transaction_id, &self.event_time, &self.amount];
        if let CurrencySource::Field(path) = &self.currency {
            paths.push(path);
        }
        paths.extend(self.entities.iter().flat_map(|entity| &entity.key));
        paths.extend(self.fields.iter().map(|field| &field.path));
        paths
    }

    /// Which of [`Self::paths`] a record can do without: entity keys and further fields may be null.
    pub fn is_required(&self, place: usize) -> bool {
        place < 3 || (place == 3 && matches!(self.currency, CurrencySource::Field(_)))
    }

    /// Makes a valid payment of one record's values.
    ///
    /// # Errors
    /// The first field that is missing, of a wrong kind or out of range.
    pub fn assemble(&self, raws: &[Raw<'_>]) -> Result<Payment, Reject> {
        let mut raws = raws.iter();
        let mut next = || raws.next().unwrap_or(&Raw::Null);
        let transaction_id = key_text(next(), "transaction_id")?
            .ok_or_else(|| Reject::new(RejectCode::FieldMissing, "transaction_id is null"))?;
        let event_time = event_time(next(), self.event_time_unit, "event_time")?;
        let amount = amount(next(), self.amount_unit)?;
        let currency = match &self.currency {
            CurrencySource::Constant(currency) => *currency,
            CurrencySource::Field(_) => currency(next())?,
        };
        let mut entities = SmallVec::new();
        for entity in &self.entities {
            entities.push(entity_key(entity, &mut next)?);
        }
        let mut fields = SmallVec::new();
        for field in &self.fields {
            fields.push(field_value(field, next())?);
        }
        let mut payment = Payment {
            transaction_id: transaction_id.into(),
            event_time,
            amount,
            currency,
            entities,
            fields,
            content: ContentHash(0),
        };
        payment.content = content_hash(&payment);
        Ok(payment)
    }
}

fn invalid(name: &str, expected: &str) -> Reject {
    Reject::new(RejectCode::FieldInvalid, format!("{name} is not {expected}"))
}

/// A key's text; `None` when it is null. Empty and over-long keys are refused.
pub(crate) fn key_text<'a>(raw: &'a Raw<'_>, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
    let text = match raw {
        Raw::Null => return Ok(None),
        Raw::Text(text) => Cow::Borrowed(text.as_ref()),
        Raw::Int(value) => Cow::Owned(value.to_string()),
        Raw::Real(_) | Raw::Flag(_) | Raw::Time(..) | Raw::Decimal(..) => {
            return Err(invalid(name, "a text or a whole number"));
        }
    };
    if text.is_empty() {
        return Err(Reject::new(RejectCode::FieldMissing, format!("{name} is empty")));
    }
    // As over REST: a database that the key goes to may have no such text.
    if text.contains('\0') {
        return Err(invalid(name, "a text without U+0000"));
    }
    if text.len() > MAX_KEY_BYTES {
        let detail = format!("{name} has {} bytes, at most {MAX_KEY_BYTES} are taken", text.len());
        return Err(Reject::new(RejectCode::FieldInvalid, detail));
    }
    Ok(Some(text))
}

/// The key of an entity: one field as it is, several joined by `|` (a `|` or `\` inside a part is escaped, so
/// that different parts never make the same key). `None` when any part is null.
fn entity_key<'a>(
    entity: &EntityMapping,
    next: &mut impl FnMut() -> &'a Raw<'a>,
) -> Result<Option<Box<str>>, Reject> {
    if let [_] = entity.key.as_slice() {
        return Ok(key_text(next(), &entity.name)?.map(|key| key.into()));
    }
    let mut joined = String::new();
    let mut complete = true;
    for (i, _) in entity.key.iter().enumerate() {
        let Some(part) = key_text(next(), &entity.name)? else {
            complete = false;
            continue;
        };
        if i > 0 {
            joined.push('|');
        }
        joined.push_str(&part.replace('\\', "\\\\").replace('|', "\\|"));
    }
    Ok(complete.then(|| joined.into()))
}

/// A time; `unit` is that of a plain integer.
pub(crate) fn event_time(raw: &Raw<'_>, unit: Option<TimeUnit>, name: &str) -> Result<EventTime, Reject> {
    let (value, unit) = match (raw, unit) {
        (Raw::Time(value, unit), _) => (*value, *unit),
        (Raw::Int(value), Some(unit)) => (*value, unit),
        (Raw::Null, _) => return Err(Reject::new(RejectCode::FieldMissing, format!("{name} is null"))),
        (Raw::Int(_), None) => return Err(invalid(name, "a timestamp, and the mapping has no unit")),
        _ => return Err(invalid(name, "a timestamp or a whole number with a unit")),
    };
    let ms = match unit {
        TimeUnit::Second => value.checked_mul(1_000),
        TimeUnit::Milli => Some(value),
        TimeUnit::Micro => Some(value.div_euclid(1_000)),
        TimeUnit::Nano => Some(value.div_euclid(1_000_000)),
    };
    ms.and_then(EventTime::from_ms).ok_or_else(|| {
        let detail = format!("{name} is not between the years 1970 and 9998");
        Reject::new(RejectCode::EventTimeOutOfRange, detail)
    })
}

fn amount(raw: &Raw<'_>, unit: AmountUnit) -> Result<AmountMinor, Reject> {
    let scale = match unit {
        AmountUnit::Minor => 0,
        AmountUnit::Major { scale } => scale,
    };
    if matches!((raw, unit), (Raw::Real(value), AmountUnit::Minor) if value.fract() != 0.0) {
        return Err(invalid("amount", "a whole number of minor units"));
    }
    scaled(raw, scale, "amount")?.and_then(AmountMinor::new).ok_or_else(|| {
        Reject::new(RejectCode::AmountOutOfRange, "amount is not between 0 and 10^15 minor units")
    })
}

/// A number as a whole number of 10^-scale; `None` when it does not fit. Rounds half to even.
fn scaled(raw: &Raw<'_>, scale: u32, name: &str) -> Result<Option<i64>, Reject> {
    match raw {
        Raw::Null => Err(Reject::new(RejectCode::FieldMissing, format!("{name} is null"))),
        Raw::Int(value) => Ok(10_i64.checked_pow(scale).and_then(|factor| value.checked_mul(factor))),
        Raw::Real(value) => {
            let value = (value * 10_f64.powi(scale as i32)).round_ties_even();
            // 2^53: beyond it a float no longer tells whole numbers apart.
            Ok((value.abs() < 9_007_199_254_740_992.0).then_some(value as i64))
        }
        Raw::Decimal(unscaled, from) => Ok(rescaled(*unscaled, *from, scale)),
        Raw::Text(_) | Raw::Flag(_) | Raw::Time(..) => Err(invalid(name, "a number")),
    }
}

fn rescaled(unscaled: i128, from: u32, to: u32) -> Option<i64> {
    if to >= from {
        let factor = 10_i128.checked_pow(to - from)?;
        return i64::try_from(unscaled.checked_mul(factor)?).ok();
    }
    let factor = 10_i128.checked_pow(from - to)?;
    let (quotient, remainder) = (unscaled.div_euclid(factor), unscaled.rem_euclid(factor));
    let up = match (remainder * 2).cmp(&factor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
    };
    i64::try_from(quotient + i128::from(up)).ok()
}

fn currency(raw: &Raw<'_>) -> Result<Currency, Reject> {
    let text = match raw {
        Raw::Text(text) => text,
        Raw::Null => return Err(Reject::new(RejectCode::FieldMissing, "currency is null")),
        _ => return Err(invalid("currency", "a text")),
    };
    Currency::parse(text)
        .ok_or_else(|| Reject::new(RejectCode::CurrencyInvalid, "currency is not three capital letters"))
}

fn field_value(field: &FieldMapping, raw: &Raw<'_>) -> Result<FieldValue, Reject> {
    if *raw == Raw::Null {
        return Ok(FieldValue::Null);
    }
    let number = |scale| {
        let out = || invalid(&field.name, "a number that fits 64 bits");
        Ok(FieldValue::Int(scaled(raw, scale, &field.name)?.ok_or_else(out)?))
    };
    match (field.kind, raw) {
        (FieldKind::Integer, Raw::Real(value)) if value.fract() != 0.0 => {
            Err(invalid(&field.name, "a whole number"))
        }
        (FieldKind::Integer, _) => number(0),
        (FieldKind::Decimal { scale }, _) => number(scale),
        (FieldKind::Flag, Raw::Flag(value)) => Ok(FieldValue::Flag(*value)),
        (FieldKind::Flag, Raw::Int(value @ (0 | 1))) => Ok(FieldValue::Flag(*value == 1)),
        (FieldKind::Flag, _) => Err(invalid(&field.name, "a boolean")),
        (FieldKind::Text, Raw::Text(text)) if text.is_empty() => Ok(FieldValue::Null),
        (FieldKind::Text, _) => Ok(match key_text(raw, &field.name)? {
            Some(text) => FieldValue::Text(text.into()),
            None => FieldValue::Null,
        }),
    }
}

/// SipHash-1-3 with a fixed key over the mapped values: the order of the user's fields, his other fields and
/// the schema id do not enter, so a payment sent again in a newer schema is still the same payment.
fn content_hash(payment: &Payment) -> ContentHash {
    let mut hash = SipHasher13::new();
    hash.write_i64(payment.event_time.ms());
    hash.write_i64(payment.amount.minor());
    hash.write(payment.currency.as_str().as_bytes());
    for key in &payment.entities {
        hash_text(&mut hash, key.as_deref());
    }
    for field in &payment.fields {
        match field {
            FieldValue::Null => hash.write_u8(0),
            FieldValue::Int(value) => hash.write_i64(*value),
            FieldValue::Text(text) => hash_text(&mut hash, Some(text)),
            FieldValue::Flag(value) => hash.write_u8(1 + u8::from(*value)),
        }
    }
    ContentHash(hash.finish())
}

fn hash_text(hash: &mut SipHasher13, text: Option<&str>) {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    hash.write_usize(text.map_or(usize::MAX, str::len));
    hash.write(text.unwrap_or_default().as_bytes());
}
