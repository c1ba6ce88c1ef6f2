//! The writer: batches into the newest day, and days begun and dropped.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;
use std::thread::JoinHandle;

use fjall::{OwnedWriteBatch, PersistMode};
use schemas::codec::SchemaId;
use schemas::time::DAY_MS;

use super::block::{FULL_BYTES, Filling, MOST_ROWS, SPAN_MS};
use super::day::Day;
use super::key::{self, Place};
use super::recent::Recent;
use super::{IndexError, Inner, Row, day_of, store};

/// Days of keyspaces: beyond them decisions are not of this world.
const DAYS: std::ops::RangeInclusive<i64> = 0..=1_000_000;

/// What only one thread at a time does.
pub(super) struct Writer {
    /// By partition the next offset to read.
    pub fences: BTreeMap<i32, i64>,
    /// The number of the next block of the newest day.
    next_block: u32,
    /// Whether the newest day holds all fences.
    begun: bool,
    /// The schemas whose text the newest day holds, as far as known.
    named: HashSet<SchemaId>,
    /// Days that a row may belong to, and today, as of the last [`Self::forget`].
    window: (i64, i64),
    today: i64,
    recent: Recent,
    filling: Filling,
    /// What merges the day before.
    tidying: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(tidying) = &self.tidying {
            store::wait_for(tidying);
        }
    }
}

impl Writer {
    pub fn open(days: &BTreeMap<i64, Day>) -> Result<Self, IndexError> {
        let mut writer = Self {
            fences: BTreeMap::new(),
            next_block: 0,
            begun: false,
            named: HashSet::new(),
            window: (*DAYS.start(), *DAYS.end()),
            today: 0,
            recent: Recent::default(),
            filling: Filling::default(),
            tidying: None,
        };
        let Some(newest) = days.values().next_back() else { return Ok(writer) };
        writer.next_block = newest.next_block()?;
        // A day that was begun just before a crash is empty: the one before it is complete and has the fences.
        for day in days.values().rev() {
            writer.fences = day.fences()?;
            if !writer.fences.is_empty() {
                break;
            }
        }
        Ok(writer)
    }

