//! A cursor: where a list goes on, as a text for a URL.
//!
//! It names the place of the last decision that was looked at, not a number of rows: decisions that come in meanwhile
//! move nothing.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::key::{PLACE_BYTES, Place};

/// Version of the bytes.
const VERSION: u8 = 1;

/// Where a list goes on: at the decisions before this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) Position);

/// The place of a decision in all of the index; the larger, the newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub time_ms: i64,
    pub day: i32,
    pub block: u32,
    pub row: u8,
}

impl Position {
    pub fn new(day: i32, place: Place) -> Self {
        Self { time_ms: place.time_ms, day, block: place.block, row: place.row }
    }

    pub fn place(self) -> Place {
        Place { time_ms: self.time_ms, block: self.block, row: self.row }
    }
}

/// A text that is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: use the text that the page before gave, unchanged")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.0.day.to_be_bytes());
        bytes.extend_from_slice(&self.0.place().bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        const BYTES: usize = 1 + 4 + PLACE_BYTES;
        let mut bytes = [0; BYTES];
        if URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(BYTES) {
            return Err(BadCursor);
        }
        let [VERSION, a, b, c, d, place @ ..] = bytes else { return Err(BadCursor) };
        let place = Place::read(&place).ok_or(BadCursor)?;
        Ok(Self(Position::new(i32::from_be_bytes([a, b, c, d]), place)))
    }
}
