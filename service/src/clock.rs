//! The clock: the one place where time is read. Everything else is handed a [`Now`].
//!
//! Wall time is for ageing, for `decided_at` and for events from the future; how long something took is read off
//! the other one, which no one can set back. Event time comes with the payments and is not here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall-clock time, milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// Microseconds since some moment before the process's first reading; never goes back.
    pub monotonic_us: u64,
}

impl Now {
    /// Microseconds since an earlier reading of the monotonic clock.
    pub fn since_us(self, earlier_us: u64) -> i64 {
        i64::try_from(self.monotonic_us.saturating_sub(earlier_us)).unwrap_or(i64::MAX)
    }
}

/// Where time comes from.
pub trait Clock: Send {
    /// Now.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let monotonic = self.0.elapsed();
        Now {
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
            monotonic_us: u64::try_from(monotonic.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// A clock that stands until it is moved: replay and the deterministic tests.
#[derive(Debug, Default)]
pub struct StandingClock(AtomicU64);

impl StandingClock {
    /// A clock that stands at this wall time, milliseconds.
    pub fn at(wall_ms: u64) -> Self {
        Self(AtomicU64::new(wall_ms))
    }

    /// Moves it on.
    pub fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Now {
        let ms = self.0.load(Ordering::Relaxed);
        Now { wall_ms: i64::try_from(ms).unwrap_or(i64::MAX), monotonic_us: ms.saturating_mul(1_000) }
    }
}

impl<C: Clock + Sync> Clock for std::sync::Arc<C> {
    fn now(&self) -> Now {
        C::now(self)
    }
}
