//! The routes of the caller's door: what comes in over HTTP is checked here, and refusals become problems.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use futures_util::{StreamExt, stream};
use schemas::codec::{self, BodyError, frame};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::admission::Place;
use super::answer::Answer;
use super::desk::Joins;
use super::flow::{Asked, Refusal, Told};
use super::schema::Bodies;
use super::{Budget, Rest, label, manage, openapi, read, reconciliations, replay};
use crate::access::Who;
use crate::emit::is_traceparent;
use crate::http::answer::{Code, Fault, Problem};
use crate::http::request::{BODY_BYTES, body, is_json};

/// Where a payment is sent to.
pub const SCORE_PATH: &str = "/v1/score";

/// Where a batch is sent to.
pub const BATCH_PATH: &str = "/v1/score/batch";

/// Most payments of a batch.
pub const BATCH: usize = 1_000;

/// Payments of a batch that are on their way at once.
const BATCH_AT_ONCE: usize = 32;

/// How long the body of a batch that is refused is taken.
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

/// The routes.
pub fn router(rest: Arc<Rest>) -> Router {
    Router::new()
        .route(SCORE_PATH, post(score))
        .route(BATCH_PATH, post(batch))
        .route("/v1/decisions", get(read::decisions))
        .route("/v1/decisions/{id}", get(read::decision))
        .route("/v1/decisions/{id}/replay", post(replay::replay))
        .route("/v1/entities/{entity}/{key}", get(read::entity))
        .route("/v1/labels", post(label::label))
        .route("/v1/lists", get(manage::lists).post(manage::list))
        .route("/v1/lists/{id}", delete(manage::unlist))
        .route("/v1/policies", get(manage::policies))
        .route("/v1/models", get(manage::models))
        .route("/v1/reconciliations", get(reconciliations::list))
        .route("/v1/reconciliations/{id}/report", get(reconciliations::page))
        .route("/openapi.json", get(openapi::document))
        .with_state(rest)
}

/// What a request for decisions says beside its body.
struct Terms {
    deadline: Duration,
    joins: Joins,
    traceparent: Option<Box<str>>,
}

async fn score(State(rest): State<Arc<Rest>>, request: Request) -> Result<Response, Problem> {
    let trace = trace_id(request.headers());
    scored(&rest, request).await.map_err(|problem| trace.iter().fold(problem, Problem::trace))
}

/// The trace that the caller began, if he did.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    traceparent(headers)?.get(3..35).map(str::to_owned)
}

async fn scored(rest: &Arc<Rest>, request: Request) -> Result<Response, Problem> {
    let began = Instant::now();
    let terms = terms(rest, &request)?;
    let key = idempotency_key(request.headers())?;
    let caller = caller(&request);
    // Before there is a place: who sends slowly takes none from those who have sent.
    let body = body(request, BODY_BYTES, rest.limits.max_deadline).await?;
    let place = enter(rest, &terms).await?;
    let bodies = rest.bodies.get().ok_or_else(no_schema)?;
    let read = bodies.reader.read(&body).map_err(refused_body).and_then(|read| fits(rest, read))?;
    // What is only tried leaves no trace, here neither.
    if let Some(key) = key.filter(|_| terms.joins == Joins::Yes)
        && !rest.keys.agrees(&caller, &key, &read.payment.transaction_id)
    {
        return Err(Problem::of(Code::IdempotencyMismatch));
    }
    let told = rest.ask(asked(&terms, place, began, &bodies, read)).await.map_err(Problem::from)?;
    let mut response = Json(Answer::told(&told)).into_response();
    if let Some(trace) = trace(&terms, &told) {
        response.headers_mut().insert("traceparent", trace);
    }
    Ok(response)
}

