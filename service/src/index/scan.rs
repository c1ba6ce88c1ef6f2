//! A list: the streams of the days merged, newest first, until the page is full or enough was looked at.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use schemas::decision::Decision;

use super::block::Block;
use super::contracts::Contracts;
use super::cursor::{Cursor, Position};
use super::day::Day;
use super::query::{MOST_A_PAGE, Page, Query};
use super::stream::{Bounds, Met, Stream};
use super::{IndexError, key};

/// Rows looked at for one page: 5 to 30 ms. Then the page ends, and its cursor goes on from there.
pub(super) const LOOK_AT_MOST: usize = 20_000;

/// A day's stream and its next row.
struct Head {
    met: Met,
    stream: Stream,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.met == other.met
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.met.cmp(&other.met)
    }
}

/// The days merged.
struct Merge<'a> {
    query: &'a Query,
    bounds: Bounds,
    /// Days not begun, the one with the latest time last.
    waiting: Vec<Day>,
    heads: BinaryHeap<Head>,
}

impl<'a> Merge<'a> {
    fn new(days: &[Day], query: &'a Query) -> Self {
        let before = query.after.map(|Cursor(position)| position);
        let to_ms = query.to_ms.map_or(i64::MAX, |to| to.saturating_sub(1));
        let bounds = Bounds {
            earliest_ms: query.from_ms.unwrap_or(0),
            latest_ms: to_ms.min(before.map_or(i64::MAX, |before| before.time_ms)),
            before,
        };
        let in_time = |day: &&Day| {
            let (earliest_ms, latest_ms) = day.extent().times_ms;
            earliest_ms <= bounds.latest_ms && latest_ms >= bounds.earliest_ms
        };
        let mut waiting: Vec<_> = days.iter().filter(in_time).cloned().collect();
        if bounds.latest_ms < bounds.earliest_ms {
            waiting.clear();
        }
        waiting.sort_by_key(|day| (day.extent().times_ms.1, day.number));
        Self { query, bounds, waiting, heads: BinaryHeap::new() }
    }

    /// The newest row of all, with its day.
    fn next(&mut self) -> Result<Option<(Met, Day)>, IndexError> {
        self.begin()?;
        let Some(Head { met, stream }) = self.heads.pop() else { return Ok(None) };
        let day = stream.day.clone();
        self.push(stream)?;
        Ok(Some((met, day)))
    }

    /// Whether there may be another.
    fn has_more(&mut self) -> Result<bool, IndexError> {
        self.begin()?;
        Ok(!self.heads.is_empty())
    }

    /// Begins every day that may have the next row.
    fn begin(&mut self) -> Result<(), IndexError> {
        let due = |day: &mut Day, heads: &BinaryHeap<Head>| {
            heads.peek().is_none_or(|head| day.extent().times_ms.1 >= head.met.at.time_ms)
        };
        while let Some(day) = self.waiting.pop_if(|day| due(day, &self.heads)) {
            let stream = match &self.query.entity {
                Some((name, key)) => Stream::of_entity(day, key::entity(name, key), self.bounds),
                None => Stream::all(day, self.bounds),
            };
            self.push(stream)?;
        }
        Ok(())
    }

    fn push(&mut self, mut stream: Stream) -> Result<(), IndexError> {
        if let Some(met) = stream.next()? {
            self.heads.push(Head { met, stream });
        }
        Ok(())
    }
}

/// One page.
pub(super) fn list(days: &[Day], contracts: &Contracts, query: &Query) -> Result<Page, IndexError> {
    let limit = query.limit.clamp(1, MOST_A_PAGE);
    let mut merge = Merge::new(days, query);
    let mut page = Page { decisions: Vec::new(), next: None };
    let mut last_block: Option<(i32, u32, Block)> = None;
    for looked in 1.. {
        let Some((Met { at, summary, block }, day)) = merge.next()? else { break };
        if query.takes(&summary) {
            let block = match (block, &last_block) {
                (Some(block), _) => block,
                (None, Some((day, number, block))) if (*day, *number) == (at.day, at.block) => block.clone(),
                (None, _) => day.block(at.block)?,
            };
            match day.decision(&block, at.row, contracts) {
                Ok(decision) if is_of(query, &decision) => page.decisions.push(decision),
                // One that this build cannot read does not hide the others.
                Ok(_) | Err(IndexError::Unreadable(_)) => {}
                Err(error) => return Err(error),
            }
            last_block = Some((at.day, at.block, block));
        }
        if page.decisions.len() == limit || looked >= LOOK_AT_MOST {
            page.next = going_on(&mut merge, at)?;
            break;
        }
    }
    Ok(page)
}

fn going_on(merge: &mut Merge<'_>, at: Position) -> Result<Option<Cursor>, IndexError> {
    Ok(merge.has_more()?.then_some(Cursor(at)))
}

/// Whether the decision is of the entity itself: two entities may share a hash.
fn is_of(query: &Query, decision: &Decision) -> bool {
    let has = |(name, key): &(String, String)| {
        decision.entities.iter().any(|entity| entity.entity == name.as_str() && entity.key == *key)
    };
    query.entity.as_ref().is_none_or(has)
}
