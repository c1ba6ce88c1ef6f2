//! One decision compared with what the kernel, the model and the policy make of its payment.

use std::collections::BTreeSet;
use std::sync::Arc;

use batch::kernel::{Cause, Causes};
use feature_store::definition::{Definitions, Kind};
use models::Model;
use schemas::alert::Alert;
use schemas::correction::{Correction, Moved, correction_id};
use schemas::decision::Decision;
use schemas::name::Name;
use schemas::payment::Payment;
use schemas::reason::{Reason, ReasonSource};
use schemas::value::FeatureValue;

use super::again::Again;
use super::alerts::Alerts;
use super::finding::{Check, Class, Finding};
use crate::judge;
use crate::made::Made;

/// A decision with all that it is compared with.
pub(super) struct Compared {
    pub payment: Payment,
    pub decision: Decision,
    pub made: Option<String>,
    /// The vector as of the log, and by event time.
    pub as_of_log: Vec<FeatureValue>,
    pub by_event_time: Vec<FeatureValue>,
    /// Why the two differ, by place.
    pub causes: Vec<(usize, Causes)>,
    /// Entities of which the archive lacks events, by place in the mapping, and the name of why.
    pub gaps: Vec<(usize, Class)>,
    /// Whether it counts what is perhaps not archived yet.
    pub is_ahead: bool,
    /// Whether its alert is perhaps not archived yet.
    pub may_have_alert: bool,
    /// Whether the payment is known to be fraud by now.
    pub fraud: Option<bool>,
}

/// What a comparison came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub findings: Vec<Finding>,
    pub correction: Option<Correction>,
    /// The alert that should have been raised and was not.
    pub missed: Option<Alert>,
    /// Checks that were made: each counts what it compared.
    pub compared: Vec<(Check, u64)>,
}

/// Compares decisions, many at once since models score many at once.
pub(super) struct Comparer<'a> {
    again: Again<'a>,
    definitions: Arc<Definitions>,
    run: String,
}

/// The scores of one decision.
#[derive(Clone, Copy, Default)]
struct Scores {
    as_of_log: Option<f64>,
    recorded: Option<f64>,
    by_event_time: Option<f64>,
}

/// The vectors of decisions, as of the log, as recorded and by event time, each once: they are mostly equal, and trees
/// take their time.
struct Distinct {
    rows: Vec<Vec<FeatureValue>>,
    /// Of each decision its three; none where it is of another width.
    places: Vec<[Option<usize>; 3]>,
}

impl Distinct {
    fn of<'a>(all: impl Iterator<Item = &'a Compared>, width: usize) -> Self {
        let mut rows: Vec<Vec<FeatureValue>> = Vec::new();
        let places = all.map(|one| {
            let first = rows.len();
            let recorded = one.decision.features.iter().map(|feature| feature.value).collect();
            [one.as_of_log.clone(), recorded, one.by_event_time.clone()].map(|vector| {
                if vector.len() != width {
                    return None;
                }
                let is_it = |row: &Vec<FeatureValue>| {
                    row.iter().zip(&vector).all(|(one, other)| one.same_bits(*other))
                };
                let known = rows[first..].iter().position(is_it).map(|place| first + place);
                Some(known.unwrap_or_else(|| {
                    rows.push(vector);
                    rows.len() - 1
                }))
            })
        });
        let places = places.collect();
        Self { rows, places }
    }
}

impl<'a> Comparer<'a> {
    pub fn new(again: Again<'a>, definitions: &Arc<Definitions>, run: &str) -> Self {
        Self { again, definitions: Arc::clone(definitions), run: run.to_owned() }
    }

    /// The model of an id; `None` when its files are not there.
    pub fn model(&mut self, id: &Name) -> Option<Arc<Model>> {
        self.again.model(id)
    }

