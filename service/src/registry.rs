//! Schemas by registry id: asked for once, checked, planned, and kept.
//!
//! A record whose schema is not here waits, and its partition with it; nothing else does. What the registry says for
//! certain (404) is remembered for seconds only, since the schema may be registered a moment later; what it could not
//! say is asked again, less and less often. Who asks over the network is a [`SchemaSource`].

pub mod client;

use std::collections::HashMap;
use std::sync::Arc;

use schemas::codec::{Aliases, CheckedSchema, LabelDecoder, PaymentDecoder, SchemaId, check_schema};
use schemas::mapping::PaymentMapping;
use schemas::reject::{Reject, RejectCode};

/// What the registry says of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The schema's text.
    Text(String),
    /// For certain there is none.
    Unknown,
    /// It did not answer as a registry does: ask again.
    Unavailable(String),
}

/// Who asks the registry. Neither call waits.
pub trait SchemaSource {
    /// Asks for a schema; the answer comes by [`Self::poll`].
    fn request(&mut self, id: SchemaId);
    /// An answer that has come.
    fn poll(&mut self) -> Option<(SchemaId, Answer)>;
}

/// What is known of a record's schema.
pub enum Lookup<'a, D> {
    /// Its decoder.
    Ready(&'a D),
    /// No record of this schema can be decoded.
    Refused(Reject),
    /// It was asked for and is not here yet.
    Waiting,
}

/// First and longest pause before a registry that did not answer is asked again, milliseconds.
const PAUSE_MS: (i64, i64) = (100, 5_000);

/// Ids waited for or refused that are remembered: beyond it the table is emptied of what has run out, then of all
/// refusals.
const MAX_PASSING: usize = 10_000;

/// An id that nobody looked up for so long, milliseconds, blocks nothing any more: its partition is another's now.
const FORGOTTEN_MS: i64 = 10_000;

enum Entry {
    Known(Box<Known>),
    /// The registry has no such schema, or one that is refused, until then.
    Refused {
        reject: Reject,
        until_ms: i64,
    },
    Open(Open),
}

/// An id of which nothing is known.
struct Open {
    /// When it is asked for again; `None` while an answer is on its way.
    again_ms: Option<i64>,
    /// Answers so far that were none.
    failures: u32,
    /// The last of them.
    why: String,
    /// When it was last looked up.
    wanted_ms: i64,
}

struct Known {
    schema: CheckedSchema,
    payment: Result<PaymentDecoder, Reject>,
    label: Result<LabelDecoder, Reject>,
    used: u64,
}

/// The decoders of the schemas met.
pub struct Schemas<S> {
    source: S,
    mapping: Arc<PaymentMapping>,
    aliases: Aliases,
    entries: HashMap<SchemaId, Entry>,
    max_schemas: usize,
    negative_ms: i64,
    known: usize,
    uses: u64,
    now_ms: i64,
    answers: [u64; 3],
}

impl<S: SchemaSource> Schemas<S> {
    /// No schema met yet. Keeps at most `max_schemas` decoders; remembers a refusal for `negative_ms`.
    pub fn new(source: S, mapping: Arc<PaymentMapping>, max_schemas: usize, negative_ms: i64) -> Self {
        Self {
            source,
            mapping,
            aliases: Aliases::new(),
            entries: HashMap::new(),
            max_schemas: max_schemas.max(1),
            negative_ms,
            known: 0,
            uses: 0,
            now_ms: 0,
            answers: [0; 3],
        }
    }

