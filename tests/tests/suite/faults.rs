//! Faults of the world around the service: broker and registry stopped, a poison topic, SIGTERM under load, a second
//! process on one store. Nothing is lost, nothing doubled, memory stays flat.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use feature_store::store::{Source, Topic};
use harness::checker::breaches;
use harness::kafka::World;
use harness::memory::{Inputs, Terms, expected};
use harness::process::{ENDS_WITHIN, Process, until};
use harness::servers::{Servers, script};
use tripline::clock::{Clock, SystemClock};

/// Servers that these tests may stop; one after the other, so that none stops the other's.
fn servers() -> (&'static Servers, std::sync::MutexGuard<'static, ()>) {
    use std::sync::{Mutex, OnceLock, PoisonError};
    static OWN: OnceLock<Servers> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    (OWN.get_or_init(Servers::start), turn)
}

fn inputs(world: &World, count: u32, seed: u64) -> Inputs {
    let terms = Terms { partitions: 4, now_ms: SystemClock::default().now().wall_ms, ids: world.ids };
    Inputs::of(seed, terms, count)
}

fn decided(world: &World) -> i64 {
    world.servers.ends(&world.topic("decisions")).iter().sum()
}

/// Waits until it has the store and decides.
fn begun(world: &World, process: &mut Process) {
    until("the first are decided", Duration::from_secs(60), || {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        decided(world) > 0
    });
}

fn finish(world: &World, inputs: &Inputs, process: &mut Process) {
    let end = Instant::now() + Duration::from_secs(180);
    while !world.is_committed() {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        let left = || format!("{:?} is committed; the log ends:\n{}", world.committed(), process.log_tail());
        assert!(Instant::now() < end, "{}", left());
        std::thread::sleep(Duration::from_millis(50));
    }
    process.signal("TERM");
    let status = process.wait(ENDS_WITHIN);
    assert!(status.success(), "{status}\n{}", process.log_tail());
    let expected = expected(inputs, &world.definitions(), &world.order(), usize::MAX);
    assert_eq!(expected.len(), inputs.bytes.len());
    assert_eq!(breaches(&expected, &world.seen(), &world.topic("transactions")), [""; 0]);
}

const SETS: [&str; 2] = ["store.checkpoint_every=500ms", "registry.negative_cache=1s"];

/// How long the broker is away; `TRIPLINE_OUTAGE=60` by hand.
fn outage() -> Duration {
    Duration::from_secs(
        std::env::var("TRIPLINE_OUTAGE").ok().and_then(|text| text.parse().ok()).unwrap_or(15),
    )
}

#[test]
fn the_broker_stops_and_comes_back() {
    if crate::fast() {
        return;
    }
    let (servers, _turn) = servers();
    let world = World::new(servers, "outage", 4);
    let inputs = inputs(&world, 2_000, 11);
    let mut process = world.serve(&SETS, &[]);
    let send = |from: usize, to: usize| {
        inputs.bytes[from..to].iter().for_each(|(source, key, value)| world.send(*source, key, value));
        world.flush();
    };
    send(0, 1_000);
    let dir = servers.dir.to_str().unwrap();
    begun(&world, &mut process);
    script("down", &["--dir", dir, "kafka"]);
    let (before, stopped) = (process.resident(), Instant::now());
    let mut peak = before;
    while stopped.elapsed() < outage() {
        peak = peak.max(process.resident());
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        std::thread::sleep(Duration::from_millis(200));
    }
    script("up", &["--dir", dir, "kafka"]);
    let back = Instant::now();
    send(1_000, inputs.bytes.len());
    finish(&world, &inputs, &mut process);
    println!(
        "broker away {} s: all {} inputs answered once, {:.1} s after it was back; resident {} MiB before, {} MiB at most",
        stopped.elapsed().as_secs(),
        inputs.bytes.len(),
        back.elapsed().as_secs_f64(),
        before >> 20,
        peak >> 20
    );
    assert!(peak < before + (64 << 20), "memory grew from {before} to {peak}");
}

#[test]
fn the_registry_stops_and_only_unknown_schemas_wait() {
    if crate::fast() {
        return;
    }
    let (servers, _turn) = servers();
    let world = World::new(servers, "registry", 4);
    let inputs = inputs(&world, 600, 12);
    let mut process = world.serve(&SETS, &[]);
    inputs.bytes[..300].iter().for_each(|(source, key, value)| world.send(*source, key, value));
    world.flush();
    until("the first half is applied", Duration::from_secs(60), || world.is_committed());
    let dir = servers.dir.to_str().unwrap();
    script("down", &["--dir", dir, "registry"]);
    // The answer "there is no such schema" of the first half is believed for a second: not by the second half.
    std::thread::sleep(Duration::from_millis(1_500));
    let before = decided(&world);
    inputs.bytes[300..].iter().for_each(|(source, key, value)| world.send(*source, key, value));
    world.flush();
    // Known schemas go on; a partition that meets an id never seen waits, and is not sent to the dead letters.
    until("decisions go on", Duration::from_secs(60), || decided(&world) > before);
    std::thread::sleep(Duration::from_secs(2));
    assert!(!world.is_committed(), "an unknown id was decided without the registry");
    script("up", &["--dir", dir, "registry"]);
    finish(&world, &inputs, &mut process);
    println!(
        "registry away: known schemas went on, unknown ids waited, all {} inputs answered once",
        inputs.bytes.len()
    );
}

