//! The pages: what is shown is gathered here and made into HTML by the crate of pages.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use pages::{
    AlertView, AuditView, DashboardView, EntityView, FeatureNow, Follows, Link, ListView, May, Party, Past,
    SearchView, Shell, Signed,
};
use queue::ListQuery;
use queue::alert::AlertDetail;
use schemas::decision::Decision;

use super::fault::within;
use super::link;
use super::route::{Actor, Office, asked_by, audit_query, board, key_of, list_query_of};
use crate::access::{Scope, Who};
use crate::http::answer::Problem;
use crate::http::request::{filled, form, named};

/// Payments of an entity that a page shows.
const PAST: usize = 40;

pub(super) fn router() -> Router<Office> {
    Router::new()
        .route("/queue", get(list))
        .route("/queue/rows", get(rows))
        .route("/queue/peek", get(peek))
        .route("/queue/{id}", get(alert))
        .route("/queue/{id}/entity/{entity}", get(entity))
        .route("/search", get(search))
        .route("/dashboard", get(dashboard))
        .route("/audit", get(audit))
}

pub(super) fn sign_in(next: &str, why: Option<&str>) -> String {
    pages::sign_in(next, why)
}

/// A problem as a page.
pub(super) fn problem(problem: &Problem) -> Response {
    let facts = problem.code().facts();
    let page = Html(pages::problem(facts.title, facts.meaning, facts.status.as_u16(), None));
    let mut response = (facts.status, page).into_response();
    if let Some(after) = problem.clone().into_response().headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    response
}

/// A page, or the problem as one.
struct Page(Response);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        self.0
    }
}

impl From<Problem> for Page {
    fn from(one: Problem) -> Self {
        Self(problem(&one))
    }
}

type Shown = Result<Response, Page>;

impl Office {
    fn shell(&self, who: &Who) -> Shell {
        let (roles, csrf) = match who {
            Who::Person(person) => (person.roles.clone(), person.csrf.clone()),
            Who::Anybody | Who::Caller(_) => (Vec::new(), String::new()),
        };
        let may = |scope| who.scopes().has(scope);
        let may = May {
            work: may(Scope::Work),
            lead: may(Scope::Lead),
            reveal: may(Scope::Reveal),
            audit: may(Scope::Audit),
            chargebacks: may(Scope::Chargebacks),
        };
        let person = Signed { name: who.actor(), roles, csrf, may };
        Shell { now_ms: self.now_ms(), person, database: self.desk.standing().wrong() }
    }

    async fn list_view(&self, who: &Who, query: Option<&str>) -> Result<ListView, Problem> {
        let query = list_query_of(who, &filled(query))?;
        let (queue, actor) = (self.desk.queue()?, Actor::of(who));
        let page = within(queue.list(actor.seat(), &query, self.now_ms())).await?;
        let filters = within(queue.filters(actor.seat())).await?;
        let rules = self.rest.as_ref().map(|rest| rest.alert_rules()).unwrap_or_default();
        let (own, shell) = (queue.rules(), self.shell(who));
        let (second_person_bulk, currency) = (own.second_person_bulk, own.exchange.currency.clone());
        let large = page.alerts.iter().filter(|alert| own.is_large(alert));
        let large = large.map(|alert| alert.alert_id.clone()).collect();
        Ok(ListView { shell, query, page, filters, rules, second_person_bulk, large, currency })
    }

    async fn alert_view(&self, who: &Who, id: &str) -> Result<AlertView, Problem> {
        let (queue, actor, now_ms) = (self.desk.queue()?, Actor::of(who), self.now_ms());
        let detail = within(queue.get(actor.seat(), id, now_ms)).await?;
        let (entity, key) = (&detail.alert.entity, &detail.alert.key);
        let (past, links) =
            tokio::try_join!(self.past(entity, key, &detail), self.links(&detail, entity, key))?;
        let Beside { payments: past, band } = past;
        let rules = queue.rules();
        let large = "the amount is so large that it takes a second person";
        let follows = Follows {
            payments: within(queue.payments_to_label(id)).await?,
            can_block: rules.can_block(entity, key).is_ok(),
            second_person: rules.is_large(&detail.alert).then(|| large.to_owned()),
            undo_ms: rules.undo_ms,
        };
        let bars = detail.alert.bars(actor.seat(), now_ms);
        let viewers = self.looking.others(id, actor.seat().name);
        Ok(AlertView { shell: self.shell(who), detail, band, bars, viewers, follows, past, links })
    }

    async fn links(&self, detail: &AlertDetail, entity: &str, key: &str) -> Result<Vec<Link>, Problem> {
        let Some(rest) = &self.rest else { return Ok(Vec::new()) };
        link::links(rest, &*self.desk.queue()?, detail, entity, key).await
    }

    /// The last payments of an entity, each with its label since.
    async fn past(&self, entity: &str, key: &str, detail: &AlertDetail) -> Result<Beside, Problem> {
        let Some(rest) = &self.rest else { return Ok(Beside::default()) };
        let decisions = rest.last_decisions(entity, key, PAST).await?;
        let ids: Vec<_> = decisions.iter().map(|decision| decision.transaction_id.clone()).collect();
        let labels = within(self.desk.queue()?.labels_of(&ids)).await?;
        let is_hit = |id: &str| detail.hits.iter().any(|hit| hit.transaction_id == id);
        // The band is the policy's of then, as the decision with that score had it.
        let scored =
            decisions.iter().find(|one| is_hit(&one.transaction_id) && one.score == detail.alert.score);
        let band = scored.filter(|one| one.score.is_some()).map(|one| one.risk_level.as_str().to_owned());
        let past = decisions.iter().enumerate().map(|(place, decision)| Past {
            decision_id: decision.decision_id.clone(),
            transaction_id: decision.transaction_id.clone(),
            event_ms: decision.event_time.ms(),
            amount_minor: decision.amount.minor(),
            currency: decision.currency.as_str().to_owned(),
            verdict: decision.verdict,
            hold: decision.hold,
            score: decision.score,
            label: labels.get(&decision.transaction_id).cloned(),
            is_hit: is_hit(&decision.transaction_id),
            parties: parties(decision, entity, &decisions[place + 1..]),
        });
        Ok(Beside { payments: past.collect(), band: band.filter(|word| !word.is_empty()) })
    }
}

