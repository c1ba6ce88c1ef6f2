//! A stream: the rows of one day that a list may show, newest first.
//!
//! An entity's rows stand in that order in the store. For all rows only blocks are in order, by their newest time, and
//! blocks of partitions that were read side by side overlap; so a block is opened when its newest row may be the next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::IndexError;
use super::block::{Block, SPAN_MS, Summary};
use super::cursor::Position;
use super::day::Day;
use super::key::{self, Place};

/// What times, and before which place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub earliest_ms: i64,
    /// Included.
    pub latest_ms: i64,
    pub before: Option<Position>,
}

impl Bounds {
    fn hold(&self, at: Position) -> bool {
        (self.earliest_ms..=self.latest_ms).contains(&at.time_ms)
            && self.before.is_none_or(|before| at < before)
    }

    fn first(&self) -> Place {
        Place { time_ms: self.latest_ms, block: u32::MAX, row: u8::MAX }
    }

    fn last(&self) -> Place {
        Place { time_ms: self.earliest_ms, block: 0, row: 0 }
    }
}

/// A row that was met.
pub(super) struct Met {
    pub at: Position,
    pub summary: Summary,
    /// Its block, where that was read already.
    pub block: Option<Block>,
}

impl PartialEq for Met {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Met {}

impl PartialOrd for Met {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Met {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

/// The rows of a day.
pub(super) struct Stream {
    pub day: Day,
    bounds: Bounds,
    rows: fjall::Iter,
    kind: Kind,
}

enum Kind {
    OfEntity,
    /// The newest block that is not open (its newest time, its number), and the rows of those that are.
    All {
        next: Option<(i64, u32)>,
        open: BinaryHeap<Met>,
    },
}

impl Stream {
    /// The rows of one entity, by its [`key::entity`].
    pub fn of_entity(day: Day, entity: [u8; 9], bounds: Bounds) -> Self {
        let range = key::entity_row(entity, bounds.first())..=key::entity_row(entity, bounds.last());
        let rows = day.keyspace.range(range);
        Self { day, bounds, rows, kind: Kind::OfEntity }
    }

    /// All rows.
    pub fn all(day: Day, bounds: Bounds) -> Self {
        let first = key::time(bounds.latest_ms.saturating_add(SPAN_MS), u32::MAX);
        let rows = day.keyspace.range(first..=key::time(bounds.earliest_ms, 0));
        Self { day, bounds, rows, kind: Kind::All { next: None, open: BinaryHeap::new() } }
    }

    /// The next row.
    pub fn next(&mut self) -> Result<Option<Met>, IndexError> {
        match &mut self.kind {
            Kind::OfEntity => next_of_entity(&self.day, &self.bounds, &mut self.rows),
            Kind::All { next, open } => next_of_all(&self.day, &self.bounds, &mut self.rows, next, open),
        }
    }
}

fn next_of_entity(day: &Day, bounds: &Bounds, rows: &mut fjall::Iter) -> Result<Option<Met>, IndexError> {
    for row in rows {
        let (key, value) = row.into_inner()?;
        let read = key::read_entity_row(&key).zip(Summary::read(&value));
        let (place, summary) = read.ok_or_else(|| IndexError::damaged("an entity's row makes no sense"))?;
        let at = Position::new(day.number, place);
        if bounds.hold(at) {
            return Ok(Some(Met { at, summary, block: None }));
        }
    }
    Ok(None)
}

fn next_of_all(
    day: &Day,
    bounds: &Bounds,
    rows: &mut fjall::Iter,
    next: &mut Option<(i64, u32)>,
    open: &mut BinaryHeap<Met>,
) -> Result<Option<Met>, IndexError> {
    loop {
        if next.is_none() {
            *next = next_block(bounds, rows)?;
        }
        match *next {
            Some((newest_ms, number)) if open.peek().is_none_or(|met| newest_ms >= met.at.time_ms) => {
                *next = None;
                let block = day.block(number)?;
                for row in 0..block.rows() {
                    let (time_ms, summary) = block.summary(row)?;
                    let at = Position::new(day.number, Place { time_ms, block: number, row });
                    if bounds.hold(at) {
                        open.push(Met { at, summary, block: Some(block.clone()) });
                    }
                }
            }
            _ => return Ok(open.pop()),
        }
    }
}

/// The next block with a row in time.
fn next_block(bounds: &Bounds, rows: &mut fjall::Iter) -> Result<Option<(i64, u32)>, IndexError> {
    for row in rows {
        let (key, value) = row.into_inner()?;
        let oldest_ms = <[u8; 8]>::try_from(&*value).map(i64::from_be_bytes);
        let (Some(block), Ok(oldest_ms)) = (key::read_time(&key), oldest_ms) else {
            return Err(IndexError::damaged("a block's time makes no sense"));
        };
        if oldest_ms <= bounds.latest_ms {
            return Ok(Some(block));
        }
    }
    Ok(None)
}
