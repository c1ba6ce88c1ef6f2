//! Fraud: who abuses cards, how often, and the plans they make.
//!
//! A campaign is planned as a whole, a list of payments with their times; the next of its pattern follows
//! after a gap. Gaps are such that each pattern makes a third of the world's frauds. They vary less than
//! those of independent events would, because the share of fraud should hold over weeks, not only over years.

mod burst;
mod compromise;
mod takeover;

use self::burst::Gang;
use self::compromise::Targets;
use super::calendar::Draft;
use super::draw::Draw;
use super::event::FraudPattern;
use super::rhythm::DAY_MS;
use super::scene::Scene;
use super::world::World;

/// Least and most gap between two campaigns, as a multiple of the average.
const GAPS: (f64, f64) = (0.5, 1.5);

/// Payments with their event times, ms; in no order.
pub(super) type Plan = Vec<(i64, Draft)>;

/// All who abuse cards.
pub(super) struct Underworld {
    gang: Gang,
    targets: Targets,
    /// Average time from one campaign to the next, ms, in the order of `FraudPattern::ALL`; infinite without
    /// fraud.
    gaps_ms: [f64; FraudPattern::ALL.len()],
}

impl Underworld {
    /// The underworld of this world.
    pub(super) fn new(world: &World, scene: &Scene) -> Self {
        let frauds_per_day = world.frauds_per_day() / FraudPattern::ALL.len() as f64;
        let targets = Targets::find(scene, frauds_per_day);
        let gaps_ms = FraudPattern::ALL.map(|pattern| {
            let payments = match pattern {
                FraudPattern::StolenCardBurst => burst::PAYMENTS_MEAN,
                FraudPattern::CompromisedMerchant => targets.payments_mean(),
                FraudPattern::AccountTakeover => takeover::PAYMENTS_MEAN,
            };
            DAY_MS * payments / frauds_per_day
        });
        Self { gang: Gang::default(), targets, gaps_ms }
    }

    /// When the first campaign of this pattern is planned, event time ms; as long before the world's start as
    /// a campaign can last, so that the first day has its share of those well under way. `None` in a world
    /// without fraud.
    pub(super) fn opening_ms(&self, pattern: FraudPattern, world: &World, draw: &mut Draw) -> Option<i64> {
        let longest_days = match pattern {
            FraudPattern::StolenCardBurst => burst::LONGEST_DAYS,
            FraudPattern::CompromisedMerchant => compromise::LONGEST_DAYS,
            FraudPattern::AccountTakeover => takeover::LONGEST_DAYS,
        };
        let gap_ms = self.gaps_ms[pattern as usize];
        gap_ms.is_finite().then(|| world.day_ms(-longest_days).saturating_add((gap_ms * draw.unit()) as i64))
    }

    /// When the campaign after the one planned at `now_ms` is planned; later than `now_ms`.
    pub(super) fn next_ms(&self, pattern: FraudPattern, now_ms: i64, draw: &mut Draw) -> i64 {
        let gap_ms = self.gaps_ms[pattern as usize] * draw.between(GAPS.0, GAPS.1);
        now_ms.saturating_add((gap_ms as i64).max(1))
    }

    /// A campaign that begins at `now_ms`; none of its payments is earlier.
    pub(super) fn plan(&mut self, pattern: FraudPattern, now_ms: i64, scene: &mut Scene) -> Plan {
        match pattern {
            FraudPattern::StolenCardBurst => self.gang.plan(now_ms, scene),
            FraudPattern::CompromisedMerchant => self.targets.plan(now_ms, scene),
            FraudPattern::AccountTakeover => takeover::plan(now_ms, scene),
        }
    }
}
