//! The gate: what each request passes before a handler sees it, and who may not pass.
//!
//! ```text
//!   headers small enough? ─► a name that is ours? ─► a route of the table? ─► a key or a session that may ─► handler
//!           431                     421                404, 405                   401, 403, 429
//! ```
//! Cheap questions first, and no body is read. A route that the table does not have is closed, whatever axum knows. Who
//! came stands in the request's extensions as [`Who`]. Not here: what holds for answers, and bodies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::{Code, Fault, Problem};
use super::door::Remote;
use super::host::Hosts;
use crate::access::{self, Callers, Denied, Found, Kind, People, Person, Route, Scope, Strangers, Who};
use crate::alerts::{Asker, Desk, sign_in};
use crate::clock::Clock;

/// What a page sends with whatever it asks by itself, `1`: nobody has done anything.
const BACKGROUND: &str = "tripline-background";

/// All header fields together, bytes: the server's own bound is 400 KiB, which nobody needs.
const HEADER_BYTES: usize = 16 << 10;

/// Who may come in.
pub struct Gate {
    callers: ArcSwap<Callers>,
    strangers: Strangers,
    people: People,
    hosts: Hosts,
    clock: Arc<dyn Clock + Sync>,
}

impl Gate {
    /// A gate for these callers.
    pub fn new(callers: Callers, hosts: Hosts, clock: Arc<dyn Clock + Sync>) -> Self {
        let (strangers, people) = (Strangers::default(), People::default());
        Self { callers: ArcSwap::from_pointee(callers), strangers, people, hosts, clock }
    }

    /// The callers of now.
    pub fn callers(&self) -> Arc<Callers> {
        self.callers.load_full()
    }

    /// From now on these; requests that are inside go on.
    pub fn exchange(&self, callers: Callers) {
        self.callers.store(Arc::new(callers));
    }

    /// The route of this request, if it is small enough and for us.
    fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<&'static Route, Problem> {
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > HEADER_BYTES {
            return Err(Problem::of(Code::HeaderFieldsTooLarge));
        }
        let path = uri.path();
        let route = match access::find(method.as_str(), path) {
            Found::Route(route) => Ok(route),
            Found::Methods(methods) => Err(Problem::of(Code::MethodNotAllowed).allow(&methods)),
            Found::Nothing => Err(Problem::of(Code::NotFound)),
        };
        // A probe comes by address, under a name that nobody can know before, and is told nothing secret.
        if !matches!(route, Ok(Route { needs: None, .. })) {
            self.host(uri, headers)?;
        }
        // A database may have no text with U+0000, and nothing here is called so.
        if path.contains("%00") { Err(Problem::of(Code::NotFound)) } else { route }
    }

    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (first, second) = (hosts.next(), hosts.next());
        let first = first.and_then(|host| host.to_str().ok());
        // A whole URI goes before the header, RFC 9112, 3.2.2.
        let host = uri.authority().map(|authority| authority.as_str()).or(first);
        match host {
            Some(host) if second.is_none() && self.hosts.accept(host) => Ok(()),
            Some(_) if second.is_none() => Err(Problem::of(Code::Misdirected)),
            _ => {
                let fault = Fault {
                    pointer: "header:host".to_owned(),
                    code: "one_expected".into(),
                    detail: "exactly one Host header".to_owned(),
                };
                Err(Problem::of(Code::InvalidRequest).errors([fault]))
            }
        }
    }

    fn caller(&self, route: &Route, headers: &HeaderMap, from: IpAddr) -> Result<Who, Problem> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        let authorization = match (shown.next(), shown.next()) {
            (None, _) => None,
            // Two, or one that is no text: no key is like that.
            (Some(value), None) => Some(value.to_str().unwrap_or_default()),
            _ => Some(""),
        };
        let now = self.clock.now();
        let denied = match self.callers.load().may(authorization, route, now) {
            Ok(who) => return Ok(who),
            Err(denied) => denied,
        };
        if let Denied::TooOften(_) = denied {
            tracing::debug!(route = route.path, "a caller came too often");
            return Err(Problem::denied(denied, false));
        }
        let counted = self.strangers.tried(from, now.monotonic_us);
        if counted.is_ok() {
            // The path's pattern, not the path: a key of an entity is nobody's business.
            tracing::info!(%from, route = route.path, why = %denied, "not let in");
        }
        match (counted, denied) {
            (Err(excess), Denied::Missing | Denied::Malformed(_) | Denied::Unknown | Denied::Expired) => {
                Err(Problem::excess(excess))
            }
            _ => Err(Problem::denied(denied, route.needs == Some(Scope::Board))),
        }
    }

    /// Somebody with a session: how often they come, whether a change comes from our page, and whether they may.
    fn person(&self, person: Person, route: &Route, headers: &HeaderMap) -> Result<Who, Problem> {
        // Counted first, as with keys: asking for what one may not have is no way around it.
        self.people.came(&person.name, self.clock.now().monotonic_us).map_err(|excess| {
            tracing::debug!(route = route.path, "somebody came too often");
            Problem::excess(excess)
        })?;
        if route.method != "GET" && route.kind != Kind::Form && !sign_in::is_from_page(headers, &person) {
            return Err(Problem::of(Code::CsrfMissing));
        }
        let needs = route.needs.filter(|needs| !person.scopes.has(*needs));
        if let Some(needs) = needs {
            let detail = format!("This account does not have the scope \"{}\".", needs.as_str());
            return Err(Problem::of(Code::Forbidden).detail(detail));
        }
        Ok(Who::Person(Arc::new(person)))
    }
}

