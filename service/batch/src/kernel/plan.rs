//! What the features file asks of each entity: which numbers, values and conditions a row has to bring along.

use std::hash::Hasher;

use feature_store::definition::{Aggregate, Condition, Definitions, Feature, Kind, Number, Windowed};
use schemas::payment::{FieldValue, Payment};
use schemas::value::{FeatureValue, ValueKind};
use siphasher::sip::SipHasher13;

/// Most different conditions of one entity: they share a word of a row.
const MAX_CONDITIONS: usize = 32;

/// What must hold for a payment to count.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    conditions: Vec<Condition>,
    not_null: Option<Number>,
}

/// One feature over an entity.
#[derive(Debug, Clone)]
pub(super) struct Task {
    /// Place in the features file.
    pub feature: usize,
    /// Its definition.
    pub windowed: Windowed,
    /// What its values look like.
    pub kind: ValueKind,
    /// The bit that a row must have, 0 for no condition.
    pub bit: u64,
    /// Place of the number or value looked at, among those of a row.
    pub column: usize,
}

/// The features of one entity.
#[derive(Debug, Clone)]
pub(super) struct EntityTasks {
    /// Place of the entity in the mapping.
    pub entity: usize,
    /// Its features, those of one window beside each other.
    pub tasks: Vec<Task>,
    /// Whether any of them looks at labels.
    pub uses_labels: bool,
    numbers: Vec<Number>,
    values: Vec<usize>,
    wanted: Vec<Wanted>,
}

impl EntityTasks {
    /// Those of every entity that has any.
    pub fn of(definitions: &Definitions) -> Result<Vec<EntityTasks>, String> {
        let entities = 0..definitions.plans.len();
        let tasks = entities.map(|entity| Self::of_entity(entity, &definitions.features));
        let tasks: Result<Vec<_>, String> = tasks.collect();
        Ok(tasks?.into_iter().filter(|tasks| !tasks.tasks.is_empty()).collect())
    }

    fn of_entity(entity: usize, features: &[Feature]) -> Result<EntityTasks, String> {
        let mut own = EntityTasks {
            entity,
            tasks: Vec::new(),
            uses_labels: false,
            numbers: Vec::new(),
            values: Vec::new(),
            wanted: Vec::new(),
        };
        for (place, feature) in features.iter().enumerate() {
            let Kind::Windowed(windowed) = &feature.kind else { continue };
            if windowed.entity != entity {
                continue;
            }
            let bit = own.bit(windowed);
            let column = own.column(windowed.aggregate);
            own.uses_labels |= matches!(windowed.aggregate, Aggregate::FraudCount | Aggregate::FraudRatio);
            let windowed = windowed.clone();
            own.tasks.push(Task { feature: place, windowed, kind: feature.value_kind(), bit, column });
        }
        if own.wanted.len() > MAX_CONDITIONS {
            return Err(format!("more than {MAX_CONDITIONS} different conditions on one entity"));
        }
        own.tasks.sort_by_key(|task| (task.windowed.window.0, task.windowed.delay.0));
        Ok(own)
    }

    fn bit(&mut self, windowed: &Windowed) -> u64 {
        let not_null = match windowed.aggregate {
            Aggregate::Sum(number)
            | Aggregate::Mean(number)
            | Aggregate::Min(number)
            | Aggregate::Max(number) => Some(number).filter(|number| *number != Number::Amount),
            _ => None,
        };
        if windowed.filter.is_empty() && not_null.is_none() {
            return 0;
        }
        let wanted = Wanted { conditions: windowed.filter.clone(), not_null };
        1 << place_of(&mut self.wanted, wanted)
    }

    fn column(&mut self, aggregate: Aggregate) -> usize {
        match aggregate {
            Aggregate::Sum(number)
            | Aggregate::Mean(number)
            | Aggregate::Min(number)
            | Aggregate::Max(number) => place_of(&mut self.numbers, number),
            Aggregate::Distinct(field) => place_of(&mut self.values, field),
            _ => 0,
        }
    }

    /// Words that a row brings along.
    pub fn width(&self) -> usize {
        1 + self.numbers.len() + self.values.len()
    }

    /// Where the numbers and where the values begin among them.
    pub fn columns(&self) -> (usize, usize) {
        (1, 1 + self.numbers.len())
    }

    /// Writes a payment's words: conditions met, numbers, values.
    pub fn write(&self, payment: &Payment, words: &mut Vec<u64>) {
        let met = self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.is_met(payment));
        words.push(met.fold(0, |bits, (bit, _)| bits | 1 << bit));
        words.extend(self.numbers.iter().map(|number| number.of(payment).unwrap_or(0).cast_unsigned()));
        words.extend(self.values.iter().map(|field| value_word(payment.fields.get(*field))));
    }
}

impl Wanted {
    fn is_met(&self, payment: &Payment) -> bool {
        self.conditions.iter().all(|condition| condition.is_met(payment))
            && self.not_null.is_none_or(|number| number.of(payment).is_some())
    }
}

fn place_of<T: PartialEq>(known: &mut Vec<T>, wanted: T) -> usize {
    match known.iter().position(|one| *one == wanted) {
        Some(place) => place,
        None => {
            known.push(wanted);
            known.len() - 1
        }
    }
}

/// A value as a word that is the same for the same value; 0 for null. Hashed: two values of one entity share a word
/// with a probability of 10^-15 at 100 values.
fn value_word(value: Option<&FieldValue>) -> u64 {
    let mut hash = SipHasher13::new_with_keys(0x7472_6970, 0x6c69_6e65);
    match value {
        None | Some(FieldValue::Null) => return 0,
        Some(FieldValue::Int(value)) => hash.write(&value.to_le_bytes()),
        Some(FieldValue::Text(text)) => hash.write(text.as_bytes()),
        Some(FieldValue::Flag(value)) => hash.write(&[u8::from(*value)]),
    }
    hash.finish() | 1
}

impl Task {
    /// The value where the aggregate has none.
    pub fn undefined(&self) -> FeatureValue {
        match (self.windowed.empty, self.kind) {
            (None, _) => FeatureValue::Null,
            (Some(value), ValueKind::Int) => FeatureValue::Int(value),
            (Some(value), ValueKind::Real) => FeatureValue::Real(value as f64),
            (Some(value), ValueKind::Flag) => FeatureValue::Flag(value != 0),
        }
    }

    /// `total / (count x 10^scale)`, the one division; whole units where the feature has whole units.
    pub fn divided(&self, total: i128, count: i128) -> FeatureValue {
        if self.kind == ValueKind::Int {
            // Wraps as 64-bit sums do: 2^63 minor units are beyond any window's money.
            return FeatureValue::Int(total as i64);
        }
        let by = count * 10_i128.pow(self.windowed.major_scale.unwrap_or(0));
        FeatureValue::Real(total as f64 / by as f64)
    }
}
