//! Opening the door: its parts made of the config, and what a process before this one left unrecorded.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use rand::RngExt;
use schemas::codec::{PaymentDecoder, unframe};
use schemas::payment::Payment;
use tokio::runtime::Handle;

use super::admission::{Admission, usual_places};
use super::desk::Desk;
use super::engine::{Engine, Freshness};
use super::fault::Faults;
use super::kept::{Entry, Kept};
use super::keys::Keys;
use super::label::LabelWriter;
use super::recorder::Recorder;
use super::schema::BodySchema;
use super::{Rest, RestLimits};
use crate::accepted::Accepted;
use crate::clock::SystemClock;
use crate::config::Setup;
use crate::index::DecisionIndex;
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
        let Opening { kafka, deciders, index, lists, policies, telemetry } = opening;
        let (config, store) = (&setup.config, &setup.config.store.path);
        fs::create_dir_all(store).with_context(|| format!("store.path: {}", store.display()))?;
        let seal = Seal::new(&seal_key(&store.join("seal.key")).context("the key of the seal")?);
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
            seal: seal.context("the key of the seal")?,
            key_entity: config.rest.key_entity,
            deciders,
            index,
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
            transactions: config.kafka.transactions.clone(),
            clock: Arc::new(SystemClock::default()),
            telemetry,
            limits: RestLimits {
                skew: config.limits.skew,
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
        for entry in before {
            self.take_in(&engine, &setup, &client, entry).await;
        }
        self.restored.store(true, Ordering::Release);
    }

    async fn take_in(&self, engine: &Engine, setup: &Setup, client: &RegistryClient, entry: Entry) {
        let payment = decoded(setup, client, &entry).await;
        let made = self.seal.open(&entry.decision, &entry.value);
        let (Some(payment), Some(made)) = (payment, made) else {
            // It was good when it was written: the seal's key was exchanged, or the mapping.
            tracing::error!(
                decision_id = entry.decision_id,
                "a payment that was kept cannot be read any more"
            );
            return self.recorder.send_again(entry, || {});
        };
        let payment = Arc::new(payment);
        if lock(&engine.state).known(&payment.transaction_id).is_some() {
            return self.recorder.forget(&entry);
        }
        engine.accepted.restore(Arc::clone(&payment), Arc::new(made));
        let accepted = Arc::clone(&engine.accepted);
        self.recorder.send_again(entry, move || accepted.recorded(&payment));
    }
}

/// The payment of a record, once the registry has given its schema.
async fn decoded(setup: &Setup, client: &RegistryClient, entry: &Entry) -> Option<Payment> {
    let (id, body) = unframe(&entry.value).ok()?;
    let text = loop {
        match client.ask(id).await {
            Answer::Text(text) => break text,
            Answer::Unknown => return None,
            Answer::Unavailable(why) => {
                tracing::warn!(%why, "payments that were kept wait for their schema");
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    };
    PaymentDecoder::of_schema(Arc::clone(&setup.config.mapping), &text).ok()?.decode(body).ok()
}

/// The key in a file, which is made at the first start: whoever may read the store's folder may seal.
fn seal_key(file: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Ok(key) if key.len() >= 32 => return Ok(key),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "seal.key is shorter than 32 bytes")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let key: [u8; 32] = rand::rng().random();
    let half = file.with_extension("half");
    let mut out = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    out.write_all(&key)?;
    out.sync_all()?;
    fs::rename(half, file)?;
    Ok(key.to_vec())
}
