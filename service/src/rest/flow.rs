//! The way of one payment from its caller to its answer.
//!
//! ```text
//! begin ─► features ─► model ─► judge ─► decide ─► record ─► told
//!   │          └──── each within its part of the deadline, else the policy's fallback
//!   └ seen before: the decision that stands
//! ```
//! It runs in a task of its own: a caller who hangs up changes nothing. What follows is stated once more because all
//! depends on it: from `join` on (in the features step) the payment counts for others, so from then on it is always
//! decided and always sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use feature_store::enricher::{Ahead, Enriched};
use schemas::codec::SchemaId;
use schemas::decision::{Decision, Door, Latency, decision_id};
use schemas::payment::{ContentHash, Payment};
use schemas::sensitive::masked;
use schemas::value::FeatureValue;
use smallvec::SmallVec;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;

use super::admission::Place;
use super::desk::{Joins, Look, Scored, Seen, View};
use super::engine::Engine;
use super::kept::Entry;
use super::recorder::{Of, Recorded};
use super::{Budget, Rest};
use crate::accepted::{Begin, Left, Stage};
use crate::emit;
use crate::index::IndexError;
use crate::judge::{Case, Written};
use crate::made::Made;
use crate::pipeline::Deciders;
use crate::policy::Lack;
use crate::telemetry::RestOutcome;

/// A payment to be decided.
pub struct Asked {
    /// The payment.
    pub payment: Arc<Payment>,
    /// Its record's value: framed Avro.
    pub value: Vec<u8>,
    /// The schema of that.
    pub schema_id: SchemaId,
    /// How long the caller waits.
    pub budget: Budget,
    /// Whether it is decided for good.
    pub joins: Joins,
    /// The caller's trace.
    pub traceparent: Option<Box<str>>,
    /// Held until it is decided, whether its caller waits or hangs up: who is inside is what is worked at.
    pub place: Arc<Place>,
}

/// What the caller is told.
#[derive(Debug, Clone)]
pub struct Told {
    /// The decision.
    pub made: Arc<Made>,
    /// It was decided before.
    pub replayed: bool,
    /// The brokers have the payment's record; `None` for one that was only tried, which has none.
    pub recorded: Option<bool>,
}

impl Told {
    fn before(made: Arc<Made>, recorded: bool) -> Self {
        Self { made, replayed: true, recorded: Some(recorded) }
    }
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A payment with this id and other content was decided.
    Conflict,
    /// It is being decided for somebody else and is not ready in time; or whether it was decided before cannot be told now.
    InFlight,
    /// It is too old.
    Late,
    /// It is too far in the future.
    Future,
    /// Something that no fallback can replace is not there.
    Unavailable(&'static str),
    /// It was decided before, and nothing here has the decision.
    NotIndexed,
}

/// Accepted for callers and not applied by the stream, beyond what waits for the brokers: so many, and nobody more is
/// accepted. At thousands a second it is some seconds of a stream that stands.
const MOST_AHEAD: usize = 20_000;

impl Rest {
    /// Decides one payment, in a task of its own.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn ask(self: &Arc<Self>, asked: Asked) -> Result<Told, Refusal> {
        let began = asked.budget.began;
        let answer = self.decided(asked).await;
        self.telemetry.answered(outcome(&answer), micros(began.elapsed()));
        answer
    }

    async fn decided(self: &Arc<Self>, asked: Asked) -> Result<Told, Refusal> {
        let closed = || Refusal::Unavailable(self.closed().unwrap_or("not yet"));
        let engine = self.engine().ok_or_else(closed)?.clone();
        let (rest, payment, accepted) =
            (Arc::clone(self), Arc::clone(&asked.payment), Arc::clone(&engine.accepted));
        let task = tokio::spawn(async move { rest.flow(&engine, asked).await });
        task.await.unwrap_or_else(|_| {
            accepted.refused(&payment, Left::Unknown);
            Err(Refusal::Unavailable("the decision failed; the log says why"))
        })
    }

