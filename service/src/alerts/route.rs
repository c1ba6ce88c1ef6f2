//! `/v1/alerts` and what belongs to it: requests checked here, done by the queue, answered as JSON.
//!
//! Every change of one alert carries `If-Match` with the version that was seen; a stale one changes nothing and is told
//! the alert as it is. What a person may is the gate's business; that a lead may more with others' claims is the queue's.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use queue::{AuditQuery, ListOrder, ListQuery, SavedFilter, Seat, Which};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::act::{Act, Bulk, Heartbeat, Reveal};
use super::fault::within;
use super::live::{self, Looking};
use super::places::Places;
use super::{Desk, chargeback, export, page, sign_in, told};
use crate::access::{Scope, Strangers, Who};
use crate::clock::Clock;
use crate::http::Sources;
use crate::http::answer::{Code, Fault, Problem};
use crate::http::request::{BODY_BYTES, at, body, filled, form, is_json, named, no_query, parsed, wrong};
use crate::rest::Rest;

/// How long a body may take to come.
pub(super) const BODY_WITHIN: Duration = Duration::from_secs(5);

/// Alerts of a page when nothing is said, and at most.
const PAGE: (usize, usize) = (50, 200);

/// Window of the dashboard.
const DASHBOARD_MS: i64 = 8 * 3_600_000;

/// What the analysts' routes work with.
#[derive(Clone)]
pub struct Office {
    pub(super) desk: Arc<Desk>,
    pub(super) rest: Option<Arc<Rest>>,
    pub(super) clock: Arc<dyn Clock + Sync>,
    pub(super) looking: Arc<Looking>,
    pub(super) strangers: Arc<Strangers>,
    /// For streams of events.
    pub(super) places: Arc<Places>,
}

impl Office {
    /// The office, where there is a queue.
    pub fn of(sources: &Sources) -> Option<Self> {
        Some(Self {
            desk: Arc::clone(sources.desk.as_ref()?),
            rest: sources.rest.clone(),
            clock: Arc::clone(&sources.clock),
            looking: Arc::default(),
            strangers: Arc::default(),
            places: Arc::default(),
        })
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }
}

/// Who acts, as the queue wants it.
pub(super) struct Actor {
    name: String,
    leads: bool,
}

impl Actor {
    pub(super) fn of(who: &Who) -> Self {
        Self { name: who.actor(), leads: who.scopes().has(Scope::Lead) }
    }

    pub(super) fn seat(&self) -> Seat<'_> {
        Seat { name: &self.name, leads: self.leads }
    }
}

/// The routes.
pub fn router(office: Office) -> Router {
    Router::new()
        .route("/v1/alerts", get(list))
        .route("/v1/alerts/events", get(live::events))
        .route("/v1/alerts/export", get(export::export))
        .route("/v1/alerts/claim-next", post(claim_next))
        .route("/v1/alerts/bulk", post(bulk))
        .route("/v1/alerts/{id}", get(one))
        .route("/v1/alerts/{id}/{act}", post(acted))
        .route("/v1/alerts/{id}/heartbeat", post(heartbeat))
        .route("/v1/alerts/{id}/reveal", post(reveal))
        .route("/v1/actions/{id}/undo", post(undo))
        .route("/v1/filters", get(filters))
        .route("/v1/filters/{name}", put(save_filter).delete(remove_filter))
        .route("/v1/dashboard", get(dashboard))
        .route("/v1/audit", get(audit))
        .route(chargeback::PATH, post(chargeback::file))
        .merge(page::router())
        .merge(sign_in::router())
        .with_state(office)
}

async fn list(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let (queue, now_ms, actor) = (office.desk.queue()?, office.now_ms(), Actor::of(&who));
    let query = list_query_of(&who, query.as_deref().unwrap_or_default())?;
    let page = within(queue.list(actor.seat(), &query, now_ms)).await?;
    let alerts: Vec<_> = page.alerts.iter().map(|alert| told::alert(alert, now_ms)).collect();
    Ok(Json(json!({ "alerts": alerts, "next": page.next })))
}

/// The list's query of somebody.
pub(super) fn list_query_of(who: &Who, query: &str) -> Result<ListQuery, Problem> {
    list_query(query).map(|query| asked_by(who, query))
}

/// A query as this person may ask it: who may not see keys finds none by its beginning.
pub(super) fn asked_by(who: &Who, query: ListQuery) -> ListQuery {
    ListQuery { whole_keys: !who.scopes().has(Scope::Reveal), ..query }
}

