//! Accepted: payments that a caller was or is being answered about and that the stream has not applied yet.
//!
//! ```text
//! begin ─► join ─► decide ─► (record in the topic) ─► applied ─► forgotten a while later
//!   │        └ from here on the payments after it count it as ahead
//!   └ one for each transaction id: who asks meanwhile waits for the same decision
//! ```
//! The stream and the callers meet here. Whoever is first decides: a payment that the stream applies while its caller
//! still waits is the stream's (`Overtaken`); one that was decided for a caller is adopted by the stream as it stands,
//! wherever it meets it. The lock is held for a few hash look-ups, never across I/O or a model.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use feature_store::enricher::Ahead;
use feature_store::identity::TransactionKey;
use schemas::payment::{ContentHash, Payment};
use tokio::sync::watch;

use crate::made::Made;

mod recent;
#[cfg(test)]
pub(crate) mod tests;

use recent::Recent;

/// Applied payments whose decisions are still told from here: for the moment until the index has them.
const KEEP_APPLIED: usize = 20_000;

/// How far a payment is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// Somebody works on it.
    Deciding,
    /// Decided. `recorded`: the brokers have it.
    Decided {
        /// The decision.
        made: Arc<Made>,
        /// Whether the brokers acknowledged its record.
        recorded: bool,
        /// Whether a kill would not undo it: it is recorded, or kept on the disk.
        safe: bool,
    },
    /// It is not decided here.
    Left(Left),
}

/// Why a payment that was begun is not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The stream has a payment with this id and other content.
    Conflict,
    /// The stream knows the id from before, with this content: its decision is in the index.
    Known(ContentHash),
    /// It is too old.
    Late,
    /// It is too far in the future.
    Future,
    /// It cannot be told whether it was decided before.
    Unknown,
}

/// What [`Accepted::begin`] found.
pub enum Begin {
    /// Nobody has it: the caller decides, and must end it by `decide` or `leave`.
    New,
    /// Somebody has or had it, with the same content.
    Same(watch::Receiver<Stage>),
    /// Somebody has or had it, with other content. Which of the two counts is known when that one is settled.
    Other(watch::Receiver<Stage>),
}

/// What the stream takes over of a payment that it has just applied.
#[derive(Debug, PartialEq)]
pub enum Taken {
    /// Nobody waits for it.
    Nothing,
    /// It is decided already.
    Adopted(Arc<Made>),
    /// A caller waits, and will be told what the stream decides.
    Overtook,
}

struct Entry {
    payment: Arc<Payment>,
    stage: watch::Sender<Stage>,
    /// Counted as ahead of others.
    listed: bool,
    /// The stream has it.
    applied: bool,
}

#[derive(Default)]
struct Book {
    entries: HashMap<TransactionKey, Entry>,
    /// Those that are decided, by the decision's id.
    decided: HashMap<String, TransactionKey>,
    /// Ids in the order in which they joined, by entity and key.
    ahead: Vec<HashMap<Box<str>, Vec<TransactionKey>>>,
    applied: VecDeque<TransactionKey>,
}

/// The table. See the module.
pub struct Accepted {
    book: Mutex<Book>,
    /// Entries that the stream has not applied.
    open: AtomicUsize,
    /// Newest event time of the slowest partition, milliseconds: what is further back than lateness allows is late.
    slowest_ms: AtomicI64,
    /// What the stream applied of late.
    recent: Recent,
}

impl Default for Accepted {
    fn default() -> Self {
        let (book, open, recent) = Default::default();
        Self { book, open, slowest_ms: AtomicI64::new(i64::MIN), recent }
    }
}

impl Accepted {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Payments that the stream has not applied yet.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Asks for a payment.
    pub fn begin(&self, payment: &Arc<Payment>) -> Begin {
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        if let Some(entry) = book.entries.get(&key) {
            let (same, stage) = (entry.payment.content == payment.content, entry.stage.subscribe());
            return if same { Begin::Same(stage) } else { Begin::Other(stage) };
        }
        let (stage, _) = watch::channel(Stage::Deciding);
        let entry = Entry { payment: Arc::clone(payment), stage, listed: false, applied: false };
        book.entries.insert(key, entry);
        self.open.fetch_add(1, Ordering::AcqRel);
        Begin::New
    }

    /// Who is ahead of a payment, of those that share an entity with it. Nothing is changed by it.
    pub fn ahead(&self, payment: &Payment) -> Ahead {
        self.book().ahead_of(payment)
    }

