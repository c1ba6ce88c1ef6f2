//! Drift: whether a number still comes as it came in a reference, by the population stability index.
//!
//! ```text
//! PSI = Σ (now − before) · ln(now / before)      over the bins, of the shares in each
//! ```
//! Bins are the reference's deciles, so that each holds about as much of it; a number of few values has a bin for each
//! of them and one for all others; what is undefined is a bin of its own. A share below [`FLOOR`] is taken as that, since
//! an empty bin would make the index infinite. Beside the index stands what chance alone would give for so many rows:
//! (bins − 1) · (1/n + 1/m), its mean where nothing has changed (Yurdakul, Statistical Properties of Population
//! Stability Index, 2018). Not here: where rows come from, and what it means for a model.

use schemas::value::{FeatureValue, ValueKind};

use crate::numbers::Drift;

/// Below this little has changed, and from [`MUCH`] on much: rules of thumb of credit scoring (Lewis, An Introduction to
/// Credit Scoring, 1994; Siddiqi, Credit Risk Scorecards, 2006), not tests.
pub const SOME: f64 = 0.1;
/// From this on much has changed.
pub const MUCH: f64 = 0.25;
/// The least share of a bin.
pub const FLOOR: f64 = 0.000_1;
/// Bins of a number that has many values, and most values of one that has few.
const BINS: usize = 10;

/// Bins of one number, and what is in them.
#[derive(Debug, Clone)]
pub struct Bins {
    kind: ValueKind,
    by: By,
    before: Vec<u64>,
    now: Vec<u64>,
}

#[derive(Debug, Clone)]
enum By {
    /// Each value, in order; then all others.
    Value(Vec<f64>),
    /// The largest number of each bin but the last.
    Edge(Vec<f64>),
}

impl Bins {
    /// Bins by the values of a reference.
    pub fn of(kind: ValueKind, reference: impl Iterator<Item = FeatureValue>) -> Self {
        let reference: Vec<Option<f64>> = reference.map(number).collect();
        let mut sorted: Vec<f64> = reference.iter().copied().flatten().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let by = By::of(&sorted);
        let mut before = vec![0; by.bins() + 1];
        reference.iter().for_each(|value| before[by.place(*value)] += 1);
        Self { kind, now: vec![0; before.len()], by, before }
    }

    /// One more, now.
    pub fn count(&mut self, value: FeatureValue) {
        self.now[self.by.place(number(value))] += 1;
    }

    /// How it comes now against the reference; `None` where either has nothing.
    pub fn drift(&self, name: &str, model: Option<&str>) -> Option<Drift> {
        let (before, now) = (shares(&self.before)?, shares(&self.now)?);
        let places = (0..before.len()).filter(|place| self.before[*place] + self.now[*place] > 0);
        let bins: Vec<_> = places.map(|place| (self.label(place), before[place], now[place])).collect();
        let [rows_before, rows] = [&self.before, &self.now].map(|counts| counts.iter().sum::<u64>());
        let by_chance = bins.len().saturating_sub(1) as f64 * (1.0 / rows_before as f64 + 1.0 / rows as f64);
        Some(Drift {
            name: name.to_owned(),
            model: model.map(str::to_owned),
            psi: psi(&before, &now),
            by_chance,
            rows,
            bins,
        })
    }

    fn label(&self, place: usize) -> String {
        let said = |value: f64| match self.kind {
            ValueKind::Flag => (value != 0.0).to_string(),
            ValueKind::Int | ValueKind::Real => said(value),
        };
        if place == self.by.bins() {
            return "undefined".to_owned();
        }
        match &self.by {
            By::Value(values) => values.get(place).map_or("others".to_owned(), |value| said(*value)),
            By::Edge(edges) => match (place.checked_sub(1).map(|before| edges[before]), edges.get(place)) {
                (None, Some(to)) => format!("to {}", said(*to)),
                (Some(from), Some(to)) => format!("{} to {}", said(from), said(*to)),
                (Some(from), None) => format!("above {}", said(from)),
                (None, None) => "all".to_owned(),
            },
        }
    }
}

