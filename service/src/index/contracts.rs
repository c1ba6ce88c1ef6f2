//! The schemas in which rows were written.
//!
//! A row keeps the bytes that the topic has, so it is what others read, to the bit, and nothing is encoded again. It is
//! framed with a number for the text of its schema (from its SHA-256), and each day that holds such rows holds the text
//! under that number. So the index needs no registry, and outlives new versions of the contract: a row is read by the
//! schema that it was written in, and this build takes of it what it knows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fjall::Keyspace;
use schemas::codec::{CheckedSchema, SchemaId, check_schema, decode_own, unframe};
use schemas::decision::Decision;
use schemas::reject::Reject;
use sha2::{Digest, Sha256};

use super::{IndexError, key};

/// A schema that decisions of the topic are written in.
#[derive(Debug, Clone)]
pub struct RowSchema {
    /// The number of its text, as a frame holds it.
    pub(super) version: SchemaId,
    pub(super) text: String,
    pub(super) checked: Arc<CheckedSchema>,
}

impl RowSchema {
    /// Checks the text of a schema, as the registry has it.
    ///
    /// # Errors
    /// `SchemaRefused`.
    pub fn new(text: &str) -> Result<Self, Reject> {
        let checked = Arc::new(check_schema(text)?);
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let [a, b, c, d, ..] = digest;
        // 1 to 2^31 - 1, as a frame takes it.
        let version = SchemaId((u32::from_be_bytes([a, b, c, d]) >> 1).max(1));
        Ok(Self { version, text: text.to_owned(), checked })
    }
}

/// The schemas met when reading, by number: one for each release that wrote into days which are still kept.
#[derive(Default)]
pub(super) struct Contracts(Mutex<HashMap<SchemaId, Arc<CheckedSchema>>>);

impl Contracts {
    /// A decision from its framed bytes; `day` holds the texts of its schemas.
    pub fn decode(&self, day: &Keyspace, framed: &[u8]) -> Result<Decision, IndexError> {
        let (version, body) = unframe(framed).map_err(|reject| IndexError::damaged(reject.to_string()))?;
        let schema = self.schema(day, version)?;
        decode_own(&schema, body).map_err(|reject| IndexError::Unreadable(reject.to_string()))
    }

    fn schema(&self, day: &Keyspace, version: SchemaId) -> Result<Arc<CheckedSchema>, IndexError> {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = met.get(&version) {
            return Ok(Arc::clone(schema));
        }
        let text = day.get(key::contract(version.0))?;
        let text = text.ok_or_else(|| IndexError::damaged("the schema of a row is not there"))?;
        let text = std::str::from_utf8(&text).map_err(|_| IndexError::damaged("a schema is no text"))?;
        let schema = RowSchema::new(text).map_err(|reject| IndexError::damaged(reject.to_string()))?.checked;
        met.insert(version, Arc::clone(&schema));
        Ok(schema)
    }
}