    /// Counts a payment that was begun from now on, and says who is ahead of it. The second time it only says that.
    /// A look that is late does not count the next one with the same id.
    pub fn join(&self, payment: &Arc<Payment>) -> Ahead {
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        let ahead = book.ahead_of(payment);
        if book.entries.get(&key).is_some_and(|entry| Arc::ptr_eq(&entry.payment, payment)) {
            book.list(key);
        }
        ahead
    }

    /// The stream's event time has come so far on its slowest partition, under the lock of its state.
    pub fn is_at(&self, slowest_ms: Option<i64>) {
        self.slowest_ms.store(slowest_ms.unwrap_or(i64::MIN), Ordering::Release);
    }

    /// How far that is, milliseconds.
    pub fn slowest_ms(&self) -> i64 {
        self.slowest_ms.load(Ordering::Acquire)
    }

    /// Ends a payment that was begun with its decision. `false` when the stream was first.
    #[must_use]
    pub fn decide(&self, payment: &Payment, made: Arc<Made>) -> bool {
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        book.list(key);
        if book.entries.get(&key).is_none_or(|entry| entry.applied) {
            return false;
        }
        book.decide(key, made, false);
        true
    }

    /// Who waits for a payment that the stream was first with, or that is being decided.
    pub fn waits(&self, payment: &Payment) -> Option<watch::Receiver<Stage>> {
        let key = TransactionKey::of(&payment.transaction_id);
        self.book().entries.get(&key).map(|entry| entry.stage.subscribe())
    }

    /// The decision of this id, while it is told from here, and whether the brokers have its record.
    pub fn find(&self, decision_id: &str) -> Option<(Arc<Made>, bool)> {
        let book = self.book();
        let entry = book.entries.get(book.decided.get(decision_id)?)?;
        match &*entry.stage.borrow() {
            Stage::Decided { made, recorded, .. } => Some((Arc::clone(made), *recorded)),
            _ => None,
        }
    }

    /// The content of a payment that the stream applied of late, by its own account: the state need not be asked.
    pub fn lately(&self, payment: &Payment) -> Option<ContentHash> {
        self.recent.content(TransactionKey::of(&payment.transaction_id))
    }

    /// The brokers have a payment's record.
    pub fn recorded(&self, payment: &Payment) {
        self.marked(payment, |recorded, safe| (*recorded, *safe) = (true, true));
    }

    /// It is kept on the disk until they have.
    pub fn kept(&self, payment: &Payment) {
        self.marked(payment, |_, safe| *safe = true);
    }

    fn marked(&self, payment: &Payment, mark: impl FnOnce(&mut bool, &mut bool)) {
        let book = self.book();
        if let Some(entry) = book.entries.get(&TransactionKey::of(&payment.transaction_id)) {
            entry.stage.send_if_modified(|stage| match stage {
                Stage::Decided { recorded, safe, .. } => {
                    let before = (*recorded, *safe);
                    mark(recorded, safe);
                    before != (*recorded, *safe)
                }
                _ => false,
            });
        }
    }

    /// Ends a payment that was begun and is not to be decided; who waits for it is told why. `false` for one that counts
    /// for others already: it has to be decided.
    pub fn leave(&self, payment: &Payment, why: Left) -> bool {
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        let may_go = book.entries.get(&key).is_none_or(|entry| !entry.applied && !entry.listed);
        if may_go {
            self.end(&mut book, key, why);
        }
        may_go
    }

    /// The stream refused a payment's record, or there will be none: it is ahead of others no more.
    pub fn refused(&self, payment: &Payment, why: Left) {
        if self.open() == 0 {
            return;
        }
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        let is_it = |entry: &Entry| !entry.applied && entry.payment.content == payment.content;
        if book.entries.get(&key).is_some_and(is_it) {
            self.end(&mut book, key, why);
        }
    }

