//! Forests that would hang, read outside their arrays, or mean nothing: refused with a reason.

use models::Output;
use prost::Message;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, ModelProto};

use crate::bad_graphs::{graph, spoiled};
use crate::folder::Folder;
use crate::forests::Forest;
use crate::graphs::{attribute, floats, tensor, trees, word};

/// Exchanges lists of numbers.
fn lists(changes: &'static [(&'static str, &'static [i64])]) -> impl FnOnce(&mut ModelProto) {
    move |model| {
        for (name, values) in changes {
            attribute(model, name).ints = values.to_vec();
        }
    }
}

/// Adds an attribute.
fn adds(attribute: AttributeProto) -> impl FnOnce(&mut ModelProto) {
    move |model| graph(model).node[0].attribute.push(attribute)
}

fn refused(forest: &Forest, reason: &str) {
    // What is refused has no golden score: its folder is made with another graph.
    let mut folder: Folder = Forest::classifier(1, 2).leaf(0, 0, &[(0, 0.5)]).folder(1);
    if !forest.is_classifier {
        folder.manifest.facts.output = Output { index: 0, column: None };
    }
    folder.onnx = forest.graph().encode_to_vec();
    let found = folder.refusal();
    assert!(found.contains(reason), "\"{reason}\" is not in \"{found}\"");
}

#[test]
fn trees_that_would_hang_or_read_outside_are_refused() {
    let to = |yes: &'static [i64]| {
        move |model: &mut ModelProto| attribute(model, "nodes_truenodeids").ints = yes.to_vec()
    };
    spoiled(trees(), to(&[0, 0, 0, 1, 0, 0]), "tree 0: a walk comes back to node 0");
    spoiled(trees(), to(&[2, 0, 0, 1, 0, 0]), "node 1 is not reached from node 0, which is listed first");
    spoiled(trees(), to(&[9, 0, 0, 1, 0, 0]), "node 0 leads to 9, and there is none");
    spoiled(trees(), to(&[1, 0, 0, -1, 0, 0]), "tree 1: node 0 leads to -1");
    spoiled(trees(), to(&[1]), "nodes_truenodeids of another length");
    spoiled(trees(), lists(&[("nodes_nodeids", &[0, 1, 1, 0, 1, 2])]), "node 1 twice");
    spoiled(trees(), lists(&[("nodes_treeids", &[0, 0, 1, 0, 1, 1])]), "tree 0 are not listed together");
    spoiled(trees(), lists(&[("nodes_treeids", &[-1, -1, -1, 1, 1, 1])]), "its number is negative");
    spoiled(trees(), lists(&[("nodes_featureids", &[0, 0, 0, 9, 0, 0])]), "read feature 9, counted from 0");
    spoiled(trees(), lists(&[("nodes_featureids", &[-1, 0, 0, 1, 0, 0])]), "a feature id out of range");
    let far = lists(&[("nodes_featureids", &[1_099_511_627_776, 0, 0, 1, 0, 0])]);
    spoiled(trees(), far, "a feature id out of range");
    // Two nodes that lead to each other, reached by a third.
    let forest = Forest::regressor(1, 1)
        .branch(0, 0, "BRANCH_LT", 0.0, [1, 3])
        .branch(0, 1, "BRANCH_LT", 1.0, [2, 3])
        .branch(0, 2, "BRANCH_LT", 2.0, [1, 3])
        .leaf(0, 3, &[(0, 0.5)]);
    refused(&forest, "tree 0: a walk comes back to node 1");
    // The root is what is listed first, not what nobody leads to.
    let forest = Forest::regressor(1, 1).leaf(0, 1, &[(0, 0.5)]).branch(0, 0, "BRANCH_LT", 0.0, [1, 2]).leaf(
        0,
        2,
        &[(0, 0.5)],
    );
    refused(&forest, "tree 0: node 0 is not reached from node 1, which is listed first");
}

#[test]
fn weights_belong_to_leaves_and_scores() {
    spoiled(trees(), lists(&[("class_ids", &[0, 0, 0, 7])]), "class 7 of 2");
    spoiled(trees(), lists(&[("class_ids", &[0, 0, 0, -1])]), "class -1 of 2");
    spoiled(trees(), lists(&[("class_ids", &[0])]), "class_treeids of another length");
    let branch = lists(&[("class_nodeids", &[0, 2, 1, 2])]);
    spoiled(trees(), branch, "a weight for node 0 of tree 0, which is no leaf");
    let nowhere = lists(&[("class_treeids", &[0, 0, 1, 8])]);
    spoiled(trees(), nowhere, "a weight for node 2 of tree 8, which is no leaf");
    let twice = lists(&[("class_nodeids", &[1, 1, 1, 2])]);
    spoiled(trees(), twice, "tree 0: node 1 has two weights for score 0");
    let one = Forest::regressor(1, 1);
    let branch = one.branch(0, 0, "BRANCH_LT", 0.0, [1, 2]);
    refused(&branch.leaf(0, 1, &[(0, 0.5)]).leaf(0, 2, &[]), "node 2 is a leaf without a weight");
    let bare = Forest::classifier(1, 2).stump(0, &[(0, 0.5), (1, 0.5)], &[(0, 0.5)]);
    refused(&bare, "no tree weighs class 1 of 2 at all of its leaves");
}

