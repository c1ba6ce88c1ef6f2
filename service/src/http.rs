//! HTTP: the board's page, health and metrics. It reads what the telemetry has and changes nothing.
//!
//! ```text
//!   Door: places, patience, TLS ─► Porter: full? ─► guard: sizes, headers ─► Gate: name, route, key, rate ─► handlers
//! ```
//! It is not the work queue and not the scoring endpoint.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, ServiceExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use self::answer::{Code, Problem};
use self::door::Door;
use self::porter::{IsFull, Porter};
use self::request::BODY_BYTES;
use crate::alerts::route::Office;
use crate::alerts::{self, Desk};
use crate::clock::Clock;
use crate::rest::{self, Rest};
use crate::telemetry::{Board, Health, OPENMETRICS, Part, Standing, Telemetry, View};

pub mod answer;
mod asset;
mod door;
mod gate;
mod host;
mod porter;
mod renewal;
pub(crate) mod request;
mod tls;

pub use door::Remote;
pub use gate::Gate;
use gate::Keeper;
pub use host::Hosts;
pub use renewal::Renewal;
pub(crate) use request::moment;
pub use tls::{Identity, Tls, TlsFlaw, use_ring};

/// Requests that run when the end is asked for may take so long: a drain has ten seconds in all.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// What the routes read.
#[derive(Clone)]
pub struct Sources {
    /// The numbers.
    pub telemetry: Arc<Telemetry>,
    /// The last alerts.
    pub board: Arc<Board>,
    /// How the parts stand.
    pub health: Arc<Health>,
    /// Time.
    pub clock: Arc<dyn Clock + Sync>,
    /// The callers' door.
    pub rest: Option<Arc<Rest>>,
    /// The analysts' queue.
    pub desk: Option<Arc<Desk>>,
}

/// How one comes in.
#[derive(Clone)]
pub struct Entrance {
    /// Who may.
    pub gate: Arc<Gate>,
    /// What connections are greeted with, if not in clear.
    pub tls: Option<Arc<Tls>>,
}

/// Serves until `shutdown` is done, then lets the requests that run finish. Looks at the counters once a second.
///
/// # Errors
/// When the listener is broken.
pub async fn serve(
    listener: TcpListener,
    entrance: Entrance,
    sources: Sources,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel::<()>();
    let stop = async move {
        shutdown.await;
        // Gone only when the server is.
        let _ = tell.send(());
    };
    let Entrance { gate, tls } = entrance;
    let is_full = sources.rest.clone().map(|rest| Arc::new(move || rest.is_full()) as IsFull);
    let porter = Porter::new(is_full, router(gate, sources.clone())).await;
    let service = ServiceExt::<Request>::into_make_service_with_connect_info::<Remote>(porter);
    let server = axum::serve(Door::new(listener, tls), service).with_graceful_shutdown(stop);
    tokio::select! {
        done = server.into_future() => done,
        () = sample(&sources) => Ok(()),
        () = deadline(told) => Ok(()),
    }
}

/// Serves other routes behind the same listener, with nothing in front of them: a yardstick for benches.
///
/// # Errors
/// When the listener is broken.
pub async fn serve_bare(listener: TcpListener, routes: Router) -> io::Result<()> {
    let service = routes.into_make_service_with_connect_info::<Remote>();
    axum::serve(Door::new(listener, None), service).await
}

/// Ends a while after it is told to.
async fn deadline(told: oneshot::Receiver<()>) {
    // An error: the one who tells is gone, and with it the server.
    let _ = told.await;
    tokio::time::sleep(DRAIN_WITHIN).await;
}

/// The board's look at the counters, for ever.
async fn sample(sources: &Sources) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        if let Some(rest) = &sources.rest {
            sources.telemetry.rest(rest.figures());
        }
        if let Some(desk) = &sources.desk {
            sources.telemetry.queue(desk.standing().figures());
        }
        sources.board.tick(sources.clock.now(), &sources.telemetry);
    }
}

fn router(gate: Arc<Gate>, sources: Sources) -> Router {
    let rest = sources.rest.clone();
    let batch_bytes = rest.as_ref().map_or(BODY_BYTES as u64, |rest| rest.batch_bytes());
    let mut router = Router::new()
        .route("/v1/board", get(board))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    for asset in &asset::ALL {
        router = router.route(asset.path, get(move || async move { asset.answer() }));
    }
    for asset in pages::ASSETS {
        let answer = move || async move { ([(header::CONTENT_TYPE, asset.media_type)], asset.text) };
        router = router.route(&format!("/assets/{}", asset.name), get(answer));
    }
    let office = Office::of(&sources);
    let desk = sources.desk.clone();
    let mut router = router.with_state(sources);
    if let Some(rest) = rest {
        router = router.merge(rest::route::router(rest));
    }
    if let Some(office) = office {
        router = router.merge(alerts::route::router(office));
    }
    router
        .fallback(async || Problem::of(Code::NotFound))
        .method_not_allowed_fallback(async || Problem::of(Code::MethodNotAllowed))
        .layer(middleware::from_fn_with_state(Keeper { gate, desk }, gate::enter))
        .layer(middleware::from_fn(move |request, next| guard(batch_bytes, request, next)))
}

async fn board(State(sources): State<Sources>) -> Json<View> {
    look_at_parts(&sources);
    Json(sources.board.view(sources.clock.now(), &sources.telemetry, &sources.health))
}

async fn livez(State(sources): State<Sources>) -> Response {
    answer::live(sources.health.dead())
}

async fn readyz(State(sources): State<Sources>) -> Response {
    look_at_parts(&sources);
    answer::ready(sources.health.readiness())
}

/// The parts that say how they are when they are asked.
fn look_at_parts(sources: &Sources) {
    let standing = |why: Option<String>| why.map_or(Standing::Ready, Standing::NotReady);
    if let Some(rest) = &sources.rest {
        sources.health.set(Part::Rest, standing(rest.closed().map(str::to_owned)));
    }
    if let Some(desk) = &sources.desk {
        sources.health.set(Part::Queue, standing(desk.standing().trouble()));
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match sources.telemetry.openmetrics() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Problem::of(Code::Internal).into_response()
        }
    }
}

/// What holds for every request and every answer: the bound on bodies, and the headers that keep other sites out.
async fn guard(batch_bytes: u64, request: Request, next: Next) -> Response {
    let most = match request.uri().path() {
        rest::route::BATCH_PATH => batch_bytes,
        alerts::chargeback::PATH => alerts::chargeback::FILE_BYTES as u64,
        _ => BODY_BYTES as u64,
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut response = if length.is_some_and(|length| length > most) {
        request::too_large(most).into_response()
    } else {
        next.run(request).await
    };
    dress(response.headers_mut());
    response
}

fn dress(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        // A reconciliation's report carries its own style, and says so itself.
        if name != header::CONTENT_SECURITY_POLICY || !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Headers of every answer. Styles and scripts come from here only, and nobody may frame the page or read it. The
/// referrer is kept from other sites; with `no-referrer` a browser would post our own forms with `Origin: null`.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests;