    /// The decoder for payments in this schema.
    pub fn payment(&mut self, id: SchemaId, now_ms: i64) -> Lookup<'_, PaymentDecoder> {
        self.find(id, now_ms, |known| known.payment.as_ref())
    }

    /// The decoder for labels in this schema.
    pub fn label(&mut self, id: SchemaId, now_ms: i64) -> Lookup<'_, LabelDecoder> {
        self.find(id, now_ms, |known| known.label.as_ref())
    }

    /// Why records wait, if some do: of the schemas looked up lately, the one asked for most often.
    pub fn blocked(&self) -> Option<String> {
        let open = self.entries.iter().filter_map(|(id, entry)| match entry {
            Entry::Open(open) if wanted(open, self.now_ms) => Some((open.failures, *id, open)),
            _ => None,
        });
        let (failures, SchemaId(id), open) = open.max_by_key(|(failures, id, _)| (*failures, *id))?;
        Some(match failures {
            0 => format!("schema {id} was asked for"),
            _ => format!("the registry does not answer for schema {id}: {}", open.why),
        })
    }

    /// Answers so far: schemas, that there is none, nothing usable.
    pub fn answers(&self) -> [u64; 3] {
        self.answers
    }

    /// Decoders kept.
    pub fn known(&self) -> usize {
        self.known
    }

    fn find<'a, D: 'a>(
        &'a mut self,
        id: SchemaId,
        now_ms: i64,
        of: impl FnOnce(&'a Known) -> Result<&'a D, &'a Reject>,
    ) -> Lookup<'a, D> {
        self.now_ms = now_ms;
        // The usual way costs one look into the table.
        if !matches!(self.entries.get(&id), Some(Entry::Known(_))) {
            self.take_answers();
            self.ask(id);
        }
        self.uses += 1;
        let uses = self.uses;
        match self.entries.get_mut(&id) {
            Some(Entry::Known(known)) => {
                known.used = uses;
                match of(known) {
                    Ok(decoder) => Lookup::Ready(decoder),
                    Err(reject) => Lookup::Refused(reject.clone()),
                }
            }
            Some(Entry::Refused { reject, .. }) => Lookup::Refused(reject.clone()),
            Some(Entry::Open(open)) => {
                open.wanted_ms = now_ms;
                Lookup::Waiting
            }
            None => Lookup::Waiting,
        }
    }

    /// Asks for a schema that is not known, unless it was asked for or refused just now.
    fn ask(&mut self, id: SchemaId) {
        let (failures, why) = match self.entries.get_mut(&id) {
            None => (0, String::new()),
            Some(Entry::Refused { until_ms, .. }) if is_due(self.now_ms, *until_ms, self.negative_ms) => {
                (0, String::new())
            }
            Some(Entry::Open(Open { again_ms: Some(again_ms), failures, why, .. }))
                if is_due(self.now_ms, *again_ms, PAUSE_MS.1) =>
            {
                (*failures, std::mem::take(why))
            }
            Some(_) => return,
        };
        self.bound();
        self.entries.insert(id, Entry::Open(Open { again_ms: None, failures, why, wanted_ms: self.now_ms }));
        self.source.request(id);
    }

    fn take_answers(&mut self) {
        while let Some((id, answer)) = self.source.poll() {
            let kind = match &answer {
                Answer::Text(_) => 0,
                Answer::Unknown => 1,
                Answer::Unavailable(_) => 2,
            };
            if let Some(count) = self.answers.get_mut(kind) {
                *count += 1;
            }
            let Some(Entry::Open(Open { again_ms: None, failures, wanted_ms, .. })) = self.entries.get(&id)
            else {
                continue;
            };
            let (failures, wanted_ms) = (*failures, *wanted_ms);
            let until_ms = self.now_ms.saturating_add(self.negative_ms);
            let entry = match answer {
                Answer::Text(text) => match check_schema(&text) {
                    Ok(schema) => self.learn(schema),
                    Err(reject) => Entry::Refused { reject, until_ms },
                },
                Answer::Unknown => {
                    let detail = format!("the registry has no schema {}", id.0);
                    Entry::Refused { reject: Reject::new(RejectCode::SchemaUnknown, detail), until_ms }
                }
                Answer::Unavailable(why) => {
                    let pause_ms = (PAUSE_MS.0 << failures.min(16)).min(PAUSE_MS.1);
                    tracing::warn!(schema = id.0, %why, pause_ms, "the schema registry does not answer");
                    let again_ms = Some(self.now_ms.saturating_add(pause_ms));
                    Entry::Open(Open { again_ms, failures: failures.saturating_add(1), why, wanted_ms })
                }
            };
            if matches!(entry, Entry::Known(_)) {
                self.make_room();
                self.known += 1;
            }
            self.entries.insert(id, entry);
        }
    }

    /// Plans a schema that was met first; and the others again if it brings aliases, which may name their fields.
    fn learn(&mut self, schema: CheckedSchema) -> Entry {
        if self.aliases.learn(&schema) {
            for entry in self.entries.values_mut() {
                if let Entry::Known(known) = entry {
                    known.payment =
                        PaymentDecoder::new(Arc::clone(&self.mapping), &known.schema, &self.aliases);
                }
            }
        }
        let payment = PaymentDecoder::new(Arc::clone(&self.mapping), &schema, &self.aliases);
        let label = LabelDecoder::new(&schema);
        Entry::Known(Box::new(Known { schema, payment, label, used: self.uses }))
    }

    /// Lets go of the decoder that was not used for longest.
    fn make_room(&mut self) {
        if self.known < self.max_schemas {
            return;
        }
        let used = |(id, entry): (&SchemaId, &Entry)| match entry {
            Entry::Known(known) => Some((known.used, *id)),
            _ => None,
        };
        if let Some((_, oldest)) = self.entries.iter().filter_map(used).min() {
            self.entries.remove(&oldest);
            self.known -= 1;
        }
    }

    /// A million ids that do not exist must not fill the memory. What is on its way is answered, and it is few: those
    /// that partitions wait for.
    fn bound(&mut self) {
        if self.entries.len() - self.known < MAX_PASSING {
            return;
        }
        let (now_ms, negative_ms) = (self.now_ms, self.negative_ms);
        self.entries.retain(|_, entry| match entry {
            Entry::Known(_) => true,
            Entry::Refused { until_ms, .. } => !is_due(now_ms, *until_ms, negative_ms),
            Entry::Open(open) => open.again_ms.is_none() || wanted(open, now_ms),
        });
        if self.entries.len() - self.known >= MAX_PASSING {
            self.entries.retain(|_, entry| !matches!(entry, Entry::Refused { .. }));
        }
    }
}

/// Whether a moment has come that was at most `most_ms` ahead when it was set. One that is further ahead shows that
/// the clock was set back since, and nothing waits for a clock.
fn is_due(now_ms: i64, at_ms: i64, most_ms: i64) -> bool {
    now_ms >= at_ms || at_ms.saturating_sub(now_ms) > most_ms
}

fn wanted(open: &Open, now_ms: i64) -> bool {
    now_ms.saturating_sub(open.wanted_ms) <= FORGOTTEN_MS
}

#[cfg(test)]
mod tests;
