//! Checkpoints, the commits that follow them, and the drain that ends with both.

use std::time::Duration;

use feature_store::store::Source;

use super::{Line, LineError, LineStep};
use crate::clock::Now;
use crate::pipeline::Pipeline;
use crate::registry::SchemaSource;
use crate::stream::Transport;

/// States put into a checkpoint under one lock: about 0.2 ms.
const CHECKPOINT_PART: usize = 256;

/// A commit that was not heard is said again after this time, microseconds.
const COMMIT_AGAIN_US: u64 = 1_000_000;

impl<T: Transport, S: SchemaSource> Line<T, S> {
    /// Starts a checkpoint when one is due and everything made so far is acknowledged; commits offsets when one is
    /// durable.
    pub(super) fn checkpoint(&mut self) -> Result<(), LineError> {
        let now = self.clock.now();
        let is_done = self.pipeline.enricher().store_mut().finish_checkpoint(false)?;
        if is_done {
            self.checkpointed(now);
        }
        if self.commit_due_us.is_some_and(|due_us| now.monotonic_us >= due_us) {
            self.commit(false);
        }
        if self.is_recovering() || self.since_checkpoint == 0 {
            return Ok(());
        }
        let (runs, crowded) = {
            let enricher = self.pipeline.enricher();
            (enricher.store().checkpoint_running(), enricher.store().is_crowded())
        };
        if runs {
            return Ok(());
        }
        let elapsed_ms = now.monotonic_us.saturating_sub(self.checkpoint_started_us) / 1_000;
        let is_due = elapsed_ms >= self.limits.checkpoint_every_ms
            || self.since_checkpoint >= self.limits.checkpoint_records
            || crowded;
        self.draining |= is_due;
        if self.draining && self.outbox.is_empty() {
            self.start_checkpoint(now)?;
            if self.limits.checkpoint_waits && self.wait_for_checkpoint()? {
                self.checkpointed(now);
                self.commit(false);
            }
        }
        Ok(())
    }

    pub(super) fn start_checkpoint(&mut self, now: Now) -> Result<(), LineError> {
        self.to_commit = next_offsets(&self.pipeline);
        self.commit_due_us = None;
        // In parts, so that who reads the state meanwhile does not wait for all of it.
        while self.pipeline.enricher().store_mut().prepare_checkpoint(CHECKPOINT_PART) {}
        self.pipeline.enricher().start_checkpoint(&[])?;
        self.watch.reached(LineStep::CheckpointStarted);
        self.checkpoint_started_us = now.monotonic_us;
        self.since_checkpoint = 0;
        self.draining = false;
        Ok(())
    }

    fn wait_for_checkpoint(&self) -> Result<bool, LineError> {
        Ok(self.pipeline.enricher().store_mut().finish_checkpoint(true)?)
    }

    /// A checkpoint is durable: what it holds is decided, acknowledged and kept, so it may be committed.
    pub(super) fn checkpointed(&mut self, now: Now) {
        self.watch.checkpointed(now.since_us(self.checkpoint_started_us));
        self.commit_due_us = Some(now.monotonic_us);
        self.watch.reached(LineStep::CheckpointDurable);
    }

    pub(super) fn commit(&mut self, wait: bool) {
        if self.lanes.values().any(|lane| !lane.assigned) {
            self.commit_due_us = Some(self.retry_us());
            return;
        }
        match self.transport.commit(&self.to_commit, wait) {
            Ok(()) => {
                self.commit_due_us = None;
                self.watch.committed(&self.to_commit);
                self.watch.reached(LineStep::Committed);
            }
            Err(error) => {
                self.commit_due_us = Some(self.retry_us());
                tracing::warn!(%error, "offsets could not be committed and will be again");
            }
        }
    }

    pub(super) fn retry_us(&self) -> u64 {
        self.clock.now().monotonic_us + COMMIT_AGAIN_US
    }

    /// Ends the line: sends what is made, waits for its acknowledgement, checkpoints, commits and leaves the group.
    /// Returns how many records were not acknowledged in time; a restart sends them.
    ///
    /// # Errors
    /// Only what ends the line anyway.
    pub fn drain(&mut self, within: Duration) -> Result<usize, LineError> {
        let until_us = self.clock.now().monotonic_us + u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        while !self.outbox.is_empty() && self.clock.now().monotonic_us < until_us {
            self.outbox.send(&mut self.transport)?;
            self.take_in(0, Duration::from_millis(20))?;
        }
        let unacknowledged = self.outbox.len();
        if self.wait_for_checkpoint()? {
            self.checkpointed(self.clock.now());
        }
        if unacknowledged == 0 && !self.is_recovering() && self.since_checkpoint > 0 {
            self.start_checkpoint(self.clock.now())?;
            if self.wait_for_checkpoint()? {
                self.checkpointed(self.clock.now());
            }
        }
        if self.commit_due_us.is_some() {
            self.commit(true);
        }
        self.transport.close();
        Ok(unacknowledged)
    }
}

/// The offsets behind what the store holds.
pub(super) fn next_offsets(pipeline: &Pipeline) -> Vec<(Source, i64)> {
    let enricher = pipeline.enricher();
    enricher.store().fences().iter().map(|(source, fence)| (*source, fence + 1)).collect()
}
