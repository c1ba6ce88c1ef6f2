//! The versions that decisions recorded, checked: they count payments and labels, so between two of them there are
//! exactly as many labels as were applied between them. What is missing then is a payment whose decision is not in
//! the archive, and its place is found by that; what is missing beyond is a gap of the archive.

use hashbrown::HashSet;

use super::group::{Group, Row};
use super::label::{ALL_EPOCHS, Said, Verdicts};
use super::{Gap, OFFSET_BITS};

/// Twice a version: room for one that is inferred behind it.
pub(super) const fn twice(version: u64) -> u64 {
    version << 1
}

/// Payments without a decision: nobody recorded their version.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// Gives rows of unknown version the first place where a version is missing, and says what is missing
/// beyond. The rows come in any order and leave arranged, with their verdicts.
pub(super) fn settle(
    entity: usize,
    group: &mut Group,
    verdicts: &dyn Fn(u32) -> Option<Verdicts>,
) -> Vec<Gap> {
    let mut unknown: Vec<_> = group.rows.extract_if(.., |row| row.applied == UNKNOWN).collect();
    group.arrange(verdicts);
    let mut holes = Holes::of(group);
    if !unknown.is_empty() {
        unknown.sort_unstable_by_key(|row| row.source);
        place(group, unknown, &mut holes, verdicts);
        group.arrange(verdicts);
    }
    let row_at = |version: u64| group.rows.iter().find(|row| row.applied == version).map(|row| row.row);
    let gaps = holes.0.iter().filter(|hole| hole.missing != 0);
    gaps.map(|hole| Gap { entity, key: group.key, row: row_at(hole.until), missing: hole.missing }).collect()
}

/// Puts rows of unknown version, sorted by source, into the holes. The order of their partition is known: each comes
/// behind those that stand before it in the topic, and before those after.
fn place(
    group: &mut Group,
    unknown: Vec<Row>,
    holes: &mut Holes,
    verdicts: &dyn Fn(u32) -> Option<Verdicts>,
) {
    let mut known: Vec<(u64, u64)> = group.rows.iter().map(|row| (row.source, row.applied)).collect();
    known.sort_unstable();
    let partition = |source: u64| source >> OFFSET_BITS;
    // The greatest version so far of a partition, and the least from here on.
    let mut floors = known.clone();
    for at in 1..floors.len() {
        if partition(floors[at].0) == partition(floors[at - 1].0) {
            floors[at].1 = floors[at].1.max(floors[at - 1].1);
        }
    }
    for at in (1..known.len()).rev() {
        if partition(known[at].0) == partition(known[at - 1].0) {
            known[at - 1].1 = known[at - 1].1.min(known[at].1);
        }
    }
    let mut taken: HashSet<u64> = group.rows.iter().map(|row| row.applied).collect();
    let last = group.by_version.last().map_or(0, |place| group.rows[*place as usize].applied);
    let mut placed = (u64::MAX, 0);
    for row in unknown {
        let at = known.partition_point(|(source, _)| *source < row.source);
        let same = |one: &&(u64, u64)| partition(one.0) == partition(row.source);
        let before = at.checked_sub(1).and_then(|at| floors.get(at)).filter(same).map_or(0, |one| one.1);
        let floor = if placed.0 == partition(row.source) { before.max(placed.1) } else { before };
        let ceiling = known.get(at).filter(same).map_or(UNKNOWN, |one| one.1);
        // Nothing counts it: it was applied behind all that do, or never.
        let nowhere = if ceiling == UNKNOWN { floor.max(last) | 1 } else { floor | 1 };
        let applied = holes.fill(floor, ceiling, &taken).unwrap_or(nowhere);
        if applied != nowhere
            && let Some(verdicts) = verdicts(row.row)
        {
            holes.account(&verdicts, applied);
        }
        taken.insert(applied);
        placed = (partition(row.source), applied & !1);
        group.rows.push(Row { applied, state: applied.saturating_sub(2), ..row });
    }
}

/// Versions between two that are known, and how many of them nothing accounts for.
#[derive(Debug, Clone, Copy)]
struct Hole {
    after: u64,
    until: u64,
    /// How far the labels were at its end.
    epoch: u32,
    /// Negative where there are more labels than versions.
    missing: i64,
    /// Labels that may have been one that waited, or more.
    either: i64,
}

/// All of an entity, those with nothing missing too.
#[derive(Debug, Default)]
struct Holes(Vec<Hole>);

impl Holes {
    /// They end where a decision was made as its payment was applied: only there it is known how far the labels were.
    fn of(group: &Group) -> Self {
        let mut holes = Self::default();
        let (mut after, mut payments) = (0, 0);
        for (version, row) in (0..group.rows.len()).map(|version| (version, group.at_version(version))) {
            if row.state + 2 != row.applied || row.epoch == ALL_EPOCHS {
                continue;
            }
            let (until, epoch) = (row.applied, row.epoch);
            let missing = ((until - after) >> 1).cast_signed() - (version as i64 + 1 - payments);
            holes.0.push(Hole { after, until, epoch, missing, either: 0 });
            (after, payments) = (until, version as i64 + 1);
        }
        for (place, verdicts) in &group.verdicts {
            let row = &group.rows[*place as usize];
            holes.account(verdicts, row.applied);
        }
        for hole in holes.0.iter_mut().filter(|hole| hole.missing < 0) {
            hole.missing = (hole.missing + hole.either).min(0);
        }
        holes
    }

    /// Accounts for the labels of a payment, by its version.
    fn account(&mut self, verdicts: &Verdicts, applied: u64) {
        let own = self.0.partition_point(|hole| hole.until <= applied);
        let (mut waited, mut beside) = (Vec::new(), Vec::new());
        let mut heard: Vec<&Said> = verdicts.0.iter().collect();
        heard.sort_by_key(|said| said.epoch);
        for said in heard {
            let heard = self.0.partition_point(|hole| hole.epoch < said.epoch);
            let same = (said.since_ms, said.is_fraud, said.source);
            let Some(hole) = self.0.get_mut(heard.max(own)) else { continue };
            // One that came before its payment waited for it; of two the same one waits. In the hole behind the payment
            // either may be: a caller's decision was made before its payment was applied.
            let is_known = waited.contains(&same);
            if heard < own {
                if is_known {
                    continue;
                }
                waited.push(same);
            } else if heard == own {
                hole.either += i64::from(is_known || beside.contains(&same));
                beside.push(same);
            }
            hole.missing -= 1;
        }
    }

    /// The first version between two that nothing accounts for.
    fn fill(&mut self, floor: u64, ceiling: u64, taken: &HashSet<u64>) -> Option<u64> {
        let fits = |hole: &&mut Hole| hole.missing > 0 && hole.until > floor && hole.after < ceiling;
        self.0.iter_mut().filter(fits).find_map(|hole| {
            let mut versions = ((floor.max(hole.after) & !1) + 2..hole.until.min(ceiling)).step_by(2);
            let free = versions.find(|version| !taken.contains(version))?;
            hole.missing -= 1;
            Some(free)
        })
    }
}
