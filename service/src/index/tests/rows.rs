//! Rows, ids, fences and days.

use super::*;

#[test]
fn a_decision_comes_back_with_equal_bits() {
    let world = World::new();
    let mut odd = decision(7, DAY * DAY_MS);
    odd.score = Some(f64::from_bits(0x3fb9_9999_9999_999b));
    odd.entities[0].key = "ключ \u{202e}".to_owned();
    odd.reasons[0].value = Some(-0.0);
    let decisions = [decision(1, DAY * DAY_MS), odd.clone()];
    world.apply(0, 0, &decisions);
    let world = world.again();
    for decision in &decisions {
        let found = world.index.get(&decision.decision_id).unwrap().unwrap();
        assert_eq!(&found, decision);
        assert_eq!(body(&found), body(decision));
    }
    assert_eq!(world.index.get("dec_none").unwrap(), None);
    assert_eq!(world.index.count(), 2);
}

#[test]
fn what_lies_below_the_fence_does_nothing_again() {
    let world = World::new();
    let decisions: Vec<_> = (0..40).map(|n| decision(n, DAY * DAY_MS + n as i64)).collect();
    world.apply(3, 100, &decisions);
    world.apply(3, 100, &decisions);
    // A batch that overlaps gives only what is new, also after a restart.
    let world = world.again();
    let more: Vec<_> = (30..50).map(|n| decision(n, DAY * DAY_MS + n as i64)).collect();
    world.apply(3, 130, &more);
    // Another partition has a fence of its own, also where nothing could be read.
    world.index.apply(1, 7, &[]).unwrap();
    let world = world.again();
    assert_eq!(world.index.fences(), BTreeMap::from([(1, 7), (3, 150)]));
    assert_eq!(world.index.count(), 50);
    assert_eq!(all(&world.index, &Query::default()), (0..50).rev().collect::<Vec<_>>());
}

#[test]
fn of_a_decision_that_was_written_twice_the_first_stays() {
    let world = World::new();
    let first = decision(1, DAY * DAY_MS);
    let twice = Decision { decided_at_ms: (DAY + 2) * DAY_MS, attempt: 2, ..first.clone() };
    world.apply(0, 0, &[first.clone(), decision(2, DAY * DAY_MS)]);
    world.apply(0, 2, &[decision(3, (DAY + 1) * DAY_MS)]);
    // A later attempt on a later day, after a restart, and twice in one batch.
    let world = world.again();
    world.apply(0, 3, &[twice.clone(), decision(4, (DAY + 2) * DAY_MS), twice]);
    assert_eq!(world.index.get(&first.decision_id).unwrap(), Some(first));
    assert_eq!(all(&world.index, &Query::default()), [4, 3, 2, 1]);
    // A first attempt that comes again a little later.
    let three = Decision { decided_at_ms: (DAY + 2) * DAY_MS, ..decision(3, 0) };
    world.apply(0, 6, &[decision(5, (DAY + 2) * DAY_MS)]);
    world.apply(0, 7, &[Decision { decided_at_ms: (DAY + 3) * DAY_MS, ..decision(5, 0) }]);
    assert_eq!(world.index.get(&three.decision_id).unwrap().unwrap().decided_at_ms, (DAY + 1) * DAY_MS);
    assert_eq!(world.index.count(), 5);
    // A first attempt that is a later one is taken like any other.
    world.apply(0, 8, &[Decision { attempt: 4, ..decision(6, (DAY + 3) * DAY_MS) }]);
    assert_eq!(world.index.count(), 6);
}

#[test]
fn days_that_are_over_go_and_the_fences_stay() {
    let world = World::new();
    for day in 0..5 {
        world.apply(0, day, &[decision(day as u64, (DAY + day) * DAY_MS + HOUR_MS)]);
    }
    world.apply(9, 0, &[]);
    let end = |day: i64| (DAY + day + 1 + 40) * DAY_MS;
    assert_eq!(world.index.forget(end(1) - 1).unwrap(), 1);
    assert_eq!(all(&world.index, &Query::default()), [4, 3, 2, 1]);
    assert_eq!(world.index.forget(end(1)).unwrap(), 1);
    assert_eq!(world.index.get(&decision_id("tx-1")).unwrap(), None);
    let world = world.again();
    assert_eq!(all(&world.index, &Query::default()), [4, 3, 2]);
    // All of them, the newest included.
    assert_eq!(world.index.forget(end(50)).unwrap(), 3);
    assert_eq!(world.index.count(), 0);
    let world = world.again();
    assert_eq!(world.index.fences(), BTreeMap::from([(0, 5), (9, 0)]));
    assert_eq!(world.index.list(&Query::default()).unwrap(), Page { decisions: Vec::new(), next: None });
}

