//! `POST /v1/labels`: a verdict on a payment, by whoever knows. It goes to the labels topic, as any other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use schemas::contract::Contract;
use schemas::payment::{Label, LabelSource, MAX_KEY_BYTES};
use schemas::time::EventTime;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Rest;
use super::openapi::{OF_A_BODY, responses};
use crate::emit::Bound;
use crate::http::answer::{Code, Problem};
use crate::http::request::{BODY_BYTES, at, body, is_json, no_query, parsed, rfc3339};
use crate::registry::client::{RegistryClient, RegistryError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labelled {
    transaction_id: String,
    fraud: bool,
    #[serde(default)]
    label_time: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// Writes labels in the contract's schema, once the registry has given its id.
#[derive(Clone, Default)]
pub struct LabelWriter(Arc<Mutex<Option<Bound>>>);

impl LabelWriter {
    /// Asks the registry until there is an answer that stands.
    pub async fn bind(self, client: RegistryClient, topic: String, register: bool) {
        loop {
            match client.bind(Contract::Label, &topic, register).await {
                Ok(bound) => return *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bound),
                Err(error @ RegistryError::Refused(_)) => {
                    return tracing::warn!(%error, "labels cannot be written over REST");
                }
                Err(RegistryError::Unavailable(_)) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
    }

    fn value(&self, label: &Label) -> Option<Vec<u8>> {
        let mut bound = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = bound.as_mut()?;
        let mut value = Vec::with_capacity(64);
        bound.encoder.encode(bound.id, label, &mut value).ok().map(|()| value)
    }
}

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Writes a label, and answers once the brokers have it.
pub async fn label(State(rest): State<Arc<Rest>>, request: Request) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    is_json(request.headers())?;
    let labelled: Labelled = parsed(&body(request, BODY_BYTES, rest.limits.max_deadline).await?)?;
    let label = checked(&labelled, rest.clock.now().wall_ms)?;
    rest.send_label(&label).await?;
    Ok(Json(json!({ "transaction_id": label.transaction_id, "fraud": label.fraud,
        "label_time": label.label_time.to_string(), "source": label.source })))
}

impl Rest {
    /// Sends a label, and comes back once the brokers have it.
    ///
    /// # Errors
    /// 503: send it again, a label counts once.
    pub async fn send_label(&self, label: &Label) -> Result<(), Problem> {
        let value = self.labels.value(label).ok_or_else(|| {
            Problem::of(Code::Unavailable)
                .detail("The schema registry has not given the labels' schema yet.")
                .retry_after(1)
        })?;
        let by = Instant::now() + self.limits.max_deadline;
        if self.recorder.label(&label.transaction_id, &value, by).await {
            return Ok(());
        }
        let detail = "The brokers did not acknowledge it in time. Send it again: a label counts once.";
        Err(Problem::of(Code::Unavailable).detail(detail).retry_after(1))
    }
}

fn checked(labelled: &Labelled, now_ms: i64) -> Result<Label, Problem> {
    let id = labelled.transaction_id.as_str();
    if id.is_empty() || id.len() > MAX_KEY_BYTES || id.contains('\0') {
        return Err(at("/transaction_id", "a transaction id of 1 to 256 bytes"));
    }
    let time_ms = match labelled.label_time.as_deref() {
        None => now_ms,
        Some(text) => rfc3339(text).ok_or_else(|| at("/label_time", "RFC 3339"))?,
    };
    let label_time = EventTime::from_ms(time_ms).ok_or_else(|| at("/label_time", "a time from 1970 on"))?;
    let word = labelled.source.as_deref().unwrap_or("other");
    let source = LabelSource::ALL.into_iter().find(|source| source.as_str() == word);
    let words = LabelSource::ALL.map(LabelSource::as_str).join(", ");
    Ok(Label {
        transaction_id: id.into(),
        fraud: labelled.fraud,
        label_time,
        source: source.ok_or_else(|| at("/source", &words))?,
    })
}

/// The route's part of the document.
pub(super) fn describe(add: &mut impl FnMut(&str, &str, Value)) {
    let body = json!({ "type": "object", "additionalProperties": false, "required": ["transaction_id", "fraud"],
        "properties": {
            "transaction_id": { "type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES,
                "pattern": r"^[^\u0000]*$" },
            "fraud": { "type": "boolean" },
            "label_time": { "type": ["string", "null"], "format": "date-time" },
            "source": { "type": ["string", "null"], "enum": LabelSource::ALL.iter().map(|one| Some(one.as_str()))
                .chain([None]).collect::<Vec<_>>() } } });
    add(
        "POST",
        "/v1/labels",
        json!({ "operationId": "label", "summary": "Says what a payment turned out to be",
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": responses("Label", &OF_A_BODY) }),
    );
}
