//! What is read over REST: decisions that were made, and entities as they are now.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use schemas::decision::{Decision, Door, Verdict};
use schemas::sensitive::masked;
use serde_json::{Value, json};

use super::Rest;
use super::answer::Answer;
use super::openapi::{moment_schema, responses};
use crate::http::answer::{Code, Problem};
use crate::http::request::{form, moment, named, no_query, time, wrong};
use crate::index::{Cursor, DecisionIndex, IndexError, MOST_A_PAGE, Query};
use crate::pipeline::lock;

/// When to ask again for what is switched off, seconds: it takes a restart.
pub(super) const OFF_RETRY_S: u32 = 60;

/// Last payments of an entity that are shown.
const LAST_PAYMENTS: usize = 20;

/// `GET /v1/decisions/{id}`.
pub async fn decision(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let (decision, recorded) = rest.decision(&named(path)?).await?;
    Ok(Json(json!(Answer::of(&decision, false, recorded))))
}

/// `GET /v1/decisions`.
pub async fn decisions(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = asked(query.as_deref().unwrap_or_default())?;
    let index = rest.index()?.clone();
    let page = blocking(move || index.list(&query)).await?;
    let decisions: Vec<_> = page.decisions.iter().map(|one| json!(Answer::of(one, false, true))).collect();
    Ok(Json(json!({ "decisions": decisions, "next": page.next.map(|cursor| cursor.to_string()) })))
}

/// `GET /v1/entities/{entity}/{key}`.
pub async fn entity(
    State(rest): State<Arc<Rest>>,
    RawQuery(query): RawQuery,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let (entity, key) = named(path)?;
    let engine = rest.engine().ok_or_else(|| Problem::of(Code::Unavailable).retry_after(1))?.clone();
    let place = rest.entities.iter().position(|name| *name == entity);
    let place = place.ok_or_else(|| Problem::of(Code::NotFound))?;
    let own_key = key.clone();
    let looked_up = tokio::task::spawn_blocking(move || {
        let mut enricher = lock(&engine.state);
        let as_of_ms = enricher.newest().values().max().copied().unwrap_or(0);
        enricher.look_up(place, &own_key, as_of_ms).map(|found| (as_of_ms, found))
    });
    let looked_up = looked_up.await.map_err(|_| Problem::of(Code::Internal))?;
    let (as_of_ms, found) = looked_up.map_err(|error| {
        tracing::error!(%error, "a state cannot be read");
        Problem::of(Code::Internal)
    })?;
    let found = found.ok_or_else(|| Problem::of(Code::NotFound))?;
    let shown = masked(&key).into_owned();
    let mut payments = Vec::new();
    if let Ok(index) = rest.index() {
        let query =
            Query { entity: Some((entity.clone(), shown.clone())), limit: LAST_PAYMENTS, ..Query::default() };
        let index = index.clone();
        payments = blocking(move || index.list(&query)).await?.decisions;
    }
    let features: serde_json::Map<String, Value> =
        found.values.into_iter().map(|(name, value)| (name, json!(value))).collect();
    Ok(Json(json!({
        "entity": entity,
        "key": shown,
        "as_of": time(as_of_ms),
        "version": found.version,
        "approximate": found.approximate,
        "features": features,
        "payments": payments.iter().map(|one| json!(Answer::of(one, false, true))).collect::<Vec<_>>(),
    })))
}

impl Rest {
    /// The last decisions of an entity, the newest first; none where decisions are not indexed.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn last_decisions(
        &self,
        entity: &str,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Decision>, Problem> {
        let Ok(index) = self.index().cloned() else { return Ok(Vec::new()) };
        let entity = Some((entity.to_owned(), masked(key).into_owned()));
        let query = Query { entity, limit, ..Query::default() };
        Ok(blocking(move || index.list(&query)).await?.decisions)
    }

