//! The embedded store: one process, states decoded in memory within a bound, behind them [`Files`].
//!
//! State is a function of the log and of the order in which batches were applied. So a commit writes one
//! journal row and no state; a checkpoint, as seldom as the promised recovery time allows, appends the states
//! that changed. After a crash the owner applies the batches of [`Embedded::recovering`] again, in their order.

use std::collections::{BTreeMap, VecDeque};
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;

use hashbrown::HashTable;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::{Batch, Begin, Slot, Source, Store, StoreError};
use crate::definition::Definitions;
use crate::files::{BlobBatch, BlobKey, Checkpoint, FileOptions, Files, Location, Recovered};
use crate::state::EntityState;

mod row;

pub use row::{decode_batch, encode_batch};

/// What the head of a checkpoint says beside the blobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// What the owner gave to the checkpoint.
    pub owner: Vec<u8>,
    /// The streams, by name.
    pub streams: Vec<(String, Vec<u8>)>,
}

struct Entity {
    key: u128,
    plan: u8,
    dirty: bool,
    /// Serialised for a checkpoint that is not durable yet.
    in_flight: bool,
    /// Used since the last sweep.
    used: bool,
    state: Option<Box<EntityState>>,
    at: Option<Location>,
}

/// The store of one process.
pub struct Embedded {
    definitions: Arc<Definitions>,
    files: Files,
    entities: Vec<Entity>,
    index: HashTable<u32>,
    fences: BTreeMap<Source, i64>,
    recovering: VecDeque<Batch>,
    dirty: Vec<u32>,
    in_flight: Vec<u32>,
    /// What the next checkpoint holds already.
    prepared: BlobBatch,
    resident: usize,
    resident_max: usize,
    hand: usize,
    rows_since_checkpoint: u64,
    buffer: Vec<u8>,
}

/// States kept in memory however small the bound: one batch's worth with many entities each.
const RESIDENT_MIN: usize = 16_384;

impl Embedded {
    /// Opens the folder and gives back what its last checkpoint held.
    ///
    /// # Errors
    /// When the folder is in use, damaged, of a newer format or made with other features.
    pub fn open(
        dir: &Path,
        options: FileOptions,
        definitions: Arc<Definitions>,
        resident_entities: usize,
    ) -> Result<(Self, Restored), StoreError> {
        let (files, recovered) = Files::open(dir, options)?;
        let mut store = Self {
            definitions,
            files,
            entities: Vec::new(),
            index: HashTable::new(),
            fences: BTreeMap::new(),
            recovering: VecDeque::new(),
            dirty: Vec::new(),
            in_flight: Vec::new(),
            prepared: BlobBatch::default(),
            resident: 0,
            resident_max: resident_entities.max(RESIDENT_MIN),
            hand: 0,
            rows_since_checkpoint: 0,
            buffer: Vec::new(),
        };
        let restored = store.restore(recovered)?;
        Ok((store, restored))
    }

    fn restore(&mut self, recovered: Recovered) -> Result<Restored, StoreError> {
        let mut restored = Restored { owner: Vec::new(), streams: recovered.streams };
        if let Some(head) = recovered.head {
            let head = row::decode_head(&head).ok_or(StoreError::Unreadable("the head of the checkpoint"))?;
            let wanted = layout(&self.definitions);
            if head.layout != wanted {
                return Err(StoreError::OtherLayout { found: head.layout, wanted });
            }
            self.fences = head.fences;
            restored.owner = head.owner;
        }
        for (key, at) in recovered.blobs {
            let entity = Entity::new(key.0, (key.0 & 0xff) as u8, Some(at));
            self.add(entity);
        }
        for row in recovered.journal {
            let batch = decode_batch(&row).ok_or(StoreError::Unreadable("a row of the journal"))?;
            self.recovering.push_back(batch);
        }
        self.rows_since_checkpoint = self.recovering.len() as u64;
        Ok(restored)
    }

    fn add(&mut self, entity: Entity) -> Slot {
        let slot = self.entities.len() as u32;
        let entities = &self.entities;
        self.index
            .insert_unique((entity.key >> 8) as u64, slot, |slot| (entities[*slot as usize].key >> 8) as u64);
        self.entities.push(entity);
        Slot(slot)
    }

    /// The batches that were committed after the last checkpoint and are not applied again yet, in order.
    pub fn recovering(&self) -> impl Iterator<Item = &Batch> {
        self.recovering.iter()
    }

