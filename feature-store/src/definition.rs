//! The features file: what each number means, and the plan by which an entity's state can answer it.
//!
//! A definition is data. [`Definitions`] turns the list into one [`EntityPlan`] for each entity, which says
//! what a row of its state must hold (and nothing more: an entity that no feature sums over keeps no sums).

use schemas::mapping::FieldKind;
use schemas::payment::{FieldValue, Payment};
use schemas::time::DurationMs;
use schemas::value::ValueKind;

mod plan;
mod read;

pub use plan::{EntityPlan, NumericField, Query, RowFilter, RowLayout, value_hash};

/// Largest number of features in one file.
pub const MAX_FEATURES: usize = 500;

/// Names that a features file may refer to: what the mapping declares.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    /// Entities, in the mapping's order.
    pub entities: Vec<String>,
    /// Further fields and what they hold, in the mapping's order.
    pub fields: Vec<(String, FieldKind)>,
}

impl Vocabulary {
    /// The names that a mapping declares.
    pub fn of(mapping: &schemas::mapping::PaymentMapping) -> Self {
        Self {
            entities: mapping.entities.iter().map(|entity| entity.name.clone()).collect(),
            fields: mapping.fields.iter().map(|field| (field.name.clone(), field.kind)).collect(),
        }
    }
}

/// A number of the payment that can be added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Number {
    /// The amount, minor units.
    Amount,
    /// A mapped field, by its place in the mapping.
    Field(usize),
}

impl Number {
    /// The payment's value; `None` where it is null.
    pub fn of(self, payment: &Payment) -> Option<i64> {
        match self {
            Number::Amount => Some(payment.amount.minor()),
            Number::Field(place) => match payment.fields.get(place) {
                Some(FieldValue::Int(value)) => Some(*value),
                _ => None,
            },
        }
    }
}

/// What is computed over the events of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// How many payments.
    Count,
    /// How many payments known to be fraud.
    FraudCount,
    /// The sum of a number.
    Sum(Number),
    /// Its mean: one division of two integers.
    Mean(Number),
    /// Its smallest value.
    Min(Number),
    /// Its largest value.
    Max(Number),
    /// How many different values a field took (the place of the field; null does not count).
    Distinct(usize),
    /// Milliseconds since the payment before this one.
    TimeSinceLast,
    /// Payments known to be fraud / payments.
    FraudRatio,
}

/// A condition on one field of the event: it is one of these values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// Place of the field in the mapping.
    pub field: usize,
    /// Any of these.
    pub any_of: Vec<Constant>,
}

/// A constant of a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Constant {
    /// A text field's value.
    Text(String),
    /// A number's value.
    Int(i64),
    /// A flag's value.
    Flag(bool),
}

impl Condition {
    /// Whether the payment meets it. A null field meets none.
    pub fn is_met(&self, payment: &Payment) -> bool {
        let Some(value) = payment.fields.get(self.field) else { return false };
        self.any_of.iter().any(|constant| match (constant, value) {
            (Constant::Text(wanted), FieldValue::Text(found)) => wanted.as_str() == &**found,
            (Constant::Int(wanted), FieldValue::Int(found)) => wanted == found,
            (Constant::Flag(wanted), FieldValue::Flag(found)) => wanted == found,
            _ => false,
        })
    }
}

/// A value over a window of an entity's events.
#[derive(Debug, Clone, PartialEq)]
pub struct Windowed {
    /// Place of the entity in the mapping.
    pub entity: usize,
    /// What is computed.
    pub aggregate: Aggregate,
    /// Width of the window: it covers `(t - delay - window, t - delay]`.
    pub window: DurationMs,
    /// How long before the payment the window ends.
    pub delay: DurationMs,
    /// All of these must be met by an event to count.
    pub filter: Vec<Condition>,
    /// Whether the payment itself counts where the window reaches it.
    pub include_current: bool,
    /// The value where the aggregate is undefined, instead of null.
    pub empty: Option<i64>,
    /// Decimal places by which sums, means and extremes are divided at the end; `None` leaves whole numbers.
    pub major_scale: Option<u32>,
}

/// A value of the payment alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The amount; divided by 10^scale if one is given.
    Amount {
        /// Decimal places of major units.
        major_scale: Option<u32>,
    },
    /// Hour of the day, 0 to 23, UTC.
    Hour,
    /// Day of the week, 0 is Monday.
    Weekday,
    /// Saturday or Sunday.
    Weekend,
    /// From midnight to the end of this hour (6: 00:00:00.000 to 06:59:59.999).
    Night {
        /// The last hour of the night.
        until_hour: i64,
    },
}

/// How a feature is computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Of the payment alone.
    Request(Request),
    /// Over a window of an entity's events.
    Windowed(Windowed),
}

/// One declared feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its published name.
    pub name: String,
    /// How it is computed.
    pub kind: Kind,
    /// Place of the feature that says what is normal for the entity, if there is one.
    pub norm: Option<usize>,
}

impl Feature {
    /// What its values look like.
    pub fn value_kind(&self) -> ValueKind {
        match &self.kind {
            Kind::Request(Request::Amount { major_scale: Some(_) }) => ValueKind::Real,
            Kind::Request(Request::Weekend | Request::Night { .. }) => ValueKind::Flag,
            Kind::Request(_) => ValueKind::Int,
            Kind::Windowed(windowed) => match windowed.aggregate {
                Aggregate::Mean(_) | Aggregate::FraudRatio => ValueKind::Real,
                Aggregate::Sum(_) | Aggregate::Min(_) | Aggregate::Max(_)
                    if windowed.major_scale.is_some() =>
                {
                    ValueKind::Real
                }
                _ => ValueKind::Int,
            },
        }
    }

    /// The window, if it has one.
    pub fn windowed(&self) -> Option<&Windowed> {
        match &self.kind {
            Kind::Request(_) => None,
            Kind::Windowed(windowed) => Some(windowed),
        }
    }
}

/// All features of a file, checked, with the plan of each entity's state.
#[derive(Debug, Clone)]
pub struct Definitions {
    /// In the order of the file: the order of every feature vector.
    pub features: Vec<Feature>,
    /// One for each entity of the mapping, in its order.
    pub plans: Vec<EntityPlan>,
    /// Hash of what the definitions mean: it changes when a value could.
    pub version: String,
}

impl Definitions {
    /// The features' names, in order.
    pub fn names(&self) -> Vec<String> {
        self.features.iter().map(|feature| feature.name.clone()).collect()
    }

    /// Whether any feature looks at labels.
    pub fn use_labels(&self) -> bool {
        self.plans.iter().any(|plan| plan.layout.label.is_some())
    }
}
