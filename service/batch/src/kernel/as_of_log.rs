//! The same features as of the log: what each decision saw, by the versions that it recorded.
//!
//! By event time every payment of a window counts. As of the log one does not that was applied after the decision:
//! ```text
//! late       its time lies before that of payments that had been applied when it came
//! in flight  a decision over REST was made before it was applied, and was not told of it
//! label      the label was known by its time, and had not been applied
//! early      it had come before its payment, and waited for it
//! forgotten  it came when the stream knew its payment no more
//! ```
//! Few rows are touched by any of these. They are found by walking the disorder alone, and corrected.

use std::collections::BTreeMap;

use feature_store::definition::Aggregate;
use hashbrown::HashSet;
use schemas::value::FeatureValue;

use super::aggregate::{Parts, Rows, Totals, counts_frauds, finished, frauds, itself};
use super::group::{Group, Row, Windows};
use super::label::{ALL_EPOCHS, FORGOTTEN, Verdicts};
use super::plan::Task;
use super::{Cause, Causes};

/// What one decision did not see as event time has it, by places.
#[derive(Debug, Default)]
pub(super) struct Blind {
    /// In a window, and not applied.
    unseen: Vec<u32>,
    /// Applied at the very same time, and behind it by place.
    ahead: Vec<u32>,
    /// Fraud for one, not for the other: whether it was as of the log.
    verdicts: Vec<(u32, bool)>,
    /// Why.
    pub causes: Causes,
}

/// For each row whose decision was blind to something: by place.
pub(super) type Blinds = BTreeMap<u32, Blind>;

/// Finds them. `pending` has the rows that a decision over REST was told of, by its row.
pub(super) fn blinds(group: &Group, pending: &dyn Fn(u32) -> Vec<u32>) -> Blinds {
    let mut blinds = Blinds::new();
    late(group, pending, &mut blinds);
    callers(group, pending, &mut blinds);
    labels(group, &mut blinds);
    waiting(group, pending, &mut blinds);
    blinds
}

/// Rows that came after ones of a later time: whoever was applied before and has a later time did not see them.
fn late(group: &Group, pending: &dyn Fn(u32) -> Vec<u32>, blinds: &mut Blinds) {
    for version in 1..group.rows.len() {
        let place = group.by_version[version];
        let (row, newest_ms) = (&group.rows[place as usize], group.newest_ms[version - 1]);
        if newest_ms <= row.time_ms {
            continue;
        }
        for asking in place + 1..group.after(newest_ms) as u32 {
            let asker = &group.rows[asking as usize];
            if group.version_of[asking as usize] < version as u32 && !pending(asker.row).contains(&row.row) {
                let blind = blinds.entry(asking).or_default();
                blind.unseen.push(place);
                blind.causes.add(Cause::Late);
            }
        }
    }
}

/// Decisions for callers: what was applied between them and their own payment they did not see, unless they were told.
fn callers(group: &Group, pending: &dyn Fn(u32) -> Vec<u32>, blinds: &mut Blinds) {
    for place in 0..group.rows.len() as u32 {
        let asker = &group.rows[place as usize];
        let told = pending(asker.row);
        if told.is_empty() && asker.state + 2 == asker.applied {
            continue;
        }
        let from = group.by_version.partition_point(|one| group.rows[*one as usize].applied <= asker.state);
        for version in from..group.version_of[place as usize] as usize {
            let before = group.by_version[version];
            if before < place && !told.contains(&group.rows[before as usize].row) {
                let blind = blinds.entry(place).or_default();
                blind.unseen.push(before);
                blind.causes.add(Cause::InFlight);
            }
        }
        let same_time = place + 1..group.after(asker.time_ms) as u32;
        for behind in same_time.filter(|behind| told.contains(&group.rows[*behind as usize].row)) {
            let blind = blinds.entry(place).or_default();
            blind.ahead.push(behind);
            blind.causes.add(Cause::InFlight);
        }
    }
}

