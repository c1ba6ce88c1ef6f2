//! A team with time for so many reviews a day, at a queue of its own: alerts come when their payments are made, labels
//! when they are known, and every so many minutes somebody takes the alert that an order puts first and finds out what
//! its payments were. A card that was found out is blocked: its later payments raise nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Context;
use queue::alert::{Alert as Open, Disposition};
use queue::{ListQuery, Queue, Resolution, Rules, Seat, Span};
use schemas::alert::Alert;
use schemas::payment::{Label, LabelSource};
use schemas::time::{DAY_MS, EventTime};

use super::data::Truth;

/// Who reviews.
const SEAT: Seat<'static> = Seat { name: "analyst", leads: false };

/// Which alert comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What `claim_next` gives: expected loss times urgency.
    Rank,
    /// Expected loss, however long it has waited.
    Loss,
    /// The amount at stake, whatever its score.
    Amount,
    /// The score, whatever the amount.
    Score,
    /// First in, first out.
    Arrival,
    /// Whoever knew would take the largest fraud: what can be reached at most by taking one after the other.
    Hindsight,
}

impl Order {
    pub const ALL: [Order; 6] =
        [Order::Rank, Order::Loss, Order::Amount, Order::Score, Order::Arrival, Order::Hindsight];

    pub const fn as_str(self) -> &'static str {
        match self {
            Order::Rank => "rank",
            Order::Loss => "loss",
            Order::Amount => "amount",
            Order::Score => "score",
            Order::Arrival => "arrival",
            Order::Hindsight => "hindsight",
        }
    }

    pub const fn text(self) -> &'static str {
        match self {
            Order::Rank => "Tripline: expected loss x urgency",
            Order::Loss => "expected loss alone",
            Order::Amount => "amount at risk",
            Order::Score => "score alone",
            Order::Arrival => "first in, first out",
            Order::Hindsight => "who knew the outcome",
        }
    }
}

/// What is worked.
pub struct Shift<'a> {
    /// By the time at which they are raised.
    pub alerts: &'a [Alert],
    pub truths: &'a HashMap<&'a str, &'a Truth>,
    pub rules: &'a Rules,
    pub from_ms: i64,
    pub days: i64,
    /// A day.
    pub reviews: i64,
    /// Until a label is known.
    pub delay_ms: i64,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caught {
    pub reviews: usize,
    /// Of those, with a payment that was fraud.
    pub found: usize,
    /// Fraudulent payments on the alerts that were reviewed, and those of [`Caught::stopped_minor`].
    pub money_minor: i64,
    /// Fraudulent payments that came when their card was blocked already: what it is worth to be early.
    pub stopped_minor: i64,
    /// Cards that were found out, each once.
    pub cards: usize,
}

impl Caught {
    /// All that there was to be found.
    pub fn all(truths: &[Truth]) -> Self {
        let fraud = || truths.iter().filter(|truth| truth.fraud);
        let cards: HashSet<&str> = fraud().map(|truth| &*truth.card).collect();
        let money_minor = fraud().map(|truth| truth.amount_minor).sum();
        Self { found: fraud().count(), money_minor, cards: cards.len(), ..Self::default() }
    }
}

impl Shift<'_> {
    /// Works all days in one order, in a database of its own.
    ///
    /// # Errors
    /// What the queue says.
    pub async fn worked(&self, order: Order, folder: &Path) -> anyhow::Result<Caught> {
        let url = format!("sqlite:{}", folder.join(format!("{}.db", order.as_str())).display());
        let queue = Queue::open(&url, self.rules.clone()).await?;
        let mut team = Team {
            shift: self,
            queue,
            order,
            came: 0,
            labelled: 0,
            open: BTreeMap::new(),
            payments: HashMap::new(),
            cards: HashMap::new(),
            caught: Caught::default(),
        };
        for place in 1..=self.days * self.reviews {
            team.review(self.from_ms + place * DAY_MS / self.reviews).await?;
        }
        team.queue.close().await;
        let is_stopped = |truth: &&&Truth| {
            let found = team.cards.get(&*truth.card);
            truth.fraud && found.is_some_and(|found_ms| truth.event_ms > *found_ms)
        };
        let stopped_minor = self.truths.values().filter(is_stopped).map(|truth| truth.amount_minor).sum();
        let money_minor = team.caught.money_minor + stopped_minor;
        Ok(Caught { cards: team.cards.len(), money_minor, stopped_minor, ..team.caught })
    }
}

struct Team<'a> {
    shift: &'a Shift<'a>,
    queue: Queue,
    order: Order,
    /// Alerts that came, and those whose label is known.
    came: usize,
    labelled: usize,
    /// As the queue has them.
    open: BTreeMap<String, Open>,
    /// Payments of an alert.
    payments: HashMap<String, Vec<&'a Truth>>,
    /// Cards that were found out, and when.
    cards: HashMap<&'a str, i64>,
    caught: Caught,
}

