//! Takeover: a stranger gets into an account and is patient.
//!
//! From one new device, online, a payment every half day or so for 1 to 2 weeks. The amounts begin below the
//! card's norm and end far above it, and each is only a little more than the one before. Half of the payments
//! go to shops that the card already uses online.

use super::Plan;
use crate::simulate::calendar::Draft;
use crate::simulate::event::FraudPattern;
use crate::simulate::habit::minor;
use crate::simulate::merchant::Channel;
use crate::simulate::rhythm::{self, DAY_MS, HOUR_MS};
use crate::simulate::scene::Scene;

/// Payments of a takeover, least and most.
const PAYMENTS: (u32, u32) = (8, 20);
/// Payments of a takeover, average.
pub(super) const PAYMENTS_MEAN: f64 = 14.0;
/// Length of a takeover, least and most, days.
const DAYS: (f64, f64) = (7.0, 14.0);
/// No campaign is longer than this, days.
pub(super) const LONGEST_DAYS: f64 = 16.0;
/// Time that the stranger waits, on average, for hours at which the cardholder might pay too.
const WAIT_MS: f64 = 2.0 * HOUR_MS;
/// The first amount as a multiple of the card's norm, least and most.
const FIRST_NORMS: (f64, f64) = (0.5, 1.0);
/// The last amount as a multiple of the card's norm, least and most.
const LAST_NORMS: (f64, f64) = (3.5, 8.0);
/// Standard deviation of the logarithm of amounts around their growth.
const AMOUNT_SPREAD: f64 = 0.15;
/// Fraction of payments that go where the card itself shops online, if it does.
const FAMILIAR: f64 = 0.5;

/// A takeover of one account that begins at `now_ms`.
pub(super) fn plan(now_ms: i64, scene: &mut Scene) -> Plan {
    let card = scene.any_card();
    let device = scene.devices.new_device();
    let Scene { market, cards, draw, .. } = scene;
    let owner = &cards[card as usize];
    let is_online = |number: &&u32| market.merchant(**number).channel == Channel::Online;
    let familiar = owner.favourites.iter().find(is_online).copied();

    let count = draw.whole(PAYMENTS.0, PAYMENTS.1);
    let step_ms = draw.between(DAYS.0, DAYS.1) * DAY_MS / f64::from(count);
    let first = owner.norm_minor * draw.between(FIRST_NORMS.0, FIRST_NORMS.1);
    let growth = owner.norm_minor * draw.between(LAST_NORMS.0, LAST_NORMS.1) / first;
    let payment = |place: u32| {
        let late_ms = step_ms * (f64::from(place) + draw.between(0.0, 0.7));
        let time_ms = rhythm::next_ms(now_ms.saturating_add(late_ms as i64), WAIT_MS, owner.shift_ms, draw);
        let merchant = familiar.filter(|_| draw.chance(FAMILIAR)).unwrap_or_else(|| market.online(draw));
        let amount = first * growth.powf(f64::from(place) / f64::from(count - 1));
        let amount_minor = minor(draw.log_normal(amount, AMOUNT_SPREAD));
        (time_ms, Draft { card, merchant, device, amount_minor, fraud: Some(FraudPattern::AccountTakeover) })
    };
    (0..count).map(payment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::World;

    #[test]
    fn amounts_grow_over_days_from_below_to_above_the_norm() {
        let mut scene = Scene::set(&World { cards: 300, ..World::default() });
        let mut total = 0;
        for _ in 0..300 {
            let plan = plan(0, &mut scene);
            total += plan.len();
            let norm = scene.card(plan[0].1.card).norm_minor;
            let (first, last) = (plan[0], plan[plan.len() - 1]);
            assert!((first.1.amount_minor as f64) < 2.0 * norm);
            assert!((last.1.amount_minor as f64) > 2.0 * norm);
            assert!(last.0 as f64 <= LONGEST_DAYS * DAY_MS);
            assert!((5.0 * DAY_MS..14.0 * DAY_MS).contains(&((last.0 - first.0) as f64)));
            assert!(plan.iter().all(|(_, draft)| draft.device == first.1.device));
        }
        let mean = total as f64 / 300.0;
        assert!((mean - PAYMENTS_MEAN).abs() < 0.8, "{mean} payments a takeover");
    }
}
