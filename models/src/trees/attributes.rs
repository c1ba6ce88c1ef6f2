//! The attributes of a tree operator as they stand in the file: lists of the same length, numbers within their range.
//!
//! The two operators of ai.onnx.ml 1 and 3 differ in names only. Whether the lists describe trees is not known here.
//! `nodes_hitrates` change no score and are not read.

use std::borrow::Cow;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::ending::{Aggregate, MOST_SCORES, Transform};
use super::label::Names;

pub(super) const CLASSIFIER: &str = "TreeEnsembleClassifier";
pub(super) const REGRESSOR: &str = "TreeEnsembleRegressor";

/// Most nodes of all trees together. A packed forest has four times as many at most, which 32 bits can number.
const MOST_NODES: usize = 4_000_000;
/// No table is wider; the bits above it are free for the packed node.
const MOST_FEATURES: i64 = 1 << 20;

/// How a branch compares its feature with its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

/// A branch: where to go, by number of the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch {
    pub comparison: Comparison,
    pub feature: u32,
    pub threshold: f32,
    pub yes: i64,
    pub no: i64,
    /// A NaN takes the way of yes, whatever the comparison says.
    pub missing_is_yes: bool,
}

/// One node; a leaf is no branch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub tree: i64,
    pub id: i64,
    pub branch: Option<Branch>,
}

/// What a leaf adds to one of the scores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    pub tree: i64,
    pub id: i64,
    pub score: usize,
    pub weight: f32,
}

/// All that is read.
#[derive(Debug)]
pub(super) struct Attributes {
    pub nodes: Vec<Written>,
    pub weights: Vec<Weight>,
    /// As many as the file has.
    pub base: Vec<f32>,
    pub aggregate: Aggregate,
    pub transform: Transform,
    /// Classes or targets.
    pub scores: usize,
    /// Of a classifier: the names of its classes.
    pub labels: Option<Names>,
}

/// Reads the attributes of a node.
pub(super) fn read(node: &NodeProto) -> Result<Attributes, String> {
    let file = File(node);
    let labels = if node.op_type == REGRESSOR { None } else { Some(names(file)?) };
    let (what, least, scores) = match &labels {
        Some(names) => ("class", 2, names.len()),
        None => ("target", 1, usize::try_from(file.int("n_targets")?.unwrap_or(0)).unwrap_or(0)),
    };
    if !(least..=MOST_SCORES).contains(&scores) {
        let what = if what == "class" { "classes" } else { "targets" };
        return Err(format!("{scores} {what}, where {least} to {MOST_SCORES} are run"));
    }
    let aggregate = match file.text("aggregate_function")? {
        Some(_) if labels.is_some() => return Err("aggregate_function is a regressor's attribute".to_owned()),
        word => Aggregate::parse(word.unwrap_or(b"SUM")).ok_or("an unknown aggregate_function")?,
    };
    let transform = Transform::parse(file.text("post_transform")?.unwrap_or(b"NONE"));
    let transform = transform.ok_or("an unknown post_transform")?;
    let base = file.floats("base_values")?.into_owned();
    if base.iter().any(|base| !base.is_finite()) {
        return Err("base_values are not finite".to_owned());
    }
    let weights = weights(file, what, scores)?;
    Ok(Attributes { nodes: nodes(file)?, weights, base, aggregate, transform, scores, labels })
}

fn names(file: File) -> Result<Names, String> {
    let (numbers, words) = (file.ints("classlabels_int64s")?, file.words("classlabels_strings")?);
    if !numbers.is_empty() && !words.is_empty() {
        return Err("class labels both as numbers and as strings".to_owned());
    }
    if words.is_empty() {
        return Ok(Names::Numbers(numbers.to_vec()));
    }
    let words: Result<Vec<String>, _> = words.iter().map(|word| String::from_utf8(word.clone())).collect();
    words.map(Names::Words).map_err(|_| "a class label that is not UTF-8".to_owned())
}

fn nodes(file: File) -> Result<Vec<Written>, String> {
    let trees = file.ints("nodes_treeids")?;
    let length = trees.len();
    if !(1..=MOST_NODES).contains(&length) {
        return Err(format!("{length} nodes of trees, where 1 to {MOST_NODES} are run"));
    }
    let ids = long(file.ints("nodes_nodeids")?, length, "nodes_nodeids")?;
    let features = long(file.ints("nodes_featureids")?, length, "nodes_featureids")?;
    let modes = long(file.words("nodes_modes")?, length, "nodes_modes")?;
    let yes = long(file.ints("nodes_truenodeids")?, length, "nodes_truenodeids")?;
    let no = long(file.ints("nodes_falsenodeids")?, length, "nodes_falsenodeids")?;
    let thresholds = file.floats("nodes_values")?;
    long(&thresholds, length, "nodes_values")?;
    let missing = file.ints("nodes_missing_value_tracks_true")?;
    if !missing.is_empty() {
        long(missing, length, "nodes_missing_value_tracks_true")?;
    }
    let node = |place: usize| -> Result<Written, String> {
        let (tree, id) = (trees[place], ids[place]);
        if tree < 0 {
            return Err(format!("tree {tree}: its number is negative"));
        }
        if modes[place] == b"LEAF" {
            return Ok(Written { tree, id, branch: None });
        }
        let wrong = |what: &str| format!("tree {tree}: node {id}: {what}");
        let comparison = comparison(&modes[place]).ok_or_else(|| wrong("an unknown mode"))?;
        let (feature, threshold) = (features[place], thresholds[place]);
        if !(0..MOST_FEATURES).contains(&feature) {
            return Err(wrong("a feature id out of range"));
        }
        if threshold.is_nan() {
            return Err(wrong("a threshold that is no number"));
        }
        let (feature, missing_is_yes) = (feature as u32, missing.get(place) == Some(&1));
        let (yes, no) = (yes[place], no[place]);
        let branch = Branch { comparison, feature, threshold, yes, no, missing_is_yes };
        Ok(Written { tree, id, branch: Some(branch) })
    };
    (0..length).map(node).collect()
}

