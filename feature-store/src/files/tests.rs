//! The folder against a model that holds everything in maps: round trips, refusals, a full disk, random
//! histories. Crashes and damage are in `crash_tests`.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// What a folder means: equal before closing and after opening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub blobs: BTreeMap<u128, Vec<u8>>,
    pub head: Option<Vec<u8>>,
    pub streams: BTreeMap<String, Vec<u8>>,
    pub rows: Vec<Vec<u8>>,
}

/// One checkpoint's news.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// `None` forgets the key.
    pub blobs: BTreeMap<u128, Option<Vec<u8>>>,
    pub appends: Vec<(String, Vec<u8>)>,
    pub drops: Vec<String>,
}

pub(super) fn options(segment_bytes: u64, probe: Option<Probe>) -> FileOptions {
    FileOptions { journal_sync: JournalSync::Never, segment_bytes, probe }
}

/// Opens the folder and reads all there is.
pub(super) fn load(dir: &Path, options: FileOptions) -> Result<(World, u64), FilesError> {
    let (files, recovered) = Files::open(dir, options)?;
    let mut model = Model { head: recovered.head, rows: recovered.journal, ..Model::default() };
    model.streams.extend(recovered.streams);
    let mut index = BTreeMap::new();
    for (key, at) in recovered.blobs {
        let mut blob = Vec::new();
        files.read(at, &mut blob)?;
        assert_eq!(blob.len(), at.len());
        assert!(model.blobs.insert(key.0, blob).is_none(), "a key comes once");
        index.insert(key.0, at);
    }
    Ok((World { files, index, model, sparse: Vec::new() }, recovered.torn))
}

/// A folder with its owner: the index, and the model beside it.
pub(super) struct World {
    pub files: Files,
    pub index: BTreeMap<u128, Location>,
    pub model: Model,
    pub sparse: Vec<u32>,
}

impl World {
    pub(super) fn row(&mut self, row: &[u8]) {
        self.files.append_journal(row).unwrap();
        self.model.rows.push(row.to_vec());
    }

    /// Starts a checkpoint; the model becomes the new one when it is done.
    pub(super) fn start(&mut self, change: &Change) -> Result<Model, FilesError> {
        let mut next = Model { rows: Vec::new(), ..self.model.clone() };
        let head = crc32fast::hash(format!("{change:?}").as_bytes()).to_le_bytes().to_vec();
        let mut checkpoint = Checkpoint { head, ..Checkpoint::default() };
        next.head = Some(checkpoint.head.clone());
        for (key, blob) in &change.blobs {
            match blob {
                Some(blob) => {
                    checkpoint.blobs.push(BlobKey(*key), blob);
                    next.blobs.insert(*key, blob.clone());
                }
                None => {
                    checkpoint.blobs.forget(BlobKey(*key));
                    next.blobs.remove(key);
                }
            }
        }
        for name in &change.drops {
            next.streams.remove(name);
        }
        for (name, bytes) in &change.appends {
            next.streams.entry(name.clone()).or_default().extend(bytes);
        }
        (checkpoint.appends, checkpoint.drop_streams) = (change.appends.clone(), change.drops.clone());
        self.files.start_checkpoint(checkpoint)?;
        Ok(next)
    }

    /// Waits for the checkpoint and does what an owner does then. `before` rows were appended before it.
    pub(super) fn finish(&mut self, change: &Change, next: Model, before: usize) -> Result<(), FilesError> {
        let done = self.files.wait_checkpoint()?.unwrap();
        self.model = Model { rows: self.model.rows.split_off(before), ..next };
        for key in change.blobs.keys() {
            self.index.remove(key).into_iter().for_each(|at| self.files.superseded(at));
        }
        self.index.extend(done.locations.iter().map(|(key, at)| (key.0, *at)));
        self.sparse = done.sparse;
        Ok(())
    }

    pub(super) fn checkpoint(&mut self, change: &Change) -> Result<(), FilesError> {
        let before = self.model.rows.len();
        let next = self.start(change)?;
        self.finish(change, next, before)
    }

    /// The blobs in sparse segments, as they are: what an owner adds to its next checkpoint.
    pub(super) fn rewrite(&self) -> BTreeMap<u128, Option<Vec<u8>>> {
        let sparse = self.index.iter().filter(|(_, at)| self.sparse.contains(&at.segment()));
        sparse.map(|(key, _)| (*key, self.model.blobs.get(key).cloned())).collect()
    }
}

pub(super) fn put(blobs: impl IntoIterator<Item = (u128, Vec<u8>)>) -> Change {
    Change { blobs: blobs.into_iter().map(|(key, blob)| (key, Some(blob))).collect(), ..Change::default() }
}

