//! Labels, and payments that a decision was told of, find their rows: by transaction, one share at a time.

use std::io;
use std::path::Path;

use hashbrown::HashMap;

use super::SHARES;
use super::label::Epochs;
use super::spill::Spill;

/// Transaction (2), row and epoch, then the share of each entity that has features.
pub(super) const fn identity_width(entities: usize) -> usize {
    3 + entities
}

/// Transaction (2), since, verdict with source and partition, offset.
pub(super) const LABEL_WORDS: usize = 5;

/// Transaction (2), asking row and entity.
pub(super) const PENDING_WORDS: usize = 3;

/// Row, since, verdict with source and epoch.
pub(super) const JOINED_WORDS: usize = 3;

/// The rows that a decision for a caller was told of: by its row and the entity's place among those with features.
pub(super) type Pending = HashMap<(u32, u32), Vec<u32>>;

/// What was found.
#[derive(Debug)]
pub(super) struct Joined {
    /// For each entity with features, the labels of its rows, shared out as they are.
    pub labels: Vec<Spill>,
    /// The payments that decisions were told of.
    pub pending: Pending,
    /// Rows whose label came before them.
    pub early: Vec<u32>,
}

/// Joins them.
pub(super) fn join(
    identities: &mut Spill,
    labels: &mut Spill,
    pending: &mut Spill,
    epochs: &Epochs,
    entities: usize,
    folder: &Path,
) -> io::Result<Joined> {
    let spills = (0..entities).map(|_| Spill::new(folder, SHARES));
    let mut joined =
        Joined { labels: spills.collect::<io::Result<_>>()?, pending: Pending::new(), early: Vec::new() };
    for share in 0..SHARES {
        let labels = labels.take(share)?;
        let told = pending.take(share)?;
        let rows = identities.take(share)?;
        if labels.is_empty() && told.is_empty() {
            continue;
        }
        let width = identity_width(entities);
        let known: HashMap<[u64; 2], &[u64]> =
            rows.chunks_exact(width).map(|words| ([words[0], words[1]], &words[2..])).collect();
        for label in labels.chunks_exact(LABEL_WORDS) {
            let Some(found) = known.get(&[label[0], label[1]]) else { continue };
            let (row, number) = (found[0] as u32, (found[0] >> 32) as u32);
            let epoch = epochs.of_label((label[3] >> 32) as i32, label[4].cast_signed());
            if number != super::label::ALL_EPOCHS && epoch <= epochs.place(number) {
                joined.early.push(row);
            }
            let what = label[3] & 0xffff_ffff | u64::from(epoch) << 32;
            for (spill, share) in joined.labels.iter_mut().zip(&found[1..]) {
                if *share != u64::MAX {
                    spill.push(*share as usize, &[u64::from(row), label[2], what])?;
                }
            }
        }
        for told in told.chunks_exact(PENDING_WORDS) {
            let asking = (told[2] as u32, (told[2] >> 32) as u32);
            if let Some(found) = known.get(&[told[0], told[1]]) {
                joined.pending.entry(asking).or_default().push(found[0] as u32);
            }
        }
    }
    joined.early.sort_unstable();
    Ok(joined)
}
