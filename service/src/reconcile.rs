//! Reconcile: the archive's payments and labels computed again, and every difference to what was decided named.
//!
//! ```text
//! archive ─► ledger ─ pass 1 ─► kernel ─► vectors, as of the log and by event time
//!               └──── pass 2 ─► compare: features, scores, decisions, alerts, callers' answers ─► findings,
//!                                                                              corrections, report
//! ```
//! The kernel shares no code with the stream's algebra. What has no name among the classes is `unexplained`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use batch::archive::{ArchiveError, ArchiveStore};
use batch::kernel::{Gap, entity_key};
use batch::numbers::Numbers;
use batch::report;
use schemas::alert::alert_id;
use schemas::decision::Decision;
use schemas::name::Name;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::archiver::topics;
use crate::config::Setup;

mod again;
mod alerts;
pub mod backtest;
mod compare;
pub mod drift;
mod finding;
mod ledger;
mod pass;
pub mod publish;
mod records;
pub mod schedule;
mod tally;
pub mod training;

pub use finding::{Check, Class, Finding};

use again::Again;
use alerts::Alerts;
use compare::{Compared, Comparer};
use drift::{Against, Drifts};
use ledger::{Entry, Fate, Ledger, Met, Place};
use pass::{First, Rows, Vectors, Verdicts};
use tally::Tally;

/// The place of a finding about no payment.
const NOWHERE: Place = (-1, -1);

/// Results that can be published.
const CORRECTIONS: &str = "corrections.jsonl";
const MISSED_ALERTS: &str = "missed_alerts.jsonl";

/// Decisions that are compared at once.
const BATCH: usize = 512;

/// What went wrong, beside what was found.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file of the machine.
    #[error("files: {0}")]
    Files(#[from] std::io::Error),
}

/// What is reconciled, and where the results go.
#[derive(Debug, Clone)]
pub struct Span {
    /// Payments with this event time or a later one are compared, milliseconds. All are computed: windows reach back.
    pub from_ms: i64,
    /// And an earlier one than this.
    pub to_ms: i64,
    /// The folder of the results.
    pub out: PathBuf,
}

impl Span {
    fn has(&self, time_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&time_ms)
    }
}

/// How far a run is, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Payments read.
    Read(u64),
    /// Shares computed, of how many.
    Computed(usize, usize),
    /// Payments compared, of how many.
    Compared(u64, u64),
}

