//! Load: whole requests to one address over kept connections, at fixed times or as fast as the answers come.
//!
//! Open: every request has its time in a fixed schedule, and its latency counts from then, sent or not (no coordinated
//! omission). It waits for a free connection as long as a caller would, its deadline, and then counts as unsent. Closed:
//! every connection sends as soon as it has its answer, which finds out how much there can be.
//!
//! One thread sends by the schedule, one reads and sends what had to wait; requests are bytes before the clock starts.
//! The two run beside what is measured, so it is said what they use.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::response::{self, Response};

/// Requests, one after the other.
#[derive(Default)]
pub struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    /// One more: its head without the length, and its body.
    pub fn push(&mut self, head: &str, body: &[u8]) {
        self.bytes.extend_from_slice(head.as_bytes());
        // Writing to memory does not fail.
        let _ = write!(self.bytes, "content-length: {}\r\n\r\n", body.len());
        self.bytes.extend_from_slice(body);
        self.ends.push(self.bytes.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of one.
    pub fn get(&self, place: usize) -> &[u8] {
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(place).copied().unwrap_or(begin);
        self.bytes.get(begin..end).unwrap_or_default()
    }
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// When an answer is there, for so long.
    Closed(Duration),
    /// So many a second, all there are.
    Open(f64),
}

/// Where they go.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// Connections to it.
    pub connections: usize,
    /// How long a caller waits.
    pub deadline: Duration,
}

/// What came of it. Times are microseconds.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Of the answers 200, from their time in the schedule.
    pub answered_us: Vec<u32>,
    /// Answers 200 within the deadline.
    pub in_time: usize,
    /// Answers 200 that name a fallback.
    pub fallbacks: usize,
    /// Of the answers 429 and 503, from when they were sent.
    pub shed_us: Vec<u32>,
    /// Other answers.
    pub refused: usize,
    /// No answer: the connection broke.
    pub broken: usize,
    /// Not sent within the deadline: no connection was free.
    pub unsent: usize,
    /// How long after its time each was sent.
    pub delay_us: Vec<u32>,
    /// From the first to the last answer.
    pub seconds: f64,
    /// CPU seconds of the two threads.
    pub client_cpu: f64,
}

struct Flight {
    due: Instant,
    sent: Instant,
}

#[derive(Default)]
struct Slot {
    out: Option<Arc<TcpStream>>,
    flight: Option<Flight>,
}

struct State {
    slots: Vec<Slot>,
    idle: Vec<usize>,
    waiting: VecDeque<usize>,
    next: usize,
    flying: usize,
    is_over: bool,
    began: Instant,
    outcome: Outcome,
}

struct Run {
    target: Target,
    requests: Arc<Requests>,
    pace: Pace,
    state: Mutex<State>,
}