    /// The next of them.
    pub fn next_recovering(&self) -> Option<&Batch> {
        self.recovering.front()
    }

    /// All fences.
    pub fn fences(&self) -> &BTreeMap<Source, i64> {
        &self.fences
    }

    /// The slot of an entity by its durable key, if it is known.
    pub fn slot_of_key(&self, key: u128) -> Option<Slot> {
        self.index
            .find((key >> 8) as u64, |slot| self.entities[*slot as usize].key == key)
            .map(|slot| Slot(*slot))
    }

    /// The durable key of a slot.
    pub fn key_of(&self, slot: Slot) -> u128 {
        self.entities.get(slot.0 as usize).map_or(0, |entity| entity.key)
    }

    /// Entities known, entities in memory, entities changed since the last checkpoint.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.entities.len(), self.resident, self.dirty.len())
    }

    /// Bytes that the states in memory use, with their places.
    pub fn resident_bytes(&self) -> usize {
        let states = self.entities.iter().filter_map(|entity| entity.state.as_ref());
        let heap: usize = states.map(|state| size_of::<EntityState>() + state.heap_bytes()).sum();
        heap + self.entities.capacity() * size_of::<Entity>() + self.index.capacity() * size_of::<u32>()
    }

    /// Journal rows since the last checkpoint: what a restart would have to apply again.
    pub fn rows_since_checkpoint(&self) -> u64 {
        self.rows_since_checkpoint
    }

    /// The state of an entity, if it was met; it stays as it is.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn peek(&mut self, entity: usize, key: &str) -> Result<Option<&EntityState>, StoreError> {
        let Some(slot) = self.slot_of_key(entity_key(entity, key)) else { return Ok(None) };
        let entity = &mut self.entities[slot.0 as usize];
        entity.used = true;
        if entity.state.is_none()
            && let Some(at) = entity.at
        {
            self.files.read(at, &mut self.buffer)?;
            let plan = &self.definitions.plans[entity.plan as usize];
            entity.state = Some(Box::new(EntityState::decode(plan, &self.buffer)?));
            self.resident += 1;
        }
        Ok(entity.state.as_deref())
    }

    /// Whether so much has changed that states cannot be let go of before a checkpoint.
    pub fn is_crowded(&self) -> bool {
        self.dirty.len() + self.in_flight.len() > self.resident_max / 2
    }

    /// Takes a part of the changed states into the checkpoint that is started next; `true` while there is more. So the
    /// owner can let readers in between. Nothing may be applied between the first part and the start.
    pub fn prepare_checkpoint(&mut self, most: usize) -> bool {
        for slot in self.dirty.drain(self.dirty.len().saturating_sub(most)..) {
            let entity = &mut self.entities[slot as usize];
            self.in_flight.push(slot);
            (entity.dirty, entity.in_flight) = (false, true);
            let Some(state) = &entity.state else { continue };
            self.buffer.clear();
            state.encode(&self.definitions.plans[entity.plan as usize], &mut self.buffer);
            self.prepared.push(BlobKey(entity.key), &self.buffer);
        }
        !self.dirty.is_empty()
    }

    /// Starts to write what changed, with the owner's own bytes; the writing goes on beside. Call it between two
    /// batches, when nothing is recovering.
    ///
    /// # Errors
    /// When the files refuse.
    pub fn start_checkpoint(
        &mut self,
        owner: &[u8],
        appends: Vec<(String, Vec<u8>)>,
        drop_streams: Vec<String>,
    ) -> Result<(), StoreError> {
        debug_assert!(self.recovering.is_empty());
        while self.prepare_checkpoint(usize::MAX) {}
        let blobs = std::mem::take(&mut self.prepared);
        let head = row::encode_head(&layout(&self.definitions), &self.fences, owner);
        self.rows_since_checkpoint = 0;
        Ok(self.files.start_checkpoint(Checkpoint { blobs, head, appends, drop_streams })?)
    }

    /// Whether a checkpoint is being written.
    pub fn checkpoint_running(&self) -> bool {
        self.files.checkpoint_running()
    }

    /// `true` once, when the checkpoint that was started is durable. Waits for it if `wait`.
    ///
    /// # Errors
    /// When it could not be written. The files still hold the checkpoint before; the process should end.
    pub fn finish_checkpoint(&mut self, wait: bool) -> Result<bool, StoreError> {
        let done =
            if wait { self.files.wait_checkpoint()? } else { self.files.poll_checkpoint().transpose()? };
        let Some(done) = done else { return Ok(false) };
        for slot in self.in_flight.drain(..) {
            self.entities[slot as usize].in_flight = false;
        }
        for (key, at) in done.locations {
            let Some(slot) = self.slot_of_key(key.0) else { continue };
            if let Some(old) = self.entities[slot.0 as usize].at.replace(at) {
                self.files.superseded(old);
            }
        }
        if !done.sparse.is_empty() {
            self.rewrite(&done.sparse)?;
        }
        Ok(true)
    }

    /// Marks the states that live in sparse segments as changed, so that the next checkpoint moves them.
    fn rewrite(&mut self, sparse: &[u32]) -> Result<(), StoreError> {
        for slot in 0..self.entities.len() {
            let moves = self.entities[slot].at.is_some_and(|at| sparse.contains(&at.segment()));
            if moves {
                self.state(Slot(slot as u32))?;
            }
        }
        Ok(())
    }

    /// Lets go of states that were not used lately, down to the bound. Call it between two batches.
    pub fn sweep(&mut self) {
        let mut looked = 0;
        while self.resident > self.resident_max && looked < 2 * self.entities.len() {
            looked += 1;
            self.hand = (self.hand + 1) % self.entities.len();
            let entity = &mut self.entities[self.hand];
            if std::mem::take(&mut entity.used) || entity.dirty || entity.in_flight || entity.at.is_none() {
                continue;
            }
            self.resident -= usize::from(entity.state.take().is_some());
        }
    }
}

