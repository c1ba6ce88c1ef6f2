//! The real registry: Confluent's REST API through `schema_registry_converter`, without its caches, which keep an
//! error for ever. Each question is a task of its own with a time-out; the answers come back through a channel.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, get_schema_by_subject, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredSchema, SchemaType, SubjectNameStrategy, SuppliedSchema,
};
use schemas::codec::{Encoder, MAX_SCHEMA_BYTES, SchemaId};
use schemas::contract::Contract;
use tokio::runtime::Handle;

use super::{Answer, SchemaSource};
use crate::emit::Bound;

/// Questions on their way at once: a topic full of made-up ids must not flood the registry.
const MOST_AT_ONCE: usize = 16;

/// The registry's own codes for what it does not have.
const NO_SUBJECT: u32 = 40_401;
const NO_SCHEMA: u32 = 40_403;

/// A registry on the network.
#[derive(Clone)]
pub struct RegistryClient {
    settings: SrSettings,
    timeout: Duration,
}

/// The registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It did not answer, or not as a registry does: try again.
    #[error("the schema registry: {0}")]
    Unavailable(String),
    /// What it holds does not fit: a person has to act.
    #[error("{0}")]
    Refused(String),
}

impl RegistryClient {
    /// A client of the registry at `url`, which ends without a slash.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(url: &str, timeout: Duration) -> Result<Self, RegistryError> {
        let settings = SrSettings::new_builder(url.trim_end_matches('/').to_owned())
            .no_proxy()
            .set_timeout(timeout)
            .build()
            .map_err(|error| RegistryError::Refused(error.error))?;
        Ok(Self { settings, timeout })
    }

    async fn ask(&self, id: SchemaId) -> Answer {
        let asked = tokio::time::timeout(self.timeout, get_schema_by_id(id.0, &self.settings)).await;
        match asked {
            Err(_) => Answer::Unavailable(format!("no answer in {} ms", self.timeout.as_millis())),
            Ok(Ok(found)) => answer(found),
            Ok(Err(error)) if is_definite(&error, NO_SCHEMA) => Answer::Unknown,
            Ok(Err(error)) => Answer::Unavailable(words(&error)),
        }
    }

    /// The id and the encoder of a contract on a topic. With `register` the contract is registered; else what is
    /// registered is compared with it.
    ///
    /// # Errors
    /// `Unavailable`, or `Refused` when there is no such subject or it holds another schema.
    pub async fn bind(
        &self,
        contract: Contract,
        topic: &str,
        register: bool,
    ) -> Result<Bound, RegistryError> {
        let subject = format!("{topic}-value");
        let call = async {
            if register {
                let name = format!("tripline.{}", contract.name());
                let schema = SuppliedSchema::new(Some(name), SchemaType::Avro, contract.text().to_owned());
                post_schema(&self.settings, subject.clone(), schema).await
            } else {
                get_schema_by_subject(
                    &self.settings,
                    &SubjectNameStrategy::TopicNameStrategy(topic.into(), false),
                )
                .await
            }
        };
        let found = tokio::time::timeout(self.timeout, call)
            .await
            .map_err(|_| RegistryError::Unavailable(format!("no answer in {} ms", self.timeout.as_millis())))?
            .map_err(|error| self.refusal(contract, &subject, &error))?;
        let id = SchemaId(found.id);
        if register {
            return Ok(Bound { id, encoder: Encoder::new(contract) });
        }
        contract.compare(&found.schema).map_err(|why| {
            RegistryError::Refused(format!(
                "subject {subject} holds another schema than our {}: {why}",
                contract.name()
            ))
        })?;
        let encoder = Encoder::registered(contract, &found.schema)
            .map_err(|error| RegistryError::Refused(format!("subject {subject}: {error}")))?;
        Ok(Bound { id, encoder })
    }

    fn refusal(&self, contract: Contract, subject: &str, error: &SRCError) -> RegistryError {
        if is_definite(error, NO_SUBJECT) {
            return RegistryError::Refused(format!(
                "the registry has no subject {subject}: register schemas/avro/{}.avsc under it, or set \
                 registry.register = true",
                contract.name()
            ));
        }
        if error.error.contains("status 409") || error.error.contains("status 422") {
            return RegistryError::Refused(format!(
                "subject {subject} does not take our {}: {}",
                contract.name(),
                words(error)
            ));
        }
        RegistryError::Unavailable(words(error))
    }
}

fn answer(found: RegisteredSchema) -> Answer {
    if found.schema.len() > MAX_SCHEMA_BYTES {
        return Answer::Unavailable(format!(
            "a schema of {} bytes, at most {MAX_SCHEMA_BYTES} are taken",
            found.schema.len()
        ));
    }
    // Another kind of schema is for certain no Avro: its text is refused as such.
    Answer::Text(found.schema)
}

/// Whether the registry itself says that there is no such thing; a 404 of a proxy has no such code.
fn is_definite(error: &SRCError, code: u32) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<RawError>())
        .is_some_and(|raw| raw.error_code == code)
}

fn words(error: &SRCError) -> String {
    let cause = error.cause.as_deref().unwrap_or_default();
    let text: String = format!("{} {cause}", error.error).chars().take(300).collect();
    text.trim().to_owned()
}

/// Asks the registry beside the line.
pub struct RegistrySource {
    client: RegistryClient,
    runtime: Handle,
    waiting: VecDeque<SchemaId>,
    asked: usize,
    answers: (Sender<(SchemaId, Answer)>, Receiver<(SchemaId, Answer)>),
}

impl RegistrySource {
    /// A source whose questions run on this runtime.
    pub fn new(client: RegistryClient, runtime: Handle) -> Self {
        Self { client, runtime, waiting: VecDeque::new(), asked: 0, answers: channel() }
    }

    fn start(&mut self) {
        while self.asked < MOST_AT_ONCE {
            let Some(id) = self.waiting.pop_front() else { return };
            let (client, answers) = (self.client.clone(), self.answers.0.clone());
            self.asked += 1;
            self.runtime.spawn(async move {
                let answer = client.ask(id).await;
                // Nobody listens any more when the line has ended.
                let _ = answers.send((id, answer));
            });
        }
    }
}

impl SchemaSource for RegistrySource {
    fn request(&mut self, id: SchemaId) {
        self.waiting.push_back(id);
        self.start();
    }

    fn poll(&mut self) -> Option<(SchemaId, Answer)> {
        let answer = self.answers.1.try_recv().ok()?;
        self.asked -= 1;
        self.start();
        Some(answer)
    }
}