/// An entity's last payments, and what band the policy put the alert's score in.
#[derive(Default)]
struct Beside {
    payments: Vec<Past>,
    band: Option<String>,
}

/// A key as a page shows it: a merchant is known by its name; what stands for a person or a thing of theirs is masked.
pub(super) fn shown_key(entity: &str, key: &str) -> String {
    if entity == "merchant" { key.to_owned() } else { pages::masked_key(key) }
}

/// The other entities of a payment; new is what the payments before, as far as they are shown, did not have.
fn parties(decision: &Decision, own: &str, before: &[Decision]) -> Vec<Party> {
    let others = decision.entities.iter().filter(|one| *one.entity != *own && !one.key.is_empty());
    let met = |entity: &str, key: &str| {
        before.iter().any(|past| past.entities.iter().any(|one| *one.entity == *entity && one.key == key))
    };
    let party = |one: &schemas::reason::EntityVersion| Party {
        entity: one.entity.as_str().to_owned(),
        shown: shown_key(&one.entity, &one.key),
        is_new: !before.is_empty() && !met(&one.entity, &one.key),
    };
    others.map(party).collect()
}

async fn list(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Shown {
    Ok(Html(pages::list(&office.list_view(&who, query.as_deref()).await?)).into_response())
}

async fn rows(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Shown {
    Ok(Html(pages::rows(&office.list_view(&who, query.as_deref()).await?)).into_response())
}

/// The alert that claim-next would give, beside the one that is looked at: to be there when it is asked for.
async fn peek(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Shown {
    let mut pairs = form(query.as_deref().unwrap_or_default()).flatten();
    let after = pairs.find(|(name, _)| name == "after").map(|(_, id)| id);
    let (queue, actor) = (office.desk.queue()?, Actor::of(&who));
    let next = within(queue.peek_next(actor.seat(), after.as_deref(), office.now_ms())).await?;
    let Some(next) = next else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let view = office.alert_view(&who, &next).await?;
    let mut response = Html(pages::alert_main(&view)).into_response();
    if let Ok(id) = HeaderValue::try_from(next) {
        response.headers_mut().insert("tripline-alert", id);
    }
    Ok(response)
}

async fn alert(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
    path: Result<Path<String>, PathRejection>,
) -> Shown {
    let view = office.alert_view(&who, &named(path)?).await?;
    let is_part = query.as_deref() == Some("part=main");
    let text = if is_part { pages::alert_main(&view) } else { pages::alert(&view) };
    Ok(Html(text).into_response())
}

async fn entity(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Shown {
    let (id, name) = named(path)?;
    let (queue, actor, now_ms) = (office.desk.queue()?, Actor::of(&who), office.now_ms());
    let detail = within(queue.get(actor.seat(), &id, now_ms)).await?;
    let Some((_, key)) = key_of(&detail, Some(&name)) else {
        return Err(Problem::of(crate::http::answer::Code::NotFound).into());
    };
    let (past, links) =
        tokio::try_join!(office.past(&name, key, &detail), office.links(&detail, &name, key))?;
    let alerts = within(queue.alerts_of(&name, key, PAST, now_ms)).await?;
    let features = match &office.rest {
        Some(rest) => rest.features_now(&name, key).await,
        None => Vec::new(),
    };
    let features = features.into_iter().map(|(name, value)| FeatureNow { name, value }).collect();
    let shown = shown_key(&name, key);
    let view = EntityView {
        shell: office.shell(&who),
        alert_id: id,
        entity: name,
        shown,
        features,
        past: past.payments,
        links,
        alerts,
    };
    Ok(Html(pages::entity(&view)).into_response())
}

async fn search(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Shown {
    let mut pairs = form(query.as_deref().unwrap_or_default()).flatten();
    let text = pairs.find(|(name, _)| name == "text").map(|(_, text)| text).unwrap_or_default();
    let mut alerts = Vec::new();
    if !text.trim().is_empty() {
        let query = ListQuery { text: Some(text.clone()), limit: 200, ..ListQuery::default() };
        let (queue, query, actor) = (office.desk.queue()?, asked_by(&who, query), Actor::of(&who));
        alerts = within(queue.list(actor.seat(), &query, office.now_ms())).await?.alerts;
    }
    Ok(Html(pages::search(&SearchView { shell: office.shell(&who), text, alerts })).into_response())
}

async fn dashboard(State(office): State<Office>, Extension(who): Extension<Who>) -> Shown {
    let view = DashboardView { shell: office.shell(&who), board: board(&office).await? };
    Ok(Html(pages::dashboard(&view)).into_response())
}

async fn audit(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    RawQuery(query): RawQuery,
) -> Shown {
    let query = audit_query(&filled(query.as_deref()))?;
    let page = within(office.desk.queue()?.audit(&query)).await?;
    Ok(Html(pages::audit(&AuditView { shell: office.shell(&who), query, page })).into_response())
}
