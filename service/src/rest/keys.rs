//! Idempotency keys: a caller's own name for a request, which may not contradict the payment's.
//!
//! The transaction id is what makes a payment one; a key that comes again with another id shows that the caller mixed
//! something up. Bounded, the oldest go first, and a restart forgets: it is a check, not what idempotency rests on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Keys remembered, some 150 bytes each.
const MOST: usize = 100_000;

/// The keys of late.
#[derive(Default)]
pub struct Keys(Mutex<Book>);

type Key = (Box<str>, Box<str>);

#[derive(Default)]
struct Book {
    ids: HashMap<Key, Box<str>>,
    order: VecDeque<Key>,
}

impl Keys {
    /// Whether a caller's key is new, or was for this id.
    pub fn agrees(&self, caller: &str, key: &str, transaction_id: &str) -> bool {
        let key: Key = (caller.into(), key.into());
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = book.ids.get(&key) {
            return **id == *transaction_id;
        }
        book.ids.insert(key.clone(), transaction_id.into());
        book.order.push_back(key);
        if book.order.len() > MOST
            && let Some(oldest) = book.order.pop_front()
        {
            book.ids.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stays_with_its_payment_and_its_caller() {
        let keys = Keys::default();
        assert!(keys.agrees("shop", "k", "t1") && keys.agrees("shop", "k", "t1"));
        assert!(!keys.agrees("shop", "k", "t2"));
        assert!(keys.agrees("other", "k", "t2"), "another caller's keys are his own");
        for n in 0..MOST {
            assert!(keys.agrees("shop", &n.to_string(), "t3"));
        }
        assert!(keys.agrees("shop", "k", "t2"), "the oldest was forgotten");
        assert_eq!(keys.0.lock().unwrap().ids.len(), MOST);
    }
}
