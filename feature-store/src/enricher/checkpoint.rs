//! What a checkpoint keeps beside the entities' states: event times, ids, waiting labels.

use super::{Day, Enricher, Restored, StoreError};
use crate::varint::{Reader, put, put_bytes, put_signed};

fn stream_name(day: Day) -> String {
    format!("ids-p{}-d{}", day.partition, day.day)
}

fn day_of(stream: &str) -> Option<Day> {
    let (partition, day) = stream.strip_prefix("ids-p")?.split_once("-d")?;
    Some(Day { partition: partition.parse().ok()?, day: day.parse().ok()? })
}

impl Enricher {
    /// Starts a checkpoint that also keeps `owner`. Call it between two batches.
    ///
    /// # Errors
    /// When the files refuse.
    pub fn start_checkpoint(&mut self, owner: &[u8]) -> Result<(), StoreError> {
        let mut head = Vec::new();
        put(&mut head, self.newest_ms.len() as u64);
        for (partition, newest_ms) in &self.newest_ms {
            put_signed(&mut head, i64::from(*partition));
            put_signed(&mut head, *newest_ms);
        }
        self.waiting.encode(&mut head);
        put_bytes(&mut head, owner);
        let store = &self.store;
        let unsaved = self.identity.unsaved(|slot| store.key_of(slot));
        let appends = unsaved.into_iter().map(|(day, bytes)| (stream_name(day), bytes)).collect();
        let drop_streams = self.forgotten.drain(..).map(stream_name).collect();
        self.store.start_checkpoint(&head, appends, drop_streams)
    }

    /// Takes over what a checkpoint kept; returns the caller's part.
    pub(super) fn restore(&mut self, restored: Restored) -> Result<Vec<u8>, StoreError> {
        if restored.owner.is_empty() {
            return Ok(Vec::new());
        }
        let owner =
            self.restore_head(&restored.owner).ok_or(StoreError::Unreadable("the head of the checkpoint"))?;
        for (name, bytes) in restored.streams {
            let store = &self.store;
            let known = day_of(&name)
                .is_some_and(|day| self.identity.restore(day, &bytes, |key| store.slot_of_key(key)));
            if !known {
                return Err(StoreError::Unreadable("a list of transaction ids"));
            }
        }
        Ok(owner)
    }

    fn restore_head(&mut self, head: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(head);
        for _ in 0..reader.take_count()? {
            let partition = i32::try_from(reader.take_signed()?).ok()?;
            self.newest_ms.insert(partition, reader.take_signed()?);
        }
        self.waiting.decode(&mut reader)?;
        let owner = reader.take_sized()?.to_vec();
        reader.is_empty().then_some(owner)
    }
}
