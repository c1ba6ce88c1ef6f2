//! Places for streams of events: each holds a connection of the door for as long as a page is open, and the door is the
//! callers' too. So there are few of them, for one person and for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pages of one person that are told what changes: more than one reads at a time.
const OF_A_PERSON: usize = 6;

/// Of all people together: a quarter of the door's places.
const OF_ALL: usize = 128;

/// The places that are taken, by name.
#[derive(Debug, Default)]
pub struct Places(Mutex<HashMap<String, usize>>);

/// A place; dropped, it is free again.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    name: String,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this person, if there is one.
    pub fn take(self: &Arc<Self>, name: &str) -> Option<Place> {
        let mut taken = self.taken();
        let own = taken.get(name).copied().unwrap_or(0);
        if own >= OF_A_PERSON || taken.values().sum::<usize>() >= OF_ALL {
            return None;
        }
        taken.insert(name.to_owned(), own + 1);
        Some(Place { places: Arc::clone(self), name: name.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get(&self.name).map_or(0, |own| own.saturating_sub(1)) {
            0 => _ = taken.remove(&self.name),
            left => _ = taken.insert(self.name.clone(), left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_six_places_all_have_128_and_each_comes_back() {
        let places = Arc::new(Places::default());
        let mut annas: Vec<_> = (0..OF_A_PERSON).map(|_| places.take("anna").unwrap()).collect();
        assert!(places.take("anna").is_none() && places.take("ben").is_some());
        annas.pop();
        annas.push(places.take("anna").unwrap());
        let names = |n: usize| format!("p{}", n / OF_A_PERSON);
        let others: Vec<_> = (OF_A_PERSON..OF_ALL).map(|n| places.take(&names(n)).unwrap()).collect();
        assert!(places.take("ben").is_none(), "all are taken");
        drop(annas);
        assert!(places.take("ben").is_some());
        drop(others);
        assert!(places.taken().is_empty(), "nothing is kept of who has left");
    }
}
