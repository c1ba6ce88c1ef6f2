//! What holds for the stream as a whole.

use std::collections::{HashMap, HashSet};

use super::rhythm::DAY_MS;
use super::*;

fn small(seed: u64) -> World {
    World { seed, cards: 500, merchants: 200, payments_per_day: 2_000.0, ..World::default() }
}

/// The events of the first days.
fn days(world: World, days: f64) -> Vec<SimulatedEvent> {
    let end_ms = world.day_ms(days);
    Simulation::new(world).take_while(|event| event.time_ms() < end_ms).collect()
}

fn payments(events: &[SimulatedEvent]) -> impl Iterator<Item = &SimulatedPayment> {
    events.iter().filter_map(|event| match event {
        SimulatedEvent::Payment(payment) => Some(payment),
        SimulatedEvent::Label(_) => None,
    })
}

fn labels(events: &[SimulatedEvent]) -> impl Iterator<Item = &SimulatedLabel> {
    events.iter().filter_map(|event| match event {
        SimulatedEvent::Payment(_) => None,
        SimulatedEvent::Label(label) => Some(label),
    })
}

#[test]
fn the_same_world_gives_the_same_events_and_another_seed_gives_others() {
    assert_eq!(days(small(1), 12.0), days(small(1), 12.0));
    let ids =
        |seed| payments(&days(small(seed), 2.0)).map(|p| p.transaction_id.clone()).collect::<HashSet<_>>();
    assert!(ids(1).is_disjoint(&ids(2)));
    assert_ne!(days(small(1), 1.0).len(), days(small(2), 1.0).len());
}

#[test]
fn time_ascends_from_the_start_on() {
    let world = small(3);
    let events = days(world.clone(), 30.0);
    assert!(events[0].time_ms() >= world.start);
    assert!(events.windows(2).all(|pair| pair[0].time_ms() <= pair[1].time_ms()));
}

#[test]
fn every_day_of_the_first_weeks_has_its_payments() {
    let world = small(4);
    let mut per_week = [0; 4];
    for payment in payments(&days(world.clone(), 28.0)) {
        per_week[((payment.event_time_ms - world.start) as f64 / (7.0 * DAY_MS)) as usize] += 1;
    }
    for count in per_week {
        assert!((13_000..15_000).contains(&count), "{per_week:?}");
    }
}

#[test]
fn transaction_ids_are_unique_and_a_label_follows_its_payment() {
    let mut seen = HashMap::new();
    for event in days(small(5), 40.0) {
        match event {
            SimulatedEvent::Payment(payment) => {
                assert!(payment.amount_minor > 0);
                assert_eq!(seen.insert(payment.transaction_id, payment.event_time_ms), None);
            }
            SimulatedEvent::Label(label) => {
                let paid_ms = seen.get(&label.transaction_id).copied();
                assert!(paid_ms < Some(label.label_time_ms) && paid_ms.is_some(), "{label:?}");
            }
        }
    }
}

#[test]
fn over_sixty_days_half_to_one_percent_is_fraud_and_each_pattern_has_its_part() {
    for world in [World::default(), small(6), small(7)] {
        let events = days(world, 60.0);
        let all = payments(&events).count() as f64;
        let mut total = 0.0;
        for pattern in FraudPattern::ALL {
            let share =
                payments(&events).filter(|payment| payment.fraud == Some(pattern)).count() as f64 / all;
            assert!((0.001..0.004).contains(&share), "{}: {share}", pattern.as_str());
            total += share;
        }
        assert!((0.005..0.01).contains(&total), "{total}");
    }
}

#[test]
fn labels_tell_most_of_the_truth_and_are_corrected_rarely() {
    let events = days(World::default(), 60.0);
    let truth: HashMap<_, _> =
        payments(&events).map(|p| (p.transaction_id.as_str(), p.fraud.is_some())).collect();
    let mut last_word = HashMap::new();
    let mut corrections = 0;
    for label in labels(&events) {
        let before = last_word.insert(label.transaction_id.as_str(), (label.fraud, label.source));
        let corrects = |(fraud, source)| fraud && !label.fraud && source != label.source;
        corrections += i32::from(before.is_some_and(corrects));
    }
    assert!((30..300).contains(&corrections), "{corrections} corrections");
    let known = truth.iter().filter(|(id, fraud)| **fraud && last_word.contains_key(*id)).count();
    let frauds = truth.values().filter(|fraud| **fraud).count();
    assert!(known * 10 > frauds * 8 && known < frauds, "{known} of {frauds} frauds known");
    let wrong = last_word.iter().filter(|(id, (fraud, _))| truth[*id] != *fraud).count();
    assert!(wrong * 100 < last_word.len(), "{wrong} of {} wrong at the end", last_word.len());
}

#[test]
fn a_compromised_merchant_shows_in_its_own_rate_of_fraud_within_days() {
    let world = World::default();
    let mut frauds_by_day: HashMap<(String, i64), (u32, u32)> = HashMap::new();
    for payment in payments(&days(world.clone(), 60.0)) {
        let day = (payment.event_time_ms - world.start).div_euclid(5 * DAY_MS as i64);
        let (all, frauds) = frauds_by_day.entry((payment.merchant_id.clone(), day)).or_default();
        *all += 1;
        *frauds += u32::from(payment.fraud == Some(FraudPattern::CompromisedMerchant));
    }
    let stand_out = frauds_by_day.values().filter(|(all, frauds)| *frauds >= 5 && frauds * 5 >= *all);
    assert!(stand_out.count() >= 30);
}

#[test]
fn no_token_passes_as_a_card_number() {
    let world = World { seed: 0x1234_5678_9012_3456, ..small(8) };
    for event in days(world, 15.0) {
        let ids = match &event {
            SimulatedEvent::Payment(p) => vec![&p.transaction_id, &p.card_id, &p.merchant_id, &p.device_id],
            SimulatedEvent::Label(label) => vec![&label.transaction_id],
        };
        for id in ids {
            let longest = id.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(longest < Some(13), "{id}");
        }
    }
}

#[test]
fn a_world_beyond_its_limits_is_moved_to_them() {
    let odd =
        World { cards: 0, merchants: 0, payments_per_day: f64::NAN, fraud_share: -1.0, ..World::default() };
    assert_eq!(Simulation::new(odd).take(50).count(), 50);
    let busy = World { cards: 1, merchants: 1, payments_per_day: f64::INFINITY, ..World::default() };
    assert_eq!(Simulation::new(busy).take(1_000).count(), 1_000);
    let late = World { start: i64::MAX - 1, ..small(9) };
    assert_eq!(Simulation::new(late).take(50).count(), 50);
}

#[test]
fn a_world_without_fraud_has_none() {
    let events = days(World { fraud_share: 0.0, ..small(10) }, 20.0);
    assert!(payments(&events).all(|payment| payment.fraud.is_none()));
}

#[test]
fn what_waits_in_the_calendar_does_not_grow() {
    let world = small(11);
    let mut simulation = Simulation::new(world.clone());
    let mut waiting = Vec::new();
    for day in 1..=60 {
        let end_ms = world.day_ms(f64::from(day));
        while simulation.next().is_some_and(|event| event.time_ms() < end_ms) {}
        waiting.push(simulation.calendar.len());
    }
    let most = waiting.iter().copied().max();
    assert!(most < Some(500 + 500), "{waiting:?}");
}
