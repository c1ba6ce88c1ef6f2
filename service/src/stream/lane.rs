//! A lane: one partition of an input topic as the line sees it.

use std::collections::VecDeque;

use feature_store::store::Source;

use super::{Output, Record};

/// One source.
#[derive(Debug)]
pub(super) struct Lane {
    pub source: Source,
    /// Records read and not applied yet, oldest first.
    pub waiting: VecDeque<Record>,
    /// Bytes of them.
    pub waiting_bytes: usize,
    /// Whether it is assigned to us.
    pub assigned: bool,
    /// Paused because it waits for a schema or its turn.
    pub paused: bool,
    /// Why it does not go on, if it does not.
    pub blocked: Option<String>,
    /// Highest offset of this source whose record is out already in each output topic; -1 for none.
    pub out_through: [i64; 3],
    /// When a record last came, microseconds of the monotonic clock.
    pub pushed_us: u64,
    /// The offset behind the newest record read.
    pub read_next: i64,
    /// The offset behind the newest record that there is, as last heard.
    pub log_next: i64,
    /// The same as of the start.
    pub start_next: i64,
}

impl Lane {
    pub fn new(source: Source) -> Self {
        Self {
            source,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            assigned: false,
            paused: false,
            blocked: None,
            out_through: [-1; 3],
            pushed_us: 0,
            read_next: 0,
            log_next: 0,
            start_next: 0,
        }
    }

    /// Takes in a record that was read. One seen before (the position was set back) is dropped.
    pub fn push(&mut self, record: Record) {
        if record.offset < self.read_next {
            return;
        }
        self.read_next = record.offset + 1;
        self.log_next = self.log_next.max(self.read_next);
        self.waiting_bytes += record.bytes();
        self.waiting.push_back(record);
    }

    /// Takes the first `count` waiting records.
    pub fn take(&mut self, count: usize) -> Vec<Record> {
        let taken: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.waiting_bytes -= taken.iter().map(Record::bytes).sum::<usize>();
        taken
    }

    /// Forgets what waits; reading begins again at `next`.
    pub fn restart_at(&mut self, next: i64) {
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.paused = false;
        self.blocked = None;
        self.read_next = next;
    }

    /// Whether a record of this input is in the output topic already.
    pub fn is_out(&self, output: Output, offset: i64) -> bool {
        self.out_through.get(output as usize).is_some_and(|through| offset <= *through)
    }
}
