//! Nodes packed for the walk: twelve bytes each, and one comparison for all six modes.
//!
//! Every packed branch asks `x <= threshold` and goes to the first or the second of two nodes that lie side by side. A
//! 32-bit number has a next lower one, so that nothing is lost:
//!
//! ```text
//! x <= t    first: yes   second: no        x <  t    the same, with the number below t
//! x >  t    first: no    second: yes       x >= t    the same, with the number below t
//! x == t    x <= t ? (x <= the number below t ? no : yes) : no         x != t    yes and no exchanged
//! ```
//!
//! A missing value is not `<=` anything and goes second; one bit of the node sends it first. A leaf leads to itself with
//! every value, so that a walk may take more steps than it needs. Nodes of a tree lie in the order of their depth: all
//! rows pass the upper ones, which then share a few cache lines; below, rows part anyway.

use std::collections::VecDeque;

use super::attributes::{Branch, Comparison, Written};
use super::shape::Shape;

/// The bit of [`Node::feature`] that sends a missing value to the first node of the pair.
pub(super) const MISSING_FIRST: u32 = 1 << 31;

/// A branch, or a leaf that leads to itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub threshold: f32,
    /// The column that is asked, and [`MISSING_FIRST`].
    pub feature: u32,
    /// The place of the pair's first node.
    pub pair: u32,
}

impl Node {
    fn leaf(place: usize) -> Self {
        Self { threshold: f32::INFINITY, feature: MISSING_FIRST, pair: place as u32 }
    }
}

/// A written node, of which `x == t` asks twice.
type Question = (usize, usize);

/// What a packed branch asks, and what comes after it.
struct Step {
    threshold: f32,
    missing_first: bool,
    first: Question,
    second: Question,
}

/// Appends the nodes of one tree and returns its leaves: the packed place of each with its place in the list. A leaf
/// that several nodes lead to has several.
pub(super) fn pack(tree: &[Written], shape: &Shape, nodes: &mut Vec<Node>) -> Vec<(usize, usize)> {
    let mut leaves = Vec::new();
    // A node that several lead to is written for each of them; what comes after it is written once.
    let mut pairs = vec![[None; 2]; tree.len()];
    let root = nodes.len();
    nodes.push(Node::leaf(root));
    let mut waiting = VecDeque::from([(root, (0, 0))]);
    while let Some((place, (node, turn))) = waiting.pop_front() {
        let (Some(branch), Some(children)) = (&tree[node].branch, shape.children[node]) else {
            nodes[place] = Node::leaf(place);
            leaves.push((place, node));
            continue;
        };
        let step = step(branch, (node, turn), children);
        let known: &mut Option<usize> = &mut pairs[node][turn];
        let pair = *known.get_or_insert_with(|| {
            let pair = nodes.len();
            nodes.extend([Node::leaf(pair), Node::leaf(pair + 1)]);
            waiting.extend([(pair, step.first), (pair + 1, step.second)]);
            pair
        });
        let missing = if step.missing_first { MISSING_FIRST } else { 0 };
        nodes[place] =
            Node { threshold: step.threshold, feature: branch.feature | missing, pair: pair as u32 };
    }
    leaves
}

fn step(branch: &Branch, (node, turn): Question, [yes, no]: [usize; 2]) -> Step {
    let (yes, no) = ((yes, 0), (no, 0));
    let Branch { threshold, missing_is_yes, .. } = *branch;
    let ask = |threshold, missing_first, first, second| Step { threshold, missing_first, first, second };
    let equal = |missing_first, yes, no| {
        if turn == 0 {
            ask(threshold, missing_first, (node, 1), no)
        } else {
            ask(below(threshold), false, no, yes)
        }
    };
    match branch.comparison {
        Comparison::LessOrEqual => ask(threshold, missing_is_yes, yes, no),
        Comparison::Less => ask(below(threshold), missing_is_yes, yes, no),
        Comparison::Greater => ask(threshold, !missing_is_yes, no, yes),
        Comparison::GreaterOrEqual => ask(below(threshold), !missing_is_yes, no, yes),
        Comparison::Equal => equal(missing_is_yes, yes, no),
        // A missing value is unequal to all, so its way is yes without being told.
        Comparison::NotEqual => equal(false, no, yes),
    }
}

/// The largest number below this one; below the lowest there is none, and nothing is `<=` a NaN.
fn below(threshold: f32) -> f32 {
    if threshold == f32::NEG_INFINITY { f32::NAN } else { threshold.next_down() }
}