/// Runs a reconciliation, and measures drift against a reference, where there is one.
///
/// # Errors
/// When the archive or the files cannot be read or written; differences are no error.
pub fn run(
    setup: &Setup,
    span: &Span,
    against: Against,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Numbers, ReconcileError> {
    let store = ArchiveStore::open(&setup.config.archive.address)?.as_it_is();
    std::fs::create_dir_all(&span.out)?;
    let topics = topics(&setup.config);
    let First { ledger, rows, verdicts, ahead, versions } = First::pass(setup, &store, &span.out, progress)?;
    // Behind the pass: it reads how far the archive is before any file is listed.
    let run = identity(&store, setup, span)?;
    let holes = Holes { payments: store.holes(&topics[0])?, decisions: store.holes(&topics[2])? };
    let has_holes = !holes.payments.is_empty() || !store.holes(&topics[1])?.is_empty();
    let mut second = Second {
        comparer: Comparer::new(Again::new(setup, &store), &setup.definitions, &run),
        alerts: Alerts::of(&store, &topics[3])?,
        tally: Tally::default(),
        gaps: BTreeMap::new(),
        rows,
        waiting: Vec::new(),
        files: Files::create(&span.out)?,
        span: span.clone(),
        verdicts,
        holes,
        drifts: against.map(|reference| Drifts::of(reference, &setup.definitions)),
    };
    second.tally.compared(Check::Versions, versions);
    second.versions(&entities(setup), |gap| match gap.row {
        Some(row) if ahead.contains(&row) => Class::Open,
        _ if has_holes && gap.missing > 0 => Class::ArchiveGap,
        _ => Class::Unexplained,
    })?;
    let (mut compared, payments) = (0, ledger.counts[0]);
    ledger.walk(None, |met| {
        if matches!(met, Met::Entry(_)) {
            compared += 1;
            if compared % 10_000 == 0 {
                progress(Progress::Compared(compared, payments));
            }
        }
        second.meet(met, &ledger)
    })?;
    let mut counts = ledger.counts;
    counts[3] = second.alerts.count;
    let words = ["payments", "labels", "decisions", "alerts", "dead_letters"];
    let records = words.iter().zip(counts).map(|(word, count)| ((*word).to_owned(), count));
    let records: BTreeMap<_, _> = records.collect();
    second.finish(&run, records, &ledger)
}

fn entities(setup: &Setup) -> Vec<Name> {
    setup.config.mapping.entities.iter().map(|entity| Name::from(entity.name.as_str())).collect()
}

/// The run's id: what it looks at, and with which files.
fn identity(store: &ArchiveStore, setup: &Setup, span: &Span) -> Result<String, ArchiveError> {
    let mut hash = Sha256::new();
    for topic in topics(&setup.config) {
        for place in store.places(&topic)? {
            hash.update(store.get(&place.manifest())?.unwrap_or_default());
        }
    }
    hash.update(setup.definitions.version.as_bytes());
    hash.update(span.from_ms.to_le_bytes());
    hash.update(span.to_ms.to_le_bytes());
    Ok(format!("run_{}", &hex::encode(hash.finalize())[..16]))
}

/// The results as they come: one JSON object a line.
struct Files {
    findings: BufWriter<File>,
    corrections: BufWriter<File>,
    missed: BufWriter<File>,
}

impl Files {
    fn create(out: &Path) -> std::io::Result<Self> {
        let create = |name: &str| -> std::io::Result<_> { Ok(BufWriter::new(File::create(out.join(name))?)) };
        Ok(Self {
            findings: create("findings.jsonl")?,
            corrections: create(CORRECTIONS)?,
            missed: create(MISSED_ALERTS)?,
        })
    }
}

fn line(file: &mut BufWriter<File>, what: &impl Serialize) -> Result<(), ReconcileError> {
    serde_json::to_writer(&mut *file, what).map_err(std::io::Error::other)?;
    Ok(file.write_all(b"\n")?)
}

/// The second pass.
struct Second<'a> {
    comparer: Comparer<'a>,
    alerts: Alerts,
    tally: Tally,
    /// Entities' keys of which the archive lacks events, and the name of why.
    gaps: BTreeMap<(usize, [u64; 2]), Class>,
    rows: Rows,
    waiting: Vec<Compared>,
    files: Files,
    span: Span,
    verdicts: Verdicts,
    holes: Holes,
    drifts: Result<Drifts, String>,
}

/// What the archive lacks: it expired, or the topic had it no more when it was archived.
struct Holes {
    payments: Vec<(i32, Range<i64>)>,
    decisions: Vec<(i32, Range<i64>)>,
}

impl Holes {
    /// Whether a payment's record is missing, not only its trace.
    fn has(&self, (partition, offset): Place) -> bool {
        self.payments.iter().any(|(of, hole)| *of == partition && hole.contains(&offset))
    }

    /// What nothing is known of: a bug, unless the archive lacks decisions of its partition.
    fn class_of_lost(&self, (partition, _): Place) -> Class {
        let lacks = self.decisions.iter().any(|(of, _)| *of == partition);
        if lacks { Class::ArchiveGap } else { Class::Unexplained }
    }
}

