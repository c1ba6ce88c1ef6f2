//! JSON to the bytes of Avro, along a checked schema: the fields in the schema's order, whatever the body's.
//!
//! A direct writer, since Avro's binary form is small (zigzag varints, lengths, values in a row) and a tree of
//! values in between would cost more than the writing. All faults of a value are collected; its bytes are worth
//! something only when there are none.

use std::collections::HashSet;

use super::expectation::mismatch;
use super::fault::{At, Faults, TOO_LONG, WRONG_TYPE, Wrong};
use super::record::duplicate;
use super::token::{Kind, entries, items, text};
use crate::codec::tree::Node;

/// Longest record, bytes: what a broker takes. A few bytes of JSON can ask for many defaults.
pub(super) const MAX_RECORD_BYTES: usize = 1 << 20;

/// In which of two ways JSON stands for Avro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A request's body: Base64, decimals and times as text.
    Body,
    /// A default in a schema: bytes as characters, a union's first branch that fits.
    Default,
}

/// Writes one record or one default.
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
    pub(super) faults: Faults,
    pub(super) form: Form,
    most_bytes: usize,
    is_too_long: bool,
}

impl Writer {
    /// Nothing written yet.
    pub(super) fn new(form: Form, most_bytes: usize, most_faults: usize) -> Self {
        Self { out: Vec::new(), faults: Faults::new(most_faults), form, most_bytes, is_too_long: false }
    }

    /// Writes a value as this type.
    pub(super) fn value(&mut self, node: &Node, raw: &str, at: &At<'_>) {
        match node {
            Node::Record(record) if Kind::of(raw) == Kind::Object => self.record(record, raw, at),
            Node::Union(branches) => self.union(branches, raw, at),
            Node::Array(of) if Kind::of(raw) == Kind::Array => self.array(of, raw, at),
            Node::Map(of) if Kind::of(raw) == Kind::Object => self.map(of, raw, at),
            _ => {
                if let Err(wrong) = self.scalar(node, raw) {
                    self.faults.push(at, wrong);
                }
            }
        }
        if self.out.len() > self.most_bytes && !self.is_too_long {
            self.is_too_long = true;
            let detail = format!("the record would have more than {} bytes", self.most_bytes);
            self.faults.push(at, Wrong::new(TOO_LONG, detail));
        }
    }

    /// Whether going on is idle.
    pub(super) fn is_done(&self) -> bool {
        self.faults.is_full() || self.is_too_long
    }

    /// A fault where a value whose syntax was found right cannot be read: never, and nothing relies on that.
    pub(super) fn note(&mut self, read: Result<(), serde_json::Error>, at: &At<'_>) {
        if read.is_err() {
            self.faults.push(at, Wrong::new(WRONG_TYPE, "not readable"));
        }
    }

    fn array(&mut self, of: &Node, raw: &str, at: &At<'_>) {
        let Ok((items, count)) = items(raw, usize::MAX) else {
            return self.faults.push(at, mismatch("an array", Kind::Array));
        };
        if count > 0 {
            self.whole(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for (index, item) in items.into_iter().enumerate() {
            self.value(of, item, &At::Index(at, index));
            if self.is_done() {
                return;
            }
        }
        self.out.push(0);
    }

    fn map(&mut self, of: &Node, raw: &str, at: &At<'_>) {
        let mut found: Vec<(&str, &str)> = Vec::new();
        let read = entries(raw, |name, value| found.push((name, value)));
        self.note(read, at);
        if !found.is_empty() {
            self.whole(i64::try_from(found.len()).unwrap_or(i64::MAX));
        }
        let mut names = HashSet::with_capacity(found.len());
        for (name, value) in found {
            match text(name) {
                Ok(name) if names.insert(name.clone()) => {
                    self.sequence(name.as_bytes());
                    self.value(of, value, &At::Name(at, &name));
                }
                Ok(name) => self.faults.push(&At::Name(at, &name), duplicate()),
                Err(wrong) => self.faults.push(at, wrong),
            }
            if self.is_done() {
                return;
            }
        }
        self.out.push(0);
    }

    /// A whole number: zigzag, seven bits a byte, the lowest first.
    pub(super) fn whole(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    /// Bytes behind their count.
    pub(super) fn sequence(&mut self, bytes: &[u8]) {
        self.whole(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.out.extend_from_slice(bytes);
    }
}