/// The gate, and where people's sessions are.
#[derive(Clone)]
pub struct Keeper {
    /// The gate.
    pub gate: Arc<Gate>,
    /// The analysts' queue, where there is one.
    pub desk: Option<Arc<Desk>>,
}

/// Lets a request in, or answers it.
pub async fn enter(State(keeper): State<Keeper>, mut request: Request, next: Next) -> Response {
    let remote = request.extensions().get::<ConnectInfo<Remote>>();
    let from = remote.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(remote)| remote.address.ip());
    let route = match keeper.gate.admit(request.method(), request.uri(), request.headers()) {
        Ok(route) => route,
        Err(problem) => return problem.into_response(),
    };
    match keeper.who(route, request.headers(), from).await {
        Ok(who) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) if route.kind == Kind::Page && keeper.desk.is_some() => {
            sign_in::turned_away(problem, request.uri())
        }
        Err(problem) => problem.into_response(),
    }
}

impl Keeper {
    /// Who comes: by a key, else by a session, else nobody in particular.
    async fn who(&self, route: &Route, headers: &HeaderMap, from: IpAddr) -> Result<Who, Problem> {
        let has_key = headers.contains_key(header::AUTHORIZATION);
        let by_session = self.desk.as_ref().filter(|_| route.needs.is_some() && !has_key);
        let Some(desk) = by_session else { return self.gate.caller(route, headers, from) };
        let Some(token) = sign_in::token(headers) else { return self.gate.caller(route, headers, from) };
        let now = self.gate.clock.now();
        let Some(session) = desk.session(&token, asker(headers), now.wall_ms).await? else {
            // What is open to everybody is open to somebody whose session is over, too.
            let anybody = self.gate.callers().may(None, route, now);
            // One that guesses costs a question to the database each time.
            return anybody.map_err(|_| match self.gate.strangers.tried(from, now.monotonic_us) {
                Err(excess) => Problem::excess(excess),
                Ok(()) => Problem::of(Code::SignedOut),
            });
        };
        self.gate.person(Person::new(session.subject, session.roles, session.csrf), route, headers)
    }
}

/// Whether somebody did something, or their page asks by itself: it says so, and a browser does for a stream of events.
fn asker(headers: &HeaderMap) -> Asker {
    let is_told = headers.get(BACKGROUND).is_some_and(|value| value.as_bytes() == b"1");
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_stream = accept.is_some_and(|accept| accept.contains("text/event-stream"));
    if is_told || is_stream { Asker::Page } else { Asker::Person }
}

#[cfg(test)]
mod tests;
