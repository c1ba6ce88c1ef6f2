//! The book over its file: what is kept, what is refused, what survives.

use std::fs;

use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Payment};
use schemas::time::EventTime;
use tempfile::TempDir;

use super::*;

const CARD_NUMBER: &str = "4111111111111111";

struct World {
    folder: TempDir,
    terms: Terms,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), terms: Terms::with_entities(&["card", "device"]) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("lists.json")
    }

    fn open(&self) -> Result<ListBook, ListError> {
        ListBook::open(&self.path(), &self.terms)
    }

    fn book(&self) -> ListBook {
        self.open().unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

fn new(list: ListKind, key: &str) -> NewEntry {
    NewEntry {
        list,
        entity: "card".to_owned(),
        key: key.to_owned(),
        owner: "ana".to_owned(),
        reason: "two chargebacks".to_owned(),
        created_ms: 1_000,
        expires_ms: None,
    }
}

fn paying_with(card: &str) -> Payment {
    Payment {
        transaction_id: "tx-1".into(),
        event_time: EventTime::EPOCH,
        amount: AmountMinor::new(1).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        entities: [Some(card.into()), None].into_iter().collect(),
        fields: std::iter::empty::<FieldValue>().collect(),
        content: ContentHash(0),
    }
}

fn names(lists: &Lists, card: &str, at_ms: i64) -> Vec<String> {
    lists.matching(&paying_with(card), at_ms).iter().map(|found| found.name.to_string()).collect()
}

#[test]
fn an_entry_counts_from_the_next_snapshot_on_and_after_a_restart() {
    let world = World::new();
    let book = world.book();
    let before = book.snapshot();
    let entry = book.put(new(ListKind::Block, "c-1")).unwrap();
    assert!(before.is_empty(), "a snapshot does not change");
    assert_eq!(names(&book.snapshot(), "c-1", 0), ["block/card"]);
    book.put(new(ListKind::Allow, "c-1")).unwrap();
    drop(book);
    let book = world.book();
    assert_eq!(names(&book.snapshot(), "c-1", 0), ["block/card", "allow/card"]);
    assert!(names(&book.snapshot(), "c-2", 0).is_empty());
    assert_eq!(book.entry(&entry.id), Some(entry.clone()));
    assert_eq!(book.remove(&entry.id).unwrap(), Some(entry.clone()));
    assert_eq!(book.remove(&entry.id).unwrap(), None);
    assert_eq!(names(&book.snapshot(), "c-1", 0), ["allow/card"]);
    assert_eq!(names(&world.book().snapshot(), "c-1", 0), ["allow/card"]);
}

#[test]
fn one_key_of_one_list_has_one_entry() {
    let world = World::new();
    let book = world.book();
    let first = book.put(new(ListKind::Block, "c-1")).unwrap();
    let second = NewEntry { reason: "a third".to_owned(), created_ms: 2_000, ..new(ListKind::Block, "c-1") };
    let second = book.put(NewEntry { expires_ms: Some(3_000), ..second }).unwrap();
    assert_eq!(first.id, second.id);
    assert_eq!(book.entries(), [second]);
    assert_eq!(names(&book.snapshot(), "c-1", 2_999).len(), 1);
    assert_eq!(names(&book.snapshot(), "c-1", 3_000).len(), 0);
    book.put(NewEntry { created_ms: 500, ..new(ListKind::Block, "c-0") }).unwrap();
    let ages: Vec<_> = book.entries().iter().map(|entry| entry.created_ms).collect();
    assert_eq!(ages, [500, 2_000], "oldest first");
}

#[test]
fn no_card_number_is_kept_or_shown() {
    let world = World::new();
    let book = world.book();
    let reason = format!("see also {CARD_NUMBER}");
    let entry = NewEntry { reason, ..new(ListKind::Block, CARD_NUMBER) };
    assert!(!format!("{entry:?}").contains(CARD_NUMBER));
    let entry = book.put(entry).unwrap();
    assert_eq!(
        (entry.key.as_str(), entry.reason.as_str()),
        ("411111******1111", "see also 411111******1111")
    );
    assert!(!world.text().contains(CARD_NUMBER));
    assert!(!format!("{book:?}").contains(CARD_NUMBER));
    assert_eq!(names(&world.book().snapshot(), CARD_NUMBER, 0), ["block/card"]);
    // Another one with the same mask is another key.
    assert!(names(&book.snapshot(), "4111110000001111", 0).is_empty());
    let other = World::new();
    let elsewhere = other.book().put(new(ListKind::Block, CARD_NUMBER)).unwrap();
    assert_ne!(elsewhere.id, entry.id, "each file has its own salt");
}

#[test]
fn what_cannot_be_taken_is_refused_and_changes_nothing() {
    let world = World::new();
    let book = world.book();
    let before = world.text();
    let good = || new(ListKind::Block, "c-1");
    for (entry, wanted) in [
        (NewEntry { entity: "customer".to_owned(), ..good() }, "entity is not one of card, device"),
        (NewEntry { key: " ".to_owned(), ..good() }, "key is not a text of 1 to 256 bytes"),
        (NewEntry { key: "x".repeat(257), ..good() }, "key is not a text of 1 to 256 bytes"),
        (NewEntry { owner: String::new(), ..good() }, "owner is not a text of 1 to 100 bytes"),
        (NewEntry { reason: "x".repeat(501), ..good() }, "reason is not a text of 1 to 500 bytes"),
        (NewEntry { expires_ms: Some(1_000), ..good() }, "expires is not later than now"),
    ] {
        assert_eq!(book.put(entry).unwrap_err().to_string(), wanted);
    }
    assert_eq!(world.text(), before);
}

#[test]
fn a_file_that_is_not_whole_is_refused_and_left_as_it_is() {
    let world = World::new();
    let book = world.book();
    book.put(new(ListKind::Block, "c-1")).unwrap();
    book.put(new(ListKind::Allow, "c-2")).unwrap();
    let good = world.text();
    let first = good.split("{\"digest\":\"").nth(1).unwrap()[..64].to_owned();
    for (bad, wanted) in [
        (String::new(), "line 1, column 0"),
        ("{}".to_owned(), "line 1, column 2"),
        (good[..good.len() / 2].to_owned(), "line 1, column"),
        (good.replace("tripline-lists-1", "tripline-lists-2"), "its format is not tripline-lists-1"),
        (good.replace("\"count\":2", "\"count\":3"), "2 entries where it says 3"),
        (good.replace(&first, &first.replace(&first[..2], "zz")), "entry 0 does not fit its id"),
        (good.replace("\"salt\":\"", "\"salt\":\"0"), "its salt"),
        (good.replace("\"list\":\"allow\"", "\"list\":\"block\""), "does not fit its id"),
    ] {
        assert_ne!(bad, good, "{wanted}");
        fs::write(world.path(), &bad).unwrap();
        let error = world.open().unwrap_err();
        assert!(matches!(error, ListError::Damaged { .. }) && error.to_string().contains(wanted), "{error}");
        assert_eq!(world.text(), bad);
    }
    fs::write(world.path(), good).unwrap();
    assert_eq!(world.book().entries().len(), 2);
    // There is something, and it cannot be opened: not the same as nothing.
    fs::remove_file(world.path()).unwrap();
    std::os::unix::fs::symlink("lists.json", world.path()).unwrap();
    assert!(matches!(world.open(), Err(ListError::Io { .. })));
}

#[test]
fn a_file_that_cannot_be_written_changes_nothing() {
    let world = World::new();
    let book = world.book();
    book.put(new(ListKind::Block, "c-1")).unwrap();
    // A folder that is gone.
    let moved = world.folder.path().with_extension("moved");
    fs::rename(world.folder.path(), &moved).unwrap();
    assert!(matches!(book.put(new(ListKind::Block, "c-2")), Err(ListError::Io { .. })));
    let id = &book.entries()[0].id;
    assert!(matches!(book.remove(id), Err(ListError::Io { .. })));
    assert_eq!((book.entries().len(), book.snapshot().len()), (1, 1));
    fs::rename(&moved, world.folder.path()).unwrap();
    book.put(new(ListKind::Block, "c-2")).unwrap();
    assert_eq!(world.book().entries().len(), 2);
    let left: Vec<_> =
        fs::read_dir(world.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lists.json"], "no draft is left");
    let nowhere = world.folder.path().join("nowhere/lists.json");
    assert!(matches!(ListBook::open(&nowhere, &world.terms), Err(ListError::Io { .. })));
}

#[test]
fn the_lists_are_bounded_and_what_has_expired_makes_room() {
    let world = World::new();
    let book = world.book();
    {
        let mut locked = book.locked();
        for n in 0..MAX_ENTRIES {
            let digest = book.digester.digest("card", &n.to_string());
            let NewEntry { list, entity, key, owner, reason, created_ms, .. } = new(ListKind::Block, "x");
            let (id, expires_ms) = (id(list, &digest), (n == 0).then_some(2_000));
            let entry = ListEntry { id, list, entity, key, owner, reason, created_ms, expires_ms };
            locked.entries.insert(entry.id.clone(), Stored { entry, digest });
        }
    }
    let one_more =
        |created_ms| book.put(NewEntry { created_ms, ..new(ListKind::Block, &format!("c-{created_ms}")) });
    let error = one_more(1_999).unwrap_err();
    assert_eq!(error.to_string(), "the lists are full: 100000 entries, and none has expired");
    one_more(2_000).unwrap();
    assert!(matches!(one_more(2_001), Err(ListError::Full)));
    assert_eq!(book.snapshot().len(), MAX_ENTRIES);
    assert_eq!(names(&book.snapshot(), "c-2000", 5_000), ["block/card"]);
    let replaced = NewEntry { created_ms: 9_000, ..new(ListKind::Block, "c-2000") };
    assert_eq!(book.put(replaced).unwrap().created_ms, 9_000, "what is there can be replaced");
}