impl Entity {
    fn new(key: u128, plan: u8, at: Option<Location>) -> Self {
        Self { key, plan, dirty: false, in_flight: false, used: false, state: None, at }
    }
}

impl Store for Embedded {
    fn fence(&self, source: Source) -> Option<i64> {
        self.fences.get(&source).copied()
    }

    fn slot(&mut self, entity: usize, key: &str) -> Slot {
        let key = entity_key(entity, key);
        self.slot_of_key(key).unwrap_or_else(|| self.add(Entity::new(key, entity as u8, None)))
    }

    fn state(&mut self, slot: Slot) -> Result<&mut EntityState, StoreError> {
        let entity = &mut self.entities[slot.0 as usize];
        let plan = &self.definitions.plans[entity.plan as usize];
        entity.used = true;
        if !entity.dirty {
            entity.dirty = true;
            self.dirty.push(slot.0);
        }
        let state = match (entity.state.take(), entity.at) {
            (Some(state), _) => state,
            (None, None) => {
                self.resident += 1;
                Box::new(EntityState::new(plan))
            }
            (None, Some(at)) => {
                self.files.read(at, &mut self.buffer)?;
                self.resident += 1;
                Box::new(EntityState::decode(plan, &self.buffer)?)
            }
        };
        Ok(entity.state.insert(state))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let out_of_order = || StoreError::OutOfOrder {
            topic: batch.source.topic,
            partition: batch.source.partition,
            first: batch.first,
            last: batch.last,
        };
        if self.begin(batch) != Begin::Ready {
            return Err(out_of_order());
        }
        match self.recovering.front() {
            Some(expected) if expected == batch => _ = self.recovering.pop_front(),
            Some(_) => return Err(out_of_order()),
            None => {
                self.buffer.clear();
                encode_batch(batch, &mut self.buffer);
                self.files.append_journal(&self.buffer)?;
                self.rows_since_checkpoint += 1;
            }
        }
        self.fences.insert(batch.source, batch.last);
        Ok(())
    }
}

/// The durable key of an entity: 120 bits of SipHash-2-4-128 over its key, and its place in the mapping.
fn entity_key(entity: usize, key: &str) -> u128 {
    let mut hash = SipHasher24::new();
    hash.write_u8(entity as u8);
    hash.write(key.as_bytes());
    hash.finish128().as_u128() << 8 | entity as u128
}

/// What the rows of all entities look like: a state made with another layout cannot be read.
fn layout(definitions: &Definitions) -> String {
    let mut hash = siphasher::sip::SipHasher13::new();
    for plan in &definitions.plans {
        hash.write(format!("{:?} {:?} {}", plan.layout, plan.filters, plan.reach_ms).as_bytes());
    }
    format!("{:016x}", hash.finish())
}