    fn end(&self, book: &mut Book, key: TransactionKey, why: Left) {
        book.unlist(key);
        if let Some(entry) = book.forget(key) {
            entry.stage.send_replace(Stage::Left(why));
            self.open.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Takes in a payment that was decided before a restart and perhaps never came to the topic.
    pub fn restore(&self, payment: Arc<Payment>, made: Arc<Made>) {
        // Just begun: nobody was before.
        if matches!(self.begin(&payment), Begin::New) && self.decide(&payment, made) {
            self.kept(&payment);
        }
    }

    /// Whether the stream may not apply a payment: another with its id was decided for a caller.
    pub fn conflicts(&self, payment: &Payment) -> bool {
        if self.open() == 0 {
            return false;
        }
        let book = self.book();
        let entry = book.entries.get(&TransactionKey::of(&payment.transaction_id));
        entry.is_some_and(|entry| {
            let decided = matches!(*entry.stage.borrow(), Stage::Decided { .. });
            !entry.applied && decided && entry.payment.content != payment.content
        })
    }

    /// The stream has met a payment that it knows from before. One that was decided is not ahead of others any more.
    pub fn met_again(&self, payment: &Payment) {
        if self.open() == 0 {
            return;
        }
        let key = TransactionKey::of(&payment.transaction_id);
        let mut book = self.book();
        let decided =
            |entry: &&Entry| !entry.applied && matches!(*entry.stage.borrow(), Stage::Decided { .. });
        let Some(entry) = book.entries.get(&key).filter(decided) else { return };
        if entry.payment.content == payment.content {
            drop(book);
            self.applied(payment);
        } else {
            // Decided while nobody could tell that its id was taken: the stream's payment is the one with this id.
            self.end(&mut book, key, Left::Known(payment.content));
        }
    }

    /// The stream has applied a payment, and still holds the lock under which it did.
    pub fn applied(&self, payment: &Payment) -> Taken {
        let key = TransactionKey::of(&payment.transaction_id);
        self.recent.applied(key, payment.content);
        if self.open() == 0 {
            return Taken::Nothing;
        }
        let mut book = self.book();
        let Some(entry) = book.entries.get_mut(&key).filter(|entry| !entry.applied) else {
            return Taken::Nothing;
        };
        let same = entry.payment.content == payment.content;
        let stage = entry.stage.borrow().clone();
        let taken = match stage {
            Stage::Decided { made, .. } => Taken::Adopted(made),
            _ if same => Taken::Overtook,
            _ => Taken::Nothing,
        };
        if taken == Taken::Nothing {
            // The stream's payment is the one with this id; who waits with another is told so.
            self.end(&mut book, key, Left::Conflict);
            return taken;
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        book.unlist(key);
        if let Some(entry) = book.entries.get_mut(&key) {
            entry.applied = true;
        }
        book.applied.push_back(key);
        if book.applied.len() > KEEP_APPLIED
            && let Some(oldest) = book.applied.pop_front()
        {
            book.forget(oldest);
        }
        taken
    }

    /// What the stream decided of a payment whose caller it overtook.
    pub fn overtaken(&self, transaction_id: &str, made: Made) {
        self.book().decide(TransactionKey::of(transaction_id), Arc::new(made), true);
    }
}

impl Book {
    fn decide(&mut self, key: TransactionKey, made: Arc<Made>, recorded: bool) {
        if let Some(entry) = self.entries.get(&key) {
            self.decided.insert(made.decision.decision_id.clone(), key);
            entry.stage.send_replace(Stage::Decided { made, recorded, safe: recorded });
        }
    }

    /// An entry is told from here no more.
    fn forget(&mut self, key: TransactionKey) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        if let Stage::Decided { made, .. } = &*entry.stage.borrow() {
            self.decided.remove(&made.decision.decision_id);
        }
        Some(entry)
    }

    fn ahead_of(&self, payment: &Payment) -> Ahead {
        let own = TransactionKey::of(&payment.transaction_id);
        let of = |(entity, key): (usize, &Option<Box<str>>)| {
            let ids = key.as_deref().and_then(|key| self.ahead.get(entity)?.get(key));
            let before = ids.into_iter().flatten().take_while(|id| **id != own);
            before.filter_map(|id| Some(Arc::clone(&self.entries.get(id)?.payment))).collect()
        };
        payment.entities.iter().enumerate().map(of).collect()
    }

    fn list(&mut self, id: TransactionKey) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.listed && !entry.applied) else {
            return;
        };
        entry.listed = true;
        let payment = Arc::clone(&entry.payment);
        self.ahead.resize_with(self.ahead.len().max(payment.entities.len()), HashMap::new);
        for (ids, key) in self.ahead.iter_mut().zip(&payment.entities) {
            if let Some(key) = key {
                ids.entry(key.clone()).or_default().push(id);
            }
        }
    }

    fn unlist(&mut self, id: TransactionKey) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !std::mem::replace(&mut entry.listed, false) {
            return;
        }
        for (ids, key) in self.ahead.iter_mut().zip(&entry.payment.entities) {
            let Some(key) = key else { continue };
            let Some(list) = ids.get_mut(key) else { continue };
            list.retain(|other| *other != id);
            if list.is_empty() {
                ids.remove(key);
            }
        }
    }
}
