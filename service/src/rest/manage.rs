//! What people look after over REST: lists, and what policies and models there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemas::payment::MAX_KEY_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Rest;
use super::openapi::{OF_A_BODY, linked, responses};
use crate::http::answer::{Code, Problem};
use crate::http::request::{BODY_BYTES, at, body, is_json, named, no_query, parsed, rfc3339, time};
use crate::lists::{ListEntry, ListError, MAX_OWNER_BYTES, MAX_REASON_BYTES, NewEntry};
use crate::policy::ListKind;

/// When to ask again while the lists are full, seconds: entries expire, or somebody removes some.
const FULL_RETRY_S: u32 = 60;

/// `GET /v1/lists`.
pub async fn lists(State(rest): State<Arc<Rest>>, request: Request) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    let entries: Vec<_> = rest.lists.entries().iter().map(entry).collect();
    Ok(Json(json!({ "entries": entries })))
}

/// A body of `POST /v1/lists`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    list: String,
    entity: String,
    key: String,
    owner: String,
    reason: String,
    #[serde(default)]
    expires: Option<String>,
}

/// `POST /v1/lists`.
pub async fn list(State(rest): State<Arc<Rest>>, request: Request) -> Result<Response, Problem> {
    no_query(request.uri().query())?;
    is_json(request.headers())?;
    let listed: Listed = parsed(&body(request, BODY_BYTES, rest.limits.max_deadline).await?)?;
    let list = ListKind::parse(&listed.list).ok_or_else(|| at("/list", "block or allow"))?;
    let expires_ms = listed.expires.map(|text| rfc3339(&text).ok_or_else(|| at("/expires", "RFC 3339")));
    let new = NewEntry {
        list,
        entity: listed.entity,
        key: listed.key,
        owner: listed.owner,
        reason: listed.reason,
        created_ms: rest.clock.now().wall_ms,
        expires_ms: expires_ms.transpose()?,
    };
    let book = Arc::clone(&rest.lists);
    let put =
        tokio::task::spawn_blocking(move || book.put(new)).await.map_err(|_| Problem::of(Code::Internal))?;
    let put = put.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(entry(&put))).into_response())
}

/// `DELETE /v1/lists/{id}`.
pub async fn unlist(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let id = named(path)?;
    let book = Arc::clone(&rest.lists);
    let removed = tokio::task::spawn_blocking(move || book.remove(&id)).await;
    let removed = removed.map_err(|_| Problem::of(Code::Internal))?.map_err(refused)?;
    removed.as_ref().map(|removed| Json(entry(removed))).ok_or_else(|| Problem::of(Code::NotFound))
}

fn entry(entry: &ListEntry) -> Value {
    json!({
        "id": entry.id,
        "list": entry.list,
        "entity": entry.entity,
        "key": entry.key,
        "owner": entry.owner,
        "reason": entry.reason,
        "created": time(entry.created_ms),
        "expires": entry.expires_ms.map(time),
    })
}

fn refused(error: ListError) -> Problem {
    match error {
        ListError::Invalid { field, expected } => at(&format!("/{field}"), &expected),
        ListError::Full => Problem::of(Code::Unavailable).detail(error.to_string()).retry_after(FULL_RETRY_S),
        ListError::Damaged { .. } | ListError::Io { .. } => {
            tracing::error!(%error, "the lists cannot be kept");
            Problem::of(Code::Internal)
        }
    }
}

/// `GET /v1/policies`.
pub async fn policies(State(rest): State<Arc<Rest>>, request: Request) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    let record = rest.policies.record();
    let live = rest.policies.current().version().clone();
    let versions = record.seen.iter().rev().map(|seen| {
        json!({ "version": seen.policy.version(), "since": time(seen.since_ms),
                "live": *seen.policy.version() == live, "text": seen.policy.text() })
    });
    let versions: Vec<Value> = versions.collect();
    let refused = record.refusal.map(|refusal| {
        let problems: Vec<_> = refusal.problems.0.iter().map(ToString::to_string).collect();
        json!({ "at": time(refusal.at_ms), "standing": record.standing, "problems": problems })
    });
    Ok(Json(json!({ "live": live, "versions": versions, "refused": refused })))
}

/// `GET /v1/models`.
pub async fn models(State(rest): State<Arc<Rest>>, request: Request) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    let live = (rest.deciders)().model;
    let live = live.map(|model| json!({ "id": model.id(), "features": model.manifest().facts.features }));
    Ok(Json(json!({ "live": live })))
}

/// The routes' part of the document.
pub(super) fn describe(entities: &[String], add: &mut impl FnMut(&str, &str, Value)) {
    let text = json!({ "type": "string" });
    let entity = json!({ "enum": entities });
    // Something beside blanks. In bytes it may be fewer.
    let sized =
        |most: usize| json!({ "type": "string", "pattern": r"\S", "minLength": 1, "maxLength": most });
    let listed = json!({ "type": "object", "additionalProperties": false,
        "required": ["list", "entity", "key", "owner", "reason"],
        "properties": { "list": { "enum": ["block", "allow"] }, "entity": entity,
            "key": sized(MAX_KEY_BYTES), "owner": sized(MAX_OWNER_BYTES), "reason": sized(MAX_REASON_BYTES),
            "expires": { "type": ["string", "null"], "format": "date-time" } } });
    add(
        "GET",
        "/v1/lists",
        json!({ "operationId": "lists", "summary": "The block and the allow list",
        "responses": responses("Lists", &[Code::InvalidRequest]) }),
    );
    let mut answers = linked(responses("ListEntry", &OF_A_BODY), "200", "id", &["unlist"]);
    if let Some(answers) = answers.as_object_mut()
        && let Some(done) = answers.remove("200")
    {
        answers.insert("201".to_owned(), done);
    }
    add(
        "POST",
        "/v1/lists",
        json!({ "operationId": "list", "summary": "Adds an entry, or replaces the one of this key",
        "requestBody": { "required": true, "content": { "application/json": { "schema": listed } } },
        "responses": answers }),
    );
    add(
        "DELETE",
        "/v1/lists/{id}",
        json!({ "operationId": "unlist", "summary": "Removes an entry",
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": text }],
        "responses": responses("ListEntry", &[Code::InvalidRequest, Code::NotFound]) }),
    );
    for (path, id, summary) in [
        ("/v1/policies", "policies", "Policies since the start"),
        ("/v1/models", "models", "The live model"),
        ("/v1/reconciliations", "reconciliations", "The daily reconciliations, newest first"),
    ] {
        add(
            "GET",
            path,
            json!({ "operationId": id, "summary": summary,
            "responses": responses("Any", &[Code::InvalidRequest]) }),
        );
    }
}