/// Labels that were known by their time and not applied yet.
fn labels(group: &Group, blinds: &mut Blinds) {
    // The least epoch from each version on: it only rises, though those of callers lag.
    let mut least: Vec<u32> = (0..group.rows.len()).map(|version| group.at_version(version).epoch).collect();
    for version in (1..least.len()).rev() {
        least[version - 1] = least[version - 1].min(least[version]);
    }
    for (place, verdicts) in group.verdicts.iter().filter(|(_, verdicts)| verdicts.may_be_fraud()) {
        for said in &verdicts.0 {
            let mut version = least.partition_point(|epoch| *epoch < said.epoch);
            while version > 0 && group.newest_ms[version - 1] >= said.since_ms {
                version -= 1;
                let (asking, asker) = (group.by_version[version], group.at_version(version));
                if asker.epoch >= said.epoch
                    || asker.time_ms < said.since_ms
                    || group.rows[*place as usize].applied > asker.state
                {
                    continue;
                }
                let then = verdicts.is_fraud(asker.time_ms, asker.epoch);
                let cause = if said.epoch == FORGOTTEN { Cause::LabelForgotten } else { Cause::LabelAfter };
                blind_to_verdict((*place, verdicts), then, (asking, asker), cause, blinds);
            }
        }
    }
}

/// Labels that came before their payment were with it only once it was applied: neither its own decision heard of
/// them, nor those that were told of it before.
fn waiting(group: &Group, pending: &dyn Fn(u32) -> Vec<u32>, blinds: &mut Blinds) {
    if group.verdicts.iter().all(|(_, verdicts)| !verdicts.may_be_fraud()) {
        return;
    }
    for (place, verdicts) in &group.verdicts {
        let own = &group.rows[*place as usize];
        blind_to_verdict((*place, verdicts), false, (*place, own), Cause::EarlyLabel, blinds);
    }
    for asking in 0..group.rows.len() as u32 {
        let asker = &group.rows[asking as usize];
        let told = pending(asker.row);
        for (place, verdicts) in group.verdicts.iter().filter(|_| !told.is_empty()) {
            let row = &group.rows[*place as usize];
            if told.contains(&row.row) && row.applied > asker.state {
                blind_to_verdict((*place, verdicts), false, (asking, asker), Cause::EarlyLabel, blinds);
            }
        }
    }
}

fn blind_to_verdict(
    (place, verdicts): (u32, &Verdicts),
    then: bool,
    (asking, asker): (u32, &Row),
    cause: Cause,
    blinds: &mut Blinds,
) {
    if then == verdicts.is_fraud(asker.time_ms, ALL_EPOCHS) {
        return;
    }
    let blind = blinds.entry(asking).or_default();
    if !blind.verdicts.contains(&(place, then)) {
        blind.verdicts.push((place, then));
        blind.causes.add(cause);
    }
}

/// The values of a task as of the log, where they can differ from those by event time.
pub(super) fn corrected(
    rows: &Rows<'_>,
    windows: &Windows,
    task: &Task,
    blinds: &Blinds,
    by_event_time: &[FeatureValue],
    mut found: impl FnMut(u32, FeatureValue),
) {
    let mut totals: Option<(Totals, Vec<i64>)> = None;
    for (place, blind) in blinds {
        let at = *place as usize;
        let range = windows.range(at, itself(task));
        let here = Here::of(rows, task, blind, range);
        if here.is_empty() {
            continue;
        }
        let value = match task.windowed.aggregate {
            Aggregate::Min(_) | Aggregate::Max(_) | Aggregate::Distinct(_) | Aggregate::TimeSinceLast => {
                here.looked_up(rows, task, at, range)
            }
            _ => {
                let (totals, frauds) = totals.get_or_insert_with(|| {
                    let counted = counts_frauds(task).then(|| frauds(rows, windows, task));
                    (Totals::of(rows, task), counted.unwrap_or_default())
                });
                let mut parts = totals.between(range);
                if let Some(frauds) = frauds.get(at) {
                    parts.total = i128::from(*frauds);
                }
                finished(task, here.counted(rows, task, at, parts))
            }
        };
        if !value.same_bits(by_event_time[at]) {
            found(*place, value);
        }
    }
}

