//! The demo's model in a folder that changes under the watcher.

use std::fs;
use std::path::Path;
use std::time::Instant;

use models::{Facts, Golden, Manifest, Output, pack};
use tempfile::TempDir;

use super::*;

/// A folder with versions of the demo's model, its watcher, and what the watcher told.
struct World {
    models: TempDir,
    folder: ModelFolder,
    live: Live,
    stop: AtomicBool,
}

impl World {
    /// Starts with these versions, the highest of them live.
    fn with(versions: &[&str]) -> World {
        let models = tempfile::tempdir().unwrap();
        let folder = ModelFolder {
            folder: models.path().join("demo"),
            name: "demo".to_owned(),
            feature_names: Arc::new(demo().facts.features.iter().map(ToString::to_string).collect()),
            watch: Duration::from_secs(60),
            load_timeout: Duration::from_secs(30),
            seen: BTreeMap::new(),
        };
        let mut world = World { models, folder, live: Live::default(), stop: AtomicBool::new(false) };
        for version in versions {
            world.pack(version);
        }
        world.live.set(world.folder.open().ok());
        world
    }

    fn pack(&self, version: &str) {
        pack_into(self.models.path(), version);
    }

    fn file(&self, version: &str, name: &str) -> PathBuf {
        self.models.path().join("demo").join(version).join(name)
    }

    /// As many looks as it takes for everything that holds still to be tried.
    fn looks(&mut self) -> Vec<ModelEvent> {
        let mut events = Vec::new();
        for _ in 0..4 {
            self.folder.look(&self.live, &self.stop, &mut |event| events.push(event));
        }
        events
    }

    fn live(&self) -> String {
        self.live.get().map_or("none".to_owned(), |model| model.id().to_string())
    }
}

fn demo() -> Manifest {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/artifacts/demo/1");
    Manifest::read("manifest.toml", &fs::read_to_string(dir.join(MANIFEST_FILE)).unwrap()).unwrap()
}

fn pack_into(out: &Path, version: &str) {
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/artifacts/demo/1").join(ONNX_FILE);
    let manifest = demo();
    let facts = Facts { version: Version::parse(version).unwrap(), ..manifest.facts };
    let golden: Vec<_> = manifest.golden.into_iter().map(|golden| golden.inputs).collect();
    pack(&onnx, &facts, &golden, out).unwrap();
}

fn swapped(from: &str, to: &str) -> ModelEvent {
    ModelEvent::Swapped { from: Some(from.to_owned()), to: to.to_owned() }
}

/// The one refusal among the events, and its reason.
fn refused(events: &[ModelEvent], of: &str) -> String {
    match events {
        [ModelEvent::Refused { version, reason }] if version == of => reason.clone(),
        other => panic!("{other:?}"),
    }
}

fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.push(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_highest_version_that_is_good_opens_and_the_watcher_tells_of_the_others() {
    let mut world = World::with(&["2", "9", "10"]);
    assert_eq!(world.live(), "demo/10");
    assert_eq!(world.looks(), []);
    let world_10 = world.file("10", ONNX_FILE);
    spoil(&world_10);
    world.folder.seen.clear();
    world.live.set(world.folder.open().ok());
    assert_eq!(world.live(), "demo/9");
    assert!(refused(&world.looks(), "demo/10").contains("sha256"));
    assert_eq!(world.looks(), [], "once");
}

#[test]
fn a_folder_without_a_good_version_says_why_for_each() {
    let mut world = World::with(&[]);
    assert!(world.folder.open().unwrap_err().to_string().contains("no version"));
    world.pack("1");
    world.pack("2");
    spoil(&world.file("1", ONNX_FILE));
    fs::remove_file(world.file("2", MANIFEST_FILE)).unwrap();
    let problems = world.folder.open().unwrap_err();
    assert_eq!(problems.0.len(), 2);
    assert!(problems.0[0].found.contains(MANIFEST_FILE) && problems.0[1].found.contains("sha256"));
}

#[test]
fn a_higher_version_is_swapped_in_and_no_other() {
    let mut world = World::with(&["2"]);
    world.pack("1");
    world.pack("10");
    assert_eq!(world.looks(), [swapped("demo/2", "demo/10")]);
    assert_eq!(world.live(), "demo/10");
    let loaded = world.live.get().unwrap();
    fs::remove_dir_all(world.models.path().join("demo/10")).unwrap();
    world.pack("10");
    assert_eq!(world.looks(), []);
    assert!(
        Arc::ptr_eq(&loaded, &world.live.get().unwrap()),
        "other files of the same version change nothing"
    );
}

#[test]
fn a_bad_version_is_refused_once_and_the_old_one_serves_on() {
    let mut world = World::with(&["1"]);
    world.pack("2");
    spoil(&world.file("2", ONNX_FILE));
    assert!(refused(&world.looks(), "demo/2").contains("sha256"));
    assert_eq!((world.looks(), world.live()), (vec![], "demo/1".to_owned()));
    spoil(&world.file("2", ONNX_FILE));
    refused(&world.looks(), "demo/2");
    fs::remove_dir_all(world.models.path().join("demo/2")).unwrap();
    world.pack("2");
    assert_eq!(world.looks(), [swapped("demo/1", "demo/2")], "put right, it is tried again");
}

#[test]
fn a_version_that_lies_or_fails_its_golden_vectors_is_refused() {
    let mut world = World::with(&["1"]);
    world.pack("2");
    fs::rename(world.models.path().join("demo/2"), world.models.path().join("demo/3")).unwrap();
    assert!(refused(&world.looks(), "demo/3").contains("its manifest says demo/2"));
    world.pack("4");
    let path = world.file("4", MANIFEST_FILE);
    let mut manifest = Manifest::read("", &fs::read_to_string(&path).unwrap()).unwrap();
    manifest.golden.push(Golden { inputs: manifest.golden[0].inputs.clone(), score: 0.75 });
    fs::write(&path, manifest.to_toml()).unwrap();
    assert!(refused(&world.looks(), "demo/4").contains("golden["));
    world.pack("5");
    let path = world.file("5", MANIFEST_FILE);
    manifest.facts.output = Output { index: 7, column: None };
    fs::write(&path, manifest.to_toml()).unwrap();
    assert!(refused(&world.looks(), "demo/5").contains("output.index is 7"));
    assert_eq!(world.live(), "demo/1");
}

#[test]
fn a_directory_is_tried_when_it_is_whole() {
    let mut world = World::with(&["1"]);
    let elsewhere = tempfile::tempdir().unwrap();
    pack_into(elsewhere.path(), "2");
    let whole = |name: &str| fs::read(elsewhere.path().join("demo/2").join(name)).unwrap();
    fs::create_dir(world.models.path().join("demo/2")).unwrap();
    assert_eq!(world.looks(), [], "empty");
    fs::write(world.file("2", ONNX_FILE), &whole(ONNX_FILE)[..100]).unwrap();
    assert_eq!(world.looks(), [], "no manifest yet");
    fs::write(world.file("2", MANIFEST_FILE), whole(MANIFEST_FILE)).unwrap();
    // It grows from look to look: whoever copies it is not done, and nothing is said of it.
    for length in [150, 200, 250, 300] {
        fs::write(world.file("2", ONNX_FILE), &whole(ONNX_FILE)[..length]).unwrap();
        let mut events = Vec::new();
        world.folder.look(&world.live, &world.stop, &mut |event| events.push(event));
        assert_eq!(events, []);
    }
    fs::write(world.file("2", ONNX_FILE), whole(ONNX_FILE)).unwrap();
    assert_eq!(world.looks(), [swapped("demo/1", "demo/2")]);
}

#[test]
fn a_load_that_hangs_or_panics_is_given_up() {
    let (go, stop) = (AtomicBool::new(false), AtomicBool::new(true));
    let hang = || -> Result<(), String> {
        loop {
            std::thread::park();
        }
    };
    let began = Instant::now();
    let reason = in_time(Duration::from_millis(250), &go, hang).unwrap_err();
    assert_eq!(reason, "it did not load within 250ms");
    let reason = in_time(Duration::from_secs(600), &stop, hang).unwrap_err();
    assert_eq!(reason, "the service is stopping");
    let reason = in_time::<()>(Duration::from_secs(600), &go, || panic!("on purpose")).unwrap_err();
    assert_eq!(reason, "its loader panicked");
    assert!((250..300_000).contains(&began.elapsed().as_millis()));
    // What is there at the first look is taken, although the service is stopping: on a busy machine it may come later.
    assert!((0..50).any(|_| in_time(Duration::from_secs(600), &stop, || Ok(7)) == Ok(7)));
}

#[test]
fn the_watcher_swaps_and_stops_at_once() {
    let mut world = World::with(&["1"]);
    world.folder.watch = Duration::from_millis(20);
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let (folder, live, stop) = (world.folder.clone(), &world.live, &world.stop);
        let watcher = scope.spawn(move || folder.watch(live, stop, |event| tell.send(event).unwrap()));
        world.pack("2");
        assert_eq!(told.recv_timeout(Duration::from_secs(60)).unwrap(), swapped("demo/1", "demo/2"));
        world.stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    world.folder.watch = Duration::from_secs(600);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let (folder, live, stop) = (world.folder.clone(), &world.live, &world.stop);
        stop.store(false, Ordering::Relaxed);
        scope.spawn(move || folder.watch(live, stop, |_| {}));
        std::thread::sleep(Duration::from_millis(50));
        world.stop.store(true, Ordering::Relaxed);
    });
    assert!(began.elapsed() < Duration::from_secs(60), "it sleeps in steps");
}