    /// Compares these.
    pub fn compare(&mut self, all: &[Compared], alerts: &mut Alerts) -> Vec<Outcome> {
        let mut scores = vec![Scores::default(); all.len()];
        let mut models: Vec<Name> = all.iter().filter_map(|one| one.decision.model.clone()).collect();
        models.sort_unstable();
        models.dedup();
        for id in models {
            let Some(model) = self.again.model(&id) else { continue };
            let own: Vec<usize> =
                (0..all.len()).filter(|at| all[*at].decision.model.as_ref() == Some(&id)).collect();
            let width = self.definitions.features.len();
            let Distinct { rows, places } = Distinct::of(own.iter().map(|at| &all[*at]), width);
            let found = score_all(&model, rows.into_iter());
            for (at, [as_of_log, recorded, by_event_time]) in own.into_iter().zip(places) {
                let score = |place: Option<usize>| place.and_then(|place| found[place]);
                scores[at] = Scores {
                    as_of_log: score(as_of_log),
                    recorded: score(recorded),
                    by_event_time: score(by_event_time),
                };
            }
        }
        all.iter().zip(scores).map(|(one, scores)| self.one(one, scores, alerts)).collect()
    }

    fn one(&mut self, one: &Compared, scores: Scores, alerts: &mut Alerts) -> Outcome {
        let mut outcome = Outcome::default();
        let decision = &one.decision;
        let mut proved = decision.clone();
        if *decision.features_version != *self.definitions.version {
            let found = self.about(Check::AsOfLog, Class::FeaturesChanged, one);
            let version = self.definitions.version.clone();
            outcome.findings.push(found.of(
                "features_version",
                decision.features_version.to_string(),
                version,
            ));
        } else if self.vector_was_missing(one) {
            let why = decision.fallback.as_deref().unwrap_or_default();
            outcome.findings.push(self.about(Check::AsOfLog, Class::Fallback, one).of("features", why, ""));
        } else {
            self.features(one, &mut proved, &mut outcome);
        }
        let model = decision.model.as_ref().and_then(|id| self.again.model(id));
        let score = self.score(one, model.as_ref(), scores, &mut outcome);
        proved.score = score;
        let rule = self.decided(one, model.as_ref(), score, &proved, &mut outcome);
        self.alert(one, &proved, rule, alerts, &mut outcome);
        self.rest(one, &proved, &mut outcome);
        if let Some(should) = self.should_be(one, model.as_ref(), scores) {
            let correction = self.correction(one, &should.decision);
            outcome.missed = correction.missed_alert.then(|| missed(one, &should, &correction)).flatten();
            outcome.correction = Some(correction);
        }
        outcome
    }

    fn about(&self, check: Check, class: Class, one: &Compared) -> Finding {
        let place = (one.decision.source_partition, one.decision.source_offset);
        let key = one.decision.entities.first().map(|first| (first.entity.to_string(), first.key.clone()));
        Finding { key, ..Finding::bare(check, class, place).about(&one.payment) }
    }

    /// A decision over no vector at all: the features were stale or late.
    fn vector_was_missing(&self, one: &Compared) -> bool {
        one.decision.fallback.is_some()
            && one.decision.features.iter().all(|feature| feature.value == FeatureValue::Null)
            && one.as_of_log.iter().any(|value| *value != FeatureValue::Null)
    }

    /// I6, I7 and I14; what is proved of the vector goes into `proved`.
    fn features(&self, one: &Compared, proved: &mut Decision, outcome: &mut Outcome) {
        let width = self.definitions.features.len();
        outcome.compared.extend([(Check::AsOfLog, width as u64), (Check::ByEventTime, width as u64)]);
        if one.decision.features.len() != width {
            let (recorded, computed) = (one.decision.features.len().to_string(), width.to_string());
            let found = self.about(Check::AsOfLog, Class::Unexplained, one);
            outcome.findings.push(found.of("features", recorded, computed));
            return;
        }
        for (place, feature) in self.definitions.features.iter().enumerate() {
            let recorded = one.decision.features[place].value;
            let (as_of_log, by_event_time) = (one.as_of_log[place], one.by_event_time[place]);
            if !recorded.same_bits(as_of_log) {
                let class = class_as_of_log(one, &feature.kind);
                let found = self.about(Check::AsOfLog, class, one);
                outcome.findings.push(found.of(&feature.name, recorded.to_string(), as_of_log.to_string()));
                if class == Class::Unexplained {
                    proved.features[place].value = as_of_log;
                }
            } else if !recorded.same_bits(by_event_time) {
                let causes = one.causes.iter().find(|(at, _)| *at == place).map(|(_, causes)| *causes);
                let found = self.about(Check::ByEventTime, class_of(causes.unwrap_or_default()), one);
                outcome.findings.push(found.of(
                    &feature.name,
                    recorded.to_string(),
                    by_event_time.to_string(),
                ));
            }
        }
    }

