//! `/openapi.json`: what the door takes and gives, in OpenAPI 3.1. The payment is the user's own schema; the rest is
//! written here once, beside the code that does it.

use axum::Json;
use axum::extract::State;
use schemas::time::EventTime;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::Rest;
use super::route::{BATCH, no_schema};
use crate::alerts;
use crate::http::answer::{Code, Problem};

/// The document as of now.
pub async fn document(State(rest): State<Arc<Rest>>) -> Result<Json<Value>, Problem> {
    let bodies = rest.bodies.get().ok_or_else(no_schema)?;
    let mut document = describe(bodies.reader.json_schema(), &bodies.reader.example(), &rest.entities);
    if rest.has_queue {
        with_queue(&mut document);
    }
    Ok(Json(document))
}

/// The analysts' routes beside the callers'.
fn with_queue(document: &mut Value) {
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.extend(alerts::describe::schemas());
    }
    if let Some(paths) = document.pointer_mut("/paths").and_then(Value::as_object_mut) {
        alerts::describe::describe(&mut |method, path, operation| put(paths, method, path, operation));
    }
}

fn put(paths: &mut Map<String, Value>, method: &str, path: &str, operation: Value) {
    let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    if let Some(entry) = entry.as_object_mut() {
        entry.insert(method.to_ascii_lowercase(), operation);
    }
}

fn describe(payment: Value, example: &Value, entities: &[String]) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tripline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Decisions on card payments while they happen. Every answer to a payment is a decision, \
                inside the deadline; identity is the transaction id.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "key": [] }],
        "paths": paths(example, entities),
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "bearerFormat": "tlk_..." } },
            "schemas": schemas(payment),
            "parameters": {
                "deadline": {
                    "name": "Tripline-Deadline-Ms", "in": "header",
                    "description": "How long the caller waits, milliseconds. A longer one than rest.max_deadline is cut.",
                    "schema": { "type": "integer", "minimum": 1 },
                },
                "idempotency": {
                    "name": "Idempotency-Key", "in": "header",
                    "description": "Optional: the transaction id is what counts. It may not contradict it.",
                    "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
                },
                "traceparent": {
                    "name": "traceparent", "in": "header", "description": "W3C Trace Context.",
                    "schema": { "type": "string" },
                },
                "dryRun": {
                    "name": "dry_run", "in": "query", "description": "Decide and record nothing.",
                    "schema": { "type": "boolean" },
                },
            },
        },
    })
}

fn paths(example: &Value, entities: &[String]) -> Value {
    let payment = json!({ "$ref": "#/components/schemas/Payment" });
    let parameter = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let asked = [parameter("deadline"), parameter("dryRun"), parameter("traceparent")];
    let score = [asked.as_slice(), &[parameter("idempotency")]].concat();
    let batch = json!({ "type": "array", "items": payment, "minItems": 1, "maxItems": BATCH });
    let mut paths = Map::new();
    let mut add = |method: &str, path: &str, operation: Value| put(&mut paths, method, path, operation);
    add(
        "POST",
        "/v1/score",
        json!({
            "operationId": "score", "summary": "Decides a payment and records it",
            "description": "422 `invalid_payment` is also the answer to a payment whose time is further back than \
                `limits.lateness` (`late`) or further ahead than `limits.skew` (`future`) allows.",
            "parameters": score,
            "requestBody": { "required": true, "content": { "application/json": { "schema": payment, "example": example } } },
            "responses": linked(
                responses("Decision", &[OF_A_BODY.as_slice(), &[Code::DeadlineInvalid, Code::InFlight, Code::Conflict,
                    Code::IdempotencyMismatch, Code::Overloaded]].concat()),
                "200", "decision_id", &["decision", "replay"]),
        }),
    );
    add(
        "POST",
        "/v1/score/batch",
        json!({
            "operationId": "scoreBatch", "summary": "Decides up to 1,000 payments, each with its own outcome",
            "parameters": asked,
            "requestBody": { "required": true, "content": { "application/json": { "schema": batch } } },
            "responses": responses("Batch", &[OF_A_BODY.as_slice(), &[Code::DeadlineInvalid, Code::BatchTooLarge,
                Code::Overloaded]].concat()),
        }),
    );
    super::read::describe(&mut add);
    super::manage::describe(entities, &mut add);
    super::label::describe(&mut add);
    Value::Object(paths)
}

