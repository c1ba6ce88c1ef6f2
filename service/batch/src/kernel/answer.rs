//! The answers, a chunk of rows at a time, in the order in which the payments were handed in.

use std::io;

use feature_store::definition::Request;
use schemas::value::{FeatureValue, ValueKind};

use super::plan::EntityTasks;
use super::share::{Correction, Done, value_width};
use super::{CHUNK_BITS, Causes, Gap, request_value};

/// What was computed.
#[derive(Debug)]
pub struct Answers {
    tasks: Vec<EntityTasks>,
    requests: Vec<(usize, Request)>,
    features: usize,
    basis: Vec<[i64; 2]>,
    done: Done,
    early: Vec<u32>,
    next: usize,
}

/// The answers of some rows.
#[derive(Debug)]
pub struct Chunk {
    /// The first of them.
    pub first: u32,
    features: usize,
    values: Vec<FeatureValue>,
    corrections: Vec<Correction>,
}

impl Answers {
    pub(super) fn new(
        tasks: Vec<EntityTasks>,
        requests: Vec<(usize, Request)>,
        features: usize,
        basis: Vec<[i64; 2]>,
        done: Done,
        early: Vec<u32>,
    ) -> Self {
        Self { tasks, requests, features, basis, done, early, next: 0 }
    }

    /// What the archive lacks, by the versions.
    pub fn gaps(&self) -> &[Gap] {
        &self.done.gaps
    }

    /// Rows whose label came before them, once for each such label.
    pub fn early(&self) -> &[u32] {
        &self.early
    }

    /// Values that are others as of the log than by event time.
    pub fn corrections(&self) -> usize {
        self.done.corrections.len()
    }

    /// The next chunk; `None` after the last.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        let first = self.next << CHUNK_BITS;
        let rows = self.basis.len().saturating_sub(first).min(1 << CHUNK_BITS);
        if rows == 0 {
            return Ok(None);
        }
        let mut values = vec![FeatureValue::Null; rows * self.features];
        for (row, [time_ms, amount_minor]) in self.basis[first..first + rows].iter().enumerate() {
            for (feature, request) in &self.requests {
                values[row * self.features + feature] = request_value(*request, *time_ms, *amount_minor);
            }
        }
        for (tasks, spill) in self.tasks.iter().zip(&mut self.done.values) {
            for row in 0..rows {
                for task in &tasks.tasks {
                    values[row * self.features + task.feature] = task.undefined();
                }
            }
            for record in spill.take(self.next)?.chunks_exact(value_width(tasks)) {
                let row = record[0] as usize - first;
                let defined = &record[1 + tasks.tasks.len()..];
                for (number, task) in tasks.tasks.iter().enumerate() {
                    let is_defined = defined[number / 64] >> (number % 64) & 1 == 1;
                    let value = if is_defined {
                        from_word(record[1 + number], task.kind)
                    } else {
                        FeatureValue::Null
                    };
                    values[row * self.features + task.feature] = value;
                }
            }
        }
        self.next += 1;
        let (first, last) = (first as u32, (first + rows) as u32);
        let corrections = &self.done.corrections;
        let from = corrections.partition_point(|one| one.row < first);
        let to = corrections.partition_point(|one| one.row < last);
        Ok(Some(Chunk {
            first,
            features: self.features,
            values,
            corrections: corrections[from..to].to_vec(),
        }))
    }
}

impl Chunk {
    /// Rows in it.
    pub fn rows(&self) -> usize {
        self.values.len() / self.features.max(1)
    }

    /// The vector of a row by event time.
    pub fn by_event_time(&self, row: u32) -> &[FeatureValue] {
        let at = (row - self.first) as usize * self.features;
        &self.values[at..at + self.features]
    }

    /// The same as of the log, and why a value is another there: by its place in the vector.
    pub fn as_of_log(&self, row: u32, vector: &mut Vec<FeatureValue>) -> Vec<(usize, Causes)> {
        vector.clear();
        vector.extend_from_slice(self.by_event_time(row));
        let from = self.corrections.partition_point(|one| one.row < row);
        let own = self.corrections[from..].iter().take_while(|one| one.row == row);
        own.map(|one| {
            vector[one.feature as usize] = one.value;
            (one.feature as usize, one.causes)
        })
        .collect()
    }
}

fn from_word(word: u64, kind: ValueKind) -> FeatureValue {
    match kind {
        ValueKind::Int => FeatureValue::Int(word.cast_signed()),
        ValueKind::Real => FeatureValue::Real(f64::from_bits(word)),
        ValueKind::Flag => FeatureValue::Flag(word != 0),
    }
}
