//! What every store must do, whatever it keeps its states in. The embedded store is the first member.

use std::sync::Arc;

use feature_store::definition::{Definitions, EntityPlan};
use feature_store::files::FilesError;
use feature_store::state::{Bounds, EntityState};
use feature_store::store::embedded::Embedded;
use feature_store::store::{Batch, Begin, Source, Store, StoreError, Topic};
use proptest::prelude::*;

use super::scenario::{Draft, source, vocabulary};
use super::world::random;

#[path = "embedded.rs"]
mod embedded;

/// Where the stores of one back end live.
pub trait Backend: Sized {
    type Store: Store;
    /// An empty place.
    fn create() -> Self;
    /// Opens what the place holds.
    fn open(&self, definitions: &Arc<Definitions>) -> Result<Self::Store, StoreError>;
    /// Makes all states durable.
    fn checkpoint(store: &mut Self::Store);
    /// Batches that have to be applied again, in order.
    fn recovering(store: &Self::Store) -> Vec<Batch>;
}

const FEATURES: &str = r#"
[[feature]]
name = "sum"
entity = "card"
aggregate = "sum"
of = "amount"
window = "1d"
"#;

pub fn definitions(text: &str) -> Arc<Definitions> {
    Arc::new(Definitions::parse("features.toml", text, &vocabulary()).unwrap())
}

const PAYMENTS: Source = Source { topic: Topic::Payments, partition: 0 };

fn batch(prev: Option<i64>, first: i64, last: i64) -> Batch {
    Batch { source: PAYMENTS, prev, first, last, note: format!("{first}").into_bytes() }
}

const BOUNDS: Bounds = Bounds { max_events: 1_000, tile_ms: 1_000, allowed_lateness_ms: 0 };

/// Applies the payment of an offset to the card's state: version and rows tell how often.
fn touch(store: &mut impl Store, plan: &EntityPlan, offset: i64) {
    let draft = Draft { keys: [Some(0); 3], amount: offset, ..Draft::default() };
    let payment = draft.payment(&offset.to_string(), 1_000 + offset);
    let slot = store.slot(0, "k0");
    store.state(slot).unwrap().apply(plan, &payment, &BOUNDS).unwrap();
}

fn state(store: &mut impl Store) -> EntityState {
    let slot = store.slot(0, "k0");
    store.state(slot).unwrap().clone()
}

/// Begins, applies and commits, when the batch is ready.
fn deliver(store: &mut impl Store, plan: &EntityPlan, batch: &Batch) -> Begin {
    let begin = store.begin(batch);
    if begin == Begin::Ready {
        (batch.first..=batch.last).for_each(|offset| touch(store, plan, offset));
        store.commit(batch).unwrap();
    }
    begin
}

fn the_chain_of_one_source<B: Backend>() {
    let definitions = definitions(FEATURES);
    let mut store = B::create_open(&definitions);
    let plan = &definitions.plans[0];
    assert_eq!(store.fence(PAYMENTS), None);
    assert_eq!(store.begin(&batch(Some(9), 10, 19)), Begin::Gap { have: None });
    assert_eq!(deliver(&mut store, plan, &batch(None, 0, 9)), Begin::Ready);
    assert_eq!(store.fence(PAYMENTS), Some(9));
    for (again, expected) in [
        (batch(None, 0, 9), Begin::Duplicate),
        (batch(None, 0, 4), Begin::Duplicate),
        (batch(Some(4), 5, 9), Begin::Duplicate),
        (batch(None, 0, 10), Begin::Gap { have: Some(9) }),
        (batch(Some(4), 5, 14), Begin::Gap { have: Some(9) }),
        (batch(Some(10), 11, 14), Begin::Gap { have: Some(9) }),
        (batch(Some(9), 10, 10), Begin::Ready),
        // The log has holes: what follows the fence need not be the next offset.
        (batch(Some(9), 25, 40), Begin::Ready),
    ] {
        assert_eq!(store.begin(&again), expected, "{again:?}");
    }
    assert_eq!(state(&mut store).version(), 10);
}

