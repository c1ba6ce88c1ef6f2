//! Opening the door: its parts made of the config, and what a process before this one left unrecorded.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use rand::RngExt;
use schemas::codec::{PaymentDecoder, SchemaId, unframe};
use schemas::mapping::PaymentMapping;
use schemas::payment::Payment;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::admission::{Admission, usual_places};
use super::desk::Desk;
use super::engine::{Engine, Freshness};
use super::fault::Faults;
use super::kept::{Entry, Kept};
use super::keys::Keys;
use super::label::LabelWriter;
use super::recorder::{Of, Recorder};
use super::schema::BodySchema;
use super::{Rest, RestLimits};
use crate::accepted::Accepted;
use crate::clock::SystemClock;
use crate::config::{RestConfig, SealKey, Setup};
use crate::index::DecisionIndex;
use crate::indexer::Progress;
use crate::lists::ListBook;
use crate::made::Seal;
use crate::pipeline::{DecidersOfNow, lock};
use crate::policy_file::PolicyFile;
use crate::registry::Answer;
use crate::registry::client::RegistryClient;
use crate::stream::kafka::KafkaOptions;
use crate::telemetry::Telemetry;

/// How often it is looked for what is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Records that are read from the topic at once, each with a consumer of its own.
const READERS: usize = 4;
/// Batches that are worked at: each is 32 payments at once.
const BATCHES: usize = 4;
/// Bodies of batches that are read at once, up to 2 MiB each: who sends slowly holds one of these.
const READING: usize = 16;
/// Largest record that is sent, with its decision well below what brokers and librdkafka take (1 MB).
const MOST_RECORD: usize = 512 << 10;
/// The registry is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What the door is opened with.
pub struct Opening {
    /// The brokers.
    pub kafka: KafkaOptions,
    /// What decides.
    pub deciders: DecidersOfNow,
    /// Decisions of before.
    pub index: Option<DecisionIndex>,
    /// How far it is.
    pub indexed: Arc<Progress>,
    /// The lists.
    pub lists: Arc<ListBook>,
    /// The policies.
    pub policies: Arc<PolicyFile>,
    /// The numbers.
    pub telemetry: Arc<Telemetry>,
}

impl Rest {
    /// The door of this config. It opens once the line has the store, see [`Rest::open`].
    ///
    /// # Errors
    /// When the store's folder cannot be used, or a Kafka property is refused.
    pub fn start(setup: &Setup, opening: Opening, runtime: &Handle) -> anyhow::Result<Arc<Self>> {
        let Opening { kafka, deciders, index, indexed, lists, policies, telemetry } = opening;
        let (config, store) = (&setup.config, &setup.config.store.path);
        fs::create_dir_all(store).with_context(|| format!("store.path: {}", store.display()))?;
        let seal = seal(&config.rest, store).context("the key of the seal")?;
        let (kept, before) = Kept::open(&store.join("unrecorded")).context("unrecorded payments")?;
        let client = RegistryClient::new(&config.registry.url, config.registry.timeout.std())?;
        let bodies = BodySchema::default();
        let by_topic = || format!("{}-value", config.kafka.transactions);
        let subject = config.rest.subject.clone().unwrap_or_else(by_topic);
        runtime.spawn(bodies.clone().follow(client.clone(), subject, Arc::clone(&config.mapping)));
        let labels = LabelWriter::default();
        let (topic, register) = (config.kafka.labels.clone(), config.registry.register);
        runtime.spawn(labels.clone().bind(client.clone(), topic, register));
        let rest = Arc::new(Self {
            engine: OnceLock::new(),
            restored: AtomicBool::new(false),
            accepted: Arc::new(Accepted::default()),
            admission: Admission::new(
                config.rest.in_flight.unwrap_or_else(usual_places),
                config.rest.waiting,
                config.rest.wait.std(),
            ),
            bodies,
            keys: Keys::default(),
            batch_bytes: config.rest.batch_bytes,
            freshness: Freshness::default(),
            desk: Desk::start(Faults::of_environment()).context("the threads of the desk")?,
            recorder: {
                let _inside = runtime.enter();
                Recorder::new(&kafka, kept).context("kafka producer")?
            },
            seal,
            key_entity: config.rest.key_entity,
            deciders,
            index,
            indexed,
            lists,
            policies,
            labels,
            registry: client.clone(),
            mapping: Arc::clone(&config.mapping),
            entities: config.mapping.entities.iter().map(|entity| entity.name.clone()).collect(),
            has_queue: config.queue.enabled,
            reconciliations: config.reconcile.path.clone(),
            models: config.models.as_ref().map(|models| models.path.clone()),
            reader: kafka.reader(),
            readers: Semaphore::new(READERS),
            batches: Semaphore::new(BATCHES),
            reading: Semaphore::new(READING),
            transactions: config.kafka.transactions.clone(),
            clock: Arc::new(SystemClock::default()),
            telemetry,
            limits: RestLimits {
                skew: config.limits.skew,
                lateness: config.limits.lateness,
                record: config.limits.record_bytes.min(MOST_RECORD),
                stale_after: config.rest.stale_after.std(),
                kept: config.rest.unrecorded,
                deadline: config.rest.deadline.std(),
                max_deadline: config.rest.max_deadline.std(),
            },
        });
        let setup = setup.clone();
        runtime.spawn(Arc::clone(&rest).restore(setup, client, before));
        Ok(rest)
    }

