//! `kill -9` on the real broker: at random moments under load, and once at every step between poll and commit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::checker::{breaches, unsafe_commits};
use harness::kafka::World;
use harness::memory::{Inputs, Terms, expected};
use harness::process::{ENDS_WITHIN, until};
use harness::servers::Servers;
use rand::RngExt;
use tripline::clock::{Clock, SystemClock};
use tripline::stream::line::LineStep;

fn kills() -> u32 {
    std::env::var("TRIPLINE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// Inputs for each life.
const A_LIFE: usize = 150;

/// When it goes, however the test ends, the load goes on to its end.
struct Hold<'a>(&'a AtomicUsize);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }
}

#[test]
fn i1_to_i13_hold_after_kill_9() {
    if crate::fast() {
        return;
    }
    let world = World::new(Servers::shared(), "kill", 4);
    let terms = Terms { partitions: 4, now_ms: SystemClock::default().now().wall_ms, ids: world.ids };
    let lives = kills() as usize + LineStep::ALL.len();
    let inputs = Inputs::of(7, terms, (A_LIFE * lives) as u32);
    let sets = ["store.checkpoint_every=300ms", "limits.batch_records=16", "registry.negative_cache=1s"];
    let begun = AtomicUsize::new(0);
    let serve = |variables: &[(&str, &str)]| {
        begun.fetch_add(1, Ordering::Relaxed);
        world.serve(&sets, variables)
    };
    std::thread::scope(|scope| {
        // The load goes on while processes come and go. However long each takes to begin, some is left for the last.
        let sender = scope.spawn(|| {
            for (number, (source, key, value)) in inputs.bytes.iter().enumerate() {
                world.send(*source, key, value);
                let is_due = number < begun.load(Ordering::Relaxed).saturating_mul(A_LIFE);
                std::thread::sleep(Duration::from_millis(if is_due { 4 } else { 250 }));
            }
            world.flush();
        });
        let hold = Hold(&begun);
        for step in LineStep::ALL {
            let point = format!("{step:?}:{}", rand::rng().random_range(1..6));
            let mut process = serve(&[("TRIPLINE_FAIL_POINT", point.as_str())]);
            let status = process.wait(Duration::from_secs(300));
            assert_eq!(status.code(), None, "{point}: {status}, not killed\n{}", process.log_tail());
        }
        for _ in 0..kills() {
            let mut process = serve(&[]);
            std::thread::sleep(Duration::from_millis(rand::rng().random_range(200..1_500)));
            assert_eq!(process.ended(), None, "{}", process.log_tail());
            process.kill9();
        }
        drop(hold);
        sender.join().unwrap();
    });
    // What is committed is out, also now.
    let definitions = world.definitions();
    let committed = world.committed();
    assert_eq!(
        unsafe_commits(
            &expected(&inputs, &definitions, &world.order(), usize::MAX),
            &world.seen(),
            &committed
        ),
        [""; 0]
    );
    let mut process = world.serve(&sets, &[]);
    until("everything is committed", Duration::from_secs(180), || world.is_committed());
    process.signal("TERM");
    let status = process.wait(ENDS_WITHIN);
    assert!(status.success(), "{status}\n{}", process.log_tail());
    let (expected, seen) = (expected(&inputs, &definitions, &world.order(), usize::MAX), world.seen());
    assert_eq!(expected.len(), inputs.bytes.len());
    let topic = world.topic("transactions");
    assert_eq!(breaches(&expected, &seen, &topic), [""; 0]);
    let again = seen.decisions.iter().filter(|decision| decision.attempt > 1).count();
    let approximate = seen.decisions.iter().filter(|decision| decision.approximate).count();
    println!(
        "{} kills at random moments and {} at the steps: {} inputs, {} decisions ({again} emitted after a restart), \
         {approximate} of them approximate, {} dead letters, 0 breaches",
        kills(),
        LineStep::ALL.len(),
        expected.len(),
        seen.decisions.len(),
        seen.dead_letters.len()
    );
}