    /// I8. Gives the score that is proved.
    fn score(
        &self,
        one: &Compared,
        model: Option<&Arc<Model>>,
        scores: Scores,
        outcome: &mut Outcome,
    ) -> Option<f64> {
        let recorded = one.decision.score;
        let Some(id) = &one.decision.model else {
            if let Some(why) = &one.decision.fallback {
                let found = self.about(Check::Scores, Class::Fallback, one);
                outcome.findings.push(found.of("score", why.as_str(), ""));
            }
            return recorded;
        };
        if model.is_none() {
            let found = self.about(Check::Scores, Class::ModelChanged, one);
            outcome.findings.push(found.of("model", id.as_str(), ""));
            return recorded;
        }
        outcome.compared.push((Check::Scores, 1));
        let same = |score: Option<f64>| score.map(f64::to_bits) == recorded.map(f64::to_bits);
        // A vector that differs is a finding of its own: its score is right if it is that of either.
        if same(scores.as_of_log) || same(scores.recorded) {
            return recorded;
        }
        let found = self.about(Check::Scores, Class::Unexplained, one);
        outcome.findings.push(found.of("score", said(recorded), said(scores.as_of_log)));
        scores.as_of_log
    }

    /// The policy's part. Gives the alert rule that matched, where the policy is known.
    fn decided(
        &mut self,
        one: &Compared,
        model: Option<&Arc<Model>>,
        score: Option<f64>,
        proved: &Decision,
        outcome: &mut Outcome,
    ) -> Option<Option<Name>> {
        let Some(policy) = self.again.policy(&one.decision.policy) else {
            let found = self.about(Check::Decisions, Class::PolicyChanged, one);
            outcome.findings.push(found.of("policy", one.decision.policy.as_str(), ""));
            return None;
        };
        outcome.compared.push((Check::Decisions, 1));
        let vector: Vec<FeatureValue> = proved.features.iter().map(|feature| feature.value).collect();
        let made = self.again.decide(&policy, model, &one.decision, &one.payment, &vector, score);
        for (field, recorded, computed) in differences(&one.decision, &made.decision) {
            let found = self.about(Check::Decisions, Class::Unexplained, one);
            outcome.findings.push(found.of(field, recorded, computed));
        }
        Some(made.alert_rule)
    }

    /// I9.
    fn alert(
        &self,
        one: &Compared,
        proved: &Decision,
        rule: Option<Option<Name>>,
        alerts: &mut Alerts,
        outcome: &mut Outcome,
    ) {
        let Some(id) = &one.decision.alert_id else { return };
        outcome.compared.push((Check::Alerts, 1));
        let Some(alert) = alerts.take(id) else {
            let is_open =
                one.may_have_alert && alerts.is_behind(proved.source_partition, proved.source_offset);
            let class = match is_open {
                true => Class::Open,
                false if alerts.are_lacking(proved.source_partition) => Class::ArchiveGap,
                false => Class::Unexplained,
            };
            outcome.findings.push(self.about(Check::Alerts, class, one).of("alert", "nothing", id.as_str()));
            return;
        };
        let alert_rule = Some(rule.flatten().unwrap_or_else(|| alert.rule.clone()));
        let Some(expected) = judge::alert(&Made { decision: proved.clone(), alert_rule }) else { return };
        if !alert.is(&expected) {
            let found = self.about(Check::Alerts, Class::Unexplained, one);
            let expected = serde_json::to_string(&expected).unwrap_or_default();
            outcome.findings.push(found.of("alert", alert.rule.as_str(), expected));
        }
    }

