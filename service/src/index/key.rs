//! The keys of a day's rows, short enough (20 bytes) that the store keeps them without an allocation each.
//!
//! Times and places are stored inverted, so that ascending keys are newest first. Ids and entities are stored as
//! hashes (SipHash, fixed keys); whoever finds a row by one compares the text.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

/// Times are kept in 48 bits: to the year 10889.
const LATEST_MS: i64 = (1 << 48) - 1;

/// The kinds of rows.
pub(super) const BLOCK: u8 = b'b';
pub(super) const TIME: u8 = b't';
pub(super) const ENTITY: u8 = b'e';
const ID: u8 = b'i';
pub(super) const FENCE: u8 = b'f';
pub(super) const CONTRACT: u8 = b's';
/// The one row with the day's [`super::day::Extent`].
pub(super) const EXTENT: [u8; 1] = [b'm'];

/// Where a decision stands in its day, and with the day the place in every list: the larger, the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When it was made, bounded by [`time_ms`].
    pub time_ms: i64,
    /// The block that holds it; blocks are counted as they come.
    pub block: u32,
    /// Its row in the block.
    pub row: u8,
}

/// Bytes of a [`Place`].
pub(super) const PLACE_BYTES: usize = 11;

/// A decision's time as keys hold it.
pub(super) fn time_ms(ms: i64) -> i64 {
    ms.clamp(0, LATEST_MS)
}

fn time_bytes(ms: i64) -> [u8; 6] {
    let [_, _, bytes @ ..] = (LATEST_MS - time_ms(ms)).to_be_bytes();
    bytes
}

impl Place {
    pub fn bytes(self) -> [u8; PLACE_BYTES] {
        let mut out = [0; PLACE_BYTES];
        let (time, place) = out.split_at_mut(6);
        time.copy_from_slice(&time_bytes(self.time_ms));
        let (block, row) = place.split_at_mut(4);
        block.copy_from_slice(&(!self.block).to_be_bytes());
        row.fill(!self.row);
        out
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [time @ .., a, b, c, d, row] = bytes else { return None };
        let [t0, t1, t2, t3, t4, t5] = time else { return None };
        let time = i64::from_be_bytes([0, 0, *t0, *t1, *t2, *t3, *t4, *t5]);
        Some(Self { time_ms: LATEST_MS - time, block: !u32::from_be_bytes([*a, *b, *c, *d]), row: !*row })
    }
}

/// The key of a block.
pub(super) fn block(number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_be_bytes();
    [BLOCK, a, b, c, d]
}

/// The key by which a block is found by its newest time.
pub(super) fn time(newest_ms: i64, block: u32) -> [u8; 11] {
    let mut out = [TIME; 11];
    let (time, place) = out.split_at_mut(7);
    time.iter_mut().skip(1).zip(time_bytes(newest_ms)).for_each(|(to, from)| *to = from);
    place.copy_from_slice(&(!block).to_be_bytes());
    out
}

/// Newest time and block of a [`time`] key.
pub(super) fn read_time(key: &[u8]) -> Option<(i64, u32)> {
    // The same bytes as a place whose row is 255.
    let [TIME, rest @ ..] = key else { return None };
    let mut bytes = [0; PLACE_BYTES];
    if rest.len() + 1 != bytes.len() {
        return None;
    }
    bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    Place::read(&bytes).map(|place| (place.time_ms, place.block))
}

/// The key of a decision's id.
pub(super) fn id(decision_id: &str) -> [u8; 17] {
    let mut hash = SipHasher128::new();
    hash.write(decision_id.as_bytes());
    let mut out = [ID; 17];
    let hash = hash.finish128().as_u128().to_be_bytes();
    out.iter_mut().skip(1).zip(hash).for_each(|(to, from)| *to = from);
    out
}

/// What the keys of an entity's rows begin with.
pub(super) fn entity(name: &str, key: &str) -> [u8; 9] {
    let mut hash = SipHasher24::new();
    hash.write(&(name.len() as u64).to_be_bytes());
    hash.write(name.as_bytes());
    hash.write(key.as_bytes());
    let [a, b, c, d, e, f, g, h] = hash.finish().to_be_bytes();
    [ENTITY, a, b, c, d, e, f, g, h]
}

/// The key of one row of an entity.
pub(super) fn entity_row(entity: [u8; 9], place: Place) -> [u8; 20] {
    let mut out = [0; 20];
    let (prefix, rest) = out.split_at_mut(9);
    prefix.copy_from_slice(&entity);
    rest.copy_from_slice(&place.bytes());
    out
}

/// The place in an [`entity_row`] key.
pub(super) fn read_entity_row(key: &[u8]) -> Option<Place> {
    Place::read(key.get(9..)?)
}

/// The key of a partition's fence.
pub(super) fn fence(partition: i32) -> [u8; 5] {
    let [a, b, c, d] = partition.to_be_bytes();
    [FENCE, a, b, c, d]
}

/// The number in a key of five bytes: a fence's partition.
pub(super) fn read_fence(key: &[u8]) -> Option<i32> {
    let [FENCE, rest @ ..] = key else { return None };
    Some(i32::from_be_bytes(rest.try_into().ok()?))
}

/// The number in a [`block`] key.
pub(super) fn read_block(key: &[u8]) -> Option<u32> {
    let [BLOCK, rest @ ..] = key else { return None };
    Some(u32::from_be_bytes(rest.try_into().ok()?))
}

/// The key of the text of a contract in which rows are written.
pub(super) fn contract(version: u32) -> [u8; 5] {
    let [a, b, c, d] = version.to_be_bytes();
    [CONTRACT, a, b, c, d]
}
