//! The archiver: every topic into the archive, by itself and behind the line.
//!
//! It has no group and commits nothing: the archive's own names say where to go on. Brokers, registry and store that
//! are away are waited for. A record that nobody can decode is kept as one, with its hash.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use batch::archive::{
    ArchiveError, ArchiveStore, Archived, Cut, Cutter, Finished, KnownSchema, Progress, Tended, Treatments,
    Upkeep,
};
use schemas::codec::{SchemaId, unframe};
use schemas::name::Name;
use schemas::time::{DAY_MS, DurationMs};
use tokio::runtime::Handle;

use crate::clock::{Clock, SystemClock};
use crate::config::{ArchiveConfig, Config};
use crate::indexer;
use crate::indexer::reader::{Reader, Record, Retained, Taken, UNHURRIED};
use crate::made::json_of;
use crate::policy::Policy;
use crate::registry::Answer;
use crate::registry::client::{RegistryClient, RegistryError};
use crate::stream::kafka::KafkaOptions;

/// Records polled at once, and how long they may be collected.
const BATCH: (usize, Duration) = (2_000, Duration::from_millis(100));
/// What is not there is asked for again after this time.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How often the brokers are asked where the topic ends: so exactly the archive knows how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A partition from which nothing has come for so long has had the last record of a day that is over.
const QUIET: Duration = Duration::from_secs(3_600);

/// When the archiver ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When it is told to.
    Stopped,
    /// When all that the topics held as it began is archived, the last files cut short.
    Drained,
}

/// What ended the archiver.
#[derive(Debug, thiserror::Error)]
pub enum ArchiverError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A client that cannot be made.
    #[error("kafka: {0}")]
    Kafka(String),
    /// The registry's client.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What is in the archive was in another topic.
    #[error(
        "archive_offset: {topic} {partition} ends at offset {next} and the archive has it up to {archived}: \
         the topic is another one than was archived"
    )]
    OtherTopic {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it ends.
        next: i64,
        /// Where the archive ends.
        archived: i64,
    },
}

/// One topic's archiver.
pub struct Archiver {
    store: Arc<ArchiveStore>,
    reader: Reader,
    topic: String,
    cut: Cut,
    keep: Option<DurationMs>,
    registry: RegistryClient,
    runtime: Handle,
    treatments: Treatments,
    schemas: HashMap<SchemaId, Option<Arc<KnownSchema>>>,
    stop: Arc<AtomicBool>,
    parts: BTreeMap<i32, Part>,
    records: u64,
    /// When the topic's ends were looked at last, also in milliseconds.
    looked: (Instant, i64),
    /// What was said last of how far it is.
    said: Option<Progress>,
    /// The policies that decided so far, and versions that are kept: with the decisions.
    policies: Option<PoliciesSoFar>,
    kept: HashSet<Name>,
}

/// One partition.
struct Part {
    cutter: Cutter,
    /// The next offset.
    next: i64,
    /// When its last record came.
    heard: Instant,
    /// Where the topic ended at some times, oldest first: time, milliseconds, and next offset.
    ends: VecDeque<(i64, i64)>,
    /// The newest of these times up to which all is in files.
    until_ms: Option<i64>,
}

impl Part {
    /// Takes note of what is in files by now.
    fn settle(&mut self) {
        let archived = self.cutter.first_waiting().unwrap_or(self.next);
        while let Some((at_ms, _)) = self.ends.pop_front_if(|(_, next)| *next <= archived) {
            self.until_ms = Some(at_ms);
        }
    }
}

/// Gives the policies that were live since the process began.
pub type PoliciesSoFar = Arc<dyn Fn() -> Vec<Arc<Policy>> + Send + Sync>;

/// Where the archive keeps the text of a policy, by its version.
pub fn policy_path(version: &str) -> String {
    format!("policies/{version}.toml")
}

