//! Who is first with a payment, who is ahead of whom, and that nothing stays behind.

use schemas::payment::{AmountMinor, ContentHash, Currency};
use schemas::reason::EntityVersion;
use schemas::time::EventTime;

use super::*;
use crate::made::{Made, Seal};

fn payment(id: &str, card: &str, content: u64) -> Arc<Payment> {
    Arc::new(Payment {
        transaction_id: id.into(),
        event_time: EventTime::from_ms(1_000).unwrap(),
        amount: AmountMinor::new(100).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        entities: [Some(card.into()), None].into_iter().collect(),
        fields: std::iter::empty().collect(),
        content: ContentHash(content),
    })
}

pub fn made(id: &str) -> Made {
    let decision = serde_json::json!({
        "decision_id": format!("dec_{id}"), "transaction_id": id, "event_time": 1_000, "decided_at": 2_000,
        "amount_minor": 100, "currency": "EUR", "decision": "review", "score": 0.1 + 0.2,
        "features": [{"name": "n", "value": 3}, {"name": "r", "value": 3.0}, {"name": "f", "value": true},
                     {"name": "u", "value": null}],
        "door": "rest", "source_partition": -1, "source_offset": -1,
    });
    Made { decision: serde_json::from_value(decision).unwrap(), alert_rule: Some("big".into()) }
}

fn ids(ahead: &Ahead) -> Vec<Vec<String>> {
    ahead.iter().map(|list| list.iter().map(|p| p.transaction_id.to_string()).collect()).collect()
}

#[test]
fn i4_one_is_decided_once_and_the_others_wait_for_it() {
    let accepted = Accepted::default();
    let first = payment("a", "c", 1);
    assert!(matches!(accepted.begin(&first), Begin::New));
    let Begin::Same(waiting) = accepted.begin(&first) else { panic!("begun twice") };
    assert!(
        matches!(accepted.begin(&payment("a", "c", 2)), Begin::Other(_)),
        "who is right is not known yet"
    );
    assert!(matches!(*waiting.borrow(), Stage::Deciding));
    assert!(accepted.decide(&first, Arc::new(made("a"))));
    assert!(matches!(*waiting.borrow(), Stage::Decided { recorded: false, safe: false, .. }));
    accepted.kept(&first);
    assert!(matches!(*waiting.borrow(), Stage::Decided { recorded: false, safe: true, .. }));
    accepted.recorded(&first);
    assert!(matches!(*waiting.borrow(), Stage::Decided { recorded: true, .. }));
    // The stream takes it over as it stands, once.
    assert!(matches!(accepted.applied(&first), Taken::Adopted(_)));
    assert_eq!((accepted.applied(&first), accepted.open()), (Taken::Nothing, 0));
    assert!(matches!(accepted.begin(&first), Begin::Same(_)), "its decision is still told");
}

#[test]
fn i6_those_ahead_are_counted_in_their_order_until_they_are_applied() {
    let accepted = Accepted::default();
    let [a, b, c, other] =
        [("a", "x"), ("b", "x"), ("c", "x"), ("d", "y")].map(|(id, card)| payment(id, card, 1));
    for one in [&a, &b, &c, &other] {
        assert!(matches!(accepted.begin(one), Begin::New));
    }
    assert_eq!(ids(&accepted.join(&a))[0], [""; 0]);
    assert_eq!(ids(&accepted.join(&other))[0], [""; 0]);
    assert_eq!(ids(&accepted.join(&b))[0], ["a"]);
    assert_eq!(ids(&accepted.join(&b))[0], ["a"], "the second time changes nothing");
    assert_eq!(ids(&accepted.join(&c)), [vec!["a".to_owned(), "b".to_owned()], Vec::new()]);
    assert!(accepted.decide(&a, Arc::new(made("a"))));
    assert!(matches!(accepted.applied(&a), Taken::Adopted(_)));
    assert_eq!(ids(&accepted.ahead(&payment("e", "x", 1)))[0], ["b", "c"]);
    for one in [&b, &c, &other] {
        assert!(accepted.decide(one, Arc::new(made("b"))));
        accepted.applied(one);
    }
    assert!(accepted.open() == 0 && accepted.book().ahead.iter().all(HashMap::is_empty), "nothing stays");
}

#[test]
fn i11_the_stream_is_first_and_who_waits_is_told() {
    let accepted = Accepted::default();
    let one = payment("a", "c", 1);
    assert!(matches!(accepted.begin(&one), Begin::New));
    let waiting = accepted.waits(&one).unwrap();
    assert_eq!(accepted.applied(&one), Taken::Overtook);
    assert!(!accepted.decide(&one, Arc::new(made("late"))), "the stream was first");
    accepted.overtaken("a", made("a"));
    let Stage::Decided { made, recorded: true, safe: true } = waiting.borrow().clone() else {
        panic!("not told")
    };
    assert_eq!(made.decision.transaction_id, "a");
}