    /// The features of an entity as of now, as text; none while the state is not open, or for one that it does not know.
    pub async fn features_now(&self, entity: &str, key: &str) -> Vec<(String, String)> {
        let (Some(engine), Some(place)) =
            (self.engine().cloned(), self.entities.iter().position(|name| name == entity))
        else {
            return Vec::new();
        };
        let key = key.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            let mut enricher = lock(&engine.state);
            let as_of_ms = enricher.newest().values().max().copied().unwrap_or(0);
            enricher.look_up(place, &key, as_of_ms).ok().flatten()
        });
        let values = found.await.ok().flatten().map(|found| found.values).unwrap_or_default();
        values.into_iter().map(|(name, value)| (name.to_string(), json!(value).to_string())).collect()
    }

    pub(super) fn index(&self) -> Result<&DecisionIndex, Problem> {
        let off = || {
            let detail = "Decisions are not indexed here: decisions.index is false.";
            Problem::of(Code::Unavailable).detail(detail).retry_after(OFF_RETRY_S)
        };
        self.index.as_ref().ok_or_else(off)
    }

    /// A decision by its id, and whether its payment's record is in the topic: of the index, which knows its place too, or
    /// just made.
    pub(super) async fn decision(&self, id: &str) -> Result<(Decision, bool), Problem> {
        let made = || self.accepted.find(id).map(|(made, recorded)| (made.decision.clone(), recorded));
        let (index, own_id) = (self.index().cloned(), id.to_owned());
        let indexed = match index {
            Ok(index) => blocking(move || index.get(&own_id)).await,
            Err(off) => Err(off),
        };
        match indexed {
            Ok(Some(decision)) => Ok((decision, true)),
            Ok(None) => made().ok_or_else(|| Problem::of(Code::NotFound)),
            Err(problem) => made().ok_or(problem),
        }
    }
}

/// What reads files does so beside the threads that answer.
pub(super) async fn blocking<A: Send + 'static>(
    ask: impl FnOnce() -> Result<A, IndexError> + Send + 'static,
) -> Result<A, Problem> {
    let answer = tokio::task::spawn_blocking(ask).await.map_err(|_| Problem::of(Code::Internal))?;
    answer.map_err(|error| {
        tracing::error!(%error, "the decision index cannot be read");
        Problem::of(Code::Internal)
    })
}

fn asked(query: &str) -> Result<Query, Problem> {
    let mut asked = Query::default();
    let (mut entity, mut key) = (None, None);
    let mut names = Vec::new();
    for pair in form(query) {
        let (name, value) = pair.ok_or_else(|| wrong("", "name=value pairs in UTF-8, percent-encoded"))?;
        // The last of two would win, and nobody would know.
        if names.contains(&name) {
            return Err(wrong(&name, "it once"));
        }
        names.push(name.clone());
        let whole = |expected| value.parse::<i64>().map_err(|_| wrong(&name, expected));
        match name.as_str() {
            "decision" => {
                let verdict = Verdict::parse(&value);
                asked.verdict =
                    Some(verdict.ok_or_else(|| wrong(&name, "approve, review, challenge or decline"))?);
            }
            "entity" => entity = Some(value),
            "key" => key = Some(masked(&value).into_owned()),
            "from" => {
                asked.from_ms = Some(moment(&value).ok_or_else(|| wrong(&name, "RFC 3339 or milliseconds"))?)
            }
            "to" => {
                asked.to_ms = Some(moment(&value).ok_or_else(|| wrong(&name, "RFC 3339 or milliseconds"))?)
            }
            "min_score" => {
                let score = value.parse::<f64>().ok().filter(|score| (0.0..=1.0).contains(score));
                asked.min_score = Some(score.ok_or_else(|| wrong(&name, "a number of 0 to 1"))?);
            }
            "min_amount_minor" => asked.min_amount_minor = Some(whole("a whole number")?),
            "alerted" => asked.alerted = Some(value.parse().map_err(|_| wrong(&name, "true or false"))?),
            "door" => {
                asked.door = Some(match value.as_str() {
                    "topic" => Door::Topic,
                    "rest" => Door::Rest,
                    _ => return Err(wrong(&name, "topic or rest")),
                });
            }
            "limit" => {
                let limit = value.parse::<usize>().ok().filter(|limit| (1..=MOST_A_PAGE).contains(limit));
                asked.limit = limit.ok_or_else(|| wrong(&name, "1 to 200"))?;
            }
            "cursor" => {
                asked.after =
                    Some(Cursor::from_str(&value).map_err(|_| wrong(&name, "the `next` of a page before"))?);
            }
            _ => {
                return Err(wrong(
                    &name,
                    "decision, entity, key, from, to, min_score, min_amount_minor, alerted, door, limit, cursor",
                ));
            }
        }
    }
    asked.entity = match (entity, key) {
        (Some(entity), Some(key)) => Some((entity, key)),
        (None, None) => None,
        _ => return Err(wrong("entity", "entity and key together")),
    };
    Ok(asked)
}