    pub fn apply(
        &mut self,
        inner: &Inner,
        partition: i32,
        next: i64,
        rows: &[Row<'_>],
    ) -> Result<(), IndexError> {
        let fence = self.fences.get(&partition).copied().unwrap_or(i64::MIN);
        if next <= fence {
            return Ok(());
        }
        let oldest_ms = self.window.0.saturating_mul(DAY_MS);
        let is_fresh = |row: &&Row<'_>| (fence..next).contains(&row.offset) && row.time_ms() >= oldest_ms;
        let mut fresh: Vec<_> = rows.iter().filter(is_fresh).collect();
        self.leave_out_known(inner, &mut fresh)?;
        fresh.sort_by_key(|row| row.time_ms());
        let day = self.day(inner, fresh.last().map(|row| day_of(row.time_ms())))?;

        let mut batch = OwnedWriteBatch::with_capacity(inner.db.clone(), 5 * fresh.len() + 8);
        let (mut extent, mut block) = (day.extent(), self.next_block);
        let mut left = fresh.as_slice();
        while !left.is_empty() {
            let taken = self.block(&mut batch, &day, block, left);
            left = left.get(taken..).unwrap_or_default();
            block = block.saturating_add(1);
        }
        fresh.iter().for_each(|row| extent.take(row.time_ms()));
        batch.insert(&day.keyspace, key::EXTENT, extent.bytes());
        self.name_schemas(&mut batch, &day, &fresh);
        // Before the rows can be read: a list goes by it.
        let before = day.extent();
        day.set_extent(extent);
        self.write(batch, &day, Some((partition, next))).inspect_err(|_| day.set_extent(before))?;
        self.next_block = block;
        fresh.iter().for_each(|row| self.recent.take(row.id));
        Ok(())
    }

    pub fn set_fence(&mut self, inner: &Inner, partition: i32, next: i64) -> Result<(), IndexError> {
        let day = self.day(inner, None)?;
        self.write(inner.db.batch(), &day, Some((partition, next)))
    }

    pub fn forget(&mut self, inner: &Inner, now_ms: i64) -> Result<usize, IndexError> {
        let oldest = day_of(now_ms.saturating_sub(inner.keep_ms)).clamp(*DAYS.start(), *DAYS.end());
        let tomorrow = day_of(now_ms).saturating_add(1).clamp(oldest, *DAYS.end());
        (self.window, self.today) = ((oldest, tomorrow), tomorrow - 1);
        if inner.newest().is_some_and(|day| i64::from(day.number) < oldest) {
            // It is over and holds the fences: they move on first.
            self.day(inner, Some(self.today))?;
        }
        let over: Vec<_> =
            inner.newest_first().into_iter().filter(|day| i64::from(day.number) < oldest).collect();
        for day in &over {
            let mut days = inner.days.write().unwrap_or_else(PoisonError::into_inner);
            days.remove(&i64::from(day.number));
            drop(days);
            inner.db.delete_keyspace(day.keyspace.clone())?;
        }
        Ok(over.len())
    }

    /// The day to write rows of this day into: the newest one, or a new one after it. It begins with all fences, and
    /// only when the day before it is complete on disk: from then on the fences speak for that one, too.
    fn day(&mut self, inner: &Inner, wanted: Option<i64>) -> Result<Day, IndexError> {
        let newest = inner.newest();
        let wanted = wanted.map(|day| day.clamp(self.window.0, self.window.1));
        let number = match (&newest, wanted) {
            (Some(day), None) => return Ok(day.clone()),
            (Some(day), Some(wanted)) if i64::from(day.number) >= wanted => return Ok(day.clone()),
            (_, wanted) => wanted.unwrap_or(self.today),
        };
        if let Some(day) = &newest {
            day.finish()?;
            // One merge at a time: a backlog of many days would else begin as many.
            self.tidying.take().as_ref().map(store::wait_for);
        }
        let day = store::day(&inner.db, i32::try_from(number).unwrap_or_default())?;
        (self.begun, self.next_block) = (false, day.next_block()?);
        self.named.clear();
        self.write(inner.db.batch(), &day, None)?;
        inner.days.write().unwrap_or_else(PoisonError::into_inner).insert(number, day.clone());
        if let Some(day) = newest {
            self.tidying = store::tidy(day.keyspace);
        }
        Ok(day)
    }

    /// Commits a batch with a fence, and with all of them where the day has none yet.
    fn write(
        &mut self,
        mut batch: OwnedWriteBatch,
        day: &Day,
        fence: Option<(i32, i64)>,
    ) -> Result<(), IndexError> {
        let mut fences = if self.begun { BTreeMap::new() } else { self.fences.clone() };
        fences.extend(fence);
        for (partition, next) in &fences {
            batch.insert(&day.keyspace, key::fence(*partition), next.to_be_bytes());
        }
        // To the operating system: what a power cut takes is read from the topic again.
        let committed = batch.durability(Some(PersistMode::Buffer)).commit();
        // What a failed batch left behind is not known.
        self.begun = committed.is_ok();
        committed.inspect_err(|_| self.named.clear())?;
        self.fences.extend(fence);
        Ok(())
    }

    /// Adds the texts of these rows' schemas where the day has them not.
    fn name_schemas(&mut self, batch: &mut OwnedWriteBatch, day: &Day, rows: &[&Row<'_>]) {
        for row in rows {
            if self.named.insert(row.schema.version) {
                batch.insert(&day.keyspace, key::contract(row.schema.version.0), row.schema.text.as_bytes());
            }
        }
    }

    /// Takes out the rows whose id is there already. A later attempt is looked for everywhere; a first one only among
    /// those indexed last, where an instance that was taken for dead may have written it a second time.
    fn leave_out_known(&self, inner: &Inner, rows: &mut Vec<&Row<'_>>) -> Result<(), IndexError> {
        let mut met = HashSet::with_capacity(rows.len());
        let mut days: Option<Vec<Day>> = None;
        let mut failed = None;
        let mut is_new = |row: &Row<'_>| -> Result<bool, IndexError> {
            if !met.insert(row.id) || self.recent.has(&row.id) {
                return Ok(false);
            }
            if !row.is_repeated() {
                return Ok(true);
            }
            for day in days.get_or_insert_with(|| inner.newest_first()) {
                if day.has_id(&row.id)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        rows.retain(|row| {
            is_new(row).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        });
        failed.map_or(Ok(()), Err)
    }

    /// Adds one block with the first of these rows, which are in order of time; gives how many it took, one at least.
    fn block(&mut self, batch: &mut OwnedWriteBatch, day: &Day, block: u32, rows: &[&Row<'_>]) -> usize {
        let filling = &mut self.filling;
        let (oldest_ms, mut newest_ms, mut taken) = (rows.first().map_or(0, |row| row.time_ms()), 0, 0);
        for (number, row) in (0..).zip(rows.iter().take(MOST_ROWS)) {
            let time_ms = row.time_ms();
            if taken > 0 && (time_ms - oldest_ms > SPAN_MS || filling.bodies.len() >= FULL_BYTES) {
                break;
            }
            row.write(&mut filling.bodies);
            let (place, summary) = (Place { time_ms, block, row: number }, row.summary().bytes());
            filling.close_row(time_ms, summary);
            batch.insert(&day.keyspace, row.id, place.bytes());
            for entity in row.entities() {
                batch.insert(&day.keyspace, key::entity_row(entity, place), summary);
            }
            (newest_ms, taken) = (time_ms, taken + 1);
        }
        batch.insert(&day.keyspace, key::time(newest_ms, block), oldest_ms.to_be_bytes());
        batch.insert(&day.keyspace, key::block(block), filling.finish());
        taken
    }
}
