//! The alerts of the archive, each by its id, as small as a comparison needs them.

use std::collections::{HashMap, HashSet};
use std::hash::Hasher;

use batch::archive::{ArchiveError, ArchiveStore};
use schemas::alert::Alert;
use schemas::name::Name;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::compare::comparable;
use super::ledger::id_hash;
use super::records::Own;

/// One alert: a hash of what it says, and its rule.
#[derive(Debug, Clone)]
pub(super) struct KnownAlert {
    hash: u128,
    pub rule: Name,
    /// The payment and where it stands, for one that no decision raised.
    pub transaction_id: String,
    pub place: (i32, i64),
    taken: bool,
}

impl KnownAlert {
    /// Whether it says this, however often it was written.
    pub fn is(&self, expected: &Alert) -> bool {
        self.hash == hash(expected)
    }
}

/// All alerts.
#[derive(Debug, Default)]
pub(super) struct Alerts {
    by_id: HashMap<u128, KnownAlert>,
    frontier: HashMap<i32, i64>,
    /// Partitions of which the archive lacks alerts.
    lacking: HashSet<i32>,
    pub count: u64,
}

impl Alerts {
    pub fn of(store: &ArchiveStore, topic: &str) -> Result<Self, ArchiveError> {
        let lacking = store.holes(topic)?.into_iter().map(|(partition, _)| partition).collect();
        let mut own = Self { lacking, ..Self::default() };
        for (_, mut alerts) in Own::<Alert>::of(store, topic, None)? {
            while let Some(alert) = alerts.next_record()? {
                own.count += 1;
                let frontier = own.frontier.entry(alert.source_partition).or_insert(-1);
                *frontier = alert.source_offset.max(*frontier);
                let known = KnownAlert {
                    hash: hash(&alert),
                    rule: alert.rule,
                    transaction_id: alert.transaction_id,
                    place: (alert.source_partition, alert.source_offset),
                    taken: false,
                };
                own.by_id.insert(id_hash(&alert.alert_id), known);
            }
        }
        Ok(own)
    }

    /// The alert with this id, which has its decision then.
    pub fn take(&mut self, id: &str) -> Option<KnownAlert> {
        let known = self.by_id.get_mut(&id_hash(id))?;
        known.taken = true;
        Some(known.clone())
    }

    /// Whether some of this partition are not in the archive.
    pub fn are_lacking(&self, partition: i32) -> bool {
        self.lacking.contains(&partition)
    }

    /// Whether a payment stands behind the last of its partition that has an alert here.
    pub fn is_behind(&self, partition: i32, offset: i64) -> bool {
        self.frontier.get(&partition).is_none_or(|frontier| offset > *frontier)
    }

    /// Those that no decision raised, by place.
    pub fn left(&self) -> Vec<&KnownAlert> {
        let mut left: Vec<_> = self.by_id.values().filter(|known| !known.taken).collect();
        left.sort_by_key(|known| known.place);
        left
    }
}

fn hash(alert: &Alert) -> u128 {
    let mut hash = SipHasher13::new();
    hash.write(&serde_json::to_vec(&comparable(alert)).unwrap_or_default());
    hash.finish128().as_u128()
}