/// Names and contents of all files but the lock.
pub(super) fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &std::fs::DirEntry| entry.file_name().into_string().unwrap();
    files
        .map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap()))
        .filter(|(n, _)| n != "LOCK")
        .collect()
}

pub(super) fn segment_count(dir: &Path) -> usize {
    contents(dir).keys().filter(|name| name.starts_with("segment-")).count()
}

#[test]
fn an_empty_folder_opens_empty_and_again() {
    let dir = TempDir::new().unwrap();
    for _ in 0..2 {
        let (world, torn) = load(dir.path(), options(1000, None)).unwrap();
        assert_eq!((world.model, torn), (Model::default(), 0));
    }
}

#[test]
fn many_checkpoints_come_back_and_sparse_segments_go() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(2000, None)).unwrap();
    for round in 0..120_u8 {
        world.row(&[round; 9]);
        // Ten keys change every time, one never again.
        let mut change = put((0..10).map(|key| (key, vec![round; 40])));
        change.blobs.insert(1000 + u128::from(round), Some(vec![round; 5]));
        change.blobs.extend(world.rewrite());
        change.appends.push((format!("ids-{}", round / 10), vec![round; 3]));
        change.drops.extend((round >= 30 && round % 10 == 0).then(|| format!("ids-{}", round / 10 - 3)));
        world.checkpoint(&change).unwrap();
        world.row(b"after");
        if round % 7 == 0 {
            let (sparse, model) = (world.sparse.clone(), world.model.clone());
            let (total, alive) = world.files.segment_bytes();
            drop(world);
            (world, _) = load(dir.path(), options(2000, None)).unwrap();
            assert_eq!(world.model, model);
            assert!(world.files.segment_bytes().0 <= total);
            assert_eq!(world.files.segment_bytes().1, alive, "the owner's reports and recovery count alike");
            world.sparse = sparse;
        }
    }
    assert_eq!(world.model.blobs.len(), 130);
    assert_eq!(world.model.streams.len(), 3);
    let (total, alive) = world.files.segment_bytes();
    assert!(segment_count(dir.path()) <= 14, "{} segments", segment_count(dir.path()));
    assert!(alive < total && total < 14 * 4000, "{alive} of {total} bytes alive");
}

#[test]
fn a_forgotten_key_stays_forgotten_when_its_last_blob_is_dropped_with_its_segment() {
    let dir = TempDir::new().unwrap();
    let open = || load(dir.path(), options(1, None)).unwrap().0;
    let mut world = open();
    world.checkpoint(&put([(1, b"old".to_vec()), (2, vec![7; 900])])).unwrap();
    world.checkpoint(&put([(1, b"new".to_vec())])).unwrap();
    world.checkpoint(&Change { blobs: [(1, None)].into(), ..Change::default() }).unwrap();
    for _ in 0..3 {
        world.checkpoint(&Change::default()).unwrap();
    }
    // Left: the first with key 2, the one that says that key 1 is gone, the current one.
    assert_eq!(segment_count(dir.path()), 3);
    drop(world);
    let mut world = open();
    assert_eq!(world.model.blobs.keys().copied().collect::<Vec<_>>(), [2]);
    world.checkpoint(&put([(2, vec![8; 10])])).unwrap();
    world.checkpoint(&Change::default()).unwrap();
    world.checkpoint(&Change::default()).unwrap();
    assert_eq!(segment_count(dir.path()), 2);
}

#[test]
fn news_of_forgotten_keys_does_not_pile_up_behind_an_old_segment() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(1, None)).unwrap();
    world.checkpoint(&put([(0, vec![7; 900])])).unwrap();
    for key in 1..40 {
        let mut change = put([(key, vec![1; 200])]);
        change.blobs.insert(key - 1, None);
        change.blobs.insert(0, Some(vec![7; 900]));
        if key > 1 && !world.sparse.contains(&world.index[&0].segment()) {
            change.blobs.remove(&0);
        }
        world.checkpoint(&change).unwrap();
        assert!(segment_count(dir.path()) < 12, "{} segments", segment_count(dir.path()));
    }
}

#[test]
fn what_stands_behind_the_last_checkpoint_is_cut_by_the_next() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(1000, None)).unwrap();
    let change = Change { appends: vec![("ids".into(), vec![1; 10])], ..put([(1, vec![1; 10])]) };
    world.checkpoint(&change).unwrap();
    for name in ["segment-1.seg", "stream-ids.log"] {
        let bytes = [&contents(dir.path())[name][..], &[0xF7; 5000]].concat();
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    world.checkpoint(&change).unwrap();
    let model = world.model.clone();
    drop(world);
    let (world, torn) = load(dir.path(), options(1000, None)).unwrap();
    assert_eq!((world.model, torn), (model, 0));
}

