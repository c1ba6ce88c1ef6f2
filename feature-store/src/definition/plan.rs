//! What a row of an entity's state must hold so that its features can be answered, and how far back.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use schemas::payment::{FieldValue, Payment};
use schemas::time::DurationMs;

use super::{Aggregate, Condition, Feature, Kind, Number, Windowed};

/// A number kept in the rows as a running sum, in the order of the row's words.
pub type NumericField = Number;

/// Most filter bits a row has room for.
pub(super) const MAX_FILTERS: usize = 16;

/// The words of one row (see `state`): time and filter bits, then one word each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowLayout {
    /// Numbers kept as running sums: words 1 and on.
    pub numbers: Vec<NumericField>,
    /// Fields kept as hashes, for distinct: the words after.
    pub hashes: Vec<usize>,
    /// The word with the label, if any feature looks at labels.
    pub label: Option<usize>,
    /// Words in a row.
    pub width: usize,
}

/// How one feature is answered from rows of this layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Place of the feature in the vector.
    pub feature: usize,
    /// The definition.
    pub windowed: Windowed,
    /// The bits that a row must have, 0 for no filter.
    pub filter_bits: u64,
    /// The word of the number or hash looked at.
    pub word: usize,
}

/// The plan of one entity's state.
#[derive(Debug, Clone, Default)]
pub struct EntityPlan {
    /// The row's words.
    pub layout: RowLayout,
    /// The conditions behind the filter bits, by bit.
    pub filters: Vec<RowFilter>,
    /// The features, in the order of the file.
    pub queries: Vec<Query>,
    /// Longest reach back of any feature, milliseconds: max(window + delay).
    pub reach_ms: i64,
}

/// What sets one filter bit of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    /// All of these must be met,
    pub conditions: Vec<Condition>,
    /// and this number must not be null.
    pub not_null: Option<Number>,
}

impl EntityPlan {
    /// The plan for one entity, or the reason why its features do not fit a row.
    pub(super) fn of(entity: usize, features: &[Feature]) -> Result<EntityPlan, String> {
        let mut plan = EntityPlan::default();
        let windowed = |feature: &Feature| match &feature.kind {
            Kind::Windowed(windowed) if windowed.entity == entity => Some(windowed.clone()),
            _ => None,
        };
        let own: Vec<_> =
            features.iter().enumerate().filter_map(|(i, feature)| Some((i, windowed(feature)?))).collect();
        for (_, windowed) in &own {
            plan.layout.add(windowed.aggregate);
            plan.reach_ms = plan.reach_ms.max(windowed.window.0 + windowed.delay.0);
        }
        plan.layout.finish();
        for (feature, windowed) in own {
            let filter_bits = plan.filter_bits(&windowed)?;
            let word = plan.layout.word(windowed.aggregate);
            plan.queries.push(Query { feature, windowed, filter_bits, word });
        }
        Ok(plan)
    }

    /// Whether any feature uses this entity: without one it needs no state.
    pub fn is_used(&self) -> bool {
        !self.queries.is_empty()
    }

    fn filter_bits(&mut self, windowed: &Windowed) -> Result<u64, String> {
        let not_null = match windowed.aggregate {
            Aggregate::Sum(number @ Number::Field(_))
            | Aggregate::Mean(number @ Number::Field(_))
            | Aggregate::Min(number @ Number::Field(_))
            | Aggregate::Max(number @ Number::Field(_)) => Some(number),
            _ => None,
        };
        if windowed.filter.is_empty() && not_null.is_none() {
            return Ok(0);
        }
        let filter = RowFilter { conditions: windowed.filter.clone(), not_null };
        let bit = self.filters.iter().position(|known| *known == filter).unwrap_or(self.filters.len());
        if bit == self.filters.len() {
            self.filters.push(filter);
        }
        if bit >= MAX_FILTERS {
            return Err(format!("more than {MAX_FILTERS} different filters"));
        }
        Ok(1 << bit)
    }

    /// The filter bits of a payment's row.
    pub fn bits_of(&self, payment: &Payment) -> u64 {
        let mut bits = 0;
        for (bit, filter) in self.filters.iter().enumerate() {
            let met = filter.conditions.iter().all(|condition| condition.is_met(payment))
                && filter.not_null.is_none_or(|number| number.of(payment).is_some());
            bits |= u64::from(met) << bit;
        }
        bits
    }

    /// How far behind an entity's newest event its rows are kept, milliseconds.
    pub fn horizon_ms(&self, allowed_lateness: DurationMs) -> i64 {
        self.reach_ms + allowed_lateness.0
    }
}

impl RowLayout {
    fn add(&mut self, aggregate: Aggregate) {
        match aggregate {
            Aggregate::Sum(number)
            | Aggregate::Mean(number)
            | Aggregate::Min(number)
            | Aggregate::Max(number)
                if !self.numbers.contains(&number) =>
            {
                self.numbers.push(number);
            }
            Aggregate::Distinct(field) if !self.hashes.contains(&field) => self.hashes.push(field),
            Aggregate::FraudCount | Aggregate::FraudRatio => self.label = Some(0),
            _ => {}
        }
    }

    fn finish(&mut self) {
        let words = 1 + self.numbers.len() + self.hashes.len();
        self.width = words + usize::from(self.label.is_some());
        self.label = self.label.map(|_| words);
    }

    fn word(&self, aggregate: Aggregate) -> usize {
        let number = |wanted| 1 + self.numbers.iter().position(|number| *number == wanted).unwrap_or(0);
        match aggregate {
            Aggregate::Sum(of) | Aggregate::Mean(of) | Aggregate::Min(of) | Aggregate::Max(of) => number(of),
            Aggregate::Distinct(field) => {
                1 + self.numbers.len() + self.hashes.iter().position(|hash| *hash == field).unwrap_or(0)
            }
            Aggregate::FraudCount | Aggregate::FraudRatio => self.label.unwrap_or(0),
            Aggregate::Count | Aggregate::TimeSinceLast => 0,
        }
    }
}

/// The hash of a field's value for distinct; 0 for null. 64 bits: among 4,096 values of one window two
/// collide with a probability of 5 in 10^13.
pub fn value_hash(value: Option<&FieldValue>) -> u64 {
    let mut hash = SipHasher13::new();
    match value {
        None | Some(FieldValue::Null) => return 0,
        Some(FieldValue::Int(value)) => hash.write_i64(*value),
        Some(FieldValue::Text(text)) => hash.write(text.as_bytes()),
        Some(FieldValue::Flag(value)) => hash.write_u8(u8::from(*value)),
    }
    hash.finish().max(1)
}
