//! Replay: the pipeline over a file. No Kafka, no clock; the same decisions as the stream makes of the same payments
//! in the same order.
//!
//! ```text
//! payments.parquet ─► rows ─► Item ─┐
//! labels.parquet ─► by label_time ──┴─► Pipeline ─► out.parquet
//! ```
//! State lives in a folder that is thrown away afterwards. Not the batch job that proves the stream right: that is an
//! implementation of its own.

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

use crate::clock::StandingClock;
use crate::config::LimitsConfig;
use crate::pipeline::{BatchFacts, Deciders, Item, Pipeline, Ruling};

mod columns;
mod labels;
mod output;
mod payments;

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
    pub dead_letters: std::collections::BTreeMap<&'static str, u64>,
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
    pub fn run(&self, files: Files<'_>, mut progress: impl FnMut(u64, u64)) -> Result<Counts, ReplayError> {
        let mut payments = Payments::open(files.payments, &self.mapping)?;
        let mut labels = files.labels.map(Labels::open).transpose()?.unwrap_or_default();
        let rows = payments.rows().min(files.limit.unwrap_or(u64::MAX));
        let folder = tempfile::tempdir().map_err(|error| ReplayError::Files(error.to_string()))?;
        let mut pipeline = self.pipeline(folder.path())?;
        let mut output = Output::create(files.out, &self.definitions)?;
        let mut counts = Counts::default();
        let mut items = Vec::with_capacity(BATCH);
        while counts.payments + (items.len() as u64) < rows {
            let offset = i64::try_from(counts.payments).unwrap_or(i64::MAX) + items.len() as i64;
            let Some(payment) = payments.next()? else { break };
            items.push(item(offset, payment, &mut labels));
            if items.len() == BATCH {
                self.batch(&mut pipeline, std::mem::take(&mut items), &mut output, &mut counts)?;
                progress(counts.payments, rows);
            }
        }
        self.batch(&mut pipeline, items, &mut output, &mut counts)?;
        output.finish()?;
        progress(counts.payments, rows);
        Ok(counts)
    }

    fn pipeline(&self, folder: &Path) -> Result<Pipeline, StoreError> {
        let options = FileOptions { journal_sync: JournalSync::Never, ..FileOptions::default() };
        let definitions = Arc::clone(&self.definitions);
        // Everything stays in memory: there is no checkpoint after which a state could be let go of.
        let (enricher, _) =
            Enricher::open(folder, options, definitions, self.limits.state(), usize::MAX / 4)?;
        Ok(Pipeline::new(enricher, &self.mapping, self.limits.skew))
    }

    fn batch(
        &self,
        pipeline: &mut Pipeline,
        items: Vec<Item>,
        output: &mut Output,
        counts: &mut Counts,
    ) -> Result<(), ReplayError> {
        // No payment of a file is from the future.
        let facts = BatchFacts { partition: 0, judged_ms: i64::MAX / 2, attempt: 1, decode_us: 0 };
        let seen: Vec<_> = items.iter().map(seen).collect();
        let mut rulings = Vec::with_capacity(items.len());
        pipeline.run(items, facts, &self.deciders, &StandingClock::default(), &mut rulings)?;
        for (seen, ruling) in seen.into_iter().zip(&rulings) {
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
}

/// Id and time of an item's payment, if it has one.
fn seen(item: &Item) -> Option<(Box<str>, i64)> {
    item.payment.as_ref().ok().map(|payment| (payment.transaction_id.clone(), payment.event_time.ms()))
}

fn item(offset: i64, payment: Result<Payment, Reject>, labels: &mut Labels) -> Item {
    let labels_before = match &payment {
        Ok(payment) => labels.known_at(payment.event_time),
        Err(_) => Vec::new(),
    };
    Item { offset, schema_id: 0, payment, arrived_us: 0, labels_before }
}