fn sources_have_fences_of_their_own<B: Backend>() {
    let mut store = B::create_open(&definitions(FEATURES));
    let sources = [(Topic::Payments, 0), (Topic::Payments, 1), (Topic::Labels, 0), (Topic::Labels, i32::MAX)];
    for (place, (topic, partition)) in sources.into_iter().enumerate() {
        let source = source(topic, partition);
        let last = place as i64;
        let batch = Batch { source, ..batch(None, 0, last) };
        assert_eq!(store.begin(&batch), Begin::Ready);
        store.commit(&batch).unwrap();
        assert_eq!(store.fence(source), Some(last));
        assert_eq!(store.begin(&batch), Begin::Duplicate);
    }
}

fn a_commit_out_of_order_is_an_error_and_changes_nothing<B: Backend>() {
    let definitions = definitions(FEATURES);
    let mut store = B::create_open(&definitions);
    deliver(&mut store, &definitions.plans[0], &batch(None, 0, 9));
    for wrong in [batch(Some(19), 20, 29), batch(None, 0, 9), batch(None, 0, 19), batch(Some(5), 6, 19)] {
        let error = store.commit(&wrong).unwrap_err();
        let (first, last) = (wrong.first, wrong.last);
        assert_eq!(error.to_string(), format!("batch {first}..={last} of Payments 0 is out of order"));
        assert_eq!(store.fence(PAYMENTS), Some(9));
    }
    assert_eq!(deliver(&mut store, &definitions.plans[0], &batch(Some(9), 10, 19)), Begin::Ready);
}

/// A fence without a chain: what lies below it is skipped, all else is applied.
#[derive(Default)]
struct BareFence {
    fence: Option<i64>,
    applied: Vec<i64>,
}

impl BareFence {
    fn deliver(&mut self, batch: &Batch) {
        let from = self.fence.map_or(batch.first, |fence| batch.first.max(fence + 1));
        self.applied.extend(from..=batch.last);
        self.fence = self.fence.max(Some(batch.last));
    }
}

/// Three batches in flight, the second is retried behind the third.
fn what_a_bare_fence_loses_is_refused<B: Backend>() {
    let batches = [batch(None, 0, 9), batch(Some(9), 10, 19), batch(Some(19), 20, 29)];
    let sent = [0, 2, 1, 2];
    let mut bare = BareFence::default();
    sent.iter().for_each(|place| bare.deliver(&batches[*place]));
    assert_eq!(bare.applied.len(), 20, "the bare fence has lost ten records");
    let definitions = definitions(FEATURES);
    let mut store = B::create_open(&definitions);
    let answers = sent.map(|place| deliver(&mut store, &definitions.plans[0], &batches[place]));
    assert_eq!(answers, [Begin::Ready, Begin::Gap { have: Some(9) }, Begin::Ready, Begin::Ready]);
    assert_eq!(state(&mut store).version(), 30);
}

/// Whatever is sent, in whatever order and with whatever bounds, a sender that rewinds to `have + 1` at a gap gets
/// every record in once.
fn any_deliveries_apply_every_record_once<B: Backend>(name: &str) {
    let deliveries = prop::collection::vec((0..60_i64, 1..25_i64, any::<bool>()), 1..60);
    random(name, 300, &deliveries, |deliveries, tally| {
        let definitions = definitions(FEATURES);
        let place = B::create();
        let mut store = place.open(&definitions).unwrap();
        let plan = &definitions.plans[0];
        let mut applied = 0;
        for (first, count, ends) in deliveries {
            let sent = batch((first > 0).then(|| first - 1), first, first + count - 1);
            tally.records += 1;
            match deliver(&mut store, plan, &sent) {
                Begin::Ready => applied = sent.last + 1,
                Begin::Duplicate => prop_assert!(sent.last < applied),
                Begin::Gap { have } => {
                    prop_assert_eq!(have, (applied > 0).then(|| applied - 1));
                    let rewound = batch(have, applied, applied.max(sent.last));
                    prop_assert_eq!(deliver(&mut store, plan, &rewound), Begin::Ready);
                    applied = rewound.last + 1;
                }
            }
            prop_assert_eq!(state(&mut store).version(), applied as u64);
            if ends {
                tally.endings += 1;
                drop(store);
                store = place.open(&definitions).unwrap();
                for batch in B::recovering(&store) {
                    prop_assert_eq!(deliver(&mut store, plan, &batch), Begin::Ready);
                }
                B::checkpoint(&mut store);
            }
        }
        Ok(())
    });
}