fn comparison(mode: &[u8]) -> Option<Comparison> {
    match mode {
        b"BRANCH_LEQ" => Some(Comparison::LessOrEqual),
        b"BRANCH_LT" => Some(Comparison::Less),
        b"BRANCH_GTE" => Some(Comparison::GreaterOrEqual),
        b"BRANCH_GT" => Some(Comparison::Greater),
        b"BRANCH_EQ" => Some(Comparison::Equal),
        b"BRANCH_NEQ" => Some(Comparison::NotEqual),
        _ => None,
    }
}

fn weights(file: File, what: &str, scores: usize) -> Result<Vec<Weight>, String> {
    let name = |end: &str| format!("{what}_{end}");
    let places = file.ints(&name("ids"))?;
    let trees = long(file.ints(&name("treeids"))?, places.len(), &name("treeids"))?;
    let ids = long(file.ints(&name("nodeids"))?, places.len(), &name("nodeids"))?;
    let weights = file.floats(&name("weights"))?;
    long(&weights, places.len(), &name("weights"))?;
    let written = trees.iter().zip(ids).zip(places.iter().zip(weights.iter()));
    let weight = |((tree, id), (place, weight)): ((&i64, &i64), (&i64, &f32))| -> Result<Weight, String> {
        let (tree, id, weight) = (*tree, *id, *weight);
        let score = usize::try_from(*place).ok().filter(|score| *score < scores);
        let score = score.ok_or_else(|| format!("{what} {place} of {scores}"))?;
        if !weight.is_finite() {
            return Err(format!("tree {tree}: node {id}: a weight that is not finite"));
        }
        Ok(Weight { tree, id, score, weight })
    };
    written.map(weight).collect()
}

fn long<'a, T>(list: &'a [T], length: usize, name: &str) -> Result<&'a [T], String> {
    if list.len() == length { Ok(list) } else { Err(format!("{name} of another length")) }
}

/// The node, asked for attributes of a type. A list that is not there is empty, as for ONNX Runtime.
#[derive(Clone, Copy)]
struct File<'a>(&'a NodeProto);

impl<'a> File<'a> {
    fn find(self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, String> {
        let found = self.0.attribute.iter().find(|attribute| attribute.name == name);
        match found {
            Some(found) if found.r#type != kind as i32 => Err(format!("attribute {name} is not a {kind}")),
            found => Ok(found),
        }
    }

    fn int(self, name: &str) -> Result<Option<i64>, String> {
        Ok(self.find(name, AttributeType::Int)?.map(|attribute| attribute.i))
    }

    fn text(self, name: &str) -> Result<Option<&'a [u8]>, String> {
        Ok(self.find(name, AttributeType::String)?.map(|attribute| attribute.s.as_slice()))
    }

    fn ints(self, name: &str) -> Result<&'a [i64], String> {
        let found = self.find(name, AttributeType::Ints)?;
        Ok(found.map(|attribute| attribute.ints.as_slice()).unwrap_or_default())
    }

    fn words(self, name: &str) -> Result<&'a [Vec<u8>], String> {
        let found = self.find(name, AttributeType::Strings)?;
        Ok(found.map(|attribute| attribute.strings.as_slice()).unwrap_or_default())
    }

    /// From the list, or from the tensor that ai.onnx.ml 3 allows in its place.
    fn floats(self, name: &str) -> Result<Cow<'a, [f32]>, String> {
        let found = self.find(name, AttributeType::Floats)?;
        let list = found.map(|attribute| attribute.floats.as_slice()).unwrap_or_default();
        let name = format!("{name}_as_tensor");
        let tensor = self.find(&name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_ref());
        match tensor.map(|tensor| numbers(tensor, &name)).transpose()? {
            None => Ok(Cow::Borrowed(list)),
            Some(numbers) if list.is_empty() => Ok(numbers),
            Some(_) => Err(format!("{name} beside a list of the same")),
        }
    }
}

/// The numbers of a tensor of 32-bit floats. ONNX Runtime, too, takes no others with inputs of 32 bits.
fn numbers<'a>(tensor: &'a TensorProto, name: &str) -> Result<Cow<'a, [f32]>, String> {
    if tensor.data_type != DataType::Float as i32 {
        return Err(format!("{name} is not of 32-bit floats: export the trees for inputs of 32 bits"));
    }
    if tensor.raw_data.is_empty() {
        return Ok(Cow::Borrowed(&tensor.float_data));
    }
    let (numbers, rest) = tensor.raw_data.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("{name} ends within a number"));
    }
    Ok(Cow::Owned(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}