/// The routes' part of the document.
pub(super) fn describe(add: &mut impl FnMut(&str, &str, Value)) {
    let path =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let query = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let text = json!({ "type": "string" });
    add(
        "GET",
        "/v1/decisions/{id}",
        json!({
            "operationId": "decision", "summary": "A decision", "parameters": [path("id")],
            "responses": responses("Decision", &[Code::InvalidRequest, Code::NotFound]),
        }),
    );
    add(
        "GET",
        "/v1/decisions",
        json!({
            "operationId": "decisions", "summary": "Decisions, newest first",
            "parameters": [
                query("decision", json!({ "enum": ["approve", "review", "challenge", "decline"] })),
                query("entity", text.clone()), query("key", text.clone()),
                query("from", moment_schema()), query("to", moment_schema()),
                query("min_score", json!({ "type": "number", "minimum": 0, "maximum": 1 })),
                query("min_amount_minor", json!({ "type": "integer", "format": "int64", "minimum": i64::MIN,
                    "maximum": i64::MAX })),
                query("alerted", json!({ "type": "boolean" })),
                query("door", json!({ "enum": ["topic", "rest"] })),
                query("limit", json!({ "type": "integer", "minimum": 1, "maximum": MOST_A_PAGE })),
                query("cursor", json!({ "type": "string", "description": "The `next` of the page before." })),
            ],
            "responses": responses("Decisions", &[Code::InvalidRequest]),
        }),
    );
    add(
        "GET",
        "/v1/entities/{entity}/{key}",
        json!({
            "operationId": "entity", "summary": "An entity's features now, and its last payments",
            "parameters": [path("entity"), path("key")],
            "responses": responses("Entity", &[Code::InvalidRequest, Code::NotFound]),
        }),
    );
    add(
        "POST",
        "/v1/decisions/{id}/replay",
        json!({
            "operationId": "replay", "summary": "Computes a decision again from what was recorded",
            "parameters": [path("id")], "responses": responses("Replay", &[Code::InvalidRequest, Code::NotFound]),
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_the_wrong_part_named() {
        let query =
            asked("decision=decline&entity=card&key=c%201&min_score=0.5&limit=7&from=2020-01-01T00:00:00Z")
                .unwrap();
        assert_eq!((query.verdict, query.limit), (Some(Verdict::Decline), 7));
        assert_eq!(query.entity, Some(("card".to_owned(), "c 1".to_owned())));
        assert_eq!(query.from_ms, Some(1_577_836_800_000));
        for bad in [
            "limit=0",
            "limit=201",
            "limit=1e9",
            "decision=no",
            "cursor=x",
            "min_score=2",
            "entity=card",
            "nonsense=1",
            "key=%zz",
            "from=yesterday",
            "alerted=1",
            "limit=1&limit=2",
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
        assert_eq!(asked("key=4111111111111111&entity=card").unwrap().entity.unwrap().1, "411111******1111");
    }
}
