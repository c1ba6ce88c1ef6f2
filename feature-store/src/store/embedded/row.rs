//! The bytes of a journal row and of a checkpoint's head.

use std::collections::BTreeMap;

use crate::store::{Batch, Source, Topic};
use crate::varint::{Reader, put, put_bytes, put_signed};

/// What a head says.
pub(super) struct Head {
    pub layout: String,
    pub fences: BTreeMap<Source, i64>,
    pub owner: Vec<u8>,
}

fn put_source(out: &mut Vec<u8>, source: Source) {
    put(out, source.topic as u64);
    put_signed(out, i64::from(source.partition));
}

fn take_source(reader: &mut Reader<'_>) -> Option<Source> {
    let topic = match reader.take()? {
        0 => Topic::Payments,
        1 => Topic::Labels,
        _ => return None,
    };
    Some(Source { topic, partition: i32::try_from(reader.take_signed()?).ok()? })
}

/// Appends the bytes of a journal row.
pub fn encode_batch(batch: &Batch, out: &mut Vec<u8>) {
    put_source(out, batch.source);
    put_signed(out, batch.prev.unwrap_or(-1));
    put_signed(out, batch.first);
    put_signed(out, batch.last);
    put_bytes(out, &batch.note);
}

/// The journal row of these bytes.
pub fn decode_batch(bytes: &[u8]) -> Option<Batch> {
    let mut reader = Reader::new(bytes);
    let source = take_source(&mut reader)?;
    let prev = Some(reader.take_signed()?).filter(|prev| *prev >= 0);
    let (first, last) = (reader.take_signed()?, reader.take_signed()?);
    let note = reader.take_sized()?.to_vec();
    reader.is_empty().then_some(Batch { source, prev, first, last, note })
}

pub(super) fn encode_head(layout: &str, fences: &BTreeMap<Source, i64>, owner: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, layout.as_bytes());
    put(&mut out, fences.len() as u64);
    for (source, fence) in fences {
        put_source(&mut out, *source);
        put_signed(&mut out, *fence);
    }
    put_bytes(&mut out, owner);
    out
}

pub(super) fn decode_head(bytes: &[u8]) -> Option<Head> {
    let mut reader = Reader::new(bytes);
    let layout = String::from_utf8(reader.take_sized()?.to_vec()).ok()?;
    let mut fences = BTreeMap::new();
    for _ in 0..reader.take_count()? {
        let source = take_source(&mut reader)?;
        fences.insert(source, reader.take_signed()?);
    }
    let owner = reader.take_sized()?.to_vec();
    reader.is_empty().then_some(Head { layout, fences, owner })
}
