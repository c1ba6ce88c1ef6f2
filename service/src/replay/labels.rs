//! Labels of a Parquet file, in the order in which they become known.

use std::path::Path;

use schemas::mapping::{FieldPath, Raw, TimeUnit};
use schemas::payment::{Label, LabelSource};
use schemas::problem::{Problem, Problems};
use schemas::time::EventTime;

use super::columns::{Column, Found, column, look_up};
use super::payments::open;

/// All labels, by time. Ids are kept in one text: a million labels are 40 MB.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    ids: String,
    /// Time, whether fraud, and where the id stands.
    labels: Vec<(EventTime, bool, std::ops::Range<usize>)>,
    next: usize,
}

impl Labels {
    /// Reads a file with `transaction_id`, `label` (0, 1 or a boolean) and `label_time` (a timestamp).
    pub fn open(path: &Path) -> Result<Self, Problems> {
        let builder = open(path)?;
        let file = path.display().to_string();
        let paths = ["transaction_id", "label", "label_time"].map(FieldPath::parse);
        let paths: Vec<_> = paths.into_iter().flatten().collect();
        let missing =
            paths.iter().filter_map(|path| match look_up(&file, builder.schema(), path, "a column") {
                Found::Column(_) => None,
                Found::Nothing(problem) | Found::Untakable(problem) => Some(problem),
            });
        Problems(missing.collect()).or(Some(()))?;
        let wrong = |found: String| {
            let expected =
                "transaction_id (text or integer), label (0 or 1) and label_time (timestamp) in every row";
            Problems::from(Problem::new(&file, "the file", found, expected))
        };
        let reader = builder.build().map_err(|error| wrong(error.to_string()))?;
        let mut labels = Self::default();
        for batch in reader {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            let columns = paths
                .iter()
                .map(|path| column(&batch, path))
                .collect::<Result<Vec<_>, _>>()
                .map_err(wrong)?;
            for row in 0..batch.num_rows() {
                labels
                    .push(&columns, row)
                    .ok_or_else(|| wrong(format!("another value in row {}", labels.labels.len())))?;
            }
        }
        labels.labels.sort_by_key(|(time, _, _)| *time);
        Ok(labels)
    }

    fn push(&mut self, columns: &[Column], row: usize) -> Option<()> {
        let [id, label, time] = columns else { return None };
        let start = self.ids.len();
        match id.raw(row) {
            Raw::Text(text) => self.ids.push_str(&text),
            Raw::Int(number) => self.ids.push_str(&number.to_string()),
            _ => return None,
        }
        let fraud = match label.raw(row) {
            Raw::Int(value @ (0 | 1)) => value == 1,
            Raw::Flag(value) => value,
            _ => return None,
        };
        let Raw::Time(value, unit) = time.raw(row) else { return None };
        let ms = match unit {
            TimeUnit::Second => value.checked_mul(1_000)?,
            TimeUnit::Milli => value,
            TimeUnit::Micro => value.div_euclid(1_000),
            TimeUnit::Nano => value.div_euclid(1_000_000),
        };
        self.labels.push((EventTime::from_ms(ms)?, fraud, start..self.ids.len()));
        Some(())
    }

    /// How many there are, and how many were given so far.
    pub fn counts(&self) -> (usize, usize) {
        (self.labels.len(), self.next)
    }

    /// The labels not given yet that are known at this time.
    pub fn known_at(&mut self, time: EventTime) -> Vec<Label> {
        let known = self.labels[self.next..].iter().take_while(|(label_time, ..)| *label_time <= time);
        let known: Vec<Label> = known.map(|label| self.label(label)).collect();
        self.next += known.len();
        known
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Label> {
        self.labels.iter().map(|label| self.label(label))
    }

    fn label(&self, (label_time, fraud, id): &(EventTime, bool, std::ops::Range<usize>)) -> Label {
        Label {
            transaction_id: self.ids.get(id.clone()).unwrap_or_default().into(),
            fraud: *fraud,
            label_time: *label_time,
            source: LabelSource::Other,
        }
    }
}
