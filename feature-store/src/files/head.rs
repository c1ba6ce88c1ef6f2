//! The head: the last frame of a checkpoint, which says what the folder held when it was durable.
//!
//! A checkpoint exists when its head does. It names the files that belong to it, so a missing or older copy
//! is noticed. Not here: the owner's own bytes in it, which are carried and never read.

use std::collections::BTreeMap;

use super::frame::array;

/// What a checkpoint consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The first journal whose rows are not in the checkpoint.
    pub epoch: u64,
    /// The sequence number of the first row after the checkpoint.
    pub next_row: u64,
    /// Length in bytes of every segment; of the one that ends with the head itself, up to the head's frame.
    pub segments: BTreeMap<u32, u64>,
    /// Every stream.
    pub streams: BTreeMap<String, StreamEnd>,
    /// The owner's bytes.
    pub owner: Vec<u8>,
}

/// How far a stream reaches.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamEnd {
    /// Bytes.
    pub len: u64,
    /// CRC-32 of all of them.
    pub crc: u32,
}

impl Head {
    /// Appends the payload of a head frame to `buf`.
    pub(super) fn encode(&self, buf: &mut Vec<u8>) {
        buf.extend_from_slice(&self.epoch.to_le_bytes());
        buf.extend_from_slice(&self.next_row.to_le_bytes());
        buf.extend_from_slice(&(self.segments.len() as u32).to_le_bytes());
        for (number, len) in &self.segments {
            buf.extend_from_slice(&number.to_le_bytes());
            buf.extend_from_slice(&len.to_le_bytes());
        }
        buf.extend_from_slice(&(self.streams.len() as u32).to_le_bytes());
        for (name, end) in &self.streams {
            // A name has at most 200 bytes: see `stream::check_name`.
            buf.push(name.len() as u8);
            buf.extend_from_slice(name.as_bytes());
            buf.extend_from_slice(&end.len.to_le_bytes());
            buf.extend_from_slice(&end.crc.to_le_bytes());
        }
        buf.extend_from_slice(&self.owner);
    }

    /// `None` if the payload is not a head; its checksum has been seen to hold, so that is a foreign frame.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut rest = Rest(payload);
        let mut head = Self { epoch: rest.u64()?, next_row: rest.u64()?, ..Self::default() };
        for _ in 0..rest.u32()? {
            let number = rest.u32()?;
            head.segments.insert(number, rest.u64()?);
        }
        for _ in 0..rest.u32()? {
            let len = rest.take(1)?[0] as usize;
            let name = std::str::from_utf8(rest.take(len)?).ok()?.to_owned();
            head.streams.insert(name, StreamEnd { len: rest.u64()?, crc: rest.u32()? });
        }
        head.owner = rest.0.to_vec();
        Some(head)
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| array(bytes, 0)).map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8).and_then(|bytes| array(bytes, 0)).map(u64::from_le_bytes)
    }
}
