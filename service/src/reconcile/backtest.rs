//! Backtest: what another policy, and perhaps another model, would have decided on archived payments with the vectors
//! that their decisions had; against what labels say by now.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use batch::archive::ArchiveStore;
use batch::numbers::Money;
use models::Model;
use schemas::decision::{Decision, Verdict};
use schemas::payment::Payment;
use schemas::value::FeatureValue;
use serde::Serialize;

use super::again::Again;
use super::compare::score_all;
use super::ledger::{Ledger, Met};
use super::pass::Verdicts;
use super::tally::add;
use super::{ReconcileError, records};
use crate::archiver::topics;
use crate::config::Setup;
use crate::policy::Policy;

/// Payments scored at once.
const BATCH: usize = 512;

/// What is tried.
pub struct Trial<'a> {
    /// The policy.
    pub policy: Arc<Policy>,
    /// A model in place of the scores that were; `None` keeps these.
    pub model: Option<Arc<Model>>,
    /// Event times, milliseconds.
    pub from_ms: i64,
    /// Before this.
    pub to_ms: i64,
    /// Hears how many payments so far.
    pub progress: &'a dyn Fn(u64),
}

/// What a set of decisions comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Decisions by verdict.
    pub verdicts: BTreeMap<&'static str, Money>,
    /// Known fraud that was not approved.
    pub caught: Money,
    /// Known fraud that was approved.
    pub missed: Money,
    /// Known honest payments that were not approved.
    pub false_alarms: Money,
    /// Alerts: what people look at.
    pub alerts: u64,
    /// What is expected to be lost by payments that were approved, minor units by currency.
    pub expected_loss_minor: BTreeMap<String, i64>,
}

/// The two side by side.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Backtest {
    /// Payments compared.
    pub payments: u64,
    /// Of these with a label.
    pub labelled: u64,
    /// Days between the first and the last of them, at least one.
    pub days: u64,
    /// Payments whose decision names another features file: left out.
    pub left_out: u64,
    /// As it was.
    pub before: Outcome,
    /// As it would have been.
    pub after: Outcome,
    /// What changes: from verdict, to verdict, payments and money.
    pub changes: Vec<(&'static str, &'static str, Money)>,
}

struct Case {
    payment: Payment,
    decision: Decision,
    fraud: Option<bool>,
}

/// Runs it.
///
/// # Errors
/// When the archive cannot be read.
pub fn backtest(setup: &Setup, trial: &Trial<'_>) -> Result<Backtest, ReconcileError> {
    let store = ArchiveStore::open(&setup.config.archive.address)?.as_it_is();
    let topics = topics(&setup.config);
    let ledger = Ledger::open(&store, topics.clone(), &setup.config.mapping)?;
    let mut verdicts = Verdicts::default();
    records::labels(&store, &topics[1], |_, _, label| {
        verdicts.hear(label);
        Ok(())
    })?;
    let again = Again::new(setup, &store);
    let mut tally = Tally { result: Backtest::default(), changes: BTreeMap::new(), span_ms: None };
    let (mut waiting, mut seen) = (Vec::with_capacity(BATCH), 0);
    ledger.walk(None, |met| -> Result<(), ReconcileError> {
        let Met::Entry(mut entry) = met else { return Ok(()) };
        let (Ok(payment), false) = (&entry.record.payment, entry.decisions.is_empty()) else { return Ok(()) };
        if !(trial.from_ms..trial.to_ms).contains(&payment.event_time.ms()) {
            return Ok(());
        }
        let decision = entry.decisions.swap_remove(0);
        if *decision.features_version != *setup.definitions.version {
            tally.result.left_out += 1;
            return Ok(());
        }
        let fraud = verdicts.of(&payment.transaction_id);
        waiting.push(Case { payment: payment.clone(), decision, fraud });
        if waiting.len() == BATCH {
            seen += BATCH as u64;
            (trial.progress)(seen);
            tally.take(&std::mem::take(&mut waiting), trial, &again);
        }
        Ok(())
    })?;
    tally.take(&waiting, trial, &again);
    Ok(tally.finish())
}

struct Tally {
    result: Backtest,
    changes: BTreeMap<(Verdict, Verdict), Money>,
    span_ms: Option<(i64, i64)>,
}

impl Tally {
    fn take(&mut self, cases: &[Case], trial: &Trial<'_>, again: &Again<'_>) {
        let vector = |case: &Case| -> Vec<FeatureValue> {
            case.decision.features.iter().map(|feature| feature.value).collect()
        };
        let scores: Vec<Option<f64>> = match &trial.model {
            Some(model) => score_all(model, cases.iter().map(vector)),
            None => cases.iter().map(|case| case.decision.score).collect(),
        };
        for (case, score) in cases.iter().zip(scores) {
            let Case { payment, decision, fraud } = case;
            let model = trial.model.as_ref();
            let made = again.decide(&trial.policy, model, decision, payment, &vector(case), score).decision;
            self.result.payments += 1;
            self.result.labelled += u64::from(fraud.is_some());
            let ms = payment.event_time.ms();
            let (first, last) = self.span_ms.unwrap_or((ms, ms));
            self.span_ms = Some((first.min(ms), last.max(ms)));
            self.result.before.add(decision, *fraud);
            self.result.after.add(&made, *fraud);
            if made.verdict != decision.verdict {
                let changed = self.changes.entry((decision.verdict, made.verdict)).or_default();
                add(changed, decision.currency.as_str(), decision.amount.minor());
            }
        }
    }

    fn finish(self) -> Backtest {
        const DAY_MS: i64 = 86_400_000;
        let days = self.span_ms.map_or(1, |(first, last)| (last - first) / DAY_MS + 1);
        let changes = self.changes.into_iter();
        let changes = changes.map(|((from, to), money)| (from.as_str(), to.as_str(), money)).collect();
        Backtest { days: days.unsigned_abs(), changes, ..self.result }
    }
}

impl Outcome {
    fn add(&mut self, decision: &Decision, fraud: Option<bool>) {
        let (currency, minor) = (decision.currency.as_str(), decision.amount.minor());
        let is_approved = decision.verdict == Verdict::Approve;
        add(self.verdicts.entry(decision.verdict.as_str()).or_default(), currency, minor);
        match (fraud, is_approved) {
            (Some(true), true) => add(&mut self.missed, currency, minor),
            (Some(true), false) => add(&mut self.caught, currency, minor),
            (Some(false), false) => add(&mut self.false_alarms, currency, minor),
            _ => {}
        }
        self.alerts += u64::from(decision.alert_id.is_some());
        if is_approved {
            *self.expected_loss_minor.entry(currency.to_owned()).or_default() += decision.expected_loss_minor;
        }
    }
}

/// A policy file for a backtest.
///
/// # Errors
/// Everything that is wrong with it.
pub fn policy(setup: &Setup, file: &Path) -> Result<Arc<Policy>, schemas::problem::Problems> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        schemas::problem::Problem::new(&name, "--policy", error.to_string(), "a policy file")
    })?;
    Policy::parse(&name, &text, &setup.terms).map(Arc::new)
}
