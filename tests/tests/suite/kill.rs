//! `kill -9` on the real broker: at random moments under load, and once at every step between poll and commit.

use std::time::Duration;

use harness::checker::{breaches, unsafe_commits};
use harness::kafka::World;
use harness::memory::{Inputs, Terms, expected};
use harness::process::until;
use harness::servers::Servers;
use rand::RngExt;
use tripline::clock::{Clock, SystemClock};
use tripline::stream::line::LineStep;

fn kills() -> u32 {
    std::env::var("TRIPLINE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

#[test]
fn i1_to_i13_hold_after_kill_9() {
    if crate::fast() {
        return;
    }
    let world = World::new(Servers::shared(), "kill", 4);
    let terms = Terms { partitions: 4, now_ms: SystemClock::default().now().wall_ms, ids: world.ids };
    let lives = kills() as usize + LineStep::ALL.len();
    let inputs = Inputs::of(7, terms, 150 * lives as u32);
    let sets = ["store.checkpoint_every=300ms", "limits.batch_records=16", "registry.negative_cache=1s"];
    std::thread::scope(|scope| {
        // The load goes on while processes come and go.
        let sender = scope.spawn(|| {
            for (source, key, value) in &inputs.bytes {
                world.send(*source, key, value);
                std::thread::sleep(Duration::from_millis(4));
            }
            world.flush();
        });
        for step in LineStep::ALL {
            let point = format!("{step:?}:{}", rand::rng().random_range(1..6));
            let mut process = world.serve(&sets, &[("TRIPLINE_FAIL_POINT", &point)]);
            let status = process.wait(Duration::from_secs(60));
            assert_eq!(status.code(), None, "{point}: {status}, not killed\n{}", process.log_tail());
        }
        for _ in 0..kills() {
            let mut process = world.serve(&sets, &[]);
            std::thread::sleep(Duration::from_millis(rand::rng().random_range(200..1_500)));
            assert_eq!(process.ended(), None, "{}", process.log_tail());
            process.kill9();
        }
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
    until("everything is committed", Duration::from_secs(60), || world.is_committed());
    process.signal("TERM");
    let status = process.wait(Duration::from_secs(10));
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