/// Reads the list's query; a page's comes without what was left empty.
fn list_query(query: &str) -> Result<ListQuery, Problem> {
    let mut asked = ListQuery { limit: PAGE.0, ..ListQuery::default() };
    let mut names = Vec::new();
    for pair in form(query) {
        let (name, value) = pair.ok_or_else(|| wrong("", "name=value pairs in UTF-8, percent-encoded"))?;
        if names.contains(&name) {
            return Err(wrong(&name, "it once"));
        }
        let text = Some(value.clone()).filter(|value| !value.is_empty());
        match name.as_str() {
            "which" => {
                let words = Which::ALL.map(Which::as_str).join(", ");
                asked.which = Which::parse(&value).ok_or_else(|| wrong(&name, &words))?;
            }
            "order" => {
                asked.order = ListOrder::parse(&value).ok_or_else(|| wrong(&name, "rank, age, amount"))?;
            }
            "rule" => asked.rule = text,
            "text" => asked.text = text,
            "cursor" => asked.cursor = text,
            "min_loss_minor" => {
                let minor = value.parse::<i64>().ok().filter(|minor| *minor >= 0);
                asked.min_loss_minor = Some(minor.ok_or_else(|| wrong(&name, "a whole number from 0 on"))?);
            }
            "limit" => {
                let limit = value.parse::<usize>().ok().filter(|limit| (1..=PAGE.1).contains(limit));
                asked.limit = limit.ok_or_else(|| wrong(&name, "1 to 200"))?;
            }
            _ => return Err(wrong(&name, "which, order, rule, text, min_loss_minor, limit, cursor")),
        }
        names.push(name);
    }
    Ok(asked)
}

async fn one(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    no_query(query.as_deref())?;
    let (queue, now_ms, id) = (office.desk.queue()?, office.now_ms(), named(path)?);
    let detail = within(queue.get(Actor::of(&who).seat(), &id, now_ms)).await?;
    Ok(told::detail(&detail, now_ms))
}

async fn claim_next(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    no_query(query.as_deref())?;
    let (queue, now_ms) = (office.desk.queue()?, office.now_ms());
    let claimed = within(queue.claim_next(Actor::of(&who).seat(), now_ms)).await?;
    Ok(claimed.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |alert| told::tagged(&alert, now_ms)))
}

async fn acted(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    no_query(request.uri().query())?;
    let (id, word) = named(path)?;
    let version = version(request.headers())?;
    let act = Act::read(&word, &small_body(request).await?)?;
    let (queue, now_ms, actor) = (office.desk.queue()?, office.now_ms(), Actor::of(&who));
    match within(act.done(&queue, actor.seat(), &id, version, now_ms)).await {
        Ok(alert) => Ok(told::tagged(&alert, now_ms)),
        Err(problem) if problem.code() == Code::Stale => {
            let now = within(queue.get(actor.seat(), &id, now_ms)).await?;
            Err(problem.with("alert", told::alert(&now.alert, now_ms)))
        }
        Err(problem) => Err(problem),
    }
}

/// The version that was seen, `If-Match: "7"` (RFC 9110, 13.1.1).
fn version(headers: &HeaderMap) -> Result<i64, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let value = values.next().ok_or_else(|| Problem::of(Code::PreconditionRequired))?;
    let version =
        value.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    version.filter(|_| values.next().is_none()).ok_or_else(|| {
        let detail = "expected one version in quotes, such as \"7\"".to_owned();
        let fault = Fault { pointer: "header:if-match".to_owned(), code: "wrong_value".into(), detail };
        Problem::of(Code::InvalidRequest).errors([fault])
    })
}

/// A body of JSON, or none at all.
async fn small_body(request: Request) -> Result<Vec<u8>, Problem> {
    let says_none = request.headers().get(header::CONTENT_TYPE).is_none();
    if !says_none {
        is_json(request.headers())?;
    }
    let body = body(request, BODY_BYTES, BODY_WITHIN).await?;
    if says_none && !body.is_empty() { Err(Problem::of(Code::UnsupportedMediaType)) } else { Ok(body) }
}

/// A body that has to be there.
pub(super) async fn json_body<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    no_query(request.uri().query())?;
    is_json(request.headers())?;
    parsed(&body(request, BODY_BYTES, BODY_WITHIN).await?)
}

async fn heartbeat(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    no_query(request.uri().query())?;
    let id = named(path)?;
    let body = small_body(request).await?;
    let beat: Heartbeat = if body.trim_ascii().is_empty() { Heartbeat::default() } else { parsed(&body)? };
    let (queue, now_ms) = (office.desk.queue()?, office.now_ms());
    let alert = within(queue.heartbeat(Actor::of(&who).seat(), &id, beat.draft.as_deref(), now_ms)).await;
    let alert = alert.map_err(|problem| match problem.code() {
        Code::NotNow => Problem::of(Code::LeaseLapsed).retry_after(1),
        _ => problem,
    })?;
    office.desk.renewed(&alert);
    Ok(told::tagged(&alert, now_ms))
}

async fn reveal(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    let id = named(path)?;
    let body = small_body(request).await?;
    let asked: Reveal = if body.trim_ascii().is_empty() { Reveal::default() } else { parsed(&body)? };
    let (queue, now_ms, actor) = (office.desk.queue()?, office.now_ms(), Actor::of(&who));
    let detail = within(queue.get(actor.seat(), &id, now_ms)).await?;
    let (entity, key) =
        key_of(&detail, asked.entity.as_deref()).ok_or_else(|| Problem::of(Code::NotFound))?;
    let masked = pages::masked_key(key);
    within(queue.reveal(actor.seat(), &id, (entity, &masked), now_ms)).await?;
    Ok(Json(json!({ "entity": entity, "key": key })))
}

