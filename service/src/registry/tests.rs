//! The resolver over a registry that answers what it is told, when it is told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use schemas::document::Section;

use super::*;

/// What was asked, and the answers that have come.
#[derive(Default)]
struct Wire {
    asked: Vec<SchemaId>,
    answers: VecDeque<(SchemaId, Answer)>,
}

#[derive(Clone, Default)]
struct Scripted(Rc<RefCell<Wire>>);

impl SchemaSource for Scripted {
    fn request(&mut self, id: SchemaId) {
        self.0.borrow_mut().asked.push(id);
    }

    fn poll(&mut self) -> Option<(SchemaId, Answer)> {
        self.0.borrow_mut().answers.pop_front()
    }
}

/// A resolver and the other end of its wire.
struct World {
    wire: Scripted,
    schemas: Schemas<Scripted>,
}

const NEGATIVE_MS: i64 = 5_000;

impl World {
    fn new(max_schemas: usize) -> Self {
        let payment = "transaction_id = \"id\"\nevent_time = \"time\"\namount = { field = \"cents\", unit = \"minor\" }\n\
                       currency = { value = \"EUR\" }\nentities = { card = \"card\" }\n";
        let (section, sink) = Section::open("payment", payment);
        let mapping = PaymentMapping::read(section).unwrap();
        assert_eq!(sink.problems().to_string(), "");
        let wire = Scripted::default();
        let schemas = Schemas::new(wire.clone(), Arc::new(mapping), max_schemas, NEGATIVE_MS);
        Self { wire, schemas }
    }

    fn answer(&mut self, id: u32, answer: Answer) {
        self.wire.0.borrow_mut().answers.push_back((SchemaId(id), answer));
    }

    /// The ids asked for since the last call.
    fn asked(&mut self) -> Vec<u32> {
        self.wire.0.borrow_mut().asked.drain(..).map(|id| id.0).collect()
    }

    fn payment(&mut self, id: u32, now_ms: i64) -> Seen {
        match self.schemas.payment(SchemaId(id), now_ms) {
            Lookup::Ready(_) => Seen::Ready,
            Lookup::Refused(reject) => Seen::Refused(reject.code),
            Lookup::Waiting => Seen::Waiting,
        }
    }

    fn label(&mut self, id: u32, now_ms: i64) -> Seen {
        match self.schemas.label(SchemaId(id), now_ms) {
            Lookup::Ready(_) => Seen::Ready,
            Lookup::Refused(reject) => Seen::Refused(reject.code),
            Lookup::Waiting => Seen::Waiting,
        }
    }

    /// A schema looked up, asked for, answered and looked up again.
    fn met(&mut self, id: u32, now_ms: i64, answer: Answer) -> Seen {
        assert_eq!(self.payment(id, now_ms), Seen::Waiting, "{id}");
        self.answer(id, answer);
        self.payment(id, now_ms)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Ready,
    Refused(RejectCode),
    Waiting,
}

const UNKNOWN: Seen = Seen::Refused(RejectCode::SchemaUnknown);

/// A payment's schema whose card is called `card`, with these aliases.
fn payment_schema(card: &str, aliases: &str) -> Answer {
    Answer::Text(format!(
        r#"{{"type": "record", "name": "P", "fields": [
            {{"name": "id", "type": "string"}},
            {{"name": "time", "type": {{"type": "long", "logicalType": "timestamp-millis"}}}},
            {{"name": "cents", "type": "long"}},
            {{"name": "{card}", "aliases": [{aliases}], "type": "string"}}]}}"#
    ))
}

fn plain() -> Answer {
    payment_schema("card", "")
}

fn down() -> Answer {
    Answer::Unavailable("connection refused".to_owned())
}

