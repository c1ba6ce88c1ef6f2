//! A policy file that changes under the watcher.

use std::fs;
use std::sync::mpsc::channel;

use tempfile::TempDir;

use super::*;
use crate::clock::StandingClock;

const FIRST: &str = "[thresholds]\nreview = 0.3\n";
const SECOND: &str = "[thresholds]\nreview = 0.4\n";
const BAD: &str = "[thresholds]\nreview = 0.4\n[[rule]]\nname = \"r\"\nwhen = \"scor > 0.5\"\n";

struct World {
    folder: TempDir,
    file: PolicyFile,
    clock: StandingClock,
}

impl World {
    fn with(text: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, text).unwrap();
        let file = PolicyFile::open(&path, Terms::default(), 1_000).unwrap();
        World { folder, file, clock: StandingClock::at(2_000) }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("policy.toml"), text).unwrap();
    }

    /// The same, in the place of the old one at once: a watcher never sees half of it.
    fn replace(&self, text: &str) {
        let beside = self.folder.path().join("beside.toml");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.folder.path().join("policy.toml")).unwrap();
    }

    /// As many looks as it takes for what holds still to be tried.
    fn looks(&self) -> Vec<PolicyEvent> {
        (0..4).filter_map(|_| self.file.look(&self.clock)).collect()
    }

    fn live(&self) -> Name {
        self.file.current().version().clone()
    }
}

fn version(text: &str) -> Name {
    Policy::parse("", text, &Terms::default()).unwrap().version().clone()
}

fn swapped(from: &str, to: &str) -> PolicyEvent {
    PolicyEvent::Swapped { from: version(from), to: version(to) }
}

#[test]
fn a_good_file_is_swapped_in_and_kept_in_the_record() {
    let world = World::with(FIRST);
    assert_eq!((world.looks(), world.live()), (vec![], version(FIRST)));
    let before = world.file.current();
    world.write(SECOND);
    assert_eq!(world.looks(), [swapped(FIRST, SECOND)]);
    assert_eq!((world.live(), before.version()), (version(SECOND), &version(FIRST)));
    world.clock.advance(500);
    world.write(FIRST);
    assert_eq!(world.looks(), [swapped(SECOND, FIRST)]);
    let record = world.file.record();
    let seen: Vec<_> = record.seen.iter().map(|seen| (seen.policy.text(), seen.since_ms)).collect();
    assert_eq!(seen, [(FIRST, 1_000), (SECOND, 2_000), (FIRST, 2_500)]);
    assert_eq!((record.refusal, record.standing), (None, false));
}

#[test]
fn a_bad_file_is_refused_once_with_its_place_and_the_old_one_goes_on() {
    let world = World::with(FIRST);
    world.write(BAD);
    let events = world.looks();
    let [PolicyEvent::Refused { problems }] = events.as_slice() else { panic!("{events:?}") };
    assert!(problems.0[0].file.ends_with("policy.toml"));
    assert_eq!(problems.0[0].key, "rule[0].when (line 5, column 9)");
    assert_eq!(world.live(), version(FIRST));
    let refusal = Refusal { at_ms: 2_000, problems: problems.clone() };
    assert_eq!((world.file.record().refusal, world.file.record().standing), (Some(refusal.clone()), true));
    assert_eq!(world.looks(), [], "once");
    // Back to what is live: nothing to tell, and the refusal is history.
    world.write(FIRST);
    assert_eq!(world.looks(), []);
    assert_eq!((world.file.record().refusal, world.file.record().standing), (Some(refusal), false));
    world.write(BAD);
    assert!(matches!(world.looks()[..], [PolicyEvent::Refused { .. }]), "refused again");
    world.write(SECOND);
    assert_eq!(world.looks(), [swapped(FIRST, SECOND)]);
}

#[test]
fn a_file_that_is_gone_too_large_or_no_text_is_refused() {
    let world = World::with(FIRST);
    let path = world.folder.path().join("policy.toml");
    let refused = |wanted: &str| {
        let events = world.looks();
        let [PolicyEvent::Refused { problems }] = events.as_slice() else { panic!("{events:?}") };
        assert!(problems.to_string().contains(wanted), "{problems}");
    };
    fs::remove_file(&path).unwrap();
    refused("No such file");
    fs::write(&path, [b'#', 0xff]).unwrap();
    refused("not UTF-8");
    world.write(&"#".repeat((256 << 10) + 1));
    refused("more than 262144 bytes");
    assert_eq!(world.live(), version(FIRST));
    assert!(PolicyFile::open(&world.folder.path().join("none"), Terms::default(), 0).is_err());
}

#[test]
fn a_file_is_tried_when_it_holds_still() {
    let world = World::with(FIRST);
    for length in [10, 14, 20, SECOND.len()] {
        world.write(&SECOND[..length]);
        assert_eq!(world.file.look(&world.clock), None, "{length}");
    }
    assert_eq!(world.file.look(&world.clock), Some(swapped(FIRST, SECOND)));
}

#[test]
fn what_means_the_same_is_not_another_version() {
    let world = World::with(FIRST);
    world.write(&format!("# why\n{FIRST}"));
    assert_eq!(world.looks(), []);
    assert_eq!((world.file.record().seen.len(), world.file.current().text()), (1, FIRST));
}

#[test]
fn the_record_is_bounded() {
    let world = World::with(FIRST);
    for n in 0..MAX_VERSIONS + 5 {
        world.write(&format!("[thresholds]\nreview = 0.{n:03}5\n"));
        assert_eq!(world.looks().len(), 1);
    }
    let record = world.file.record();
    assert_eq!(record.seen.len(), MAX_VERSIONS);
    assert_eq!(record.seen.back().map(|seen| seen.policy.version().clone()), Some(world.live()));
}

#[test]
fn the_watcher_swaps_and_stops() {
    let world = World::with(FIRST);
    let stop = AtomicBool::new(false);
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let (file, clock, stop) = (&world.file, &world.clock, &stop);
        let watcher = scope.spawn(move || {
            file.watch(Duration::from_millis(10), clock, stop, |event| tell.send(event).unwrap());
        });
        world.replace(SECOND);
        assert_eq!(told.recv_timeout(Duration::from_secs(60)).unwrap(), swapped(FIRST, SECOND));
        stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    assert_eq!(world.live(), version(SECOND));
}
