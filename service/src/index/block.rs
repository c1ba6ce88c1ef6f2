//! A block: up to 16 decisions in one value, each with a summary before it.
//!
//! A row of its own for each decision and each of its lists costs the store three microseconds, so decisions share one.
//! The bodies are Avro, framed with the number of their schema ([`super::contracts`]).
//!
//! ```text
//!   version 1 byte │ rows 1 │ row 0: time 8, summary 18, end 4 │ row 1 ... │ body 0 │ body 1 ...
//! ```

use schemas::decision::{Door, Verdict};

use super::IndexError;
use super::key;

/// Version of this layout.
const VERSION: u8 = 1;

/// Most decisions of a block: a look-up reads all of it.
pub(super) const MOST_ROWS: usize = 16;
/// A block whose bodies have reached this many bytes takes no more.
pub(super) const FULL_BYTES: usize = 256 << 10;
/// The times in a block lie at most so far apart, so that a list knows where to begin.
pub(super) const SPAN_MS: i64 = 10_000;

/// Bytes of a [`Summary`].
pub(super) const SUMMARY_BYTES: usize = 18;
const ROW_BYTES: usize = 8 + SUMMARY_BYTES + 4;

/// What filters ask of a decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub verdict: Verdict,
    pub door: Door,
    pub alerted: bool,
    pub score: Option<f64>,
    pub amount_minor: i64,
}

impl Summary {
    pub fn bytes(&self) -> [u8; SUMMARY_BYTES] {
        // Numbers of our own: the order of an enum may change, what is on disk does not.
        let verdict = match self.verdict {
            Verdict::Approve => 0,
            Verdict::Review => 1,
            Verdict::Challenge => 2,
            Verdict::Decline => 3,
        };
        let door = match self.door {
            Door::Topic => 0,
            Door::Rest => 1,
        };
        let mut out = [0; SUMMARY_BYTES];
        let (flags, numbers) = out.split_at_mut(2);
        flags.copy_from_slice(&[
            verdict,
            door | u8::from(self.alerted) << 1 | u8::from(self.score.is_some()) << 2,
        ]);
        let (score, amount) = numbers.split_at_mut(8);
        score.copy_from_slice(&self.score.unwrap_or_default().to_bits().to_be_bytes());
        amount.copy_from_slice(&self.amount_minor.to_be_bytes());
        out
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [verdict, flags, numbers @ ..] = bytes else { return None };
        let (score, amount) = numbers.split_first_chunk::<8>()?;
        let verdict = match verdict {
            0 => Verdict::Approve,
            1 => Verdict::Review,
            2 => Verdict::Challenge,
            3 => Verdict::Decline,
            _ => return None,
        };
        Some(Self {
            verdict,
            door: if flags & 1 == 0 { Door::Topic } else { Door::Rest },
            alerted: flags & 2 != 0,
            score: (flags & 4 != 0).then(|| f64::from_bits(u64::from_be_bytes(*score))),
            amount_minor: i64::from_be_bytes(amount.try_into().ok()?),
        })
    }
}

/// A block being filled; its memory is used again for the next one.
#[derive(Default)]
pub(super) struct Filling {
    heads: Vec<u8>,
    /// The bodies so far; one is appended before each [`Self::close_row`].
    pub bodies: Vec<u8>,
    out: Vec<u8>,
}

impl Filling {
    /// Adds the head of the body that was just appended.
    pub fn close_row(&mut self, time_ms: i64, summary: [u8; SUMMARY_BYTES]) {
        self.heads.extend_from_slice(&time_ms.to_be_bytes());
        self.heads.extend_from_slice(&summary);
        let end = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        self.heads.extend_from_slice(&end.to_be_bytes());
    }

    /// The block's bytes; the next row begins another block.
    pub fn finish(&mut self) -> &[u8] {
        let rows = self.heads.len() / ROW_BYTES;
        self.out.clear();
        self.out.extend_from_slice(&[VERSION, u8::try_from(rows).unwrap_or(u8::MAX)]);
        self.out.append(&mut self.heads);
        self.out.append(&mut self.bodies);
        &self.out
    }
}

/// A block as it was read.
#[derive(Clone)]
pub(super) struct Block(fjall::UserValue);

impl Block {
    pub fn new(bytes: fjall::UserValue) -> Result<Self, IndexError> {
        match *bytes {
            [VERSION, rows, ref rest @ ..] if rest.len() >= usize::from(rows) * ROW_BYTES => Ok(Self(bytes)),
            [VERSION, ..] | [] => Err(IndexError::damaged("a block is cut short")),
            [other, ..] => Err(IndexError::damaged(format!("a block of layout {other}, this build knows 1"))),
        }
    }

    /// Rows in it.
    pub fn rows(&self) -> u8 {
        self.0.get(1).copied().unwrap_or_default()
    }

    fn head(&self, row: u8) -> Option<&[u8]> {
        let from = 2 + usize::from(row) * ROW_BYTES;
        (row < self.rows()).then(|| self.0.get(from..from + ROW_BYTES)).flatten()
    }

    fn end(&self, row: u8) -> Option<usize> {
        let bytes = self.head(row)?.get(8 + SUMMARY_BYTES..)?;
        usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
    }

    /// Time and summary of a row.
    pub fn summary(&self, row: u8) -> Result<(i64, Summary), IndexError> {
        let read = || {
            let (time, rest) = self.head(row)?.split_first_chunk::<8>()?;
            let summary = Summary::read(rest.get(..SUMMARY_BYTES)?)?;
            Some((key::time_ms(i64::from_be_bytes(*time)), summary))
        };
        read().ok_or_else(|| IndexError::damaged("a row's head in a block makes no sense"))
    }

    /// The framed Avro of a row.
    pub fn body(&self, row: u8) -> Result<&[u8], IndexError> {
        let read = || {
            let bodies = self.0.get(2 + usize::from(self.rows()) * ROW_BYTES..)?;
            let from = row.checked_sub(1).map_or(Some(0), |before| self.end(before))?;
            bodies.get(from..self.end(row)?)
        };
        read().ok_or_else(|| IndexError::damaged("a row of a block is not there"))
    }
}
