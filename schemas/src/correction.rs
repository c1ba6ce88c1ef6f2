//! What a decision should have been with nothing late, as `avro/correction.avsc` has it.

use serde::{Deserialize, Serialize};

use crate::decision::Verdict;
use crate::id::derived;
use crate::payment::{AmountMinor, Currency};
use crate::time::EventTime;
use crate::value::FeatureValue;

/// A feature that should have had another value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Its name.
    pub name: String,
    /// What the decision saw.
    pub seen: FeatureValue,
    /// What it should have seen.
    pub should_be: FeatureValue,
    /// Why.
    pub class: String,
}

/// A correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// [`correction_id`] of the run and the decision.
    pub correction_id: String,
    /// The run.
    pub run: String,
    /// The decision.
    pub decision_id: String,
    /// The payment.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_time: EventTime,
    /// Its amount.
    #[serde(rename = "amount_minor")]
    pub amount: AmountMinor,
    /// Its currency.
    pub currency: Currency,
    /// What was decided.
    pub decided: Verdict,
    /// What it should have been.
    pub should_be: Verdict,
    /// The score then.
    pub score: Option<f64>,
    /// The score that it should have been.
    pub score_should_be: Option<f64>,
    /// It should have raised an alert, and raised none.
    pub missed_alert: bool,
    /// Whether it is known to be fraud by now.
    pub fraud: Option<bool>,
    /// The features that moved.
    pub features: Vec<Moved>,
}

/// The correction's id: the same for a decision however often a run is repeated.
pub fn correction_id(run: &str, decision_id: &str) -> String {
    derived("cor_", run, decision_id)
}
