//! The archive's upkeep: what it removes, what it merges, and that nobody who reads meanwhile misses a record.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::types::Value;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use batch::archive::{
    ArchiveError, ArchiveStore, Archived, Cut, Cutter, Fault, Files, KnownSchema, Place, Tended, Treatments,
    Upkeep, Verified, verify,
};

const DAY_MS: i64 = 86_400_000;
const NARROW: &str = r#"{"type": "record", "name": "N", "fields": [{"name": "a", "type": "int"}]}"#;
const WIDE: &str = r#"{"type": "record", "name": "N", "fields": [
  {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "string"], "default": null}]}"#;
const OTHER: &str = r#"{"type": "record", "name": "N", "fields": [{"name": "a", "type": "string"}]}"#;
const LARGE: Cut = Cut { records: 1_000, bytes: 1 << 20 };

struct Topic {
    store: ArchiveStore,
    _folder: tempfile::TempDir,
}

impl Topic {
    /// Four days of partition 0, a file for every three records; one of partition 1. On the second day a field comes, on
    /// the third a type changes half way.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ArchiveStore::open(folder.path().to_str().unwrap()).unwrap();
        let own = Self { store, _folder: folder };
        let known = |id, text| Arc::new(KnownSchema::new(id, text, &Treatments::default()).unwrap());
        let schemas = [known(1, NARROW), known(2, WIDE), known(3, OTHER)];
        let mut cutter = Cutter::new("t", 0, Cut { records: 3, bytes: 1 << 20 }, 0);
        for offset in 0..40 {
            let which = match offset {
                14.. if (25..30).contains(&offset) => 2,
                14.. => 1,
                _ => 0,
            };
            let record = Archived {
                offset,
                timestamp_ms: offset / 10 * DAY_MS,
                value: value(which, offset),
                body_from: 0,
                schema: Some(Arc::clone(&schemas[which])),
                made: None,
            };
            if let Some(finished) = cutter.push(record).unwrap() {
                own.store.finish(&finished).unwrap();
            }
        }
        own.store.finish(&cutter.finish().unwrap().unwrap()).unwrap();
        let mut other = Cutter::new("t", 1, LARGE, 7);
        let value = b"nothing".to_vec();
        other
            .push(Archived { offset: 7, timestamp_ms: 0, value, body_from: 0, schema: None, made: None })
            .unwrap();
        own.store.finish(&other.finish().unwrap().unwrap()).unwrap();
        own
    }

    fn tend(&self, upkeep: Upkeep) -> Result<Tended, ArchiveError> {
        let mut tended = Tended::default();
        upkeep.tend(&self.store, "t", &mut tended).map(|()| tended)
    }

    /// Offsets and values of a partition, in the order in which they are read.
    fn read(&self, partition: i32) -> Vec<(i64, String)> {
        let mut files = Files::of(&self.store, "t", None).unwrap().remove(&partition).unwrap();
        let mut all = Vec::new();
        while let Some((_, batch)) = files.next_batch().unwrap() {
            let offsets = batch.column_by_name("_offset").unwrap().as_primitive::<Int64Type>().clone();
            let hashes = batch.column_by_name("_value_sha256").unwrap().as_string::<i32>().clone();
            let shown = |row: usize| {
                let own = batch.columns().iter().skip(8).map(|column| format!("{:?}", column.slice(row, 1)));
                let own: Vec<_> = own.filter(|text| !text.contains("null")).collect();
                format!("{} {own:?}", hashes.value(row))
            };
            all.extend((0..batch.num_rows()).map(|row| (offsets.value(row), shown(row))));
        }
        all
    }

    fn verified(&self) -> Verified {
        let mut verified = Verified::default();
        verify(&self.store, "t", &mut verified).unwrap();
        verified
    }

    fn places(&self) -> Vec<Place> {
        self.store.places("t").unwrap()
    }
}

fn value(which: usize, offset: i64) -> Vec<u8> {
    let fields = match which {
        0 => vec![("a".to_owned(), Value::Int(offset as i32))],
        1 => {
            let b = Value::Union(1, Box::new(Value::String(format!("b{offset}"))));
            vec![("a".to_owned(), Value::Long(offset)), ("b".to_owned(), b)]
        }
        _ => vec![("a".to_owned(), Value::String(format!("a{offset}")))],
    };
    let schema = Schema::parse_str([NARROW, WIDE, OTHER][which]).unwrap();
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(Value::Record(fields)).unwrap()
}

fn upkeep(before_day: Option<i64>, now_day: i64) -> Upkeep {
    let before_ms = before_day.map(|day| day * DAY_MS);
    Upkeep { before_ms, now_ms: now_day * DAY_MS, cut: LARGE, is_dry: false }
}

fn bounds(places: &[Place], partition: i32) -> Vec<(i64, i64)> {
    places
        .iter()
        .filter(|place| place.partition == partition)
        .map(|place| (place.first, place.last))
        .collect()
}

