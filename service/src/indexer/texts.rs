//! The schemas of the topic's records, by registry id: asked for once and kept.

use std::collections::HashMap;
use std::sync::Arc;

use schemas::codec::SchemaId;
use schemas::reject::{Reject, RejectCode};

use crate::index::RowSchema;
use crate::registry::{Answer, SchemaSource};

/// Ids remembered: one for each version of our contract, and as many that are none as fit before all are forgotten.
const MOST: usize = 1_000;

/// How long "there is no such schema" is believed, microseconds.
pub(super) const BELIEVED_US: u64 = 5_000_000;

/// A schema, or why there is none.
type Known = Result<Arc<RowSchema>, Reject>;

pub(super) struct Texts<S> {
    source: S,
    /// With the time of the answer.
    known: HashMap<SchemaId, (Known, u64)>,
    /// What was asked for and is not answered.
    asked: Option<SchemaId>,
}

impl<S: SchemaSource> Texts<S> {
    pub fn new(source: S) -> Self {
        Self { source, known: HashMap::new(), asked: None }
    }

    /// What is known of an id; `None` while the registry is asked. Never waits.
    ///
    /// # Errors
    /// What the registry said instead of an answer; the next call asks again.
    pub fn get(&mut self, id: SchemaId, now_us: u64) -> Result<Option<Known>, String> {
        let stands = |known: &Known, at_us: u64| known.is_ok() || now_us.saturating_sub(at_us) < BELIEVED_US;
        if let Some((known, at_us)) = self.known.get(&id)
            && stands(known, *at_us)
        {
            return Ok(Some(known.clone()));
        }
        if self.asked != Some(id) {
            self.source.request(id);
            self.asked = Some(id);
        }
        while let Some((answered, answer)) = self.source.poll() {
            if answered != id {
                continue;
            }
            self.asked = None;
            let known = match answer {
                Answer::Text(text) => RowSchema::new(&text).map(Arc::new),
                Answer::Unknown => Err(Reject::new(
                    RejectCode::SchemaUnknown,
                    format!("the registry has no schema {}", id.0),
                )),
                Answer::Unavailable(why) => return Err(why),
            };
            if self.known.len() >= MOST {
                self.known.clear();
            }
            self.known.insert(id, (known.clone(), now_us));
            return Ok(Some(known));
        }
        Ok(None)
    }
}
