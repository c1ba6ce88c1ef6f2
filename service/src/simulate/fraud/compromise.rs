//! Compromise: cards are copied at a merchant, and the copies used there too, for about 10 days.
//!
//! Each victim is a regular: a small test first, then one to three larger payments within the day. The
//! payment carries the regular's own device, so neither card nor device looks strange. What gives it away is
//! the merchant's rate of fraud, and that is known only when the labels have come.

use super::Plan;
use crate::simulate::calendar::Draft;
use crate::simulate::event::FraudPattern;
use crate::simulate::habit::{FAVOURITE_SHARE, minor};
use crate::simulate::merchant::Channel;
use crate::simulate::rhythm::{self, DAY_MS, HOUR_MS};
use crate::simulate::scene::Scene;

/// Length of a campaign, least and most, days.
const DAYS: (f64, f64) = (8.0, 12.0);
/// Length of a campaign, average, days.
const DAYS_MEAN: f64 = 10.0;
/// No campaign is longer than this, days.
pub(super) const LONGEST_DAYS: f64 = 14.0;
/// Frauds at the merchant, as a multiple of its payments from regulars.
const FRAUDS_PER_PAYMENT: f64 = 0.8;
/// Fewer frauds a day than this at one merchant would not stand out.
const MIN_FRAUDS_PER_DAY: f64 = 2.0;
/// Larger payments that follow a victim's test, least and most.
const FOLLOWING: (u32, u32) = (1, 3);
/// Payments of a victim, average: the test and the following.
const PAYMENTS_PER_VICTIM: f64 = 3.0;
/// Time from a victim's one payment to its next, least and most.
const STEP_MS: (f64, f64) = (0.2 * HOUR_MS, 6.0 * HOUR_MS);
/// Time that victims wait, on average, for the shop's lively hours.
const WAIT_MS: f64 = HOUR_MS;
/// Amount of a test, least and most, minor units.
const TEST_MINOR: (f64, f64) = (100.0, 600.0);
/// Amount of a following payment, as a multiple of the merchant's median, least and most.
const FOLLOWING_MEDIANS: (f64, f64) = (1.5, 4.5);
/// Merchants by their payments from regulars, the busiest first: fractions between which targets lie. The
/// busiest are well guarded and would need hundreds of frauds to stand out; the quiet ones have too few cards
/// to copy.
const TARGETED: (f64, f64) = (0.02, 0.40);

/// A merchant that may be compromised.
struct Target {
    merchant: u32,
    /// Numbers of the cards that often pay here.
    regulars: Vec<u32>,
    /// While it is compromised.
    frauds_per_day: f64,
}

/// All merchants that may be compromised; at least one.
pub(super) struct Targets(Vec<Target>);

impl Targets {
    /// The targets of this scene, of which no one alone takes (much) more frauds than there are.
    pub(super) fn find(scene: &Scene, all_frauds_per_day: f64) -> Self {
        let most_per_day = all_frauds_per_day.max(MIN_FRAUDS_PER_DAY);
        let mut by_pace = paces(scene);
        by_pace.sort_by(|a, b| b.1.total_cmp(&a.1));
        let place = |share: f64| (share * by_pace.len() as f64) as usize;
        let chosen = &by_pace[place(TARGETED.0)..place(TARGETED.1).max(place(TARGETED.0) + 1)];

        let mut regulars: Vec<Vec<u32>> = vec![Vec::new(); scene.market.len()];
        for (card, number) in scene.cards.iter().zip(0..) {
            card.favourites.iter().for_each(|merchant| regulars[*merchant as usize].push(number));
        }
        let target = |&(merchant, payments_per_day): &(u32, f64)| Target {
            merchant,
            regulars: std::mem::take(&mut regulars[merchant as usize]),
            frauds_per_day: (FRAUDS_PER_PAYMENT * payments_per_day).clamp(MIN_FRAUDS_PER_DAY, most_per_day),
        };
        Self(chosen.iter().map(target).collect())
    }

    /// Payments of a campaign, average.
    pub(super) fn payments_mean(&self) -> f64 {
        DAYS_MEAN * self.0.iter().map(|target| target.frauds_per_day).sum::<f64>() / self.0.len() as f64
    }