async fn batch(
    State(rest): State<Arc<Rest>>,
    who: Option<Extension<Who>>,
    request: Request,
) -> Result<Response, Problem> {
    let terms = terms(&rest, &request)?;
    let Ok(reading) = rest.reading.try_acquire() else {
        drain(request, rest.batch_bytes).await;
        return Err(overloaded(&rest));
    };
    let body = body(request, rest.batch_bytes, rest.limits.max_deadline).await?;
    drop(reading);
    let _one_of_few = rest.batches.try_acquire().map_err(|_| overloaded(&rest))?;
    let place = enter(&rest, &terms).await?;
    let bodies = rest.bodies.get().ok_or_else(no_schema)?;
    let read = bodies.reader.read_batch(&body, BATCH).map_err(refused_batch)?;
    let more = u32::try_from(read.len()).ok().and_then(|count| NonZeroU32::new(count.saturating_sub(1)));
    if let (Some(Extension(Who::Caller(caller))), Some(more)) = (who, more) {
        caller.take(more, rest.clock.now()).map_err(Problem::excess)?;
    }
    let items = stream::iter(read).map(|one| {
        let (rest, terms, bodies, place) = (&rest, &terms, &bodies, Arc::clone(&place));
        async move {
            let read = one.map_err(refused_body).and_then(|read| fits(rest, read))?;
            // Each has the whole deadline from when it is begun.
            rest.ask(asked(terms, place, Instant::now(), bodies, read)).await.map_err(Problem::from)
        }
    });
    let items: Vec<Result<Told, Problem>> = items.buffered(BATCH_AT_ONCE).collect().await;
    let items: Vec<Value> = items.into_iter().map(item).collect();
    Ok(Json(json!({ "items": items })).into_response())
}

fn item(outcome: Result<Told, Problem>) -> Value {
    match outcome {
        Ok(told) => json!({ "status": 200, "decision": Answer::told(&told) }),
        Err(problem) => {
            let (status, body) = problem.into_item();
            json!({ "status": status.as_u16(), "problem": body })
        }
    }
}

/// One that the line would refuse, or the brokers, is refused here: a default of the schema may be large, and a batch is.
fn fits(rest: &Rest, read: codec::Body) -> Result<codec::Body, Problem> {
    let (bytes, most) = (codec::FRAME_BYTES + read.avro.len(), rest.limits.record);
    if bytes <= most {
        return Ok(read);
    }
    let detail = format!("{bytes} bytes as a record, expected at most {most}");
    let fault = Fault { pointer: String::new(), code: codec::TOO_LONG.into(), detail };
    Err(Problem::of(Code::InvalidPayment).errors([fault]))
}

/// A place inside.
async fn enter(rest: &Rest, terms: &Terms) -> Result<Arc<Place>, Problem> {
    let place = rest.admission.enter(terms.deadline).await;
    place.map(Arc::new).ok_or_else(|| overloaded(rest))
}

fn overloaded(rest: &Rest) -> Problem {
    rest.telemetry.overloaded();
    Problem::of(Code::Overloaded).retry_after(1)
}

/// Takes a body that nobody reads: who is still sending it would find a broken connection and no answer.
async fn drain(request: Request, most: usize) {
    let headers = request.headers();
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    // One who waits to be told to go on has sent nothing yet.
    if headers.contains_key(header::EXPECT) || length.is_some_and(|length| length > most) {
        return;
    }
    let mut parts = request.into_body().into_data_stream();
    let mut left = most;
    let all = async {
        while let Some(Ok(part)) = parts.next().await
            && left > 0
        {
            left = left.saturating_sub(part.len());
        }
    };
    // Who takes longer finds it broken after all.
    let _ = tokio::time::timeout(DRAIN_WITHIN, all).await;
}

fn asked(terms: &Terms, place: Arc<Place>, began: Instant, bodies: &Bodies, read: codec::Body) -> Asked {
    let mut value = Vec::with_capacity(read.avro.len() + codec::FRAME_BYTES);
    frame(bodies.id, &mut value);
    value.extend_from_slice(&read.avro);
    Asked {
        payment: Arc::new(read.payment),
        value,
        schema_id: bodies.id,
        budget: Budget::new(began, terms.deadline),
        joins: terms.joins,
        traceparent: terms.traceparent.clone(),
        place,
    }
}

fn terms(rest: &Rest, request: &Request) -> Result<Terms, Problem> {
    let headers = request.headers();
    is_json(headers)?;
    Ok(Terms {
        deadline: deadline(rest, headers)?,
        joins: if dry_run(request.uri().query())? { Joins::No } else { Joins::Yes },
        traceparent: traceparent(headers).map(Into::into),
    })
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent").and_then(|value| value.to_str().ok()).filter(|text| is_traceparent(text))
}

