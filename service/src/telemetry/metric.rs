//! The metrics: every name, once. Dashboards and alert rules rely on them. What they count is in `telemetry.rs`.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its sample's name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, with sum and count.
    Histogram,
    /// Always 1; its labels are the news. Its sample's name ends in `_info`.
    Info,
}

macro_rules! metrics {
    ($($variant:ident = $kind:ident $name:literal $labels:tt $help:literal,)*) => {
        /// A metric of `/metrics`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric { $(#[doc = $help] $variant,)* }

        impl Metric {
            /// Every metric, in the order of the page.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// Its name as queries use it; of a histogram, without `_bucket`, `_sum` and `_count`.
            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => concat!("tripline_", $name),)* }
            }

            /// How it behaves.
            pub fn kind(self) -> Kind {
                match self { $(Metric::$variant => Kind::$kind,)* }
            }

            /// The names of its labels.
            pub fn labels(self) -> &'static [&'static str] {
                match self { $(Metric::$variant => &$labels,)* }
            }

            /// What it says, in a sentence.
            pub fn help(self) -> &'static str {
                match self { $(Metric::$variant => $help,)* }
            }
        }
    };
}

metrics! {
    Payments = Counter "payments_total" ["outcome"] "Records of the payments topic, by what came of them.",
    Decisions = Counter "decisions_total" ["verdict"] "Decisions, by verdict.",
    DeadLetters = Counter "dead_letters_total" ["code"] "Records of either topic that could not be used, by code.",
    Labels = Counter "labels_total" ["outcome"] "Records of the labels topic, by what came of them.",
    Alerts = Counter "alerts_total" [] "Alerts raised.",
    ModelSwaps = Counter "model_swaps_total" [] "Times that a model version went live.",
    ModelRefusals = Counter "model_refusals_total" [] "Model versions that were refused.",
    ModelFailures = Counter "model_failures_total" [] "Batches that the model failed and the policy's fallback decided.",
    SchemaLookups = Counter "schema_lookups_total" ["answer"] "Questions to the schema registry, by its answer.",
    DecisionLatency = Histogram "decision_latency_seconds" [] "From a record's arrival in the process to its decision.",
    EndToEnd = Histogram "end_to_end_seconds" [] "From a record's arrival to the acknowledgement of what was written for it.",
    RestAnswers = Counter "rest_answers_total" ["outcome"] "Payments that callers asked for, by what they were answered.",
    RestLatency = Histogram "rest_seconds" [] "From a caller's request to his decision.",
    RestUnrecorded = Gauge "rest_unrecorded" [] "Payments that were answered and that the brokers have not acknowledged.",
    RestAhead = Gauge "rest_ahead" [] "Payments that were answered and that the stream has not applied.",
    ForeignDecisions = Counter "decision_headers_ignored_total" [] "Decisions in headers of payments that were not made here.",
    RulesBroken = Counter "rules_broken_total" [] "Decisions for which a rule had no value and counted as not matched.",
    Unexplained = Gauge "reconcile_unexplained" [] "Differences of the last reconciliation that nothing explains.",
    IndexRows = Gauge "index_rows" [] "Decisions that can be looked up.",
    QueueUp = Gauge "queue_up" [] "1 while the queue's database takes what it is given; 0 too where there is no queue.",
    QueueOpen = Gauge "queue_open_alerts" [] "Open alerts.",
    QueueOldest = Gauge "queue_oldest_alert_seconds" [] "How long the oldest open alert has been open.",
    QueueLag = Gauge "queue_lag_messages" ["topic"] "Records that the queue has not taken in.",
    QueueOutbox = Gauge "queue_outbox_waiting" [] "Labels and block-list entries on their way, those that can be taken back too.",
    QueueOverdue = Gauge "queue_outbox_overdue_seconds" [] "How long the oldest of them should have left.",
    QueueAudited = Gauge "queue_audit_entries" [] "Entries of the audit log.",
    QueueAnchored = Gauge "queue_audit_anchored" [] "The last entry that the topic of its ends has from this process.",
    InFlight = Gauge "in_flight_messages" [] "Records written and not acknowledged by the brokers.",
    InputLag = Gauge "input_lag_messages" ["topic", "partition"] "Records in the topic that are not applied.",
    CommittedOffset = Gauge "committed_offset" ["topic", "partition"] "The committed offset: everything below it is done.",
    PartitionBlocked = Gauge "partition_blocked" ["topic", "partition"] "1 while the partition waits for a schema or a repair.",
    StoreEntities = Gauge "store_entities" [] "Entities known.",
    StoreResidentEntities = Gauge "store_resident_entities" [] "Entities whose state is in memory.",
    StoreResidentBytes = Gauge "store_resident_bytes" [] "Memory of these states.",
    StoreRowsSinceCheckpoint = Gauge "store_rows_since_checkpoint" [] "Batches that a restart would apply again.",
    Checkpoint = Histogram "checkpoint_seconds" [] "How long checkpoints took, from start to durable.",
    IdentityIds = Gauge "identity_ids" [] "Transaction ids remembered.",
    WaitingLabels = Gauge "waiting_labels" [] "Labels whose payment has not come.",
    WaitingLabelsDropped = Counter "waiting_labels_dropped_total" [] "Such labels that had to make room.",
    ProcessResidentBytes = Gauge "process_resident_bytes" [] "Memory of the process.",
    ProcessCpu = Counter "process_cpu_seconds_total" [] "Processor time of the process, user and system.",
    Build = Info "build_info" ["version"] "The version that runs.",
}

impl Metric {
    /// The family's name in the exposition: a counter's and an info's samples add their own ending.
    pub fn family(self) -> &'static str {
        let ending = match self.kind() {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.name().strip_suffix(ending).unwrap_or(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_end_as_their_kind_demands() {
        let names: HashSet<_> = Metric::ALL.iter().map(|metric| metric.name()).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), metric.kind() == Kind::Info, "{name}");
            assert!(
                metric.kind() != Kind::Histogram || name.ends_with("_seconds"),
                "{name}: its unit is last"
            );
        }
    }
}