/// The key of an entity of an alert: its own, or one of its newest payment.
pub(super) fn key_of<'a>(
    detail: &'a queue::alert::AlertDetail,
    entity: Option<&str>,
) -> Option<(&'a str, &'a str)> {
    let alert = &detail.alert;
    match entity {
        None => Some((&alert.entity, &alert.key)),
        Some(entity) if entity == alert.entity => Some((&alert.entity, &alert.key)),
        Some(entity) => {
            let mut entities = detail.hits.iter().flat_map(|hit| &hit.entities);
            entities.find(|(name, _)| name == entity).map(|(name, key)| (name.as_str(), key.as_str()))
        }
    }
}

async fn bulk(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (alerts, resolution) = json_body::<Bulk>(request).await?.read()?;
    let (queue, now_ms) = (office.desk.queue()?, office.now_ms());
    let done = within(queue.resolve_all(Actor::of(&who).seat(), &alerts, &resolution, now_ms)).await?;
    Ok(Json(told::bulk(&done, now_ms)))
}

async fn undo(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let (queue, now_ms, id) = (office.desk.queue()?, office.now_ms(), named(path)?);
    let items = within(queue.undo(Actor::of(&who).seat(), &id, now_ms)).await?;
    Ok(Json(json!({ "items": told::items(&items, now_ms) })))
}

async fn filters(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let filters = within(office.desk.queue()?.filters(Actor::of(&who).seat())).await?;
    let filters = filters.iter().map(|filter| json!({ "name": filter.name, "query": filter.query }));
    Ok(Json(json!({ "filters": filters.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    query: String,
}

async fn save_filter(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let name = named(path)?;
    let Filter { query } = json_body(request).await?;
    // One that the list would refuse is refused now.
    list_query(&filled(Some(&query)))
        .map_err(|_| at("/query", "a query of the list, such as which=late&order=amount"))?;
    let filter = SavedFilter { name, query };
    within(office.desk.queue()?.save_filter(Actor::of(&who).seat(), &filter)).await?;
    Ok(Json(json!({ "name": filter.name, "query": filter.query })))
}

async fn remove_filter(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    no_query(query.as_deref())?;
    within(office.desk.queue()?.remove_filter(Actor::of(&who).seat(), &named(path)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn dashboard(State(office): State<Office>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    Ok(Json(told::dashboard(&board(&office).await?)))
}

/// The numbers of the last eight hours.
pub(super) async fn board(office: &Office) -> Result<queue::Dashboard, Problem> {
    let (queue, now_ms) = (office.desk.queue()?, office.now_ms());
    within(queue.dashboard(now_ms - DASHBOARD_MS, now_ms)).await
}

async fn audit(State(office): State<Office>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    let query = audit_query(query.as_deref().unwrap_or_default())?;
    let page = within(office.desk.queue()?.audit(&query)).await?;
    let entries: Vec<_> = page.entries.iter().map(told::entry).collect();
    Ok(Json(json!({ "entries": entries, "next": page.next })))
}

/// Reads the audit log's query; a page's comes without what was left empty.
pub(super) fn audit_query(query: &str) -> Result<AuditQuery, Problem> {
    let mut asked = AuditQuery { limit: PAGE.0, ..AuditQuery::default() };
    for pair in form(query) {
        let (name, value) = pair.ok_or_else(|| wrong("", "name=value pairs in UTF-8, percent-encoded"))?;
        match name.as_str() {
            "actor" => asked.actor = Some(value).filter(|value| !value.is_empty()),
            "object" => asked.object = Some(value).filter(|value| !value.is_empty()),
            "before" => {
                let seq = value.parse().map_err(|_| wrong(&name, "the `next` of a page before"))?;
                asked.before_seq = Some(seq);
            }
            "limit" => {
                let limit = value.parse::<usize>().ok().filter(|limit| (1..=PAGE.1).contains(limit));
                asked.limit = limit.ok_or_else(|| wrong(&name, "1 to 200"))?;
            }
            _ => return Err(wrong(&name, "actor, object, before, limit")),
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Person;

    #[test]
    fn who_may_not_see_keys_asks_for_whole_ones_wherever_they_ask() {
        for (role, whole_keys) in [("viewer", true), ("policy_editor", true), ("analyst", false)] {
            let person = Person::new("anna".to_owned(), vec![role.to_owned()], String::new());
            let who = Who::Person(Arc::new(person));
            assert_eq!(list_query_of(&who, "text=tok_9").unwrap().whole_keys, whole_keys, "{role}");
            assert_eq!(asked_by(&who, ListQuery::default()).whole_keys, whole_keys, "{role}");
        }
    }
}