impl Second<'_> {
    /// What the versions count and the archive has not.
    fn versions(&mut self, entities: &[Name], class: impl Fn(&Gap) -> Class) -> Result<(), ReconcileError> {
        // Where the archive is known to lack records most keys lack some: one finding says so.
        let mut lacking: BTreeMap<(Class, String), (u64, i64)> = BTreeMap::new();
        for gap in self.rows.answers.gaps().to_vec() {
            let class = class(&gap);
            let known = self.gaps.entry((gap.entity, gap.key)).or_insert(class);
            *known = class.max(*known);
            let entity = entities.get(gap.entity).map_or("", |name| name.as_str());
            let field = format!("version of a {entity}");
            if class == Class::Unexplained {
                let missing = format!("{} events that the archive has not", gap.missing);
                self.found(&Finding::bare(Check::Versions, class, NOWHERE).of(field, missing, ""))?;
            } else {
                let (keys, events) = lacking.entry((class, field)).or_default();
                (*keys, *events) = (*keys + 1, *events + gap.missing);
            }
        }
        for ((class, field), (keys, events)) in lacking {
            let missing = format!("{events} events of {keys} keys that the archive has not");
            self.found(&Finding::bare(Check::Versions, class, NOWHERE).of(field, missing, ""))?;
        }
        Ok(())
    }

    fn meet(&mut self, met: Met, ledger: &Ledger<'_>) -> Result<(), ReconcileError> {
        match met {
            Met::Entry(entry) => self.entry(*entry, ledger),
            Met::Orphan { decision, is_open } => self.orphan(&decision, is_open, ledger),
        }
    }

    fn entry(&mut self, mut entry: Entry, ledger: &Ledger<'_>) -> Result<(), ReconcileError> {
        self.tally.entry(&entry);
        let vectors = self.rows.of(&entry)?;
        let about = entry.record.payment.as_ref();
        let time_ms = about.map_or(self.span.from_ms, |payment| payment.event_time.ms());
        if !self.span.has(time_ms) {
            // Another run's: its alerts are not without a decision.
            let ids = entry.decisions.iter().filter_map(|decision| decision.alert_id.as_deref());
            ids.for_each(|id| _ = self.alerts.take(id));
            return Ok(());
        }
        self.tally.compared(Check::Conservation, 1);
        let (class, field, recorded) = match &entry.fate {
            Fate::Decided => {
                return vectors.map_or(Ok(()), |vectors| self.decided(&mut entry, vectors, ledger));
            }
            Fate::Dead(code) => (Class::DeadLetter, "dead_letter", code.as_str()),
            Fate::Duplicate => (Class::Duplicate, "decision", "another record of this payment was decided"),
            Fate::Open => (Class::Open, "decision", "not archived yet"),
            Fate::Lost => (self.holes.class_of_lost(entry.place), "decision", "nothing"),
        };
        let mut finding =
            Finding::bare(Check::Conservation, class, entry.place).of(field, recorded, "a decision");
        if let Ok(payment) = about {
            finding = finding.about(payment);
            if entry.fate == Fate::Lost {
                // Its alert is not another finding: the decision that raised it is gone.
                let _ = self.alerts.take(&alert_id(&payment.transaction_id));
            }
        }
        self.found(&finding)
    }

    fn decided(
        &mut self,
        entry: &mut Entry,
        vectors: Vectors,
        ledger: &Ledger<'_>,
    ) -> Result<(), ReconcileError> {
        let Ok(payment) = &entry.record.payment else { return Ok(()) };
        let mut decisions = std::mem::take(&mut entry.decisions).into_iter();
        let Some(decision) = decisions.next() else { return Ok(()) };
        for again in decisions {
            let is_same = contents(&again) == contents(&decision);
            let class = if is_same { Class::Repeated } else { Class::Unexplained };
            let finding = Finding::bare(Check::Conservation, class, entry.place).about(payment);
            self.found(&finding.of("decision", "once more", "once"))?;
        }
        let fraud = self.verdicts.of(&payment.transaction_id);
        self.tally.decision(&decision, fraud);
        let keys = payment.entities.iter().enumerate();
        let lacks = |(place, key): (usize, &Option<Box<str>>)| {
            let key = entity_key(key.as_deref()?);
            self.gaps.get(&(place, key)).map(|class| (place, *class))
        };
        let gaps = if self.gaps.is_empty() { Vec::new() } else { keys.filter_map(lacks).collect() };
        let made = entry.record.made.take();
        let payment = payment.clone();
        let Vectors { as_of_log, by_event_time, causes } = vectors;
        if let Ok(drifts) = &mut self.drifts {
            drifts.decision(&decision, &as_of_log, |id| self.comparer.model(id));
        }
        self.waiting.push(Compared {
            may_have_alert: ledger.may_have_alert(&decision),
            is_ahead: ledger.is_ahead(&decision),
            payment,
            decision,
            made,
            as_of_log,
            by_event_time,
            causes,
            gaps,
            fraud,
        });
        if self.waiting.len() >= BATCH {
            self.compare()?;
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), ReconcileError> {
        let waiting = std::mem::take(&mut self.waiting);
        for outcome in self.comparer.compare(&waiting, &mut self.alerts) {
            for (check, count) in outcome.compared {
                self.tally.compared(check, count);
            }
            for finding in &outcome.findings {
                self.found(finding)?;
            }
            if let Some(correction) = outcome.correction {
                self.tally.correction(&correction);
                line(&mut self.files.corrections, &correction)?;
            }
            if let Some(missed) = outcome.missed {
                line(&mut self.files.missed, &missed)?;
            }
        }
        Ok(())
    }

    fn orphan(
        &mut self,
        decision: &Decision,
        is_open: bool,
        ledger: &Ledger<'_>,
    ) -> Result<(), ReconcileError> {
        let _ = decision.alert_id.as_deref().and_then(|id| self.alerts.take(id));
        if !self.span.has(decision.event_time.ms()) {
            return Ok(());
        }
        let place = (decision.source_partition, decision.source_offset);
        let class = match is_open {
            true => Class::Open,
            false if self.holes.has(place) => Class::ArchiveGap,
            false => Class::Unexplained,
        };
        let other = ledger.decided_at(&decision.transaction_id).filter(|other| *other != place);
        let computed = match other {
            Some((partition, offset)) => format!("its payment is at {partition}:{offset}"),
            None => "no such payment".to_owned(),
        };
        let finding = Finding {
            transaction_id: decision.transaction_id.clone(),
            event_time_ms: decision.event_time.ms(),
            amount_minor: decision.amount.minor(),
            currency: decision.currency.as_str().to_owned(),
            ..Finding::bare(Check::Conservation, class, place)
        };
        self.found(&finding.of("payment", decision.decision_id.as_str(), computed))
    }

    fn found(&mut self, finding: &Finding) -> Result<(), ReconcileError> {
        self.tally.finding(finding);
        line(&mut self.files.findings, finding)
    }

    fn finish(
        mut self,
        run: &str,
        records: BTreeMap<String, u64>,
        ledger: &Ledger<'_>,
    ) -> Result<Numbers, ReconcileError> {
        self.compare()?;
        let left = self.alerts.left().into_iter().map(|alert| {
            let class = match alert.place {
                place if self.holes.has(place) => Class::ArchiveGap,
                place if ledger.is_behind(place) => Class::Open,
                _ => Class::Unexplained,
            };
            let finding = Finding::bare(Check::Alerts, class, alert.place);
            let finding = Finding { transaction_id: alert.transaction_id.clone(), ..finding };
            finding.of("alert", alert.rule.as_str(), "no decision that raised it")
        });
        for finding in left.collect::<Vec<_>>() {
            self.found(&finding)?;
        }
        self.files.findings.flush()?;
        self.files.corrections.flush()?;
        self.files.missed.flush()?;
        let mut numbers = self.tally.numbers(run, records);
        drift::add(&self.drifts, &mut numbers);
        let json = serde_json::to_vec_pretty(&numbers).map_err(std::io::Error::other)?;
        std::fs::write(self.span.out.join("report.json"), json)?;
        std::fs::write(self.span.out.join("report.html"), report::html(&numbers))?;
        Ok(numbers)
    }
}

/// What must not differ between two writings of one decision.
fn contents(decision: &Decision) -> Decision {
    Decision { attempt: 1, decided_at_ms: 0, latency_us: Default::default(), ..decision.clone() }
}
