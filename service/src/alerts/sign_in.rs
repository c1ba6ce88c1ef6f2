//! People: where they sign in and out, the cookie, and what their pages show with each change.
//!
//! The cookie is `__Host-`: Secure, for this host only, and out of the scripts' reach; `SameSite=Lax` keeps it from what
//! other sites post. A change carries the page's token besides, and an `Origin` that is ours where the browser sends one.

use axum::extract::{ConnectInfo, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use cookie::{Cookie, SameSite};
use queue::{Attempt, Rules, SignIn, Token};
use schemas::time::MINUTE_MS;

use super::fault::within;
use super::page;
use super::route::{BODY_WITHIN, Office};
use crate::access::{Person, Who};
use crate::http::Remote;
use crate::http::answer::{Code, Problem};
use crate::http::request::{body, form};

/// The cookie's name.
const COOKIE: &str = "__Host-tripline";

/// The header with the page's token.
const CSRF: &str = "x-csrf-token";

/// Largest form of these two.
const FORM_BYTES: usize = 4 << 10;

/// Longest address that is come back to.
const NEXT_BYTES: usize = 1_024;

pub(super) fn router() -> Router<Office> {
    Router::new().route("/sign-in", get(ask).post(sign_in)).route("/sign-out", post(sign_out))
}

/// The session's token, if the request brings one.
pub fn token(headers: &HeaderMap) -> Option<Token> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = cookies.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == COOKIE).and_then(|cookie| Token::parse(cookie.value()))
}

/// Whether a change comes from one of our pages.
pub fn is_from_page(headers: &HeaderMap, person: &Person) -> bool {
    headers.get(CSRF).is_some_and(|token| token.as_bytes() == person.csrf.as_bytes())
        && is_same_origin(headers)
}

/// Where a browser says from which site it asks, it is this one.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (headers.get(header::ORIGIN).map(|_| text(header::ORIGIN)), text(header::HOST)) {
        (None, _) => true,
        (Some(Some(origin)), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, name)| name.eq_ignore_ascii_case(host))
        }
        _ => false,
    }
}

/// The answer to a page that was asked for by somebody who may not see it.
pub fn turned_away(problem: Problem, uri: &Uri) -> Response {
    match problem.code() {
        Code::Unauthenticated | Code::SignedOut => {
            let next = uri.path_and_query().map_or("/queue", |path| path.as_str());
            Redirect::to(&format!("/sign-in?next={}", encoded(next))).into_response()
        }
        _ => page::problem(&problem),
    }
}

/// Percent-encoded for a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

async fn ask(RawQuery(query): RawQuery) -> Response {
    let next = form(query.as_deref().unwrap_or_default()).flatten().find(|(name, _)| name == "next");
    Html(page::sign_in(&inside(next.map(|(_, next)| next)), None)).into_response()
}

/// A path of ours to come back to, nothing else: `//other` and `/\other` are other sites to a browser.
fn inside(next: Option<String>) -> String {
    let is_inside = |next: &String| {
        let mut bytes = next.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && next.len() <= NEXT_BYTES
            && next.bytes().all(|byte| byte.is_ascii_graphic())
    };
    next.filter(is_inside).unwrap_or_else(|| "/queue".to_owned())
}

struct Fields {
    name: String,
    password: String,
    next: String,
    csrf: String,
}

async fn fields(request: Request) -> Result<Fields, Problem> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(Problem::of(Code::UnsupportedMediaType).detail("This path takes the form of its page."));
    }
    let body = body(request, FORM_BYTES, BODY_WITHIN).await?;
    let text = String::from_utf8_lossy(&body);
    let field = |wanted: &str| {
        let mut found = form(&text).flatten().filter(|(name, _)| name == wanted);
        found.next().map(|(_, value)| value)
    };
    Ok(Fields {
        name: field("name").unwrap_or_default(),
        password: field("password").unwrap_or_default(),
        next: inside(field("next")),
        csrf: field("csrf").unwrap_or_default(),
    })
}

async fn sign_in(State(office): State<Office>, request: Request) -> Result<Response, Problem> {
    if !is_same_origin(request.headers()) {
        return Err(Problem::of(Code::CsrfMissing));
    }
    let from = request.extensions().get::<ConnectInfo<Remote>>().map(|ConnectInfo(from)| from.address.ip());
    let fields = fields(request).await?;
    let queue = match office.desk.queue() {
        Ok(queue) => queue,
        Err(problem) => return Ok(page::problem(&problem)),
    };
    let now = office.clock.now();
    // Before a password is looked at: that takes a processor for a while, right or wrong.
    if let Some(Err(excess)) = from.map(|from| office.strangers.tried(from, now.monotonic_us)) {
        return Ok(page::problem(&Problem::excess(excess)));
    }
    let attempt = Attempt { name: &fields.name, password: &fields.password };
    match within(queue.sign_in(attempt, now.wall_ms)).await {
        Ok(SignIn::In(token, _)) => {
            let max_age_ms = queue.rules().session_absolute_ms;
            Ok(with_cookie(Redirect::to(&fields.next), token.reveal(), max_age_ms / 1_000))
        }
        // One answer to both: that an account is locked would say that there is one.
        Ok(SignIn::Wrong | SignIn::Locked { .. }) => Ok(again(&fields.next, &refusal(queue.rules()))),
        Err(problem) => Ok(page::problem(&problem)),
    }
}

fn refusal(rules: &Rules) -> String {
    let minutes = (rules.lockout_ms + MINUTE_MS - 1) / MINUTE_MS;
    format!(
        "Name or password are wrong, or the account is locked. {} wrong passwords in a row lock one for {minutes} min.",
        rules.lockout_after
    )
}

fn again(next: &str, why: &str) -> Response {
    (StatusCode::UNAUTHORIZED, Html(page::sign_in(next, Some(why)))).into_response()
}

async fn sign_out(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    request: Request,
) -> Result<Response, Problem> {
    let token = token(request.headers());
    let is_ours = is_same_origin(request.headers());
    let fields = fields(request).await?;
    match (who, token) {
        (Who::Person(person), Some(token)) if is_ours && person.csrf == fields.csrf => {
            within(office.desk.queue()?.sign_out(&token, office.now_ms())).await?;
            Ok(with_cookie(Redirect::to("/sign-in"), "", 0))
        }
        _ => Err(Problem::of(Code::CsrfMissing)),
    }
}

fn with_cookie(answer: Redirect, value: &str, max_age_s: i64) -> Response {
    let cookie = Cookie::build((COOKIE, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(cookie::time::Duration::seconds(max_age_s))
        .build();
    let mut response = answer.into_response();
    if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