/// The topics that are archived: payments first.
pub fn topics(config: &Config) -> [String; 5] {
    let kafka = &config.kafka;
    [&kafka.transactions, &kafka.labels, &kafka.decisions, &kafka.alerts, &kafka.dead_letters]
        .map(Clone::clone)
}

/// What is kept up at this time.
pub fn upkeep(keep: Option<DurationMs>, cut: Cut, now_ms: i64, is_dry: bool) -> Upkeep {
    Upkeep { before_ms: keep.map(|keep| now_ms - keep.0), now_ms, cut, is_dry }
}

impl Archiver {
    /// An archiver for each topic.
    ///
    /// # Errors
    /// When the archive, a client or a thread cannot be had.
    pub fn all(
        config: &Config,
        kafka: &KafkaOptions,
        runtime: &Handle,
        policies: &PoliciesSoFar,
        stop: &Arc<AtomicBool>,
    ) -> Result<Vec<Self>, ArchiverError> {
        let ArchiveConfig { address, cut, keep, treatments, .. } = &config.archive;
        let store = Arc::new(ArchiveStore::open(address)?);
        let [payments, _, decisions, ..] = topics(config);
        let one = |topic: String| {
            let name = format!("archive-{topic}");
            let reader = Reader::new(kafka, &topic, &name, Arc::new(indexer::Progress::default()), UNHURRIED);
            Ok(Self {
                store: Arc::clone(&store),
                reader: reader.map_err(|error| ArchiverError::Kafka(error.to_string()))?,
                cut: *cut,
                keep: *keep,
                registry: RegistryClient::new(&config.registry.url, config.registry.timeout.std())?,
                runtime: runtime.clone(),
                treatments: if topic == payments { treatments.clone() } else { Treatments::default() },
                policies: (topic == decisions).then(|| Arc::clone(policies)),
                kept: HashSet::new(),
                topic,
                schemas: HashMap::new(),
                stop: Arc::clone(stop),
                parts: BTreeMap::new(),
                records: 0,
                looked: (Instant::now(), 0),
                said: None,
            })
        };
        topics(config).into_iter().map(one).collect()
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Archives until it is to end. Gives how many records it took.
    ///
    /// # Errors
    /// When the archive holds something else.
    pub fn run(mut self, until: Until) -> Result<u64, ArchiverError> {
        let mut ends = loop {
            self.looked = (Instant::now(), SystemClock::default().now().wall_ms);
            match self.reader.retained(|| self.stopped()) {
                Ok(ends) => break ends,
                Err(why) if self.stopped() => {
                    tracing::debug!(why, "told to end before the brokers answered");
                    return Ok(0);
                }
                Err(why) => self.wait(&why),
            }
        };
        self.begin(&ends)?;
        let mut records = Vec::new();
        let mut day = SystemClock::default().now().wall_ms.div_euclid(DAY_MS);
        while !self.stopped() {
            self.keep_policies()?;
            if until == Until::Drained && self.is_at(&ends) {
                self.drain()?;
                self.say_progress()?;
                break;
            }
            records.clear();
            match self.reader.take(BATCH.0, BATCH.1, &mut records) {
                Taken::Records => {}
                Taken::OutOfRange => {
                    tracing::error!(
                        topic = self.topic,
                        "archive_gap: records were gone before they were archived"
                    );
                    ends = self.reader.retained(|| self.stopped()).unwrap_or(ends);
                    self.begin(&ends)?;
                }
                Taken::Trouble(why) => self.wait(&why),
            }
            if !records.is_empty() {
                self.take_in(&records)?;
            }
            let now_ms = SystemClock::default().now().wall_ms;
            self.end_days(now_ms)?;
            if self.looked.0.elapsed() > LOOK_EVERY {
                self.look(now_ms);
            }
            self.say_progress()?;
            if now_ms.div_euclid(DAY_MS) > day {
                day = now_ms.div_euclid(DAY_MS);
                self.keep_up(now_ms);
            }
        }
        Ok(self.records)
    }

    /// The text of each policy goes before the decisions that were made by it.
    fn keep_policies(&mut self) -> Result<(), ArchiverError> {
        let Some(policies) = &self.policies else { return Ok(()) };
        let new: Vec<_> =
            policies().into_iter().filter(|policy| !self.kept.contains(policy.version())).collect();
        for policy in new {
            let (path, text) = (policy_path(policy.version()), policy.text().to_owned());
            self.trying(|own| own.store.put(&path, text.clone().into()))?;
            self.kept.insert(policy.version().clone());
        }
        Ok(())
    }

    /// Goes on behind what is archived.
    fn begin(&mut self, ends: &BTreeMap<i32, Retained>) -> Result<(), ArchiverError> {
        let archived = self.trying(|own| own.store.adopt(&own.topic))?;
        self.tidy();
        let before = self.trying(|own| own.store.progress(&own.topic))?.unwrap_or_default();
        let mut from = BTreeMap::new();
        for (partition, Retained { first, next }) in ends {
            let begins = archived.get(partition).copied().unwrap_or(*first);
            if begins > *next {
                return Err(ArchiverError::OtherTopic {
                    topic: self.topic.clone(),
                    partition: *partition,
                    next: *next,
                    archived: begins,
                });
            }
            if begins < *first {
                let (topic, partition) = (&self.topic, partition);
                tracing::error!(
                    topic,
                    partition,
                    begins,
                    first,
                    "archive_gap: the topic has not the next record any more"
                );
            }
            // The gap shows in the manifest: it follows the record before the gap.
            let cutter = Cutter::new(&self.topic, *partition, self.cut, *first.max(&begins));
            let until_ms = before.get(partition).copied().flatten();
            let mut part = Part {
                cutter,
                next: *first.max(&begins),
                heard: Instant::now(),
                ends: VecDeque::from([(self.looked.1, *next)]),
                until_ms,
            };
            part.settle();
            self.parts.insert(*partition, part);
            from.insert(*partition, *first.max(&begins));
        }
        self.reader.assign(&from).map_err(ArchiverError::Kafka)
    }

    /// Whether all up to these ends is taken in. What stands last may be no records, so that no offset says it.
    fn is_at(&self, ends: &BTreeMap<i32, Retained>) -> bool {
        let has_all = |partition: &i32, end: &Retained| {
            self.parts.get(partition).is_some_and(|part| part.next >= end.next)
                || self.reader.came_to_end(*partition)
        };
        ends.iter().all(|(partition, end)| has_all(partition, end))
    }

    fn take_in(&mut self, records: &[Record]) -> Result<(), ArchiverError> {
        for record in records {
            let Some(archived) = self.archived(record) else { return Ok(()) };
            let Some(part) = self.parts.get_mut(&record.partition) else { continue };
            (part.next, part.heard) = (record.offset + 1, Instant::now());
            let finished = part.cutter.push(archived)?;
            self.records += 1;
            if let Some(finished) = finished {
                self.put(&finished)?;
            }
        }
        Ok(())
    }

    /// Ends the file of a day that is over where nothing has come for long: the next record would end it, and the daily
    /// reconciliation does not wait for it.
    fn end_days(&mut self, now_ms: i64) -> Result<(), ArchiverError> {
        let quiet = self.parts.values_mut().filter(|part| part.heard.elapsed() > QUIET);
        let over = quiet.filter(|part| part.cutter.is_over(now_ms)).map(|part| part.cutter.finish());
        let finished: Vec<_> = over.collect::<Result<_, _>>()?;
        finished.iter().flatten().try_for_each(|finished| self.put(finished))
    }

    /// Looks where the topic ends now.
    fn look(&mut self, now_ms: i64) {
        self.looked = (Instant::now(), now_ms);
        match self.reader.retained(|| self.stopped()) {
            Ok(ends) => {
                for (partition, end) in ends {
                    if let Some(part) = self.parts.get_mut(&partition) {
                        part.ends.push_back((now_ms, end.next));
                    }
                }
            }
            Err(why) => {
                tracing::debug!(why, topic = self.topic, "the archiver does not know where its topic ends")
            }
        }
    }

    /// Says how far it is, where that is news.
    fn say_progress(&mut self) -> Result<(), ArchiverError> {
        self.parts.values_mut().for_each(Part::settle);
        let progress: Progress = self.parts.iter().map(|(at, part)| (*at, part.until_ms)).collect();
        if self.said.as_ref() != Some(&progress) {
            self.trying(|own| own.store.say_progress(&own.topic, &progress))?;
            self.said = Some(progress);
        }
        Ok(())
    }

    /// Once a day. What goes wrong is said and tried again the next day: nothing waits for it.
    fn keep_up(&self, now_ms: i64) {
        let (topic, mut tended) = (&self.topic, Tended::default());
        let done = upkeep(self.keep, self.cut, now_ms, false).tend(&self.store, topic, &mut tended);
        let Tended { expired, merged, replaced } = tended;
        let (expired, merged, replaced) = (expired.len(), merged.len(), replaced.len());
        match done {
            Ok(()) => tracing::info!(topic, expired, merged, replaced, "the archive's upkeep"),
            Err(error) => tracing::error!(%error, topic, "the archive's upkeep was broken off"),
        }
    }

    fn drain(&mut self) -> Result<(), ArchiverError> {
        let finished = self.parts.values_mut().map(|part| part.cutter.finish());
        let finished: Vec<_> = finished.collect::<Result<_, _>>()?;
        finished.iter().flatten().try_for_each(|finished| self.put(finished))?;
        self.tidy();
        Ok(())
    }

    fn tidy(&self) {
        if let Err(error) = self.store.tidy(&self.topic) {
            tracing::warn!(%error, topic = self.topic, "what a kill left of files is still there");
        }
    }

    fn put(&mut self, finished: &Finished) -> Result<(), ArchiverError> {
        self.trying(|own| own.store.finish(finished))
    }

    /// Does what needs the store, again and again while the store is away.
    fn trying<T>(
        &mut self,
        mut work: impl FnMut(&Self) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiverError> {
        loop {
            match work(self) {
                Err(ArchiveError::Store(error)) if !self.stopped() => self.wait(&error.to_string()),
                done => return Ok(done?),
            }
        }
    }

    /// A record with its schema; `None` when it is to stop.
    fn archived(&mut self, record: &Record) -> Option<Archived> {
        let framed = unframe(&record.value).ok();
        let (id, body_from) =
            framed.map_or((None, 0), |(id, body)| (Some(id), record.value.len() - body.len()));
        let schema = match id {
            Some(id) => self.schema(id)?,
            None => None,
        };
        Some(Archived {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            value: record.value.clone(),
            body_from,
            schema,
            made: record.made.as_deref().and_then(json_of),
        })
    }

    fn schema(&mut self, id: SchemaId) -> Option<Option<Arc<KnownSchema>>> {
        while !self.stopped() {
            if let Some(known) = self.schemas.get(&id) {
                return Some(known.clone());
            }
            match self.runtime.block_on(self.registry.ask(id)) {
                Answer::Text(text) => {
                    let known = KnownSchema::new(id.0, &text, &self.treatments);
                    let known =
                        known.inspect_err(|why| tracing::warn!(id = id.0, why, "a schema that is none"));
                    self.schemas.insert(id, known.ok().map(Arc::new));
                }
                // Not kept: it may be there for the next record.
                Answer::Unknown => return Some(None),
                Answer::Unavailable(why) => self.wait(&format!("the registry: {why}")),
            }
        }
        None
    }

    /// Says what is waited for, and waits a little.
    fn wait(&self, why: &str) {
        tracing::warn!(topic = self.topic, why, "the archiver waits");
        std::thread::sleep(AGAIN_AFTER);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
