//! The real registry: Confluent's REST API. Each question is a task of its own with a time-out; the answers come back
//! through a channel.
//!
//! Our contracts are bound through `schema_registry_converter`. A schema by its id is asked for here instead: that
//! crate reads an answer of any length into memory, takes a JSON array for an object, keeps errors for ever in its
//! caches and does not say which status an error had.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Response, StatusCode};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_subject, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, SchemaType, SubjectNameStrategy, SuppliedSchema,
};
use schemas::codec::{Encoder, MAX_SCHEMA_BYTES, SchemaId};
use schemas::contract::Contract;
use serde_json::Value;
use tokio::runtime::Handle;

use super::{Answer, SchemaSource};
use crate::emit::Bound;

/// Questions on their way at once: a topic full of made-up ids must not flood the registry.
const MOST_AT_ONCE: usize = 16;

/// Longest answer that is read, bytes: a schema's text with every character escaped, and what is around it.
const MAX_ANSWER_BYTES: usize = 2 * MAX_SCHEMA_BYTES + (64 << 10);

/// Longest reason, characters.
const MAX_WHY_CHARS: usize = 300;

/// The registry's own codes: for what it does not have, and for a schema that a subject does not take.
const NO_SUBJECT: u32 = 40_401;
const NO_SCHEMA: u32 = 40_403;
const INCOMPATIBLE: u32 = 409;
const INVALID_SCHEMA: u32 = 42_201;

/// What its answers are in.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json, application/json";

/// A registry on the network.
#[derive(Clone)]
pub struct RegistryClient {
    url: String,
    http: reqwest::Client,
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
        let url = url.trim_end_matches('/').to_owned();
        crate::http::use_ring();
        let http = reqwest::Client::builder().no_proxy().timeout(timeout).build();
        let http = http.map_err(|error| RegistryError::Refused(error.to_string()))?;
        let settings = SrSettings::new_builder(url.clone()).no_proxy().set_timeout(timeout).build();
        let settings = settings.map_err(|error| RegistryError::Refused(error.error))?;
        Ok(Self { url, http, settings, timeout })
    }

    /// What the registry says of an id.
    pub async fn ask(&self, id: SchemaId) -> Answer {
        self.fetch(id).await.unwrap_or_else(|error| Answer::Unavailable(self.why(&error)))
    }

    async fn fetch(&self, id: SchemaId) -> Result<Answer, reqwest::Error> {
        // A schema that was deleted since is still that of the records written in it.
        let url = format!("{}/schemas/ids/{}?deleted=true", self.url, id.0);
        let response = self.http.get(url).header(ACCEPT, MEDIA_TYPE).send().await?;
        let status = response.status();
        let Some(body) = bounded(response).await? else {
            return Ok(Answer::Unavailable(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
        };
        Ok(answer(status, &body))
    }

    /// The error and what was behind it: "error sending request" alone says nothing. The URL is left out.
    fn why(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer in {} ms", self.timeout.as_millis());
        }
        let mut why =
            if error.is_redirect() { "redirected too often".to_owned() } else { "no answer".to_owned() };
        let mut source = error.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        shortened(&why)
    }

    /// The newest schema of a subject.
    ///
    /// # Errors
    /// `Unavailable`, or `Refused` when there is no such subject.
    pub async fn latest(&self, subject: &str) -> Result<(SchemaId, String), RegistryError> {
        let url = format!("{}/subjects/{subject}/versions/latest", self.url);
        let asked = async {
            let response = self.http.get(url).header(ACCEPT, MEDIA_TYPE).send().await?;
            Ok::<_, reqwest::Error>((response.status(), bounded(response).await?))
        };
        let (status, body) = asked.await.map_err(|error| RegistryError::Unavailable(self.why(&error)))?;
        let body = body.unwrap_or_default();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = json.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
        match (answer(status, &body), id) {
            (Answer::Text(text), Some(id)) => Ok((SchemaId(id), text)),
            (Answer::Unavailable(why), _) if status != StatusCode::NOT_FOUND => {
                Err(RegistryError::Unavailable(why))
            }
            _ => Err(RegistryError::Refused(format!("the registry has no schema under subject {subject}"))),
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
        if is_definite(error, INCOMPATIBLE) || is_definite(error, INVALID_SCHEMA) {
            return RegistryError::Refused(format!(
                "subject {subject} does not take our {}: {}",
                contract.name(),
                words(error)
            ));
        }
        RegistryError::Unavailable(words(error))
    }
}

/// The body, unless it is too long.
async fn bounded(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What an answer says. Definite is only what the registry itself says of the id: a schema, or its own code for none.
/// A 404 of a proxy before it has no such code, and a schema that is not Avro is refused as such where it is checked.
fn answer(status: StatusCode, body: &[u8]) -> Answer {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = json.get("error_code").and_then(Value::as_u64);
    match json.get("schema").and_then(Value::as_str) {
        Some(text) if status.is_success() && text.len() > MAX_SCHEMA_BYTES => {
            let why = format!("a schema of {} bytes, at most {MAX_SCHEMA_BYTES} are taken", text.len());
            Answer::Unavailable(why)
        }
        Some(text) if status.is_success() => Answer::Text(text.to_owned()),
        _ if status == StatusCode::NOT_FOUND && code == Some(u64::from(NO_SCHEMA)) => Answer::Unknown,
        _ => {
            let message = json.get("message").and_then(Value::as_str).unwrap_or("not a registry's answer");
            Answer::Unavailable(shortened(&format!("status {status}: {message}")))
        }
    }
}

/// Whether the registry itself says this for certain: a proxy's 404 has no such code, and 502 and 503 pass.
fn is_definite(error: &SRCError, code: u32) -> bool {
    let raw = error.source().and_then(|source| source.downcast_ref::<RawError>());
    !error.retriable && raw.is_some_and(|raw| raw.error_code == code)
}

fn words(error: &SRCError) -> String {
    let cause = error.cause.as_deref().unwrap_or_default();
    shortened(format!("{} {cause}", error.error).trim())
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_WHY_CHARS).collect()
}

/// Asks the registry beside the line.
pub struct RegistrySource {
    client: RegistryClient,
    runtime: Handle,
    waiting: VecDeque<SchemaId>,
    asked: usize,
    sender: Sender<(SchemaId, Answer)>,
    answers: Receiver<(SchemaId, Answer)>,
}

impl RegistrySource {
    /// A source whose questions run on this runtime.
    pub fn new(client: RegistryClient, runtime: Handle) -> Self {
        let (sender, answers) = channel();
        Self { client, runtime, waiting: VecDeque::new(), asked: 0, sender, answers }
    }

    fn start(&mut self) {
        while self.asked < MOST_AT_ONCE {
            let Some(id) = self.waiting.pop_front() else { return };
            let (client, answers) = (self.client.clone(), self.sender.clone());
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
        let answer = self.answers.try_recv().ok()?;
        self.asked -= 1;
        self.start();
        Some(answer)
    }
}

#[cfg(test)]
mod tests;
