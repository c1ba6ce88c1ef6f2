//! `bench rest`: the callers' door of a service between topics of a real Kafka, under an open load, beside an empty
//! handler behind the same listener in the same run; then more load than it can take.
//!
//! The demo's features, model and policy on simulated payments, after a history of them. Capacity is what a closed loop
//! of as many connections as are let in gets; rates are shares of it, the same for both. Client, service, brokers and the line that
//! applies what was recorded share the machine's processors: how much each had stands beside the figures.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use procfs::{CurrentSI, KernelStats};
use tokio::runtime::Runtime;

use super::load::{Outcome, Pace, Requests, Target, ask};
use super::rig::{PATIENCE, Rig, Service};
use super::{Figure, figure};
use crate::command::key;
use crate::http::serve_bare;
use crate::rest::admission::usual_places;
use crate::simulate::feed::transaction;
use crate::simulate::{SimulatedEvent, Simulation, World};

/// Connections of the open load, fewer than are accepted.
const OPEN: usize = 240;
/// Shares of capacity, percent.
const SHARES: [u32; 4] = [30, 50, 70, 90];
/// Times its capacity.
const EXCESS: [u32; 3] = [2, 5, 10];
/// `rest.deadline`.
const DEADLINE: Duration = Duration::from_millis(150);

/// How long and how often.
struct Length {
    history: u64,
    warm: Duration,
    closed: Duration,
    open_s: f64,
    excess_s: f64,
    repetitions: usize,
}

const WHOLE: Length = Length {
    history: 200_000,
    warm: Duration::from_secs(15),
    closed: Duration::from_secs(5),
    open_s: 10.0,
    excess_s: 5.0,
    repetitions: 3,
};
const QUICK: Length = Length {
    history: 20_000,
    warm: Duration::from_secs(10),
    closed: Duration::from_secs(2),
    open_s: 2.0,
    excess_s: 3.0,
    repetitions: 1,
};

/// Runs it on this broker; it makes topics with names of its own.
///
/// # Errors
/// When the broker does not answer, or the service dies.
pub fn run(bootstrap: &str, is_quick: bool, sets: &[String]) -> anyhow::Result<Vec<Figure>> {
    let length = if is_quick { QUICK } else { WHOLE };
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    let rig = Rig::new("rest", bootstrap, folder.path(), &runtime)?;
    let world = World { cards: 50_000, merchants: 5_000, payments_per_day: 100_000.0, ..World::default() };
    let mut simulation = Simulation::new(world);
    history(&rig, &mut simulation, length.history)?;
    let address = free_address()?;
    let mut all = vec![format!("http.listen=\"{address}\"")];
    let head = head(address, folder.path(), &mut all)?;
    all.extend_from_slice(sets);
    let service = rig.serve(&all)?;
    let empty = serve_empty(&runtime)?;
    let mut bench = Bench { simulation, head, service, length, door: address, empty };
    bench.opens()?;
    let figures = bench.measure()?;
    bench.service.end()?;
    Ok(figures)
}

struct Bench {
    simulation: Simulation,
    head: String,
    service: Service,
    length: Length,
    door: SocketAddr,
    empty: SocketAddr,
}

/// What one run of the door took of the machine, as shares of all its processors, percent.
#[derive(Debug, Clone, Copy)]
struct Shares {
    client: f64,
    service: f64,
    others: f64,
}

impl Bench {
    /// Waits until the door answers.
    fn opens(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.service.still_runs()?;
            let request = self.requests(1)?;
            if ask(self.door, request.get(0)).is_ok_and(|status| status == 200) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the door did not open in time");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn measure(&mut self) -> anyhow::Result<Vec<Figure>> {
        let Length { warm, repetitions, open_s, excess_s, .. } = self.length;
        let guess = self.closed(self.door, 20_000.0, warm)?;
        self.closed(self.empty, 60_000.0, warm / 4)?;
        let closed = self.length.closed;
        let capacity = of((0..repetitions).map(|_| self.closed(self.door, guess, closed)))?;
        let empty = self.closed(self.empty, 60_000.0, closed / 2)?;
        let mut figures = vec![
            figure(
                "capacity",
                format!("capacity: decisions a second, closed loop of {} connections", usual_places()),
                capacity,
            ),
            figure("empty_capacity", "empty handler, the same loop: answers a second", empty),
        ];
        for share in SHARES {
            let rate = capacity * f64::from(share) / 100.0;
            let mut runs = Vec::new();
            for _ in 0..repetitions {
                let requests = self.requests((rate * open_s) as usize)?;
                let empty = target(self.empty, OPEN).load(&requests, Pace::Open(rate))?;
                let (door, shares) = self.watched(&requests, rate)?;
                runs.push(Both { empty, door, shares, requests: requests.len() });
            }
            at_share(share, &runs, &mut figures);
        }
        // The brokers' compilers are done by now.
        let capacity = of((0..repetitions).map(|_| self.closed(self.door, guess, closed)))?;
        figures.push(figure("capacity_warm", "capacity once more, before there is more than it", capacity));
        for times in EXCESS {
            let rate = capacity * f64::from(times);
            let mut runs = Vec::new();
            for _ in 0..repetitions {
                let requests = self.requests((rate * excess_s) as usize)?;
                let (door, shares) = self.watched(&requests, rate)?;
                runs.push((door, shares));
                // What was recorded is applied before the next run.
                std::thread::sleep(Duration::from_secs(2));
            }
            in_excess(times, capacity, excess_s, &runs, &mut figures);
        }
        let after = of((0..repetitions).map(|_| self.closed(self.door, guess, closed)))?;
        figures.push(figure("capacity_after", "capacity once more, at the end of the run", after));
        figures.push(figure("resident_mib", "service, resident MiB at the end", self.service.usage()?.1));
        Ok(figures)
    }

