//! Lists, against the stupid way: all decisions in memory, filtered and sorted.

use super::*;

/// Numbers without an end, the same in every run (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

fn holds(query: &Query, decision: &Decision) -> bool {
    let time_ms = decision.decided_at_ms;
    let of = |(name, key): &(String, String)| {
        decision.entities.iter().any(|entity| *entity.entity == *name.as_str() && entity.key == *key)
    };
    query.entity.as_ref().is_none_or(of)
        && query.verdict.is_none_or(|verdict| decision.verdict == verdict)
        && query.from_ms.is_none_or(|from| time_ms >= from)
        && query.to_ms.is_none_or(|to| time_ms < to)
        && query.min_score.is_none_or(|least| decision.score >= Some(least))
        && query.min_amount_minor.is_none_or(|least| decision.amount.minor() >= least)
        && query.alerted.is_none_or(|alerted| decision.alert_id.is_some() == alerted)
        && query.door.is_none_or(|door| decision.door == door)
}

fn query(draw: &mut Draw) -> Query {
    let mut one_in = |n: u64| draw.below(n) == 0;
    let (entity, verdict, from, to, score, amount, alerted, door) =
        (one_in(2), one_in(4), one_in(2), one_in(2), one_in(6), one_in(6), one_in(6), one_in(6));
    let time_ms = |draw: &mut Draw| DAY * DAY_MS + draw.below(4 * DAY_MS as u64) as i64;
    let card = format!("card-{}", draw.below(12));
    let merchant = format!("merchant-{}", draw.below(4));
    Query {
        entity: entity.then(|| match draw.below(2) {
            0 => ("card".to_owned(), card),
            _ => ("merchant".to_owned(), merchant),
        }),
        verdict: verdict.then(|| Verdict::ALL[draw.below(4) as usize]),
        from_ms: from.then(|| time_ms(draw)),
        to_ms: to.then(|| time_ms(draw)),
        min_score: score.then(|| draw.below(10) as f64 / 10.0),
        min_amount_minor: amount.then(|| draw.below(100) as i64),
        alerted: alerted.then(|| draw.below(2) == 0),
        door: door.then_some(Door::Rest),
        limit: 1 + draw.below(60) as usize,
        after: None,
    }
}

#[test]
fn a_list_is_what_filtering_and_sorting_everything_gives() {
    let mut draw = Draw(1);
    for round in 0..6 {
        let mut world = World::new();
        let mut decisions: Vec<Decision> = Vec::new();
        // Three partitions at their own pace over three days, with ties; in some rounds far apart.
        let mut clocks = [DAY * DAY_MS, DAY * DAY_MS + (round % 3) * DAY_MS, DAY * DAY_MS];
        let mut offsets = [0; 3];
        for _ in 0..60 {
            let partition = draw.below(3) as usize;
            let mut batch = Vec::new();
            for _ in 0..draw.below(60) {
                // From ties over steps as short as the others' to long ones.
                let most_ms = [1, 50, 200_000][draw.below(3) as usize];
                clocks[partition] += draw.below(3) as i64 * draw.below(most_ms) as i64;
                // Now and then from a clock that was set back.
                let back_ms = if draw.below(20) == 0 { draw.below(DAY_MS as u64) as i64 } else { 0 };
                batch.push(decision((decisions.len() + batch.len()) as u64, clocks[partition] - back_ms));
            }
            world.apply(partition as i32, offsets[partition], &batch);
            offsets[partition] += batch.len() as i64;
            decisions.extend(batch);
            if draw.below(20) == 0 {
                world = world.again();
            }
        }
        for _ in 0..60 {
            let query = query(&mut draw);
            let found = all(&world.index, &query);
            let times: Vec<_> = found.iter().map(|n| decisions[*n as usize].decided_at_ms).collect();
            assert!(times.is_sorted_by(|a, b| a >= b), "{query:?}: {times:?}");
            let mut found = found;
            found.sort_unstable();
            let expected = decisions.iter().filter(|decision| holds(&query, decision)).map(number);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{query:?}");
        }
    }
}

#[test]
fn a_cursor_goes_on_at_its_place_whatever_comes_in() {
    let world = World::new();
    // All in one millisecond: their order is the index's own, and lasts.
    let decisions: Vec<_> = (0..100).map(|n| decision(n, DAY * DAY_MS)).collect();
    world.apply(0, 0, &decisions);
    let query = Query { limit: 30, ..Query::default() };
    let whole = all(&world.index, &query);
    let first = world.index.list(&query).unwrap();
    let more: Vec<_> = (100..150).map(|n| decision(n, DAY * DAY_MS + (n as i64 % 2))).collect();
    world.apply(1, 0, &more);
    let world = world.again();
    let rest = all(&world.index, &Query { after: first.next, ..query.clone() });
    let found: Vec<_> = first.decisions.iter().map(number).chain(rest).collect();
    assert_eq!(found, whole);
    assert_eq!(all(&world.index, &query).len(), 150);
    // The last page says that it is the last.
    let page = world.index.list(&Query { limit: 150, ..query }).unwrap();
    assert_eq!((page.decisions.len(), page.next), (150, None));
}

