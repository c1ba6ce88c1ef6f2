//! The desk: two threads that look up features and score, for callers who wait no longer than their deadline.
//!
//! ```text
//! caller ─ Look ─► features thread ─ Seen ──────────► caller
//!                        └─ vector ─► model thread ─ score ─► caller
//! ```
//! A store that is slow or a model that hangs stops a thread here and never a caller: who waits gives up at the end of
//! his budget and has his fallback. Each thread has its own queue, so what is late is named rightly. Queues are
//! bounded; what does not fit is answered by the fallback at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use feature_store::enricher::{Ahead, Enriched};
use models::Model;
use schemas::payment::{ContentHash, Payment};
use schemas::value::FeatureValue;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::fault::Faults;
use crate::pipeline::lock;
use crate::turn::Turn;

/// Looks that may wait: at some 20 us each the last has its answer within a budget.
const WAITING: usize = 1_024;

/// Most vectors of one call to the model.
const MODEL_BATCH: usize = 64;

/// What a caller asks for.
pub struct Look {
    /// The engine.
    pub engine: Engine,
    /// The payment.
    pub payment: Arc<Payment>,
    /// Whether the payment is counted as ahead of others from now on.
    pub joins: Joins,
    /// What scores it.
    pub model: Option<Arc<Model>>,
    /// Until when it is of use.
    pub by: Instant,
    /// Where what was seen goes.
    pub seen: oneshot::Sender<Seen>,
    /// Where the score goes.
    pub scored: oneshot::Sender<Scored>,
}

/// Whether a look leaves a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joins {
    /// The payment was accepted.
    Yes,
    /// It is only tried.
    No,
}

/// What was seen.
pub enum Seen {
    /// The stream does not know the payment.
    New(Box<View>),
    /// It does, with this content.
    Known(ContentHash),
    /// It is too old to be decided.
    Late,
    /// The store cannot read a state.
    Failed,
}

/// What a new payment sees.
#[derive(Debug, Clone)]
pub struct View {
    /// Versions.
    pub enriched: Enriched,
    /// The vector.
    pub vector: Vec<FeatureValue>,
    /// Who is ahead.
    pub ahead: Ahead,
    /// How long it took, microseconds.
    pub took_us: i64,
}

/// What the model said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scored {
    /// A score, and how long it took, microseconds.
    Score(Option<f64>, i64),
    /// The model failed.
    Failed,
}

struct ToScore {
    model: Arc<Model>,
    vector: Vec<FeatureValue>,
    scored: oneshot::Sender<Scored>,
}

/// The way to the two threads; they end when it is dropped.
#[derive(Clone)]
pub struct Desk {
    looks: SyncSender<Look>,
}

impl Desk {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(faults: Arc<Faults>) -> std::io::Result<Self> {
        let (looks, waiting) = sync_channel(WAITING);
        let (to_score, unscored) = sync_channel(WAITING);
        let slow = Arc::clone(&faults);
        Turn::First.spawn("features", move || look(&waiting, &to_score, &slow))?;
        Turn::First.spawn("scores", move || score(&unscored, &faults))?;
        Ok(Self { looks })
    }

    /// Hands in a look; `false` when there is no room.
    #[must_use]
    pub fn look(&self, look: Look) -> bool {
        self.looks.try_send(look).is_ok()
    }
}

fn look(waiting: &Receiver<Look>, to_score: &SyncSender<ToScore>, faults: &Faults) {
    for look in waiting.iter() {
        if look.seen.is_closed() || look.by <= Instant::now() {
            continue;
        }
        let began = Instant::now();
        let seen = see(&look, faults, began);
        let unscored = match (&seen, look.model) {
            (Seen::New(view), Some(model)) => {
                Some(ToScore { model, vector: view.vector.clone(), scored: look.scored })
            }
            _ => None,
        };
        // Gone: he has his fallback.
        let _ = look.seen.send(seen);
        if let Some(unscored) = unscored {
            // No room: the caller's wait for the score ends at once, since its sender is dropped here.
            let _ = to_score.try_send(unscored);
        }
    }
}

fn see(look: &Look, faults: &Faults, began: Instant) -> Seen {
    let (engine, payment) = (&look.engine, &look.payment);
    let mut enricher = lock(&engine.state);
    faults.store();
    if let Some(content) = enricher.known(&payment.transaction_id) {
        return Seen::Known(content);
    }
    if enricher.is_late(payment.event_time.ms()) {
        return Seen::Late;
    }
    if look.seen.is_closed() {
        return Seen::Failed;
    }
    let glimpse = match enricher.glimpse(payment) {
        Ok(glimpse) => glimpse,
        Err(error) => {
            tracing::error!(%error, "a state cannot be read: the policy's fallback decides");
            return Seen::Failed;
        }
    };
    let ahead = match look.joins {
        Joins::Yes => engine.accepted.join(payment),
        Joins::No => engine.accepted.ahead(payment),
    };
    drop(enricher);
    let mut vector = vec![FeatureValue::Null; engine.judge.width()];
    let enriched = glimpse.see(&engine.definitions, payment, &ahead, &mut vector);
    Seen::New(Box::new(View { enriched, vector, ahead, took_us: micros(began) }))
}

fn score(unscored: &Receiver<ToScore>, faults: &Faults) {
    let mut batch: Vec<ToScore> = Vec::with_capacity(MODEL_BATCH);
    let (mut vectors, mut scores) = (Vec::new(), Vec::new());
    while let Ok(first) = unscored.recv() {
        batch.push(first);
        // What waits is scored in the same call, as long as it is for the same model.
        while batch.len() < MODEL_BATCH
            && let Ok(next) = unscored.try_recv()
        {
            let other = !Arc::ptr_eq(&next.model, &batch[0].model);
            batch.push(next);
            if other {
                break;
            }
        }
        while let Some(first) = batch.first() {
            let model = Arc::clone(&first.model);
            let same = batch.iter().take_while(|one| Arc::ptr_eq(&one.model, &model)).count();
            let began = Instant::now();
            vectors.clear();
            scores.clear();
            batch.iter().take(same).for_each(|one| vectors.extend_from_slice(&one.vector));
            let width = vectors.len() / same.max(1);
            let done = faults
                .model()
                .and_then(|()| model.score(&vectors, width, &mut scores).map_err(|error| error.to_string()));
            if let Err(error) = &done {
                tracing::warn!(model = %model.id(), %error, "the model failed: the policy's fallback decides");
            }
            let took_us = micros(began) / i64::try_from(same.max(1)).unwrap_or(1);
            for (place, one) in batch.drain(..same).enumerate() {
                let scored = match (&done, scores.get(place)) {
                    (Ok(()), Some(score)) => Scored::Score(*score, took_us),
                    _ => Scored::Failed,
                };
                // Gone: he has his fallback.
                let _ = one.scored.send(scored);
            }
        }
    }
}

fn micros(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX)
}
