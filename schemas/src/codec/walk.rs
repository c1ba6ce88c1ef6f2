//! The walk over one record's bytes, along its plan.
//!
//! serde_avro_fast reads the bytes and calls back; what is wanted is put into its place, borrowed where it is text,
//! and the rest is stepped over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, VariantAccess, Visitor,
};
use smallvec::SmallVec;

use super::binary::{decimal, uuid};
use super::plan::{Places, Plan, Reading};
use super::step_over::StepOver;
use crate::mapping::Raw;

/// The wanted values of one record, in the order in which they were wanted.
pub(crate) type Raws<'a> = SmallVec<[Raw<'a>; 16]>;

/// What one walk has found so far.
pub(crate) struct Walk<'a> {
    pub(crate) raws: Raws<'a>,
    budget: usize,
    /// The top level's field that is being read.
    pub(crate) field: usize,
    /// A place whose value cannot be taken.
    pub(crate) unfit: Option<u8>,
}

impl<'a> Walk<'a> {
    /// A walk over a record with this many wanted places that may visit `budget` values.
    pub(crate) fn new(places: usize, budget: usize) -> Self {
        let mut raws = Raws::new();
        raws.resize(places, Raw::Null);
        Self { raws, budget, field: 0, unfit: None }
    }

    /// Pays for one value.
    pub(crate) fn pay<E: Error>(&mut self) -> Result<(), E> {
        self.budget =
            self.budget.checked_sub(1).ok_or_else(|| E::custom("more values than its bytes allow"))?;
        Ok(())
    }

    fn put(&mut self, places: &Places, raw: Raw<'a>) {
        let Some((last, others)) = places.split_last() else { return };
        for place in others {
            self.put_one(*place, raw.clone());
        }
        self.put_one(*last, raw);
    }

    fn put_one(&mut self, place: u8, raw: Raw<'a>) {
        if let Some(known) = self.raws.get_mut(usize::from(place)) {
            *known = raw;
        }
    }
}

/// The record itself: notes which field it is at.
pub(crate) struct TopRecord<'a, 'w> {
    pub(crate) fields: &'a [Plan],
    pub(crate) walk: &'w mut Walk<'a>,
}

impl<'a> Visitor<'a> for TopRecord<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut record: A) -> Result<(), A::Error> {
        for (at, plan) in self.fields.iter().enumerate() {
            self.walk.field = at;
            next_field(&mut record, plan, self.walk)?;
        }
        Ok(())
    }
}

/// A record below the top.
struct NestedRecord<'a, 'w> {
    fields: &'a [Plan],
    walk: &'w mut Walk<'a>,
}

impl<'a> Visitor<'a> for NestedRecord<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut record: A) -> Result<(), A::Error> {
        self.fields.iter().try_for_each(|plan| next_field(&mut record, plan, self.walk))
    }
}

fn next_field<'a, A: MapAccess<'a>>(
    record: &mut A,
    plan: &'a Plan,
    walk: &mut Walk<'a>,
) -> Result<(), A::Error> {
    // The plan has the schema's fields in the schema's order: the name tells nothing new.
    if record.next_key::<IgnoredAny>()?.is_none() {
        return Err(A::Error::custom("fewer fields than planned"));
    }
    record.next_value_seed(Follow { plan, walk })
}

/// Follows the plan for one value.
struct Follow<'a, 'w> {
    plan: &'a Plan,
    walk: &'w mut Walk<'a>,
}

impl<'a> DeserializeSeed<'a> for Follow<'a, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, value: D) -> Result<(), D::Error> {
        let walk = self.walk;
        match self.plan {
            Plan::Skip => StepOver { walk }.deserialize(value),
            Plan::Take(places, reading) => {
                walk.pay()?;
                let take = Take { places, reading, walk };
                // Asked for a number, the reader gives an enum's index; asked for anything, its symbol, which
                // would have to be copied.
                match reading {
                    Reading::Symbol(_) => value.deserialize_u64(take),
                    _ => value.deserialize_any(take),
                }
            }
            Plan::Unfit(places) => {
                walk.unfit = walk.unfit.or(places.first().copied());
                StepOver { walk }.deserialize(value)
            }
            Plan::Record(fields) => {
                walk.pay()?;
                value.deserialize_any(NestedRecord { fields, walk })
            }
            Plan::Union(branches) => value.deserialize_enum("", &[], Choose { branches, walk }),
        }
    }
}

/// A union: finds the plan of the branch that is there.
struct Choose<'a, 'w> {
    branches: &'a [(Box<str>, Plan)],
    walk: &'w mut Walk<'a>,
}

impl<'a> Visitor<'a> for Choose<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a union")
    }

    fn visit_enum<A: EnumAccess<'a>>(self, union: A) -> Result<(), A::Error> {
        let (plan, value) = union.variant_seed(BranchName(self.branches))?;
        value.newtype_variant_seed(Follow { plan, walk: self.walk })
    }
}

struct BranchName<'a>(&'a [(Box<str>, Plan)]);

impl<'a> DeserializeSeed<'a> for BranchName<'a> {
    type Value = &'a Plan;

    fn deserialize<D: Deserializer<'a>>(self, name: D) -> Result<&'a Plan, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl<'a> Visitor<'_> for BranchName<'a> {
    type Value = &'a Plan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a branch of the union")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'a Plan, E> {
        let found = self.0.iter().find(|(known, _)| **known == *name);
        found.map(|(_, plan)| plan).ok_or_else(|| E::custom("a branch that was not planned"))
    }
}

/// Takes one value.
struct Take<'a, 'w> {
    places: &'a Places,
    reading: &'a Reading,
    walk: &'w mut Walk<'a>,
}

impl<'a> Take<'a, '_> {
    fn put<E>(self, raw: Raw<'a>) -> Result<(), E> {
        self.walk.put(self.places, raw);
        Ok(())
    }
}

impl<'a> Visitor<'a> for Take<'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Raw::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.put(Raw::Flag(value))
    }

    fn visit_i32<E: Error>(self, value: i32) -> Result<(), E> {
        self.put(Raw::Int(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match self.reading {
            Reading::Time(unit) => self.put(Raw::Time(value, *unit)),
            _ => self.put(Raw::Int(value)),
        }
    }

    /// An enum's index.
    fn visit_u64<E: Error>(self, index: u64) -> Result<(), E> {
        let Reading::Symbol(symbols) = self.reading else {
            return Err(E::custom("an index without symbols"));
        };
        let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
        let symbol = symbol.ok_or_else(|| E::custom("an enum's index is out of range"))?;
        self.put(Raw::Text(Cow::Borrowed(symbol)))
    }

    fn visit_f32<E: Error>(self, value: f32) -> Result<(), E> {
        self.put(Raw::Real(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.put(Raw::Real(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'a str) -> Result<(), E> {
        self.put(Raw::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.put(Raw::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<(), E> {
        match self.reading {
            Reading::Decimal(scale) => {
                let raw = decimal(value, *scale).ok_or_else(|| E::custom("a decimal of no bytes"))?;
                self.put(raw)
            }
            Reading::Uuid => self.put(Raw::Text(Cow::Owned(uuid(value)))),
            _ => Err(E::custom("bytes without a meaning")),
        }
    }
}