#[test]
fn numbers_that_are_none_are_refused() {
    let set = |name: &'static str, value: f32| {
        move |model: &mut ModelProto| attribute(model, name).floats[0] = value
    };
    spoiled(trees(), set("nodes_values", f32::NAN), "a threshold that is no number");
    spoiled(trees(), set("class_weights", f32::NAN), "a weight that is not finite");
    spoiled(trees(), set("class_weights", f32::INFINITY), "a weight that is not finite");
    spoiled(trees(), adds(floats("base_values", &[f32::NAN])), "base_values are not finite");
}

#[test]
fn what_onnx_runtime_has_no_sensible_answer_for_is_refused() {
    spoiled(trees(), adds(floats("base_values", &[0.0, 1.0])), "2 base_values for 2 classes are not run");
    let second = Forest::classifier(1, 2).leaf(0, 0, &[(1, 0.5)]);
    refused(&second.with("LOGISTIC", &[0.5]), "1 base_values for 2 classes are not run");
    let three = Forest::classifier(1, 3).leaf(0, 0, &[(1, 0.5)]);
    refused(&three.with("NONE", &[0.5]), "1 base_values for 3 classes are not run");
    let target = Forest::regressor(1, 1).leaf(0, 0, &[(0, 0.5)]);
    refused(&target.with("NONE", &[0.5, 0.5]), "2 base_values for 1 targets are not run");
    let probit = |model: &mut ModelProto| attribute(model, "post_transform").s = b"PROBIT".to_vec();
    spoiled(trees(), probit, "PROBIT of two classes whose leaves weigh one");
}

#[test]
fn attributes_are_of_their_type_and_known() {
    spoiled(trees(), |m| attribute(m, "nodes_modes").strings[0] = b"BRANCH_IN".to_vec(), "an unknown mode");
    spoiled(trees(), |m| attribute(m, "post_transform").s = b"SQUARE".to_vec(), "unknown post_transform");
    spoiled(trees(), |m| attribute(m, "class_ids").r#type = 6, "attribute class_ids is not a list of ints");
    spoiled(trees(), |m| attribute(m, "class_ids").name = "other".to_owned(), "of another length");
    spoiled(trees(), |m| attribute(m, "nodes_treeids").name = "other".to_owned(), "0 nodes of trees");
    spoiled(
        trees(),
        |m| attribute(m, "classlabels_int64s").ints = vec![0],
        "1 classes, where 2 to 16 are run",
    );
    spoiled(trees(), adds(word("aggregate_function", "SUM")), "a regressor's attribute");
    refused(&Forest::regressor(1, 0).leaf(0, 0, &[]), "0 targets, where 1 to 16 are run");
    let forest = Forest { aggregate: "MODE", ..Forest::regressor(1, 1).leaf(0, 0, &[(0, 0.5)]) };
    refused(&forest, "an unknown aggregate_function");
}

#[test]
fn tensors_of_32_bits_are_read_in_place_of_lists_and_those_of_64_refused() {
    let as_tensor = |model: &mut ModelProto| {
        let list = attribute(model, "nodes_values");
        let mut values = tensor("values", &[6], &std::mem::take(&mut list.floats));
        values.raw_data = values.float_data.drain(..).flat_map(f32::to_le_bytes).collect();
        let name = "nodes_values_as_tensor".to_owned();
        *list = AttributeProto { name, r#type: 4, t: Some(values), ..AttributeProto::default() };
    };
    let mut model = trees();
    as_tensor(&mut model);
    // It scores as the list does.
    spoiled(
        model,
        adds(floats("nodes_values", &[0.0; 6])),
        "nodes_values_as_tensor beside a list of the same",
    );
    let doubles = |model: &mut ModelProto| {
        as_tensor(model);
        let values = attribute(model, "nodes_values_as_tensor").t.as_mut().unwrap();
        values.data_type = DataType::Double as i32;
        values.raw_data = vec![0; 48];
    };
    spoiled(trees(), doubles, "nodes_values_as_tensor is not of 32-bit floats");
}
