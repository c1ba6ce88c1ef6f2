//! The folder after kill -9 between any two steps, after cuts at every byte, and with flipped bits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::tests::{Change, Model, World, contents, load, options, put, segment_count};
use super::*;

type Folder = BTreeMap<String, Vec<u8>>;

fn write(folder: &Folder) -> TempDir {
    // In memory where there is such a place: thousands of folders are opened here, and syncs are not what is
    // tested.
    let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    for (name, bytes) in folder {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

/// What the folder gives; what was cut stays cut, and nothing is left over.
fn opened(folder: &Folder) -> Result<Model, FilesError> {
    let dir = write(folder);
    let (world, _) = load(dir.path(), options(300, None))?;
    let model = world.model.clone();
    drop(world);
    let streams = |name: &str| Some(name.strip_prefix("stream-")?.strip_suffix(".log")?.to_owned());
    let on_disk: Vec<_> = contents(dir.path()).keys().filter_map(|name| streams(name)).collect();
    assert_eq!(on_disk, model.streams.keys().cloned().collect::<Vec<_>>());
    let (world, torn) = load(dir.path(), options(300, None))?;
    assert_eq!((&world.model, torn), (&model, 0));
    assert_eq!(world.files.segments.len(), segment_count(dir.path()));
    Ok(model)
}

/// Folders as they were between the steps, each with the number of rows appended until then.
#[derive(Default)]
struct Trace {
    rows: Vec<Vec<u8>>,
    copies: Vec<(FileStep, Folder, usize)>,
}

/// Runs `rounds` checkpoints with rows before, during and after each; hands every copy made between two steps
/// to `check` with the model of the checkpoint that must be found in it.
fn trace(rounds: u8, mut check: impl FnMut(FileStep, &Folder, &Model)) {
    let dir = TempDir::new().unwrap();
    let shared = Arc::new(Mutex::new(Trace::default()));
    let (probed, path) = (Arc::clone(&shared), dir.path().to_owned());
    let probe: Probe = Arc::new(move |step| {
        if step != FileStep::JournalWritten {
            // Rows are appended under the same lock, so the copy holds whole ones only.
            let mut trace = probed.lock().unwrap();
            let rows = trace.rows.len();
            trace.copies.push((step, contents(&path), rows));
        }
    });
    let (mut world, _) = load(dir.path(), options(300, Some(probe))).unwrap();
    let row = |world: &mut World, row: String| {
        let mut trace = shared.lock().unwrap();
        world.row(row.as_bytes());
        trace.rows.push(row.into_bytes());
    };
    let mut first_row = 0;
    for round in 0..rounds {
        row(&mut world, format!("before {round}"));
        row(&mut world, format!("just before {round}"));
        let change = a_change(round);
        let (old, before, old_first_row) = (world.model.clone(), world.model.rows.len(), first_row);
        first_row = shared.lock().unwrap().rows.len();
        let next = world.start(&change).unwrap();
        (0..3).for_each(|i| row(&mut world, format!("during {round}.{i}")));
        world.finish(&change, next.clone(), before).unwrap();
        let (copies, rows) = {
            let mut trace = shared.lock().unwrap();
            (std::mem::take(&mut trace.copies), trace.rows.clone())
        };
        let steps: Vec<_> = copies.iter().map(|(step, ..)| *step).collect();
        assert_eq!(steps, STEPS);
        for (i, (step, folder, until)) in copies.iter().enumerate() {
            let (model, from) = if i < 3 { (&old, old_first_row) } else { (&next, first_row) };
            let expected = Model { rows: rows[from..*until].to_vec(), ..model.clone() };
            check(*step, folder, &expected);
        }
    }
}

const STEPS: [FileStep; 6] = [
    FileStep::JournalSwitched,
    FileStep::StreamsAppended,
    FileStep::BlobsWritten,
    FileStep::HeadWritten,
    FileStep::JournalsDropped,
    FileStep::Done,
];

fn a_change(round: u8) -> Change {
    let mut change = put((0..4).map(|key| (u128::from(key * (round % 3)), vec![round; 20])));
    change.blobs.insert(u128::from(100 + round), Some(vec![round; 11]));
    change.blobs.insert(u128::from(98 + round), None);
    change.appends = vec![(format!("day-{}", round / 2), vec![round; 7]), ("all".into(), vec![round; 3])];
    change.drops.extend((round >= 4).then(|| format!("day-{}", round / 2 - 2)));
    change
}

#[test]
fn a_kill_between_any_two_steps_leaves_the_old_checkpoint_or_the_new_one() {
    trace(12, |step, folder, expected| assert_eq!(&opened(folder).unwrap(), expected, "{step:?}"));
}

#[test]
fn a_kill_within_a_write_leaves_the_old_checkpoint_or_the_new_one() {
    let mut before = None;
    trace(5, |step, folder, expected| match step {
        FileStep::JournalSwitched => before = Some((folder.clone(), expected.clone())),
        // Nothing is deleted yet: with less than the whole head, it is the old checkpoint.
        FileStep::HeadWritten => {
            let (old_folder, old) = before.take().unwrap();
            let old = Model { rows: [old.rows, expected.rows.clone()].concat(), ..old };
            let last = last(folder, "segment-");
            let committed = old_folder.get(&last).map_or(0, Vec::len);
            for len in committed..folder[&last].len() {
                assert_eq!(opened(&cut(folder, &last, len)).unwrap(), old, "{last} at {len}");
            }
            assert_eq!(&opened(folder).unwrap(), expected);
        }
        _ => {}
    });
}

#[test]
fn a_journal_cut_at_any_byte_loses_no_whole_row() {
    let mut copies = 0;
    trace(3, |step, folder, expected| {
        if step != FileStep::Done && step != FileStep::BlobsWritten {
            return;
        }
        copies += 1;
        let last = last(folder, "journal-");
        for len in 0..folder[&last].len() {
            let found = opened(&cut(folder, &last, len)).unwrap();
            let whole = found.rows.len();
            let rows = expected.rows[..whole].to_vec();
            assert_eq!(found, Model { rows, ..expected.clone() }, "{last} at {len}");
            let bytes: usize = expected.rows[whole..].iter().map(|row| row.len() + 21).sum();
            let next = expected.rows[whole].len() + 21;
            assert!(folder[&last].len() - bytes <= len && len < folder[&last].len() - bytes + next);
        }
    });
    assert_eq!(copies, 6);
}

#[test]
fn rows_go_on_after_a_torn_tail() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(300, None)).unwrap();
    world.row(b"one");
    world.row(b"two, which will be torn");
    drop(world);
    let folder = contents(dir.path());
    let name = last(&folder, "journal-");
    let torn = write(&cut(&folder, &name, folder[&name].len() - 1));
    let (mut world, bytes) = load(torn.path(), options(300, None)).unwrap();
    assert_eq!(bytes, 43);
    world.row(b"three");
    let model = world.model.clone();
    assert_eq!(model.rows, [b"one".to_vec(), b"three".to_vec()]);
    drop(world);
    assert_eq!(load(torn.path(), options(300, None)).unwrap().0.model, model);
}

