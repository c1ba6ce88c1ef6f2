//! The first pass: everything that the archive has is computed, in the one order of both passes.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use batch::archive::ArchiveStore;
use batch::kernel::{Answers, Causes, Chunk, Kernel, Order, Recorded, Standing};
use schemas::decision::Decision;
use schemas::name::Name;
use schemas::payment::Label;
use schemas::value::FeatureValue;

use super::ledger::{Entry, Fate, Ledger, Met, STANDING, id_hash};
use super::{Progress, ReconcileError, entities, records};
use crate::archiver::topics;
use crate::config::Setup;

/// What the first pass comes to: everything computed.
pub(super) struct First<'a> {
    pub ledger: Ledger<'a>,
    pub rows: Rows,
    pub verdicts: Verdicts,
    /// Rows of decisions that count what is perhaps not archived yet.
    pub ahead: HashSet<u32>,
    /// Versions that decisions recorded.
    pub versions: u64,
}

impl<'a> First<'a> {
    pub fn pass(
        setup: &'a Setup,
        store: &'a ArchiveStore,
        folder: &Path,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, ReconcileError> {
        let topics = topics(&setup.config);
        let mut ledger = Ledger::open(store, topics.clone(), &setup.config.mapping)?;
        let mut kernel = Kernel::new(&setup.definitions, Order::Recorded, folder)?
            .that_forgets(setup.config.limits.remember);
        let mut verdicts = Verdicts::default();
        let mut labels_until = HashMap::new();
        ledger.counts[1] = records::labels(store, &topics[1], |partition, offset, label| {
            verdicts.hear(label);
            labels_until.insert(partition, offset + 1);
            kernel.label(partition, offset, label)
        })?;
        ledger.labels_until = labels_until;
        let (entities, mut payments, mut versions) = (entities(setup), 0, 0);
        let mut ahead = HashSet::new();
        ledger.walk(Some(&STANDING), |met| -> Result<(), ReconcileError> {
            if let Met::Entry(entry) = met {
                payments += 1;
                if payments % 10_000 == 0 {
                    progress(Progress::Read(payments));
                }
                let row = kernel.rows();
                versions += hand_over(&entry, &entities, &mut kernel)?;
                if entry.decisions.first().is_some_and(|decision| ledger.is_ahead(decision)) {
                    ahead.insert(row);
                }
            }
            Ok(())
        })?;
        ledger.counts[0] = payments;
        let answers = kernel.compute(&|done, of| progress(Progress::Computed(done, of)))?;
        Ok(Self { ledger, rows: Rows { answers, chunk: None, row: 0 }, verdicts, ahead, versions })
    }
}

/// The kernel's answers in the order of a walk.
pub(super) struct Rows {
    pub answers: Answers,
    chunk: Option<Chunk>,
    row: u32,
}

/// The vectors of one payment.
pub(super) struct Vectors {
    pub as_of_log: Vec<FeatureValue>,
    pub by_event_time: Vec<FeatureValue>,
    pub causes: Vec<(usize, Causes)>,
}

impl Rows {
    /// Those of the next entry; `None` where nothing was computed for it.
    pub fn of(&mut self, entry: &Entry) -> std::io::Result<Option<Vectors>> {
        if !has_row(entry) {
            return Ok(None);
        }
        let row = self.row;
        self.row += 1;
        let holds = |chunk: &Chunk| (chunk.first..chunk.first + chunk.rows() as u32).contains(&row);
        if !self.chunk.as_ref().is_some_and(holds) {
            self.chunk = self.answers.next_chunk()?;
        }
        let Some(chunk) = &self.chunk else {
            return Err(std::io::Error::other("fewer answers than payments"));
        };
        let mut as_of_log = Vec::new();
        let causes = chunk.as_of_log(row, &mut as_of_log);
        Ok(Some(Vectors { as_of_log, by_event_time: chunk.by_event_time(row).to_vec(), causes }))
    }
}

/// Gives a payment that was applied to the kernel, in the one order of both passes; how many versions it recorded.
fn hand_over(entry: &Entry, entities: &[Name], kernel: &mut Kernel) -> std::io::Result<u64> {
    let Ok(payment) = &entry.record.payment else { return Ok(0) };
    match (&entry.fate, entry.decisions.first()) {
        (Fate::Decided, Some(decision)) => {
            let recorded = Recorded {
                standings: standings(decision, entities),
                labels_until: &decision.labels_until,
                labels_applied: &decision.labels_applied,
            };
            kernel.payment(entry.place, payment, Some(&recorded))?;
            return Ok(recorded.standings.iter().flatten().count() as u64);
        }
        (Fate::Lost | Fate::Open, _) => _ = kernel.payment(entry.place, payment, None)?,
        _ => {}
    }
    Ok(0)
}

/// Whether the kernel has a row for it.
fn has_row(entry: &Entry) -> bool {
    entry.record.payment.is_ok() && matches!(entry.fate, Fate::Decided | Fate::Lost | Fate::Open)
}

/// What a decision recorded of each entity of the mapping.
fn standings(decision: &Decision, entities: &[Name]) -> Vec<Option<Standing>> {
    let of = |name: &Name| {
        let seen = decision.entities.iter().find(|seen| seen.entity == *name)?;
        let count = |version: i64| u64::try_from(version).unwrap_or(0);
        let (version, applied) = (count(seen.version), count(seen.applied));
        match (version, applied) {
            (0, 0) => None,
            // Decided without a look at the state: only where it was applied is known.
            (0, applied) => Some(Standing { applied, state: applied - 1, pending: Vec::new() }),
            (version, 0) => Some(Standing { applied: version, state: version - 1, pending: Vec::new() }),
            (version, applied) => {
                let state = (version - 1).saturating_sub(seen.pending.len() as u64);
                Some(Standing { applied, state, pending: seen.pending.clone() })
            }
        }
    };
    entities.iter().map(of).collect()
}

/// What labels say of payments in the end: the newest stands.
#[derive(Default)]
pub(super) struct Verdicts(HashMap<u128, (i64, bool)>);

impl Verdicts {
    pub fn hear(&mut self, label: &Label) {
        let heard = (label.label_time.ms(), label.fraud);
        let known = self.0.entry(id_hash(&label.transaction_id)).or_insert(heard);
        *known = heard.max(*known);
    }

    pub fn of(&self, transaction_id: &str) -> Option<bool> {
        self.0.get(&id_hash(transaction_id)).map(|(_, fraud)| *fraud)
    }
}
