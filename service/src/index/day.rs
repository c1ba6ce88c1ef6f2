//! A day: one keyspace with its decisions, their ids, entities and times, and the fences of the topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fjall::Keyspace;
use schemas::decision::Decision;

use super::block::Block;
use super::contracts::Contracts;
use super::key::{self, Place};
use super::{IndexError, store};

/// A handle on a day.
#[derive(Clone)]
pub(super) struct Day {
    /// Days since 1970.
    pub number: i32,
    pub keyspace: Keyspace,
    extent: Arc<Mutex<Extent>>,
}

/// How many decisions are in a day, and from when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub count: u64,
    /// Earliest and latest time; the other way round in an empty day.
    pub times_ms: (i64, i64),
}

impl Extent {
    pub const EMPTY: Extent = Extent { count: 0, times_ms: (i64::MAX, i64::MIN) };

    pub fn take(&mut self, time_ms: i64) {
        self.count += 1;
        self.times_ms = (self.times_ms.0.min(time_ms), self.times_ms.1.max(time_ms));
    }

    pub fn bytes(&self) -> [u8; 24] {
        let mut out = [0; 24];
        let numbers =
            [self.count.to_be_bytes(), self.times_ms.0.to_be_bytes(), self.times_ms.1.to_be_bytes()];
        out.chunks_mut(8).zip(numbers).for_each(|(to, from)| to.copy_from_slice(&from));
        out
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let [count, from, to] = bytes.as_chunks::<8>().0 else { return None };
        let times_ms = (i64::from_be_bytes(*from), i64::from_be_bytes(*to));
        Some(Self { count: u64::from_be_bytes(*count), times_ms })
    }
}

impl Day {
    pub fn open(number: i32, keyspace: Keyspace) -> Result<Self, IndexError> {
        let extent = match keyspace.get(key::EXTENT)? {
            None => Extent::EMPTY,
            Some(bytes) => {
                Extent::read(&bytes).ok_or_else(|| IndexError::damaged("a day's extent is no such"))?
            }
        };
        Ok(Self { number, keyspace, extent: Arc::new(Mutex::new(extent)) })
    }

    pub fn extent(&self) -> Extent {
        *self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_extent(&self, extent: Extent) {
        *self.extent.lock().unwrap_or_else(PoisonError::into_inner) = extent;
    }

    /// The decision whose id has this key, unless it is another with the same hash.
    pub fn by_id(
        &self,
        key: &[u8; 17],
        decision_id: &str,
        contracts: &Contracts,
    ) -> Result<Option<Decision>, IndexError> {
        let Some(place) = self.keyspace.get(key)? else { return Ok(None) };
        let place = Place::read(&place).ok_or_else(|| IndexError::damaged("an id's place is no place"))?;
        let decision = self.decision(&self.block(place.block)?, place.row, contracts)?;
        Ok((decision.decision_id == decision_id).then_some(decision))
    }

    pub fn has_id(&self, key: &[u8; 17]) -> Result<bool, IndexError> {
        Ok(self.keyspace.contains_key(key)?)
    }

    pub fn block(&self, number: u32) -> Result<Block, IndexError> {
        let bytes = self.keyspace.get(key::block(number))?;
        Block::new(bytes.ok_or_else(|| IndexError::damaged(format!("block {number} is not there")))?)
    }

    pub fn decision(&self, block: &Block, row: u8, contracts: &Contracts) -> Result<Decision, IndexError> {
        contracts.decode(&self.keyspace, block.body(row)?)
    }

    /// By partition of the topic the next offset to read.
    pub fn fences(&self) -> Result<BTreeMap<i32, i64>, IndexError> {
        let mut fences = BTreeMap::new();
        for row in self.keyspace.prefix([key::FENCE]) {
            let (key, value) = row.into_inner()?;
            let next = <[u8; 8]>::try_from(&*value).map(i64::from_be_bytes);
            let (Some(partition), Ok(next)) = (key::read_fence(&key), next) else {
                return Err(IndexError::damaged("a fence is none"));
            };
            fences.insert(partition, next);
        }
        Ok(fences)
    }

    /// The number behind the last block.
    pub fn next_block(&self) -> Result<u32, IndexError> {
        let Some(last) = self.keyspace.prefix([key::BLOCK]).next_back() else { return Ok(0) };
        let number =
            key::read_block(&last.key()?).ok_or_else(|| IndexError::damaged("a block's key is none"))?;
        Ok(number.saturating_add(1))
    }

    /// Writes what is in memory to the disk itself, and waits for it.
    pub fn finish(&self) -> Result<(), IndexError> {
        store::flush(&self.keyspace)
    }
}
