//! Which payments were seen: so that one is decided once, and its label finds its rows.
//!
//! An id is remembered for a while of event time behind its own partition's newest event. Ids are kept by
//! partition and day, so forgetting a day is dropping a list. Cost: about 50 bytes an id, and 8 more for each
//! entity that has features. Ids are known by a 128-bit hash (SipHash-2-4-128, fixed key): among 10^9 ids two
//! share one with a probability of 10^-21.

use std::collections::BTreeMap;
use std::hash::Hasher;

use hashbrown::HashTable;
use schemas::payment::ContentHash;
use schemas::time::DAY_MS;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::state::Place;
use crate::store::Slot;

/// The hash of a transaction id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionKey(pub u128);

impl TransactionKey {
    /// The key of an id.
    pub fn of(transaction_id: &str) -> Self {
        let mut hash = SipHasher24::new();
        hash.write(transaction_id.as_bytes());
        Self(hash.finish128().as_u128())
    }
}

/// The ids of one partition and one day of event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    /// Partition of the payments topic.
    pub partition: i32,
    /// Days since 1970-01-01.
    pub day: i64,
}

/// One remembered payment.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: TransactionKey,
    content: ContentHash,
    time_ms: i64,
}

/// A row of a payment: which entity's, and where among the rows of its time.
pub type EntityRow = Option<(Slot, u32)>;

/// No row: the payment has no such entity, or no feature uses it.
const NO_ROW: (Slot, u32) = (Slot::NONE, 0);

/// Stands for the number of a payment that was too late to get a row of its own: no row is found by it, but its
/// labels still count as events of the entity.
pub const NO_TIE: u32 = u32::MAX;

#[derive(Debug)]
struct Entries {
    day: Day,
    entries: Vec<Entry>,
    /// `entities` for each entry.
    rows: Vec<(Slot, u32)>,
    /// How many were handed to a checkpoint.
    saved: usize,
}

/// Where an entry stands: index of its day's list, place in the list.
type Reference = (u32, u32);

/// The ids remembered.
#[derive(Debug)]
pub struct Identity {
    entities: usize,
    remember_ms: i64,
    days: Vec<Option<Entries>>,
    by_day: BTreeMap<Day, u32>,
    index: HashTable<Reference>,
}

/// A payment that was seen before.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Hash of its content.
    pub content: ContentHash,
    time_ms: i64,
    rows: &'a [(Slot, u32)],
}

impl Seen<'_> {
    /// Its row in the state of each entity.
    pub fn rows(&self) -> impl Iterator<Item = (usize, Slot, Place)> {
        let time_ms = self.time_ms;
        let kept = |(_, row): &(usize, &(Slot, u32))| row.0 != Slot::NONE;
        self.rows
            .iter()
            .enumerate()
            .filter(kept)
            .map(move |(entity, (slot, tie))| (entity, *slot, Place { time_ms, tie: *tie }))
    }
}

impl Identity {
    /// An empty memory for payments with this many entities.
    pub fn new(entities: usize, remember_ms: i64) -> Self {
        Self { entities, remember_ms, days: Vec::new(), by_day: BTreeMap::new(), index: HashTable::new() }
    }