#[test]
fn a_frame_is_found_wherever_it_stands() {
    use std::os::unix::fs::FileExt;
    let mut row = Vec::new();
    frame::begin(&mut row);
    row.extend_from_slice(b"a row");
    frame::seal(&mut row, frame::Kind::Row);
    // Frames are looked for in pieces of 1 MiB.
    for at in [0, 1, (1 << 20) - 4, (1 << 20) - 3, (1 << 20) - 2, (1 << 20) - 1, 1 << 20] {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&row, at).unwrap();
        file.write_all_at(&[0; 3], at + row.len() as u64).unwrap();
        assert_eq!(frame::find(&file, 0, frame::Kind::Row).unwrap(), Some(at));
        assert_eq!(frame::find(&file, at + 1, frame::Kind::Row).unwrap(), None);
        assert_eq!(frame::find(&file, 0, frame::Kind::Head).unwrap(), None);
    }
}

#[test]
fn a_second_owner_is_refused_with_the_pid_of_the_first() {
    let dir = TempDir::new().unwrap();
    let first = Files::open(dir.path(), FileOptions::default()).unwrap();
    let error = Files::open(dir.path(), FileOptions::default()).err().unwrap();
    let pid = std::process::id();
    assert!(matches!(error, FilesError::InUse { pid: Some(found), .. } if found == pid));
    let expected = format!("is in use by process {pid}; one process owns an embedded store");
    assert!(error.to_string().ends_with(&expected), "{error}");
    drop(first);
    Files::open(dir.path(), FileOptions::default()).unwrap();
}

#[test]
fn a_newer_format_is_refused_and_a_missing_one_is_damage() {
    let dir = TempDir::new().unwrap();
    let format = dir.path().join("FORMAT");
    drop(load(dir.path(), options(1000, None)).unwrap());
    let text = std::fs::read_to_string(&format).unwrap();
    std::fs::write(&format, text.replace('1', "2")).unwrap();
    let error = Files::open(dir.path(), options(1000, None)).err().unwrap();
    assert!(error.to_string().ends_with("was written by a newer version (format 2, this is 1)"), "{error}");
    for text in ["", "format 1"] {
        std::fs::write(&format, text).unwrap();
        assert!(matches!(Files::open(dir.path(), options(1000, None)), Err(FilesError::Damaged { .. })));
    }
    std::fs::remove_file(&format).unwrap();
    assert!(matches!(Files::open(dir.path(), options(1000, None)), Err(FilesError::Damaged { .. })));
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is() {
    let dir = TempDir::new().unwrap();
    let (mut world, _) = load(dir.path(), options(1000, None)).unwrap();
    for name in ["", "A", "a/b", "..", "a_b"] {
        let change = Change { appends: vec![(name.to_owned(), vec![1])], ..Change::default() };
        assert!(matches!(world.start(&change), Err(FilesError::StreamName { .. })), "{name:?}");
    }
    let both = Change { appends: vec![("a".into(), vec![1])], drops: vec!["a".into()], ..Change::default() };
    assert!(matches!(world.start(&both), Err(FilesError::StreamName { .. })));
    let large = vec![0; frame::MAX_PAYLOAD];
    assert!(matches!(world.files.append_journal(&large), Err(FilesError::TooLarge { .. })));
    let mut checkpoint = Checkpoint::default();
    checkpoint.blobs.push(BlobKey(1), &large);
    assert!(matches!(world.files.start_checkpoint(checkpoint), Err(FilesError::TooLarge { .. })));
    let mut checkpoint = Checkpoint { head: large, ..Checkpoint::default() };
    checkpoint.blobs.push(BlobKey(1), &[1; 100]);
    world.files.start_checkpoint(checkpoint).unwrap();
    assert!(matches!(world.start(&Change::default()), Err(FilesError::Busy)));
    assert!(matches!(world.files.wait_checkpoint(), Err(FilesError::TooLarge { .. })));
    assert!(contents(dir.path())["segment-1.seg"].is_empty(), "a failed checkpoint gives its space back");
    world.row(b"row");
    world.checkpoint(&put([(1, vec![1])])).unwrap();
    assert!(world.files.poll_checkpoint().is_none());
}

/// A small file system of its own, unmounted at the end; `None` without the right to mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(dir))
    }

    /// Fills the disk but for less than a page.
    fn fill(&self) {
        let mut ballast = std::fs::OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        while std::io::Write::write_all(&mut ballast, &[0; 4096]).is_ok() {}
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_fails_writes_and_damages_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    };
    let dir = disk.0.path().join("store");
    let (mut world, _) = load(&dir, options(20_000, None)).unwrap();
    world.row(b"before");
    world
        .checkpoint(&Change { appends: vec![("ids".into(), vec![1; 100])], ..put([(1, vec![1; 5000])]) })
        .unwrap();
    for round in 0..3_u8 {
        world.row(b"while there is room");
        disk.fill();
        let failed = (0..100).find_map(|_| match world.files.append_journal(&[round; 3000]) {
            Ok(()) => {
                world.model.rows.push(vec![round; 3000]);
                None
            }
            Err(error) => Some(error),
        });
        assert!(matches!(failed, Some(FilesError::Full { .. })), "{failed:?}");
        let change =
            Change { appends: vec![("ids".into(), vec![round; 9000])], ..put([(2, vec![round; 9000])]) };
        let before = world.model.rows.len();
        let next = world.start(&change).unwrap();
        assert!(matches!(world.files.wait_checkpoint(), Err(FilesError::Full { .. })));
        let (copy, _copied) = copy(&dir, options(20_000, None));
        assert_eq!(copy.model, world.model, "what was durable when the disk was full");
        std::fs::remove_file(disk.ballast()).unwrap();
        world.row(b"room again");
        if round != 1 {
            assert!(world.start(&change).unwrap() == next);
            world.finish(&change, next, before + 1).unwrap();
        }
        let model = world.model.clone();
        drop(world);
        let torn;
        (world, torn) = load(&dir, options(20_000, None)).unwrap();
        assert_eq!((&world.model, torn), (&model, 0));
    }
}