    /// I11.
    fn rest(&self, one: &Compared, proved: &Decision, outcome: &mut Outcome) {
        let Some(text) = &one.made else { return };
        let Ok(made) = serde_json::from_str::<Made>(text) else { return };
        outcome.compared.push((Check::Rest, 1));
        let mut told = made.decision;
        // The caller could not be told where his record stands and which versions it comes to.
        (told.source_partition, told.source_offset) = (proved.source_partition, proved.source_offset);
        (told.attempt, told.labels_applied) = (proved.attempt, proved.labels_applied.clone());
        for (told, proved) in told.entities.iter_mut().zip(&proved.entities) {
            told.applied = proved.applied;
        }
        if told != *proved {
            let found = self.about(Check::Rest, Class::Unexplained, one);
            let (field, told, recorded) = first_difference(&told, proved);
            outcome.findings.push(found.of(field, recorded, told));
        }
    }

    /// What should have been decided with nothing late, where it is another decision.
    fn should_be(&mut self, one: &Compared, model: Option<&Arc<Model>>, scores: Scores) -> Option<Made> {
        let decision = &one.decision;
        if one.causes.is_empty() || decision.fallback.is_some() {
            return None;
        }
        let policy = self.again.policy(&decision.policy)?;
        let score = model.and(scores.by_event_time);
        let should = self.again.decide(&policy, model, decision, &one.payment, &one.by_event_time, score);
        let is_same_score = should.decision.score.map(f64::to_bits) == decision.score.map(f64::to_bits);
        let is_same = should.decision.verdict == decision.verdict
            && is_same_score
            && should.decision.alert_id == decision.alert_id;
        (!is_same).then_some(should)
    }

    fn correction(&self, one: &Compared, should: &Decision) -> Correction {
        let decision = &one.decision;
        let features = one.causes.iter().map(|(place, causes)| Moved {
            name: self.definitions.features[*place].name.clone(),
            seen: one.as_of_log[*place],
            should_be: one.by_event_time[*place],
            class: class_of(*causes).as_str().to_owned(),
        });
        Correction {
            correction_id: correction_id(&self.run, &decision.decision_id),
            run: self.run.clone(),
            decision_id: decision.decision_id.clone(),
            transaction_id: decision.transaction_id.clone(),
            event_time: decision.event_time,
            amount: decision.amount,
            currency: decision.currency,
            decided: decision.verdict,
            should_be: should.verdict,
            score: decision.score,
            score_should_be: should.score,
            missed_alert: decision.alert_id.is_none() && should.alert_id.is_some(),
            fraud: one.fraud,
            features: features.collect(),
        }
    }
}

/// The alert of a payment that is not known to be legitimate by now. It says what was decided, and that it is found late.
fn missed(one: &Compared, should: &Made, correction: &Correction) -> Option<Alert> {
    if one.fraud == Some(false) {
        return None;
    }
    let classes: BTreeSet<&str> = correction.features.iter().map(|moved| moved.class.as_str()).collect();
    let classes = classes.into_iter().collect::<Vec<_>>().join(", ").replace('_', " ");
    let (decided, should_be) = (correction.decided.as_str(), correction.should_be.as_str());
    let text = format!(
        "Missed: decided {decided}, should have been {should_be} (found by reconciliation: {classes})"
    );
    let alert = judge::alert(should)?;
    let found = Reason {
        code: Name::from("missed"),
        text,
        feature: None,
        value: None,
        norm: None,
        contribution: None,
        source: ReasonSource::Rule,
    };
    let reasons = std::iter::once(found).chain(alert.reasons).collect();
    Some(Alert { verdict: one.decision.verdict, hold: one.decision.hold, reasons, ..alert })
}

