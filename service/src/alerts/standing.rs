//! How the queue stands: what is wrong, by who met it, and its numbers. For the pages, `/readyz` and `/metrics`.
//!
//! A database that is locked or full still answers questions: so who reads, who takes records in and who sends each say
//! how it went for them, and each takes back only its own word.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use queue::{EffectKind, Figures};
use tokio::sync::watch;

use super::filler::Kind;
use crate::indexer::Progress;

/// A filler that has not come round for so long hangs: it waits for nothing longer than some ten seconds.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// Who meets the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Who looks at it all the time, and tries a write now and then.
    Look,
    /// Who takes in records of a topic.
    Filler(Kind),
    /// Who carries out what follows from verdicts, one kind of it.
    Sender(EffectKind),
}

/// A filler as others see it.
#[derive(Debug)]
pub struct Filling {
    /// How far it is.
    pub progress: Arc<Progress>,
    /// When it last came round; nothing before it begins.
    round: Mutex<Option<Instant>>,
}

/// The queue's numbers for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueFigures {
    /// Whether the database takes what it is given.
    pub up: bool,
    /// What it said when it last answered.
    pub figures: Figures,
    /// Records of the alerts and the labels topic that are not taken in.
    pub lag: [u64; 2],
    /// The last entry of the audit log that its topic has.
    pub anchored: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Standing {
    wrong: Mutex<BTreeMap<Part, String>>,
    told: watch::Sender<Option<String>>,
    fillings: [Filling; 3],
    figures: Mutex<Figures>,
    anchored: AtomicI64,
}

impl Default for Standing {
    fn default() -> Self {
        let opening = "it is being opened".to_owned();
        let filling = || Filling { progress: Arc::default(), round: Mutex::new(None) };
        Self {
            wrong: Mutex::new([(Part::Look, opening.clone())].into()),
            told: watch::Sender::new(Some(opening)),
            fillings: [filling(), filling(), filling()],
            figures: Mutex::default(),
            anchored: AtomicI64::new(0),
        }
    }
}

impl Standing {
    /// Says how it went for one; what is new is logged once.
    pub fn met(&self, part: Part, why: Option<String>) {
        let mut wrong = locked(&self.wrong);
        match why {
            Some(why) => _ = wrong.insert(part, why),
            None => _ = wrong.remove(&part),
        }
        let now = wrong.values().next().cloned();
        let is_new = self.told.send_if_modified(|told| {
            let is_new = *told != now;
            told.clone_from(&now);
            is_new
        });
        match now {
            Some(why) if is_new => tracing::warn!(why, "the queue's database: alerts wait in their topic"),
            None if is_new => tracing::info!("the queue's database answers"),
            _ => {}
        }
    }

    /// What is wrong with the database, for those who wait for a change.
    pub fn told(&self) -> watch::Receiver<Option<String>> {
        self.told.subscribe()
    }

    /// What is wrong with it now.
    pub fn wrong(&self) -> Option<String> {
        self.told.borrow().clone()
    }

    /// One of the fillers.
    pub fn filling(&self, kind: Kind) -> &Filling {
        match kind {
            Kind::Alerts => &self.fillings[0],
            Kind::Labels => &self.fillings[1],
            Kind::Missed => &self.fillings[2],
        }
    }

    /// Keeps the database's own numbers.
    pub fn counted(&self, figures: Figures) {
        *locked(&self.figures) = figures;
    }

    /// The topic has the audit log up to this entry.
    pub fn anchored(&self, seq: i64) {
        self.anchored.store(seq, Ordering::Relaxed);
    }

    /// The numbers.
    pub fn figures(&self) -> QueueFigures {
        QueueFigures {
            up: self.wrong().is_none(),
            figures: *locked(&self.figures),
            lag: [0, 1].map(|place: usize| self.fillings[place].progress.state().lag),
            anchored: self.anchored.load(Ordering::Relaxed),
        }
    }

    /// Why the queue does not do its work, if it does not.
    pub fn trouble(&self) -> Option<String> {
        if let Some(why) = self.wrong() {
            return Some(format!("the database: {why}"));
        }
        [Kind::Alerts, Kind::Labels, Kind::Missed].into_iter().find_map(|kind| {
            let filling = self.filling(kind);
            if let Some(why) = filling.progress.state().waits_for {
                return Some(format!("{} are not taken in: {why}", kind.word()));
            }
            let round = (*locked(&filling.round))?;
            let is_stuck = round.elapsed() > STUCK_AFTER;
            is_stuck.then(|| format!("{} are not taken in: their thread hangs", kind.word()))
        })
    }
}

impl Filling {
    /// It comes round.
    pub fn turns(&self) {
        *locked(&self.round) = Some(Instant::now());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_takes_back_only_its_own_word() {
        let standing = Standing::default();
        assert_eq!(standing.wrong().as_deref(), Some("it is being opened"));
        standing.met(Part::Look, None);
        assert_eq!((standing.trouble(), standing.figures().up), (None, true));
        standing.met(Part::Filler(Kind::Alerts), Some("full".to_owned()));
        standing.met(Part::Look, None);
        standing.met(Part::Filler(Kind::Labels), None);
        assert_eq!(standing.trouble().as_deref(), Some("the database: full"));
        standing.met(Part::Filler(Kind::Alerts), None);
        assert_eq!(standing.trouble(), None);
        let progress = &standing.filling(Kind::Labels).progress;
        progress.waits_for(Some("no such topic".to_owned()));
        assert_eq!(standing.trouble().as_deref(), Some("labels are not taken in: no such topic"));
        progress.waits_for(None);
        let long_ago = Instant::now().checked_sub(STUCK_AFTER + Duration::from_secs(1));
        *locked(&standing.filling(Kind::Alerts).round) = long_ago;
        assert_eq!(standing.trouble().is_some(), long_ago.is_some());
        standing.filling(Kind::Alerts).turns();
        assert_eq!(standing.trouble(), None);
    }
}
