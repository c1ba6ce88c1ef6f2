//! HTTP: the board's page, health and metrics. It reads what the telemetry has and changes nothing.
//!
//! Nothing here asks who is there: the default is to listen on loopback only. It is not the work queue and not the
//! scoring endpoint.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use self::answer::Problem;
use self::door::Door;
use crate::clock::Clock;
use crate::telemetry::{Board, Health, OPENMETRICS, Telemetry, View};

mod answer;
mod asset;
mod door;

/// Largest body that is taken; no route of today needs one.
const BODY_BYTES: u64 = 64 << 10;

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
}

/// Serves until `shutdown` is done, then lets the requests that run finish. Looks at the counters once a second.
///
/// # Errors
/// When the listener is broken.
pub async fn serve(
    listener: TcpListener,
    sources: Sources,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel::<()>();
    let stop = async move {
        shutdown.await;
        // Gone only when the server is.
        let _ = tell.send(());
    };
    let server = axum::serve(Door::new(listener), router(sources.clone())).with_graceful_shutdown(stop);
    tokio::select! {
        done = server.into_future() => done,
        () = sample(&sources) => Ok(()),
        () = deadline(told) => Ok(()),
    }
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
        sources.board.tick(sources.clock.now(), &sources.telemetry);
    }
}

fn router(sources: Sources) -> Router {
    let mut router = Router::new()
        .route("/v1/board", get(board))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    for asset in &asset::ALL {
        router = router.route(asset.path, get(move || async move { asset.answer() }));
    }
    router
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(middleware::from_fn(guard))
        .with_state(sources)
}

async fn board(State(sources): State<Sources>) -> Json<View> {
    Json(sources.board.view(sources.clock.now(), &sources.telemetry, &sources.health))
}

async fn livez(State(sources): State<Sources>) -> Response {
    answer::live(sources.health.dead())
}

async fn readyz(State(sources): State<Sources>) -> Response {
    answer::ready(sources.health.readiness())
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match sources.telemetry.openmetrics() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            Problem::Internal.into_response()
        }
    }
}

/// What holds for every request and every answer: the bound on bodies, and the headers that keep other sites out.
async fn guard(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut response = if length.is_some_and(|length| length > BODY_BYTES) {
        Problem::BodyTooLarge.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Headers of every answer. Styles and scripts come from here only, and nobody may frame the page or read it.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[cfg(test)]
mod tests;
