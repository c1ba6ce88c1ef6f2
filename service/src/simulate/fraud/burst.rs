//! Burst: a stolen card is used up within about an hour.
//!
//! 5 to 15 online payments at shops whose goods sell on and which the card does not know, from a device it
//! has never used, for more and more money. Thieves work in gangs: some stolen cards are used from the
//! device of the one before.

use super::Plan;
use crate::simulate::calendar::Draft;
use crate::simulate::event::FraudPattern;
use crate::simulate::habit::minor;
use crate::simulate::rhythm::HOUR_MS;
use crate::simulate::scene::Scene;

/// Payments of a burst, least and most.
const PAYMENTS: (u32, u32) = (5, 15);
/// Payments of a burst, average.
pub(super) const PAYMENTS_MEAN: f64 = 10.0;
/// Time from first to last, least and most.
const SPAN_MS: (f64, f64) = (0.6 * HOUR_MS, 1.2 * HOUR_MS);
/// No campaign is longer than this, days.
pub(super) const LONGEST_DAYS: f64 = 0.1;
/// The first amount, least and most, minor units.
const FIRST_MINOR: (f64, f64) = (200.0, 1_500.0);
/// The last amount as a multiple of the card's norm, least and most.
const LAST_NORMS: (f64, f64) = (3.0, 10.0);
/// Standard deviation of the logarithm of amounts around their rise.
const AMOUNT_SPREAD: f64 = 0.12;
/// Fraction of bursts that come from the device of the burst before.
const SAME_DEVICE: f64 = 0.3;
/// How often another shop is looked for when the card knows the one found; some cards know every shop.
const SEARCHES: u32 = 6;

/// Thieves of cards, and the device that they used last.
#[derive(Default)]
pub(super) struct Gang {
    device: Option<u32>,
}

impl Gang {
    /// A burst of one card that begins at `now_ms`.
    pub(super) fn plan(&mut self, now_ms: i64, scene: &mut Scene) -> Plan {
        let card = scene.any_card();
        let known = self.device.filter(|_| scene.draw.chance(SAME_DEVICE));
        let device = known.unwrap_or_else(|| scene.devices.new_device());
        self.device = Some(device);

        let count = scene.draw.whole(PAYMENTS.0, PAYMENTS.1);
        let step_ms = scene.draw.between(SPAN_MS.0, SPAN_MS.1) / f64::from(count - 1);
        let first = scene.draw.between(FIRST_MINOR.0, FIRST_MINOR.1);
        let last = scene.draw.between(LAST_NORMS.0, LAST_NORMS.1) * scene.card(card).norm_minor;
        let rise = (last / first).max(2.0);
        let payment = |place: u32| {
            let place = f64::from(place);
            let late_ms = step_ms * (place + scene.draw.between(0.0, 0.8));
            let amount = first * rise.powf(place / f64::from(count - 1));
            let draft = Draft {
                card,
                merchant: unfamiliar_shop(card, scene),
                device,
                amount_minor: minor(scene.draw.log_normal(amount, AMOUNT_SPREAD)),
                fraud: Some(FraudPattern::StolenCardBurst),
            };
            (now_ms.saturating_add(late_ms as i64), draft)
        };
        (0..count).map(payment).collect()
    }
}

fn unfamiliar_shop(card: u32, scene: &mut Scene) -> u32 {
    let mut shop = scene.market.resale(&mut scene.draw);
    for _ in 0..SEARCHES {
        if !scene.card(card).favourites.contains(&shop) {
            break;
        }
        shop = scene.market.resale(&mut scene.draw);
    }
    shop
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::World;

    #[test]
    fn a_burst_rises_within_about_an_hour_on_one_new_device() {
        let mut scene = Scene::set(&World { cards: 300, ..World::default() });
        let mut gang = Gang::default();
        let mut unfamiliar = 0;
        let mut total = 0;
        for _ in 0..300 {
            let plan = gang.plan(0, &mut scene);
            let card = scene.card(plan[0].1.card);
            assert!((5..=15).contains(&plan.len()));
            assert!(plan.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            let (first, last) = (plan[0], plan[plan.len() - 1]);
            assert!(last.0 as f64 <= LONGEST_DAYS * 24.0 * HOUR_MS);
            assert!(last.1.amount_minor as f64 >= 1.2 * first.1.amount_minor as f64);
            let new = |device| device != card.terminal_device && !card.online_devices.contains(&device);
            assert!(plan.iter().all(|(_, draft)| draft.device == first.1.device && new(draft.device)));
            unfamiliar += plan.iter().filter(|(_, draft)| !card.favourites.contains(&draft.merchant)).count();
            total += plan.len();
        }
        assert!(unfamiliar * 100 > total * 98, "{unfamiliar} of {total} at unfamiliar shops");
        let mean = total as f64 / 300.0;
        assert!((mean - PAYMENTS_MEAN).abs() < 0.6, "{mean} payments a burst");
    }
}
