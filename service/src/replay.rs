//! Replay: the pipeline over a file. No Kafka, no clock; the same decisions as the stream makes of the same payments
//! in the same order.
//!
//! ```text
//! payments.parquet ─► rows ─► Item ─┐
//! labels.parquet ─► by label_time ──┴─► Pipeline ─► out.parquet
//! ```
//! State lives in a folder that is thrown away afterwards. Not the batch job that proves the stream right: that is an
//! implementation of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use feature_store::definition::Definitions;
use feature_store::enricher::Enricher;
use feature_store::files::{FileOptions, JournalSync};
use feature_store::store::StoreError;
use schemas::mapping::PaymentMapping;
use schemas::payment::Payment;
use schemas::problem::Problems;
use schemas::reject::Reject;
use schemas::time::EventTime;

use crate::clock::StandingClock;
use crate::config::LimitsConfig;
use crate::pipeline::{BatchFacts, Deciders, Item, Pipeline, Ruling};

pub(crate) mod columns;
pub(crate) mod labels;
pub(crate) mod output;
pub(crate) mod payments;

use labels::Labels;
use output::Output;
use payments::Payments;

/// Payments of one batch: as many as the stream's largest.
const BATCH: usize = 512;

/// What replay works with.
pub struct Replay<'a> {
    /// The user's columns.
    pub mapping: Arc<PaymentMapping>,
    /// The features.
    pub definitions: Arc<Definitions>,
    /// Bounds.
    pub limits: &'a LimitsConfig,
    /// Model and policy.
    pub deciders: Deciders,
}

/// The files of one run.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// Payments, in file order.
    pub payments: &'a Path,
    /// Labels, if there are any.
    pub labels: Option<&'a Path>,
    /// Where the rows go.
    pub out: &'a Path,
    /// At most so many payments.
    pub limit: Option<u64>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Rows read.
    pub payments: u64,
    /// Decided.
    pub decided: u64,
    /// Seen before.
    pub duplicates: u64,
    /// Dead letters by code.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// The labels.
    pub labels: LabelCounts,
    /// Columns that the mapping names and the payments file lacks: they were taken as null.
    pub absent_columns: Vec<String>,
}

/// What became of the labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct LabelCounts {
    /// Rows read.
    pub read: u64,
    /// Known by the last payment; the others came too late for all of them.
    pub known: u64,
    /// Of these, without a payment up to the end, or with one that is no longer remembered.
    pub without_payment: u64,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file is not what it should be; nothing was done.
    #[error(transparent)]
    Input(#[from] Problems),
    /// The state.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// A file could not be read to its end, or written.
    #[error("{0}")]
    Files(String),
}