fn dry_run(query: Option<&str>) -> Result<bool, Problem> {
    let wrong = |detail: &str| {
        let pointer = "query:dry_run".to_owned();
        let fault = Fault { pointer, code: "wrong_value".into(), detail: detail.to_owned() };
        Problem::of(Code::InvalidRequest).errors([fault])
    };
    match query {
        None | Some("") => Ok(false),
        Some("dry_run=true") => Ok(true),
        Some("dry_run=false") => Ok(false),
        Some(_) => Err(wrong("the query may be dry_run=true or dry_run=false")),
    }
}

fn deadline(rest: &Rest, headers: &HeaderMap) -> Result<Duration, Problem> {
    let mut values = headers.get_all("tripline-deadline-ms").iter();
    let Some(value) = values.next() else { return Ok(rest.limits.deadline) };
    let digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // One that no u64 holds is a long one, and cut like any other.
    let ms = value.to_str().ok().filter(digits).map(|text| text.parse::<u64>().unwrap_or(u64::MAX));
    let ms = ms.filter(|ms| *ms > 0 && values.next().is_none());
    let ms = ms.ok_or_else(|| Problem::of(Code::DeadlineInvalid))?;
    Ok(Duration::from_millis(ms).min(rest.limits.max_deadline))
}

/// A key of the caller's for this request, if he sent one.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(is_key).filter(|_| values.next().is_none());
    let fault = || Fault {
        pointer: "header:idempotency-key".to_owned(),
        code: "wrong_value".into(),
        detail: "expected one, of 1 to 255 visible ASCII characters".to_owned(),
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Problem::of(Code::InvalidRequest).errors([fault()]))
}

fn caller(request: &Request<Body>) -> String {
    request.extensions().get::<Who>().map_or_else(String::new, |who| who.name().to_owned())
}

/// What is wrong with a batch as a whole.
fn refused_batch(error: BodyError) -> Problem {
    match error {
        BodyError::Meaning(faults) if faults.iter().any(|fault| fault.code == codec::TOO_LONG) => {
            Problem::of(Code::BatchTooLarge).detail(format!("At most {BATCH} payments may come at once."))
        }
        error => refused_body(error),
    }
}

fn refused_body(error: BodyError) -> Problem {
    match error {
        BodyError::Syntax { detail } => Problem::of(Code::MalformedJson).detail(detail),
        BodyError::Meaning(faults) => {
            let fault = |fault: codec::Fault| Fault {
                pointer: fault.pointer,
                code: fault.code.into(),
                detail: fault.detail,
            };
            Problem::of(Code::InvalidPayment).errors(faults.into_iter().map(fault))
        }
    }
}

fn trace(terms: &Terms, told: &Told) -> Option<HeaderValue> {
    let id = &told.made.decision.decision_id;
    let trace = crate::emit::traceparent(terms.traceparent.as_deref(), id)?;
    HeaderValue::from_str(&trace).ok()
}

pub(super) fn no_schema() -> Problem {
    Problem::of(Code::Unavailable)
        .detail("The schema registry has not given the payments' schema yet.")
        .retry_after(1)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let meaning = |code: &'static str, detail: &str| {
            let fault = Fault { pointer: String::new(), code: code.into(), detail: detail.to_owned() };
            Problem::of(Code::InvalidPayment).errors([fault])
        };
        match refusal {
            Refusal::Conflict => Problem::of(Code::Conflict),
            Refusal::InFlight => Problem::of(Code::InFlight).retry_after(1),
            Refusal::Late => meaning("late", "the event time is further back than limits.lateness allows"),
            Refusal::Future => meaning("future", "the event time is further ahead than limits.skew allows"),
            Refusal::Unavailable(why) => Problem::of(Code::Unavailable).detail(why).retry_after(1),
            Refusal::NotIndexed => {
                let detail = "This payment was decided before, and its decision is in the topic of decisions only: \
                              decisions.index is false here.";
                Problem::of(Code::Unavailable).detail(detail).retry_after(read::OFF_RETRY_S)
            }
        }
    }
}
