//! What every handler asks of a request: its body within bounds, its path and query as text, its times.
//!
//! Each refusal names the place. Not here: who may, and what a body means.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, header};
use http_body_util::LengthLimitError;
use schemas::time::EventTime;
use serde_json::Value;

use super::answer::{Code, Fault, Problem};

/// Largest body of one payment, or of a small form of ours.
pub const BODY_BYTES: usize = 64 << 10;

/// A path that takes no query says so: a filter that is not there must not look as if it had worked.
pub(crate) fn no_query(query: Option<&str>) -> Result<(), Problem> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => {
            let detail = "this path takes no query".to_owned();
            let fault = Fault { pointer: "query:".to_owned(), code: "unknown".into(), detail };
            Err(Problem::of(Code::InvalidRequest).errors([fault]))
        }
    }
}

pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return Err(Problem::of(Code::UnsupportedEncoding));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameter) = kind.split_once(';').unwrap_or((kind, ""));
    let parameter = parameter.trim();
    let utf8 = parameter.is_empty() || parameter.eq_ignore_ascii_case("charset=utf-8");
    if kind.trim().eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    Err(Problem::of(Code::UnsupportedMediaType))
}

/// The body, up to a bound, and while the longest deadline lasts: who sends a byte a second does not hold a place.
pub(crate) async fn body(request: Request, most: usize, within: Duration) -> Result<Vec<u8>, Problem> {
    let too_large = || too_large(most as u64);
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let all = tokio::time::timeout(within, to_bytes(request.into_body(), most));
    let all = all.await.map_err(|_| Problem::of(Code::BodyTooSlow))?;
    all.map(Into::into).map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            return too_large();
        }
        Problem::of(Code::InvalidRequest).detail("The body broke off, or its chunks are none.")
    })
}

/// A body has more bytes than are taken.
pub(crate) fn too_large(most: u64) -> Problem {
    Problem::of(Code::PayloadTooLarge).detail(format!("A body may have at most {most} bytes here."))
}

/// The names in a path, once they are text.
pub(crate) fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    let fault = || Fault {
        pointer: "path:".to_owned(),
        code: "wrong_value".into(),
        detail: "expected UTF-8, percent-encoded".to_owned(),
    };
    path.map(|Path(names)| names).map_err(|_| Problem::of(Code::InvalidRequest).errors([fault()]))
}

/// A small body of ours. What serde alone would take and should not: an array for an object, a key twice.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |error: serde_json::Error| Problem::of(Code::MalformedJson).detail(error.to_string());
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    if !value.is_object() {
        return Err(at("", "an object"));
    }
    // Read from the bytes once more, since the value above keeps the last of two equal keys.
    serde_json::from_slice(bytes).map_err(|error| {
        let fault = Fault { pointer: String::new(), code: "invalid".into(), detail: error.to_string() };
        Problem::of(Code::InvalidBody).errors([fault])
    })
}

/// One field of a small body is wrong.
pub(crate) fn at(pointer: &str, expected: &str) -> Problem {
    let detail = format!("expected {expected}");
    let fault = Fault { pointer: pointer.to_owned(), code: "invalid".into(), detail };
    Problem::of(Code::InvalidBody).errors([fault])
}

pub(crate) fn wrong(name: &str, expected: &str) -> Problem {
    let fault = Fault {
        pointer: format!("query:{name}"),
        code: "wrong_value".into(),
        detail: format!("expected {expected}"),
    };
    Problem::of(Code::InvalidRequest).errors([fault])
}

/// The pairs of a query string (application/x-www-form-urlencoded); `None` for one that is no text.
pub(crate) fn form(query: &str) -> impl Iterator<Item = Option<(String, String)>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    })
}

/// A page's query without what was left empty: a browser sends every field of a form.
pub(crate) fn filled(query: Option<&str>) -> String {
    let pairs = query.unwrap_or_default().split('&');
    let filled = pairs.filter(|pair| pair.split_once('=').is_none_or(|(_, value)| !value.is_empty()));
    filled.collect::<Vec<_>>().join("&")
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    // A database may have no text with U+0000.
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

/// A time as bodies have it: RFC 3339.
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    moment(text).filter(|_| text.contains(['T', 't']))
}

/// A time as a query has it: RFC 3339 or milliseconds.
pub(crate) fn moment(text: &str) -> Option<i64> {
    let ms = text.parse::<i64>().ok();
    let ms = ms.or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond));
    ms.filter(|ms| EventTime::from_ms(*ms).is_some())
}

/// RFC 3339 in UTC.
pub(crate) fn time(ms: i64) -> String {
    EventTime::from_ms(ms).map_or_else(|| ms.to_string(), |time| time.to_string())
}
