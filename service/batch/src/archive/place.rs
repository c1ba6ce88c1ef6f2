//! Where a file stands: topic, day, partition and the offsets of its first and last record.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

/// A file's place, which is also its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// Partition of the topic.
    pub partition: i32,
    /// Offset of its first record.
    pub first: i64,
    /// Offset of its last.
    pub last: i64,
    /// The day of its records' time, `YYYY-MM-DD`, UTC.
    pub day: String,
}

impl Place {
    /// The place of a path below the archive's root; `None` for what is none.
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let topic = parts.next()?.to_owned();
        let day = parts.next()?.strip_prefix("dt=")?.to_owned();
        let partition = parts.next()?.strip_prefix("part=")?.parse().ok()?;
        let mut numbers = parts.next()?.strip_suffix(".parquet")?.splitn(3, '-');
        let (named, first, last) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let place = Self { topic, partition, first: first.parse().ok()?, last: last.parse().ok()?, day };
        let is_whole = parts.next().is_none() && named.parse() == Ok(partition) && place.first <= place.last;
        is_whole.then_some(place)
    }

    fn folder(&self) -> String {
        format!("{}/dt={}/part={}", self.topic, self.day, self.partition)
    }

    /// Where its manifest stands: engines pass over names that begin with an underscore.
    pub fn manifest(&self) -> String {
        format!("{}/_{}-{}-{}.json", self.folder(), self.partition, self.first, self.last)
    }
}

/// The day of a time, milliseconds: `YYYY-MM-DD`, UTC.
pub(super) fn day_of(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_string().chars().take("2026-11-26".len()).collect()
}

/// Files in order, and apart from them those whose records are all in a larger one, each with that.
pub(super) fn settled(mut places: Vec<Place>) -> (Vec<Place>, Vec<(Place, Place)>) {
    places.sort_by_key(|place| (place.partition, place.first, Reverse(place.last)));
    let mut standing: Vec<Place> = Vec::new();
    let mut merged = Vec::new();
    let mut widest: BTreeMap<i32, usize> = BTreeMap::new();
    for place in places {
        let over = widest.get(&place.partition).and_then(|at| standing.get(*at));
        match over.filter(|over| over.last >= place.last).cloned() {
            Some(over) => merged.push((place, over)),
            None => {
                widest.insert(place.partition, standing.len());
                standing.push(place);
            }
        }
    }
    (standing, merged)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{}-{}.parquet", self.folder(), self.partition, self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place {
            topic: "payments".to_owned(),
            partition: 3,
            first: 10,
            last: 19,
            day: "2026-11-26".to_owned(),
        };
        assert_eq!(place.to_string(), "payments/dt=2026-11-26/part=3/3-10-19.parquet");
        assert_eq!(Place::parse(&place.to_string()), Some(place.clone()));
        for other in [
            place.manifest(),
            place.to_string().replace("part=3", "part=4"),
            place.to_string().replace("10-19", "19-10"),
            "payments/x".to_owned(),
        ] {
            assert_eq!(Place::parse(&other), None, "{other}");
        }
    }
}
