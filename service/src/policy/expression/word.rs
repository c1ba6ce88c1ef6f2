//! Word: a variable of an expression, and its value for one payment.
//!
//! When a policy is loaded each variable becomes a short code for its place, `v12` for the 13th feature. For a payment
//! cel asks for the value of a code when, and only when, the evaluation comes to it.

use cel::IdedExpr;
use cel::common::ast::Expr;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use schemas::payment::{FieldValue, Payment};
use schemas::value::FeatureValue;

use super::kind::Kind;
use crate::policy::lists::{ListKind, ListMatch};
use crate::policy::terms::Terms;

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Amount,
    Currency,
    TransactionId,
    EventTime,
    Hour,
    Weekday,
    Score,
    Blocked,
    Allowed,
    ListNames,
    Entity(usize),
    Field(usize),
    Feature(usize),
    /// A list of the policy's own.
    Constant(usize),
}

/// Variables that every policy has: what stands before the dot, behind it, and what it is.
const FIXED: [(&str, &str, Word, Kind); 9] = [
    ("payment", "amount_minor", Word::Amount, Kind::Whole),
    ("payment", "currency", Word::Currency, Kind::Text),
    ("payment", "transaction_id", Word::TransactionId, Kind::Text),
    ("payment", "event_time", Word::EventTime, Kind::Whole),
    ("payment", "hour", Word::Hour, Kind::Whole),
    ("payment", "weekday", Word::Weekday, Kind::Whole),
    ("list", "block", Word::Blocked, Kind::Flag),
    ("list", "allow", Word::Allowed, Kind::Flag),
    ("list", "names", Word::ListNames, Kind::Texts),
];

impl Word {
    /// The variable `root.name`, and what it is.
    pub(super) fn find(root: &str, name: &str, terms: &Terms) -> Option<(Word, Kind)> {
        match root {
            "entity" => {
                let place = terms.entities().iter().position(|entity| *entity == name)?;
                Some((Word::Entity(place), Kind::Text))
            }
            "field" => {
                let place = terms.fields().iter().position(|(field, _)| *field == name)?;
                Some((Word::Field(place), terms.fields().get(place)?.1.into()))
            }
            "feature" => {
                let place = terms.features().iter().position(|(feature, _)| *feature == name)?;
                Some((Word::Feature(place), terms.features().get(place)?.1.into()))
            }
            _ => {
                let fixed = FIXED.iter().find(|fixed| fixed.0 == root && fixed.1 == name)?;
                Some((fixed.2, fixed.3))
            }
        }
    }

    /// What may stand behind the dot, for the user; `None` where nothing may stand before it.
    pub(super) fn names(root: &str, terms: &Terms) -> Option<Vec<String>> {
        Some(match root {
            "entity" => terms.entities().iter().map(ToString::to_string).collect(),
            "field" => terms.fields().iter().map(|(name, _)| name.to_string()).collect(),
            "feature" => terms.features().iter().map(|(name, _)| name.to_string()).collect(),
            "payment" | "list" => {
                FIXED.iter().filter(|fixed| fixed.0 == root).map(|fixed| fixed.1.to_owned()).collect()
            }
            _ => return None,
        })
    }

    /// What stands for it in the compiled expression.
    pub(super) fn code(self) -> String {
        let (letter, place) = match self {
            Word::Amount => ('a', None),
            Word::Currency => ('c', None),
            Word::TransactionId => ('i', None),
            Word::EventTime => ('t', None),
            Word::Hour => ('h', None),
            Word::Weekday => ('w', None),
            Word::Score => ('s', None),
            Word::Blocked => ('b', None),
            Word::Allowed => ('l', None),
            Word::ListNames => ('n', None),
            Word::Entity(place) => ('e', Some(place)),
            Word::Field(place) => ('f', Some(place)),
            Word::Feature(place) => ('v', Some(place)),
            Word::Constant(place) => ('k', Some(place)),
        };
        place.map_or(letter.to_string(), |place| format!("{letter}{place}"))
    }

