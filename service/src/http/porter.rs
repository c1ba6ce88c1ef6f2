//! The porter: while the callers' door is full, who asks for a decision is told so before anything else is looked at.
//!
//! Under more load than there is capacity nearly all requests are refused, and what each of them costs is taken from those
//! that are decided. So this stands before the routes, the gate and its keys, and its answer is made once. A batch is not
//! its business: most of it is still on its way, and would meet a connection that is closed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use futures_util::future::Either;
use http_body_util::BodyExt;
use tower_service::Service;

use super::answer::{Code, Problem};
use super::dress;
use crate::rest::route::SCORE_PATH;

/// Whether the door is full; each yes is one refusal.
pub type IsFull = Arc<dyn Fn() -> bool + Send + Sync>;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Porter {
    is_full: Option<IsFull>,
    refusal: Arc<(StatusCode, HeaderMap, Bytes)>,
    inside: Router,
}

impl Porter {
    /// A porter before these routes; without a door there is nothing that could be full.
    pub async fn new(is_full: Option<IsFull>, inside: Router) -> Self {
        let (mut head, body) = Problem::of(Code::Overloaded).retry_after(1).into_response().into_parts();
        dress(&mut head.headers);
        // Its bytes are there already, and nothing reads them that could fail.
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Self { is_full, refusal: Arc::new((head.status, head.headers, body)), inside }
    }

    fn refuse(&self) -> Response {
        let (status, headers, body) = &*self.refusal;
        let mut response = Response::new(Body::from(body.clone()));
        (*response.status_mut(), *response.headers_mut()) = (*status, headers.clone());
        response
    }
}

impl Service<Request> for Porter {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, RouteFuture<Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.inside, context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asks = request.method() == Method::POST && request.uri().path() == SCORE_PATH;
        match &self.is_full {
            Some(is_full) if asks && is_full() => Either::Left(ready(Ok(self.refuse()))),
            _ => Either::Right(self.inside.call(request)),
        }
    }
}