impl By {
    fn of(sorted: &[f64]) -> Self {
        let mut values = sorted.to_vec();
        values.dedup();
        if values.len() <= BINS {
            return By::Value(values);
        }
        // The last bin must hold something: an edge at the largest value goes down to the one before it.
        let largest = values[values.len() - 1];
        let below = values[values.len() - 2];
        let quantile = |part: usize| sorted[(sorted.len() * part).div_ceil(BINS) - 1];
        let mut edges: Vec<f64> =
            (1..BINS).map(quantile).map(|edge| if edge == largest { below } else { edge }).collect();
        edges.dedup();
        By::Edge(edges)
    }

    /// How many, without that of what is undefined.
    fn bins(&self) -> usize {
        match self {
            By::Value(values) => values.len() + 1,
            By::Edge(edges) => edges.len() + 1,
        }
    }

    fn place(&self, value: Option<f64>) -> usize {
        match (self, value) {
            (_, None) => self.bins(),
            (By::Value(values), Some(value)) => {
                values.binary_search_by(|one| one.total_cmp(&value)).unwrap_or(values.len())
            }
            (By::Edge(edges), Some(value)) => edges.partition_point(|edge| *edge < value),
        }
    }
}

/// A number that can be put into an order. No zero has a sign here.
fn number(value: FeatureValue) -> Option<f64> {
    value.as_f64().filter(|value| !value.is_nan()).map(|value| value + 0.0)
}

fn shares(counts: &[u64]) -> Option<Vec<f64>> {
    let all: u64 = counts.iter().sum();
    (all > 0).then(|| counts.iter().map(|count| *count as f64 / all as f64).collect())
}

/// The index of shares before and now, bin by bin.
pub fn psi(before: &[f64], now: &[f64]) -> f64 {
    let of_bin = |(before, now): (&f64, &f64)| {
        let (before, now) = (before.max(FLOOR), now.max(FLOOR));
        (now - before) * (now / before).ln()
    };
    before.iter().zip(now).map(of_bin).sum()
}