/// Copies the folder elsewhere and opens the copy.
fn copy(dir: &Path, options: FileOptions) -> (World, TempDir) {
    let copy = TempDir::new().unwrap();
    for (name, bytes) in contents(dir) {
        std::fs::write(copy.path().join(name), bytes).unwrap();
    }
    (load(copy.path(), options).unwrap().0, copy)
}

#[derive(Clone, Debug)]
enum Op {
    Row(Vec<u8>),
    Checkpoint(Change),
    RowsWhile(Change, u8),
    Reopen,
}

fn change() -> impl Strategy<Value = Change> {
    let blob = proptest::option::weighted(0.8, proptest::collection::vec(any::<u8>(), 0..60));
    let blobs = proptest::collection::btree_map((0..12_u8).prop_map(u128::from), blob, 0..6);
    let name = |n: u8| format!("s-{n}");
    let appends = proptest::collection::vec((0..3_u8, proptest::collection::vec(any::<u8>(), 0..20)), 0..3);
    (blobs, appends, proptest::option::of(0..4_u8)).prop_map(move |(blobs, appends, dropped)| Change {
        blobs,
        appends: appends
            .into_iter()
            .filter(|(n, _)| Some(*n) != dropped)
            .map(|(n, b)| (name(n), b))
            .collect(),
        drops: dropped.map(name).into_iter().collect(),
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..50).prop_map(Op::Row),
        3 => change().prop_map(Op::Checkpoint),
        1 => (change(), 0..4_u8).prop_map(|(change, rows)| Op::RowsWhile(change, rows)),
        1 => Just(Op::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_comes_back(ops in proptest::collection::vec(op(), 1..40), segment_bytes in 1..1500_u64) {
        let dir = TempDir::new().unwrap();
        let (mut world, _) = load(dir.path(), options(segment_bytes, None)).unwrap();
        for op in ops.into_iter().chain([Op::Reopen]) {
            match op {
                Op::Row(row) => world.row(&row),
                Op::Checkpoint(mut change) => {
                    let mut blobs = world.rewrite();
                    blobs.append(&mut change.blobs);
                    change.blobs = blobs;
                    world.checkpoint(&change).unwrap();
                }
                Op::RowsWhile(change, rows) => {
                    let before = world.model.rows.len();
                    let next = world.start(&change).unwrap();
                    (0..rows).for_each(|row| world.row(&[row]));
                    world.finish(&change, next, before).unwrap();
                }
                Op::Reopen => {
                    let model = world.model.clone();
                    drop(world);
                    let torn;
                    (world, torn) = load(dir.path(), options(segment_bytes, None)).unwrap();
                    prop_assert_eq!(&world.model, &model);
                    prop_assert_eq!(torn, 0);
                }
            }
        }
    }
}