    /// A campaign at one merchant that begins at `now_ms`.
    pub(super) fn plan(&self, now_ms: i64, scene: &mut Scene) -> Plan {
        let target = &self.0[scene.draw.below(self.0.len() as u32) as usize];
        let days = scene.draw.between(DAYS.0, DAYS.1);
        let victims = scene.draw.around(target.frauds_per_day * days / PAYMENTS_PER_VICTIM);
        let mut plan = Plan::new();
        for _ in 0..victims {
            let late_ms = days * DAY_MS * scene.draw.unit();
            target.rob(now_ms.saturating_add(late_ms as i64), scene, &mut plan);
        }
        plan
    }
}

impl Target {
    /// One victim's payments from about `from_ms` on.
    fn rob(&self, from_ms: i64, scene: &mut Scene, plan: &mut Plan) {
        let place = scene.draw.below(self.regulars.len() as u32) as usize;
        let card_number = self.regulars.get(place).copied().unwrap_or_else(|| scene.any_card());
        let Scene { market, cards, draw, .. } = scene;
        let (card, merchant) = (&cards[card_number as usize], market.merchant(self.merchant));
        let device = match merchant.channel {
            Channel::Pos => card.terminal_device,
            Channel::Online => card.online_devices[0],
        };
        let test = draw.between(TEST_MINOR.0, TEST_MINOR.1);
        let mut time_ms = rhythm::next_ms(from_ms, WAIT_MS, card.shift_ms, draw);
        let mut pay = |time_ms, amount| {
            let fraud = Some(FraudPattern::CompromisedMerchant);
            let amount_minor = minor(amount);
            plan.push((
                time_ms,
                Draft { card: card_number, merchant: self.merchant, device, amount_minor, fraud },
            ));
        };
        pay(time_ms, test);
        for _ in 0..draw.whole(FOLLOWING.0, FOLLOWING.1) {
            time_ms = time_ms.saturating_add(draw.between(STEP_MS.0, STEP_MS.1) as i64);
            pay(time_ms, merchant.median_minor() * draw.between(FOLLOWING_MEDIANS.0, FOLLOWING_MEDIANS.1));
        }
    }
}

/// Each merchant's payments from its regulars, a day.
fn paces(scene: &Scene) -> Vec<(u32, f64)> {
    let mut paces: Vec<(u32, f64)> = (0..).zip(vec![0.0; scene.market.len()]).collect();
    for card in &scene.cards {
        let per_day = FAVOURITE_SHARE * DAY_MS / card.mean_gap_ms;
        for (place, merchant) in card.favourites.iter().enumerate() {
            paces[*merchant as usize].1 += per_day * card.favourite_share(place);
        }
    }
    paces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::World;

    #[test]
    fn a_campaign_stays_at_one_merchant_for_about_ten_days_and_tests_before_it_takes() {
        let mut scene = Scene::set(&World::default());
        let targets = Targets::find(&scene, 25.0);
        let mut total = 0;
        for _ in 0..200 {
            let plan = targets.plan(0, &mut scene);
            total += plan.len();
            let merchant = plan[0].1.merchant;
            assert!(plan.iter().all(|(_, draft)| draft.merchant == merchant));
            assert!(
                plan.iter().all(|(time_ms, _)| (0.0..=LONGEST_DAYS * DAY_MS).contains(&(*time_ms as f64)))
            );
            assert!(plan.iter().all(|(_, draft)| scene.card(draft.card).favourites.contains(&merchant)));
            assert!(plan[0].1.amount_minor <= 600 && plan[1].0 > plan[0].0);
        }
        let mean = total as f64 / 200.0;
        assert!((mean / targets.payments_mean() - 1.0).abs() < 0.25, "{mean} payments a campaign");
    }

    #[test]
    fn a_world_with_one_merchant_and_one_card_has_a_target() {
        let mut scene = Scene::set(&World { cards: 1, merchants: 1, ..World::default() });
        let targets = Targets::find(&scene, 0.5);
        assert!(targets.payments_mean() <= 20.0);
        assert!(targets.plan(0, &mut scene).iter().all(|(_, draft)| draft.card == 0 && draft.merchant == 0));
    }
}
