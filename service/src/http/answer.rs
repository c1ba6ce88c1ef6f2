//! Answers that are not 200, and when: the one place of status codes.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::telemetry::{Part, Readiness};

/// What is wrong with a request, as RFC 9457 has it. The code is stable, the words are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No such path.
    NotFound,
    /// The path has no such method; `Allow` says which.
    MethodNotAllowed,
    /// The body is larger than is taken.
    BodyTooLarge,
    /// Our own fault.
    Internal,
}

impl Problem {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Problem::NotFound => (StatusCode::NOT_FOUND, "not_found", "There is nothing at this path."),
            Problem::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not take this method; the Allow header says which it takes.",
            ),
            Problem::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "A body may have at most 64 KiB.")
            }
            Problem::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The service failed; its log says why.")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.parts();
        let body = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

/// Whether the process lives: 200 unless a part is dead.
pub fn live(dead: Option<(Part, String)>) -> Response {
    match dead {
        None => "ok".into_response(),
        Some((part, reason)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {reason}", part.as_str())).into_response()
        }
    }
}

/// Whether it can do its work: 200 when every part can, else 503; the body says which cannot.
pub fn ready(readiness: Readiness) -> Response {
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}
