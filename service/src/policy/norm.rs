//! Norm: what is usual for a feature of this entity, and how far a value is from it.
//!
//! A features file gives a feature the place of another one that says what is normal, most often the same
//! aggregate over a longer window. A mean or a ratio can be set beside it as it is. A count or a sum grows with
//! its window, so the rest of the longer window is scaled down to the shorter one:
//!
//! ```text
//! |<------------- 30 d: 223 payments ------------------->|
//! |<------- the rest: 216 in 719 h -------->|<- 1 h: 7 ->|    usually 216 / 719 = 0.3
//! ```
//!
//! Distinct counts and extremes also grow with the window, but nobody knows how fast: over another window of
//! their own kind they say nothing, and give no reason.
//!
//! Only sums, products and quotients are used, no logarithm, so that the ranking is the same on every machine.

use feature_store::definition::{Aggregate, Feature, Kind, Number, Request, Vocabulary, Windowed};
use schemas::mapping::FieldKind;

/// A value within this factor of its norm says nothing. One payment where none is usual is exactly here.
const TELLING_TIMES: f64 = 2.0;

/// Shares are compared with this much added on both sides.
const SHARE_GRAIN: f64 = 0.05;

/// Times are compared with a minute added on both sides, milliseconds.
const TIME_GRAIN_MS: f64 = 60_000.0;

/// Decimal places of the amount's major unit, as the features file takes them by default.
const AMOUNT_SCALE: u32 = 2;

/// How a feature's norm is computed from the feature that its definition names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Norm {
    /// Place in the vector.
    place: usize,
    /// The norm's unit in units of the feature.
    unit: f64,
    reach: Reach,
    /// Added on both sides before they are divided: keeps zero harmless and small numbers small.
    grain: f64,
}

/// How the norm's window lies to the feature's.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    /// As it is.
    Alike,
    /// The norm's window is another one: its rate times the feature's window.
    Scaled { times: f64 },
    /// The norm's window covers the feature's: the rate of the rest.
    Rest { times: f64 },
}

impl Norm {
    /// The norm of the feature at `place`, if it has one that can be set beside it.
    pub(super) fn of(features: &[Feature], place: usize, vocabulary: &Vocabulary) -> Option<Self> {
        let feature = features.get(place)?;
        let norm_place = feature.norm.filter(|norm| *norm != place)?;
        let norm = features.get(norm_place)?;
        let reach = match (feature.windowed(), norm.windowed()) {
            (Some(own), Some(other)) => reach(own, other)?,
            _ => Reach::Alike,
        };
        let of_number = number(feature).zip(number(norm)).is_some();
        let unit = if of_number { ten_to(scale(norm)) / ten_to(scale(feature)) } else { 1.0 };
        Some(Self { place: norm_place, unit, reach, grain: grain(feature, vocabulary) })
    }

    /// Place in the vector of the feature that gives the norm.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// What is usual, in the unit of the value.
    pub(super) fn usual(&self, value: f64, norm: f64) -> f64 {
        let norm = norm * self.unit;
        match self.reach {
            Reach::Alike => norm,
            Reach::Scaled { times } => norm * times,
            Reach::Rest { times } => (norm - value) * times,
        }
    }

    /// By what factor the two differ, at least 1 whichever is larger; `None` where that says nothing.
    pub(super) fn times(&self, value: f64, usual: f64) -> Option<f64> {
        let [a, b] = [value, usual].map(|side| 1.0 + side.abs() / self.grain);
        // On two sides of zero each is its whole way from there.
        let opposite = value != 0.0 && usual != 0.0 && (value < 0.0) != (usual < 0.0);
        let times = if opposite { a * b } else { a.max(b) / a.min(b) };
        (times.is_finite() && times > TELLING_TIMES).then_some(times)
    }
}

fn reach(own: &Windowed, other: &Windowed) -> Option<Reach> {
    if std::mem::discriminant(&own.aggregate) != std::mem::discriminant(&other.aggregate) {
        return Some(Reach::Alike);
    }
    let (short, long) = (own.window.0 as f64, other.window.0 as f64);
    match own.aggregate {
        Aggregate::Count | Aggregate::FraudCount | Aggregate::Sum(_) if short != long => {
            let same_events = (own.entity, own.aggregate, own.delay, &own.filter, own.include_current)
                == (other.entity, other.aggregate, other.delay, &other.filter, other.include_current);
            let covered = same_events && short < long;
            Some(if covered {
                Reach::Rest { times: short / (long - short) }
            } else {
                Reach::Scaled { times: short / long }
            })
        }
        Aggregate::Distinct(_) | Aggregate::Min(_) | Aggregate::Max(_) if short != long => None,
        _ => Some(Reach::Alike),
    }
}

/// The number that the feature is measured in, if it is one.
pub(super) fn number(feature: &Feature) -> Option<Number> {
    match &feature.kind {
        Kind::Request(Request::Amount { .. }) => Some(Number::Amount),
        Kind::Request(_) => None,
        Kind::Windowed(windowed) => match windowed.aggregate {
            Aggregate::Sum(number)
            | Aggregate::Mean(number)
            | Aggregate::Min(number)
            | Aggregate::Max(number) => Some(number),
            _ => None,
        },
    }
}

/// Decimal places by which the feature's number was divided.
pub(super) fn scale(feature: &Feature) -> u32 {
    match &feature.kind {
        Kind::Request(Request::Amount { major_scale }) => major_scale.unwrap_or(0),
        Kind::Request(_) => 0,
        Kind::Windowed(windowed) => windowed.major_scale.unwrap_or(0),
    }
}

fn grain(feature: &Feature, vocabulary: &Vocabulary) -> f64 {
    let own_scale = match number(feature) {
        Some(Number::Amount) => AMOUNT_SCALE,
        Some(Number::Field(place)) => match vocabulary.fields.get(place) {
            Some((_, FieldKind::Decimal { scale })) => *scale,
            _ => 0,
        },
        None => {
            return match feature.windowed().map(|windowed| windowed.aggregate) {
                Some(Aggregate::FraudRatio) => SHARE_GRAIN,
                Some(Aggregate::TimeSinceLast) => TIME_GRAIN_MS,
                _ => 1.0,
            };
        }
    };
    ten_to(own_scale) / ten_to(scale(feature))
}

fn ten_to(scale: u32) -> f64 {
    (0..scale).fold(1.0, |product, _| product * 10.0)
}
