//! What a decoder wants from a record: for each place of its result, where it stands and what may stand there.

use super::tree::{FixedKind, LongKind, Node};
use crate::mapping::{CurrencySource, FieldKind, FieldPath, PaymentMapping};

/// What a value can be taken as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Integer,
    Real,
    Decimal,
    Time,
    Flag,
}

/// One place of a decoder's result.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What the mapping calls it, for refusals.
    pub(crate) name: String,
    /// Where it stands in the record.
    pub(crate) path: FieldPath,
    /// Whether a record without it is refused.
    pub(crate) required: bool,
    /// What may stand there.
    pub(crate) forms: &'static [Form],
}

const KEY: &[Form] = &[Form::Text, Form::Integer];
const NUMBER: &[Form] = &[Form::Integer, Form::Real, Form::Decimal];
const TIME: &[Form] = &[Form::Time];
const TIME_OR_UNIT: &[Form] = &[Form::Time, Form::Integer];
const FLAG: &[Form] = &[Form::Flag, Form::Integer];
const TEXT: &[Form] = &[Form::Text];

/// The places of a payment, in the order of [`PaymentMapping::paths`].
pub(crate) fn of_payment(mapping: &PaymentMapping) -> Vec<Wanted> {
    let time = if mapping.event_time_unit.is_some() { TIME_OR_UNIT } else { TIME };
    let mut kinds = vec![("transaction_id", KEY), ("event_time", time), ("amount", NUMBER)];
    if matches!(mapping.currency, CurrencySource::Field(_)) {
        kinds.push(("currency", TEXT));
    }
    for entity in &mapping.entities {
        kinds.extend(entity.key.iter().map(|_| (entity.name.as_str(), KEY)));
    }
    kinds.extend(mapping.fields.iter().map(|field| (field.name.as_str(), forms(field.kind))));
    let places = kinds.into_iter().zip(mapping.paths()).enumerate();
    places
        .map(|(place, ((name, forms), path))| Wanted {
            name: name.to_owned(),
            path: path.clone(),
            required: mapping.is_required(place),
            forms,
        })
        .collect()
}

/// The places of a label: transaction_id, fraud, label_time, source.
pub(crate) fn of_label() -> Vec<Wanted> {
    let places = [
        ("transaction_id", true, KEY),
        ("fraud", true, FLAG),
        ("label_time", true, TIME),
        ("source", false, TEXT),
    ];
    let wanted = places.into_iter().filter_map(|(name, required, forms)| {
        Some(Wanted { name: name.to_owned(), path: FieldPath::parse(name)?, required, forms })
    });
    wanted.collect()
}

fn forms(kind: FieldKind) -> &'static [Form] {
    match kind {
        FieldKind::Text => KEY,
        FieldKind::Integer | FieldKind::Decimal { .. } => NUMBER,
        FieldKind::Flag => FLAG,
    }
}

/// What a value of this type is taken as; `None` for a type that no mapping can take.
pub(crate) fn form(node: &Node) -> Option<Form> {
    match node {
        Node::Boolean => Some(Form::Flag),
        Node::Int(_) | Node::Long(LongKind::Plain | LongKind::TimeOfDay) => Some(Form::Integer),
        Node::Long(LongKind::Timestamp(_) | LongKind::LocalTimestamp(_)) => Some(Form::Time),
        Node::Float | Node::Double => Some(Form::Real),
        Node::Text(_) | Node::Enum(_) => Some(Form::Text),
        Node::Bytes(Some(_)) => Some(Form::Decimal),
        Node::Fixed(fixed) => match fixed.kind {
            FixedKind::Plain => None,
            FixedKind::Decimal(_) => Some(Form::Decimal),
            FixedKind::Uuid => Some(Form::Text),
        },
        Node::Null | Node::Bytes(None) => None,
        Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => None,
    }
}

/// The forms as a word, for refusals.
pub(crate) fn words(forms: &[Form]) -> String {
    let word = |form: &Form| match form {
        Form::Text => "a string",
        Form::Integer => "an int or long",
        Form::Real => "a float or double",
        Form::Decimal => "a decimal",
        Form::Time => "a timestamp",
        Form::Flag => "a boolean",
    };
    forms.iter().map(word).collect::<Vec<_>>().join(", ")
}
