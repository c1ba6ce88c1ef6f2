//! Health: whether each part of the process can do its work, and if not, why. `/livez` and `/readyz` read it.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A part of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Brokers, partitions, the line.
    Stream,
    /// The state.
    Store,
    /// The live model.
    Models,
    /// The schema registry.
    Registry,
    /// The callers' door.
    Rest,
    /// The listener of `/metrics` and the page.
    Http,
    /// The analysts' queue: its database, and who fills it.
    Queue,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 7] =
        [Part::Stream, Part::Store, Part::Models, Part::Registry, Part::Rest, Part::Http, Part::Queue];

    /// Whether payments cannot be decided without it. The queue is worked by people: a load balancer that took the
    /// process out for its database's sake would stop decisions too.
    pub fn decides(self) -> bool {
        self != Part::Queue
    }

    /// Its word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Stream => "stream",
            Part::Store => "store",
            Part::Models => "models",
            Part::Registry => "registry",
            Part::Rest => "rest",
            Part::Http => "http",
            Part::Queue => "queue",
        }
    }
}

/// How a part stands. Reasons are for people and go out over HTTP: no secrets, no content of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It works.
    Ready,
    /// It does not work now and may by itself.
    NotReady(String),
    /// It will not work again in this process.
    Dead(String),
}

/// How one part stands, as `/readyz` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartState {
    /// The part's word.
    pub part: &'static str,
    /// Whether it works.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How all parts stand, as `/readyz` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether every part works that decisions need.
    pub ready: bool,
    /// Each part.
    pub parts: Vec<PartState>,
}

/// How the parts stand. Any thread sets, any thread reads.
#[derive(Debug)]
pub struct Health(Mutex<Vec<(Part, Standing)>>);

impl Health {
    /// The health of these parts; each is not ready, "starting", until it is set.
    pub fn new(parts: &[Part]) -> Self {
        let starting = |part: &Part| (*part, Standing::NotReady("starting".to_owned()));
        Self(Mutex::new(parts.iter().map(starting).collect()))
    }

    /// Sets how a part stands; a part that is not among those of [`Self::new`] joins them. Dead is for ever.
    pub fn set(&self, part: Part, standing: Standing) {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, Standing::Dead(_))) => {}
            Some((_, old)) => *old = standing,
            None => parts.push((part, standing)),
        }
    }

    /// The first part that is dead, and why.
    pub fn dead(&self) -> Option<(Part, String)> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().find_map(|(part, standing)| match standing {
            Standing::Dead(reason) => Some((*part, reason.clone())),
            Standing::Ready | Standing::NotReady(_) => None,
        })
    }

    /// How all parts stand.
    pub fn readiness(&self) -> Readiness {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = parts.iter().all(|(part, standing)| !part.decides() || *standing == Standing::Ready);
        Readiness { ready, parts: parts.iter().map(|(part, standing)| state(*part, standing)).collect() }
    }
}

fn state(part: Part, standing: &Standing) -> PartState {
    let reason = match standing {
        Standing::Ready => None,
        Standing::NotReady(reason) | Standing::Dead(reason) => Some(reason.clone()),
    };
    PartState { part: part.as_str(), ready: reason.is_none(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_part_is_and_dead_stays_dead() {
        let health = Health::new(&[Part::Stream, Part::Registry]);
        assert!(!health.readiness().ready, "nothing is ready before it says so");
        health.set(Part::Stream, Standing::Ready);
        assert!(!health.readiness().ready);
        health.set(Part::Registry, Standing::Ready);
        assert!(health.readiness().ready && health.dead().is_none());
        health.set(Part::Store, Standing::NotReady("recovering".to_owned()));
        assert!(!health.readiness().ready);
        health.set(Part::Store, Standing::Dead("damaged".to_owned()));
        health.set(Part::Store, Standing::Ready);
        assert_eq!(health.dead(), Some((Part::Store, "damaged".to_owned())));
        assert_eq!(health.readiness().parts[2].reason.as_deref(), Some("damaged"));
    }

    #[test]
    fn a_queue_that_does_not_work_is_told_and_stops_no_decision() {
        let health = Health::new(&[Part::Stream, Part::Queue]);
        health.set(Part::Stream, Standing::Ready);
        health.set(Part::Queue, Standing::NotReady("the database: full".to_owned()));
        let readiness = health.readiness();
        assert!(readiness.ready && !readiness.parts[1].ready);
        assert_eq!(readiness.parts[1].reason.as_deref(), Some("the database: full"));
    }
}