    /// Answers 200 a second of a closed loop; `guess` says how many there may be at most.
    fn closed(&mut self, address: SocketAddr, guess: f64, lasts: Duration) -> anyhow::Result<f64> {
        let requests = self.requests((guess * 1.5 * lasts.as_secs_f64()) as usize)?;
        let outcome = target(address, usual_places()).load(&requests, Pace::Closed(lasts))?;
        if outcome.answered_us.len() < outcome.refused + outcome.broken {
            bail!("{} refused and {} broken of a closed loop", outcome.refused, outcome.broken);
        }
        Ok(outcome.in_time as f64 / outcome.seconds)
    }

    /// An open load on the door, and what was used meanwhile.
    fn watched(&mut self, requests: &Arc<Requests>, rate: f64) -> anyhow::Result<(Outcome, Shares)> {
        self.service.still_runs()?;
        let (busy, service, began) = (busy()?, self.service.usage()?.0, Instant::now());
        let outcome = target(self.door, OPEN).load(requests, Pace::Open(rate))?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let all = began.elapsed().as_secs_f64() * cores / 100.0;
        let service = self.service.usage()?.0 - service;
        let others = self::busy()? - busy - service - outcome.client_cpu;
        let shares =
            Shares { client: outcome.client_cpu / all, service: service / all, others: others / all };
        Ok((outcome, shares))
    }

    /// The next payments, as requests.
    fn requests(&mut self, count: usize) -> anyhow::Result<Arc<Requests>> {
        let mut requests = Requests::default();
        while requests.len() < count {
            let event = self.simulation.next().context("a simulated event")?;
            if let SimulatedEvent::Payment(payment) = &event {
                let payment = transaction(payment).context("a simulated payment outside its contract")?;
                requests.push(&self.head, &serde_json::to_vec(&payment)?);
            }
        }
        Ok(Arc::new(requests))
    }
}

fn target(address: SocketAddr, connections: usize) -> Target {
    Target { address, connections, deadline: DEADLINE }
}

struct Both {
    empty: Outcome,
    door: Outcome,
    shares: Shares,
    requests: usize,
}

fn at_share(share: u32, runs: &[Both], figures: &mut Vec<Figure>) {
    let mut add = |name: &str, text: &str, values: Vec<f64>| {
        figures.push(figure(format!("{name}_{share}"), format!("{share} %: {text}"), median(values)));
    };
    for (word, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        let door: Vec<_> = runs.iter().map(|run| quantile_ms(&run.door.answered_us, q)).collect();
        let empty: Vec<_> = runs.iter().map(|run| quantile_ms(&run.empty.answered_us, q)).collect();
        let ratio = door.iter().zip(&empty).map(|(door, empty)| door / empty).collect();
        add(&format!("{word}_ms"), &format!("{word}, ms"), door);
        add(&format!("empty_{word}_ms"), &format!("{word} of the empty handler, ms"), empty);
        add(&format!("{word}_ratio"), &format!("{word}, times the empty handler's"), ratio);
    }
    let percent = |count: usize, run: &Both| 100.0 * count as f64 / run.requests.max(1) as f64;
    let each = |value: &dyn Fn(&Both) -> f64| runs.iter().map(value).collect::<Vec<_>>();
    add("in_time", "answered 200 within the deadline, %", each(&|run| percent(run.door.in_time, run)));
    add("fallbacks", "answered 200 with a fallback, %", each(&|run| percent(run.door.fallbacks, run)));
    let delay = |run: &Both| quantile_ms(&run.door.delay_us, 0.99);
    add("send_p99_ms", "the client sent so much after its time at most (99 %), ms", each(&delay));
    add("client_cpu", "processors: the client's share, %", each(&|run| run.shares.client));
    add("service_cpu", "processors: the service's share, %", each(&|run| run.shares.service));
    add("others_cpu", "processors: brokers and whatever else ran, %", each(&|run| run.shares.others));
    let cost = |run: &Both| run.shares.service * run.door.seconds / run.requests.max(1) as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    add("cpu_us", "service, CPU us a decision", each(&|run| cost(run) * cores * 1e4));
}