impl Replay<'_> {
    /// Decides every payment of a file; `progress` hears how many so far, and of how many.
    ///
    /// # Errors
    /// See [`ReplayError`]. The out file is there whole or not at all.
    pub fn run(&self, files: Files<'_>, progress: impl FnMut(u64, u64)) -> Result<Counts, ReplayError> {
        self.run_with(files, progress, |_| {})
    }

    /// The same; `each` sees every ruling, in the order of the payments.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn run_with(
        &self,
        files: Files<'_>,
        mut progress: impl FnMut(u64, u64),
        mut each: impl FnMut(&Ruling),
    ) -> Result<Counts, ReplayError> {
        let (mut payments, mut labels, mut output) = self.open(files)?;
        let rows = payments.rows().min(files.limit.unwrap_or(u64::MAX));
        let folder = tempfile::tempdir().map_err(|error| ReplayError::Files(error.to_string()))?;
        let mut pipeline = self.pipeline(folder.path())?;
        let mut counts = Counts { absent_columns: payments.absent().to_vec(), ..Counts::default() };
        while counts.payments < rows {
            let (mut seen, mut items) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
            let wanted = usize::try_from(rows - counts.payments).unwrap_or(BATCH).min(BATCH);
            while items.len() < wanted {
                let Some(row) = payments.next()? else { break };
                let offset = i64::try_from(counts.payments).unwrap_or(i64::MAX) + items.len() as i64;
                let event_time = row.payment.as_ref().ok().map(|payment| payment.event_time);
                items.push(item(offset, row.payment, &mut labels));
                seen.push(Seen { transaction_id: row.transaction_id, event_time });
            }
            if items.is_empty() {
                break;
            }
            let rulings = self.batch(&mut pipeline, items)?;
            rulings.iter().for_each(&mut each);
            written(&seen, &rulings, &mut output, &mut counts)?;
            progress(counts.payments, rows);
        }
        output.finish()?;
        counts.labels = label_counts(&labels, &pipeline);
        Ok(counts)
    }

    /// Opens the three files; all that is wrong with them is said at once.
    fn open(&self, files: Files<'_>) -> Result<(Payments, Labels, Output), Problems> {
        let mut problems = Problems::default();
        let payments = kept(Payments::open(files.payments, &self.mapping), &mut problems);
        let labels = files.labels.map_or_else(|| Ok(Labels::default()), Labels::open);
        let labels = kept(labels, &mut problems);
        let inputs: Vec<&Path> = std::iter::once(files.payments).chain(files.labels).collect();
        let output = kept(Output::create(files.out, &inputs, &self.definitions), &mut problems);
        let opened = match (payments, labels, output) {
            (Some(payments), Some(labels), Some(output)) => Some((payments, labels, output)),
            _ => None,
        };
        problems.or(opened)
    }

    fn pipeline(&self, folder: &Path) -> Result<Pipeline, StoreError> {
        let options = FileOptions { journal_sync: JournalSync::Never, ..FileOptions::default() };
        let definitions = Arc::clone(&self.definitions);
        // Everything stays in memory: there is no checkpoint after which a state could be let go of.
        let (enricher, _) =
            Enricher::open(folder, options, definitions, self.limits.state(), usize::MAX / 4)?;
        Ok(Pipeline::new(enricher, &self.mapping, self.limits.skew))
    }

    fn batch(&self, pipeline: &mut Pipeline, items: Vec<Item>) -> Result<Vec<Ruling>, StoreError> {
        // No payment of a file is from the future.
        let facts = BatchFacts { partition: 0, judged_ms: i64::MAX / 2, attempt: 1, decode_us: 0 };
        let mut rulings = Vec::with_capacity(items.len());
        pipeline.run(items, facts, &self.deciders, &StandingClock::default(), &mut rulings)?;
        Ok(rulings)
    }
}

/// Counts a batch and writes its rows.
fn written(
    seen: &[Seen],
    rulings: &[Ruling],
    output: &mut Output,
    counts: &mut Counts,
) -> Result<(), ReplayError> {
    for (seen, ruling) in seen.iter().zip(rulings) {
        counts.payments += 1;
        match ruling {
            Ruling::Decided(..) => counts.decided += 1,
            Ruling::Duplicate => counts.duplicates += 1,
            Ruling::Dead(reject) => *counts.dead_letters.entry(reject.code.as_str()).or_default() += 1,
        }
        output.push(seen, ruling);
    }
    output.flush_if_full()
}

/// The value, or its problems added to the others.
fn kept<T>(opened: Result<T, Problems>, problems: &mut Problems) -> Option<T> {
    opened.map_err(|more| problems.0.extend(more.0)).ok()
}

/// What a row shows of itself, whatever comes of it.
struct Seen {
    transaction_id: Option<Box<str>>,
    event_time: Option<EventTime>,
}

fn item(offset: i64, payment: Result<Payment, Reject>, labels: &mut Labels) -> Item {
    let labels_before = match &payment {
        Ok(payment) => labels.known_at(payment.event_time),
        Err(_) => Vec::new(),
    };
    Item { offset, schema_id: 0, payment, made: None, arrived_us: 0, labels_before }
}

fn label_counts(labels: &Labels, pipeline: &Pipeline) -> LabelCounts {
    let (read, known) = labels.counts();
    let (waiting, dropped) = pipeline.enricher().waiting();
    LabelCounts { read: read as u64, known: known as u64, without_payment: waiting as u64 + dropped }
}
