//! Forests as nodes and weights, the ONNX graph of each, and a slow reading of it: node by node, as the standard has it.
//!
//! It shares nothing with the operator that is tested. Its rules for the columns are ONNX Runtime's (1.32).

use std::collections::HashMap;

use models::{Facts, Golden, Kind, Missing, Model, Output, Version};
use prost::Message;
use schemas::value::FeatureValue;
use tract_onnx::pb::ModelProto;

use crate::folder::Folder;
use crate::graphs::{self, floats, int, ints, node, word, words};

#[derive(Debug, Clone)]
pub struct Node {
    pub tree: i64,
    pub id: i64,
    pub mode: &'static str,
    pub feature: i64,
    pub value: f32,
    pub yes: i64,
    pub no: i64,
    pub missing_yes: bool,
}

#[derive(Debug, Clone)]
pub struct Weight {
    pub tree: i64,
    pub id: i64,
    pub score: i64,
    pub weight: f32,
}

/// A classifier where it has classes, else a regressor.
#[derive(Debug, Clone)]
pub struct Forest {
    pub features: i64,
    pub scores: i64,
    pub is_classifier: bool,
    pub transform: &'static str,
    pub aggregate: &'static str,
    pub base: Vec<f32>,
    pub nodes: Vec<Node>,
    pub weights: Vec<Weight>,
}

impl Forest {
    pub fn classifier(features: i64, classes: i64) -> Forest {
        Forest { is_classifier: true, ..Forest::regressor(features, classes) }
    }

    pub fn regressor(features: i64, targets: i64) -> Forest {
        Forest {
            features,
            scores: targets,
            is_classifier: false,
            transform: "NONE",
            aggregate: "SUM",
            base: vec![],
            nodes: vec![],
            weights: vec![],
        }
    }

    /// Adds a leaf with its weights by score.
    pub fn leaf(mut self, tree: i64, id: i64, weights: &[(i64, f32)]) -> Forest {
        let node = Node { tree, id, mode: "LEAF", feature: 0, value: 0.0, yes: 0, no: 0, missing_yes: false };
        self.nodes.push(node);
        self.weights.extend(weights.iter().map(|(score, weight)| Weight {
            tree,
            id,
            score: *score,
            weight: *weight,
        }));
        self
    }

    /// Adds a branch on feature 0 that sends missing values to no.
    pub fn branch(
        mut self,
        tree: i64,
        id: i64,
        mode: &'static str,
        value: f32,
        [yes, no]: [i64; 2],
    ) -> Forest {
        self.nodes.push(Node { tree, id, mode, feature: 0, value, yes, no, missing_yes: false });
        self
    }

    /// Adds a tree that asks whether feature 0 is missing or at most zero: so it is for both golden vectors.
    pub fn stump(mut self, tree: i64, yes: &[(i64, f32)], no: &[(i64, f32)]) -> Forest {
        self = self.branch(tree, 0, "BRANCH_LEQ", 0.0, [1, 2]);
        self.nodes.last_mut().unwrap().missing_yes = true;
        self.leaf(tree, 1, yes).leaf(tree, 2, no)
    }

    pub fn with(self, transform: &'static str, base: &[f32]) -> Forest {
        Forest { transform, base: base.to_vec(), ..self }
    }

    /// The graph of its operator; a classifier's classes are called 0, 1, 2 ...
    pub fn graph(&self) -> ModelProto {
        let (operator, what) = match self.is_classifier {
            true => ("TreeEnsembleClassifier", "class"),
            false => ("TreeEnsembleRegressor", "target"),
        };
        let of_nodes = |pick: fn(&Node) -> i64| self.nodes.iter().map(pick).collect::<Vec<_>>();
        let of_weights = |pick: fn(&Weight) -> i64| self.weights.iter().map(pick).collect::<Vec<_>>();
        let mut tree = node(operator, &["X"], if self.is_classifier { "label" } else { "p" });
        tree.domain = "ai.onnx.ml".to_owned();
        tree.attribute = vec![
            ints("nodes_treeids", &of_nodes(|node| node.tree)),
            ints("nodes_nodeids", &of_nodes(|node| node.id)),
            ints("nodes_featureids", &of_nodes(|node| node.feature)),
            ints("nodes_truenodeids", &of_nodes(|node| node.yes)),
            ints("nodes_falsenodeids", &of_nodes(|node| node.no)),
            ints("nodes_missing_value_tracks_true", &of_nodes(|node| i64::from(node.missing_yes))),
            words("nodes_modes", &self.nodes.iter().map(|node| node.mode).collect::<Vec<_>>()),
            floats("nodes_values", &self.nodes.iter().map(|node| node.value).collect::<Vec<_>>()),
            ints(&format!("{what}_treeids"), &of_weights(|weight| weight.tree)),
            ints(&format!("{what}_nodeids"), &of_weights(|weight| weight.id)),
            ints(&format!("{what}_ids"), &of_weights(|weight| weight.score)),
            floats(
                &format!("{what}_weights"),
                &self.weights.iter().map(|weight| weight.weight).collect::<Vec<_>>(),
            ),
            word("post_transform", self.transform),
        ];
        if !self.base.is_empty() {
            tree.attribute.push(floats("base_values", &self.base));
        }
        if self.is_classifier {
            tree.output.push("p".to_owned());
            tree.attribute.push(ints("classlabels_int64s", &(0..self.scores).collect::<Vec<_>>()));
            return graphs::classifier(self.features, tree, self.scores);
        }
        tree.attribute.extend([int("n_targets", self.scores), word("aggregate_function", self.aggregate)]);
        let mut model = graphs::model(self.features, vec![tree], vec![]);
        model.graph.as_mut().unwrap().output = vec![graphs::value("p", &[None, Some(self.scores)])];
        model
    }

