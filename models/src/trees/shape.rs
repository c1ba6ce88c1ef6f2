//! The shape of one tree: which node leads to which, and that every walk from the root ends at a leaf.
//!
//! The root is the node of a tree that is listed first, as for ONNX Runtime. A node that no walk reaches means that
//! whoever wrote the file meant another root, so it is refused. Two nodes may lead to the same one: LightGBM's exporter
//! writes "is one of these categories" as a chain of `BRANCH_EQ` whose yes is one and the same node. A walk that would
//! come back to where it was is refused.

use super::attributes::{Comparison, Written};

/// Longest walk: trees are tens of steps deep, sets of categories thousands. A million would take milliseconds a row.
const MOST_STEPS: u32 = 20_000;

/// One tree's shape.
#[derive(Debug)]
pub(super) struct Shape {
    /// Of each node, by its place in the list: the places of yes and no; none of a leaf.
    pub children: Vec<Option<[usize; 2]>>,
    /// Packed nodes on the longest walk, without the leaf.
    pub steps: u32,
}

/// Reads the nodes of one tree.
pub(super) fn read(tree: &[Written]) -> Result<Shape, String> {
    let mut places: Vec<(i64, usize)> = tree.iter().map(|node| node.id).zip(0..).collect();
    places.sort_unstable();
    if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("node {} twice", pair[0].0));
    }
    let place = |from: i64, to: i64| match places.binary_search_by_key(&to, |(id, _)| *id) {
        Ok(found) => Ok(places[found].1),
        Err(_) => Err(format!("node {from} leads to {to}, and there is none")),
    };
    let children = tree
        .iter()
        .map(|node| match &node.branch {
            Some(branch) => Ok(Some([place(node.id, branch.yes)?, place(node.id, branch.no)?])),
            None => Ok(None),
        })
        .collect::<Result<Vec<_>, String>>()?;
    let steps = longest_walk(tree, &children)?;
    if steps > MOST_STEPS {
        return Err(format!("a walk of {steps} steps, where {MOST_STEPS} are the limit"));
    }
    Ok(Shape { children, steps })
}

/// Where a node stands while all walks from the root are followed, the deepest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    /// On the way from the root to where the search is now.
    Open,
    /// With all that lies below it.
    Done,
}

fn longest_walk(tree: &[Written], children: &[Option<[usize; 2]>]) -> Result<u32, String> {
    let mut seen = vec![Seen::Never; tree.len()];
    let mut steps = vec![0_u32; tree.len()];
    // Nodes on the way, each with the number of its children that were looked at.
    let mut way = vec![(0, 0)];
    seen[0] = Seen::Open;
    while let Some((node, looked)) = way.pop() {
        let Some(pair) = children[node] else {
            seen[node] = Seen::Done;
            continue;
        };
        if let Some(&child) = pair.get(looked) {
            way.push((node, looked + 1));
            match seen[child] {
                Seen::Open => return Err(format!("a walk comes back to node {}", tree[child].id)),
                Seen::Never => {
                    seen[child] = Seen::Open;
                    way.push((child, 0));
                }
                Seen::Done => {}
            }
        } else {
            seen[node] = Seen::Done;
            steps[node] =
                own_steps(&tree[node]) + pair.map(|child| steps[child]).into_iter().fold(0, u32::max);
        }
    }
    match seen.iter().position(|seen| *seen == Seen::Never) {
        Some(node) => {
            let (node, root) = (tree[node].id, tree[0].id);
            Err(format!("node {node} is not reached from node {root}, which is listed first"))
        }
        None => Ok(steps[0]),
    }
}

/// Packed nodes that a written one becomes.
fn own_steps(node: &Written) -> u32 {
    match node.branch.map(|branch| branch.comparison) {
        Some(Comparison::Equal | Comparison::NotEqual) => 2,
        Some(_) => 1,
        None => 0,
    }
}
