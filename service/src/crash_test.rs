//! Hooks of the crash tests, set by variables of the environment; a process without them has none.
//!
//! `TRIPLINE_FAIL_POINT=Journaled:17` kills the process when it reaches that step for the 17th time, as kill -9 would.
//! `TRIPLINE_ORDER_FILE=FILE` appends a line for each batch when its journal row is written: what the naive oracle
//! needs to know to say what every decision must be.

use std::fs::{File, OpenOptions};
use std::io::Write;

use feature_store::store::Batch;

use crate::stream::line::{LineStep, Watch};
use crate::stream::topic_word;

/// The watches that the environment asks for.
pub fn watches() -> Vec<Box<dyn Watch>> {
    let mut watches: Vec<Box<dyn Watch>> = Vec::new();
    if let Some(point) = std::env::var("TRIPLINE_FAIL_POINT").ok().and_then(|text| FailPoint::parse(&text)) {
        watches.push(Box::new(point));
    }
    let file = std::env::var_os("TRIPLINE_ORDER_FILE")
        .and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
    if let Some(file) = file {
        watches.push(Box::new(Order(file)));
    }
    watches
}

struct FailPoint {
    step: LineStep,
    left: u64,
}

impl FailPoint {
    fn parse(text: &str) -> Option<Self> {
        let (word, count) = text.split_once(':')?;
        let step = LineStep::ALL.into_iter().find(|step| format!("{step:?}") == word)?;
        Some(Self { step, left: count.parse().ok()? })
    }
}

impl Watch for FailPoint {
    fn reached(&mut self, step: LineStep) {
        if step != self.step {
            return;
        }
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            let pid = std::process::id().to_string();
            let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
            std::process::abort();
        }
    }
}

struct Order(File);

impl Watch for Order {
    fn applied(&mut self, batch: &Batch, _again: bool) {
        let topic = topic_word(batch.source.topic);
        // One write a line: kill -9 leaves whole lines.
        let line = format!("{topic} {} {} {}\n", batch.source.partition, batch.first, batch.last);
        let _ = self.0.write_all(line.as_bytes());
    }
}
