//! What happens while somebody looks: changed alerts, renewed claims, who else looks, how the database stands; as
//! server-sent events.
//!
//! A stream outlives nobody's session: it looks at it now and then, without renewing it, and ends when it is over. Any
//! stream ends after a while; a browser comes again by itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use queue::Token;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

use super::places::Place;
use super::route::{Actor, Office};
use super::{Asker, Desk, Heard, sign_in};
use crate::access::{Person, Scope, Who};
use crate::clock::Clock;
use crate::http::answer::{Code, Problem};
use crate::http::request::{form, time, wrong};

/// A sign of life, so that neither side thinks that the other is gone: less than the door's patience.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// How often a stream looks at its session.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long a stream lasts: for whoever has no session, such as a key that is withdrawn meanwhile.
const LASTS: Duration = Duration::from_secs(3_600);

/// When a place may be free again, seconds.
const PLACE_RETRY_S: u32 = 30;

/// News of who looks that one who is slow may be behind.
const NEWS: usize = 256;

/// Who looks at which alert, in this process.
pub struct Looking {
    names: Mutex<HashMap<String, Vec<String>>>,
    news: broadcast::Sender<String>,
}

impl Default for Looking {
    fn default() -> Self {
        Self { names: Mutex::default(), news: broadcast::Sender::new(NEWS) }
    }
}

impl Looking {
    fn change(&self, alert_id: &str, change: impl FnOnce(&mut Vec<String>)) {
        let mut all = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = all.entry(alert_id.to_owned()).or_default();
        change(names);
        if names.is_empty() {
            all.remove(alert_id);
        }
        drop(all);
        // An error: nobody listens.
        let _ = self.news.send(alert_id.to_owned());
    }

