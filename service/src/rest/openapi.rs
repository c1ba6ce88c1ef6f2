//! `/openapi.json`: what the door takes and gives, in OpenAPI 3.1. The payment is the user's own schema; the rest is
//! written here once, beside the code that does it.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::Rest;
use super::route::{BATCH, no_schema};
use crate::http::answer::{Code, Problem};

/// The document as of now.
pub async fn document(State(rest): State<Arc<Rest>>) -> Result<Json<Value>, Problem> {
    let bodies = rest.bodies.get().ok_or_else(no_schema)?;
    Ok(Json(describe(bodies.reader.json_schema(), &bodies.reader.example())))
}

fn describe(payment: Value, example: &Value) -> Value {
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
        "paths": paths(example),
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "bearerFormat": "tlk_..." } },
            "schemas": schemas(payment),
            "parameters": {
                "deadline": {
                    "name": "Tripline-Deadline-Ms", "in": "header",
                    "description": "How long the caller waits, milliseconds. A longer one than rest.max_deadline is cut.",
                    "schema": { "type": "integer", "minimum": 1, "maximum": 60_000 },
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

fn paths(example: &Value) -> Value {
    let payment = json!({ "$ref": "#/components/schemas/Payment" });
    let parameter = |name: &str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let asked = [parameter("deadline"), parameter("dryRun"), parameter("traceparent")];
    let score = [asked.as_slice(), &[parameter("idempotency")]].concat();
    let batch = json!({ "type": "array", "items": payment, "minItems": 1, "maxItems": BATCH });
    let mut paths = Map::new();
    let mut add = |method: &str, path: &str, operation: Value| {
        let entry = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(method.to_ascii_lowercase(), operation);
        }
    };
    add(
        "POST",
        "/v1/score",
        json!({
            "operationId": "score", "summary": "Decides a payment and records it",
            "parameters": score,
            "requestBody": { "required": true, "content": { "application/json": { "schema": payment, "example": example } } },
            "responses": responses("Decision", &[Code::MalformedJson, Code::InvalidRequest, Code::DeadlineInvalid,
                Code::InFlight, Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::InvalidPayment, Code::Overloaded]),
        }),
    );
    add(
        "POST",
        "/v1/score/batch",
        json!({
            "operationId": "scoreBatch", "summary": "Decides up to 1,000 payments, each with its own outcome",
            "parameters": asked,
            "requestBody": { "required": true, "content": { "application/json": { "schema": batch } } },
            "responses": responses("Batch", &[Code::MalformedJson, Code::InvalidRequest, Code::DeadlineInvalid,
                Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::InvalidPayment, Code::Overloaded]),
        }),
    );
    super::read::describe(&mut add);
    super::manage::describe(&mut add);
    super::label::describe(&mut add);
    Value::Object(paths)
}

/// The answers of an operation: 200 with a schema, and problems by status.
pub(super) fn responses(schema: &str, codes: &[Code]) -> Value {
    let content = |kind: &str, name: &str| json!({ kind: { "schema": { "$ref": format!("#/components/schemas/{name}") } } });
    let mut answers = Map::new();
    answers.insert(
        "200".to_owned(),
        json!({ "description": "Done.", "content": content("application/json", schema) }),
    );
    let always = [
        Code::Unauthenticated,
        Code::Forbidden,
        Code::RateLimited,
        Code::Unavailable,
        Code::Misdirected,
        Code::HeaderFieldsTooLarge,
    ];
    for code in codes.iter().chain(&always) {
        let facts = code.facts();
        let problem =
            json!({ "description": facts.title, "content": content("application/problem+json", "Problem") });
        answers.insert(facts.status.as_u16().to_string(), problem);
    }
    Value::Object(answers)
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
    json!({
        "Payment": payment, "Decision": decision, "Problem": problem,
        "Batch": { "type": "object", "required": ["items"], "properties": { "items": { "type": "array", "items": item } } },
        "Decisions": { "type": "object", "required": ["decisions", "next"], "properties": {
            "decisions": { "type": "array", "items": { "$ref": "#/components/schemas/Decision" } },
            "next": nullable("string") } },
        "Any": { "type": "object" },
    })
}