pub(super) fn score_all(
    model: &Arc<Model>,
    vectors: impl Iterator<Item = Vec<FeatureValue>>,
) -> Vec<Option<f64>> {
    let vectors: Vec<_> = vectors.collect();
    let width = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(|vector| vector.len() != width) {
        return vec![None; vectors.len()];
    }
    let (flat, mut scores) = (vectors.concat(), Vec::new());
    // What the model cannot score has no score, as in the stream.
    if model.score(&flat, width, &mut scores).is_err() {
        scores.clear();
    }
    scores.resize(vectors.len(), None);
    scores
}

fn class_as_of_log(one: &Compared, kind: &Kind) -> Class {
    let gap =
        one.gaps.iter().find(|(entity, _)| matches!(kind, Kind::Windowed(one) if one.entity == *entity));
    match gap {
        // Of the payment alone nothing is at any bound.
        _ if one.decision.approximate && matches!(kind, Kind::Windowed(_)) => Class::Approximate,
        _ if one.is_ahead => Class::Open,
        // That events are missing is a finding of its own.
        Some(_) => Class::ArchiveGap,
        None => Class::Unexplained,
    }
}

fn class_of(causes: Causes) -> Class {
    let named = [
        (Cause::Late, Class::Late),
        (Cause::InFlight, Class::InFlight),
        (Cause::LabelAfter, Class::LabelAfter),
        (Cause::EarlyLabel, Class::EarlyLabel),
        (Cause::LabelForgotten, Class::LabelForgotten),
    ];
    named.into_iter().find(|(cause, _)| causes.has(*cause)).map_or(Class::Unexplained, |(_, class)| class)
}

/// Every bit of a score: two that look alike are still told apart.
fn said(score: Option<f64>) -> String {
    score.map_or("none".to_owned(), |score| format!("{score:?} ({:016x})", score.to_bits()))
}

type Difference = (&'static str, String, String);

/// What a policy decides, field by field. What a list said is not in the record but for that it matched.
fn differences(recorded: &Decision, again: &Decision) -> Vec<Difference> {
    fn shown<T: std::fmt::Debug>(value: &T) -> String {
        format!("{value:?}")
    }
    let mut found = Vec::new();
    macro_rules! compare {
        ($($field:ident),*) => { $(
            if recorded.$field != again.$field {
                found.push((stringify!($field), shown(&recorded.$field), shown(&again.$field)));
            }
        )* };
    }
    compare!(
        hold,
        risk_level,
        expected_loss_minor,
        rules,
        lists,
        segment,
        fallback,
        fallback_policy,
        alert_id
    );
    if recorded.verdict != again.verdict {
        found.push(("decision", recorded.verdict.as_str().to_owned(), again.verdict.as_str().to_owned()));
    }
    let reasons = |decision: &Decision| -> Vec<Reason> {
        decision.reasons.iter().filter(|reason| reason.source != ReasonSource::List).cloned().collect()
    };
    let (before, after) = (reasons(recorded), reasons(again));
    if before != after {
        found.push(("reasons", shown(&before), shown(&after)));
    }
    found
}

fn first_difference(told: &Decision, recorded: &Decision) -> (String, String, String) {
    let (told, recorded) = (serde_json::to_value(told), serde_json::to_value(recorded));
    if let (Ok(serde_json::Value::Object(told)), Ok(recorded)) = (told, recorded) {
        for (field, value) in told {
            let other = recorded.get(&field).cloned().unwrap_or_default();
            if value != other {
                return (field, value.to_string(), other.to_string());
            }
        }
    }
    ("decision".to_owned(), String::new(), String::new())
}

/// An alert as far as it is compared: one that was written before a crash, and its decision after it, differ in these.
pub(super) fn comparable(alert: &Alert) -> Alert {
    Alert { attempt: 1, raised_at_ms: 0, ..alert.clone() }
}