#[test]
fn what_only_shares_a_hash_is_not_shown() {
    let world = World::new();
    let one = decision(1, DAY * DAY_MS);
    world.apply(0, 0, std::slice::from_ref(&one));
    // As if the hashes of another entity and another id were those of this decision's.
    let (keyspace, place) =
        (world.index.0.newest().unwrap().keyspace, key::Place { time_ms: DAY * DAY_MS, block: 0, row: 0 });
    let (_, summary) = world.index.0.newest().unwrap().block(0).unwrap().summary(0).unwrap();
    keyspace.insert(key::entity_row(key::entity("card", "other"), place), summary.bytes()).unwrap();
    keyspace.insert(key::id("other"), place.bytes()).unwrap();
    let of = |key: &str| Query { entity: Some(("card".to_owned(), key.to_owned())), ..Query::default() };
    assert_eq!(all(&world.index, &of("card-1")), [1]);
    assert_eq!(all(&world.index, &of("other")), Vec::<u64>::new());
    assert_eq!(world.index.get("other").unwrap(), None);
    assert_eq!(world.index.get(&one.decision_id).unwrap(), Some(one));
}

#[test]
fn a_filter_that_nothing_matches_ends_and_goes_on() {
    let world = World::new();
    let rows = 2 * scan::LOOK_AT_MOST as u64 + 100;
    for from in (0..rows).step_by(2_000) {
        let to = (from + 2_000).min(rows);
        let batch =
            (from..to).map(|n| Decision { alert_id: None, ..decision(n * 3, DAY * DAY_MS + n as i64) });
        world.apply(0, from as i64, &batch.collect::<Vec<_>>());
    }
    let nothing = Query { alerted: Some(true), ..Query::default() };
    for entity in [None, Some(("merchant".to_owned(), "merchant-0".to_owned()))] {
        let mut query = Query { entity, ..nothing.clone() };
        for last in [false, false, true] {
            let page = world.index.list(&query).unwrap();
            assert_eq!((page.decisions.len(), page.next.is_none()), (0, last));
            query.after = page.next;
        }
    }
    // What does match behind so many is found all the same.
    let oldest = Query { to_ms: Some(DAY * DAY_MS + 1), ..Query::default() };
    assert_eq!(all(&world.index, &oldest), [0]);
}

#[test]
fn a_limit_is_kept_within_its_bounds() {
    let world = World::new();
    let decisions: Vec<_> = (0..250).map(|n| decision(n, DAY * DAY_MS + n as i64)).collect();
    world.apply(0, 0, &decisions);
    let found = |limit| world.index.list(&Query { limit, ..Query::default() }).unwrap().decisions.len();
    assert_eq!((found(0), found(1), found(usize::MAX)), (1, 1, MOST_A_PAGE));
    let empty = Query { from_ms: Some(DAY * DAY_MS + 5), to_ms: Some(DAY * DAY_MS + 5), ..Query::default() };
    assert_eq!(all(&world.index, &empty), Vec::<u64>::new());
    let extreme = Query { from_ms: Some(i64::MIN), to_ms: Some(i64::MAX), limit: 200, ..Query::default() };
    assert_eq!(all(&world.index, &extreme).len(), 250);
    let never = Query { from_ms: Some(i64::MAX), to_ms: Some(i64::MIN), ..Query::default() };
    assert_eq!(all(&world.index, &never), Vec::<u64>::new());
}

#[test]
fn a_text_that_is_no_cursor_is_an_error() {
    let place = key::Place { time_ms: 5, block: u32::MAX, row: 0 };
    let good = Cursor(cursor::Position::new(-3, place)).to_string();
    assert_eq!(good.parse::<Cursor>().unwrap().to_string(), good);
    assert!(good.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{good}");
    let other_version = format!("B{}", &good[1..]);
    let bad = [
        "",
        "a",
        &good[1..],
        &format!("{good}A"),
        &format!("{good}=="),
        &other_version,
        "\u{0}",
        "ключ",
        "+/+/",
    ];
    for bad in bad {
        assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad}");
    }
    assert!("A".repeat(1 << 20).parse::<Cursor>().is_err());
}
