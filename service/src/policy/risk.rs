//! Risk: the score's band, a word for people and dashboards. It decides nothing.

use schemas::name::Name;

use super::threshold::Bounds;

/// The band of a payment without a score.
const UNKNOWN: &str = "unknown";

/// The bands, mildest first, and where each begins when neither the policy nor its thresholds say.
const BANDS: [(&str, f64); 4] = [("low", 0.0), ("medium", 0.3), ("high", 0.6), ("critical", 0.9)];

/// Where the bands begin.
#[derive(Debug, Clone)]
pub(super) struct RiskLevels {
    /// Mildest first, ascending; the first from 0 on.
    bands: [(Name, f64); 4],
    unknown: Name,
}

impl RiskLevels {
    /// The bands as written, which must ascend; where one is not, the threshold of review, challenge or decline; where that is not
    /// written either, 0.3, 0.6 or 0.9, moved as far as it takes for the bands to ascend.
    pub(super) fn of(written: [Option<f64>; 3], thresholds: Bounds) -> Self {
        let thresholds = thresholds.ascending().map(|(_, threshold)| threshold);
        let known: Vec<_> = written.into_iter().zip(thresholds).map(|(own, other)| own.or(other)).collect();
        let mut bands = BANDS.map(|(word, from)| (Name::from(word), from));
        let mut below = 0.0_f64;
        for (place, ((_, from), own)) in bands.iter_mut().skip(1).zip(written).enumerate() {
            let ahead = known.iter().skip(place + 1).flatten().copied().fold(1.0, f64::min);
            let derived = known.get(place).copied().flatten().unwrap_or(*from);
            *from = own.unwrap_or_else(|| derived.min(ahead).max(below));
            below = *from;
        }
        Self { bands, unknown: UNKNOWN.into() }
    }

    /// The band of a score.
    pub(super) fn level(&self, score: Option<f64>) -> &Name {
        let Some(score) = score else { return &self.unknown };
        let reached = self.bands.iter().rev().find(|(_, from)| score >= *from);
        reached.map_or(&self.unknown, |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(written: [Option<f64>; 3], thresholds: [Option<f64>; 3]) -> Vec<f64> {
        let [review, challenge, decline] = thresholds;
        let levels = RiskLevels::of(written, Bounds { review, challenge, decline });
        levels.bands.iter().skip(1).map(|(_, from)| *from).collect()
    }

    #[test]
    fn bands_are_as_written_else_the_thresholds_else_the_usual_ones() {
        let none = [None; 3];
        assert_eq!(begins(none, none), [0.3, 0.6, 0.9]);
        assert_eq!(begins(none, [Some(0.1), Some(0.2), Some(0.4)]), [0.1, 0.2, 0.4]);
        assert_eq!(begins([None, Some(0.3), None], [Some(0.1), Some(0.2), Some(0.4)]), [0.1, 0.3, 0.4]);
        assert_eq!(begins(none, [None, None, Some(0.2)]), [0.2, 0.2, 0.2], "never above the next one");
        assert_eq!(begins(none, [Some(0.95), None, None]), [0.95, 0.95, 0.95], "never below the one before");
        // A written band stays, the others move.
        assert_eq!(begins([Some(0.5), None, None], [Some(0.1), Some(0.2), Some(0.4)]), [0.5, 0.5, 0.5]);
        assert_eq!(begins([None, Some(0.05), None], [Some(0.1), Some(0.2), Some(0.4)]), [0.05, 0.05, 0.4]);
    }

    #[test]
    fn a_band_begins_on_its_bound() {
        let levels = RiskLevels::of([None; 3], Bounds::default());
        for (score, word) in [
            (0.0, "low"),
            (0.3_f64.next_down(), "low"),
            (0.3, "medium"),
            (0.6, "high"),
            (0.9, "critical"),
            (1.0, "critical"),
        ] {
            assert_eq!(levels.level(Some(score)), &word, "{score}");
        }
        assert_eq!(levels.level(None), &"unknown");
    }
}
