//! One batch on its way: decoded, applied, journaled, and put into the outbox, in this order.

use std::sync::Arc;

use feature_store::enricher::Enricher;
use feature_store::store::{Batch, Begin, Source, Store, StoreError, Topic};
use schemas::payment::Label;
use schemas::reject::Reject;

use super::decode::{self, Carried, Values};
use super::{Line, LineError, LineStep};
use crate::emit::source_name;
use crate::pipeline::{BatchFacts, Deciders, Item, Ruling, lock};
use crate::registry::SchemaSource;
use crate::stream::note::Note;
use crate::stream::{Output, Record, Transport, TransportError};

/// Most records of a batch while callers wait for decisions.
const BATCH_BESIDE_CALLERS: usize = 64;

impl<T: Transport, S: SchemaSource> Line<T, S> {
    /// Applies the next batch of before the restart, if all its records are here.
    pub(super) fn recover(&mut self) -> Result<usize, LineError> {
        let next = self.pipeline.enricher().store().next_recovering().cloned();
        let Some(batch) = next else { return Ok(0) };
        let name = source_name(batch.source);
        let gone = |what: &str| {
            LineError::Refused(format!(
                "log_changed: {name} {what} (the store's journal has records {} to {}): the topic is not the one that \
                 the store was made from. Point store.path at an empty folder (with a copy of seal.key and unrecorded/) \
                 to rebuild the state",
                batch.first, batch.last
            ))
        };
        let Some(lane) = self.lanes.get(&batch.source) else { return Err(gone("is not there any more")) };
        let count = lane.waiting.iter().take_while(|record| record.offset <= batch.last).count();
        match lane.waiting.front() {
            None => return Ok(0),
            Some(first) if first.offset != batch.first => return Err(gone("lacks its first record")),
            Some(_) => {}
        }
        let has_last =
            count > 0 && lane.waiting.get(count - 1).is_some_and(|record| record.offset == batch.last);
        if !has_last {
            return if count < lane.waiting.len() { Err(gone("lacks its last record")) } else { Ok(0) };
        }
        let note = Note::decode(&batch.note).ok_or(StoreError::Unreadable("the note of a journal row"))?;
        self.apply(batch.source, count, Some((batch, note)))
    }

    /// Applies the next batch of a lane, as far as its schemas are known.
    pub(super) fn advance(&mut self, source: Source) -> Result<usize, LineError> {
        let waiting = self.lanes.get(&source).map_or(0, |lane| lane.waiting.len());
        if waiting == 0 {
            return Ok(0);
        }
        // The state is locked while a batch is applied: callers who wait for it wait for a part of a millisecond.
        let most = if self.pipeline.has_callers() { BATCH_BESIDE_CALLERS } else { usize::MAX };
        self.apply(source, waiting.min(self.limits.batch_records).min(most), None)
    }

    /// Decodes up to `count` records of a lane and applies them: all or none of a recovered batch, otherwise those
    /// before the first whose schema is not here yet.
    fn apply(
        &mut self,
        source: Source,
        count: usize,
        again: Option<(Batch, Note)>,
    ) -> Result<usize, LineError> {
        let now = self.clock.now();
        let note_before = again.as_ref().map(|(_, note)| note);
        let lane =
            self.lanes.get_mut(&source).ok_or(TransportError::Fatal("an unknown partition".to_owned()))?;
        let records = lane.waiting.iter().take(count);
        let most = self.limits.record_bytes;
        let seal = self.seal.as_ref();
        let decoded = decode::decode(&mut self.schemas, seal, records, note_before, now, most);
        lane.blocked = decoded.blocked;
        let usable = decoded.values.len();
        if usable == 0 || (again.is_some() && usable < count) {
            return Ok(0);
        }
        let records = lane.take(usable);
        let deciders = (self.deciders)();
        let (mut batch, mut note, attempt) = match again {
            Some((batch, note)) => (batch, note, 2),
            None => {
                let note = Note {
                    judged_ms: now.wall_ms,
                    model: deciders.model.as_ref().map_or_else(String::new, |model| model.id().to_string()),
                    policy: deciders.policy.version().to_string(),
                    refused: decoded.refused,
                    adopted: Vec::new(),
                };
                (self.batch(source, &records), note, 1)
            }
        };
        let begun = self.pipeline.enricher().store().begin(&batch);
        match begun {
            Begin::Ready => {}
            Begin::Duplicate => return Ok(0),
            Begin::Gap { have } => {
                let (name, first) = (source_name(source), batch.first);
                return Err(LineError::Refused(format!(
                    "gap: {name} went on at {first}, the store has {have:?}"
                )));
            }
        }
        self.watch.foreign(decoded.foreign);
        let decode_us = self.clock.now().since_us(now.monotonic_us);
        match decoded.values {
            Values::Payments(values) => {
                let facts =
                    BatchFacts { partition: source.partition, judged_ms: note.judged_ms, attempt, decode_us };
                self.rule(&records, values, facts, &deciders, &mut batch, &mut note)?;
            }
            Values::Labels(values) => self.label(&records, values, &mut batch, &note, attempt)?,
        }
        self.transport.begin_at(source, batch.last + 1);
        self.since_checkpoint += usable as u64;
        self.emit(&records, attempt)?;
        self.watch.reached(LineStep::Emitted);
        Ok(usable)
    }

