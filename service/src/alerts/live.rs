//! What happens while somebody looks: changed alerts, who else looks, how the database stands; as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use queue::Change;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::route::{Actor, Office};
use crate::access::Who;
use crate::http::answer::Problem;
use crate::http::request::{form, time, wrong};

/// A sign of life, so that neither side thinks that the other is gone: less than the door's patience.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

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

struct Feed {
    changes: broadcast::Receiver<Change>,
    news: broadcast::Receiver<String>,
    standing: watch::Receiver<Option<String>>,
    look: Option<Look>,
}

/// `GET /v1/alerts/events`.
pub async fn events(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
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
    let actor = Actor::of(&who);
    let news = office.looking.news.subscribe();
    let look = alert_id.map(|id| Look::begin(&office.looking, id, actor.seat().name.to_owned()));
    let mut standing = office.desk.standing().told();
    standing.mark_changed();
    let feed = Feed { changes: office.desk.changes(), news, standing, look };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

impl Feed {
    /// The next thing to tell; `None` when the process ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                change = self.changes.recv() => return match change {
                    Ok(change) => Some(event("alert", &json!({ "alert_id": change.alert_id, "version": change.version,
                        "changed_at": time(change.changed_ms) }))),
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

fn event(name: &'static str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
