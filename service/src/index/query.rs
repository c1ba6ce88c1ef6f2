//! What may be asked of the index, and a page of the answer.

use schemas::decision::{Decision, Door, Verdict};

use super::Cursor;
use super::block::Summary;

/// Most decisions of one page.
pub const MOST_A_PAGE: usize = 200;

/// A question: of what is given, all must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Name and key of an entity that the payment has; the key as decisions hold it, masked.
    pub entity: Option<(String, String)>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Made at or after this time.
    pub from_ms: Option<i64>,
    /// Made before this time.
    pub to_ms: Option<i64>,
    /// A score of at least this; a decision without a score does not match.
    pub min_score: Option<f64>,
    /// An amount of at least this, in minor units of whatever currency.
    pub min_amount_minor: Option<i64>,
    /// With an alert, or without.
    pub alerted: Option<bool>,
    /// Where it was decided.
    pub door: Option<Door>,
    /// Decisions wanted, 1 to [`MOST_A_PAGE`].
    pub limit: usize,
    /// Where to go on.
    pub after: Option<Cursor>,
}

impl Default for Query {
    /// All of them, 50 a page.
    fn default() -> Self {
        Self {
            entity: None,
            verdict: None,
            from_ms: None,
            to_ms: None,
            min_score: None,
            min_amount_minor: None,
            alerted: None,
            door: None,
            limit: 50,
            after: None,
        }
    }
}

impl Query {
    /// Whether a decision matches, times and entity aside.
    pub(super) fn takes(&self, summary: &Summary) -> bool {
        self.verdict.is_none_or(|verdict| summary.verdict == verdict)
            && self.min_score.is_none_or(|least| summary.score.is_some_and(|score| score >= least))
            && self.min_amount_minor.is_none_or(|least| summary.amount_minor >= least)
            && self.alerted.is_none_or(|alerted| summary.alerted == alerted)
            && self.door.is_none_or(|door| summary.door == door)
    }
}

/// Decisions, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// At most as many as were wanted. Fewer, even none, when few of those looked at matched.
    pub decisions: Vec<Decision>,
    /// Where to go on; `None` when nothing is left.
    pub next: Option<Cursor>,
}