/// Four digits are enough to tell bins apart by eye.
fn said(value: f64) -> String {
    if value == value.trunc() {
        return value.to_string();
    }
    let digits = (3.0 - value.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: impl IntoIterator<Item = i64>) -> impl Iterator<Item = FeatureValue> {
        values.into_iter().map(FeatureValue::Int)
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn the_index_is_that_of_the_textbook() {
        // By hand: (0.6 - 0.5) ln 1.2 + (0.4 - 0.5) ln 0.8 = 0.018232155679 + 0.022314355131
        near(psi(&[0.5, 0.5], &[0.6, 0.4]), 0.040_546_510_810_8);
        // (0.2 - 0.1) ln 2 + (0.3 - 0.4) ln 0.75 + 0 = 0.069314718056 + 0.028768207245
        near(psi(&[0.1, 0.4, 0.5], &[0.2, 0.3, 0.5]), 0.098_082_925_301_1);
        near(psi(&[0.3, 0.7], &[0.3, 0.7]), 0.0);
    }

    #[test]
    fn an_empty_bin_has_the_floor() {
        // (0.5 - 0.0001) ln 5000 + (0.5 - 1) ln 0.5 = 4.257744847 + 0.346573590
        near(psi(&[0.0, 1.0], &[0.5, 0.5]), 0.499_9 * 5_000_f64.ln() + 0.5 * 2_f64.ln());
        near(psi(&[0.0, 1.0], &[0.0, 1.0]), 0.0);
        // As much when it was emptied as when it was filled.
        near(psi(&[0.5, 0.5], &[0.0, 1.0]), psi(&[0.0, 1.0], &[0.5, 0.5]));
    }

    #[test]
    fn many_values_are_binned_by_the_references_deciles() {
        let mut bins = Bins::of(ValueKind::Int, ints(1..=100));
        ints(1..=100).for_each(|value| bins.count(value));
        let same = bins.drift("amount", None).unwrap();
        let labels: Vec<&str> = same.bins.iter().map(|(label, ..)| label.as_str()).collect();
        assert_eq!(labels[..2], ["to 10", "10 to 20"]);
        assert_eq!(labels[9], "above 90");
        assert!(same.bins.iter().all(|(_, before, now)| (*before, *now) == (0.1, 0.1)));
        near(same.psi, 0.0);
        // 9 more bins than one, and a hundred rows each.
        near(same.by_chance, 0.18);
        // Ten more in the last bin: 0.1 is now 20 in 110, the others 10 in 110.
        ints(std::iter::repeat_n(5_000, 10)).for_each(|value| bins.count(value));
        let (last, other) = (20.0 / 110.0, 10.0 / 110.0);
        let expected = (last - 0.1) * (last / 0.1_f64).ln() + 9.0 * (other - 0.1) * (other / 0.1_f64).ln();
        near(bins.drift("amount", None).unwrap().psi, expected);
    }

    #[test]
    fn few_values_have_a_bin_each_and_what_is_undefined_has_its_own() {
        let reference = [0, 0, 1, 2].map(FeatureValue::Int).into_iter().chain([FeatureValue::Null]);
        let mut bins = Bins::of(ValueKind::Int, reference);
        for value in
            [FeatureValue::Int(1), FeatureValue::Int(7), FeatureValue::Null, FeatureValue::Real(f64::NAN)]
        {
            bins.count(value);
        }
        let drift = bins.drift("count", None).unwrap();
        let expected = [
            ("0", 0.4, 0.0),
            ("1", 0.2, 0.25),
            ("2", 0.2, 0.0),
            ("others", 0.0, 0.25),
            ("undefined", 0.2, 0.5),
        ];
        assert_eq!(drift.bins, expected.map(|(label, before, now)| (label.to_owned(), before, now)));
        let flags = Bins::of(ValueKind::Flag, [true, false].map(FeatureValue::Flag).into_iter());
        assert_eq!((flags.label(0), flags.label(1)), ("false".to_owned(), "true".to_owned()));
        assert_eq!(flags.drift("night", None), None, "nothing came");
    }

    #[test]
    fn a_heap_at_either_end_does_not_hide_the_other() {
        let heap = || ints((0..95).map(|_| 0).chain(1..=20));
        for (sign, shift) in [(1, 21), (-1, -21)] {
            let turned = heap().map(|value| FeatureValue::Int(sign * value.as_f64().unwrap() as i64));
            let mut bins = Bins::of(ValueKind::Int, turned);
            ints(std::iter::repeat_n(shift, 50)).for_each(|value| bins.count(value));
            assert!(bins.drift("heap", None).unwrap().psi > 1.0);
        }
    }

    #[test]
    fn what_shifted_is_found_and_nothing_else() {
        // A generator of the test's own, so that the numbers are the same for ever.
        let mut state = 1_u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        let mut rows = |shift: f64| -> Vec<[FeatureValue; 3]> {
            let mut row = || {
                let amount = -draw().max(1e-9).ln() * 40.0 * shift;
                let count = (draw() * draw() * 6.0) as i64;
                [FeatureValue::Real(amount), FeatureValue::Int(count), FeatureValue::Flag(draw() < 0.2)]
            };
            (0..4_000).map(|_| row()).collect()
        };
        let (reference, same, shifted) = (rows(1.0), rows(1.0), rows(1.6));
        let measured = |now: &[[FeatureValue; 3]]| -> Vec<f64> {
            let kinds = [ValueKind::Real, ValueKind::Int, ValueKind::Flag];
            let of = |(place, kind): (usize, ValueKind)| {
                let mut bins = Bins::of(kind, reference.iter().map(|row| row[place]));
                now.iter().for_each(|row| bins.count(row[place]));
                bins.drift("one", None).unwrap().psi
            };
            kinds.into_iter().enumerate().map(of).collect()
        };
        assert!(measured(&same).iter().all(|psi| *psi < 0.02), "{:?}", measured(&same));
        let shifted = measured(&shifted);
        assert!(shifted[0] > 0.1 && shifted[1] < 0.02 && shifted[2] < 0.02, "{shifted:?}");
    }

    #[test]
    fn numbers_are_said_shortly() {
        let said_of = [(3.0, "3"), (0.000_123_456, "0.0001235"), (12.345_6, "12.35"), (-0.5, "-0.5000")];
        for (value, text) in said_of {
            assert_eq!(said(value), text);
        }
    }
}
