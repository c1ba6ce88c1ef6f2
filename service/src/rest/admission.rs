//! Admission: how many callers are inside at once, and how long one more may wait at the door.
//!
//! Latency is what waits in front of a processor. So few are let in, a few more wait a moment, and the rest is told at
//! once to come again: before its body is read, in some ten microseconds. Those who wait are so few that they come in
//! before their time is over, as long as anything moves: who is refused is refused at once. Topic and callers share two cores by this
//! rule: while callers are inside, the line applies smaller batches, so that the state is free again within a
//! millisecond; how much of a core each gets is the system's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The door's bound. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    wait: Duration,
}

/// A place inside; it is given back when this is dropped.
pub struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Admission {
    /// So many inside, and a quarter as many waiting, for so long.
    pub fn new(places: usize, wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            waiting: Arc::default(),
            most_waiting: places.div_ceil(4),
            wait,
        }
    }

    /// A place, or none in time.
    pub async fn enter(&self) -> Option<Place> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(Place(place));
        }
        if self.wait.is_zero() || self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most_waiting {
            if !self.wait.is_zero() {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            return None;
        }
        let _waits = Waits(&self.waiting);
        let place = tokio::time::timeout(self.wait, Arc::clone(&self.places).acquire_owned()).await;
        place.ok()?.ok().map(Place)
    }
}

/// One who waits, also when he hangs up.
struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn i16_as_many_as_there_are_places_and_a_quarter_who_wait() {
        let admission = Admission::new(8, Duration::from_secs(60));
        let mut inside = Vec::new();
        for _ in 0..8 {
            inside.push(admission.enter().await);
        }
        assert!(inside.iter().all(Option::is_some));
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let admission = admission.clone();
                tokio::spawn(async move { admission.enter().await.is_some() })
            })
            .collect();
        while admission.waiting.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert!(admission.enter().await.is_none(), "no room to wait: refused at once");
        waits[0].abort();
        while admission.waiting.load(Ordering::Relaxed) > 1 {
            tokio::task::yield_now().await;
        }
        drop(inside.pop());
        for (one, wait) in waits.into_iter().enumerate() {
            assert_eq!(wait.await.unwrap_or(false), one == 1, "who hung up is gone, the other has the place");
        }
        assert!(Admission::new(0, Duration::ZERO).enter().await.is_none());
    }
}