#[test]
fn sigterm_under_load_drains_and_a_second_owner_is_refused() {
    if crate::fast() {
        return;
    }
    let (servers, _turn) = servers();
    let world = World::new(servers, "sigterm", 4);
    let inputs = inputs(&world, 2_000, 13);
    let mut process = world.serve(&SETS, &[]);
    let is_told = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (number, (source, key, value)) in inputs.bytes.iter().enumerate() {
                world.send(*source, key, value);
                // Most of one half is left for when it is told to end, however late that is.
                let is_early = number > inputs.bytes.len() / 2 && !is_told.load(Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(if is_early { 100 } else { 2 }));
            }
            world.flush();
        });
        begun(&world, &mut process);
        let log = world.path("second");
        let config = world.path("tripline.toml");
        let mut second = Process::start(&["serve", "--config", config.to_str().unwrap()], &[], &log);
        assert_eq!(second.wait(ENDS_WITHIN).code(), Some(1));
        let said = second.log_tail();
        assert!(said.contains("in use"), "{said}");
        println!("the second process said: {}", said.lines().last().unwrap_or_default());
        is_told.store(true, Ordering::Relaxed);
        let told = Instant::now();
        process.signal("TERM");
        let status = process.wait(ENDS_WITHIN);
        assert!(status.success(), "{status}\n{}", process.log_tail());
        println!("SIGTERM under load: ended well in {:.2} s", told.elapsed().as_secs_f64());
        process = world.serve(&SETS, &[]);
    });
    finish(&world, &inputs, &mut process);
}

/// Each kind of bad record of the topic's door ends in its stated answer, and the next good one is decided.
#[test]
fn every_bad_record_ends_in_its_dead_letter() {
    if crate::fast() {
        return;
    }
    let (servers, _turn) = servers();
    let world = World::new(servers, "poison", 4);
    let source = Source { topic: Topic::Payments, partition: 0 };
    let now = SystemClock::default().now().wall_ms;
    let good = |id: &str, amount: i64, time: i64, currency: &str| {
        let mut value = vec![0];
        value.extend_from_slice(&world.ids[0].to_be_bytes());
        let mut text = |text: &str| {
            value.push((text.len() * 2) as u8);
            value.extend_from_slice(text.as_bytes());
        };
        text(id);
        for number in [time, amount] {
            let mut left = ((number << 1) ^ (number >> 63)) as u64;
            while left >= 0x80 {
                value.push(left as u8 | 0x80);
                left >>= 7;
            }
            value.push(left as u8);
        }
        for word in [currency, "card1"] {
            value.push((word.len() * 2) as u8);
            value.extend_from_slice(word.as_bytes());
        }
        value.extend_from_slice(&[0; 5]);
        value
    };
    let whole = good("ok", 100, now, "EUR");
    let with_id = |id: i32| [&[0][..], &id.to_be_bytes(), &whole[5..]].concat();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("frame_truncated", vec![0]),
        ("frame_truncated", vec![0, 0, 0, 1]),
        ("bad_magic", b"{\"amount\": 1}".to_vec()),
        ("schema_unknown", with_id(-1)),
        ("schema_unknown", with_id(i32::MAX)),
        ("trailing_bytes", [&whole[..], &[0]].concat()),
        ("malformed", [&whole[..5], &[0x80; 11]].concat()),
        ("amount_out_of_range", good("a1", -1, now, "EUR")),
        ("amount_out_of_range", good("a2", i64::MAX, now, "EUR")),
        ("amount_out_of_range", good("a3", i64::MIN, now, "EUR")),
        ("currency_invalid", good("c", 1, now, "eur")),
        ("event_time_out_of_range", good("t1", 1, -1, "EUR")),
        ("event_time_out_of_range", good("t2", 1, now * 1_000, "EUR")),
        ("future", good("t3", 1, now + 40 * 3_600_000, "EUR")),
        ("field_missing", good("", 1, now, "EUR")),
        // Another subject's schema: a label is no payment.
        ("schema_mismatch", with_id(world.ids[1] as i32)),
        ("too_large", [&whole[..], &vec![b'x'; 600_000]].concat()),
    ];
    cases.extend((5..whole.len()).map(|cut| ("malformed", whole[..cut].to_vec())));
    let mut process = world.serve(&[&SETS[..], &["limits.record_bytes=500000"]].concat(), &[]);
    cases.iter().for_each(|(_, value)| world.send(source, b"card1", value));
    world.send(source, b"card1", &whole);
    world.flush();
    until("everything is committed", Duration::from_secs(180), || {
        assert_eq!(process.ended(), None, "{}", process.log_tail());
        world.is_committed()
    });
    let seen = world.seen();
    for ((code, value), letter) in cases.iter().zip(&seen.dead_letters) {
        assert_eq!((letter.code.as_str(), letter.value_bytes as usize), (*code, value.len()), "{letter:?}");
        assert!(!letter.reason.contains("card1"), "content in a dead letter: {letter:?}");
    }
    assert_eq!((seen.dead_letters.len(), seen.decisions.len()), (cases.len(), 1));
    println!("{} bad records, each with its dead letter; the good one behind them is decided", cases.len());
}