    fn batch(&self, source: Source, records: &[Record]) -> Batch {
        Batch {
            source,
            prev: self.pipeline.enricher().store().fence(source),
            first: records.first().map_or(0, |record| record.offset),
            last: records.last().map_or(0, |record| record.offset),
            note: Vec::new(),
        }
    }

    /// Applies payments and writes their journal row under one lock, so that nobody sees what a restart could make
    /// otherwise; then decides them.
    fn rule(
        &mut self,
        records: &[Record],
        values: Vec<Carried>,
        facts: BatchFacts,
        deciders: &Deciders,
        batch: &mut Batch,
        note: &mut Note,
    ) -> Result<(), LineError> {
        let items = records.iter().zip(values).map(|(record, Carried { schema_id, payment, made })| Item {
            offset: record.offset,
            schema_id,
            payment,
            made,
            arrived_us: record.arrived_us,
            labels_before: Vec::new(),
        });
        let state = Arc::clone(self.pipeline.state());
        let mut enricher = lock(&state);
        let mut enriched = self.pipeline.enrich(&mut enricher, items.collect(), facts, &*self.clock)?;
        note.adopted.append(&mut enriched.adopted);
        note.refused.append(&mut enriched.refused);
        note.refused.sort_by_key(|(offset, _)| *offset);
        self.commit_batch(&mut enricher, batch, note, facts.attempt)?;
        drop(enricher);
        self.rulings.clear();
        self.pipeline.decide(enriched, facts, deciders, &*self.clock, &mut self.rulings);
        Ok(())
    }

    fn label(
        &mut self,
        records: &[Record],
        values: Vec<Result<Label, Reject>>,
        batch: &mut Batch,
        note: &Note,
        attempt: i32,
    ) -> Result<(), LineError> {
        let state = Arc::clone(self.pipeline.state());
        let mut enricher = lock(&state);
        self.rulings.clear();
        for (_, value) in records.iter().zip(values) {
            match value {
                Ok(label) => {
                    let applied = enricher.label(&label)?;
                    if attempt == 1 {
                        self.watch.label(applied);
                    }
                    self.rulings.push(Ruling::Duplicate);
                }
                Err(reject) => self.rulings.push(Ruling::Dead(reject)),
            }
        }
        self.commit_batch(&mut enricher, batch, note, attempt)
    }

    /// The journal row of a batch that was applied. One that is applied again has its row.
    fn commit_batch(
        &mut self,
        enricher: &mut Enricher,
        batch: &mut Batch,
        note: &Note,
        attempt: i32,
    ) -> Result<(), LineError> {
        self.watch.reached(LineStep::Applied);
        if attempt == 1 {
            batch.note = note.encode();
        }
        enricher.store_mut().commit(batch)?;
        self.watch.applied(batch, attempt > 1);
        self.watch.reached(LineStep::Journaled);
        Ok(())
    }

    /// Puts into the outbox what is not out yet. Only after the journal row is written.
    fn emit(&mut self, records: &[Record], attempt: i32) -> Result<(), LineError> {
        let Some(lane) = records.first().and_then(|record| self.lanes.get(&record.source)) else {
            return Ok(());
        };
        let is_payment = lane.source.topic == Topic::Payments;
        let now = self.clock.now();
        for (record, ruling) in records.iter().zip(&self.rulings) {
            let is_out = |output| lane.is_out(output, record.offset);
            match ruling {
                Ruling::Decided(decision, alert) => {
                    if !is_out(Output::Decisions) {
                        self.outbox.push(self.emitter.decision(record, decision)?);
                        self.watch.decided(decision, alert.as_deref());
                    }
                    if let Some(alert) = alert
                        && !is_out(Output::Alerts)
                    {
                        self.outbox.push(self.emitter.alert(record, alert)?);
                    }
                }
                Ruling::Duplicate if is_payment && attempt == 1 => self.watch.duplicate(),
                Ruling::Duplicate => {}
                Ruling::Dead(reject) => {
                    if !is_out(Output::DeadLetters) {
                        self.outbox.push(self.emitter.dead_letter(record, reject, now.wall_ms, attempt)?);
                        self.watch.dead(lane.source, reject);
                    }
                }
            }
        }
        Ok(())
    }
}