    /// Ids remembered now.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no id is remembered.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The payment with this id, if it is remembered.
    pub fn get(&self, key: TransactionKey) -> Option<Seen<'_>> {
        let (day, at) = *self.index.find(key.0 as u64, |reference| self.key(*reference) == Some(key))?;
        let entries = self.days.get(day as usize)?.as_ref()?;
        let entry = entries.entries.get(at as usize)?;
        let rows = at as usize * self.entities..(at as usize + 1) * self.entities;
        Some(Seen { content: entry.content, time_ms: entry.time_ms, rows: &entries.rows[rows] })
    }

    fn key(&self, (day, at): Reference) -> Option<TransactionKey> {
        Some(self.days.get(day as usize)?.as_ref()?.entries.get(at as usize)?.key)
    }

    /// Remembers a payment with its rows, one for each entity of the mapping.
    pub fn insert(
        &mut self,
        partition: i32,
        key: TransactionKey,
        content: ContentHash,
        time_ms: i64,
        rows: impl Iterator<Item = EntityRow>,
    ) {
        let place = self.day_place(Day { partition, day: time_ms.div_euclid(DAY_MS) });
        let Some(list) = &mut self.days[place as usize] else { return };
        let at = list.entries.len() as u32;
        list.entries.push(Entry { key, content, time_ms });
        list.rows.extend(rows.map(|row| row.unwrap_or(NO_ROW)));
        list.rows.resize((at as usize + 1) * self.entities, NO_ROW);
        let days = &self.days;
        self.index.insert_unique(key.0 as u64, (place, at), |(day, at)| {
            days[*day as usize].as_ref().map_or(0, |list| list.entries[*at as usize].key.0 as u64)
        });
    }

    fn day_place(&mut self, day: Day) -> u32 {
        if let Some(place) = self.by_day.get(&day) {
            return *place;
        }
        let free = self.days.iter().position(Option::is_none).unwrap_or(self.days.len());
        let entries = Entries { day, entries: Vec::new(), rows: Vec::new(), saved: 0 };
        if free == self.days.len() {
            self.days.push(Some(entries))
        } else {
            self.days[free] = Some(entries)
        }
        self.by_day.insert(day, free as u32);
        free as u32
    }

    /// Forgets the days of a partition that ended longer ago than ids are remembered.
    pub fn forget(&mut self, partition: i32, newest_ms: i64) -> Vec<Day> {
        let first_kept = (newest_ms - self.remember_ms).div_euclid(DAY_MS);
        let from = Day { partition, day: i64::MIN };
        let old: Vec<Day> =
            self.by_day.range(from..Day { partition, day: first_kept }).map(|(day, _)| *day).collect();
        for day in &old {
            let Some(place) = self.by_day.remove(day) else { continue };
            let Some(list) = self.days[place as usize].take() else { continue };
            for (at, entry) in list.entries.iter().enumerate() {
                let reference = (place, at as u32);
                if let Ok(found) = self.index.find_entry(entry.key.0 as u64, |known| *known == reference) {
                    found.remove();
                }
            }
        }
        old
    }

    /// The entries not yet handed to a checkpoint, by day, as bytes; `entity_key` names a slot durably.
    pub fn unsaved(&mut self, entity_key: impl Fn(Slot) -> u128) -> Vec<(Day, Vec<u8>)> {
        let mut out = Vec::new();
        let (entities, width) = (self.entities, self.bytes_per_entry());
        for list in self.days.iter_mut().flatten() {
            let from = std::mem::replace(&mut list.saved, list.entries.len());
            let mut bytes = Vec::with_capacity((list.entries.len() - from) * width);
            for at in from..list.entries.len() {
                let entry = &list.entries[at];
                bytes.extend_from_slice(&entry.key.0.to_le_bytes());
                bytes.extend_from_slice(&entry.content.0.to_le_bytes());
                bytes.extend_from_slice(&entry.time_ms.to_le_bytes());
                for (slot, tie) in &list.rows[at * entities..(at + 1) * entities] {
                    let key = if *slot == Slot::NONE { 0 } else { entity_key(*slot) };
                    bytes.extend_from_slice(&key.to_le_bytes());
                    bytes.extend_from_slice(&tie.to_le_bytes());
                }
            }
            if !bytes.is_empty() {
                out.push((list.day, bytes));
            }
        }
        out
    }

    fn bytes_per_entry(&self) -> usize {
        32 + self.entities * 20
    }

    /// Takes back what a checkpoint kept of one day. `false` when the bytes are not entries.
    #[must_use]
    pub fn restore(&mut self, day: Day, bytes: &[u8], slot: impl Fn(u128) -> Option<Slot>) -> bool {
        if !bytes.len().is_multiple_of(self.bytes_per_entry()) {
            return false;
        }
        for entry in bytes.chunks_exact(self.bytes_per_entry()) {
            let (head, rows) = entry.split_at(32);
            let key = TransactionKey(u128_at(head, 0));
            let (content, time_ms) = (ContentHash(u64_at(head, 16)), u64_at(head, 24) as i64);
            let rows = rows.chunks_exact(20).map(|row| match u128_at(row, 0) {
                0 => None,
                key => slot(key).map(|slot| (slot, u64_at(row, 12).wrapping_shr(32) as u32)),
            });
            let rows: Vec<_> = rows.collect();
            self.insert(day.partition, key, content, time_ms, rows.into_iter());
        }
        if let Some(place) = self.by_day.get(&day)
            && let Some(list) = &mut self.days[*place as usize]
        {
            list.saved = list.entries.len();
        }
        true
    }
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from(u64_at(bytes, at)) | u128::from(u64_at(bytes, at + 8)) << 64
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
