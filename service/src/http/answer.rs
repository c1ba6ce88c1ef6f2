//! Answers that are not 200, and when: the one place of status codes.
//!
//! A problem is what RFC 9457 has, `application/problem+json`, with a stable `code` and, for a body, a JSON Pointer to
//! each field that is wrong. Its `type` is `/problems/` and the code: a name that is compared, not a page. Nothing of
//! it is made of what a caller sent but pointers, and those are masked where they look like card numbers.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemas::sensitive::masked;
use serde::Serialize;

use crate::access::{Denied, Excess};
use crate::telemetry::{Part, Readiness};

pub mod code;

pub use code::Code;

/// Most errors that one problem lists; a body with more is not put right one by one.
const MOST_ERRORS: usize = 32;

/// One thing that is wrong with a body or a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a JSON Pointer (RFC 6901) into the body, `/lines/0/amount`; or `query:limit`, `header:if-match`.
    pub pointer: String,
    /// What, as a stable word.
    pub code: Cow<'static, str>,
    /// What, for a person.
    pub detail: String,
}

/// How a caller is asked for a key, `WWW-Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Programs, with this `error` of RFC 6750 if there is one.
    Bearer(Option<&'static str>),
    /// The same, and a browser that shows the page.
    Page(Option<&'static str>),
}

/// What is wrong with a request. The code is stable, the words are not. Small, since every handler may return one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    more: Option<Box<More>>,
}

/// What a problem says beyond its code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct More {
    detail: Option<Cow<'static, str>>,
    errors: Vec<Fault>,
    retry_after_s: Option<u32>,
    challenge: Option<Challenge>,
    allow: Option<String>,
    trace_id: Option<String>,
    member: Option<(&'static str, serde_json::Value)>,
}

impl Problem {
    /// A problem that says what the table says.
    pub fn of(code: Code) -> Self {
        Self { code, more: None }
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    fn saying(mut self, say: impl FnOnce(&mut More)) -> Self {
        say(self.more.get_or_insert_default());
        self
    }

    /// Says this instead of what the table says.
    #[must_use]
    pub fn detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.saying(|more| more.detail = Some(detail.into()))
    }

    /// Lists these faults, the first 32 of them.
    #[must_use]
    pub fn errors(self, errors: impl IntoIterator<Item = Fault>) -> Self {
        self.saying(|more| {
            let left = MOST_ERRORS.saturating_sub(more.errors.len());
            more.errors.extend(errors.into_iter().take(left));
        })
    }

    /// When to ask again, seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.saying(|more| more.retry_after_s = Some(seconds))
    }

    /// Asks for a key.
    #[must_use]
    pub fn challenge(self, challenge: Challenge) -> Self {
        self.saying(|more| more.challenge = Some(challenge))
    }

    /// The methods that the path takes.
    #[must_use]
    pub fn allow(self, methods: &[&str]) -> Self {
        self.saying(|more| more.allow = Some(methods.join(", ")))
    }

    /// One more member of the body.
    #[must_use]
    pub fn with(self, name: &'static str, value: serde_json::Value) -> Self {
        self.saying(|more| more.member = Some((name, value)))
    }

    /// The trace under which the log has it.
    #[must_use]
    pub fn trace(self, trace_id: impl Into<String>) -> Self {
        self.saying(|more| more.trace_id = Some(trace_id.into()))
    }

    /// For one who was not let in; `is_page` where a browser may show its key.
    pub fn denied(denied: Denied, is_page: bool) -> Self {
        let (code, error) = match denied {
            Denied::Missing => (Code::Unauthenticated, None),
            Denied::Malformed(_) => (Code::KeyMalformed, Some("invalid_request")),
            Denied::Unknown => (Code::KeyUnknown, Some("invalid_token")),
            Denied::Expired => (Code::KeyExpired, Some("invalid_token")),
            Denied::Lacks { .. } => (Code::Forbidden, Some("insufficient_scope")),
            Denied::TooOften(excess) => return Self::excess(excess),
        };
        let challenge = if is_page { Challenge::Page(error) } else { Challenge::Bearer(error) };
        Self::of(code).detail(sentence(&denied.to_string())).challenge(challenge)
    }

    /// For one who came too often.
    pub fn excess(excess: Excess) -> Self {
        match excess {
            Excess::Wait { seconds } => Self::of(Code::RateLimited).retry_after(seconds),
            Excess::TooMuch { burst } => Self::of(Code::BatchTooLarge)
                .detail(format!("This key may have {burst} payments decided at once. Send it in parts.")),
        }
    }
}

/// An error's words as a sentence.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// A problem's body, in the order in which it is written.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(flatten)]
    member: Option<std::collections::BTreeMap<&'static str, &'a serde_json::Value>>,
}

impl Problem {
    /// Its status and its body: for where it is one item among others.
    pub fn into_item(self) -> (StatusCode, serde_json::Value) {
        let more = self.more.map(|more| *more).unwrap_or_default();
        let body = Body::of(self.code, &more);
        (self.code.facts().status, serde_json::to_value(body).unwrap_or_default())
    }
}

impl<'a> Body<'a> {
    fn of(code: Code, more: &'a More) -> Self {
        let facts = code.facts();
        let mask = |fault: &Fault| Fault {
            pointer: masked(&fault.pointer).into_owned(),
            code: fault.code.clone(),
            detail: masked(&fault.detail).into_owned(),
        };
        Self {
            r#type: format!("/problems/{}", facts.word),
            title: facts.title,
            status: facts.status.as_u16(),
            code: facts.word,
            detail: masked(more.detail.as_deref().unwrap_or(facts.meaning)),
            errors: more.errors.iter().map(mask).collect(),
            trace_id: more.trace_id.as_deref(),
            member: more.member.as_ref().map(|(name, value)| [(*name, value)].into()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let more = self.more.map(|more| *more).unwrap_or_default();
        let mut response = (self.code.facts().status, Json(Body::of(self.code, &more))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = more.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = more.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        for (name, value) in more.challenge.into_iter().flat_map(Challenge::headers) {
            headers.append(name, value);
        }
        response
    }
}

impl Challenge {
    fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let (Challenge::Bearer(error) | Challenge::Page(error)) = self;
        let mut values = Vec::new();
        if matches!(self, Challenge::Page(_)) && error != Some("insufficient_scope") {
            // First, since some browsers look no further. The user name does not matter, the password is the key.
            values.push("Basic realm=\"tripline: the key as password\", charset=\"UTF-8\"".to_owned());
        }
        values.push(match error {
            None => "Bearer realm=\"tripline\"".to_owned(),
            Some(error) => format!("Bearer realm=\"tripline\", error=\"{error}\""),
        });
        let value = |value: String| Some((header::WWW_AUTHENTICATE, HeaderValue::try_from(value).ok()?));
        values.into_iter().filter_map(value).collect()
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

#[cfg(test)]
mod tests;
