//! What the leaves weigh, by the place of the packed node.

use super::attributes::{Weight, Written};
use super::ending::{Aggregate, Sums};

/// Weights in the order of trees and nodes, to be asked for those of one leaf.
#[derive(Debug)]
pub(super) struct Weights(Vec<Weight>);

impl Weights {
    /// Sorts them and checks that each is a leaf's, each leaf has one, and none has two for one score.
    pub(super) fn sort(mut weights: Vec<Weight>, nodes: &[Written]) -> Result<Self, String> {
        weights.sort_unstable_by_key(|weight| (weight.tree, weight.id, weight.score));
        let same = |pair: &&[Weight]| {
            (pair[0].tree, pair[0].id, pair[0].score) == (pair[1].tree, pair[1].id, pair[1].score)
        };
        if let Some([weight, _]) = weights.windows(2).find(same) {
            let Weight { tree, id, score, .. } = weight;
            return Err(format!("tree {tree}: node {id} has two weights for score {score}"));
        }
        let mut leaves: Vec<_> =
            nodes.iter().filter(|node| node.branch.is_none()).map(|leaf| (leaf.tree, leaf.id)).collect();
        leaves.sort_unstable();
        let is_leafs = |weight: &&Weight| leaves.binary_search(&(weight.tree, weight.id)).is_ok();
        if let Some(Weight { tree, id, .. }) = weights.iter().find(|weight| !is_leafs(weight)) {
            return Err(format!("a weight for node {id} of tree {tree}, which is no leaf"));
        }
        let weights = Self(weights);
        match leaves.iter().find(|(tree, id)| weights.of(*tree, *id).is_empty()) {
            Some((tree, id)) => Err(format!("tree {tree}: node {id} is a leaf without a weight")),
            None => Ok(weights),
        }
    }

    /// Those of one leaf.
    pub(super) fn of(&self, tree: i64, id: i64) -> &[Weight] {
        let from = self.0.partition_point(|weight| (weight.tree, weight.id) < (tree, id));
        let rest = &self.0[from..];
        let length = rest.iter().take_while(|weight| (weight.tree, weight.id) == (tree, id)).count();
        &rest[..length]
    }
}

/// One weight, when the node that it belongs to is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vote {
    score: u32,
    weight: f32,
}

/// Weights of all leaves. The lists are as long as that of nodes; what stands at branches is never read.
#[derive(Debug)]
pub(super) enum Leaves {
    /// Of a forest with one sum.
    One(Vec<f32>),
    /// Of others: from where to where in `votes`.
    Several { spans: Vec<[u32; 2]>, votes: Vec<Vote> },
}

impl Leaves {
    pub(super) fn new(sums: usize) -> Self {
        if sums == 1 { Leaves::One(vec![]) } else { Leaves::Several { spans: vec![], votes: vec![] } }
    }

    /// Makes room for so many nodes.
    pub(super) fn resize(&mut self, nodes: usize) {
        match self {
            Leaves::One(weights) => weights.resize(nodes, 0.0),
            Leaves::Several { spans, .. } => spans.resize(nodes, [0; 2]),
        }
    }

    /// Sets the weights of the leaf at a place.
    pub(super) fn set(&mut self, place: usize, weights: &[Weight]) {
        match self {
            Leaves::One(all) => all[place] = weights.first().map_or(0.0, |weight| weight.weight),
            Leaves::Several { spans, votes } => {
                let from = votes.len() as u32;
                let vote = |weight: &Weight| Vote { score: weight.score as u32, weight: weight.weight };
                votes.extend(weights.iter().map(vote));
                spans[place] = [from, votes.len() as u32];
            }
        }
    }

    /// Gives a place the weights of another one: several nodes may lead to one leaf.
    pub(super) fn copy(&mut self, from: usize, to: usize) {
        match self {
            Leaves::One(weights) => weights[to] = weights[from],
            Leaves::Several { spans, .. } => spans[to] = spans[from],
        }
    }

    /// Takes the leaf at a place into the sums of a row.
    #[inline]
    pub(super) fn add(&self, place: usize, aggregate: Aggregate, sums: &mut Sums) {
        match self {
            Leaves::One(weights) => {
                sums.values[0] = aggregate.fold(sums.values[0], weights[place]);
                sums.weighed = 1;
            }
            Leaves::Several { spans, votes } => {
                let [from, to] = spans[place];
                for Vote { score, weight } in &votes[from as usize..to as usize] {
                    let sum = &mut sums.values[*score as usize];
                    *sum = aggregate.fold(*sum, *weight);
                    sums.weighed |= 1_u32 << *score;
                }
            }
        }
    }
}
