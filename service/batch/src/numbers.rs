//! What one reconciliation came to: the numbers of its report, of its JSON and of its metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Identity of the run: a function of what it looked at, so that a repetition has the same.
    pub run: String,
    /// First and last day that were looked at, `YYYY-MM-DD`.
    pub days: Option<(String, String)>,
    /// Records looked at, by topic's word: payments, labels, decisions, alerts, dead_letters.
    pub records: BTreeMap<String, u64>,
    /// What was compared, one row a check.
    pub checks: Vec<Check>,
    /// The differences by class, the weightiest first.
    pub classes: Vec<Class>,
    /// Differences by day (`YYYY-MM-DD`) and class.
    pub by_day: Vec<Cell>,
    /// Differences by feature and class.
    pub by_feature: Vec<Cell>,
    /// For each partition of the payments topic where its records went.
    pub conservation: Vec<Conservation>,
    /// Corrections: how many, and what they come to.
    pub corrections: Money,
    /// Decisions by day and verdict.
    pub decisions: Vec<Cell>,
    /// Drift of the score and of each feature against the training reference.
    pub drift: Vec<Drift>,
    /// That reference.
    #[serde(default)]
    pub reference: Reference,
    /// How long decisions took, by step: decode, features, model, policy, total.
    pub latency_us: BTreeMap<String, Quantiles>,
    /// Verdicts against labels, where one is known.
    pub confusion: Vec<Confusion>,
    /// Scores against labels, in bins of the score.
    pub calibration: Vec<Calibration>,
}

impl Numbers {
    /// Differences that nothing explains.
    pub fn unexplained(&self) -> u64 {
        self.checks.iter().map(|check| check.unexplained).sum()
    }
}

/// One check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its word: features_as_of_log, features_by_event_time, scores, decisions, alerts, conservation, rest.
    pub check: String,
    /// How many values or records were compared.
    pub compared: u64,
    /// How many differed.
    pub differences: u64,
    /// How many of these have no class but `unexplained`.
    pub unexplained: u64,
}

/// One class of differences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Its word, such as `late` or `unexplained`.
    pub class: String,
    /// What it means, one sentence.
    pub meaning: String,
    /// Findings in it.
    pub count: u64,
    /// Payments in it, and what they amount to.
    pub payments: Money,
    /// The first few findings.
    pub examples: Vec<Example>,
    /// Entity keys with most findings: entity, masked key, count.
    pub keys: Vec<(String, String, u64)>,
}

/// One difference, for a person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The payment.
    pub transaction_id: String,
    /// Event time, milliseconds.
    pub event_time_ms: i64,
    /// The check that found it.
    pub check: String,
    /// The field or feature.
    pub field: String,
    /// What was recorded.
    pub recorded: String,
    /// What it should be.
    pub computed: String,
}

/// Payments and their sum for each currency, minor units.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Money {
    /// Payments.
    pub count: u64,
    /// Sum by currency, minor units.
    pub amount_minor: BTreeMap<String, i64>,
}

/// A count under two names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Row: a day or a feature.
    pub row: String,
    /// Column: a class or a verdict.
    pub column: String,
    /// How many.
    pub count: u64,
}

/// Where a partition's records went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conservation {
    /// Partition of the payments topic.
    pub partition: i32,
    /// Records of it.
    pub records: u64,
    /// Decided.
    pub decided: u64,
    /// Dead letters.
    pub dead: u64,
    /// Repetitions of a payment that was decided.
    pub duplicates: u64,
    /// None of these.
    pub unaccounted: u64,
}

/// What drift was measured against.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Rows of it.
    pub rows: u64,
    /// How many of these were looked at, drawn evenly.
    pub looked_at: u64,
    /// And how many of these were scored, evenly spaced.
    pub scored: u64,
    /// Why there is none, and nothing is measured.
    pub missing: Option<String>,
}

/// Drift of one number: population stability index over the reference's bins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// `score`, or a feature's name.
    pub name: String,
    /// The model that scored: reference and these days.
    #[serde(default)]
    pub model: Option<String>,
    /// The index: below 0.1 little, above 0.25 much.
    pub psi: f64,
    /// What chance alone would give for so many rows.
    #[serde(default)]
    pub by_chance: f64,
    /// Payments of these days.
    #[serde(default)]
    pub rows: u64,
    /// Shares: what the bin holds, share in the reference, share now.
    pub bins: Vec<(String, f64, f64)>,
}

/// Quantiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half are at most this.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
    /// The largest.
    pub max: u64,
}

/// Payments of one verdict by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// approve, review, challenge or decline.
    pub verdict: String,
    /// Known to be fraud.
    pub fraud: Money,
    /// Known to be legitimate.
    pub legitimate: Money,
    /// Without a label.
    pub unknown: Money,
}

/// One bin of the score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// From this score,
    pub from: f64,
    /// to this.
    pub to: f64,
    /// Labelled payments in it.
    pub count: u64,
    /// Their mean score.
    pub mean_score: f64,
    /// The share of them that is fraud.
    pub fraud_share: f64,
}
