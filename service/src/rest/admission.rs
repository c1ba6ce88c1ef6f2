//! Admission: how many callers are inside at once, and who is next when there are more.
//!
//! Latency is what waits in front of a processor. So few are let in, some more wait a moment, and the rest is told at
//! once to come again, mostly before its body is read: many who wait here would only fill their callers' own queues. The oldest
//! goes in first as long as the queue moves. Once the oldest has waited for half of the longest wait there is more than
//! can be done, and somebody waits in vain in any case: then the newest goes first, since in a queue all would be answered
//! late, and in a stack those who are answered are answered soon ("adaptive LIFO", B. Maurer, Fail at Scale, ACM Queue
//! 13/8).
//! While callers are inside, the line applies smaller batches, so that the state is free again within a millisecond; who
//! goes first where there are too few processors is `turn.rs`'s.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// Payments inside for each processor: what is more waits for a processor anyway, and all are later for it.
const PLACES_A_PROCESSOR: usize = 12;

/// The most that a machine with many processors has: with who waits, well below the connections there are.
const MOST_PLACES: usize = 192;

/// As many as suit this machine.
pub fn usual_places() -> usize {
    (PLACES_A_PROCESSOR * std::thread::available_parallelism().map_or(1, usize::from)).min(MOST_PLACES)
}

/// The door's bound. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    inside: Arc<Mutex<Inside>>,
    most_waiting: usize,
    wait: Duration,
}

struct Inside {
    free: usize,
    /// The newest last. Who has gone stays until he is met.
    waiting: VecDeque<Waiter>,
    /// So long the oldest goes first.
    patience: Duration,
}

struct Waiter {
    since: Instant,
    call: oneshot::Sender<Place>,
}

/// A place inside; it is given on, or back, when this is dropped.
#[derive(Debug)]
pub struct Place(Option<Arc<Mutex<Inside>>>);

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside").field("free", &self.free).finish_non_exhaustive()
    }
}

impl Admission {
    /// So many inside, and so many waiting, for so long.
    pub fn new(places: usize, most_waiting: usize, wait: Duration) -> Self {
        let inside = Inside { free: places, waiting: VecDeque::new(), patience: wait / 2 };
        Self { inside: Arc::new(Mutex::new(inside)), most_waiting, wait }
    }

    /// Whether who comes now has no place and none to wait.
    pub fn is_full(&self) -> bool {
        let mut inside = lock(&self.inside);
        inside.free == 0 && inside.has_no_room(self.most_waiting)
    }

    /// A place, or none in time. Who waits for an answer no longer than `deadline` does not wait for most of it here.
    pub async fn enter(&self, deadline: Duration) -> Option<Place> {
        let wait = self.wait.min(deadline / 2);
        let called = {
            let mut inside = lock(&self.inside);
            if let Some(fewer) = inside.free.checked_sub(1) {
                inside.free = fewer;
                return Some(Place(Some(Arc::clone(&self.inside))));
            }
            if wait.is_zero() || inside.has_no_room(self.most_waiting) {
                return None;
            }
            let (call, called) = oneshot::channel();
            inside.waiting.push_back(Waiter { since: Instant::now(), call });
            called
        };
        tokio::time::timeout(wait, called).await.ok()?.ok()
    }
}

impl Inside {
    /// Whether so many wait, those left out who hung up or whose time is over.
    fn has_no_room(&mut self, most_waiting: usize) -> bool {
        if self.waiting.len() >= most_waiting {
            self.waiting.retain(|waiter| !waiter.call.is_closed());
        }
        self.waiting.len() >= most_waiting
    }

    /// Who goes in now.
    fn next(&mut self) -> Option<Waiter> {
        while self.waiting.front().is_some_and(|oldest| oldest.call.is_closed()) {
            self.waiting.pop_front();
        }
        let is_late = self.waiting.front().is_some_and(|oldest| oldest.since.elapsed() > self.patience);
        if is_late { self.waiting.pop_back() } else { self.waiting.pop_front() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(all) = self.0.take() else { return };
        let mut place = Self(Some(Arc::clone(&all)));
        loop {
            let mut inside = lock(&all);
            let Some(next) = inside.next() else {
                inside.free += 1;
                place.0 = None;
                return;
            };
            drop(inside);
            match next.call.send(place) {
                Ok(()) => return,
                // His time was over: the next.
                Err(again) => place = again,
            }
        }
    }
}

fn lock(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    async fn waiters(admission: &Admission, count: usize) -> Vec<tokio::task::JoinHandle<Option<Place>>> {
        let mut waiters = Vec::new();
        for place in 1..=count {
            let waiter = admission.clone();
            waiters.push(tokio::spawn(async move { waiter.enter(LONG).await }));
            while lock(&admission.inside).waiting.len() < place {
                tokio::task::yield_now().await;
            }
        }
        waiters
    }

    #[tokio::test]
    async fn i16_no_more_than_there_are_places_and_the_oldest_goes_first() {
        let admission = Admission::new(2, 3, Duration::from_secs(60));
        let mut inside = vec![admission.enter(LONG).await, admission.enter(LONG).await];
        assert!(inside.iter().all(Option::is_some));
        assert!(!admission.is_full());
        let mut waiters = waiters(&admission, 3).await;
        assert!(admission.is_full());
        assert!(admission.enter(LONG).await.is_none(), "no room to wait: refused at once");
        // Who hangs up is passed over.
        let gone = waiters.remove(0);
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        inside.pop();
        let oldest = waiters.remove(0).await.unwrap();
        assert!(oldest.is_some(), "the oldest of those who are there");
        assert!(!waiters[0].is_finished());
        drop(oldest);
        assert!(waiters.pop().unwrap().await.unwrap().is_some());
        inside.clear();
        assert_eq!(lock(&admission.inside).free, 2, "all are given back");
    }

    #[tokio::test]
    async fn when_the_oldest_has_waited_for_long_the_newest_goes_first() {
        let admission = Admission::new(1, 3, Duration::from_secs(60));
        let inside = admission.enter(LONG).await;
        let mut waiters = waiters(&admission, 3).await;
        lock(&admission.inside).waiting[0].since -= Duration::from_secs(31);
        drop(inside);
        let newest = waiters.pop().unwrap().await.unwrap();
        assert!(newest.is_some() && !waiters[0].is_finished() && !waiters[1].is_finished());
        drop(newest);
        assert!(waiters.pop().unwrap().await.unwrap().is_some());
        // Alone he is the oldest and the newest.
        assert!(waiters.pop().unwrap().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn who_waits_too_long_is_refused_and_takes_no_place() {
        let admission = Admission::new(1, 2, Duration::from_millis(5));
        let inside = admission.enter(LONG).await;
        let waiters = waiters(&admission, 2).await;
        for waiter in waiters {
            assert!(waiter.await.unwrap().is_none());
        }
        assert!(admission.enter(LONG).await.is_none());
        assert_eq!(lock(&admission.inside).waiting.len(), 1, "those before are forgotten");
        drop(inside);
        assert!(admission.enter(LONG).await.is_some());
        assert!(Admission::new(0, 2, Duration::ZERO).enter(LONG).await.is_none());
    }
}
