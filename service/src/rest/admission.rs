//! Admission: how many callers are inside at once, and who is next when there are more.
//!
//! Latency is what waits in front of a processor. So few are let in, a few more wait a moment, and the rest is told at
//! once to come again, before its body is read: many who wait here would only fill their callers' own queues. The newest
//! goes in first, since under more load than there is capacity for somebody waits in vain in any case: in a queue all
//! would be answered late, in a stack those who are answered are answered soon ("adaptive LIFO", B. Maurer, Fail at
//! Scale, ACM Queue 13/8).
//! Topic and callers share the processors by this rule: while callers are inside, the line applies smaller batches, so
//! that the state is free again within a millisecond; how much of a core each gets is the system's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

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
    waiting: VecDeque<oneshot::Sender<Place>>,
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
        let inside = Inside { free: places, waiting: VecDeque::new() };
        Self { inside: Arc::new(Mutex::new(inside)), most_waiting, wait }
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
            // Those who have waited longest are the first whose time is over.
            while inside.waiting.front().is_some_and(oneshot::Sender::is_closed) {
                inside.waiting.pop_front();
            }
            if wait.is_zero() || inside.waiting.len() >= self.most_waiting {
                return None;
            }
            let (call, called) = oneshot::channel();
            inside.waiting.push_back(call);
            called
        };
        tokio::time::timeout(wait, called).await.ok()?.ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(all) = self.0.take() else { return };
        let mut place = Self(Some(Arc::clone(&all)));
        loop {
            let mut inside = lock(&all);
            let Some(newest) = inside.waiting.pop_back() else {
                inside.free += 1;
                place.0 = None;
                return;
            };
            drop(inside);
            match newest.send(place) {
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
    async fn i16_no_more_than_there_are_places_and_the_newest_goes_first() {
        let admission = Admission::new(2, 3, Duration::from_secs(60));
        let mut inside = vec![admission.enter(LONG).await, admission.enter(LONG).await];
        assert!(inside.iter().all(Option::is_some));
        let mut waiters = waiters(&admission, 3).await;
        assert!(admission.enter(LONG).await.is_none(), "no room to wait: refused at once");
        // Who hangs up is passed over.
        waiters.pop().unwrap().abort();
        while !lock(&admission.inside).waiting.back().is_some_and(oneshot::Sender::is_closed) {
            tokio::task::yield_now().await;
        }
        inside.pop();
        let newest = waiters.pop().unwrap().await.unwrap();
        assert!(newest.is_some(), "the newest of those who are there");
        assert!(!waiters[0].is_finished());
        drop(newest);
        assert!(waiters.pop().unwrap().await.unwrap().is_some());
        inside.clear();
        assert_eq!(lock(&admission.inside).free, 2, "all are given back");
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