#[test]
fn one_question_for_one_schema_however_often_it_is_met() {
    let mut world = World::new(10);
    for now_ms in 0..100 {
        assert_eq!(world.payment(1, now_ms * 1_000), Seen::Waiting);
        assert_eq!(world.label(1, now_ms * 1_000), Seen::Waiting);
    }
    assert_eq!(world.payment(2, 100_000), Seen::Waiting);
    assert_eq!(world.asked(), [1, 2]);
    world.answer(1, plain());
    // Payments of it can be decoded; of labels it has not the fields. Neither is asked again, nor waits for the other.
    assert_eq!(world.payment(1, 100_000), Seen::Ready);
    assert_eq!(world.label(1, 100_000), Seen::Refused(RejectCode::SchemaMismatch));
    assert_eq!(world.payment(1, 900_000), Seen::Ready);
    assert_eq!(world.payment(2, 900_000), Seen::Waiting);
    assert_eq!(world.asked(), Vec::<u32>::new());
    // An answer that nobody asked for, or a second one, changes nothing.
    world.answer(1, Answer::Unknown);
    world.answer(9, Answer::Unknown);
    assert_eq!(world.payment(2, 900_000), Seen::Waiting);
    assert_eq!(world.payment(1, 900_000), Seen::Ready);
    assert_eq!(world.payment(9, 900_000), Seen::Waiting);
    assert_eq!(world.asked(), [9]);
}

#[test]
fn a_label_schema_is_good_for_labels() {
    let mut world = World::new(10);
    assert_eq!(world.label(3, 0), Seen::Waiting);
    world.answer(3, Answer::Text(schemas::contract::Contract::Label.text().to_owned()));
    assert_eq!(world.label(3, 0), Seen::Ready);
    assert_eq!(world.payment(3, 0), Seen::Refused(RejectCode::SchemaMismatch));
    assert_eq!(world.asked(), [3]);
}

#[test]
fn a_schema_that_is_registered_late_heals() {
    let mut world = World::new(10);
    assert_eq!(world.met(1, 1_000, Answer::Unknown), UNKNOWN);
    assert_eq!(world.payment(1, 1_000 + NEGATIVE_MS - 1), UNKNOWN);
    assert_eq!(world.asked(), [1]);
    assert_eq!(world.met(1, 1_000 + NEGATIVE_MS, plain()), Seen::Ready);
    assert_eq!(world.asked(), [1]);
    // What is registered but no Avro is refused for as long, and no longer.
    for text in ["{}", "syntax = \"proto3\";", "{\"type\": \"object\"}"] {
        let (mut world, refused) = (World::new(10), Seen::Refused(RejectCode::SchemaRefused));
        assert_eq!(world.met(2, 0, Answer::Text(text.to_owned())), refused);
        assert_eq!(world.payment(2, NEGATIVE_MS - 1), refused);
        assert_eq!(world.met(2, NEGATIVE_MS, plain()), Seen::Ready);
    }
}

#[test]
fn a_registry_that_is_down_is_asked_less_and_less_often_and_blocks_nothing_known() {
    let mut world = World::new(10);
    assert_eq!(world.met(1, 0, plain()), Seen::Ready);
    assert_eq!(world.schemas.blocked(), None);
    assert_eq!(world.payment(2, 0), Seen::Waiting);
    assert_eq!(world.schemas.blocked().as_deref(), Some("schema 2 was asked for"));
    world.asked();
    let mut at_ms = 0;
    for pause_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000] {
        world.answer(2, down());
        assert_eq!(world.payment(2, at_ms), Seen::Waiting);
        assert_eq!(world.payment(2, at_ms + pause_ms - 1), Seen::Waiting);
        assert_eq!(world.asked(), Vec::<u32>::new(), "asked before {pause_ms} ms");
        at_ms += pause_ms;
        assert_eq!(world.payment(2, at_ms), Seen::Waiting);
        assert_eq!(world.asked(), [2], "not asked after {pause_ms} ms");
        let why = "the registry does not answer for schema 2: connection refused";
        assert_eq!(world.schemas.blocked().as_deref(), Some(why));
        assert_eq!(world.payment(1, at_ms), Seen::Ready);
    }
    world.answer(2, plain());
    assert_eq!(world.payment(2, at_ms), Seen::Ready);
    assert_eq!(world.schemas.blocked(), None);
    // One that is waited for is called so however long that takes,
    for _ in 0..100 {
        at_ms += 1_000;
        assert_eq!(world.payment(9, at_ms), Seen::Waiting);
        assert_eq!(world.schemas.blocked().as_deref(), Some("schema 9 was asked for"));
    }
    world.answer(9, plain());
    assert_eq!(world.payment(9, at_ms), Seen::Ready);
    // and one that no partition waits for any more is not.
    assert_eq!(world.met(3, at_ms, down()), Seen::Waiting);
    assert!(world.schemas.blocked().is_some());
    assert_eq!(world.payment(1, at_ms + FORGOTTEN_MS), Seen::Ready);
    assert!(world.schemas.blocked().is_some());
    assert_eq!(world.payment(1, at_ms + FORGOTTEN_MS + 1), Seen::Ready);
    assert_eq!(world.schemas.blocked(), None);
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_up() {
    let day_ms = 86_400_000;
    let mut world = World::new(10);
    assert_eq!(world.met(1, day_ms, Answer::Unknown), UNKNOWN);
    assert_eq!(world.met(2, day_ms, down()), Seen::Waiting);
    world.asked();
    assert_eq!(world.payment(1, 0), Seen::Waiting);
    assert_eq!(world.payment(2, 0), Seen::Waiting);
    assert_eq!(world.asked(), [1, 2]);
    assert!(world.schemas.blocked().is_some());
}

