//! The feeder: first a month of history as fast as it is decided, so that cards have habits and merchants a past, then
//! payments at the demo's rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::BaseProducer;
use schemas::contract::Contract;
use schemas::time::DAY_MS;

use super::registry::id_of;
use crate::emit::Bound;
pub use crate::simulate::World;
use crate::simulate::feed::{Feed, FeedError};
use crate::simulate::{SimulatedEvent, Simulation};
use crate::stream::kafka::PARTITIONER;
use crate::telemetry::Telemetry;

/// Simulated days before the demo's first live payment.
const HISTORY_DAYS: i64 = 30;
/// Payments sent and not decided while history runs: the broker keeps a few megabytes and no more.
const MOST_AHEAD: u64 = 4_000;

/// Sends the demo's payments.
pub struct Feeder {
    feed: Feed,
    simulation: std::iter::Peekable<Simulation>,
    live_from_ms: i64,
}

impl Feeder {
    /// A feeder of the demo's topics.
    ///
    /// # Errors
    /// When no producer can be made.
    pub fn new(bootstrap: &str, topics: [&str; 2], world: World) -> Result<Self, FeedError> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap).set("linger.ms", "5").set(PARTITIONER.0, PARTITIONER.1);
        let producer: BaseProducer = client.create()?;
        let [transactions, labels] = topics;
        let bound = |contract: Contract| Bound::own(contract, id_of(contract));
        let feed = Feed::new(
            producer,
            (transactions.to_owned(), bound(Contract::Transaction)),
            (labels.to_owned(), bound(Contract::Label)),
        );
        let live_from_ms = world.start + HISTORY_DAYS * DAY_MS;
        Ok(Self { feed, simulation: Simulation::new(world).peekable(), live_from_ms })
    }

    /// Sends the history; `progress` hears the share that is decided.
    ///
    /// # Errors
    /// When the producer is broken.
    pub fn history(
        &mut self,
        telemetry: &Telemetry,
        stop: &AtomicBool,
        mut progress: impl FnMut(u64),
    ) -> Result<(), FeedError> {
        let live_from_ms = self.live_from_ms;
        while let Some(event) =
            self.simulation.next_if(|event: &SimulatedEvent| event.time_ms() < live_from_ms)
        {
            self.feed.send(&event)?;
            if self.feed.payments.is_multiple_of(256) {
                self.hold_back(telemetry, stop, MOST_AHEAD, &mut progress);
            }
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        self.hold_back(telemetry, stop, 0, &mut progress);
        Ok(())
    }

    /// Waits until no more than `ahead` payments are undecided.
    fn hold_back(
        &self,
        telemetry: &Telemetry,
        stop: &AtomicBool,
        ahead: u64,
        progress: &mut impl FnMut(u64),
    ) {
        loop {
            let totals = telemetry.totals();
            let done = totals.decided + totals.dead_letters + totals.duplicates;
            progress(done);
            if self.feed.payments.saturating_sub(done) <= ahead || stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
            // The producer's queue is served here, too.
            let _ = self.feed.flush(Duration::from_millis(1));
        }
    }

    /// Payments of the history sent so far.
    pub fn sent(&self) -> u64 {
        self.feed.payments
    }

    /// Sends live payments at a rate until told to stop.
    ///
    /// # Errors
    /// When the producer is broken.
    pub fn live(&mut self, rate: f64, stop: &Arc<AtomicBool>) -> Result<(), FeedError> {
        self.feed.run(&mut self.simulation, rate, |_| stop.load(Ordering::Relaxed))
    }
}
