//! Answers the features of one entity for one payment, from the rows as they stand.

use schemas::value::{FeatureValue, ValueKind};

use super::{EntityState, Place, TIME_SHIFT};
use crate::definition::{Aggregate, EntityPlan, Query, Windowed};

/// Memory that evaluations share, so that counting distinct values allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    seen: hashbrown::HashSet<u64, std::hash::BuildHasherDefault<Identity>>,
}

/// The values are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// The payment that asks.
#[derive(Debug, Clone, Copy)]
struct Asker {
    time_ms: i64,
    /// Its own row, if it has one.
    row: Option<usize>,
}

/// Rows `from..to`, and the edges of event time that they stand for.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
    after_ms: i64,
    until_ms: i64,
}

impl EntityState {
    /// Writes the value of every feature of this entity for the payment of `time_ms` that was just applied.
    /// Returns whether any of them is approximate: reaches behind what is kept.
    pub fn evaluate(
        &self,
        plan: &EntityPlan,
        time_ms: i64,
        applied: bool,
        scratch: &mut Scratch,
        vector: &mut [FeatureValue],
    ) -> bool {
        let width = plan.layout.width;
        let asker = Asker { time_ms, row: applied.then(|| self.after(width, time_ms) - 1) };
        let mut approximate = false;
        let mut span: Option<(i64, i64, Span)> = None;
        for query in &plan.queries {
            let windowed = &query.windowed;
            let edges = (windowed.window.0, windowed.delay.0);
            let whole = match span {
                Some((window, delay, whole)) if (window, delay) == edges => whole,
                _ => self.span(width, time_ms, windowed),
            };
            span = Some((edges.0, edges.1, whole));
            approximate |= self.reaches_dropped(whole);
            let part = without_current(whole, windowed, asker);
            vector[query.feature] = self.answer(plan, query, part, asker, scratch);
        }
        approximate
    }

    fn span(&self, width: usize, time_ms: i64, windowed: &Windowed) -> Span {
        let until_ms = time_ms - windowed.delay.0;
        let after_ms = until_ms - windowed.window.0;
        Span { from: self.after(width, after_ms), to: self.after(width, until_ms), after_ms, until_ms }
    }

    fn answer(
        &self,
        plan: &EntityPlan,
        query: &Query,
        span: Span,
        asker: Asker,
        scratch: &mut Scratch,
    ) -> FeatureValue {
        let windowed = &query.windowed;
        match windowed.aggregate {
            Aggregate::Count => FeatureValue::Int(self.count(plan, query, span)),
            Aggregate::Sum(_) => {
                let (_, sum) = self.count_and_sum(plan, query, span);
                divided(sum, 1, windowed, ValueKind::Int)
            }
            Aggregate::Mean(_) => {
                let (count, sum) = self.count_and_sum(plan, query, span);
                divided(sum, count, windowed, ValueKind::Real)
            }
            Aggregate::Min(_) => self.extreme(plan, query, span, i64::min),
            Aggregate::Max(_) => self.extreme(plan, query, span, i64::max),
            Aggregate::Distinct(_) => FeatureValue::Int(self.distinct(plan, query, span, scratch)),
            Aggregate::TimeSinceLast => self.time_since_last(plan, query, span, asker),
            Aggregate::FraudCount => FeatureValue::Int(self.frauds(plan, query, span, asker)),
            Aggregate::FraudRatio => {
                let payments = self.count(plan, query, span);
                let frauds = self.frauds(plan, query, span, asker);
                if payments == 0 {
                    return undefined(windowed, ValueKind::Real);
                }
                FeatureValue::Real(frauds as f64 / payments as f64)
            }
        }
    }

    /// The rows of a span that pass the query's filter.
    fn rows(
        &self,
        plan: &EntityPlan,
        query: &Query,
        span: Span,
    ) -> impl DoubleEndedIterator<Item = (usize, &[u64])> {
        let width = plan.layout.width;
        let bits = query.filter_bits;
        let rows = self.words[span.from * width..span.to.max(span.from) * width].chunks_exact(width);
        let numbered = (span.from..span.from + rows.len()).zip(rows);
        numbered.filter(move |(_, row)| row[0] & bits == bits)
    }

    fn value(&self, plan: &EntityPlan, row: usize, word: usize) -> i64 {
        let at = row * plan.layout.width + word;
        self.words[at].wrapping_sub(self.words[at - plan.layout.width]) as i64
    }

    fn count(&self, plan: &EntityPlan, query: &Query, span: Span) -> i64 {
        if query.filter_bits != 0 {
            return self.rows(plan, query, span).count() as i64;
        }
        let folded: u64 = self.tiles_in(span).map(|tile| tile.count).sum();
        span.to.saturating_sub(span.from) as i64 + folded as i64
    }

