//! An enricher in a folder of its own, what it answers, and the ways in which it can end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use feature_store::definition::Definitions;
use feature_store::enricher::{Ahead, Applied, Enriched, Enricher, LabelApplied, Limits};
use feature_store::files::{FileOptions, FileStep, JournalSync, Probe};
use feature_store::state::EntityState;
use feature_store::store::{Begin, Store, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestCaseResult, TestRng, TestRunner};
use schemas::value::FeatureValue;
use tempfile::TempDir;

use super::oracle::{Oracle, Rules, Said};
use super::scenario::{ENTITIES, Logged, Record, Scenario};

/// A small resident bound; the store keeps its own minimum anyway.
const RESIDENT: usize = 1;

/// What the enricher answered to one record.
#[derive(Debug, Clone)]
pub enum Reply {
    Payment(Applied, Vec<FeatureValue>),
    Label(LabelApplied),
}

impl Reply {
    /// Equal to the last bit.
    pub fn is_same(&self, other: &Reply) -> bool {
        match (self, other) {
            (Reply::Payment(a, x), Reply::Payment(b, y)) => a == b && same_values(x, y),
            (Reply::Label(a), Reply::Label(b)) => a == b,
            _ => false,
        }
    }

    /// The versions and the mark of a new payment, with its values.
    pub fn enriched(&self) -> Option<(&Enriched, &[FeatureValue])> {
        match self {
            Reply::Payment(Applied::New(enriched), values) => Some((enriched, values)),
            _ => None,
        }
    }
}

pub fn same_values(a: &[FeatureValue], b: &[FeatureValue]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_bits(*b))
}

/// Where a probe copies the folder to, when it comes by.
type Order = Arc<Mutex<Option<(FileStep, PathBuf)>>>;

/// A new folder; in memory where there is such a place, since syncs are not what is tested here.
pub fn folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// An open enricher.
pub struct World {
    pub enricher: Enricher,
    /// What the owner gave to the last checkpoint found.
    pub owner: Vec<u8>,
    dir: TempDir,
    definitions: Arc<Definitions>,
    limits: Limits,
    segment_bytes: u64,
    order: Order,
}

impl World {
    pub fn start(definitions: &Arc<Definitions>, limits: Limits, segment_bytes: u64) -> Self {
        Self::open(folder(), Arc::clone(definitions), limits, segment_bytes).unwrap()
    }

    pub fn of(scenario: &Scenario) -> Self {
        Self::start(&Arc::new(scenario.definitions()), scenario.limits, 300)
    }

    fn open(
        dir: TempDir,
        definitions: Arc<Definitions>,
        limits: Limits,
        segment_bytes: u64,
    ) -> Result<Self, StoreError> {
        let order = Order::default();
        let (ordered, from) = (Arc::clone(&order), dir.path().to_owned());
        let probe: Probe = Arc::new(move |step| {
            if let Some((_, to)) = ordered.lock().unwrap().take_if(|(wanted, _)| *wanted == step) {
                copy(&from, &to);
            }
        });
        let options = FileOptions { journal_sync: JournalSync::Never, segment_bytes, probe: Some(probe) };
        let (enricher, owner) =
            Enricher::open(dir.path(), options, Arc::clone(&definitions), limits, RESIDENT)?;
        Ok(Self { enricher, owner, dir, definitions, limits, segment_bytes, order })
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Ends without a last word and opens the same folder again.
    pub fn reopened(self) -> Self {
        let Self { enricher, dir, definitions, limits, segment_bytes, .. } = self;
        drop(enricher);
        Self::open(dir, definitions, limits, segment_bytes).unwrap()
    }

    /// Opens a copy of the folder as it is now, as kill -9 would leave it. `spoil` may tear what was being written.
    pub fn killed(self, spoil: impl FnOnce(&Path)) -> Self {
        let dir = folder();
        copy(self.path(), dir.path());
        spoil(dir.path());
        Self::open(dir, Arc::clone(&self.definitions), self.limits, self.segment_bytes).unwrap()
    }

    /// Checkpoints, and opens a copy of the folder as it was at this step of it.
    pub fn killed_in_checkpoint(mut self, owner: &[u8], step: FileStep) -> Self {
        let dir = folder();
        *self.order.lock().unwrap() = Some((step, dir.path().to_owned()));
        self.checkpoint(owner);
        assert!(self.order.lock().unwrap().is_none(), "{step:?} was not reached");
        Self::open(dir, Arc::clone(&self.definitions), self.limits, self.segment_bytes).unwrap()
    }

    /// Writes a checkpoint and waits for it.
    pub fn checkpoint(&mut self, owner: &[u8]) {
        self.finish_checkpoint(true);
        self.enricher.start_checkpoint(owner).unwrap();
        assert!(self.finish_checkpoint(true));
    }

    pub fn finish_checkpoint(&mut self, wait: bool) -> bool {
        self.enricher.store_mut().finish_checkpoint(wait).unwrap()
    }

    pub fn record(&mut self, logged: &Logged, place: usize) -> Reply {
        match &logged.records[place] {
            Record::Label(label) => Reply::Label(self.enricher.label(label).unwrap()),
            Record::Payment(payment) => {
                // A value that is not written shows.
                let mut values = vec![FeatureValue::Int(i64::MIN); self.definitions.features.len()];
                let partition = logged.batch.source.partition;
                let mut seen = values.clone();
                let glimpse = self.enricher.glimpse(payment).unwrap();
                let enriched = glimpse.see(&self.definitions, payment, &Ahead::new(), &mut seen);
                let applied = self.enricher.payment(partition, payment, &mut values).unwrap();
                if let Applied::New(done) = &applied {
                    assert_eq!((&enriched, &seen), (done, &values), "a look ahead sees what is applied next");
                }
                Reply::Payment(applied, values)
            }
        }
    }

    /// Applies a batch that must be ready.
    pub fn apply(&mut self, logged: &Logged) -> Vec<Reply> {
        assert_eq!(self.enricher.store().begin(&logged.batch), Begin::Ready, "{:?}", logged.batch);
        let replies = (0..logged.records.len()).map(|place| self.record(logged, place)).collect();
        self.enricher.store_mut().commit(&logged.batch).unwrap();
        self.enricher.store_mut().sweep();
        replies
    }

    /// The state of an entity, made if it is not there.
    pub fn state(&mut self, entity: usize, key: &str) -> EntityState {
        let store = self.enricher.store_mut();
        let slot = store.slot(entity, key);
        store.state(slot).unwrap().clone()
    }

    /// The states of the entities of random scenarios.
    pub fn states(&mut self) -> Vec<EntityState> {
        let used: Vec<_> =
            (0..ENTITIES.len()).filter(|entity| self.definitions.plans[*entity].is_used()).collect();
        let keys = |entity| (0..3).map(move |key| (entity, format!("k{key}")));
        used.into_iter().flat_map(keys).map(|(entity, key)| self.state(entity, &key)).collect()
    }
}

/// What the oracle says about every record of a scenario.
pub fn oracle(scenario: &Scenario) -> (Oracle, Vec<Vec<Said>>) {
    let rules =
        Rules { lateness_ms: scenario.limits.allowed_lateness.0, remember_ms: scenario.limits.remember.0 };
    let mut oracle = Oracle::new(&scenario.features, ENTITIES.len(), rules);
    let mut said = Vec::new();
    for logged in &scenario.log {
        let partition = logged.batch.source.partition;
        let one = |record: &Record| match record {
            Record::Payment(payment) => oracle.payment(partition, payment),
            Record::Label(label) => oracle.label(label),
        };
        said.push(logged.records.iter().map(one).collect());
    }
    (oracle, said)
}

/// What was compared: the numbers of the report.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub cases: u64,
    pub records: u64,
    pub new: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub late: u64,
    pub labels: u64,
    pub values: u64,
    pub approximate: u64,
    pub endings: u64,
    pub replayed: u64,
}

