//! What was said about one payment, by whom and since when; and when the stream had heard of it.

/// One label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    /// Known since, milliseconds.
    pub since_ms: i64,
    /// Fraud or legitimate. At one time fraud wins, so it is the greater.
    pub is_fraud: bool,
    /// Who says so.
    pub source: u8,
    /// The first epoch in which it was applied.
    pub epoch: u32,
}

/// The labels of one payment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdicts(pub Vec<Said>);

/// Every label there is counts.
pub(super) const ALL_EPOCHS: u32 = u32::MAX;

/// The epoch of a label that nobody was told of: its payment had been forgotten.
pub(super) const FORGOTTEN: u32 = u32::MAX - 1;

impl Verdicts {
    /// Whether any label says fraud: if not, the payment never counts as one.
    pub fn may_be_fraud(&self) -> bool {
        self.0.iter().any(|said| said.is_fraud)
    }

    /// Whether the payment is known to be fraud at a time, by what was applied up to an epoch: the newest that is
    /// known then says so. A source that repeats itself says nothing new: its earliest time stands.
    pub fn is_fraud(&self, at_ms: i64, epoch: u32) -> bool {
        let heard = || self.0.iter().filter(|said| said.epoch <= epoch);
        let first_ms = |said: &Said| {
            let same = heard().filter(|one| (one.source, one.is_fraud) == (said.source, said.is_fraud));
            same.map(|one| one.since_ms).min().unwrap_or(said.since_ms)
        };
        let known = heard().map(|said| (first_ms(said), said.is_fraud));
        known.filter(|(since_ms, _)| *since_ms <= at_ms).max().is_some_and(|(_, is_fraud)| is_fraud)
    }

    /// From when to when the payment is known to be fraud, with every label applied.
    pub fn spells(&self) -> Vec<(i64, i64)> {
        let mut times: Vec<i64> = self.0.iter().map(|said| said.since_ms).collect();
        times.sort_unstable();
        times.dedup();
        let mut spells: Vec<(i64, i64)> = Vec::new();
        for (at, since_ms) in times.iter().enumerate() {
            if self.is_fraud(*since_ms, ALL_EPOCHS) {
                spells.push((*since_ms, times.get(at + 1).copied().unwrap_or(i64::MAX)));
            }
        }
        spells
    }
}

/// How far the labels topic had been applied: the next offset of each of its partitions. The state moves only
/// forward, so the positions that decisions recorded are a chain, and one number says where a decision stands in it.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    known: hashbrown::HashMap<Box<[i64]>, u32>,
    /// Positions in order of the chain.
    chain: Vec<Box<[i64]>>,
    /// Place in the chain of each number given out.
    place_of: Vec<u32>,
}

impl Epochs {
    /// A number for these positions; not their place yet. None recorded: every label there is counts.
    pub fn number(&mut self, positions: &[i64]) -> u32 {
        if positions.is_empty() {
            return ALL_EPOCHS;
        }
        if let Some(known) = self.known.get(positions) {
            return *known;
        }
        let number = u32::try_from(self.chain.len()).unwrap_or(FORGOTTEN - 1);
        self.chain.push(positions.into());
        self.known.insert(positions.into(), number);
        number
    }

    /// Puts the positions into their order.
    pub fn close(&mut self) {
        let mut order: Vec<u32> = (0..u32::try_from(self.chain.len()).unwrap_or(u32::MAX)).collect();
        let chain = &self.chain;
        order.sort_by_key(|number| chain[*number as usize].iter().map(|at| i128::from(*at)).sum::<i128>());
        self.place_of = vec![0; order.len()];
        for (place, number) in (0..).zip(&order) {
            self.place_of[*number as usize] = place;
        }
        self.chain = order.iter().map(|number| self.chain[*number as usize].clone()).collect();
        self.known.clear();
    }

    /// Where the positions with this number stand in the chain.
    pub fn place(&self, number: u32) -> u32 {
        self.place_of.get(number as usize).copied().unwrap_or(ALL_EPOCHS)
    }

    /// The first epoch in which a label had been applied.
    pub fn of_label(&self, partition: i32, offset: i64) -> u32 {
        let at = usize::try_from(partition).unwrap_or(usize::MAX);
        let before = |positions: &[i64]| positions.get(at).copied().unwrap_or(0) <= offset;
        u32::try_from(self.chain.partition_point(|positions| before(positions))).unwrap_or(FORGOTTEN - 1)
    }
}