/// What a decision was blind to and a task would count.
struct Here {
    unseen: Vec<usize>,
    ahead: Vec<usize>,
    verdicts: Vec<(usize, bool)>,
}

impl Here {
    fn of(rows: &Rows<'_>, task: &Task, blind: &Blind, range: (usize, usize)) -> Self {
        let counts = |place: &usize| (range.0..range.1).contains(place) && rows.passes(task, *place);
        let unseen: Vec<usize> = blind.unseen.iter().map(|place| *place as usize).filter(counts).collect();
        let at_once = task.windowed.delay.0 == 0;
        let ahead = blind.ahead.iter().map(|place| *place as usize);
        let ahead = ahead.filter(|place| at_once && rows.passes(task, *place)).collect();
        let verdicts = blind.verdicts.iter().map(|(place, then)| (*place as usize, *then));
        let verdicts =
            verdicts.filter(|(place, _)| counts_frauds(task) && counts(place) && !unseen.contains(place));
        let verdicts = verdicts.collect();
        Self { unseen, ahead, verdicts }
    }

    fn is_empty(&self) -> bool {
        self.unseen.is_empty() && self.ahead.is_empty() && self.verdicts.is_empty()
    }

    /// Counts and totals without what was unseen, with what was ahead.
    fn counted(&self, rows: &Rows<'_>, task: &Task, at: usize, parts: Parts) -> Parts {
        let Parts { mut count, mut total } = parts;
        let asker = &rows.rows()[at];
        let adds = matches!(task.windowed.aggregate, Aggregate::Sum(_) | Aggregate::Mean(_));
        let number = |place: usize| if adds { i128::from(rows.number(task, place)) } else { 0 };
        let is_fraud = |place: usize| {
            let verdicts = rows.group.verdicts_of(place).filter(|_| counts_frauds(task));
            verdicts.is_some_and(|verdicts| verdicts.is_fraud(asker.time_ms, ALL_EPOCHS))
        };
        for place in &self.unseen {
            count -= 1;
            total -= number(*place) + i128::from(is_fraud(*place));
        }
        // What is ahead had no label yet.
        for place in &self.ahead {
            count += 1;
            total += number(*place);
        }
        for (_, then) in &self.verdicts {
            total += if *then { 1 } else { -1 };
        }
        Parts { count, total }
    }

    /// Aggregates that nothing can be taken back from: the window is looked through.
    fn looked_up(&self, rows: &Rows<'_>, task: &Task, at: usize, range: (usize, usize)) -> FeatureValue {
        let seen = rows.passing(task, range).filter(|place| !self.unseen.contains(place));
        let mut seen = seen.chain(self.ahead.iter().copied());
        let whole = |number: Option<i64>| {
            number.map_or_else(|| task.undefined(), |number| task.divided(i128::from(number), 1))
        };
        match task.windowed.aggregate {
            Aggregate::Min(_) => whole(seen.map(|place| rows.number(task, place)).min()),
            Aggregate::Max(_) => whole(seen.map(|place| rows.number(task, place)).max()),
            Aggregate::Distinct(_) => {
                let values = seen.map(|place| rows.value(task, place)).filter(|value| *value != 0);
                FeatureValue::Int(values.collect::<HashSet<_>>().len() as i64)
            }
            _ => {
                let asking_ms = rows.rows()[at].time_ms;
                let last = seen.by_ref().filter(|place| *place != at).max_by_key(|place| {
                    let row = &rows.rows()[*place];
                    (row.time_ms, row.applied)
                });
                last.map_or_else(
                    || task.undefined(),
                    |place| FeatureValue::Int(asking_ms - rows.rows()[place].time_ms),
                )
            }
        }
    }
}