#[test]
fn the_decoder_not_used_for_longest_goes_first() {
    let mut world = World::new(3);
    for id in 1..=3 {
        assert_eq!(world.met(id, 0, plain()), Seen::Ready);
    }
    assert_eq!(world.payment(1, 0), Seen::Ready);
    assert_eq!(world.met(4, 0, plain()), Seen::Ready);
    world.asked();
    for id in [1, 3, 4] {
        assert_eq!(world.payment(id, 0), Seen::Ready, "{id}");
    }
    assert_eq!(world.schemas.known(), 3);
    assert_eq!(world.met(2, 0, plain()), Seen::Ready);
    assert_eq!(world.asked(), [2]);
    assert_eq!(world.schemas.known(), 3);
}

#[test]
fn a_million_ids_stay_bounded() {
    let mut world = World::new(100);
    assert_eq!(world.met(7, 0, plain()), Seen::Ready);
    let mut most = 0;
    for id in 1_000..1_001_000 {
        // A thousand a second; every tenth is a schema, and fits no payment.
        let now_ms = i64::from(id);
        let mismatch = Answer::Text("{\"type\": \"record\", \"name\": \"X\", \"fields\": []}".to_owned());
        let (answer, expected) = match id % 10 {
            0 => (mismatch, Seen::Refused(RejectCode::SchemaMismatch)),
            _ => (Answer::Unknown, UNKNOWN),
        };
        assert_eq!(world.met(id, now_ms, answer), expected);
        assert_eq!(world.payment(7, now_ms), Seen::Ready);
        most = most.max(world.schemas.entries.len());
    }
    assert_eq!(world.schemas.known(), 100);
    assert!((5_000..=MAX_PASSING + 100).contains(&most), "{most} entries");
    // Also when all come at once, and when the registry is down and their partitions are gone again.
    for (first, answer, every_ms) in [(2_000_000, Answer::Unknown, 0), (3_000_000, down(), 20)] {
        for id in first..first + 50_000 {
            world.met(id, i64::from(first) + i64::from(id - first) * every_ms, answer.clone());
            assert!(world.schemas.entries.len() <= MAX_PASSING + 100, "{}", world.schemas.entries.len());
        }
    }
    assert_eq!(world.schemas.known(), 100);
}

#[test]
fn a_new_schemas_alias_plans_the_old_ones_again() {
    let mut world = World::new(10);
    // Before the field was renamed to `card` it was `pan_token`: records of that schema have no card.
    assert_eq!(world.met(1, 0, payment_schema("pan_token", "")), Seen::Ready);
    let record = b"\x02a\x02\x02\x02c";
    let card = |world: &mut World| match world.schemas.payment(SchemaId(1), 0) {
        Lookup::Ready(decoder) => decoder.decode(record).unwrap().entities[0].clone(),
        _ => panic!("not ready"),
    };
    assert_eq!(card(&mut world), None);
    assert_eq!(world.met(2, 0, plain()), Seen::Ready);
    assert_eq!(card(&mut world), None);
    assert_eq!(world.met(3, 0, payment_schema("card", "\"pan_token\"")), Seen::Ready);
    assert_eq!(card(&mut world).as_deref(), Some("c"));
}