impl Target {
    /// Sends requests and waits for the answers.
    ///
    /// # Errors
    /// When no connection can be made.
    pub fn load(self, requests: &Arc<Requests>, pace: Pace) -> anyhow::Result<Outcome> {
        let state = State {
            slots: (0..self.connections).map(|_| Slot::default()).collect(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            next: 0,
            flying: 0,
            is_over: false,
            began: Instant::now(),
            outcome: Outcome::default(),
        };
        let requests = Arc::clone(requests);
        let run = Arc::new(Run { target: self, requests, pace, state: Mutex::new(state) });
        let (tell, told) = channel();
        let reader = Arc::clone(&run);
        let reader = std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            reader.read(|| {
                // Gone only when the run is.
                let _ = tell.send(());
            })
        })?;
        if told.recv().is_ok() {
            run.send();
        }
        let cpu = reader.join().map_err(|_| anyhow!("the reading thread panicked"))??;
        let mut outcome = std::mem::take(&mut run.state().outcome);
        outcome.client_cpu += cpu;
        Ok(outcome)
    }
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The schedule; ends when all is answered, or nobody waits any more.
    fn send(&self) {
        let (cpu, began) = (thread_cpu(), Instant::now());
        self.state().began = began;
        match self.pace {
            Pace::Open(rate) => {
                for place in 0..self.requests.len() {
                    let due = began + Duration::from_secs_f64(place as f64 / rate);
                    let early = due.saturating_duration_since(Instant::now());
                    if !early.is_zero() {
                        std::thread::sleep(early);
                    }
                    let mut state = self.state();
                    match state.idle.pop() {
                        Some(slot) => self.start(state, slot, place),
                        None => state.waiting.push_back(place),
                    }
                }
            }
            Pace::Closed(lasts) => {
                let all = std::mem::take(&mut self.state().idle);
                all.into_iter().for_each(|slot| self.next(self.state(), slot));
                std::thread::sleep(lasts);
            }
        }
        let until = Instant::now() + self.target.deadline * 2 + Duration::from_secs(1);
        loop {
            let mut state = self.state();
            if (state.flying == 0 && state.waiting.is_empty()) || Instant::now() > until {
                state.outcome.unsent += state.waiting.len();
                state.outcome.broken += state.flying;
                state.outcome.client_cpu = thread_cpu() - cpu;
                state.is_over = true;
                return;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn due(&self, began: Instant, place: usize) -> Instant {
        match self.pace {
            Pace::Open(rate) => began + Duration::from_secs_f64(place as f64 / rate),
            Pace::Closed(_) => Instant::now(),
        }
    }

    fn start(&self, mut state: MutexGuard<'_, State>, slot: usize, place: usize) {
        let due = self.due(state.began, place);
        let sent = Instant::now();
        state.flying += 1;
        state.outcome.delay_us.push(micros(due, sent));
        let Some(connection) = state.slots.get_mut(slot) else { return };
        connection.flight = Some(Flight { due, sent });
        let out = connection.out.clone();
        drop(state);
        if let Some(out) = out
            && (&*out).write_all(self.requests.get(place)).is_err()
        {
            // Who reads hears of it.
            let _ = out.shutdown(Shutdown::Both);
        }
    }

    /// A free connection has its next request, or none.
    fn next(&self, mut state: MutexGuard<'_, State>, slot: usize) {
        match self.pace {
            Pace::Closed(lasts) => {
                let place = state.next;
                if state.began.elapsed() < lasts && place < self.requests.len() {
                    state.next += 1;
                    return self.start(state, slot, place);
                }
            }
            Pace::Open(_) => {
                while let Some(place) = state.waiting.pop_front() {
                    if self.due(state.began, place).elapsed() < self.target.deadline {
                        return self.start(state, slot, place);
                    }
                    state.outcome.unsent += 1;
                }
            }
        }
        state.idle.push(slot);
    }

    /// Counts what came back; `false` when nothing was asked.
    fn answered(&self, slot: usize, response: Option<&Response>) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let Some(flight) = state.slots.get_mut(slot).and_then(|slot| slot.flight.take()) else {
            return false;
        };
        state.flying -= 1;
        state.outcome.seconds = (now - state.began).as_secs_f64();
        let took = micros(flight.due, now);
        match response {
            Some(Response { status: 200, is_fallback, .. }) => {
                state.outcome.answered_us.push(took);
                state.outcome.in_time += usize::from(u128::from(took) <= self.target.deadline.as_micros());
                state.outcome.fallbacks += usize::from(*is_fallback);
            }
            Some(Response { status: 429 | 503, .. }) => {
                state.outcome.shed_us.push(micros(flight.sent, now));
            }
            Some(_) => state.outcome.refused += 1,
            None => state.outcome.broken += 1,
        }
        true
    }

    /// Connects, and reads until it is over. CPU seconds used since it was connected.
    fn read(self: Arc<Self>, connected: impl FnOnce()) -> anyhow::Result<f64> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let mut streams = Vec::new();
            for slot in 0..self.target.connections {
                streams.push((slot, self.connect(slot)?));
            }
            for (slot, stream) in streams {
                self.state().idle.push(slot);
                tokio::spawn(Arc::clone(&self).follow(slot, stream));
            }
            let cpu = thread_cpu();
            connected();
            while !self.state().is_over {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(thread_cpu() - cpu)
        })
    }

    fn connect(&self, slot: usize) -> anyhow::Result<tokio::net::TcpStream> {
        let out = TcpStream::connect(self.target.address).context("a connection to what is measured")?;
        out.set_nodelay(true)?;
        out.set_nonblocking(true)?;
        let stream = tokio::net::TcpStream::from_std(out.try_clone()?)?;
        if let Some(slot) = self.state().slots.get_mut(slot) {
            slot.out = Some(Arc::new(out));
        }
        Ok(stream)
    }

    /// Reads one connection's answers; one that ends is made again.
    async fn follow(self: Arc<Self>, slot: usize, mut stream: tokio::net::TcpStream) {
        let mut buffer = Vec::with_capacity(16 << 10);
        loop {
            buffer.clear();
            let response = answer(&stream, &mut buffer).await.ok();
            let is_over = response.as_ref().is_none_or(|response| response.closes);
            let was_asked = self.answered(slot, response.as_ref());
            if is_over {
                match self.connect(slot) {
                    Ok(again) => stream = again,
                    Err(_) => return,
                }
            }
            if was_asked {
                self.next(self.state(), slot);
            }
        }
    }
}

async fn answer(stream: &tokio::net::TcpStream, buffer: &mut Vec<u8>) -> io::Result<Response> {
    loop {
        stream.readable().await?;
        match stream.try_read_buf(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                if let Some(response) = response::parse(buffer) {
                    return Ok(response);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The status of one request's answer, over a connection of its own.
///
/// # Errors
/// When there is none within a second.
pub fn ask(address: SocketAddr, request: &[u8]) -> io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(request)?;
    let (mut buffer, mut part) = (Vec::new(), [0; 4 << 10]);
    loop {
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => buffer.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
        if let Some(response) = response::parse(&buffer) {
            return Ok(response.status);
        }
    }
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}

/// CPU seconds of this thread.
fn thread_cpu() -> f64 {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = said.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok());
    nanos.unwrap_or(f64::NAN) / 1e9
}