/// Whether a reply is what the oracle said. An approximate vector is not compared: `bound` does that.
pub fn check(said: &Said, reply: &Reply, tally: &mut Tally) -> TestCaseResult {
    let fail = || Err(TestCaseError::fail(format!("oracle {said:?}\nreply {reply:?}")));
    tally.records += 1;
    match (said, reply) {
        (Said::New(vector), Reply::Payment(Applied::New(enriched), values)) => {
            tally.new += 1;
            if vector.versions != enriched.versions[..] {
                return fail();
            }
            if enriched.approximate {
                tally.approximate += 1;
                return Ok(());
            }
            tally.values += values.len() as u64;
            if same_values(&vector.values, values) { Ok(()) } else { fail() }
        }
        (Said::Duplicate, Reply::Payment(Applied::Duplicate, _)) => {
            tally.duplicates += 1;
            Ok(())
        }
        (Said::Conflict, Reply::Payment(Applied::Conflict, _)) => {
            tally.conflicts += 1;
            Ok(())
        }
        (Said::Late, Reply::Payment(Applied::Late, _)) => {
            tally.late += 1;
            Ok(())
        }
        (Said::Waiting, Reply::Label(LabelApplied::Waiting)) => {
            tally.labels += 1;
            Ok(())
        }
        (Said::Labelled(labelled), Reply::Label(outcome)) => {
            tally.labels += 1;
            match outcome {
                LabelApplied::Duplicate if labelled.repeated => Ok(()),
                LabelApplied::Applied if !labelled.repeated || !labelled.in_reach => Ok(()),
                _ => fail(),
            }
        }
        _ => fail(),
    }
}

/// Runs so many random cases; `TRIPLINE_CASES` multiplies them, `TRIPLINE_SEED` repeats a run.
pub fn random<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value, &mut Tally) -> TestCaseResult,
) {
    let number = |variable: &str| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let cases = cases * number("TRIPLINE_CASES").unwrap_or(1) as u32;
    let drawn = || std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), name);
    let seed = number("TRIPLINE_SEED").unwrap_or_else(drawn);
    println!("{name}: {cases} cases, TRIPLINE_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = std::cell::Cell::new(Tally::default());
    let started = std::time::Instant::now();
    let result = runner.run(strategy, |value| {
        let mut so_far = tally.get();
        so_far.cases += 1;
        let result = test(value, &mut so_far);
        tally.set(so_far);
        result
    });
    println!("{name}: {:?} in {:.1} s", tally.get(), started.elapsed().as_secs_f64());
    if let Err(error) = result {
        panic!("{name} with TRIPLINE_SEED={seed}: {error}");
    }
}
