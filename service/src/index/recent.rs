//! The ids indexed last, so that one that comes twice at short distance is seen without asking the store, which would
//! cost two microseconds for each decision.

use std::collections::HashSet;

/// Ids of a generation; the one before is kept, too: 4 MB in all.
const GENERATION: usize = 65_536;

/// Remembers the last 65,536 to 131,072 ids.
#[derive(Default)]
pub(super) struct Recent {
    now: HashSet<[u8; 17]>,
    before: HashSet<[u8; 17]>,
}

impl Recent {
    pub fn has(&self, id: &[u8; 17]) -> bool {
        self.now.contains(id) || self.before.contains(id)
    }

    pub fn take(&mut self, id: [u8; 17]) {
        if self.now.len() >= GENERATION {
            self.before = std::mem::take(&mut self.now);
        }
        self.now.insert(id);
    }
}