/// A folder at rest: some segments, some streams, journals of two epochs (a checkpoint failed), rows in both.
fn at_rest() -> (Folder, Model) {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(300, None)).unwrap();
    for round in 0..5 {
        world.row(&[round; 8]);
        world.checkpoint(&a_change(round)).unwrap();
    }
    world.row(b"a row");
    world.row(b"another");
    let too_large = Checkpoint { head: vec![0; frame::MAX_PAYLOAD], ..Checkpoint::default() };
    world.files.start_checkpoint(too_large).unwrap();
    assert!(world.files.wait_checkpoint().is_err());
    world.row(b"a row in the next epoch");
    world.row(b"the last row");
    let model = world.model.clone();
    drop(world);
    let mut folder = contents(dir.path());
    // The failed checkpoint's new segment.
    folder.retain(|name, bytes| !(name.starts_with("segment-") && bytes.is_empty()));
    let count = |prefix: &str| folder.keys().filter(|name| name.starts_with(prefix)).count();
    assert!(count("segment-") > 2 && count("stream-") > 2 && count("journal-") == 2);
    (folder, model)
}

/// Opens a folder that must be refused, and left as it was.
fn refused(folder: &Folder, what: &str) {
    let dir = write(folder);
    let result = load(dir.path(), options(300, None)).map(|(world, _)| world.model);
    assert!(matches!(result, Err(FilesError::Damaged { .. })), "{what}: {result:?}");
    assert_eq!(&contents(dir.path()), folder, "{what}: changed");
}

