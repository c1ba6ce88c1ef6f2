//! Fail points: the process kills itself between two chosen steps of the line, as kill -9 would.
//!
//! `TRIPLINE_FAIL_POINT=Journaled:17` kills it when it reaches that step for the 17th time. For the crash tests; a
//! process without the variable has none.

use feature_store::enricher::LabelApplied;
use feature_store::store::{Batch, Source};
use schemas::alert::Alert;
use schemas::decision::Decision;
use schemas::reject::Reject;

use crate::stream::line::{LineStep, Watch};

/// The variable.
pub const VARIABLE: &str = "TRIPLINE_FAIL_POINT";

/// The watch, inside one that dies where the variable says.
pub fn around(watch: Box<dyn Watch>) -> Box<dyn Watch> {
    let point = std::env::var(VARIABLE).ok().and_then(|text| {
        let (word, count) = text.split_once(':')?;
        let step = LineStep::ALL.into_iter().find(|step| format!("{step:?}") == word)?;
        Some((step, count.parse().ok()?))
    });
    match point {
        None => watch,
        Some((step, left)) => Box::new(FailPoint { watch, step, left }),
    }
}

struct FailPoint {
    watch: Box<dyn Watch>,
    step: LineStep,
    left: u64,
}

impl Watch for FailPoint {
    fn reached(&mut self, step: LineStep) {
        if step == self.step {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                // SIGKILL to ourselves: no destructor runs, nothing is flushed.
                let pid = std::process::id().to_string();
                let _ = std::process::Command::new("kill").args(["-9", &pid]).status();
                std::process::abort();
            }
        }
        self.watch.reached(step);
    }

    fn applied(&mut self, batch: &Batch, again: bool) {
        self.watch.applied(batch, again);
    }

    fn decided(&mut self, decision: &Decision, alert: Option<&Alert>) {
        self.watch.decided(decision, alert);
    }

    fn duplicate(&mut self) {
        self.watch.duplicate();
    }

    fn dead(&mut self, source: Source, reject: &Reject) {
        self.watch.dead(source, reject);
    }

    fn label(&mut self, applied: LabelApplied) {
        self.watch.label(applied);
    }

    fn acknowledged(&mut self, since_arrival_us: i64) {
        self.watch.acknowledged(since_arrival_us);
    }

    fn checkpointed(&mut self, took_us: i64) {
        self.watch.checkpointed(took_us);
    }

    fn committed(&mut self, next: &[(Source, i64)]) {
        self.watch.committed(next);
    }
}