#[test]
fn small_files_of_a_day_become_one_and_a_reader_sees_the_same_at_every_moment() {
    let topic = Topic::new();
    let before = topic.read(0);
    assert_eq!(before.len(), 40);
    assert_eq!(topic.verified().faults, []);

    let dry = topic.tend(Upkeep { is_dry: true, ..upkeep(None, 3) }).unwrap();
    assert_eq!((dry.merged.len(), dry.replaced.len()), (4, 0), "{dry:?}");
    assert_eq!(bounds(&topic.places(), 0).len(), 16, "a dry run changes nothing");

    // The fourth day is not over.
    let done = topic.tend(upkeep(None, 3)).unwrap();
    assert_eq!(done, dry);
    let merged = [(0, 9), (10, 19), (20, 24), (25, 29)];
    assert_eq!(bounds(&topic.places(), 0)[..4], merged, "what does not go together stays apart");
    assert_eq!(topic.read(0), before, "beside the files that it replaces");
    assert_eq!(topic.verified().faults, []);

    let after = topic.tend(upkeep(None, 3)).unwrap();
    assert_eq!((after.merged.len(), after.replaced.len()), (0, 12), "{after:?}");
    assert_eq!(topic.read(0), before, "and alone");
    let verified = topic.verified();
    assert_eq!((verified.faults, verified.records), (vec![], 41));
    assert_eq!(topic.tend(upkeep(None, 3)).unwrap(), Tended::default(), "nothing is left to do");
}

#[test]
fn it_is_the_same_wherever_it_was_broken_off() {
    let topic = Topic::new();
    let before = topic.read(0);
    topic.tend(upkeep(None, 3)).unwrap();
    // As if it had died between a merged file and its manifest, and between a manifest and its file.
    let places = topic.places();
    topic.store.remove(&places[0].manifest()).unwrap();
    topic.store.remove("t/dt=1970-01-02/part=0/_0-10-12.json").unwrap();
    let done = topic.tend(upkeep(None, 3)).unwrap();
    assert!(!done.replaced.iter().any(|path| path.contains("1970-01-01")), "it is not finished: {done:?}");
    assert_eq!(topic.store.adopt("t").unwrap()[&0], 40, "the archiver finishes it");
    let done = topic.tend(upkeep(None, 3)).unwrap();
    assert_eq!(done.replaced.len(), 4, "{done:?}");
    assert_eq!(topic.read(0), before);
    assert_eq!(topic.verified().faults, []);
}

#[test]
fn old_days_go_from_the_front_and_the_newest_file_stays() {
    let topic = Topic::new();
    let before = topic.read(0);
    let done = topic.tend(upkeep(Some(2), 4)).unwrap();
    assert_eq!(done.expired.len(), 8, "{done:?}");
    assert_eq!(topic.read(0), before[20..]);
    assert_eq!(topic.verified().faults, [], "a beginning that is gone is no gap");
    assert_eq!(topic.store.holes("t").unwrap(), [(0, 0..20), (1, 0..7)]);
    let done = topic.tend(upkeep(Some(1_000), 2_000)).unwrap();
    assert!(!done.expired.is_empty());
    assert_eq!(bounds(&topic.places(), 0), [(39, 39)], "its name says where to go on");
    assert_eq!(bounds(&topic.places(), 1), [(7, 7)]);
    assert_eq!(topic.store.adopt("t").unwrap(), [(0, 40), (1, 8)].into());
}

#[test]
fn a_damaged_file_is_neither_merged_nor_removed() {
    let topic = Topic::new();
    let path = topic.places()[1].to_string();
    let bytes = topic.store.get(&path).unwrap().unwrap();
    topic.store.replace(&path, [&bytes[..], b"x"].concat().into()).unwrap();
    let refused = topic.tend(upkeep(None, 3)).unwrap_err().to_string();
    assert!(refused.contains("archive_damaged") && refused.contains(&path), "{refused}");
    topic.store.replace(&path, bytes).unwrap();
    topic.tend(upkeep(None, 3)).unwrap();
    // A larger file that has less than those that it would replace.
    let over = topic.places()[0].clone();
    let text = topic.store.get(&over.manifest()).unwrap().unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap().replace("\"records\": 10", "\"records\": 8");
    topic.store.replace(&over.manifest(), text.into()).unwrap();
    let refused = topic.tend(upkeep(None, 3)).unwrap_err().to_string();
    assert!(refused.contains("8 records of 10"), "{refused}");
    let faults = topic.verified().faults;
    assert!(faults.iter().any(|fault| matches!(fault, Fault::Overlap { .. })), "{faults:?}");
    assert!(faults.iter().any(|fault| matches!(fault, Fault::Count { .. })), "{faults:?}");
}