impl<'a> Team<'a> {
    fn truth(&self, alert: &Alert) -> anyhow::Result<&'a Truth> {
        let truth = self.shift.truths.get(alert.transaction_id.as_str());
        truth.copied().with_context(|| format!("payment {} is not in the file", alert.transaction_id))
    }

    /// Whatever came by then, then one review.
    async fn review(&mut self, now_ms: i64) -> anyhow::Result<()> {
        self.alerts(now_ms).await?;
        self.labels(now_ms).await?;
        let taken = match self.order {
            Order::Rank => self.queue.claim_next(SEAT, now_ms).await?,
            _ => self.first().cloned(),
        };
        let Some(alert) = taken else { return Ok(()) };
        let payments = self.payments.remove(&alert.alert_id).unwrap_or_default();
        let fraud: Vec<_> = payments.into_iter().filter(|truth| truth.fraud).collect();
        let (disposition, reason) = match fraud.is_empty() {
            true => (Disposition::Legitimate, "holder_confirms"),
            false => (Disposition::Fraud, "holder_denies"),
        };
        let resolution = Resolution { disposition, reason: reason.to_owned(), note: None, block: false };
        self.queue.resolve(SEAT, &alert.alert_id, alert.version, &resolution, now_ms).await?;
        self.open.remove(&alert.alert_id);
        self.caught.reviews += 1;
        self.caught.found += usize::from(!fraud.is_empty());
        self.caught.money_minor += fraud.iter().map(|truth| truth.amount_minor).sum::<i64>();
        for truth in &fraud {
            self.cards.entry(&truth.card).or_insert(now_ms);
        }
        Ok(())
    }

    /// Alerts that were raised by then; a card that is blocked raises none.
    async fn alerts(&mut self, now_ms: i64) -> anyhow::Result<()> {
        let shift = self.shift;
        let new = &shift.alerts[self.came..];
        let count = new.partition_point(|alert| alert.raised_at_ms <= now_ms);
        let mut alerts = Vec::with_capacity(count);
        for alert in &new[..count] {
            let truth = self.truth(alert)?;
            if !self.cards.contains_key(&*truth.card) {
                alerts.push((alert.clone(), truth));
            }
        }
        let taken: Vec<Alert> = alerts.iter().map(|(alert, _)| alert.clone()).collect();
        let span = span("alerts", self.came, count);
        self.came += count;
        if count > 0 {
            self.queue.take_alerts(&span, &taken, now_ms).await?;
        }
        for (alert, truth) in alerts {
            if let Some(id) = self.looked_up(&alert.transaction_id, now_ms).await? {
                self.payments.entry(id).or_default().push(truth);
            }
        }
        Ok(())
    }

    /// Labels of alerts' payments that are known by then.
    async fn labels(&mut self, now_ms: i64) -> anyhow::Result<()> {
        let due = |alert: &Alert| alert.event_time.ms() + self.shift.delay_ms <= now_ms;
        let count = self.shift.alerts[self.labelled..self.came].partition_point(due);
        let mut labels = Vec::with_capacity(count);
        for alert in &self.shift.alerts[self.labelled..self.labelled + count] {
            let truth = self.truth(alert)?;
            let known = EventTime::from_ms(truth.event_ms + self.shift.delay_ms).context("a time")?;
            labels.push(Label {
                transaction_id: truth.id.clone(),
                fraud: truth.fraud,
                label_time: known,
                source: LabelSource::Other,
            });
        }
        let span = span("labels", self.labelled, count);
        self.labelled += count;
        if count > 0 {
            self.queue.take_labels(&span, &labels, now_ms).await?;
        }
        for label in labels {
            self.looked_up(&label.transaction_id, now_ms).await?;
        }
        Ok(())
    }

    /// The alert of a payment as the queue has it now.
    async fn looked_up(&mut self, payment: &str, now_ms: i64) -> anyhow::Result<Option<String>> {
        let query = ListQuery { text: Some(payment.to_owned()), limit: 1, ..ListQuery::default() };
        let found = self.queue.list(SEAT, &query, now_ms).await?.alerts.into_iter().next();
        let id = found.as_ref().map(|alert| alert.alert_id.clone());
        if let Some(alert) = found.filter(|alert| alert.resolved_ms.is_none()) {
            self.open.insert(alert.alert_id.clone(), alert);
        }
        Ok(id)
    }

    /// The open alert that the order puts first; of equals the one that came first.
    fn first(&self) -> Option<&Open> {
        let weight = |alert: &Open| match self.order {
            Order::Rank => alert.rank_key,
            Order::Loss => alert.expected_loss_minor as f64,
            Order::Amount => alert.amount_minor as f64,
            Order::Score => alert.score.unwrap_or(0.0),
            Order::Arrival => -(alert.opened_ms as f64),
            Order::Hindsight => {
                let payments = self.payments.get(&alert.alert_id).into_iter().flatten();
                payments.filter(|truth| truth.fraud).map(|truth| truth.amount_minor).sum::<i64>() as f64
            }
        };
        let key = |alert: &&Open| (weight(alert), -alert.opened_ms);
        self.open.values().max_by(|one, other| {
            let (one, other) = (key(one), key(other));
            one.0.total_cmp(&other.0).then(one.1.cmp(&other.1))
        })
    }
}

/// The next `count` records of a topic behind `from`.
fn span(topic: &str, from: usize, count: usize) -> Span<'_> {
    let place = |offset: usize| i64::try_from(offset).unwrap_or(i64::MAX);
    let before = Some(place(from)).filter(|from| *from > 0);
    Span { topic, partition: 0, from: before, next: place(from + count) }
}

#[cfg(test)]
mod tests;
