//! The metrics as OpenMetrics text, made when somebody asks.

use std::fmt::Error;
use std::sync::{Arc, PoisonError};

use feature_store::store::Source;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use schemas::reject::RejectCode;

use super::latency::{Durations, shown};
use super::{Counter, Kind, LabelOutcome, LookupAnswer, Metric, RestOutcome, Telemetry, process};
use crate::alerts::QueueFigures;

/// The media type of the text.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const NO_EXEMPLAR: Option<&Exemplar<NoLabelSet, f64>> = None;

impl Telemetry {
    /// All metrics as OpenMetrics text.
    ///
    /// # Errors
    /// None that is known of: it writes to memory.
    pub fn openmetrics(self: &Arc<Self>) -> Result<String, Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(self)));
        let mut text = String::with_capacity(16 << 10);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Telemetry {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut sheet = Sheet(encoder);
        self.line_counters(&mut sheet)?;
        self.part_counters(&mut sheet)?;
        self.gauges(&mut sheet)?;
        self.rest_figures(&mut sheet)?;
        self.queue_figures(&mut sheet)?;
        if let Some(figures) = process::figures() {
            sheet.gauge(Metric::ProcessResidentBytes, figures.resident_bytes)?;
            sheet.family(Metric::ProcessCpu)?.encode_counter(&figures.cpu_seconds, NO_EXEMPLAR)?;
        }
        sheet.family(Metric::Build)?.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
    }
}

impl Telemetry {
    fn line_counters(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let outcomes = [
            ("decided", self.totals().decided),
            ("duplicate", self.duplicates.get()),
            ("dead_letter", self.dead_payments.get()),
        ];
        sheet.counters(Metric::Payments, outcomes)?;
        sheet
            .counters(Metric::Decisions, self.verdicts().map(|(verdict, count)| (verdict.as_str(), count)))?;
        let codes = RejectCode::ALL.iter().map(|code| code.as_str()).zip(counts(&self.codes));
        sheet.counters(Metric::DeadLetters, codes)?;
        let labels = LabelOutcome::ALL.map(LabelOutcome::as_str).into_iter().zip(counts(&self.labels));
        sheet.counters(Metric::Labels, labels)?;
        sheet.counter(Metric::Alerts, self.alerts.get())?;
        sheet.durations(Metric::DecisionLatency, &self.decision_latency)?;
        sheet.durations(Metric::EndToEnd, &self.end_to_end)?;
        sheet.durations(Metric::Checkpoint, &self.checkpoints)
    }

    fn rest_figures(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let answers = RestOutcome::ALL.map(RestOutcome::as_str).into_iter().zip(counts(&self.answers));
        sheet.counters(Metric::RestAnswers, answers)?;
        sheet.durations(Metric::RestLatency, &self.rest_latency)?;
        let figures = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        sheet.gauge(Metric::RestUnrecorded, figures.unrecorded)?;
        sheet.gauge(Metric::RestAhead, figures.ahead)?;
        sheet.gauge(Metric::Unexplained, self.unexplained.get())?;
        sheet.gauge(Metric::IndexRows, figures.index_rows)?;
        sheet.counter(Metric::RulesBroken, figures.rules_broken)?;
        sheet.counter(Metric::ForeignDecisions, self.foreign.get())
    }

    fn queue_figures(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let QueueFigures { up, figures, lag, anchored } =
            *self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        sheet.gauge(Metric::QueueUp, u64::from(up))?;
        sheet.gauge(Metric::QueueOpen, figures.open)?;
        sheet.gauge(Metric::QueueOldest, figures.oldest_ms.unsigned_abs() / 1_000)?;
        let mut family = sheet.family(Metric::QueueLag)?;
        for (topic, lag) in ["alerts", "labels"].into_iter().zip(lag) {
            family.encode_family(&[("topic", topic)])?.encode_gauge(&lag)?;
        }
        sheet.gauge(Metric::QueueOutbox, figures.outbox)?;
        sheet.gauge(Metric::QueueOverdue, figures.overdue_ms.unsigned_abs() / 1_000)?;
        sheet.gauge(Metric::QueueAudited, figures.audited.unsigned_abs())?;
        sheet.gauge(Metric::QueueAnchored, anchored.unsigned_abs())
    }