fn states_come_back_with_a_checkpoint_and_without<B: Backend>() {
    let definitions = definitions(FEATURES);
    let plan = &definitions.plans[0];
    let place = B::create();
    let mut store = place.open(&definitions).unwrap();
    deliver(&mut store, plan, &batch(None, 0, 9));
    drop(store);
    // Without a checkpoint: all batches come back, in order and with their notes.
    let mut store = place.open(&definitions).unwrap();
    assert_eq!(store.fence(PAYMENTS), None);
    assert_eq!(B::recovering(&store), [batch(None, 0, 9)]);
    deliver(&mut store, plan, &batch(None, 0, 9));
    assert_eq!(B::recovering(&store), []);
    B::checkpoint(&mut store);
    let labels = Batch { source: source(Topic::Labels, 3), note: vec![0, 255, 7], ..batch(None, 4, 5) };
    store.commit(&labels).unwrap();
    deliver(&mut store, plan, &batch(Some(9), 12, 19));
    deliver(&mut store, plan, &batch(Some(19), 20, 20));
    let before = state(&mut store);
    drop(store);
    // With one: the state as of then, and the batches after it.
    let mut store = place.open(&definitions).unwrap();
    assert_eq!((store.fence(PAYMENTS), state(&mut store).version()), (Some(9), 10));
    let recovering = B::recovering(&store);
    assert_eq!(recovering, [labels.clone(), batch(Some(9), 12, 19), batch(Some(19), 20, 20)]);
    store.commit(&labels).unwrap();
    for batch in &recovering[1..] {
        assert_eq!(deliver(&mut store, plan, batch), Begin::Ready);
    }
    assert_eq!((state(&mut store), store.fence(PAYMENTS)), (before, Some(20)));
}

/// While batches have to be applied again, no other may be committed; the refusal forgets none of them.
fn recovered_batches_go_first<B: Backend>() {
    let definitions = definitions(FEATURES);
    let plan = &definitions.plans[0];
    let place = B::create();
    let mut store = place.open(&definitions).unwrap();
    deliver(&mut store, plan, &batch(None, 0, 9));
    deliver(&mut store, plan, &batch(Some(9), 10, 19));
    drop(store);
    let mut store = place.open(&definitions).unwrap();
    let other = Batch { source: source(Topic::Payments, 7), ..batch(None, 0, 9) };
    for wrong in [other, batch(None, 0, 4), Batch { note: Vec::new(), ..batch(None, 0, 9) }] {
        assert!(matches!(store.commit(&wrong), Err(StoreError::OutOfOrder { .. })));
        assert_eq!(B::recovering(&store).len(), 2);
    }
    assert_eq!(deliver(&mut store, plan, &batch(None, 0, 9)), Begin::Ready);
    assert_eq!(deliver(&mut store, plan, &batch(Some(9), 10, 19)), Begin::Ready);
    assert_eq!(B::recovering(&store), []);
}

trait Opened: Backend {
    fn create_open(definitions: &Arc<Definitions>) -> Self::Store {
        Self::create().open(definitions).unwrap()
    }
}

impl<B: Backend> Opened for B {}
