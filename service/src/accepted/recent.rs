//! Recent: the ids that the stream applied last, with their contents, under a lock of their own.
//!
//! All ids are in the state, whose lock a slow store may hold for longer than a caller waits; older ids than these are
//! in the decision index. Between the two whether a payment was decided can be told while the state cannot be asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use feature_store::identity::TransactionKey;
use schemas::payment::ContentHash;

/// Ids kept: some fifteen megabytes, and many times what the index is behind.
pub(super) const MOST: usize = 1 << 18;

#[derive(Default)]
pub(super) struct Recent(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    contents: HashMap<TransactionKey, ContentHash>,
    order: VecDeque<TransactionKey>,
}

impl Recent {
    pub(super) fn applied(&self, key: TransactionKey, content: ContentHash) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.contents.insert(key, content).is_some() {
            return;
        }
        ids.order.push_back(key);
        if ids.order.len() > MOST
            && let Some(oldest) = ids.order.pop_front()
        {
            ids.contents.remove(&oldest);
        }
    }

    pub(super) fn content(&self, key: TransactionKey) -> Option<ContentHash> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contents.get(&key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_and_the_oldest_is_forgotten() {
        let recent = Recent::default();
        let key = |n: usize| TransactionKey(n as u128);
        for n in 0..=MOST {
            recent.applied(key(n), ContentHash(n as u64));
            recent.applied(key(n), ContentHash(n as u64));
        }
        assert_eq!((recent.content(key(0)), recent.content(key(1))), (None, Some(ContentHash(1))));
        assert_eq!(recent.content(key(MOST)), Some(ContentHash(MOST as u64)));
        assert_eq!(recent.0.lock().unwrap().order.len(), MOST);
    }
}