    fn count_and_sum(&self, plan: &EntityPlan, query: &Query, span: Span) -> (i64, i64) {
        if query.filter_bits != 0 {
            let values = self.rows(plan, query, span).map(|(row, _)| self.value(plan, row, query.word));
            return values.fold((0, 0_i64), |(count, sum), value| (count + 1, sum.wrapping_add(value)));
        }
        let width = plan.layout.width;
        let before = |row: usize| self.words[(row - 1) * width + query.word];
        let rows = before(span.to.max(span.from)).wrapping_sub(before(span.from)) as i64;
        let folded = self.tiles_in(span).map(|tile| tile.numbers[query.word - 1].0);
        (self.count(plan, query, span), folded.fold(rows, i64::wrapping_add))
    }

    fn extreme(
        &self,
        plan: &EntityPlan,
        query: &Query,
        span: Span,
        pick: fn(i64, i64) -> i64,
    ) -> FeatureValue {
        let kept = self.rows(plan, query, span).map(|(row, _)| self.value(plan, row, query.word));
        let smallest = pick(0, 1) == 0;
        let folded = self.tiles_in(span).filter(|_| query.filter_bits == 0).map(|tile| {
            let (_, min, max) = tile.numbers[query.word - 1];
            if smallest { min } else { max }
        });
        match kept.chain(folded).reduce(pick) {
            Some(value) => divided(value, 1, &query.windowed, ValueKind::Int),
            None => undefined(&query.windowed, kind_of(&query.windowed, ValueKind::Int)),
        }
    }

    fn distinct(&self, plan: &EntityPlan, query: &Query, span: Span, scratch: &mut Scratch) -> i64 {
        scratch.seen.clear();
        scratch
            .seen
            .extend(self.rows(plan, query, span).map(|(_, row)| row[query.word]).filter(|hash| *hash != 0));
        scratch.seen.len() as i64
    }

    fn time_since_last(
        &self,
        plan: &EntityPlan,
        query: &Query,
        mut span: Span,
        asker: Asker,
    ) -> FeatureValue {
        if let Some(row) = asker.row {
            span.to = span.to.min(row);
        }
        match self.rows(plan, query, span).next_back() {
            Some((_, row)) => FeatureValue::Int(asker.time_ms - (row[0] >> TIME_SHIFT) as i64),
            None => undefined(&query.windowed, ValueKind::Int),
        }
    }

    fn frauds(&self, plan: &EntityPlan, query: &Query, span: Span, asker: Asker) -> i64 {
        let (width, bits) = (plan.layout.width, query.filter_bits);
        let from = self.frauds.partition_point(|place| place.time_ms <= span.after_ms);
        let counts = |place: &&Place| {
            let Some(row) = self.row_at(width, **place) else { return false };
            let words = &self.words[row * width..(row + 1) * width];
            (span.from..span.to).contains(&row)
                && words[0] & bits == bits
                && self.known_fraud(width, row, words[query.word], asker.time_ms)
        };
        let reached = self.frauds[from..].iter().take_while(|place| place.time_ms <= span.until_ms);
        reached.filter(counts).count() as i64
    }

    /// The tiles that count. None does for a window that begins behind all that was dropped: the last tile may
    /// end within it, but none of its events lies there.
    fn tiles_in(&self, span: Span) -> impl Iterator<Item = &super::Tile> {
        let tiles = if self.reaches_dropped(span) { &self.tiles[..] } else { &[] };
        let within = move |tile: &&super::Tile| span.after_ms < tile.end_ms && tile.end_ms <= span.until_ms;
        tiles.iter().filter(within)
    }

    /// Whether some of the window's rows may be gone.
    fn reaches_dropped(&self, span: Span) -> bool {
        self.dropped_ms >= 0 && span.after_ms < self.dropped_ms
    }
}

/// Without the asking payment's own row, where the definition leaves it out. It is the last of its time.
fn without_current(span: Span, windowed: &Windowed, asker: Asker) -> Span {
    match asker.row {
        Some(row) if !windowed.include_current && windowed.delay.0 == 0 => {
            Span { to: span.to.min(row), ..span }
        }
        _ => span,
    }
}

fn kind_of(windowed: &Windowed, whole: ValueKind) -> ValueKind {
    if windowed.major_scale.is_some() { ValueKind::Real } else { whole }
}

/// `sum / (count x 10^scale)`: the one division of a feature.
fn divided(sum: i64, count: i64, windowed: &Windowed, whole: ValueKind) -> FeatureValue {
    let kind = kind_of(windowed, whole);
    match (kind, count) {
        (_, 0) => undefined(windowed, kind),
        (ValueKind::Int | ValueKind::Flag, _) => FeatureValue::Int(sum),
        (ValueKind::Real, _) => {
            let by = count * 10_i64.pow(windowed.major_scale.unwrap_or(0));
            FeatureValue::Real(sum as f64 / by as f64)
        }
    }
}

/// The value of a feature where its aggregate has none.
pub(crate) fn undefined(windowed: &Windowed, kind: ValueKind) -> FeatureValue {
    match (windowed.empty, kind) {
        (None, _) => FeatureValue::Null,
        (Some(value), ValueKind::Real) => FeatureValue::Real(value as f64),
        (Some(value), ValueKind::Int) => FeatureValue::Int(value),
        (Some(value), ValueKind::Flag) => FeatureValue::Flag(value != 0),
    }
}