fn in_excess(times: u32, capacity: f64, seconds: f64, runs: &[(Outcome, Shares)], figures: &mut Vec<Figure>) {
    let mut add = |name: &str, text: &str, value: &dyn Fn(&Outcome, &Shares) -> f64| {
        let values = runs.iter().map(|(outcome, shares)| value(outcome, shares)).collect();
        figures.push(figure(format!("{name}_{times}x"), format!("{times}x: {text}"), median(values)));
    };
    // The last requests of a load that the client itself is late with are answered after its time.
    let lasted = |outcome: &Outcome| outcome.seconds.max(seconds);
    let share = |count: usize, outcome: &Outcome| 100.0 * count as f64 / lasted(outcome) / capacity;
    add("goodput", "decisions within the deadline, % of capacity", &|outcome, _| {
        share(outcome.in_time, outcome)
    });
    add("goodput_fallbacks", "of them with a fallback, % of capacity", &|outcome, _| {
        share(outcome.fallbacks, outcome)
    });
    add("p50_ms", "p50 of the answers 200, ms", &|outcome, _| quantile_ms(&outcome.answered_us, 0.5));
    add("p99_ms", "p99 of the answers 200, ms", &|outcome, _| quantile_ms(&outcome.answered_us, 0.99));
    add("shed", "refused with 503 or 429 a second", &|outcome, _| {
        outcome.shed_us.len() as f64 / lasted(outcome)
    });
    add("shed_p50_ms", "median from sending to the refusal, ms", &|outcome, _| {
        quantile_ms(&outcome.shed_us, 0.5)
    });
    add("shed_p99_ms", "p99 from sending to the refusal, ms", &|outcome, _| {
        quantile_ms(&outcome.shed_us, 0.99)
    });
    add("unsent", "not sent in time for want of a connection, a second", &|outcome, _| {
        outcome.unsent as f64 / lasted(outcome)
    });
    add("wrong", "refused otherwise, or the connection broke", &|outcome, _| {
        (outcome.refused + outcome.broken) as f64
    });
    add("lasted", "the load took so many times its time", &|outcome, _| outcome.seconds / seconds);
    add("client_cpu", "processors: the client's share, %", &|_, shares| shares.client);
    add("service_cpu", "processors: the service's share, %", &|_, shares| shares.service);
    add("others_cpu", "processors: brokers and whatever else ran, %", &|_, shares| shares.others);
}

/// Sends the first payments and labels to the topics.
fn history(rig: &Rig<'_>, simulation: &mut Simulation, payments: u64) -> anyhow::Result<()> {
    let mut feed = rig.feed()?;
    while feed.payments < payments {
        feed.send(&simulation.next().context("a simulated event")?)?;
    }
    Ok(feed.flush(PATIENCE)?)
}

/// An address that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The head of each request, with a key that the service is told of.
fn head(address: SocketAddr, folder: &Path, sets: &mut Vec<String>) -> anyhow::Result<String> {
    let key = key::random()?;
    let file = folder.join("keys.toml");
    let hash = key.hash();
    let text = format!(
        "[[caller]]\nname = \"bench\"\nscopes = [\"score\"]\nkeys = [\"{hash}\"]\nrate = \"1000000/s\"\n"
    );
    std::fs::write(&file, text)?;
    sets.push(format!("access.keys=\"{}\"", file.display()));
    Ok(format!(
        "POST /v1/score HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
        key.reveal()
    ))
}

/// The yardstick: a handler that takes the body and says nothing.
fn serve_empty(runtime: &Runtime) -> anyhow::Result<SocketAddr> {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/v1/score", post(async |_: Bytes| ()));
    runtime.spawn(serve_bare(listener, routes));
    Ok(address)
}

/// CPU seconds of the whole machine.
fn busy() -> anyhow::Result<f64> {
    let all = KernelStats::current()?.total;
    let ticks = all.user + all.nice + all.system + all.irq.unwrap_or(0) + all.softirq.unwrap_or(0);
    Ok(ticks as f64 / procfs::ticks_per_second() as f64)
}

fn quantile_ms(us: &[u32], q: f64) -> f64 {
    let mut sorted = us.to_vec();
    sorted.sort_unstable();
    let place = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(f64::NAN, |us| f64::from(*us) / 1_000.0)
}

/// The median of runs, or the first one's error.
fn of(runs: impl Iterator<Item = anyhow::Result<f64>>) -> anyhow::Result<f64> {
    Ok(median(runs.collect::<Result<_, _>>()?))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
