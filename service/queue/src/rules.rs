//! What the config says of the queue.

use schemas::sensitive::is_masked;

use crate::alert::Alert;
use crate::exchange::Exchange;

/// From when on an analyst's verdict is known, in event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelClock {
    /// From when it cannot be taken back any more: payments happen while they are decided.
    #[default]
    Wall,
    /// From the newest payment that the queue has seen: for a world whose time is not ours, replayed or simulated.
    Stream,
}

/// Bounds and times. All times in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The entity whose alerts are one: a name of the features file, such as `card`.
    pub entity: String,
    /// The entities whose keys the block list takes.
    pub blockable: Vec<String>,
    /// How long an alert may wait.
    pub due_ms: i64,
    /// How long one may wait whose payment is on hold.
    pub due_hold_ms: i64,
    /// The urgency doubles each time that so much of the waiting is over.
    pub half_life_ms: i64,
    /// How many times the loss counts of one whose payment is on hold.
    pub hold_weight: u32,
    /// How amounts of several currencies are compared.
    pub exchange: Exchange,
    /// Words of the roles that work alerts: who has one of them can be given some.
    pub workers: Vec<String>,
    /// How long a claim lasts without a sign of life.
    pub lease_ms: i64,
    /// How long a verdict can be taken back; its labels leave only then.
    pub undo_ms: i64,
    /// Whose time labels have.
    pub label_clock: LabelClock,
    /// Money at risk from which on a verdict needs a second person, minor units of the exchange's own currency.
    pub second_person_minor: Option<i64>,
    /// Alerts of one bulk action from which on it needs a second person.
    pub second_person_bulk: Option<usize>,
    /// How long a session lives without a request.
    pub session_idle_ms: i64,
    /// How long it lives at most.
    pub session_absolute_ms: i64,
    /// Wrong passwords in a row after which an account is locked.
    pub lockout_after: u32,
    /// For how long.
    pub lockout_ms: i64,
    /// Largest SQLite file, bytes; a Postgres has bounds of its own.
    pub max_bytes: Option<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        const MINUTE: i64 = 60_000;
        Self {
            entity: "card".to_owned(),
            blockable: vec!["card".to_owned()],
            due_ms: 24 * 60 * MINUTE,
            due_hold_ms: 30 * MINUTE,
            half_life_ms: 7 * 24 * 60 * MINUTE,
            hold_weight: 8,
            exchange: Exchange::default(),
            workers: ["analyst", "lead", "admin"].map(str::to_owned).into(),
            lease_ms: 5 * MINUTE,
            undo_ms: MINUTE,
            label_clock: LabelClock::Wall,
            second_person_minor: None,
            second_person_bulk: None,
            session_idle_ms: 30 * MINUTE,
            session_absolute_ms: 12 * 60 * MINUTE,
            lockout_after: 5,
            lockout_ms: 15 * MINUTE,
            max_bytes: None,
        }
    }
}

impl Rules {
    /// Whether so much is at stake that a verdict which labels or blocks needs a second person.
    pub fn is_large(&self, alert: &Alert) -> bool {
        let value_minor = self.exchange.value_minor(alert.amount_minor, &alert.currency);
        self.second_person_minor.is_some_and(|from| value_minor >= from)
    }

    /// Whether a block of this key could match a payment; why not.
    ///
    /// # Errors
    /// Why not, to be read by whoever asked for it.
    pub fn can_block(&self, entity: &str, key: &str) -> Result<(), &'static str> {
        if !self.blockable.iter().any(|one| one == entity) {
            return Err("the block list does not take an entity of this kind");
        }
        // What is here of a card number that came unmasked is not the number: an entry of it would match nothing.
        if is_masked(key) {
            return Err("this key was masked before it came here; block it at its issuer, or over /v1/lists");
        }
        Ok(())
    }
}
