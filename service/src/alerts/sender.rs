//! The sender: carries out what follows from verdicts, once they cannot be taken back any more.
//!
//! A row is told to be sent only after the brokers have acknowledged it or the list is on the disk. What a crash leaves
//! between the two is done again: the label's bytes are the same, and the list has one entry a key. An entry that the
//! list will never take is written to the audit log under its alert, and not tried again.

use std::sync::Arc;
use std::time::Duration;

use queue::{Effect, EffectKind, OutboxRow, Queue, QueueError};
use schemas::payment::{Label, LabelSource};
use schemas::time::EventTime;
use serde_json::json;

use super::Desk;
use super::fault::bounded;
use super::standing::Part;
use crate::clock::{Clock, SystemClock};
use crate::lists::{ListBook, ListError, NewEntry};
use crate::policy::ListKind;
use crate::rest::Rest;

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// After something could not be done.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Rows carried out at once.
const BATCH: usize = 200;

/// Why something could not be done.
enum Waits {
    /// What comes after it would find the same.
    All(String),
    /// It alone.
    One(String),
}

/// Carries out what is of this kind, until the runtime ends. Each kind has a loop of its own: what one waits for does not
/// hold up the other.
pub async fn run(kind: EffectKind, desk: Arc<Desk>, rest: Arc<Rest>, lists: Arc<ListBook>) {
    let clock = SystemClock::default();
    loop {
        let done = match desk.queue.load_full() {
            Some(queue) => {
                let (desk, rest, lists) = (&*desk, &*rest, &lists);
                Turn { kind, desk, queue: &queue, rest, lists, clock: &clock }.run().await
            }
            None => Ok(0),
        };
        let pause = match done {
            Ok(BATCH) => Duration::ZERO,
            Ok(_) => LOOK_EVERY,
            Err(why) => {
                tracing::warn!(why, ?kind, "what follows from verdicts waits");
                AGAIN_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One look at the outbox.
struct Turn<'a> {
    kind: EffectKind,
    desk: &'a Desk,
    queue: &'a Queue,
    rest: &'a Rest,
    lists: &'a Arc<ListBook>,
    clock: &'a SystemClock,
}

impl Turn<'_> {
    /// How many were carried out.
    async fn run(&self) -> Result<usize, String> {
        let rows = self.met(bounded(self.queue.outbox(self.kind, BATCH, self.now_ms())).await)?;
        let mut sent = Vec::with_capacity(rows.len());
        let mut failed = None;
        for OutboxRow { seq, alert_id, effect } in rows {
            match self.carry_out(&alert_id, effect).await {
                Ok(()) => sent.push(seq),
                Err(Waits::One(why)) => failed = Some(why),
                Err(Waits::All(why)) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        if !sent.is_empty() {
            self.met(bounded(self.queue.sent(&sent, self.now_ms())).await)?;
        }
        failed.map_or(Ok(sent.len()), Err)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    /// Says how the database took it.
    fn met<T>(&self, answer: Result<T, QueueError>) -> Result<T, String> {
        let answer = answer.map_err(|error| error.to_string());
        self.desk.standing.met(Part::Sender(self.kind), answer.as_ref().err().cloned());
        answer
    }

    async fn carry_out(&self, alert_id: &str, effect: Effect) -> Result<(), Waits> {
        match effect {
            Effect::Label { transaction_id, fraud, label_ms } => {
                let label_time = EventTime::from_ms(label_ms);
                let label_time = label_time.ok_or_else(|| Waits::One("a label's time is none".to_owned()))?;
                let transaction_id = transaction_id.into_boxed_str();
                let label = Label { transaction_id, fraud, label_time, source: LabelSource::Analyst };
                let sent = self.rest.send_label(&label).await;
                sent.map_err(|_| Waits::All("the brokers did not acknowledge a label".to_owned()))
            }
            Effect::Block { entity, key, owner, reason } => {
                let (list, created_ms) = (ListKind::Block, self.now_ms());
                let entry = NewEntry { list, entity, key, owner, reason, created_ms, expires_ms: None };
                let lists = Arc::clone(self.lists);
                let put = tokio::task::spawn_blocking(move || lists.put(entry)).await;
                match put.map_err(|error| Waits::One(error.to_string()))? {
                    Ok(_) => Ok(()),
                    // Trying again would change nothing, such as an entity that the config does not have any more.
                    Err(error @ ListError::Invalid { .. }) => self.refused(alert_id, &error).await,
                    Err(error) => Err(Waits::All(error.to_string())),
                }
            }
        }
    }

    async fn refused(&self, alert_id: &str, error: &ListError) -> Result<(), Waits> {
        let why = error.to_string();
        tracing::warn!(alert_id, why, "a block that a verdict asked for cannot be made");
        let detail = json!({ "why": why });
        let audit = self.queue.write_audit("block list", "block_refused", alert_id, &detail, self.now_ms());
        self.met(bounded(audit).await).map_err(Waits::All)
    }
}
