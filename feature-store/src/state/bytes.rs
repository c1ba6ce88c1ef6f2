//! A state as bytes and back: times as differences, sums as values, all in variable-length integers.
//!
//! Format 1. The frame around it carries the checksum and the format's version.

use crate::definition::EntityPlan;
use crate::varint::{Reader, put, put_signed};

use super::label::Amendment;
use super::tile::Tile;
use super::{EntityState, Place, TIME_SHIFT};

/// The bytes are not a state of this plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the bytes of an entity's state")]
pub struct StateBytesError;

impl EntityState {
    /// Appends the state's bytes.
    pub fn encode(&self, plan: &EntityPlan, out: &mut Vec<u8>) {
        let layout = &plan.layout;
        put(out, self.version);
        put_signed(out, self.dropped_ms);
        put(out, u64::from(self.dropped_ties));
        put(out, self.len(plan) as u64);
        let mut before = vec![0; layout.width];
        let numbers = layout.numbers.len();
        for row in self.words.chunks_exact(layout.width) {
            let time = row[0] >> TIME_SHIFT;
            put(out, time.wrapping_sub(before[0] >> TIME_SHIFT));
            put(out, row[0] & 0xffff);
            for word in 1..=numbers {
                put_signed(out, row[word].wrapping_sub(before[word]) as i64);
            }
            for hash in &row[1 + numbers..1 + numbers + layout.hashes.len()] {
                out.extend_from_slice(&hash.to_le_bytes());
            }
            if let Some(word) = layout.label {
                put(out, row[word]);
            }
            before.copy_from_slice(row);
        }
        put(out, self.tiles.len() as u64);
        for tile in &self.tiles {
            put_signed(out, tile.end_ms);
            put(out, tile.count);
            for (sum, min, max) in &tile.numbers {
                for value in [sum, min, max] {
                    put_signed(out, *value);
                }
            }
        }
        put(out, self.amendments.len() as u64);
        for amendment in &self.amendments {
            put_signed(out, amendment.place.time_ms);
            put(out, u64::from(amendment.place.tie));
            put(out, amendment.word);
        }
    }

    /// The state of these bytes.
    ///
    /// # Errors
    /// When the bytes are not what [`Self::encode`] wrote for this plan.
    pub fn decode(plan: &EntityPlan, bytes: &[u8]) -> Result<Self, StateBytesError> {
        let mut reader = Reader::new(bytes);
        let state = read(plan, &mut reader).ok_or(StateBytesError)?;
        if reader.is_empty() { Ok(state) } else { Err(StateBytesError) }
    }
}

fn read(plan: &EntityPlan, reader: &mut Reader<'_>) -> Option<EntityState> {
    let layout = &plan.layout;
    let version = reader.take()?;
    let dropped_ms = reader.take_signed()?;
    let dropped_ties = u32::try_from(reader.take()?).ok()?;
    let rows = reader.take_count()?;
    let mut words = Vec::with_capacity((rows + 1) * layout.width);
    let mut before = vec![0_u64; layout.width];
    for _ in 0..=rows {
        let time = (before[0] >> TIME_SHIFT).wrapping_add(reader.take()?);
        let mut row = Vec::with_capacity(layout.width);
        row.push(time << TIME_SHIFT | reader.take()?);
        for sum in &before[1..=layout.numbers.len()] {
            row.push(sum.wrapping_add(reader.take_signed()? as u64));
        }
        for _ in &layout.hashes {
            row.push(u64::from_le_bytes(reader.take_bytes(8)?.try_into().ok()?));
        }
        if layout.label.is_some() {
            row.push(reader.take()?);
        }
        words.extend_from_slice(&row);
        before.copy_from_slice(&row);
    }
    let mut tiles = Vec::new();
    for _ in 0..reader.take_count()? {
        let (end_ms, count) = (reader.take_signed()?, reader.take()?);
        let mut numbers = Vec::with_capacity(layout.numbers.len());
        for _ in &layout.numbers {
            numbers.push((reader.take_signed()?, reader.take_signed()?, reader.take_signed()?));
        }
        tiles.push(Tile { end_ms, count, numbers });
    }
    let mut amendments = Vec::new();
    for _ in 0..reader.take_count()? {
        let time_ms = reader.take_signed()?;
        let tie = u32::try_from(reader.take()?).ok()?;
        amendments.push(Amendment { place: Place { time_ms, tie }, word: reader.take()? });
    }
    let frauds = Vec::new();
    let mut state = EntityState { words, version, dropped_ms, dropped_ties, tiles, amendments, frauds };
    if let Some(word) = layout.label {
        state.frauds = state.fraud_places(layout.width, word);
    }
    Some(state)
}