    /// A folder with the forest as a model of one of its columns; its golden vectors are nothing but NaN, and zeros.
    pub fn folder(&self, column: usize) -> Folder {
        let golden = |input: f64| {
            let row = vec![input as f32; self.features as usize];
            let score = f64::from(self.expected(&[row])[0][column]);
            Golden { inputs: vec![input; self.features as usize], score }
        };
        let single = !self.is_classifier && self.scores == 1;
        let facts = Facts {
            name: "forest".into(),
            version: Version::parse("1").unwrap(),
            kind: Kind::Trees,
            features: (0..self.features).map(|feature| format!("f{feature}").as_str().into()).collect(),
            output: Output {
                index: usize::from(self.is_classifier),
                column: if single { None } else { Some(column) },
            },
            missing: Missing::Accept,
            golden_tolerance: 1e-6,
        };
        Folder::new(facts, vec![golden(f64::NAN), golden(0.0)], self.graph().encode_to_vec())
    }

    pub fn load(&self, column: usize) -> Model {
        self.folder(column).load()
    }

    /// The columns of each row, by a plain reading of nodes and weights.
    pub fn expected(&self, rows: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let nodes: HashMap<_, _> = self.nodes.iter().map(|node| ((node.tree, node.id), node)).collect();
        let mut weights: HashMap<_, Vec<&Weight>> = HashMap::new();
        for weight in &self.weights {
            weights.entry((weight.tree, weight.id)).or_default().push(weight);
        }
        let mut roots: Vec<&Node> = Vec::new();
        for node in &self.nodes {
            if roots.iter().all(|root| root.tree != node.tree) {
                roots.push(node);
            }
        }
        let leaf = |root: &Node, row: &[f32]| {
            let mut node: &Node = root;
            while node.mode != "LEAF" {
                let x = row[node.feature as usize];
                let yes = compare(node.mode, x, node.value) || (x.is_nan() && node.missing_yes);
                node = nodes[&(node.tree, if yes { node.yes } else { node.no })];
            }
            (node.tree, node.id)
        };
        let columns = |row: &Vec<f32>| {
            let mut votes = vec![Vec::new(); self.scores as usize];
            for root in &roots {
                for weight in &weights[&leaf(root, row)] {
                    votes[weight.score as usize].push(weight.weight);
                }
            }
            self.columns(&votes, roots.len())
        };
        rows.iter().map(columns).collect()
    }

    /// What becomes of the weights that a row's leaves have for each score.
    fn columns(&self, votes: &[Vec<f32>], trees: usize) -> Vec<f32> {
        let base = |score: usize| self.base.get(score).copied().unwrap_or(0.0);
        let one = |(score, votes): (usize, &Vec<f32>)| {
            if votes.is_empty() {
                let stays = self.is_classifier && self.scores > 2;
                return if stays { base(score) } else { 0.0 };
            }
            let votes = votes.iter().copied();
            base(score)
                + match self.aggregate {
                    "SUM" => votes.fold(0.0, |sum, weight| sum + weight),
                    "AVERAGE" => votes.fold(0.0, |sum, weight| sum + weight) / trees as f32,
                    "MIN" => votes.fold(f32::MAX, f32::min),
                    _ => votes.fold(f32::MIN, f32::max),
                }
        };
        let sums: Vec<f32> = votes.iter().enumerate().map(one).collect();
        let is_single = self.weights.iter().all(|weight| weight.score == 0);
        if self.is_classifier && self.scores == 2 && is_single {
            let positive = self.weights.iter().all(|weight| weight.weight >= 0.0);
            return match self.transform {
                "LOGISTIC" => vec![logistic(-sums[0]), logistic(sums[0])],
                _ if positive => vec![1.0 - sums[0], sums[0]],
                _ => vec![-sums[0], sums[0]],
            };
        }
        match self.transform {
            _ if !self.is_classifier && self.scores == 1 => sums,
            "NONE" => sums,
            "LOGISTIC" => sums.into_iter().map(logistic).collect(),
            "SOFTMAX" => softmax(&sums, |_| true),
            "SOFTMAX_ZERO" => softmax(&sums, |sum| sum != 0.0),
            other => panic!("{other} is tested by hand"),
        }
    }
}

fn compare(mode: &str, x: f32, value: f32) -> bool {
    match mode {
        "BRANCH_LEQ" => x <= value,
        "BRANCH_LT" => x < value,
        "BRANCH_GTE" => x >= value,
        "BRANCH_GT" => x > value,
        "BRANCH_EQ" => x == value,
        "BRANCH_NEQ" => x != value,
        other => panic!("no mode {other}"),
    }
}

fn logistic(x: f32) -> f32 {
    (1.0 / (1.0 + f64::from(-x).exp())) as f32
}

/// Of those that count; the others are zero.
fn softmax(sums: &[f32], counts: fn(f32) -> bool) -> Vec<f32> {
    let exp = |sum: &f32| if counts(*sum) { f64::from(*sum).exp() } else { 0.0 };
    let all: f64 = sums.iter().map(exp).sum();
    sums.iter().map(|sum| (exp(sum) / all) as f32).collect()
}

/// What a model gives for rows, in one batch.
pub fn scores(model: &Model, rows: &[Vec<f32>]) -> Vec<Option<f64>> {
    let width = rows[0].len();
    let vectors: Vec<_> = rows.iter().flatten().map(|value| FeatureValue::Real(f64::from(*value))).collect();
    let mut scores = Vec::new();
    model.score(&vectors, width, &mut scores).unwrap();
    scores
}