    fn of_code(code: &str) -> Option<Word> {
        let (letter, place) = (*code.as_bytes().first()?, code.get(1..)?);
        Some(match letter {
            b'a' => Word::Amount,
            b'c' => Word::Currency,
            b'i' => Word::TransactionId,
            b't' => Word::EventTime,
            b'h' => Word::Hour,
            b'w' => Word::Weekday,
            b's' => Word::Score,
            b'b' => Word::Blocked,
            b'l' => Word::Allowed,
            b'n' => Word::ListNames,
            b'e' => Word::Entity(place.parse().ok()?),
            b'f' => Word::Field(place.parse().ok()?),
            b'v' => Word::Feature(place.parse().ok()?),
            b'k' => Word::Constant(place.parse().ok()?),
            _ => return None,
        })
    }
}

/// The lists of constants behind `in`: made once and not for every payment.
#[derive(Debug, Clone, Default)]
pub(in crate::policy) struct Constants(Vec<CelList<'static>>);

impl Constants {
    /// Keeps a list of literals; `None` where an element is something else.
    pub(super) fn keep(&mut self, elements: &[IdedExpr]) -> Option<Word> {
        let literal = |element: &IdedExpr| match &element.expr {
            Expr::Literal(literal) => Some(literal.to_val().into_owned()),
            _ => None,
        };
        let list: Option<Vec<Box<dyn Val>>> = elements.iter().map(literal).collect();
        self.0.push(CelList::from(list?));
        Some(Word::Constant(self.0.len() - 1))
    }
}

/// The values of all words for one payment.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Values<'a> {
    /// The payment.
    pub(in crate::policy) payment: &'a Payment,
    /// Its features.
    pub(in crate::policy) vector: &'a [FeatureValue],
    /// Its score, if there is one.
    pub(in crate::policy) score: Option<f64>,
    /// The list entries that it is in.
    pub(in crate::policy) listed: &'a [ListMatch<'a>],
    /// What the policy's expressions were compiled with.
    pub(in crate::policy) constants: &'a Constants,
}

impl VariableResolver for Values<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let in_list = |list| self.listed.iter().any(|found| found.listing.list == list);
        Some(match Word::of_code(variable)? {
            Word::Amount => whole(self.payment.amount.minor()),
            Word::Currency => text(self.payment.currency.as_str()),
            Word::TransactionId => text(&self.payment.transaction_id),
            Word::EventTime => whole(self.payment.event_time.ms()),
            Word::Hour => whole(self.payment.event_time.hour()),
            Word::Weekday => whole(self.payment.event_time.weekday()),
            Word::Score => self.score.map_or_else(null, real),
            Word::Blocked => flag(in_list(ListKind::Block)),
            Word::Allowed => flag(in_list(ListKind::Allow)),
            Word::ListNames => names(self.listed),
            Word::Entity(place) => {
                self.payment.entities.get(place).and_then(Option::as_deref).map_or_else(null, text)
            }
            Word::Field(place) => match self.payment.fields.get(place) {
                None | Some(FieldValue::Null) => null(),
                Some(FieldValue::Int(value)) => whole(*value),
                Some(FieldValue::Text(value)) => text(value),
                Some(FieldValue::Flag(value)) => flag(*value),
            },
            Word::Feature(place) => match self.vector.get(place) {
                None | Some(FeatureValue::Null) => null(),
                Some(FeatureValue::Int(value)) => whole(*value),
                Some(FeatureValue::Real(value)) => real(*value),
                Some(FeatureValue::Flag(value)) => flag(*value),
            },
            Word::Constant(place) => CowVal::Borrowed(self.constants.0.get(place)?),
        })
    }
}

fn whole<'b>(value: i64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(value))
}

fn real<'b>(value: f64) -> CowVal<'b, 'b> {
    CowVal::owned(CelDouble::from(value))
}

fn flag<'b>(value: bool) -> CowVal<'b, 'b> {
    CowVal::owned(CelBool::from(value))
}

fn text(value: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(value))
}

fn null<'b>() -> CowVal<'b, 'b> {
    CowVal::owned(CelNull)
}

fn names<'b>(listed: &'b [ListMatch<'b>]) -> CowVal<'b, 'b> {
    let names =
        listed.iter().map(|found| Box::new(CelString::from(found.name.as_str())) as Box<dyn Val + 'b>);
    CowVal::owned(CelList::from(names.collect::<Vec<_>>()))
}