/// The answers of an operation: 200 with a schema, and problems by status.
pub fn responses(schema: &str, codes: &[Code]) -> Value {
    let always = [
        Code::Unauthenticated,
        Code::KeyMalformed,
        Code::KeyUnknown,
        Code::KeyExpired,
        Code::Forbidden,
        Code::Misdirected,
        Code::HeaderFieldsTooLarge,
        Code::RateLimited,
        Code::Unavailable,
    ];
    let mut answers = Map::new();
    let done = json!({ "description": "Done.", "content": content("application/json", schema) });
    answers.insert("200".to_owned(), done);
    let mut codes: Vec<Code> = codes.iter().chain(&always).copied().collect();
    codes.sort_by_key(|code| code.facts().status);
    for of_status in codes.chunk_by(|a, b| a.facts().status == b.facts().status) {
        let said = of_status.iter().map(|code| format!("`{}`: {}.", code.facts().word, code.facts().title));
        let said: Vec<_> = said.collect();
        let status = of_status.first().map_or(0, |code| code.facts().status.as_u16());
        let mut problem = json!({
            "description": said.join(" "), "content": content("application/problem+json", "Problem"),
        });
        if let Some(headers) = headers(status)
            && let Some(problem) = problem.as_object_mut()
        {
            problem.insert("headers".to_owned(), headers);
        }
        answers.insert(status.to_string(), problem);
    }
    Value::Object(answers)
}

/// The refusals of a body that can be wrong in every way.
pub const OF_A_BODY: [Code; 8] = [
    Code::MalformedJson,
    Code::InvalidRequest,
    Code::BodyTooSlow,
    Code::PayloadTooLarge,
    Code::UnsupportedMediaType,
    Code::UnsupportedEncoding,
    Code::InvalidPayment,
    Code::InvalidBody,
];

