//! Habit: what cardholders do by themselves. When they pay next, where, with what and how much.
//!
//! Honest people also travel, buy a new telephone, try a new shop and go shopping for an afternoon. Without
//! that every strange payment would be a fraud and every rule would look perfect.

use super::calendar::Draft;
use super::card::{Card, DEVICE_DAYS, HOME_DAYS, Trip};
use super::country::COUNTRIES;
use super::draw::{Draw, Weighted};
use super::merchant::{Channel, Market};
use super::rhythm::{self, DAY_MS};
use super::scene::Scene;

/// Fraction of payments at home that go to a favourite merchant.
pub(super) const FAVOURITE_SHARE: f64 = 0.82;
/// Fraction of the other payments, at home or on a trip, that are made online.
const ONLINE_SHARE: f64 = 0.4;
/// Fraction of online payments made with the card's usual device.
const USUAL_DEVICE_SHARE: f64 = 0.85;
/// Fraction of payments that another follows soon: a round of shopping.
const ROUND_SHARE: f64 = 0.12;
/// Average time to the next payment of a round, ms: 25 minutes.
const ROUND_GAP_MS: f64 = 1_500_000.0;
/// For very busy cards the same, as a fraction of their average gap.
const ROUND_GAP_SHARE: f64 = 0.3;
/// Length of a trip, least and most, days.
const TRIP_DAYS: (f64, f64) = (3.0, 10.0);
/// Least and most that is ever paid, minor units.
const AMOUNT_MINOR: (f64, f64) = (50.0, 1_500_000.0);

/// When the card pays next after `now_ms`.
///
/// Rounds of shopping are short, so the gaps between rounds are stretched: both together average
/// `mean_gap_ms`.
pub(super) fn next_ms(card: &Card, now_ms: i64, draw: &mut Draw) -> i64 {
    let round_gap_ms = ROUND_GAP_MS.min(ROUND_GAP_SHARE * card.mean_gap_ms);
    if draw.chance(ROUND_SHARE) {
        let gap_ms = round_gap_ms * draw.between(0.3, 1.7);
        return now_ms.saturating_add(gap_ms as i64);
    }
    let gap_ms = (card.mean_gap_ms - ROUND_SHARE * round_gap_ms) / (1.0 - ROUND_SHARE);
    rhythm::next_ms(now_ms, gap_ms, card.shift_ms, draw)
}

/// The payment that this card makes at `now_ms`.
pub(super) fn payment(number: u32, now_ms: i64, scene: &mut Scene) -> Draft {
    live(number, now_ms, scene);
    let Scene { market, cards, draw, .. } = scene;
    let card = &cards[number as usize];
    let merchant_number = choose(card, now_ms, market, draw);
    let merchant = market.merchant(merchant_number);
    let device = match merchant.channel {
        Channel::Pos => card.terminal_device,
        Channel::Online => card.online_devices[usize::from(!draw.chance(USUAL_DEVICE_SHARE))],
    };
    let amount = draw.log_normal(merchant.median_minor() * card.spending_level, merchant.category.spread);
    Draft { card: number, merchant: merchant_number, device, amount_minor: minor(amount), fraud: None }
}

/// An amount in whole minor units, within what is ever paid.
pub(super) fn minor(amount: f64) -> i64 {
    amount.round().clamp(AMOUNT_MINOR.0, AMOUNT_MINOR.1) as i64
}

/// Lets the card's life go on until now: a new device, the next trip.
fn live(number: u32, now_ms: i64, scene: &mut Scene) {
    let Scene { cards, devices, draw, .. } = scene;
    let card = &mut cards[number as usize];
    if now_ms >= card.new_device_ms {
        card.new_device_ms = after_days(now_ms, draw.exponential(DEVICE_DAYS));
        card.online_devices[draw.below(2) as usize] = devices.new_device();
    }
    if now_ms >= card.trip.until_ms {
        let from_ms = after_days(now_ms, draw.exponential(HOME_DAYS));
        let until_ms = after_days(from_ms, draw.between(TRIP_DAYS.0, TRIP_DAYS.1));
        card.trip = Trip { country: destination(draw), from_ms, until_ms };
    }
}

fn choose(card: &Card, now_ms: i64, market: &Market, draw: &mut Draw) -> u32 {
    let away = (card.trip.from_ms..card.trip.until_ms).contains(&now_ms);
    if !away && draw.chance(FAVOURITE_SHARE) {
        return card.favourite(draw);
    }
    if draw.chance(ONLINE_SHARE) {
        return market.online(draw);
    }
    market.terminal_in(if away { card.trip.country } else { card.home }, draw)
}

fn destination(draw: &mut Draw) -> u32 {
    let mut countries = Weighted::default();
    COUNTRIES.iter().zip(0..).for_each(|(country, number)| countries.add(number, country.merchants));
    countries.pick(draw).unwrap_or(0)
}

fn after_days(now_ms: i64, days: f64) -> i64 {
    now_ms.saturating_add((days * DAY_MS) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::World;

    #[test]
    fn a_card_mostly_returns_to_its_favourites_and_pays_around_its_norm() {
        let world = World { cards: 200, ..World::default() };
        let mut scene = Scene::set(&world);
        let (mut at_favourites, mut above_five_norms, mut all) = (0, 0, 0);
        for card in 0..200 {
            for _ in 0..50 {
                let draft = payment(card, world.start, &mut scene);
                let card = scene.card(card);
                at_favourites += i32::from(card.favourites.contains(&draft.merchant));
                above_five_norms += i32::from(draft.amount_minor as f64 > 5.0 * card.norm_minor);
                all += 1;
            }
        }
        assert!(at_favourites * 10 > all * 8, "{at_favourites} of {all} at favourites");
        assert!(above_five_norms * 20 < all, "{above_five_norms} of {all} far above the norm");
    }

    #[test]
    fn a_trip_ends() {
        let world = World { cards: 1, ..World::default() };
        let mut scene = Scene::set(&world);
        for day in 0..400 {
            payment(0, world.day_ms(f64::from(day)), &mut scene);
            let trip = &scene.card(0).trip;
            assert!(trip.until_ms > world.day_ms(f64::from(day)));
            assert!((trip.until_ms - trip.from_ms) as f64 <= TRIP_DAYS.1 * DAY_MS);
        }
    }
}