    /// Who else looks at it, each once.
    pub fn others(&self, alert_id: &str, own: &str) -> Vec<String> {
        let all = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> =
            all.get(alert_id).into_iter().flatten().filter(|name| *name != own).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Somebody looks at an alert, until this is dropped.
struct Look {
    looking: Arc<Looking>,
    alert_id: String,
    name: String,
}

impl Look {
    fn begin(looking: &Arc<Looking>, alert_id: String, name: String) -> Self {
        looking.change(&alert_id, |names| names.push(name.clone()));
        Self { looking: Arc::clone(looking), alert_id, name }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.looking.change(&self.alert_id, |names| {
            if let Some(place) = names.iter().position(|name| *name == self.name) {
                names.swap_remove(place);
            }
        });
    }
}

/// Somebody who is signed in, for as long as they are.
struct SignedIn {
    desk: Arc<Desk>,
    clock: Arc<dyn Clock + Sync>,
    token: Token,
}

impl SignedIn {
    /// Whether they still are, and may still look. While the database does not say, what it said last stands.
    async fn still(&self) -> bool {
        match self.desk.session(&self.token, Asker::Page, self.clock.now().wall_ms).await {
            Ok(Some(session)) => {
                Person::new(session.subject, session.roles, session.csrf).scopes.has(Scope::Queue)
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }
}

struct Feed {
    changes: broadcast::Receiver<Heard>,
    news: broadcast::Receiver<String>,
    standing: watch::Receiver<Option<String>>,
    ended: watch::Receiver<bool>,
    look: Option<Look>,
    /// Whose session it depends on, if it does.
    signed_in: Option<SignedIn>,
    looks_at: Instant,
    ends_at: Instant,
    _place: Place,
}

/// `GET /v1/alerts/events`.
pub async fn events(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mut alert_id = None;
    for pair in form(query.as_deref().unwrap_or_default()) {
        match pair {
            Some((name, id)) if name == "alert" && alert_id.is_none() && !id.is_empty() => {
                alert_id = Some(id)
            }
            _ => return Err(wrong("alert", "one alert's id")),
        }
    }
    let name = Actor::of(&who).seat().name.to_owned();
    let place = office.places.take(&name).ok_or_else(|| {
        let detail = "As many pages are told what changes as may be, of yours or of all. Close one.";
        Problem::of(Code::RateLimited).detail(detail).retry_after(PLACE_RETRY_S)
    })?;
    let token = sign_in::token(&headers).filter(|_| matches!(who, Who::Person(_)));
    let signed_in = token.map(|token| {
        let (desk, clock) = (Arc::clone(&office.desk), Arc::clone(&office.clock));
        SignedIn { desk, clock, token }
    });
    let feed = Feed::new(&office, (alert_id, name), signed_in, place);
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

impl Feed {
    /// What somebody is told who may look at one alert.
    fn new(
        office: &Office,
        (alert_id, name): (Option<String>, String),
        signed_in: Option<SignedIn>,
        place: Place,
    ) -> Self {
        // Before the look begins: the first news is who looks already.
        let news = office.looking.news.subscribe();
        let look = alert_id.map(|id| Look::begin(&office.looking, id, name));
        let mut standing = office.desk.standing().told();
        standing.mark_changed();
        let mut ended = office.desk.ended.subscribe();
        ended.mark_changed();
        let now = Instant::now();
        Self {
            changes: office.desk.changes(),
            news,
            standing,
            ended,
            look,
            signed_in,
            looks_at: now + LOOK_EVERY,
            ends_at: now + LASTS,
            _place: place,
        }
    }

    /// The next thing to tell; `None` when the session or the stream's time is over, or the process ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                () = sleep_until(self.ends_at) => return None,
                ended = self.ended.changed() => {
                    if ended.is_err() || *self.ended.borrow() {
                        return None;
                    }
                }
                () = sleep_until(self.looks_at) => {
                    self.looks_at = Instant::now() + LOOK_EVERY;
                    if let Some(signed_in) = &self.signed_in && !signed_in.still().await {
                        return None;
                    }
                }
                change = self.changes.recv() => return match change {
                    Ok(heard) => {
                        let (name, data) = told(&heard);
                        Some(event(name, &data))
                    }
                    // Too many to tell one by one: whoever reads this looks at all.
                    Err(RecvError::Lagged(_)) => Some(event("alert", &json!({ "alert_id": null }))),
                    Err(RecvError::Closed) => None,
                },
                news = self.news.recv() => {
                    let Some(look) = &self.look else { continue };
                    if news.is_ok_and(|alert_id| alert_id != look.alert_id) {
                        continue;
                    }
                    let names = look.looking.others(&look.alert_id, &look.name);
                    return Some(event("viewers", &json!({ "alert_id": look.alert_id, "names": names })));
                }
                changed = self.standing.changed() => {
                    changed.ok()?;
                    let why = self.standing.borrow_and_update().clone();
                    let standing = if why.is_some() { "unavailable" } else { "ok" };
                    return Some(event("database", &json!({ "standing": standing, "why": why })));
                }
            }
        }
    }
}

/// An event's name and what it says.
fn told(heard: &Heard) -> (&'static str, Value) {
    match heard {
        Heard::Change(change) => {
            let changed_at = time(change.changed_ms);
            let id = &change.alert_id;
            ("alert", json!({ "alert_id": id, "version": change.version, "changed_at": changed_at }))
        }
        Heard::Lease { alert_id, holder, until_ms } => {
            let until = time(*until_ms);
            ("lease", json!({ "alert_id": alert_id, "holder": holder, "lease_until": until }))
        }
    }
}

fn event(name: &'static str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

#[cfg(test)]
mod tests {
    use queue::{Change, Queue, Rules};

    use super::*;
    use crate::clock::StandingClock;

    const NOW: i64 = 1_000_000;

    struct World {
        office: Office,
        clock: Arc<StandingClock>,
        token: Token,
        _folder: tempfile::TempDir,
    }

    impl World {
        /// Anna is signed in.
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite:{}", folder.path().join("queue.db").display());
            let queue = Queue::open(&url, Rules::default()).await.unwrap();
            let (token, _) = queue.begin_session("anna", &["viewer".to_owned()], NOW).await.unwrap();
            let clock = Arc::new(StandingClock::at(NOW as u64));
            let office = Office {
                desk: Arc::new(Desk::of(queue)),
                rest: None,
                clock: Arc::clone(&clock) as Arc<dyn Clock + Sync>,
                looking: Arc::default(),
                strangers: Arc::default(),
                places: Arc::default(),
            };
            Self { office, clock, token, _folder: folder }
        }

        /// A stream of hers, after it has said how the database stands.
        async fn feed(&self) -> Feed {
            let (desk, clock) = (Arc::clone(&self.office.desk), Arc::clone(&self.office.clock));
            let signed_in = SignedIn { desk, clock, token: self.token.clone() };
            let place = self.office.places.take("anna").unwrap();
            let mut feed = Feed::new(&self.office, (None, "anna".to_owned()), Some(signed_in), place);
            assert!(feed.next().await.is_some());
            feed
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_session_its_time_and_the_process() {
        let world = World::new().await;
        let mut feed = world.feed().await;
        feed.looks_at = Instant::now();
        let waits = tokio::time::timeout(Duration::from_secs(1), feed.next()).await;
        assert!(waits.is_err(), "she is signed in: there is nothing to tell");
        assert!(feed.looks_at > Instant::now(), "it has looked");
        // It looked, and renewed nothing: half an hour after she came the session is over.
        world.clock.advance(Rules::default().session_idle_ms as u64);
        feed.looks_at = Instant::now();
        assert!(feed.next().await.is_none());
        let mut feed = world.feed().await;
        feed.ends_at = Instant::now();
        assert!(feed.next().await.is_none());
        let mut feed = world.feed().await;
        world.office.desk.end();
        assert!(feed.next().await.is_none(), "the process does not wait for who looks");
    }

    #[test]
    fn changes_and_renewed_claims_are_told() {
        let change = Change { alert_id: "a".to_owned(), version: 7, changed_ms: NOW };
        let (name, data) = told(&Heard::Change(change));
        let changed = json!({ "alert_id": "a", "version": 7, "changed_at": time(NOW) });
        assert_eq!((name, data), ("alert", changed));
        let lease = Heard::Lease { alert_id: "a".to_owned(), holder: "anna".to_owned(), until_ms: NOW };
        let until = json!({ "alert_id": "a", "holder": "anna", "lease_until": time(NOW) });
        assert_eq!(told(&lease), ("lease", until));
    }
}
