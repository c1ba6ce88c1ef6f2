//! `POST /v1/chargebacks`: a file of chargebacks becomes labels; what of it is wrong is told line by line.
//!
//! A CSV file (RFC 4180) with a header line. `transaction_id` is needed; `label_time` (RFC 3339, else now), `fraud`
//! (`true` or `false`, else true) may be there; other columns are left alone. A label counts once: the whole file may be
//! sent again. A time that has not come yet is refused: a label of then would stand against every one of now.

use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::{Extension, Json};
use csv::StringRecord;
use futures_util::{StreamExt, stream};
use schemas::payment::{Label, LabelSource, MAX_KEY_BYTES};
use schemas::time::EventTime;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::within;
use super::route::{Actor, Office};
use crate::access::Who;
use crate::http::Remote;
use crate::http::answer::{Code, Problem};
use crate::http::request::{at, body, no_query, rfc3339};

/// Where it is sent to.
pub const PATH: &str = "/v1/chargebacks";

/// Largest file.
pub const FILE_BYTES: usize = 8 << 20;

/// How long one may take to come: 8 MiB over a line of 1.2 Mbit/s. Longer than the door waits for anybody else.
const FILE_WITHIN: Duration = Duration::from_secs(60);

/// How long its labels may take to leave, beyond the door's patience: who waits for them sends nothing meanwhile.
const SENT_WITHIN: Duration = Duration::from_secs(60);

/// Most lines of one: what is read of them is held until the last label is out.
const MOST_LINES: usize = 100_000;

/// Lines refused that are told; the rest is counted.
const MOST_TOLD: usize = 1_000;

/// Labels that are on their way to the brokers at once.
const AT_ONCE: usize = 256;

/// A line that is refused.
struct Refused {
    line: u64,
    why: String,
}

/// Takes a file.
pub async fn file(
    State(office): State<Office>,
    Extension(who): Extension<Who>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    no_query(request.uri().query())?;
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("text/csv") {
        return Err(Problem::of(Code::UnsupportedMediaType).detail("Send `Content-Type: text/csv`."));
    }
    let rest = office.rest.clone().ok_or_else(|| Problem::of(Code::Unavailable).retry_after(1))?;
    // Who comes so far was let in.
    let remote = request.extensions().get::<ConnectInfo<Remote>>().map(|ConnectInfo(remote)| remote.clone());
    let longer = remote.map(|remote| remote.may_take(FILE_WITHIN));
    let file = body(request, FILE_BYTES, FILE_WITHIN).await?;
    if let Some(longer) = &longer {
        longer.anew(SENT_WITHIN);
    }
    let (labels, refused) = read(&file, Clocks { now_ms: office.now_ms(), skew_ms: rest.skew().0 })?;
    // Before the first leaves: what could not be written down is not done.
    let (queue, now_ms, actor) = (office.desk.queue()?, office.now_ms(), Actor::of(&who));
    let detail = json!({ "sha256": hex::encode(Sha256::digest(&file)), "lines": labels.len(), "refused": refused.len() });
    within(queue.write_audit(actor.seat().name, "chargebacks", "file", &detail, now_ms)).await?;
    let count = labels.len();
    let sent = stream::iter(labels).map(|label| {
        let rest = &rest;
        async move { rest.send_label(&label).await }
    });
    let mut sent = sent.buffered(AT_ONCE);
    while let Some(one) = sent.next().await {
        one.map_err(|problem| {
            problem.detail("Not the whole file was taken. Send it again: a label counts once.")
        })?;
    }
    let told: Vec<_> =
        refused.iter().take(MOST_TOLD).map(|one| json!({ "line": one.line, "why": one.why })).collect();
    Ok(Json(json!({ "taken": count, "refused_lines": refused.len(), "refused": told })))
}

/// What time it is, and how far ahead of it others' clocks may be.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    now_ms: i64,
    skew_ms: i64,
}

fn read(file: &[u8], clocks: Clocks) -> Result<(Vec<Label>, Vec<Refused>), Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let headers = reader.headers().map_err(|error| at("", &format!("a CSV file in UTF-8: {error}")))?.clone();
    let place = |name: &str| headers.iter().position(|header| header.trim_start_matches('\u{feff}') == name);
    let id = place("transaction_id").ok_or_else(|| at("", "a header line with the column transaction_id"))?;
    let columns = Columns { id, time: place("label_time"), fraud: place("fraud") };
    let (mut labels, mut refused) = (Vec::new(), Vec::new());
    for (number, record) in reader.records().enumerate() {
        if number == MOST_LINES {
            return Err(at("", &format!("at most {MOST_LINES} lines; send the rest in another file")));
        }
        let line = record.as_ref().ok().and_then(|record| Some(record.position()?.line()));
        let line = line.unwrap_or(number as u64 + 2);
        let label = record.map_err(|_| "not as many columns as the header line, or no UTF-8".to_owned());
        match label.and_then(|record| columns.label(&record, clocks)) {
            Ok(label) => labels.push(label),
            Err(why) => refused.push(Refused { line, why }),
        }
    }
    Ok((labels, refused))
}

struct Columns {
    id: usize,
    time: Option<usize>,
    fraud: Option<usize>,
}

impl Columns {
    fn label(&self, record: &StringRecord, Clocks { now_ms, skew_ms }: Clocks) -> Result<Label, String> {
        let cell =
            |place: Option<usize>| place.and_then(|place| record.get(place)).filter(|cell| !cell.is_empty());
        let id = cell(Some(self.id)).ok_or("no transaction_id")?;
        if id.len() > MAX_KEY_BYTES || id.contains('\0') {
            return Err(format!("a transaction_id has 1 to {MAX_KEY_BYTES} bytes"));
        }
        let time_ms = match cell(self.time) {
            None => now_ms,
            Some(text) => rfc3339(text).ok_or("label_time is RFC 3339, such as 2026-11-25T10:00:00Z")?,
        };
        if time_ms > now_ms.saturating_add(skew_ms) {
            return Err("label_time is further ahead than limits.skew allows".to_owned());
        }
        let fraud = match cell(self.fraud) {
            None => true,
            Some(word) => word.parse().map_err(|_| "fraud is true or false")?,
        };
        let label_time = EventTime::from_ms(time_ms).ok_or("label_time is from 1970 on")?;
        Ok(Label { transaction_id: id.into(), fraud, label_time, source: LabelSource::Chargeback })
    }
}

#[cfg(test)]
mod tests {
    use schemas::time::HOUR_MS;

    use super::*;

    #[test]
    fn a_time_that_has_not_come_is_refused_and_the_other_lines_are_taken() {
        let now_ms = rfc3339("2026-11-25T10:00:00Z").unwrap();
        let file = "transaction_id,label_time,fraud\n\
                    t1,2026-11-25T10:00:00Z,true\n\
                    t2,2026-11-25T11:00:00Z,false\n\
                    t3,2026-11-25T11:00:00.001Z,true\n\
                    t4,2062-11-25T10:00:00Z,true\n\
                    t5,,\n";
        let (labels, refused) = read(file.as_bytes(), Clocks { now_ms, skew_ms: HOUR_MS }).unwrap();
        let taken: Vec<_> = labels.iter().map(|label| (&*label.transaction_id, label.fraud)).collect();
        assert_eq!(taken, [("t1", true), ("t2", false), ("t5", true)]);
        assert_eq!(refused.iter().map(|one| one.line).collect::<Vec<_>>(), [4, 5]);
        assert!(refused.iter().all(|one| one.why.contains("limits.skew")));
    }
}
