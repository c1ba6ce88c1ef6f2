//! The plan for the records of one schema: made once, followed for each record.
//!
//! ```text
//!   record      id    merchant          note   amount
//!   plan        Take  Record            Skip   Take
//!                     ├ country  Take
//!                     └ name     Skip
//! ```
//! A wanted path is followed step by step from the top; a step finds its field by name, else by alias. Every branch
//! of a union gets its own plan.

use std::sync::Arc;

use smallvec::SmallVec;

use super::aliases::{Aliases, joined};
use super::tree::{FixedKind, LongKind, Node, Record};
use super::wanted::{Wanted, form, words};
use crate::mapping::TimeUnit;
use crate::reject::{Reject, RejectCode};

/// Places of the result: a mapping has at most 148.
pub(crate) type Places = SmallVec<[u8; 6]>;

/// What to do with one value.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Step over it.
    Skip,
    /// Put it into these places.
    Take(Places, Reading),
    /// These places want it and can never take a value of this type.
    Unfit(Places),
    /// A record: a plan for each field.
    Record(Box<[Plan]>),
    /// A union: a plan for each branch, with the name that the reader reports.
    Union(Box<[(Box<str>, Plan)]>),
}

/// How the bytes of a taken value are to be understood.
#[derive(Debug)]
pub(crate) enum Reading {
    /// As they are.
    Plain,
    /// A long in this unit.
    Time(TimeUnit),
    /// Two's complement, big endian, of this scale.
    Decimal(u32),
    /// Sixteen bytes, written as text.
    Uuid,
    /// An index into these symbols.
    Symbol(Arc<[Box<str>]>),
}

/// One wanted place on its way down.
#[derive(Clone)]
struct Want<'a> {
    place: u8,
    wanted: &'a Wanted,
    /// How many steps of the path are behind it.
    taken: usize,
}

impl Want<'_> {
    fn step(&self) -> Option<&str> {
        self.wanted.path.steps().get(self.taken).map(String::as_str)
    }

    /// The path so far, in the mapping's names.
    fn walked(&self) -> String {
        self.wanted.path.steps().get(..self.taken).unwrap_or_default().join(".")
    }
}

/// How a wanted place fares, worst first: the best branch of a union counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Missing,
    /// Only ever null, where null will not do.
    Null,
    Unfit(&'static str),
    Found,
}

struct Planner<'a> {
    aliases: &'a Aliases,
    fates: Vec<Fate>,
}

/// Plans the records of a schema.
///
/// # Errors
/// `SchemaMismatch` for the first wanted place that no record of this schema can fill.
pub(crate) fn plan(record: &Record, wanted: &[Wanted], aliases: &Aliases) -> Result<Box<[Plan]>, Reject> {
    let mut planner = Planner { aliases, fates: vec![Fate::Missing; wanted.len()] };
    let places = (0..=u8::MAX).zip(wanted);
    let wants: Vec<_> = places.map(|(place, wanted)| Want { place, wanted, taken: 0 }).collect();
    let plan = planner.record(record, "", &wants);
    for (wanted, fate) in wanted.iter().zip(planner.fates) {
        let Wanted { name, path, .. } = wanted;
        let detail = match fate {
            Fate::Missing if wanted.required => format!("{name}: the schema has no field \"{path}\""),
            Fate::Unfit(word) => {
                format!("{name}: the field \"{path}\" is {word}, expected {}", words(wanted.forms))
            }
            Fate::Null => format!("{name}: the field \"{path}\" is null in every record"),
            Fate::Missing | Fate::Found => continue,
        };
        return Err(Reject::new(RejectCode::SchemaMismatch, detail));
    }
    Ok(plan)
}

impl Planner<'_> {
    fn record(&mut self, record: &Record, path: &str, wants: &[Want<'_>]) -> Box<[Plan]> {
        let mut inside: Vec<Vec<Want<'_>>> = vec![Vec::new(); record.fields.len()];
        for want in wants {
            if let Some(field) = self.find(record, path, want).and_then(|at| inside.get_mut(at)) {
                field.push(Want { taken: want.taken + 1, ..want.clone() });
            }
        }
        let fields = record.fields.iter().zip(inside);
        fields.map(|(field, wants)| self.node(&field.node, &joined(path, &field.name), &wants)).collect()
    }

    /// The field that a want's next step means: of that name, else with that alias, else called the same by
    /// another schema.
    fn find(&self, record: &Record, path: &str, want: &Want<'_>) -> Option<usize> {
        let step = want.step()?;
        let walked = want.walked();
        let named = record.fields.iter().position(|field| &*field.name == step);
        let aliased =
            || record.fields.iter().position(|field| field.aliases.iter().any(|alias| &**alias == step));
        let learned = || {
            record.fields.iter().position(|field| {
                self.aliases.same(path, step, &field.name) || self.aliases.same(&walked, step, &field.name)
            })
        };
        named.or_else(aliased).or_else(learned)
    }

    fn node(&mut self, node: &Node, path: &str, wants: &[Want<'_>]) -> Plan {
        if wants.is_empty() {
            return Plan::Skip;
        }
        match node {
            Node::Union(branches) => {
                let plans = branches
                    .iter()
                    .map(|branch| (branch.wire_name.clone(), self.node(&branch.node, path, wants)));
                Plan::Union(plans.collect())
            }
            Node::Record(record) => {
                let (deeper, here): (Vec<_>, Vec<_>) =
                    wants.iter().cloned().partition(|want| want.step().is_some());
                here.iter().for_each(|want| self.fate(want, Fate::Unfit(node.word())));
                if here.is_empty() { Plan::Record(self.record(record, path, &deeper)) } else { unfit(&here) }
            }
            Node::Null => {
                // Null fits whatever may be absent, also what would stand deeper.
                for want in wants {
                    self.fate(want, if want.wanted.required { Fate::Null } else { Fate::Found });
                }
                Plan::Skip
            }
            _ => self.leaf(node, wants),
        }
    }

    fn leaf(&mut self, node: &Node, wants: &[Want<'_>]) -> Plan {
        let form = form(node);
        for want in wants {
            let fits = want.step().is_none() && form.is_some_and(|form| want.wanted.forms.contains(&form));
            self.fate(want, if fits { Fate::Found } else { Fate::Unfit(node.word()) });
        }
        // A value of the wrong kind is taken all the same: what takes it says so with the field's name.
        let here: Places = wants.iter().filter(|want| want.step().is_none()).map(|want| want.place).collect();
        if form.is_none() || here.len() < wants.len() {
            return unfit(wants);
        }
        Plan::Take(here, reading(node))
    }

    fn fate(&mut self, want: &Want<'_>, fate: Fate) {
        if let Some(known) = self.fates.get_mut(usize::from(want.place)) {
            *known = fate.max(*known);
        }
    }
}

fn unfit(wants: &[Want<'_>]) -> Plan {
    Plan::Unfit(wants.iter().map(|want| want.place).collect())
}

fn reading(node: &Node) -> Reading {
    match node {
        Node::Long(LongKind::Timestamp(unit) | LongKind::LocalTimestamp(unit)) => Reading::Time(*unit),
        Node::Bytes(Some(digits)) => Reading::Decimal(digits.scale),
        Node::Fixed(fixed) => match fixed.kind {
            FixedKind::Plain => Reading::Plain,
            FixedKind::Decimal(digits) => Reading::Decimal(digits.scale),
            FixedKind::Uuid => Reading::Uuid,
        },
        Node::Enum(of) => Reading::Symbol(of.symbols.clone()),
        _ => Reading::Plain,
    }
}
