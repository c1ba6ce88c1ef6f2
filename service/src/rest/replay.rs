//! `POST /v1/decisions/{id}/replay`: a decision computed again from what was recorded, and every field that differs.
//!
//! The vector is the recorded one; the model and the policy are those that the decision names, and the payment is read
//! from the topic. What is not there any more is named, and what needs it is not compared. The block and allow lists
//! are those of now: an entry made since shows as a difference in `lists`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use feature_store::enricher::Enriched;
use models::Model;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use schemas::codec::{PaymentDecoder, unframe};
use schemas::decision::Decision;
use schemas::payment::Payment;
use schemas::value::FeatureValue;
use serde_json::{Value, json};
use smallvec::SmallVec;

use super::Rest;
use crate::http::answer::Problem;
use crate::http::request::{named, no_query};
use crate::judge::{Case, Written};
use crate::pipeline::Deciders;
use crate::policy::Lack;
use crate::registry::Answer;

/// How long the brokers may take for one record.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// What is compared; what says when and where it was decided is not.
const COMPARED: [&str; 12] = [
    "decision",
    "hold",
    "risk_level",
    "score",
    "expected_loss_minor",
    "reasons",
    "rules",
    "lists",
    "segment",
    "fallback",
    "fallback_policy",
    "alert_id",
];

/// The answer.
pub async fn replay(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let (recorded, _) = rest.decision(&named(path)?).await?;
    let mut missing = Vec::new();
    let model = rest.model_of(&recorded).await;
    if model.is_none() && recorded.model.is_some() {
        missing.push(format!("model {}", recorded.model.as_deref().unwrap_or_default()));
    }
    let vector: Vec<FeatureValue> = recorded.features.iter().map(|feature| feature.value).collect();
    let score = match &model {
        Some(model) => {
            let (model, vector) = (Arc::clone(model), vector.clone());
            let scored = tokio::task::spawn_blocking(move || {
                let mut scores = Vec::new();
                model.score(&vector, vector.len(), &mut scores).ok()?;
                scores.first().copied().flatten()
            });
            scored.await.ok().flatten()
        }
        // What needs the model is not compared; what the policy made of its score then is.
        None => recorded.score,
    };
    let mut differences = Vec::new();
    if model.is_some() && score.map(f64::to_bits) != recorded.score.map(f64::to_bits) {
        differences.push(json!({ "field": "score", "recorded": recorded.score, "replayed": score }));
    }
    match rest.judged_again(&recorded, &vector, score, &mut missing).await {
        Some(again) => {
            let (before, after) = (json!(recorded), json!(again));
            let differs = |field: &&&str| before.get(**field) != after.get(**field) && ***field != *"score";
            differences.extend(COMPARED.iter().filter(differs).map(|field| {
                json!({ "field": field, "recorded": before.get(*field), "replayed": after.get(*field) })
            }));
        }
        None if missing.is_empty() => missing.push("features file of that version".to_owned()),
        None => {}
    }
    let equal = differences.is_empty() && missing.is_empty();
    Ok(Json(json!({
        "decision_id": recorded.decision_id, "equal": equal, "differences": differences, "missing": missing,
    })))
}

impl Rest {
    /// The model that a decision names: the live one, or one that is still in the folder.
    async fn model_of(&self, decision: &Decision) -> Option<Arc<Model>> {
        let id = decision.model.as_ref()?;
        if let Some(live) = (self.deciders)().model.filter(|live| live.id() == id) {
            return Some(live);
        }
        let (name, version) = id.split_once('/')?;
        let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\']);
        let folder: PathBuf = self.models.as_ref()?.join(Some(name).filter(|name| plain(name))?);
        let folder = folder.join(Some(version).filter(|version| plain(version))?);
        let names: Vec<String> = decision.features.iter().map(|feature| feature.name.to_string()).collect();
        let load = tokio::task::spawn_blocking(move || Model::load(&folder, &names).ok());
        load.await.ok().flatten().map(Arc::new)
    }

    async fn judged_again(
        &self,
        recorded: &Decision,
        vector: &[FeatureValue],
        score: Option<f64>,
        missing: &mut Vec<String>,
    ) -> Option<Decision> {
        let engine = self.engine()?;
        if *recorded.features_version != *engine.definitions.version {
            return None;
        }
        let seen = self.policies.record().seen;
        let policy = seen.iter().find(|seen| *seen.policy.version() == recorded.policy);
        let Some(policy) = policy.map(|seen| Arc::clone(&seen.policy)) else {
            missing.push(format!("policy {}", recorded.policy));
            return None;
        };
        let Some(payment) = self.payment_of(recorded).await else {
            missing.push("the payment's record".to_owned());
            return None;
        };
        let now = (self.deciders)();
        let deciders = Deciders { model: now.model, policy, lists: now.lists };
        let lack = recorded.fallback.as_deref();
        let lack = lack.and_then(|word| Lack::ALL.into_iter().find(|lack| lack.as_str() == word));
        let (approximate, labels_until) = (recorded.approximate, recorded.labels_until.clone().into());
        let seen = Enriched { versions: SmallVec::new(), approximate, labels_until };
        let case = Case { payment: &payment, seen: &seen, vector, score, lack };
        let written = Written {
            door: recorded.door,
            source: (recorded.source_partition, recorded.source_offset),
            schema_id: recorded.schema_id,
            decided_at_ms: recorded.decided_at_ms,
            judged_ms: recorded.decided_at_ms,
            attempt: recorded.attempt,
            latency_us: recorded.latency_us,
        };
        Some(engine.judge.decide(&deciders, &case, &written).decision)
    }

    async fn payment_of(&self, recorded: &Decision) -> Option<Payment> {
        let at = (recorded.source_partition, recorded.source_offset);
        if at.0 < 0 {
            return None;
        }
        // A consumer each, with threads and sockets of its own: a few at once, and the others after them.
        let _one_of_few = tokio::time::timeout(READ_WITHIN, self.readers.acquire()).await.ok()?.ok()?;
        let (config, topic) = (self.reader.clone(), self.transactions.clone());
        let value = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().ok()?;
            record(&consumer, &topic, at)
        });
        let value = value.await.ok().flatten()?;
        let (id, body) = unframe(&value).ok()?;
        let Answer::Text(text) = self.registry.ask(id).await else { return None };
        let payment = PaymentDecoder::of_schema(Arc::clone(&self.mapping), &text).ok()?.decode(body).ok()?;
        (*payment.transaction_id == *recorded.transaction_id).then_some(payment)
    }
}

/// One record's value.
fn record(consumer: &BaseConsumer, topic: &str, (partition, offset): (i32, i64)) -> Option<Vec<u8>> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).ok()?;
    consumer.assign(&list).ok()?;
    let until = Instant::now() + READ_WITHIN;
    while Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                return message.payload().filter(|_| message.offset() == offset).map(<[u8]>::to_vec);
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a record cannot be read");
                return None;
            }
            None => {}
        }
    }
    None
}
