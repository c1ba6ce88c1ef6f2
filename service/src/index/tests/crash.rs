//! Crashes and damage: what is there after them is a beginning of the topic, and the fence says how much.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// Where a child process has its index.
const FOLDER: &str = "TRIPLINE_TEST_INDEX";

/// The batch of a number: 30 decisions of one of two partitions; a day is 40 batches.
fn batch(number: i64) -> (i32, i64, Vec<Decision>) {
    let decided_at = |n: i64| DAY * DAY_MS + number * DAY_MS / 40 + n;
    let decisions = (0..30).map(|n| decision((number * 30 + n) as u64, decided_at(n))).collect();
    ((number % 2) as i32, number / 2 * 30, decisions)
}

/// Goes on from what an index's fences say, up to before a batch. Gives from where.
fn go_on(index: &DecisionIndex, to: i64) -> [i64; 2] {
    let fences = index.fences();
    let next =
        [0, 1].map(|partition| fences.get(&partition).copied().unwrap_or(0) / 30 * 2 + i64::from(partition));
    for number in (0..to).filter(|number| *number >= next[(number % 2) as usize]) {
        let (partition, from, decisions) = batch(number);
        apply(index, partition, from, &decisions);
    }
    next
}

/// That exactly the batches below the fences are there.
fn assert_beginning(index: &DecisionIndex) {
    let fences = index.fences();
    let mut expected = Vec::new();
    for (partition, next) in &fences {
        assert_eq!(next % 30, 0, "a batch is there or not");
        for number in (i64::from(*partition)..).step_by(2).take((next / 30) as usize) {
            expected.extend(batch(number).2);
        }
    }
    assert_eq!(index.count(), expected.len() as u64);
    let mut found = all(index, &Query { limit: 200, ..Query::default() });
    found.sort_unstable();
    let mut numbers: Vec<_> = expected.iter().map(number).collect();
    numbers.sort_unstable();
    assert!(found == numbers, "{} of {}, fences {fences:?}", found.len(), numbers.len());
    for decision in expected.iter().step_by(7) {
        assert_eq!(index.get(&decision.decision_id).unwrap().as_ref(), Some(decision));
    }
}

/// Not a test: what the next one kills. It says after each batch that it is indexed.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let index = DecisionIndex::open(&PathBuf::from(folder), OPTIONS).unwrap();
    let fences = index.fences();
    for number in fences.values().sum::<i64>() / 30.. {
        let (partition, from, decisions) = batch(number);
        apply(&index, partition, from, &decisions);
        println!("\nindexed {number}");
    }
}

#[test]
fn a_killed_process_loses_only_what_is_read_again() {
    let dir = TempDir::new().unwrap();
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    // Within a day, at the first batch of a process, and over the begin of new days.
    for batches in [1, 25, 1, 40, 70] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("indexed ")?.parse::<i64>().ok());
        let indexed = said.take(batches).last().expect("the child said nothing");
        child.kill().unwrap();
        child.wait().unwrap();
        let index = opened(dir.path());
        assert_beginning(&index);
        // What was said to be there is.
        assert!(index.count() >= (indexed + 1) as u64 * 30, "{indexed}");
    }
    let index = opened(dir.path());
    // More may be there than was said: the child did not wait to be heard.
    let to = index.fences().values().sum::<i64>() / 30 + 50;
    go_on(&index, to);
    assert_beginning(&index);
    assert_eq!(index.fences().values().sum::<i64>(), to * 30);
}

#[test]
fn a_day_that_was_only_begun_takes_all_fences_on() {
    let world = World::new();
    go_on(&world.index, 10);
    let World { dir, index } = world;
    drop(index);
    // As a crash between the two steps leaves it.
    let db = store::open(dir.path(), 1 << 20).unwrap();
    store::day(&db, DAY as i32 + 1).unwrap();
    drop(db);
    let world = World { index: opened(dir.path()), dir };
    assert_eq!(world.index.fences(), BTreeMap::from([(0, 150), (1, 150)]));
    world.apply(0, 150, &batch(10).2);
    let world = world.again();
    assert_eq!(world.index.fences(), BTreeMap::from([(0, 180), (1, 150)]));
    assert_beginning(&world.index);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Opens a folder that may be damaged and reads all of it: either it says so, or what is there is a beginning.
fn damaged_or_whole(dir: &Path) -> Option<String> {
    let read = || -> Result<DecisionIndex, IndexError> {
        let index = DecisionIndex::open(dir, OPTIONS)?;
        let mut query = Query { limit: 200, ..Query::default() };
        while let Some(next) = index.list(&query)?.next {
            query.after = Some(next);
        }
        for number in 0..60 {
            for decision in batch(number).2.iter().step_by(6) {
                index.get(&decision.decision_id)?;
            }
        }
        Ok(index)
    };
    match read() {
        Ok(index) => {
            assert_beginning(&index);
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn damage_is_said_or_costs_only_what_is_read_again() {
    let world = World::new();
    go_on(&world.index, 55);
    // The first day is in tables, the second one in the journal.
    drop(world.index);
    let whole = files(world.dir.path());
    let (mut said, mut lost) = (0, 0);
    for file in whole.iter().filter(|file| file.metadata().unwrap().len() > 0) {
        for part in [0, 1, 2] {
            let copy = TempDir::new().unwrap();
            for from in &whole {
                let to = copy.path().join(from.strip_prefix(world.dir.path()).unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(from, &to).unwrap();
            }
            let hurt = copy.path().join(file.strip_prefix(world.dir.path()).unwrap());
            let mut bytes = std::fs::read(&hurt).unwrap();
            // The journal's file is longer than what is in it.
            let filled = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            bytes[part * filled / 2] ^= 0x10;
            std::fs::write(&hurt, bytes).unwrap();
            match damaged_or_whole(copy.path()) {
                Some(error) => {
                    assert!(error.contains("is damaged") && error.contains("delete that folder"), "{error}");
                    said += 1;
                }
                None => lost += 1,
            }
        }
    }
    assert!(said >= 5 && lost >= 1, "{said} said, {lost} whole or shortened");
}