fn content(kind: &str, schema: &str) -> Value {
    json!({ kind: { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

fn headers(status: u16) -> Option<Value> {
    match status {
        401 | 403 => Some(json!({ "WWW-Authenticate": {
            "description": "RFC 6750.", "required": true, "schema": { "type": "string" } } })),
        409 | 429 | 503 => Some(json!({ "Retry-After": {
            "description": "Seconds.", "required": true, "schema": { "type": "integer", "minimum": 1 } } })),
        _ => None,
    }
}

/// Says where the id in an answer leads to: `(operation, its parameter)`, by a pointer into the answer.
pub fn linked(mut answers: Value, status: &str, id: &str, to: &[&str]) -> Value {
    let link = |operation: &&str| {
        let link =
            json!({ "operationId": operation, "parameters": { "id": format!("$response.body#/{id}") } });
        ((*operation).to_owned(), link)
    };
    let links: Map<String, Value> = to.iter().map(link).collect();
    if let Some(answer) = answers.get_mut(status).and_then(Value::as_object_mut) {
        answer.insert("links".to_owned(), Value::Object(links));
    }
    answers
}

/// A time in a query.
pub(super) fn moment_schema() -> Value {
    json!({ "description": "RFC 3339, or milliseconds since 1970.", "anyOf": [
        { "type": "string", "format": "date-time" },
        { "type": "integer", "minimum": 0, "maximum": EventTime::LAST.ms() } ] })
}

fn schemas(payment: Value) -> Value {
    let text = json!({ "type": "string" });
    let nullable = |kind: &str| json!({ "type": [kind, "null"] });
    let texts = json!({ "type": "array", "items": text });
    let money = json!({ "type": "object", "required": ["amount_minor", "currency"],
        "properties": { "amount_minor": { "type": "integer" }, "currency": text } });
    let reason = json!({ "type": "object", "required": ["code", "text", "source"], "properties": {
        "code": text, "text": text, "feature": nullable("string"), "value": nullable("number"),
        "norm": nullable("number"), "contribution": nullable("number"),
        "source": { "enum": ["model", "rule", "list"] } } });
    let decision = json!({
        "type": "object",
        "required": ["decision_id", "transaction_id", "decision", "hold", "score", "risk_level", "expected_loss",
            "reasons", "rules", "lists", "versions", "fallback", "replayed", "recorded", "alert_id", "evaluated_at",
            "latency_us"],
        "properties": {
            "decision_id": text, "transaction_id": text,
            "decision": { "enum": ["approve", "review", "challenge", "decline"] },
            "hold": { "type": "boolean" },
            "score": { "type": ["number", "null"], "minimum": 0, "maximum": 1 },
            "risk_level": { "enum": ["low", "medium", "high", "critical", "unknown", ""] },
            "expected_loss": money, "amount": money,
            "event_time": { "type": "string", "format": "date-time" },
            "reasons": { "type": "array", "items": reason },
            "rules": texts, "lists": texts, "segment": nullable("string"),
            "versions": { "type": "object", "properties": { "model": nullable("string"), "policy": text,
                "features": text, "schema": { "type": "integer" } } },
            "fallback": { "type": ["object", "null"], "properties": { "reason": text, "policy": nullable("string") } },
            "approximate": { "type": "boolean" }, "replayed": { "type": "boolean" },
            "recorded": { "type": "boolean" }, "alert_id": nullable("string"),
            "evaluated_at": { "type": "string", "format": "date-time" },
            "latency_us": { "type": "object" },
        },
    });
    let problem = json!({ "type": "object", "required": ["type", "title", "status", "code", "detail"], "properties": {
        "type": text, "title": text, "status": { "type": "integer" },
        "code": { "enum": Code::ALL.iter().map(|code| code.facts().word).collect::<Vec<_>>() }, "detail": text,
        "errors": { "type": "array", "items": { "type": "object",
            "properties": { "pointer": text, "code": text, "detail": text } } } } });
    let item = json!({ "type": "object", "required": ["status"], "properties": { "status": { "type": "integer" },
        "decision": { "$ref": "#/components/schemas/Decision" },
        "problem": { "$ref": "#/components/schemas/Problem" } } });
    let entry = json!({ "type": "object",
        "required": ["id", "list", "entity", "key", "owner", "reason", "created", "expires"], "properties": {
            "id": text, "list": { "enum": ["block", "allow"] }, "entity": text, "key": text, "owner": text,
            "reason": text, "created": { "type": "string", "format": "date-time" },
            "expires": { "type": ["string", "null"], "format": "date-time" } } });
    json!({
        "Payment": payment, "Decision": decision, "Problem": problem,
        "Batch": { "type": "object", "required": ["items"], "properties": { "items": { "type": "array", "items": item } } },
        "Decisions": { "type": "object", "required": ["decisions", "next"], "properties": {
            "decisions": { "type": "array", "items": { "$ref": "#/components/schemas/Decision" } },
            "next": nullable("string") } },
        "Entity": { "type": "object", "required": ["entity", "key", "as_of", "version", "approximate", "features", "payments"],
            "properties": { "entity": text, "key": text, "as_of": { "type": "string", "format": "date-time" },
                "version": { "type": "integer" }, "approximate": { "type": "boolean" }, "features": { "type": "object" },
                "payments": { "type": "array", "items": { "$ref": "#/components/schemas/Decision" } } } },
        "Replay": { "type": "object", "required": ["decision_id", "equal", "differences", "missing"], "properties": {
            "decision_id": text, "equal": { "type": "boolean" }, "missing": texts,
            "differences": { "type": "array", "items": { "type": "object", "required": ["field", "recorded", "replayed"],
                "properties": { "field": text } } } } },
        "Label": { "type": "object", "required": ["transaction_id", "fraud", "label_time", "source"], "properties": {
            "transaction_id": text, "fraud": { "type": "boolean" },
            "label_time": { "type": "string", "format": "date-time" }, "source": text } },
        "ListEntry": entry,
        "Lists": { "type": "object", "required": ["entries"], "properties": {
            "entries": { "type": "array", "items": { "$ref": "#/components/schemas/ListEntry" } } } },
        "Any": { "type": "object" },
    })
}
