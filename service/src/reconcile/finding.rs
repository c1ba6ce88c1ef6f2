//! Findings: what differs, in which check, and the name of why.

use std::fmt;

use schemas::payment::Payment;
use serde::{Serialize, Serializer};

macro_rules! words {
    ($(#[$doc:meta])* $kind:ident { $($(#[$each:meta])* $name:ident = $word:literal, $meaning:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind { $($(#[$each])* $name,)* }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [$kind] = &[$($kind::$name,)*];

            /// The word in reports and scripts.
            pub fn as_str(self) -> &'static str {
                match self { $($kind::$name => $word,)* }
            }

            /// What it means, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $($kind::$name => $meaning,)* }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was compared.
    Check {
        /// I6, I7.
        AsOfLog = "features_as_of_log", "Each feature of a decision against the same computed again in the order of its recorded versions.";
        /// I14.
        ByEventTime = "features_by_event_time", "Each feature of a decision against what it would have been with nothing late.";
        /// I8.
        Scores = "scores", "Each score against the named model over the recomputed vector, bit for bit.";
        /// Policy.
        Decisions = "decisions", "Each decision against the named policy over the recomputed score and vector.";
        /// I9.
        Alerts = "alerts", "Each alert against its decision, and each decision that raised one against the alerts.";
        /// I10.
        Conservation = "conservation", "Each payment has one decision or one dead letter, or repeats one that has; and each decision has its payment.";
        /// I11.
        Rest = "rest", "Each decision that a caller was told against the topic's.";
        /// The versions.
        Versions = "versions", "The versions that decisions recorded against the payments and labels that the archive has.";
    }
}

words! {
    /// Why something differs.
    Class {
        /// A bug.
        Unexplained = "unexplained", "Nothing that is known explains it: a bug, or somebody changed a record.";
        /// Late payment.
        Late = "late", "A payment came after payments of a later time, so decisions in between did not see it.";
        /// In flight.
        InFlight = "in_flight", "A payment was on its way when a caller was answered, so his decision did not see it, or saw it out of order.";
        /// Late label.
        LabelAfter = "label_after", "A label came after the time from which on it was known, so decisions in between did not see it.";
        /// Early label.
        EarlyLabel = "early_label", "A label came before its payment and waited for it.";
        /// Label beyond memory.
        LabelForgotten = "label_forgotten", "A label came when its payment was no longer remembered (limits.remember), so no decision saw it.";
        /// Repeated.
        Duplicate = "duplicate", "The payment is a repetition of one that was decided.";
        /// Written again.
        Repeated = "repeated", "The decision was written more than once after a crash, with the same content.";
        /// Refused.
        DeadLetter = "dead_letter", "The record could not be decided and is in the dead letters, with its reason.";
        /// Fallback.
        Fallback = "fallback", "Something was missing or too slow, and the policy's fallback decided.";
        /// At its bound.
        Approximate = "approximate", "An entity was at its bound of events, and the decision says that its features are approximate.";
        /// Model gone.
        ModelChanged = "model_changed", "The files of the model that scored it are not there any more.";
        /// Policy gone.
        PolicyChanged = "policy_changed", "The text of the policy that decided it is not in the archive.";
        /// Other features.
        FeaturesChanged = "features_changed", "It was decided under another features file.";
        /// Gap.
        ArchiveGap = "archive_gap", "Records that it depends on are not in the archive.";
        /// Tail.
        Open = "open", "It stands behind what is archived of its partition, or counts what is not archived yet of another: run again later.";
    }
}

/// One difference.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was compared.
    pub check: Check,
    /// Why it differs.
    pub class: Class,
    /// The payment; empty where nothing is known of it.
    pub transaction_id: String,
    /// Partition and offset of the payment.
    pub source: (i32, i64),
    /// Event time, milliseconds; 0 where nothing is known of it.
    pub event_time_ms: i64,
    /// The feature, the field, or the word of a dead letter.
    pub field: String,
    /// What was recorded.
    pub recorded: String,
    /// What it should be.
    pub computed: String,
    /// Amount, minor units.
    pub amount_minor: i64,
    /// Currency.
    pub currency: String,
    /// Entity and masked key, for the first entity of the payment.
    pub key: Option<(String, String)>,
}

impl Finding {
    /// A finding about a record of which nothing more is known.
    pub fn bare(check: Check, class: Class, source: (i32, i64)) -> Self {
        Self {
            check,
            class,
            transaction_id: String::new(),
            source,
            event_time_ms: 0,
            field: String::new(),
            recorded: String::new(),
            computed: String::new(),
            amount_minor: 0,
            currency: String::new(),
            key: None,
        }
    }

    /// The same about a payment.
    pub fn about(self, payment: &Payment) -> Self {
        Self {
            transaction_id: payment.transaction_id.to_string(),
            event_time_ms: payment.event_time.ms(),
            amount_minor: payment.amount.minor(),
            currency: payment.currency.as_str().to_owned(),
            ..self
        }
    }

    /// With what differs.
    pub fn of(
        self,
        field: impl Into<String>,
        recorded: impl Into<String>,
        computed: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), recorded: recorded.into(), computed: computed.into(), ..self }
    }
}
