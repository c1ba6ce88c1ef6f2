//! The sender: carries out what follows from verdicts, once they cannot be taken back any more.
//!
//! A row is told to be sent only after the brokers have acknowledged it or the list is on the disk. What a crash leaves
//! between the two is done again: the label's bytes are the same, and the list has one entry a key.

use std::sync::Arc;
use std::time::Duration;

use queue::{Effect, OutboxRow, Queue, QueueError};
use schemas::payment::{Label, LabelSource};
use schemas::time::EventTime;

use super::Desk;
use super::fault::bounded;
use super::standing::Part;
use crate::clock::{Clock, SystemClock};
use crate::lists::{ListBook, NewEntry};
use crate::policy::ListKind;
use crate::rest::Rest;

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// After something could not be done.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Rows carried out at once.
const BATCH: usize = 200;

/// Runs until the runtime ends.
pub async fn run(desk: Arc<Desk>, rest: Arc<Rest>, lists: Arc<ListBook>) {
    let clock = SystemClock::default();
    loop {
        let done = match desk.queue.load_full() {
            Some(queue) => turn(&desk, &queue, &rest, &lists, &clock).await,
            None => Ok(0),
        };
        let pause = match done {
            Ok(sent) if sent == BATCH => Duration::ZERO,
            Ok(_) => LOOK_EVERY,
            Err(why) => {
                tracing::warn!(why, "what follows from verdicts waits");
                AGAIN_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn turn(
    desk: &Desk,
    queue: &Queue,
    rest: &Rest,
    lists: &Arc<ListBook>,
    clock: &SystemClock,
) -> Result<usize, String> {
    let rows = met(desk, bounded(queue.outbox(BATCH, clock.now().wall_ms)).await)?;
    let mut sent = Vec::with_capacity(rows.len());
    let mut failed = None;
    for OutboxRow { seq, effect } in rows {
        match carry_out(effect, rest, lists, clock.now().wall_ms).await {
            Ok(()) => sent.push(seq),
            Err(why) => failed = Some(why),
        }
    }
    if !sent.is_empty() {
        met(desk, bounded(queue.sent(&sent, clock.now().wall_ms)).await)?;
    }
    failed.map_or(Ok(sent.len()), Err)
}

/// Says how the database took it.
fn met<T>(desk: &Desk, answer: Result<T, QueueError>) -> Result<T, String> {
    let answer = answer.map_err(|error| error.to_string());
    desk.standing.met(Part::Sender, answer.as_ref().err().cloned());
    answer
}

async fn carry_out(effect: Effect, rest: &Rest, lists: &Arc<ListBook>, now_ms: i64) -> Result<(), String> {
    match effect {
        Effect::Label { transaction_id, fraud, label_ms } => {
            let label_time = EventTime::from_ms(label_ms).ok_or("a label's time is none")?;
            let transaction_id = transaction_id.into_boxed_str();
            let label = Label { transaction_id, fraud, label_time, source: LabelSource::Analyst };
            rest.send_label(&label).await.map_err(|_| "the brokers did not acknowledge a label".to_owned())
        }
        Effect::Block { entity, key, owner, reason } => {
            let list = ListKind::Block;
            let entry = NewEntry { list, entity, key, owner, reason, created_ms: now_ms, expires_ms: None };
            let lists = Arc::clone(lists);
            let put = tokio::task::spawn_blocking(move || lists.put(entry)).await;
            put.map_err(|error| error.to_string())?.map(|_| ()).map_err(|error| error.to_string())
        }
    }
}
