//! A forest that was checked and may be walked.

use std::collections::BTreeSet;
use std::fmt;

use tract_onnx::pb::NodeProto;

use super::attributes::{self, Written};
use super::ending::Ending;
use super::label::Labels;
use super::leaves::{Leaves, Weights};
use super::pack::{self, MISSING_FIRST, Node};
use super::shape::{self, Shape};

/// All trees of one operator, packed.
pub(crate) struct Forest {
    pub(super) nodes: Vec<Node>,
    pub(super) trees: Vec<Tree>,
    pub(super) leaves: Leaves,
    pub(super) ending: Ending,
    labels: Option<Labels>,
    /// Columns that the input must have.
    features: usize,
}

/// Where a tree begins, and how long its longest walk is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    pub root: u32,
    pub steps: u32,
}

/// A few words: tract prints operators, and a forest may have millions of nodes.
impl fmt::Debug for Forest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} trees, {} packed nodes", self.trees.len(), self.nodes.len())
    }
}

impl Forest {
    /// Reads and checks the operator's attributes and packs its trees; a reason where it is refused.
    pub(crate) fn read(node: &NodeProto) -> Result<Self, String> {
        let mut attributes = attributes::read(node)?;
        let written = std::mem::take(&mut attributes.nodes);
        let lists: Vec<_> = written.chunk_by(|one, other| one.tree == other.tree).collect();
        let mut known = BTreeSet::new();
        if let Some(again) = lists.iter().flat_map(|list| list.first()).find(|node| !known.insert(node.tree))
        {
            return Err(format!("the nodes of tree {} are not listed together", again.tree));
        }
        let shapes = lists.iter().map(|list| shape_of(list)).collect::<Result<Vec<_>, _>>()?;
        let ending = Ending::choose(&attributes, lists.len())?;
        let labels = Labels::choose(&attributes);
        let weights = Weights::sort(attributes.weights, &written)?;
        if labels.is_some() && ending.sums() == 2 {
            second_is_always_weighed(&lists, &weights)?;
        }
        let (mut nodes, mut trees, mut leaves) = (Vec::new(), Vec::new(), Leaves::new(ending.sums()));
        for (list, shape) in lists.into_iter().zip(shapes) {
            trees.push(Tree { root: nodes.len() as u32, steps: shape.steps });
            let places = pack::pack(list, &shape, &mut nodes);
            leaves.resize(nodes.len());
            let mut known = vec![None; list.len()];
            for (place, node) in places {
                match known[node] {
                    Some(other) => leaves.copy(other, place),
                    None => leaves.set(place, weights.of(list[node].tree, list[node].id)),
                }
                known[node] = Some(place);
            }
        }
        let features =
            nodes.iter().map(|node| node.feature & !MISSING_FIRST).max().map_or(0, |most| most + 1);
        Ok(Self { nodes, trees, leaves, ending, labels, features: features as usize })
    }

    /// Whether all features are found in a table of so many columns.
    pub(super) fn fits(&self, columns: usize) -> Result<(), String> {
        if self.features <= columns {
            return Ok(());
        }
        let last = self.features - 1;
        Err(format!("the trees read feature {last}, counted from 0, and their input has {columns} columns"))
    }

    /// Columns of the scores.
    pub(super) fn columns(&self) -> usize {
        self.ending.columns()
    }

    /// A classifier's labels.
    pub(super) fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// Writes the scores of rows of so many columns.
    pub(super) fn scores(&self, rows: &[f32], columns: usize, scores: &mut [f32]) {
        let mut scores = scores.chunks_exact_mut(self.columns());
        self.each_row(rows, columns, |sums| {
            if let Some(columns) = scores.next() {
                self.ending.finish(sums, columns);
            }
        });
    }

    /// The winning class of each row, by its place among the labels.
    pub(super) fn winners(&self, rows: &[f32], columns: usize) -> Vec<usize> {
        let mut winners = Vec::with_capacity(rows.len() / columns.max(1));
        self.each_row(rows, columns, |sums| {
            let weighed = sums.weighed;
            let totals = self.ending.total(sums);
            winners.push(self.labels.as_ref().map_or(0, |labels| labels.winner(totals, weighed)));
        });
        winners
    }
}

fn shape_of(list: &[Written]) -> Result<Shape, String> {
    shape::read(list).map_err(|reason| match list.first() {
        Some(node) => format!("tree {}: {reason}", node.tree),
        None => reason,
    })
}

/// With two classes that are both weighed somewhere, ONNX Runtime takes a row in which no leaf weighs the second for one
/// of another kind. A tree whose leaves all weigh it makes sure that there is no such row.
fn second_is_always_weighed(lists: &[&[Written]], weights: &Weights) -> Result<(), String> {
    let weighs = |leaf: &Written| weights.of(leaf.tree, leaf.id).iter().any(|weight| weight.score == 1);
    let all_weigh = |list: &&[Written]| list.iter().filter(|node| node.branch.is_none()).all(weighs);
    if lists.iter().any(all_weigh) {
        return Ok(());
    }
    Err("no tree weighs class 1 of 2 at all of its leaves: give both classes a weight at each leaf"
        .to_owned())
}
