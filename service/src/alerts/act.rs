//! The bodies of the analysts' routes, read and checked.

use queue::alert::{Alert, Disposition};
use queue::{Queue, QueueError, Resolution, Seat};
use serde::Deserialize;

use crate::http::answer::{Code, Problem};
use crate::http::request::{at, parsed, rfc3339};

/// Most alerts of one bulk action.
const BULK: usize = 500;

/// What is done with one alert.
pub enum Act {
    Claim,
    Release,
    Assign(Option<String>),
    Snooze(i64),
    Escalate(String),
    Resolve(Resolution),
    Approve,
    Reject,
    Note(String),
}

impl Act {
    /// Reads what the path and the body say.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(word: &str, body: &[u8]) -> Result<Self, Problem> {
        Ok(match word {
            "claim" => nothing(body, Act::Claim)?,
            "release" => nothing(body, Act::Release)?,
            "approve" => nothing(body, Act::Approve)?,
            "reject" => nothing(body, Act::Reject)?,
            "assign" => Act::Assign(parsed::<Assign>(body)?.to),
            "snooze" => {
                let Snooze { until } = parsed(body)?;
                Act::Snooze(rfc3339(&until).ok_or_else(|| at("/until", "RFC 3339"))?)
            }
            "escalate" => Act::Escalate(parsed::<Escalate>(body)?.reason),
            "resolve" => Act::Resolve(parsed::<Resolve>(body)?.resolution()?),
            "notes" => Act::Note(parsed::<Note>(body)?.text),
            _ => return Err(Problem::of(Code::NotFound)),
        })
    }

    /// Has it done.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub async fn done(
        &self,
        queue: &Queue,
        seat: Seat<'_>,
        id: &str,
        version: i64,
        now_ms: i64,
    ) -> Result<Alert, QueueError> {
        match self {
            Act::Claim => queue.claim(seat, id, version, now_ms).await,
            Act::Release => queue.release(seat, id, version, now_ms).await,
            Act::Assign(to) => queue.assign(seat, id, version, to.as_deref(), now_ms).await,
            Act::Snooze(until_ms) => queue.snooze(seat, id, version, *until_ms, now_ms).await,
            Act::Escalate(reason) => queue.escalate(seat, id, version, reason, now_ms).await,
            Act::Resolve(resolution) => queue.resolve(seat, id, version, resolution, now_ms).await,
            Act::Approve => queue.approve(seat, id, version, now_ms).await,
            Act::Reject => queue.reject(seat, id, version, now_ms).await,
            Act::Note(text) => queue.note(seat, id, version, text, now_ms).await,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snooze {
    until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Escalate {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    disposition: String,
    reason: String,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    block: Option<bool>,
}

impl Resolve {
    fn resolution(self) -> Result<Resolution, Problem> {
        let words = Disposition::ALL.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(", ");
        let disposition = Disposition::parse(&self.disposition).ok_or_else(|| at("/disposition", &words))?;
        let note = self.note.filter(|note| !note.trim().is_empty());
        Ok(Resolution { disposition, reason: self.reason, note, block: self.block.unwrap_or(false) })
    }
}

/// An action that takes no body; an empty object is none.
fn nothing(body: &[u8], act: Act) -> Result<Act, Problem> {
    match body.trim_ascii() {
        b"" | b"{}" => Ok(act),
        _ => Err(at("", "no body")),
    }
}

/// A sign of life.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    #[serde(default)]
    /// What is written and not sent.
    pub draft: Option<String>,
}

/// Which key is to be told.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    #[serde(default)]
    /// Another entity than the alert's.
    pub entity: Option<String>,
}

/// One verdict on many.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    alerts: Vec<Seen>,
    disposition: String,
    reason: String,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    block: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    alert_id: String,
    version: i64,
}

impl Bulk {
    /// Which alerts at which versions, and the verdict.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn read(self) -> Result<(Vec<(String, i64)>, Resolution), Problem> {
        let Self { alerts, disposition, reason, note, block } = self;
        if !(1..=BULK).contains(&alerts.len()) {
            return Err(at("/alerts", &format!("1 to {BULK} alerts")));
        }
        let resolution = Resolve { disposition, reason, note, block }.resolution()?;
        Ok((alerts.into_iter().map(|seen| (seen.alert_id, seen.version)).collect(), resolution))
    }
}
