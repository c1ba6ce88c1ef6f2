//! The reporter: hears what happens on the line and counts it, shows it on the board, and says how the line's parts are.

use std::sync::Arc;

use feature_store::enricher::LabelApplied;
use feature_store::store::Source;
use schemas::alert::Alert;
use schemas::decision::Decision;
use schemas::reject::Reject;

use super::{Board, Health, Part, Standing, Telemetry};
use crate::emit::source_name;
use crate::stream::line::{LineState, Watch};

/// Counts for [`Telemetry`], shows on the [`Board`], sets [`Health`].
#[derive(Debug, Clone)]
pub struct Reporter {
    /// The numbers.
    pub telemetry: Arc<Telemetry>,
    /// The page.
    pub board: Arc<Board>,
    /// How the parts stand.
    pub health: Arc<Health>,
}

impl Watch for Reporter {
    fn decided(&mut self, decision: &Decision, alert: Option<&Alert>) {
        self.telemetry.decided(decision.verdict, decision.latency_us.total);
        if alert.is_some() {
            self.telemetry.alerts(1);
        }
        self.board.decided(decision, alert);
    }

    fn duplicate(&mut self) {
        self.telemetry.duplicates(1);
    }

    fn foreign(&mut self, count: u64) {
        self.telemetry.foreign(count);
    }

    fn dead(&mut self, source: Source, reject: &Reject) {
        self.telemetry.dead_letters(source.topic, reject.code, 1);
    }

    fn label(&mut self, applied: LabelApplied) {
        self.telemetry.labels(applied.into(), 1);
    }

    fn acknowledged(&mut self, since_arrival_us: i64) {
        self.telemetry.acknowledged(since_arrival_us);
    }

    fn checkpointed(&mut self, took_us: i64) {
        self.telemetry.checkpointed(took_us);
    }

    fn committed(&mut self, next: &[(Source, i64)]) {
        self.telemetry.committed(next);
    }
}

impl Reporter {
    /// The line waits for something before it can start.
    pub fn waiting(&self, why: &str) {
        self.health.set(Part::Stream, Standing::NotReady(why.to_owned()));
    }

    /// The line runs and stands so.
    pub fn line(&self, state: &LineState) {
        self.health.set(Part::Stream, stream(state));
        self.health.set(Part::Store, store(state));
        self.health.set(Part::Registry, registry(state));
        self.telemetry.line(state.clone());
    }
}

fn stream(state: &LineState) -> Standing {
    if let Some(trouble) = &state.trouble {
        return Standing::NotReady(trouble.clone());
    }
    match state.unassigned {
        0 => Standing::Ready,
        count => Standing::NotReady(format!("{count} partitions are not assigned to this process yet")),
    }
}

fn store(state: &LineState) -> Standing {
    match state.recovering {
        0 => Standing::Ready,
        count => Standing::NotReady(format!("{count} batches of before the restart are still to be applied")),
    }
}

fn registry(state: &LineState) -> Standing {
    match state.blocked.first() {
        None => Standing::Ready,
        Some((source, why)) => Standing::NotReady(format!(
            "{} of the partitions wait, {} first: {why}",
            state.blocked.len(),
            source_name(*source)
        )),
    }
}

#[cfg(test)]
mod tests {
    use feature_store::store::Topic;

    use super::*;

    fn reasons(state: &LineState) -> Vec<(&'static str, String)> {
        let reporter = Reporter {
            telemetry: Arc::new(Telemetry::new(["transactions".to_owned(), "labels".to_owned()])),
            board: Arc::new(Board::default()),
            health: Arc::new(Health::new(&[Part::Stream, Part::Store, Part::Registry])),
        };
        reporter.line(state);
        let parts = reporter.health.readiness().parts.into_iter();
        parts.filter_map(|part| Some((part.part, part.reason?))).collect()
    }

    #[test]
    fn what_holds_the_line_up_is_named_by_part() {
        assert_eq!(reasons(&LineState::default()), []);
        let source = Source { topic: Topic::Payments, partition: 2 };
        let state = LineState {
            recovering: 3,
            unassigned: 1,
            blocked: vec![(source, "schema 7 is not here".to_owned())],
            ..LineState::default()
        };
        let parts: Vec<_> = reasons(&state).into_iter().map(|(part, _)| part).collect();
        assert_eq!(parts, ["stream", "store", "registry"]);
        assert!(reasons(&state)[2].1.contains("transactions 2 first: schema 7"));
        let state = LineState { trouble: Some("broker down".to_owned()), ..LineState::default() };
        assert_eq!(reasons(&state), [("stream", "broker down".to_owned())]);
    }
}
