//! `TreeEnsembleClassifier`: its arrays describe trees, and nothing points outside them.
//!
//! tract walks these arrays without checks: a cycle would hang it, a class out of range would read foreign
//! memory. A walk from a root ends when no node has two parents and the root has none: to come back to a node
//! the walk would have to enter it a second time, by a second edge. It also takes `BRANCH_GTE` for a leaf.

use tract_onnx::pb::{AttributeProto, NodeProto};

pub(super) const OPERATOR: &str = "TreeEnsembleClassifier";

/// Most nodes of all trees together.
const MOST_NODES: usize = 4_000_000;

pub(super) fn check(node: &NodeProto) -> Result<(), String> {
    let trees = ints(node, "nodes_treeids")?;
    let ids = same_length(ints(node, "nodes_nodeids")?, trees, "nodes_nodeids")?;
    let yes = same_length(ints(node, "nodes_truenodeids")?, trees, "nodes_truenodeids")?;
    let no = same_length(ints(node, "nodes_falsenodeids")?, trees, "nodes_falsenodeids")?;
    let features = same_length(ints(node, "nodes_featureids")?, trees, "nodes_featureids")?;
    let modes = &attribute(node, "nodes_modes")?.strings;
    if modes.len() != trees.len() || trees.len() > MOST_NODES {
        return Err(format!("{} modes for {} nodes of trees", modes.len(), trees.len()));
    }
    if features.iter().any(|feature| u32::try_from(*feature).is_err()) {
        return Err("a feature id out of range".to_owned());
    }
    let nodes = trees.iter().zip(ids).zip(yes.iter().zip(no)).zip(modes);
    let nodes: Vec<_> = nodes
        .map(|(((&tree, &id), (&yes, &no)), mode)| {
            Ok(Branch { tree, id, children: children(mode, yes, no)? })
        })
        .collect::<Result<_, String>>()?;
    for (number, tree) in nodes.chunk_by(|a, b| a.tree == b.tree).enumerate() {
        if tree.first().map(|branch| branch.tree) != i64::try_from(number).ok() {
            return Err(format!("tree {number}: trees are not numbered from 0 in order"));
        }
        check_tree(tree).map_err(|reason| format!("tree {number}: {reason}"))?;
    }
    check_leaves(node, &nodes)
}

/// One node of a tree; a leaf has no children.
struct Branch {
    tree: i64,
    id: i64,
    children: Option<[i64; 2]>,
}

fn children(mode: &[u8], yes: i64, no: i64) -> Result<Option<[i64; 2]>, String> {
    match mode {
        b"LEAF" => Ok(None),
        b"BRANCH_LEQ" | b"BRANCH_LT" | b"BRANCH_GT" | b"BRANCH_EQ" | b"BRANCH_NEQ" => Ok(Some([yes, no])),
        other => {
            let mode = super::short(&String::from_utf8_lossy(other));
            Err(format!("mode {mode} of a tree's node is not one that Tripline runs"))
        }
    }
}

/// The nodes' ids are 0 to n - 1, and every one but the root has one parent at most, the root none.
fn check_tree(tree: &[Branch]) -> Result<(), String> {
    let mut seen = vec![false; tree.len()];
    let mut has_parent = vec![false; tree.len()];
    let mark = |marks: &mut [bool], id: i64| {
        let mark = usize::try_from(id).ok().and_then(|id| marks.get_mut(id));
        mark.is_some_and(|mark| !std::mem::replace(mark, true))
    };
    for branch in tree {
        if !mark(&mut seen, branch.id) {
            return Err(format!("node {} twice or out of range", branch.id));
        }
        for child in branch.children.into_iter().flatten() {
            if child == 0 || !mark(&mut has_parent, child) {
                return Err(format!(
                    "node {} leads to {child}: a cycle, a second parent or no node",
                    branch.id
                ));
            }
        }
    }
    Ok(())
}

/// Every weight belongs to a leaf and to a class that there is.
fn check_leaves(node: &NodeProto, nodes: &[Branch]) -> Result<(), String> {
    let classes = ints(node, "classlabels_int64s").map(<[i64]>::len);
    let classes = classes.or_else(|_| attribute(node, "classlabels_strings").map(|a| a.strings.len()))?;
    if !(2..=16).contains(&classes) {
        return Err(format!("{classes} classes, where 2 to 16 are run"));
    }
    let class_ids = ints(node, "class_ids")?;
    let trees = same_length(ints(node, "class_treeids")?, class_ids, "class_treeids")?;
    let ids = same_length(ints(node, "class_nodeids")?, class_ids, "class_nodeids")?;
    if let Some(class) =
        class_ids.iter().find(|class| usize::try_from(**class).map_or(true, |c| c >= classes))
    {
        return Err(format!("class {class} of {classes}"));
    }
    let mut leaves: Vec<_> =
        nodes.iter().filter(|branch| branch.children.is_none()).map(|leaf| (leaf.tree, leaf.id)).collect();
    leaves.sort_unstable();
    match trees.iter().zip(ids).find(|(tree, id)| leaves.binary_search(&(**tree, **id)).is_err()) {
        Some((tree, id)) => Err(format!("a weight for node {id} of tree {tree}, which is no leaf")),
        None => Ok(()),
    }
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Result<&'a AttributeProto, String> {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.ok_or_else(|| format!("no attribute {name}"))
}

fn ints<'a>(node: &'a NodeProto, name: &str) -> Result<&'a [i64], String> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

fn same_length<'a>(values: &'a [i64], other: &[i64], name: &str) -> Result<&'a [i64], String> {
    if values.len() == other.len() { Ok(values) } else { Err(format!("{name} of another length")) }
}