    /// Takes in what a process before this one answered and the brokers had not acknowledged.
    async fn restore(self: Arc<Self>, setup: Setup, client: RegistryClient, before: Vec<Entry>) {
        let engine = loop {
            match self.engine.get() {
                Some(engine) => break engine.clone(),
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        };
        if !before.is_empty() {
            tracing::info!(payments = before.len(), "answered before the restart and not recorded: sent now");
        }
        let mut decoders =
            Decoders { mapping: &setup.config.mapping, client: &client, known: HashMap::new() };
        for entry in before {
            let payment = decoders.payment(&entry).await;
            self.take_in(&engine, entry, payment);
        }
        self.restored.store(true, Ordering::Release);
    }

    fn take_in(&self, engine: &Engine, entry: Entry, payment: Option<Payment>) {
        let made = self.seal.open(&entry.decision, &entry.value);
        let (Some(payment), Some(made)) = (payment, made) else {
            // It was good when it was written: the seal's key was exchanged, or the mapping.
            tracing::error!(
                decision_id = entry.decision_id,
                "a payment that was kept cannot be read any more"
            );
            return self.recorder.send_again(entry, None);
        };
        let payment = Arc::new(payment);
        match lock(&engine.state).known(&payment.transaction_id) {
            Some(content) if content == payment.content => return self.recorder.forget(&entry),
            Some(_) => {
                let decision_id = &entry.decision_id;
                tracing::error!(
                    decision_id,
                    "another payment with the id of one that was kept was decided meanwhile"
                );
                // It goes to the topic, and from there to the dead letters, where somebody sees it.
                return self.recorder.send_again(entry, None);
            }
            None => {}
        }
        engine.accepted.restore(Arc::clone(&payment), Arc::new(made));
        self.recorder.send_again(entry, Some(Of { accepted: Arc::clone(&engine.accepted), payment }));
    }
}

/// Decoders of payments that were kept, one for each schema.
struct Decoders<'a> {
    mapping: &'a Arc<PaymentMapping>,
    client: &'a RegistryClient,
    known: HashMap<SchemaId, Option<PaymentDecoder>>,
}

impl Decoders<'_> {
    /// The payment of a record, once the registry has given its schema.
    async fn payment(&mut self, entry: &Entry) -> Option<Payment> {
        let (id, body) = unframe(&entry.value).ok()?;
        if !self.known.contains_key(&id) {
            let decoder = self.decoder(id).await;
            self.known.insert(id, decoder);
        }
        self.known.get(&id)?.as_ref()?.decode(body).ok()
    }

    async fn decoder(&self, id: SchemaId) -> Option<PaymentDecoder> {
        loop {
            match self.client.ask(id).await {
                Answer::Text(text) => {
                    return PaymentDecoder::of_schema(Arc::clone(self.mapping), &text).ok();
                }
                Answer::Unknown => return None,
                Answer::Unavailable(why) => {
                    tracing::warn!(%why, "payments that were kept wait for their schema");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }
}

/// By the config's key; what was sealed by the one before it opens, and what was by the store's own.
fn seal(config: &RestConfig, store: &Path) -> anyhow::Result<Seal> {
    let file = store.join("seal.key");
    let own = match (stored_key(&file)?, &config.seal_key) {
        (None, None) => Some(new_key(&file)?),
        (own, _) => own,
    };
    let keys = [&config.seal_key, &config.seal_key_before].into_iter().flatten().map(|SealKey(key)| key);
    let mut keys = keys.chain(&own);
    let seal = keys.next().and_then(|key| Seal::new(key)).context("no key for a MAC")?;
    Ok(keys.fold(seal, |seal, before| seal.after(before)))
}

fn stored_key(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(key) if key.len() >= 32 => Ok(Some(key)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "seal.key is shorter than 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A key in a file: whoever may read the store's folder may seal.
fn new_key(file: &Path) -> io::Result<Vec<u8>> {
    let key: [u8; 32] = rand::rng().random();
    let half = file.with_extension("half");
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    out.write_all(&key)?;
    out.sync_all()?;
    fs::rename(half, file)?;
    Ok(key.to_vec())
}
