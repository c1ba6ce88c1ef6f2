//! Rates: how many requests a caller may make, and how many failed ones an address.
//!
//! The cell algorithm (GCRA) of `governor`, on a clock that is handed in: a limiter never reads one, so a test says what
//! time it is. One number a limiter, no queue: who comes too soon is told when to come again.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use schemas::document::FromToml;
use toml::Value;

/// Most requests of one interval or at once that may be written: above it there is no limit worth the name.
pub(super) const MOST: u32 = 1_000_000;

/// Requests in an interval, written `200/s`, `600/m` or `1000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: NonZeroU32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Rate {
    /// So many a second.
    pub const fn per_second(requests: NonZeroU32) -> Self {
        Self { requests, unit: Unit::Second }
    }

    /// Reads `200/s`; `None` without a unit, or outside 1 to 1,000,000.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once('/')?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return None,
        };
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<NonZeroU32>().ok().filter(|number| plain && number.get() <= MOST)?;
        Some(Self { requests: number, unit })
    }

    /// How many may come at once when nothing else is said: two seconds' worth, so that callers need not be even.
    pub fn usual_burst(self) -> NonZeroU32 {
        let seconds = u32::try_from(self.interval().as_secs()).unwrap_or(u32::MAX);
        let burst = u64::from(self.requests.get()) * 2 / u64::from(seconds.max(1));
        let burst = u32::try_from(burst).unwrap_or(MOST).min(MOST);
        NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)
    }

    fn interval(self) -> Duration {
        Duration::from_secs(match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => "s",
            Unit::Minute => "m",
            Unit::Hour => "h",
        };
        write!(f, "{}/{unit}", self.requests)
    }
}

impl FromToml for Rate {
    const EXPECTED: &'static str =
        "a rate of 1 to 1000000 requests, such as \"200/s\", \"600/m\" or \"1000/h\"";
    fn from_toml(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }
}

/// Why a request may not come in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// In so many seconds it may; at least one.
    Wait {
        /// Seconds.
        seconds: u32,
    },
    /// It never may: it is larger than what may come at once.
    TooMuch {
        /// What may come at once.
        burst: u32,
    },
}

/// Time as the limiter was last told it.
#[derive(Debug, Clone, Default)]
struct Told(Arc<AtomicU64>);

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// A limit with what was used of it.
pub struct Limiter {
    rate: Rate,
    burst: NonZeroU32,
    told: Told,
    cells: RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>,
}

impl Limiter {
    /// A limit of which nothing was used.
    pub fn new(rate: Rate, burst: NonZeroU32) -> Self {
        let told = Told::default();
        // At most 1,000,000 an interval: a cell takes a microsecond or more, never nothing.
        let cell = rate.interval() / rate.requests.get();
        let quota = Quota::with_period(cell).unwrap_or_else(|| Quota::per_second(rate.requests));
        let cells = RateLimiter::direct_with_clock(quota.allow_burst(burst), told.clone());
        Self { rate, burst, told, cells }
    }

    /// Whether it is the limit that these words make.
    pub fn is(&self, rate: Rate, burst: NonZeroU32) -> bool {
        self.rate == rate && self.burst == burst
    }

    /// Takes `requests` of the limit, all or none. `monotonic_us` is the time; one that went back counts as no time.
    ///
    /// # Errors
    /// When they may come, or that they never may.
    pub fn take(&self, requests: NonZeroU32, monotonic_us: u64) -> Result<(), Excess> {
        self.told.0.fetch_max(monotonic_us.saturating_mul(1_000), Ordering::Relaxed);
        match self.cells.check_n(requests) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let now = self.told.now();
                let wait = Duration::from(not_until.earliest_possible().duration_since(now));
                let seconds = wait.as_nanos().div_ceil(1_000_000_000);
                Err(Excess::Wait { seconds: u32::try_from(seconds).unwrap_or(u32::MAX).max(1) })
            }
            Err(_) => Err(Excess::TooMuch { burst: self.burst.get() }),
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limiter({}, burst {})", self.rate, self.burst)
    }
}

/// Limits of a pool: 1,024 of them for all addresses of the world, or all people, about 100 KiB, so memory is bounded
/// whoever comes. Two who share one are no harm: each pool's limit is far above what one needs.
const POOL: usize = 1_024;

/// What an address may fail: a second apart on and on, and thirty at once, as a misconfigured fleet behind one address
/// does when it starts.
const FAILURES: (Rate, NonZeroU32) = (Rate::per_second(NonZeroU32::MIN), NonZeroU32::MIN.saturating_add(29));

/// Counts attempts by address: failed ones, and those that cost as much whether they fail or not.
///
/// It bounds the log and the answers that failures cost. It keeps nobody with a good key out: behind one address are
/// often many callers, and one with a wrong key must not shut out the others; nobody guesses a key of 256 bits anyway.
#[derive(Debug)]
pub struct Strangers(Pool);

impl Default for Strangers {
    fn default() -> Self {
        Self(Pool::new(FAILURES.0, FAILURES.1))
    }
}

impl Strangers {
    /// Counts one attempt.
    ///
    /// # Errors
    /// Too many from there; in so many seconds one may be answered again.
    pub fn tried(&self, from: IpAddr, monotonic_us: u64) -> Result<(), Excess> {
        self.0.take(network(from), monotonic_us)
    }
}

/// What somebody who is signed in may ask for, all their pages together: opening a page is two or three requests, and a
/// list that changes all the time asks for its rows twice a second. A script that runs with a session is held by it.
const PEOPLE: (Rate, NonZeroU32) =
    (Rate::per_second(NonZeroU32::MIN.saturating_add(49)), NonZeroU32::MIN.saturating_add(199));

/// Counts the requests of people, by name.
#[derive(Debug)]
pub struct People(Pool);

impl Default for People {
    fn default() -> Self {
        Self(Pool::new(PEOPLE.0, PEOPLE.1))
    }
}

impl People {
    /// Counts one request.
    ///
    /// # Errors
    /// Too many of theirs; in so many seconds one may come again.
    pub fn came(&self, name: &str, monotonic_us: u64) -> Result<(), Excess> {
        self.0.take(name, monotonic_us)
    }
}

/// Limits that all of a kind share, each by its hash.
#[derive(Debug)]
struct Pool {
    limiters: Vec<Limiter>,
    hasher: RandomState,
}

impl Pool {
    fn new(rate: Rate, burst: NonZeroU32) -> Self {
        Self { limiters: (0..POOL).map(|_| Limiter::new(rate, burst)).collect(), hasher: RandomState::new() }
    }

    fn take(&self, who: impl Hash, monotonic_us: u64) -> Result<(), Excess> {
        let place = self.hasher.hash_one(who) as usize % POOL;
        self.limiters.get(place).map_or(Ok(()), |limiter| limiter.take(NonZeroU32::MIN, monotonic_us))
    }
}

/// Whom an address belongs to: in IPv6 a house has all of a /64.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}