    async fn flow(&self, engine: &Engine, asked: Asked) -> Result<Told, Refusal> {
        let payment = &asked.payment;
        if asked.joins == Joins::Yes
            && let Some(told) = self.begun(engine, &asked).await
        {
            return told;
        }
        let now = self.clock.now();
        if payment.event_time.ms() > now.wall_ms.saturating_add(self.limits.skew.0) {
            self.leave(engine, &asked, Left::Future);
            return Err(Refusal::Future);
        }
        let deciders = (self.deciders)();
        let looked = self.look(engine, &asked, &deciders).await;
        let (view, scored) = match looked {
            Looked::There(Seen::Known(content), _) => {
                self.leave(engine, &asked, Left::Known(content));
                return self.known(engine, content, &asked).await;
            }
            Looked::There(Seen::Late, _) => {
                self.leave(engine, &asked, Left::Late);
                return Err(Refusal::Late);
            }
            Looked::There(Seen::New(view), scored) => (Ok(view), scored),
            Looked::There(Seen::Failed, _) => (Err(Lack::FeaturesUnavailable), None),
            Looked::Not(why) => (Err(why), None),
        };
        if view.is_err() {
            if let Some(told) = self.recalled(engine, &asked).await {
                return told;
            }
            // The state could not say it: by the time of the slowest partition, as it would have.
            let late_ms = engine.accepted.slowest_ms().saturating_sub(self.limits.lateness.0);
            if payment.event_time.ms() < late_ms && self.leave(engine, &asked, Left::Late) {
                return Err(Refusal::Late);
            }
        }
        let made = self.judge(engine, &asked, &deciders, view.as_deref().map_err(|why| *why), scored);
        if asked.joins == Joins::No {
            return Ok(Told { made: Arc::new(made), replayed: false, recorded: None });
        }
        self.stand(engine, &asked, made).await
    }

    /// Takes a payment on, to be decided here; or what came of it, where somebody else has or had it.
    async fn begun(&self, engine: &Engine, asked: &Asked) -> Option<Result<Told, Refusal>> {
        if let Some(why) = self.takes_no_more() {
            return Some(Err(Refusal::Unavailable(why)));
        }
        loop {
            let stage = match engine.accepted.begin(&asked.payment) {
                Begin::New => return None,
                Begin::Same(stage) => return Some(self.wait(stage, asked).await),
                Begin::Other(stage) => stage,
            };
            // The same id, and other content. Which of the two is the payment that counts shows when that one is settled.
            match self.settled(stage, asked).await {
                Stage::Decided { .. } => return Some(Err(Refusal::Conflict)),
                Stage::Left(Left::Known(content)) => return Some(self.known(engine, content, asked).await),
                Stage::Deciding => return Some(Err(Refusal::InFlight)),
                // That one is nothing: this one is as if it had come alone.
                Stage::Left(Left::Conflict | Left::Late | Left::Future | Left::Unknown) => {}
            }
        }
    }

