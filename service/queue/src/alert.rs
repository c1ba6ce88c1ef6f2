//! An alert in the queue: its facts, its state, and what hangs on it.

use schemas::decision::Verdict;
use schemas::reason::Reason;
use serde::{Deserialize, Serialize};

use crate::claim::Seat;
use crate::standing::Claims;

/// Where an alert stands. Whether somebody holds it is a matter of its lease, not of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for somebody.
    Open,
    /// It comes back at a time, or with the next hit.
    Snoozed,
    /// A verdict waits for a second person.
    Proposed,
    /// Done.
    Resolved,
}

/// What an analyst says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Confirmed fraud: its payments are labelled fraud.
    Fraud,
    /// Suspected: no label.
    Suspected,
    /// Legitimate: its payments are labelled legitimate.
    Legitimate,
    /// Not enough information: no label.
    Insufficient,
}

macro_rules! words {
    ($name:ident { $($one:ident $word:literal),* $(,)? }) => {
        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$one),*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$one => $word),* }
            }

            /// The one of a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }
    };
}

words!(State { Open "open", Snoozed "snoozed", Proposed "proposed", Resolved "resolved" });
words!(Disposition { Fraud "fraud", Suspected "suspected", Legitimate "legitimate", Insufficient "insufficient" });

impl Disposition {
    /// What its payments are labelled, if they are.
    pub const fn label(self) -> Option<bool> {
        match self {
            Disposition::Fraud => Some(true),
            Disposition::Legitimate => Some(false),
            Disposition::Suspected | Disposition::Insufficient => None,
        }
    }

    /// The reasons that it may have: one is required. Word and text.
    pub const fn reasons(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Disposition::Fraud => &[
                ("card_stolen", "Card lost or stolen"),
                ("card_copied", "Card data copied"),
                ("account_taken_over", "Account taken over"),
                ("merchant_fraud", "Merchant takes part"),
                ("holder_denies", "Card holder denies the payment"),
                ("other", "Other, see the note"),
            ],
            Disposition::Suspected => &[
                ("pattern", "Pattern of known fraud"),
                ("holder_unreachable", "Card holder not reached"),
                ("other", "Other, see the note"),
            ],
            Disposition::Legitimate => &[
                ("holder_confirms", "Card holder confirms the payment"),
                ("travel", "Travel"),
                ("usual_for_holder", "Usual for this card holder"),
                ("merchant_known", "Merchant known and checked"),
                ("other", "Other, see the note"),
            ],
            Disposition::Insufficient => &[
                ("no_data", "Data missing"),
                ("holder_unreachable", "Card holder not reached"),
                ("other", "Other, see the note"),
            ],
        }
    }
}

/// One alert of the list. Times are wall-clock milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The id of its first hit.
    pub alert_id: String,
    /// Changed with every action, hit and label: the ETag.
    pub version: i64,
    /// The entity, such as `card`.
    pub entity: String,
    /// Its key.
    pub key: String,
    /// The policy's alert rule.
    pub rule: String,
    /// Where it stands.
    pub state: State,
    /// Only leads are given it by claim-next.
    pub escalated: bool,
    /// Who is to work it, by a lead's word.
    pub assignee: Option<String>,
    /// Who holds it, if somebody does at the time of asking.
    pub holder: Option<String>,
    /// Until when.
    pub lease_until_ms: Option<i64>,
    /// Until when it sleeps.
    pub snoozed_until_ms: Option<i64>,
    /// When the first hit was raised.
    pub opened_ms: i64,
    /// When it has waited long enough.
    pub due_ms: i64,
    /// When it changed.
    pub changed_ms: i64,
    /// Hits.
    pub hits: i64,
    /// Sum of the hits' amounts, minor units.
    pub amount_minor: i64,
    /// Of the first hit.
    pub currency: String,
    /// Expected loss, minor units.
    pub expected_loss_minor: i64,
    /// The list's order, see [`crate::rank`].
    pub rank_key: f64,
    /// The highest score of its hits.
    pub score: Option<f64>,
    /// The severest decision of its hits.
    pub verdict: Verdict,
    /// A payment waits for it.
    pub hold: bool,
    /// One line why: the weightiest reason of the hit with the highest expected loss.
    pub why: String,
    /// What was said of it, or is proposed.
    pub disposition: Option<Disposition>,
    /// Why.
    pub reason: Option<String>,
    /// Who said it.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_ms: Option<i64>,
    /// The action that can be taken back, until when.
    pub undo: Option<(String, i64)>,
}

impl Alert {
    /// Why this person cannot say a verdict on it now, if they cannot: it is for somebody else. Nothing of one that waits
    /// for none: its state says so.
    pub fn bars(&self, seat: Seat<'_>, now_ms: i64) -> Option<String> {
        if !matches!(self.state, State::Open | State::Snoozed) {
            return None;
        }
        let claims = Claims {
            escalated: self.escalated,
            assignee: self.assignee.as_deref(),
            holder: self.holder.as_deref(),
            lease_until_ms: self.lease_until_ms.unwrap_or(0),
        };
        claims.may_decide(seat, now_ms).err().map(|why| why.to_string())
    }
}

/// A payment that raised the alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The `alert_id` of the topic's record.
    pub hit_id: String,
    /// Its decision.
    pub decision_id: String,
    /// Its payment.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_ms: i64,
    /// When it was raised.
    pub raised_ms: i64,
    /// What was decided.
    pub verdict: Verdict,
    /// It waits.
    pub hold: bool,
    /// The score then.
    pub score: Option<f64>,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217.
    pub currency: String,
    /// Minor units.
    pub expected_loss_minor: i64,
    /// Entity and key of each of its entities.
    pub entities: Vec<(String, String)>,
    /// Why, weightiest first.
    pub reasons: Vec<Reason>,
    /// The model that scored it.
    pub model: Option<String>,
    /// The policy's version.
    pub policy: String,
    /// What it turned out to be.
    pub label: Option<KnownLabel>,
}

/// A label as the topic had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLabel {
    /// Fraud, or legitimate.
    pub fraud: bool,
    /// From when on it is known, event time.
    pub label_ms: i64,
    /// Who says so, such as `chargeback` or `analyst`.
    pub source: String,
}

/// A note. Never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at_ms: i64,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// A label on its way: said by an analyst, sent when it cannot be taken back any more, applied when it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelOnItsWay {
    /// The payment.
    pub transaction_id: String,
    /// Fraud, or legitimate.
    pub fraud: bool,
    /// When it leaves.
    pub leaves_ms: i64,
    /// When the brokers had it.
    pub sent_ms: Option<i64>,
    /// When it was read from the labels topic again.
    pub applied_ms: Option<i64>,
}

/// All that the alert's page shows of the queue's own.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertDetail {
    /// The alert.
    pub alert: Alert,
    /// Its hits, the newest first; at most 200.
    pub hits: Vec<Hit>,
    /// Its notes, the oldest first.
    pub notes: Vec<Note>,
    /// What this person wrote and did not send.
    pub draft: Option<String>,
    /// Labels that follow from its verdict.
    pub labels: Vec<LabelOnItsWay>,
    /// What was done with it, the oldest first; at most 200.
    pub history: Vec<crate::AuditEntry>,
}
