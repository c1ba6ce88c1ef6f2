//! From rows to leaves, eight walks at a time.
//!
//! A step of one walk waits for the step before it: it must load the node, then the feature, then compare. Eight walks
//! side by side wait together, and no step is a jump that the processor would have to guess. In a batch the eight are
//! rows in one tree, so that its nodes are loaded once for all of them; a row alone has eight of its trees walked.
//!
//! A row's sums are made in the order of trees, in 32 bits, either way: its scores have the same bits in any batch.

use super::ending::Sums;
use super::forest::Forest;
use super::pack::{MISSING_FIRST, Node};

/// Walks at a time.
const LANES: usize = 8;

impl Forest {
    /// Hands the sums of each row of so many columns to `each`, in the order of rows.
    pub(super) fn each_row(&self, rows: &[f32], columns: usize, mut each: impl FnMut(&mut Sums)) {
        if columns == 0 {
            return;
        }
        let mut blocks = rows.chunks_exact(columns * LANES);
        for block in &mut blocks {
            self.block(block, columns).iter_mut().for_each(&mut each);
        }
        for row in blocks.remainder().chunks_exact(columns) {
            each(&mut self.alone(row));
        }
    }

    /// The sums of eight rows.
    fn block(&self, rows: &[f32], columns: usize) -> [Sums; LANES] {
        let aggregate = self.ending.aggregate();
        let mut sums = [self.ending.start(); LANES];
        for tree in &self.trees {
            let mut places = [tree.root; LANES];
            self.walk(tree.steps, &mut places, rows, columns);
            for (sums, place) in sums.iter_mut().zip(places) {
                self.leaves.add(place as usize, aggregate, sums);
            }
        }
        sums
    }

    /// The sums of one row.
    fn alone(&self, row: &[f32]) -> Sums {
        let aggregate = self.ending.aggregate();
        let mut sums = self.ending.start();
        for trees in self.trees.chunks(LANES) {
            // Lanes without a tree walk the first tree of all, and nobody asks where they end.
            let (mut places, mut steps) = ([0; LANES], 0);
            for (place, tree) in places.iter_mut().zip(trees) {
                *place = tree.root;
                steps = steps.max(tree.steps);
            }
            self.walk(steps, &mut places, row, 0);
            for place in places.iter().take(trees.len()) {
                self.leaves.add(*place as usize, aggregate, &mut sums);
            }
        }
        sums
    }

    /// Takes each lane to its leaf. Lane `n` reads its features from `values[n * stride..]`.
    #[inline]
    fn walk(&self, steps: u32, places: &mut [u32; LANES], values: &[f32], stride: usize) {
        let nodes = self.nodes.as_slice();
        for _ in 0..steps {
            let mut moved = 0;
            let mut row = 0;
            for place in places.iter_mut() {
                let Node { threshold, feature, pair } = nodes[*place as usize];
                let value = values[row + (feature & !MISSING_FIRST) as usize];
                let first = (value <= threshold) | (value.is_nan() & (feature & MISSING_FIRST != 0));
                let next = pair + u32::from(!first);
                moved |= next ^ *place;
                *place = next;
                row += stride;
            }
            if moved == 0 {
                break;
            }
        }
    }
}