    fn part_counters(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        sheet.counter(Metric::ModelSwaps, self.model_swaps.get())?;
        sheet.counter(Metric::ModelRefusals, self.model_refusals.get())?;
        let answers = self.line.lock().unwrap_or_else(PoisonError::into_inner).schema_answers;
        let words = LookupAnswer::ALL.map(LookupAnswer::as_str).into_iter();
        sheet.counters(Metric::SchemaLookups, words.zip(answers))
    }

    fn gauges(&self, sheet: &mut Sheet<'_>) -> Result<(), Error> {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sheet.counter(Metric::ModelFailures, line.model_failures)?;
        sheet.counter(Metric::WaitingLabelsDropped, line.waiting_dropped)?;
        sheet.gauge(Metric::InFlight, line.in_flight as u64)?;
        sheet.gauge(Metric::StoreEntities, line.entities as u64)?;
        sheet.gauge(Metric::StoreResidentEntities, line.resident as u64)?;
        sheet.gauge(Metric::StoreResidentBytes, self.resident_bytes.get())?;
        sheet.gauge(Metric::StoreRowsSinceCheckpoint, line.rows_since_checkpoint)?;
        sheet.gauge(Metric::IdentityIds, line.ids as u64)?;
        sheet.gauge(Metric::WaitingLabels, line.waiting_labels as u64)?;
        let blocked = |source| line.blocked.iter().any(|(blocked, _)| *blocked == source);
        let committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.partitions(sheet, Metric::InputLag, line.lag.iter().copied())?;
        self.partitions(sheet, Metric::CommittedOffset, committed)?;
        let blocked = line.lag.iter().map(|(source, _)| (*source, i64::from(blocked(*source))));
        self.partitions(sheet, Metric::PartitionBlocked, blocked)
    }

    fn partitions(
        &self,
        sheet: &mut Sheet<'_>,
        metric: Metric,
        rows: impl IntoIterator<Item = (Source, i64)>,
    ) -> Result<(), Error> {
        let mut family = sheet.family(metric)?;
        for (source, value) in rows {
            let topic = self.topics.get(source.topic as usize).map_or("", String::as_str);
            let partition = source.partition.to_string();
            let labels = [("topic", topic), ("partition", partition.as_str())];
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn counts(counters: &[Counter]) -> impl Iterator<Item = u64> {
    counters.iter().map(Counter::get)
}

/// The text in the making.
struct Sheet<'a>(DescriptorEncoder<'a>);

impl Sheet<'_> {
    fn family(&mut self, metric: Metric) -> Result<MetricEncoder<'_>, Error> {
        let kind = match metric.kind() {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
            Kind::Info => MetricType::Info,
        };
        self.0.encode_descriptor(metric.family(), metric.help(), None, kind)
    }

    fn counter(&mut self, metric: Metric, value: u64) -> Result<(), Error> {
        self.family(metric)?.encode_counter(&value, NO_EXEMPLAR)
    }

    /// A counter with one label.
    fn counters<'a>(
        &mut self,
        metric: Metric,
        rows: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Result<(), Error> {
        let label = metric.labels().first().copied().unwrap_or_default();
        let mut family = self.family(metric)?;
        for (word, value) in rows {
            family.encode_family(&[(label, word)])?.encode_counter(&value, NO_EXEMPLAR)?;
        }
        Ok(())
    }

    fn gauge(&mut self, metric: Metric, value: u64) -> Result<(), Error> {
        self.family(metric)?.encode_gauge(&value)
    }

    fn durations(&mut self, metric: Metric, durations: &Durations) -> Result<(), Error> {
        let counts = durations.counts();
        let (sum, total) = (durations.sum_seconds(), counts.total());
        self.family(metric)?.encode_histogram::<NoLabelSet>(sum, total, &shown(&counts), None)
    }
}