#[test]
fn what_is_over_is_not_taken_in_and_a_wild_clock_begins_no_far_day() {
    let world = World::new();
    let now_ms = (DAY + 100) * DAY_MS;
    world.index.forget(now_ms).unwrap();
    let (old, new, wild) = (decision(1, DAY * DAY_MS), decision(2, now_ms), decision(3, i64::MAX));
    world.apply(0, 0, &[old, new, wild.clone(), decision(4, i64::MIN)]);
    assert_eq!(all(&world.index, &Query::default()), [3, 2]);
    assert_eq!(world.index.get(&wild.decision_id).unwrap(), Some(wild));
    assert_eq!(world.index.fences(), BTreeMap::from([(0, 4)]));
    // It went into tomorrow: gone when that is over.
    assert_eq!(world.index.forget(now_ms + 42 * DAY_MS).unwrap(), 1);
    assert_eq!(world.index.count(), 0);
}

#[test]
fn a_row_may_come_after_the_day_it_belongs_to() {
    let world = World::new();
    world.apply(0, 0, &[decision(1, (DAY + 3) * DAY_MS)]);
    world.apply(1, 0, &[decision(2, DAY * DAY_MS), decision(3, (DAY + 1) * DAY_MS)]);
    world.apply(0, 1, &[decision(4, (DAY + 4) * DAY_MS), decision(5, (DAY + 2) * DAY_MS)]);
    assert_eq!(all(&world.index, &Query { limit: 1, ..Query::default() }), [4, 1, 5, 3, 2]);
    assert_eq!(world.index.forget((DAY + 44) * DAY_MS).unwrap(), 1);
    assert_eq!(all(&world.index, &Query::default()), [4, 5]);
}

#[test]
fn a_fence_can_be_set_back() {
    let world = World::new();
    world.apply(0, 1_000, &[decision(1, DAY * DAY_MS)]);
    world.index.set_fence(0, 5).unwrap();
    let world = world.again();
    assert_eq!(world.index.fences(), BTreeMap::from([(0, 5)]));
    world.apply(0, 5, &[decision(2, DAY * DAY_MS)]);
    assert_eq!(world.index.count(), 2);
}

#[test]
fn rows_of_an_earlier_contract_are_read_by_it() {
    // The contract before it had `hold`: a boolean after the verdict, one byte.
    let mut old: serde_json::Value = serde_json::from_str(Contract::Decision.text()).unwrap();
    let fields = old["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "hold");
    let old = RowSchema::new(&old.to_string()).unwrap();
    let held = Decision { hold: true, ..decision(1, DAY * DAY_MS) };
    let (with, without) = (body(&held), body(&decision(1, DAY * DAY_MS)));
    let at = with.iter().zip(&without).position(|(a, b)| a != b).unwrap();
    let mut bytes = with;
    bytes.remove(at);

    let world = World::new();
    world.index.apply(0, 1, &[Row::read(0, &old, &bytes).unwrap()]).unwrap();
    // Two schemas on one day, and on the next one.
    world.apply(0, 1, &[decision(2, DAY * DAY_MS)]);
    let world = world.again();
    world.apply(0, 2, &[decision(3, (DAY + 1) * DAY_MS)]);
    assert_eq!(world.index.get(&decision_id("tx-1")).unwrap(), Some(decision(1, DAY * DAY_MS)));
    assert_eq!(all(&world.index, &Query::default()), [3, 2, 1]);
}

#[test]
fn what_this_build_cannot_read_hides_nothing_else() {
    let world = World::new();
    let mut strange = decision(2, DAY * DAY_MS);
    strange.reasons[0].code = "same".into();
    let mut bytes = body(&strange);
    let word = bytes.windows(4).position(|word| word == b"rule").unwrap();
    bytes[word..word + 4].copy_from_slice(b"star");
    let (schema, one) = (schema(), body(&decision(1, DAY * DAY_MS)));
    let rows = [Row::read(0, &schema, &one).unwrap(), Row::read(1, &schema, &bytes).unwrap()];
    world.index.apply(0, 2, &rows).unwrap();
    assert_eq!(all(&world.index, &Query::default()), [1]);
    let error = world.index.get(&strange.decision_id).unwrap_err();
    assert!(matches!(error, IndexError::Unreadable(_)), "{error}");
    // What is no decision at all is refused before.
    assert!(Row::read(2, &schema, &one[..one.len() - 1]).is_err());
    assert!(Row::read(2, &schema, b"").is_err());
}

#[test]
fn a_second_owner_is_refused() {
    let world = World::new();
    let error = DecisionIndex::open(world.dir.path(), OPTIONS).unwrap_err();
    assert!(matches!(error, IndexError::InUse(_)), "{error}");
    assert!(error.to_string().contains(&world.dir.path().display().to_string()), "{error}");
}