    /// Why no payment is accepted, if none is: what would be answered could be lost, or grow without end.
    pub(super) fn takes_no_more(&self) -> Option<&'static str> {
        if self.recorder.adrift() > 0 {
            return Some("the brokers do not answer, and the disk does not take what would be kept for them");
        }
        if self.recorder.kept() >= self.limits.kept {
            return Some("too many payments wait for the brokers");
        }
        let is_behind = self.accepted.open() >= self.limits.kept.saturating_add(MOST_AHEAD);
        is_behind.then_some("the stream does not apply what was accepted")
    }

    /// What came of a payment that the state could not be asked about, if it was decided before: by the ids of late, and
    /// by the index, which has the rest. One of which it cannot be told is not decided a second time.
    async fn recalled(&self, engine: &Engine, asked: &Asked) -> Option<Result<Told, Refusal>> {
        if let Some(content) = engine.accepted.lately(&asked.payment) {
            self.leave(engine, asked, Left::Known(content));
            return Some(self.known(engine, content, asked).await);
        }
        let found = self.find(&asked.payment);
        let can_tell = found.is_ok() && (self.index.is_none() || self.indexed.has_the_rest());
        if let Ok(Some(made)) = found {
            let is_same = is_of(&made.decision, &asked.payment);
            let why = if is_same { Left::Known(asked.payment.content) } else { Left::Conflict };
            let told = if is_same { Ok(Told::before(made, true)) } else { Err(Refusal::Conflict) };
            // One that counts for others already is one that the state does not know: forgotten long ago.
            return self.leave(engine, asked, why).then_some(told);
        }
        (!can_tell && self.leave(engine, asked, Left::Unknown)).then_some(Err(Refusal::InFlight))
    }

    /// Ends what `begin` began, where nothing is to be decided. `false` where it has to be decided all the same.
    fn leave(&self, engine: &Engine, asked: &Asked, why: Left) -> bool {
        asked.joins == Joins::No || engine.accepted.leave(&asked.payment, why)
    }

    /// Looks up the features, and has them scored while there is time.
    async fn look(&self, engine: &Engine, asked: &Asked, deciders: &Deciders) -> Looked {
        let (seen, mut was_seen) = oneshot::channel();
        let (scored, mut was_scored) = oneshot::channel();
        let look = Look {
            engine: engine.clone(),
            payment: Arc::clone(&asked.payment),
            joins: asked.joins,
            model: deciders.model.clone(),
            by: asked.budget.features_by.into_std(),
            seen,
            scored,
        };
        if !self.desk.look(look) {
            return Looked::Not(Lack::Overload);
        }
        // Woken once, by the score: the desk says what it saw before it hands the vector on. A look that leads to no
        // score drops its sender, which wakes too.
        let scored = timeout_at(asked.budget.features_by, &mut was_scored).await;
        let seen = match scored {
            Ok(_) => timeout_at(asked.budget.features_by, &mut was_seen).await.ok().and_then(Result::ok),
            Err(_) => was_seen.try_recv().ok(),
        };
        let Some(seen) = seen else { return Looked::Not(Lack::FeaturesUnavailable) };
        let scored = match (&seen, scored) {
            (Seen::New(_), Ok(scored)) => scored.ok(),
            (Seen::New(_), Err(_)) => {
                timeout_at(asked.budget.model_by, was_scored).await.ok().and_then(Result::ok)
            }
            _ => None,
        };
        Looked::There(seen, scored)
    }

    fn judge(
        &self,
        engine: &Engine,
        asked: &Asked,
        deciders: &Deciders,
        view: Result<&View, Lack>,
        scored: Option<Scored>,
    ) -> Made {
        let began = Instant::now();
        let unseen = View {
            enriched: Enriched {
                versions: SmallVec::new(),
                approximate: false,
                labels_until: SmallVec::new(),
            },
            vector: vec![FeatureValue::Null; engine.judge.width()],
            ahead: Ahead::new(),
            took_us: 0,
        };
        let (score, model_us) = match scored {
            Some(Scored::Score(score, took_us)) => (score, took_us),
            _ => (None, 0),
        };
        let lack = match (view, &deciders.model, scored) {
            (Err(why), ..) => Some(why),
            (Ok(_), None, _) => Some(Lack::NoModel),
            (Ok(_), Some(_), None) => Some(Lack::ModelTimeout),
            (Ok(_), Some(_), Some(_)) if score.is_none() => Some(Lack::ModelFailed),
            _ if self.freshness.is_stale(self.limits.stale_after) => Some(Lack::FeaturesStale),
            _ => None,
        };
        let view = view.unwrap_or(&unseen);
        let now = self.clock.now();
        let case = Case { payment: &asked.payment, seen: &view.enriched, vector: &view.vector, score, lack };
        let written = Written {
            door: Door::Rest,
            source: (-1, -1),
            schema_id: i32::try_from(asked.schema_id.0).unwrap_or(0),
            decided_at_ms: now.wall_ms,
            judged_ms: now.wall_ms,
            attempt: 1,
            latency_us: Latency::default(),
        };
        let mut made = engine.judge.decide(deciders, &case, &written);
        pend(&mut made, &asked.payment, view);
        made.decision.latency_us = Latency {
            decode: 0,
            features: view.took_us,
            model: model_us,
            policy: micros(began.elapsed()),
            total: micros(asked.budget.began.elapsed()),
        };
        made
    }

    /// The decision stands from here on: it is sent, and told.
    async fn stand(&self, engine: &Engine, asked: &Asked, mut made: Made) -> Result<Told, Refusal> {
        let payment = &asked.payment;
        let Some(decision) = self.sealed(&mut made, &asked.value) else {
            tracing::error!(
                decision_id = made.decision.decision_id,
                "a decision is too large for its header"
            );
            engine.accepted.refused(payment, Left::Unknown);
            return Err(Refusal::Unavailable("the decision cannot be written"));
        };
        let made = Arc::new(made);
        if !engine.accepted.decide(payment, Arc::clone(&made)) {
            // The stream met the same payment in the topic and was first.
            return match engine.accepted.waits(payment) {
                Some(stage) => self.wait(stage, asked).await,
                None => Err(Refusal::Conflict),
            };
        }
        let id = &made.decision.decision_id;
        let entry = Entry {
            decision_id: id.clone(),
            key: self.record_key(payment),
            value: asked.value.clone(),
            decision,
            traceparent: emit::traceparent(asked.traceparent.as_deref(), id).unwrap_or_default().into(),
        };
        let of = Of { accepted: Arc::clone(&engine.accepted), payment: Arc::clone(payment) };
        let recorded = self.recorder.record(entry, asked.budget.record_by, of).await;
        tracing::debug!(decision_id = %id, trace = asked.traceparent.as_deref(), ?recorded, "decided for a caller");
        Ok(Told { made, replayed: false, recorded: Some(recorded == Recorded::Yes) })
    }

    /// The header. Where it would be too large, who was ahead is left out, and the decision says that it is approximate.
    fn sealed(&self, made: &mut Made, value: &[u8]) -> Option<Vec<u8>> {
        self.seal.close(made, value).or_else(|| {
            made.decision.entities.iter_mut().for_each(|entity| entity.pending.clear());
            made.decision.approximate = true;
            self.seal.close(made, value)
        })
    }

    /// What became of a payment that somebody else has, by this caller's deadline. A decision that a kill would undo is not
    /// told to a second caller.
    async fn settled(&self, mut stage: watch::Receiver<Stage>, asked: &Asked) -> Stage {
        let settled = stage.wait_for(|stage| match stage {
            Stage::Deciding => false,
            Stage::Decided { safe, .. } => *safe,
            Stage::Left(_) => true,
        });
        match timeout_at(asked.budget.answer_by, settled).await {
            Ok(Ok(stage)) => stage.clone(),
            Ok(Err(_)) | Err(_) => Stage::Deciding,
        }
    }

    /// Waits for somebody else's decision on the same payment.
    async fn wait(&self, stage: watch::Receiver<Stage>, asked: &Asked) -> Result<Told, Refusal> {
        match self.settled(stage, asked).await {
            Stage::Decided { made, recorded, .. } => Ok(Told::before(made, recorded)),
            Stage::Left(Left::Known(content)) if content == asked.payment.content => self.stored(asked).await,
            Stage::Left(Left::Known(_) | Left::Conflict) => Err(Refusal::Conflict),
            Stage::Left(Left::Late) => Err(Refusal::Late),
            Stage::Left(Left::Future) => Err(Refusal::Future),
            Stage::Left(Left::Unknown) | Stage::Deciding => Err(Refusal::InFlight),
        }
    }

    /// What a caller is told of a payment that the stream knows, with this content.
    async fn known(&self, engine: &Engine, content: ContentHash, asked: &Asked) -> Result<Told, Refusal> {
        if content != asked.payment.content {
            return Err(Refusal::Conflict);
        }
        match engine.accepted.waits(&asked.payment) {
            Some(stage) => self.wait(stage, asked).await,
            None => self.stored(asked).await,
        }
    }

    /// The decision of a payment that the stream knows: in the index, or on its way there.
    async fn stored(&self, asked: &Asked) -> Result<Told, Refusal> {
        if self.index.is_none() {
            return Err(Refusal::NotIndexed);
        }
        loop {
            if let Ok(Some(made)) = self.find(&asked.payment) {
                return Ok(Told::before(made, true));
            }
            if tokio::time::Instant::now() + LOOK_AGAIN >= asked.budget.answer_by {
                return Err(Refusal::InFlight);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The indexed decision of an id; an error where the index cannot be read, which is not "there is none".
    fn find(&self, payment: &Payment) -> Result<Option<Arc<Made>>, IndexError> {
        let Some(index) = &self.index else { return Ok(None) };
        let found = index.get(&decision_id(&payment.transaction_id));
        let found =
            found.inspect_err(|error| tracing::error!(%error, "the decision index cannot be read"))?;
        Ok(found.map(|decision| Arc::new(Made { decision, alert_rule: None })))
    }

    fn record_key(&self, payment: &Payment) -> Vec<u8> {
        let key = payment.entities.get(self.key_entity).and_then(Option::as_deref);
        key.unwrap_or_default().as_bytes().to_vec()
    }
}

/// What came of a look.
enum Looked {
    /// It was there in time; and the score, if there is a model and it was.
    There(Seen, Option<Scored>),
    /// It was not.
    Not(Lack),
}

fn outcome(answer: &Result<Told, Refusal>) -> RestOutcome {
    match answer {
        Ok(told) if told.replayed => RestOutcome::Replayed,
        Ok(told) if told.recorded == Some(false) || told.made.decision.fallback.is_some() => {
            RestOutcome::Fallback
        }
        Ok(_) => RestOutcome::Decided,
        Err(Refusal::Unavailable(_) | Refusal::NotIndexed) => RestOutcome::Unavailable,
        Err(_) => RestOutcome::Refused,
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Most payments ahead that are named for an entity. A stream that does not stand still is a fraction of it behind.
const MOST_PENDING: usize = 128;

/// Names who was ahead, where an entity's events were counted. Each decision names them all again, so beyond a bound
/// they are left out, and the decision says that it is approximate: what it saw is not written down in full.
fn pend(made: &mut Made, payment: &Payment, view: &View) {
    let keyed = payment.entities.iter().enumerate().filter(|(_, key)| key.is_some());
    for (entity, (place, _)) in made.decision.entities.iter_mut().zip(keyed) {
        if view.enriched.versions.get(place).copied().flatten().is_none() {
            continue;
        }
        let ahead = view.ahead.get(place).map(|ahead| ahead.as_slice()).unwrap_or_default();
        if ahead.len() > MOST_PENDING {
            made.decision.approximate = true;
            continue;
        }
        entity.pending = ahead.iter().map(|payment| payment.transaction_id.to_string()).collect();
    }
}

/// Whether a decision that was found by its id is one on this payment, as far as a decision says.
fn is_of(decision: &Decision, payment: &Payment) -> bool {
    let keys = payment.entities.iter().flatten().map(|key| masked(key));
    decision.amount == payment.amount
        && decision.currency == payment.currency
        && decision.event_time == payment.event_time
        && decision.entities.iter().map(|entity| entity.key.as_str()).eq(keys)
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
