//! The names of columns. An entity, a field and a feature may have one name, which is theirs as far as SQL can tell
//! them apart: it does not look at capitals.

use std::collections::BTreeSet;

use feature_store::definition::{Aggregate, Condition, Feature, Number, Vocabulary, Windowed};

use super::Dialect;

/// Those of `payments` beside the entities and fields.
const OWN: [&str; 4] = ["transaction_id", "event_time_ms", "amount_minor", "ord"];

/// The columns of `payments`, quoted.
pub(super) struct Columns {
    entities: Vec<String>,
    fields: Vec<String>,
    dialect: Dialect,
}

impl Columns {
    pub fn of(vocabulary: &Vocabulary, dialect: Dialect) -> Self {
        let mut taken = Taken::new(&OWN);
        let mut column = |name: &str, what| dialect.quoted(&taken.take(name, what));
        let entities = vocabulary.entities.iter().map(|name| column(name, "entity")).collect();
        let fields = vocabulary.fields.iter().map(|(name, _)| column(name, "field")).collect();
        Self { entities, fields, dialect }
    }

    /// The key of an entity, by its place.
    pub fn entity(&self, place: usize) -> String {
        self.entities.get(place).cloned().unwrap_or_else(|| format!("entity_{}_key", place + 1))
    }

    /// A field, by its place.
    pub fn field(&self, place: usize) -> String {
        self.fields.get(place).cloned().unwrap_or_else(|| format!("field_{}", place + 1))
    }

    /// A number.
    pub fn number(&self, number: Number) -> String {
        match number {
            Number::Amount => "amount_minor".to_owned(),
            Number::Field(place) => self.field(place),
        }
    }

    /// The fields that features look at, each once.
    pub fn fields_of<'a>(&self, features: impl Iterator<Item = &'a Windowed>) -> Vec<String> {
        let mut places = BTreeSet::new();
        for windowed in features {
            places.extend(windowed.filter.iter().map(|condition| condition.field));
            match windowed.aggregate {
                Aggregate::Sum(Number::Field(place))
                | Aggregate::Mean(Number::Field(place))
                | Aggregate::Min(Number::Field(place))
                | Aggregate::Max(Number::Field(place))
                | Aggregate::Distinct(place) => _ = places.insert(place),
                _ => {}
            }
        }
        places.into_iter().map(|place| self.field(place)).collect()
    }

    /// The condition that an event must meet to count, if there is one.
    pub fn condition(&self, filter: &[Condition]) -> Option<String> {
        let one = |condition: &Condition| {
            let any_of = condition.any_of.iter().map(|constant| self.dialect.constant(constant));
            format!("{} IN ({})", self.field(condition.field), any_of.collect::<Vec<_>>().join(", "))
        };
        let all: Vec<String> = filter.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    /// The columns of the answer.
    pub fn of_answer(&self, features: &[Feature]) -> Vec<String> {
        let mut taken = Taken::new(&["transaction_id", "ord"]);
        features.iter().map(|feature| self.dialect.quoted(&taken.take(&feature.name, "feature"))).collect()
    }
}

/// Names in use.
struct Taken(BTreeSet<String>);

impl Taken {
    fn new(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The name; where it is in use with what it names behind it, and if need be with a number.
    fn take(&mut self, name: &str, what: &str) -> String {
        let mut number = 1;
        let mut own = name.to_owned();
        while !self.0.insert(own.to_lowercase()) {
            let nth = if number == 1 { String::new() } else { format!("_{number}") };
            own = format!("{name}_{what}{nth}");
            number += 1;
        }
        own
    }
}