#[test]
fn i11_another_payment_with_an_id_that_was_decided_does_not_come_in_between() {
    let accepted = Accepted::default();
    let (one, other) = (payment("a", "c", 1), payment("a", "c", 2));
    assert!(matches!(accepted.begin(&one), Begin::New));
    assert!(!accepted.conflicts(&other), "nothing is decided yet: the stream is first");
    assert!(accepted.decide(&one, Arc::new(made("a"))));
    assert!(accepted.conflicts(&other) && !accepted.conflicts(&one));
    // And the other way round: who waits with other content is told, and may ask again as if nothing had been.
    let (one, other) = (payment("b", "c", 1), payment("b", "c", 2));
    assert!(matches!(accepted.begin(&one), Begin::New));
    let waiting = accepted.waits(&one).unwrap();
    assert_eq!(accepted.applied(&other), Taken::Nothing);
    assert!(matches!(*waiting.borrow(), Stage::Left(Left::Conflict)));
    assert!(accepted.waits(&one).is_none());
}

#[test]
fn what_is_not_decided_leaves_no_trace() {
    let accepted = Accepted::default();
    let one = payment("a", "c", 1);
    assert!(matches!(accepted.begin(&one), Begin::New));
    let waiting = accepted.waits(&one).unwrap();
    assert!(accepted.leave(&one, Left::Known(ContentHash(2))));
    assert!(accepted.open() == 0 && accepted.waits(&one).is_none());
    assert!(
        matches!(*waiting.borrow(), Stage::Left(Left::Known(ContentHash(2)))),
        "who waits is told which it was"
    );
    // One that counts for others has to be decided.
    assert!(matches!(accepted.begin(&one), Begin::New));
    accepted.join(&one);
    assert!(!accepted.leave(&one, Left::Unknown) && accepted.open() == 1);
}

#[test]
fn i4_what_the_stream_refuses_is_ahead_of_nobody_any_more() {
    let accepted = Accepted::default();
    let (one, next) = (payment("a", "c", 1), payment("b", "c", 1));
    assert!(matches!(accepted.begin(&one), Begin::New));
    assert!(accepted.decide(&one, Arc::new(made("a"))));
    accepted.refused(&payment("a", "c", 2), Left::Conflict);
    assert_eq!(ids(&accepted.ahead(&next))[0], ["a"], "another payment's record says nothing of it");
    assert!(accepted.find("dec_a").is_some_and(|(_, recorded)| !recorded));
    accepted.refused(&one, Left::Conflict);
    assert_eq!((ids(&accepted.ahead(&next))[0].len(), accepted.open()), (0, 0));
    assert!(accepted.find("dec_a").is_none() && accepted.book().decided.is_empty());
}

#[test]
fn i4_a_known_payment_that_is_met_again_takes_over_no_other_ones_decision() {
    let accepted = Accepted::default();
    let (known, other) = (payment("a", "c", 1), payment("a", "c", 2));
    assert!(matches!(accepted.begin(&other), Begin::New));
    let waiting = accepted.waits(&other).unwrap();
    assert!(accepted.decide(&other, Arc::new(made("a"))));
    accepted.met_again(&known);
    assert!(matches!(*waiting.borrow(), Stage::Left(Left::Known(ContentHash(1)))));
    assert!(accepted.open() == 0 && accepted.find("dec_a").is_none());
    // One of its own is applied with it.
    assert!(matches!(accepted.begin(&known), Begin::New) && accepted.decide(&known, Arc::new(made("a"))));
    accepted.met_again(&known);
    assert!(accepted.open() == 0 && accepted.find("dec_a").is_some());
}

#[test]
fn a_look_that_is_late_counts_nobody_else() {
    let accepted = Accepted::default();
    let (gone, next) = (payment("a", "c", 1), payment("a", "c", 1));
    assert!(matches!(accepted.begin(&gone), Begin::New) && accepted.leave(&gone, Left::Unknown));
    assert!(matches!(accepted.begin(&next), Begin::New));
    accepted.join(&gone);
    assert!(accepted.leave(&next, Left::Late) && accepted.open() == 0);
}

#[test]
fn i4_the_contents_of_late_are_known_whoever_brought_them() {
    let accepted = Accepted::default();
    let one = payment("a", "c", 1);
    assert_eq!((accepted.applied(&one), accepted.open()), (Taken::Nothing, 0));
    assert_eq!(accepted.lately(&payment("a", "c", 2)), Some(ContentHash(1)));
    assert_eq!(accepted.lately(&payment("b", "c", 1)), None);
}

#[test]
fn a_seal_opens_for_its_own_payment_and_nothing_else() {
    let (seal, other) = (Seal::new(b"key").unwrap(), Seal::new(b"another").unwrap());
    let made = made("a");
    let header = seal.close(&made, b"value").unwrap();
    assert_eq!(seal.open(&header, b"value").as_ref(), Some(&made), "to the last bit");
    assert_eq!(
        other.clone().after(b"key").open(&header, b"value"),
        Some(made.clone()),
        "the key before opens"
    );
    let ids = (0..4_000).map(|n| format!("{n:036}")).collect();
    let entity =
        EntityVersion { entity: "card".into(), key: "c".into(), version: 1, pending: ids, applied: 0 };
    let mut large = made;
    large.decision.entities = vec![entity];
    assert_eq!(seal.close(&large, b"value"), None, "what could not be opened again is not made");
    assert!(seal.open(&header, b"valu").is_none() && other.open(&header, b"value").is_none());
    for place in 0..header.len() {
        let mut changed = header.clone();
        changed[place] ^= 1;
        assert!(seal.open(&changed, b"value").is_none(), "byte {place}");
        assert!(seal.open(&header[..place], b"value").is_none(), "cut at {place}");
    }
}