#[test]
fn a_flipped_bit_is_reported_or_was_in_the_last_row() {
    let (folder, model) = at_rest();
    let last = last(&folder, "journal-");
    let tail = folder[&last].len() - (b"the last row".len() + 21);
    for (name, bytes) in folder.iter().filter(|(name, _)| *name != "FORMAT") {
        for i in 0..bytes.len() {
            let mut flipped = folder.clone();
            flipped.get_mut(name).unwrap()[i] ^= 1 << (i % 8);
            if *name == last && i >= tail {
                let rows = model.rows[..model.rows.len() - 1].to_vec();
                assert_eq!(opened(&flipped).unwrap(), Model { rows, ..model.clone() }, "{name} at {i}");
            } else {
                refused(&flipped, &format!("{name} at {i}"));
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_new_checkpoint_is_reported_even_while_the_old_one_could_be_used() {
    let mut before = None;
    trace(4, |step, folder, expected| match step {
        FileStep::JournalSwitched => before = Some(expected.clone()),
        FileStep::HeadWritten => {
            let old = before.take().unwrap();
            let old = Model { rows: [old.rows, expected.rows.clone()].concat(), ..old };
            let (last, mut at_old) = (last(folder, "segment-"), usize::MAX);
            for i in 0..folder[&last].len() {
                let mut flipped = folder.clone();
                flipped.get_mut(&last).unwrap()[i] ^= 1 << (i % 8);
                match opened(&flipped) {
                    // Only the last frame can be taken for an unfinished one.
                    Ok(found) => {
                        assert_eq!(found, old, "{last} at {i}");
                        at_old = at_old.min(i);
                    }
                    Err(error) => {
                        assert!(matches!(error, FilesError::Damaged { .. }), "{error}");
                        assert!(i < at_old, "{last} at {i}, old from {at_old}");
                    }
                }
            }
            assert!(folder[&last].len() - at_old < 200, "a head, no blobs");
        }
        _ => {}
    });
}

#[test]
fn a_missing_or_shorter_file_is_reported() {
    let (folder, _) = at_rest();
    let last = last(&folder, "journal-");
    for name in folder.keys().filter(|name| **name != last) {
        let mut without = folder.clone();
        without.remove(name);
        refused(&without, &format!("{name} missing"));
        if name != "FORMAT" {
            (0..folder[name].len())
                .for_each(|len| refused(&cut(&folder, name, len), &format!("{name} at {len}")));
        }
    }
}

#[test]
fn an_older_copy_of_a_file_is_reported() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(1 << 20, None)).unwrap();
    world.checkpoint(&a_change(0)).unwrap();
    world.row(b"row");
    let old = contents(dir.path());
    world.checkpoint(&a_change(1)).unwrap();
    drop(world);
    let new = contents(dir.path());
    for name in new.keys().filter(|name| old.get(*name).is_some_and(|bytes| *bytes != new[*name])) {
        let mut mixed = new.clone();
        mixed.insert(name.clone(), old[name].clone());
        refused(&mixed, name);
    }
}

#[test]
fn a_blob_that_changes_while_open_is_refused_when_read() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(300, None)).unwrap();
    world.checkpoint(&put([(1, vec![1; 50])])).unwrap();
    let path = dir.path().join("segment-1.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    assert!(matches!(world.files.read(world.index[&1], &mut out), Err(FilesError::Damaged { .. })));
}

#[test]
fn a_dead_writer_stops_checkpoints_and_leaves_a_whole_folder() {
    for at in STEPS.into_iter().skip(1) {
        let dir = TempDir::new().unwrap();
        let probe: Probe = Arc::new(move |step| assert_ne!(step, at, "on purpose"));
        let (mut world, _) = load(dir.path(), options(300, Some(probe))).unwrap();
        world.row(b"before");
        let next = world.start(&a_change(0)).unwrap();
        assert!(matches!(world.files.wait_checkpoint(), Err(FilesError::WriterDied)));
        world.row(b"after");
        assert!(matches!(world.start(&a_change(1)), Err(FilesError::WriterDied)));
        let old = world.model.clone();
        drop(world);
        let found = load(dir.path(), options(300, None)).unwrap().0.model;
        let new = Model { rows: vec![b"after".to_vec()], ..next };
        assert_eq!(found, if STEPS[..3].contains(&at) { old } else { new }, "{at:?}");
    }
}

/// Set for the process that is to be killed: the folder it works in.
const VICTIM: &str = "TRIPLINE_FILES_VICTIM";

/// Appends numbered rows for ever, says each when its append has returned, and makes checkpoints all the
/// while.
#[test]
fn victim() {
    let Ok(dir) = std::env::var(VICTIM) else { return };
    let (mut files, recovered) = Files::open(std::path::Path::new(&dir), options(4000, None)).unwrap();
    let mut at = recovered.blobs.first().map(|(_, at)| *at);
    for row in first_row(&recovered) + recovered.journal.len() as u64.. {
        if !files.checkpoint_running() {
            let mut checkpoint = Checkpoint { head: row.to_le_bytes().to_vec(), ..Checkpoint::default() };
            checkpoint.blobs.push(BlobKey(0), &row.to_le_bytes().repeat(50));
            checkpoint.appends.push(("rows".into(), row.to_le_bytes().to_vec()));
            files.start_checkpoint(checkpoint).unwrap();
        } else if let Some(done) = files.poll_checkpoint() {
            at.replace(done.unwrap().locations[0].1).into_iter().for_each(|old| files.superseded(old));
        }
        files.append_journal(&row.to_le_bytes().repeat(1 + row as usize % 9)).unwrap();
        println!("\nrow {row}");
    }
}

fn first_row(recovered: &Recovered) -> u64 {
    recovered.head.as_ref().map_or(0, |head| u64::from_le_bytes(head[..].try_into().unwrap()))
}

#[test]
fn a_killed_process_leaves_every_row_that_it_spoke_of() {
    use std::io::{BufRead, BufReader};
    let dir = TempDir::new().unwrap();
    let mut said = None;
    for round in 0..25_usize {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "files::crash_tests::victim"])
            .env(VICTIM, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let mut row =
            || lines.find_map(|line| line.strip_prefix("row ").map(|row| row.parse::<u64>().unwrap()));
        (0..1 + round * 37 % 400).for_each(|_| said = Some(row().unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        said = std::iter::from_fn(row).last().or(said);

        let (files, recovered) = Files::open(dir.path(), options(4000, None)).unwrap();
        let first = first_row(&recovered);
        for (i, row) in recovered.journal.iter().enumerate() {
            let expected = first + i as u64;
            assert_eq!(*row, expected.to_le_bytes().repeat(1 + expected as usize % 9));
        }
        let next = first + recovered.journal.len() as u64;
        assert!(said.is_some_and(|said| said < next && next <= said + 2), "said {said:?}, next is {next}");
        if recovered.head.is_some() {
            let mut blob = Vec::new();
            files.read(recovered.blobs[0].1, &mut blob).unwrap();
            assert_eq!(blob, first.to_le_bytes().repeat(50));
            assert!(recovered.streams[0].1.ends_with(&first.to_le_bytes()));
        }
    }
}

fn last(folder: &Folder, prefix: &str) -> String {
    let number = |name: &str| name.split(['-', '.']).nth(1).and_then(|n| n.parse::<u64>().ok());
    folder.keys().filter(|name| name.starts_with(prefix)).max_by_key(|name| number(name)).unwrap().clone()
}

fn cut(folder: &Folder, name: &str, len: usize) -> Folder {
    let mut folder = folder.clone();
    folder.get_mut(name).unwrap().truncate(len);
    folder
}
