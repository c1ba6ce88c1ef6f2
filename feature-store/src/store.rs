//! Where the states of all entities live, and what makes a batch of events durable.
//!
//! A store is told of a batch before it is applied and after: `begin` checks that the batch follows the last
//! one of its source, `commit` makes it durable. The chain (`prev` must be the fence) is what a bare "skip what
//! is below the fence" lacks: a batch that arrives after a lost one is refused instead of applied.

use crate::state::{EntityState, StateBytesError};

pub mod embedded;

/// An entity's place in the store's memory; stable while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// No slot.
    pub const NONE: Slot = Slot(u32::MAX);
}

/// The topics that the state is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Payment events.
    Payments = 0,
    /// Fraud verdicts.
    Labels = 1,
}

/// One partition of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    /// Which topic.
    pub topic: Topic,
    /// Which partition.
    pub partition: i32,
}

/// The batch of one source that is applied at once: what a journal row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where its records come from.
    pub source: Source,
    /// The fence that it follows: last offset applied before, `None` for the first batch ever.
    pub prev: Option<i64>,
    /// Offset of its first record.
    pub first: i64,
    /// Offset of its last record; between the two the log may have holes.
    pub last: i64,
    /// What the owner needs to make the same of these records again; not read by the store.
    pub note: Vec<u8>,
}

/// Whether a batch may be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It follows the fence.
    Ready,
    /// All of it was applied before.
    Duplicate,
    /// Something is missing between the fence and it: read again from `have + 1`.
    Gap {
        /// The fence.
        have: Option<i64>,
    },
}

/// What a store cannot do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The files: in use, damaged, full, or the system failed.
    #[error(transparent)]
    Files(#[from] crate::files::FilesError),
    /// A blob with a good checksum that is no state: made by other code.
    #[error("{0}; the store was written by another build")]
    Bytes(#[from] StateBytesError),
    /// The state was made with other features, so its rows lack what the new ones need.
    #[error(
        "the store was made with other features or another payment mapping (layout {found}, now {wanted}); point \
         store.path at an empty folder to rebuild the state from the topics"
    )]
    OtherLayout {
        /// Layout of the files.
        found: String,
        /// Layout of the features now.
        wanted: String,
    },
    /// A head or journal row with a good checksum that cannot be read.
    #[error("{0} cannot be read; the store was written by another build")]
    Unreadable(&'static str),
    /// A batch was committed that `begin` did not allow, or out of the journal's order.
    #[error("batch {first}..={last} of {topic:?} {partition} is out of order")]
    OutOfOrder {
        /// Topic of the batch.
        topic: Topic,
        /// Its partition.
        partition: i32,
        /// Its first offset.
        first: i64,
        /// Its last offset.
        last: i64,
    },
}

/// Keeps entity states and the fences of their sources.
pub trait Store {
    /// The last offset of a source whose batch was committed.
    fn fence(&self, source: Source) -> Option<i64>;

    /// Whether the batch may be applied now.
    fn begin(&self, batch: &Batch) -> Begin {
        match self.fence(batch.source) {
            Some(fence) if batch.last <= fence => Begin::Duplicate,
            have if have == batch.prev => Begin::Ready,
            have => Begin::Gap { have },
        }
    }

    /// The slot of an entity, made when it is met first.
    fn slot(&mut self, entity: usize, key: &str) -> Slot;

    /// The state of a slot, to be changed by the batch that was begun.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn state(&mut self, slot: Slot) -> Result<&mut EntityState, StoreError>;

    /// Makes a batch that was begun and applied durable.
    ///
    /// # Errors
    /// When it does not follow the fence, or cannot be written.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError>;
}
