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
use schemas::decision::{Door, Latency, decision_id};
use schemas::payment::Payment;
use schemas::value::FeatureValue;
use smallvec::SmallVec;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;

use super::admission::Place;
use super::desk::{Joins, Look, Scored, Seen, View};
use super::engine::Engine;
use super::kept::Entry;
use super::recorder::Recorded;
use super::{Budget, Rest};
use crate::accepted::{Begin, Stage};
use crate::emit;
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
    /// The brokers have the payment's record.
    pub recorded: bool,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A payment with this id and other content was decided.
    Conflict,
    /// It is being decided for somebody else and is not ready in time.
    InFlight,
    /// It is too old.
    Late,
    /// It is too far in the future.
    Future,
    /// Something that no fallback can replace is not there.
    Unavailable(&'static str),
}

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
        let rest = Arc::clone(self);
        let task = tokio::spawn(async move { rest.flow(&engine, asked).await });
        task.await.unwrap_or(Err(Refusal::Unavailable("the decision failed; the log says why")))
    }

    async fn flow(&self, engine: &Engine, asked: Asked) -> Result<Told, Refusal> {
        let payment = &asked.payment;
        if asked.joins == Joins::Yes {
            if self.recorder.kept() >= self.limits.kept {
                return Err(Refusal::Unavailable("too many payments wait for the brokers"));
            }
            match engine.accepted.begin(payment) {
                Begin::New => {}
                Begin::Conflict => return Err(Refusal::Conflict),
                Begin::Same(stage) => return self.wait(stage, &asked).await,
            }
        }
        let now = self.clock.now();
        if payment.event_time.ms() > now.wall_ms.saturating_add(self.limits.skew.0) {
            self.leave(engine, &asked);
            return Err(Refusal::Future);
        }
        let deciders = (self.deciders)();
        let looked = self.look(engine, &asked, &deciders).await;
        let (view, scored) = match looked {
            Looked::There(Seen::Known(content), _) => {
                self.leave(engine, &asked);
                let same = content == payment.content;
                return match engine.accepted.waits(payment) {
                    _ if !same => Err(Refusal::Conflict),
                    Some(stage) => self.wait(stage, &asked).await,
                    None => self.stored(&asked).await,
                };
            }
            Looked::There(Seen::Late, _) => {
                self.leave(engine, &asked);
                return Err(Refusal::Late);
            }
            Looked::There(Seen::New(view), scored) => (Ok(view), scored),
            Looked::There(Seen::Failed, _) | Looked::Not(_) => {
                // The stream's memory of ids cannot be asked; the index has all but the last moments.
                if let Some(made) = self.find(payment) {
                    self.leave(engine, &asked);
                    return Ok(Told { made, replayed: true, recorded: true });
                }
                let why = if let Looked::Not(why) = looked { why } else { Lack::FeaturesUnavailable };
                (Err(why), None)
            }
        };
        let made = self.judge(engine, &asked, &deciders, view.as_deref().map_err(|why| *why), scored);
        if asked.joins == Joins::No {
            return Ok(Told { made: Arc::new(made), replayed: false, recorded: false });
        }
        self.stand(engine, &asked, Arc::new(made)).await
    }

    /// Ends what `begin` began, where nothing is to be decided.
    fn leave(&self, engine: &Engine, asked: &Asked) {
        if asked.joins == Joins::Yes {
            engine.accepted.leave(&asked.payment);
        }
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
    async fn stand(&self, engine: &Engine, asked: &Asked, made: Arc<Made>) -> Result<Told, Refusal> {
        let payment = &asked.payment;
        let Ok(decision) = self.seal.close(&made, &asked.value) else {
            return Err(Refusal::Unavailable("the decision cannot be written"));
        };
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
        let (accepted, sent) = (Arc::clone(&engine.accepted), Arc::clone(payment));
        let done = move || accepted.recorded(&sent);
        let recorded = self.recorder.record(entry, asked.budget.record_by, done).await;
        tracing::debug!(decision_id = %id, trace = asked.traceparent.as_deref(), ?recorded, "decided for a caller");
        Ok(Told { made, replayed: false, recorded: recorded == Recorded::Yes })
    }

    /// Waits for somebody else's decision on the same payment.
    async fn wait(&self, mut stage: watch::Receiver<Stage>, asked: &Asked) -> Result<Told, Refusal> {
        let decided = stage.wait_for(|stage| !matches!(stage, Stage::Deciding));
        let stage = match timeout_at(asked.budget.answer_by, decided).await {
            Ok(Ok(stage)) => stage.clone(),
            // Its worker is gone: it was known from before.
            Ok(Err(_)) => Stage::Known,
            Err(_) => Stage::Deciding,
        };
        match stage {
            Stage::Decided { made, recorded } => Ok(Told { made, replayed: true, recorded }),
            Stage::Conflict => Err(Refusal::Conflict),
            Stage::Known => self.stored(asked).await,
            Stage::Deciding => Err(Refusal::InFlight),
        }
    }

    /// The decision of a payment that the stream knows: in the index, or on its way there.
    async fn stored(&self, asked: &Asked) -> Result<Told, Refusal> {
        loop {
            if let Some(made) = self.find(&asked.payment) {
                return Ok(Told { made, replayed: true, recorded: true });
            }
            if tokio::time::Instant::now() + LOOK_AGAIN >= asked.budget.answer_by {
                return Err(Refusal::InFlight);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn find(&self, payment: &Payment) -> Option<Arc<Made>> {
        let found = self.index.as_ref()?.get(&decision_id(&payment.transaction_id));
        let decision = found.unwrap_or_else(|error| {
            tracing::error!(%error, "the decision index cannot be read");
            None
        });
        Some(Arc::new(Made { decision: decision?, alert_rule: None }))
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
        Ok(told) if !told.recorded || told.made.decision.fallback.is_some() => RestOutcome::Fallback,
        Ok(_) => RestOutcome::Decided,
        Err(Refusal::Unavailable(_)) => RestOutcome::Unavailable,
        Err(_) => RestOutcome::Refused,
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Names who was ahead, where an entity's events were counted.
fn pend(made: &mut Made, payment: &Payment, view: &View) {
    let keyed = payment.entities.iter().enumerate().filter(|(_, key)| key.is_some());
    for (entity, (place, _)) in made.decision.entities.iter_mut().zip(keyed) {
        if view.enriched.versions.get(place).copied().flatten().is_none() {
            continue;
        }
        let ahead = view.ahead.get(place).into_iter().flatten();
        entity.pending = ahead.map(|payment| payment.transaction_id.to_string()).collect();
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
