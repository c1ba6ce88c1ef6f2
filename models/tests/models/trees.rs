//! The operators for trees, on forests of a few nodes and on thousands of random ones.

use crate::forests::{Forest, Node, Weight, scores};

const MODES: [&str; 6] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];

/// One column of the forest for feature 0 at each of these.
fn column(forest: &Forest, column: usize, inputs: &[f32]) -> Vec<Option<f64>> {
    let rows: Vec<_> = inputs.iter().map(|input| vec![*input]).collect();
    scores(&forest.load(column), &rows)
}

/// The forest gives these columns for feature 0 at -1 and at 1; NaN stands for what is no probability.
fn gives(forest: &Forest, expected: [&[f32]; 2]) {
    for place in 0..expected[0].len() {
        let found = column(forest, place, &[-1.0, 1.0]);
        for (found, expected) in found.iter().zip([expected[0][place], expected[1][place]]) {
            let same = match found {
                Some(found) => (found - f64::from(expected)).abs() <= 1e-6,
                None => expected.is_nan(),
            };
            assert!(same, "column {place}: {found:?} where {expected} is expected: {forest:?}");
        }
    }
}

#[test]
fn each_mode_goes_its_way_and_missing_values_theirs() {
    // Below, at and above the threshold.
    let ways = [
        ("BRANCH_LEQ", [true, true, false]),
        ("BRANCH_LT", [true, false, false]),
        ("BRANCH_GTE", [false, true, true]),
        ("BRANCH_GT", [false, false, true]),
        ("BRANCH_EQ", [false, true, false]),
        ("BRANCH_NEQ", [true, false, true]),
    ];
    for (mode, expected) in ways {
        for missing_yes in [false, true] {
            let mut forest = Forest::regressor(1, 1).branch(3, 8, mode, 0.5, [6, 7]);
            forest.nodes[0].missing_yes = missing_yes;
            let forest = forest.leaf(3, 7, &[(0, 0.75)]).leaf(3, 6, &[(0, 0.25)]);
            let found = column(&forest, 0, &[0.5_f32.next_down(), 0.5, 0.5_f32.next_up(), f32::NAN]);
            // What is no number is unequal to all numbers.
            let missing = missing_yes || mode == "BRANCH_NEQ";
            let expected = expected.iter().chain([&missing]);
            let expected: Vec<_> = expected.map(|yes| Some(if *yes { 0.25 } else { 0.75 })).collect();
            assert_eq!(found, expected, "{mode}, missing is yes: {missing_yes}");
        }
    }
}

#[test]
fn thresholds_at_the_edges_of_numbers() {
    let tiny = f32::from_bits(1);
    let inputs = [f32::MIN, -tiny, -0.0, 0.0, tiny, f32::MAX, f32::NAN];
    for mode in MODES {
        for threshold in [f32::NEG_INFINITY, f32::MIN, -tiny, -0.0, 0.0, tiny, f32::MAX, f32::INFINITY] {
            for missing_yes in [false, true] {
                let mut forest = Forest::regressor(1, 1).branch(0, 0, mode, threshold, [1, 2]);
                forest.nodes[0].missing_yes = missing_yes;
                let forest = forest.leaf(0, 1, &[(0, 0.25)]).leaf(0, 2, &[(0, 0.75)]);
                let rows = inputs.map(|input| vec![input]);
                let expected: Vec<_> =
                    forest.expected(&rows).iter().map(|row| Some(f64::from(row[0]))).collect();
                assert_eq!(column(&forest, 0, &inputs), expected, "{mode} {threshold:e} {missing_yes}");
            }
        }
    }
}

#[test]
fn two_classes_of_which_leaves_weigh_the_first() {
    let forest = |yes, no| Forest::classifier(1, 2).stump(0, &[(0, yes)], &[(0, no)]);
    let none = f32::NAN;
    // Numbers of ONNX Runtime 1.32, as in the next tests.
    gives(&forest(0.25, 0.75), [&[0.75, 0.25], &[0.25, 0.75]]);
    gives(&forest(0.25, 0.75).with("SOFTMAX", &[]), [&[0.75, 0.25], &[0.25, 0.75]]);
    gives(&forest(0.25, 0.75).with("NONE", &[0.125]), [&[0.625, 0.375], &[0.125, 0.875]]);
    gives(
        &forest(0.25, 0.75).with("LOGISTIC", &[]),
        [&[0.437_823_47, 0.562_176_5], &[0.320_821_3, 0.679_178_7]],
    );
    gives(
        &forest(-1.0, 2.0).with("LOGISTIC", &[]),
        [&[0.731_058_6, 0.268_941_4], &[0.119_202_97, 0.880_797]],
    );
    gives(
        &forest(-1.0, 2.0).with("LOGISTIC", &[0.125]),
        [&[0.705_785_04, 0.294_214_96], &[0.106_690_586, 0.893_309_4]],
    );
    gives(&forest(0.25, 1.5), [&[0.75, 0.25], &[none, none]]);
    // With a weight below zero a score without LOGISTIC is no probability in one of the columns.
    assert_eq!(column(&forest(-0.25, 0.75), 0, &[-1.0, 1.0]), [Some(0.25), None]);
    assert_eq!(column(&forest(0.75, -0.25), 1, &[-1.0, 1.0]), [Some(0.75), None]);
}

#[test]
fn two_classes_that_leaves_weigh_both_or_the_second() {
    let both = |transform, base: &[f32]| {
        let forest = Forest::classifier(1, 2);
        forest.stump(0, &[(0, 0.9), (1, 0.1)], &[(0, 0.5), (1, 0.25)]).with(transform, base)
    };
    gives(&both("NONE", &[]), [&[0.9, 0.1], &[0.5, 0.25]]);
    gives(&both("NONE", &[0.0625]), [&[0.9625, 0.1], &[0.5625, 0.25]]);
    gives(&both("LOGISTIC", &[]), [&[0.710_949_5, 0.524_979_2], &[0.622_459_35, 0.562_176_5]]);
    gives(&both("LOGISTIC", &[0.125]), [&[0.735_945_4, 0.524_979_2], &[0.651_354_9, 0.562_176_5]]);
    gives(&both("SOFTMAX", &[]), [&[0.689_974_4, 0.310_025_5], &[0.562_176_5, 0.437_823_5]]);
    let second =
        |transform| Forest::classifier(1, 2).stump(0, &[(1, -1.0)], &[(1, 2.0)]).with(transform, &[]);
    gives(&second("LOGISTIC"), [&[0.5, 0.268_941_4], &[0.5, 0.880_797]]);
    gives(&second("SOFTMAX"), [&[0.731_058_6, 0.268_941_4], &[0.119_202_92, 0.880_797]]);
    gives(&second("SOFTMAX_ZERO"), [&[0.0, 1.0], &[0.0, 1.0]]);
}

/// Two trees that weigh two of three scores each.
fn three(mut forest: Forest) -> Forest {
    forest = forest.stump(0, &[(0, 0.25)], &[(1, 0.75)]);
    forest.stump(1, &[(1, 0.125)], &[(2, -0.5)])
}

#[test]
fn three_classes() {
    let none = f32::NAN;
    let forest = |transform, base: &[f32]| three(Forest::classifier(1, 3)).with(transform, base);
    gives(&forest("NONE", &[]), [&[0.25, 0.125, 0.0], &[0.0, 0.75, none]]);
    gives(&forest("LOGISTIC", &[]), [&[0.562_176_5, 0.531_209_4, 0.5], &[0.5, 0.679_178_7, 0.377_540_65]]);
    gives(
        &forest("SOFTMAX", &[]),
        [&[0.375_756_56, 0.331_604, 0.292_639_5], &[0.268_562_3, 0.568_546_4, 0.162_891_28]],
    );
    gives(
        &forest("SOFTMAX_ZERO", &[]),
        [&[0.531_209_4, 0.468_790_65, 0.0], &[0.0, 0.777_299_9, 0.222_700_15]],
    );
    gives(
        &forest("SOFTMAX", &[0.1, 0.2, 0.3]),
        [&[0.341_700_5, 0.333_263_87, 0.325_035_57], &[0.245_070_11, 0.573_377_5, 0.181_552_4]],
    );
    gives(&forest("NONE", &[0.1, 0.2, 0.3]), [&[0.35, 0.325, 0.3], &[0.1, 0.95, none]]);
}

#[test]
fn targets_are_added_averaged_or_the_least_or_greatest() {
    let none = f32::NAN;
    let one = |aggregate, transform, base: &[f32]| {
        let forest = Forest { aggregate, ..Forest::regressor(1, 1) };
        let forest = forest.stump(0, &[(0, 0.25)], &[(0, 0.75)]);
        forest.stump(1, &[(0, 0.125)], &[(0, -0.5)]).with(transform, base)
    };
    gives(&one("SUM", "NONE", &[]), [&[0.375], &[0.25]]);
    gives(&one("SUM", "NONE", &[0.125]), [&[0.5], &[0.375]]);
    gives(&one("AVERAGE", "NONE", &[]), [&[0.1875], &[0.125]]);
    gives(&one("AVERAGE", "NONE", &[0.125]), [&[0.3125], &[0.25]]);
    gives(&one("MIN", "NONE", &[]), [&[0.125], &[none]]);
    gives(&one("MIN", "NONE", &[0.5]), [&[0.625], &[0.0]]);
    gives(&one("MAX", "NONE", &[]), [&[0.25], &[0.75]]);
    gives(&one("MAX", "NONE", &[0.125]), [&[0.375], &[0.875]]);
    // One target is left as it is, but by PROBIT.
    gives(&one("SUM", "LOGISTIC", &[]), [&[0.375], &[0.25]]);
    gives(&one("SUM", "SOFTMAX", &[]), [&[0.375], &[0.25]]);

    let several = |aggregate, transform, base: &[f32]| {
        three(Forest { aggregate, ..Forest::regressor(1, 3) }).with(transform, base)
    };
    gives(&several("AVERAGE", "NONE", &[]), [&[0.125, 0.0625, 0.0], &[0.0, 0.375, none]]);
    gives(&several("MAX", "NONE", &[]), [&[0.25, 0.125, 0.0], &[0.0, 0.75, none]]);
    // A target that no leaf weighs is zero, without its base value.
    gives(&several("SUM", "NONE", &[0.25, 0.25, 0.75]), [&[0.5, 0.375, 0.0], &[0.0, 1.0, 0.25]]);
    gives(
        &several("SUM", "LOGISTIC", &[]),
        [&[0.562_176_5, 0.531_209_4, 0.5], &[0.5, 0.679_178_7, 0.377_540_65]],
    );
}

#[test]
fn probit_is_the_quantile_of_the_normal_distribution() {
    let forest = Forest::regressor(1, 1).stump(0, &[(0, 0.5)], &[(0, 0.75)]);
    let mut folder = forest.folder(0);
    let mut spoilt = forest.graph();
    crate::graphs::attribute(&mut spoilt, "post_transform").s = b"PROBIT".to_vec();
    folder.onnx = prost::Message::encode_to_vec(&spoilt);
    folder.manifest.golden.iter_mut().for_each(|golden| golden.score = 0.0);
    let found = scores(&folder.load(), &[vec![-1.0], vec![1.0]]);
    assert!(found[0].unwrap().abs() <= 1e-6 && (found[1].unwrap() - 0.674_574_3).abs() <= 1e-6, "{found:?}");
}

#[test]
fn trees_of_one_leaf_mixed_modes_and_numbers_in_any_order() {
    let forest = Forest::regressor(1, 1)
        .leaf(70, 12, &[(0, 0.125)])
        .branch(3, 40, "BRANCH_GT", 1.0, [5, 41])
        .leaf(3, 5, &[(0, 0.5)])
        .branch(3, 41, "BRANCH_NEQ", -1.0, [0, 9])
        .leaf(3, 9, &[(0, 0.25)])
        .leaf(3, 0, &[(0, 0.0625)]);
    let found = column(&forest, 0, &[2.0, -1.0, 0.0, f32::NAN]);
    assert_eq!(found, [Some(0.625), Some(0.375), Some(0.1875), Some(0.1875)]);
    let leaf = Forest::classifier(1, 2).leaf(0, 0, &[(0, 0.25)]);
    gives(&leaf, [&[0.75, 0.25], &[0.75, 0.25]]);
}

#[test]
fn nodes_may_be_shared_as_by_sets_of_categories() {
    // Is feature 0 one of 3, 5 and 8?
    let forest = Forest::regressor(1, 1)
        .branch(0, 0, "BRANCH_EQ", 3.0, [9, 1])
        .branch(0, 1, "BRANCH_EQ", 5.0, [9, 2])
        .branch(0, 2, "BRANCH_EQ", 8.0, [9, 3])
        .leaf(0, 3, &[(0, 0.25)])
        .leaf(0, 9, &[(0, 0.75)]);
    let found = column(&forest, 0, &[3.0, 4.0, 5.0, 8.0, 8.5, f32::NAN]);
    assert_eq!(found, [0.75, 0.25, 0.75, 0.75, 0.25, 0.25].map(Some));
    // Shared on every level, it is still packed and walked in no time: 60 levels have 2^60 walks.
    let mut ladder = Forest::regressor(1, 1);
    for level in 0..60 {
        let next = [level + 1, level + 1];
        ladder = ladder.branch(0, level, "BRANCH_EQ", 0.0, next);
    }
    assert_eq!(column(&ladder.leaf(0, 60, &[(0, 0.5)]), 0, &[0.0, 1.0]), [Some(0.5); 2]);
}

/// Numbers that look random and are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }

    /// A number on the grid of thresholds, or one beside it.
    fn input(&mut self) -> f32 {
        let grid = [-1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0];
        if self.below(4) > 0 { self.pick(&grid) } else { self.below(4_001) as f32 / 1_000.0 - 2.0 }
    }

    fn rows(&mut self, features: i64, rows: usize) -> Vec<Vec<f32>> {
        let mut value = || if self.below(8) == 0 { f32::NAN } else { self.input() };
        (0..rows).map(|_| (0..features).map(|_| value()).collect()).collect()
    }

    /// A forest whose sums are exact and, untransformed, within 0 to 1.
    fn forest(&mut self) -> Forest {
        let features = 1 + self.below(5) as i64;
        let mut forest = match self.below(5) {
            0 => Forest::regressor(features, 1),
            1 => Forest::regressor(features, 3),
            2 | 3 => Forest::classifier(features, 2),
            _ => Forest::classifier(features, 2 + self.below(4) as i64),
        };
        if !forest.is_classifier {
            forest.aggregate = self.pick(&["SUM", "AVERAGE", "MIN", "MAX"]);
        }
        forest.transform = self.pick(&["NONE", "LOGISTIC", "SOFTMAX"]);
        let first_only = forest.is_classifier && forest.scores == 2 && self.below(3) > 0;
        if first_only && forest.transform == "SOFTMAX" {
            forest.transform = "LOGISTIC";
        }
        let base = if forest.is_classifier && forest.scores == 2 { 1 } else { forest.scores as usize };
        let trees = 1 + self.below(12);
        let most = 4_096 / (trees + 1);
        // Below zero as often as above, where the transform makes probabilities of all.
        let shift = if forest.is_classifier && forest.transform != "NONE" { most / 2 } else { 0 };
        let mut weight = |random: &mut Random| (random.below(most) as f32 - shift as f32) / 4_096.0;
        if self.below(2) == 0 {
            forest.base = (0..base).map(|_| weight(self)).collect();
        }
        let modes = if self.below(2) == 0 { MODES.to_vec() } else { vec![self.pick(&MODES)] };
        let mut numbers: Vec<i64> = (0..40).collect();
        self.shuffle(&mut numbers);
        for tree in numbers.into_iter().take(trees) {
            self.tree(&mut forest, tree, &modes, first_only, &mut weight);
        }
        let mut weights = std::mem::take(&mut forest.weights);
        self.shuffle(&mut weights);
        forest.weights = weights;
        forest
    }

    fn tree(
        &mut self,
        forest: &mut Forest,
        tree: i64,
        modes: &[&'static str],
        first_only: bool,
        weight: &mut impl FnMut(&mut Random) -> f32,
    ) {
        let count = 1 + 2 * self.below(13);
        let mut ids: Vec<i64> = (0..count as i64 + 3).collect();
        self.shuffle(&mut ids);
        let (mut leaves, mut children) = (vec![0], vec![None; count]);
        for pair in (1..count).step_by(2) {
            let place = self.below(leaves.len());
            let parent = leaves.swap_remove(place);
            children[parent] = Some([pair, pair + 1]);
            leaves.extend([pair, pair + 1]);
        }
        let mut order: Vec<usize> = (1..count).collect();
        self.shuffle(&mut order);
        for place in std::iter::once(0).chain(order) {
            let id = ids[place];
            let Some(pair) = children[place] else {
                let all = if first_only { 1 } else { forest.scores };
                // Two classes are both weighed at each leaf, others as it happens, one at least.
                let sure = if forest.scores == 2 && forest.is_classifier { 2 } else { 1 };
                let first = self.below(all as usize) as i64;
                for step in 0..all {
                    if step < sure || self.below(2) == 0 {
                        let (score, weight) = ((first + step) % all, weight(self));
                        forest.weights.push(Weight { tree, id, score, weight });
                    }
                }
                let (mode, feature, value) = ("LEAF", 0, 0.0);
                forest.nodes.push(Node { tree, id, mode, feature, value, yes: 0, no: 0, missing_yes: false });
                continue;
            };
            let (mode, feature) = (self.pick(modes), self.below(forest.features as usize) as i64);
            let edge = self.below(20) == 0;
            let value = if edge { self.pick(&[f32::INFINITY, f32::NEG_INFINITY]) } else { self.input() };
            let ([yes, no], missing_yes) = (pair.map(|child| ids[child]), self.below(2) == 0);
            forest.nodes.push(Node { tree, id, mode, feature, value, yes, no, missing_yes });
        }
    }
}

#[test]
fn thousands_of_random_forests_score_as_a_plain_reading_of_their_nodes() {
    let mut compared = 0;
    let mut distinct = std::collections::BTreeSet::new();
    for seed in 0..2_000_u64 {
        let mut random = Random(seed << 32);
        let forest = random.forest();
        let rows = random.rows(forest.features, 1 + (seed as usize % 40));
        let column = random.below(forest.scores as usize);
        let found = scores(&forest.load(column), &rows);
        for (found, expected) in found.iter().zip(forest.expected(&rows)) {
            let (found, expected) = (found.unwrap(), f64::from(expected[column]));
            let is_exact = forest.transform == "NONE";
            let same = if is_exact { found == expected } else { (found - expected).abs() <= 1e-6 };
            assert!(same, "seed {seed}: {found} where {expected} is expected");
            compared += 1;
            distinct.insert(found.to_bits());
        }
    }
    println!("{compared} rows of random forests, {} scores", distinct.len());
    assert!(distinct.len() > 5_000, "the scores differ from row to row");
}

#[test]
fn a_row_has_the_same_bits_in_any_batch() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut forest = random.forest();
        // Weights whose sums are rounded, so that their order would be seen.
        for weight in &mut forest.weights {
            weight.weight = weight.weight / 3.0 + 1e-4;
        }
        let rows = random.rows(forest.features, 201);
        let model = forest.load(forest.scores as usize - 1);
        let alone: Vec<_> = rows.chunks(1).flat_map(|rows| scores(&model, rows)).collect();
        for size in [2, 3, 7, 8, 9, 64, 67, 201] {
            let together: Vec<_> = rows.chunks(size).flat_map(|rows| scores(&model, rows)).collect();
            let bits = |scores: &[Option<f64>]| {
                scores.iter().map(|score| score.map(f64::to_bits)).collect::<Vec<_>>()
            };
            assert_eq!(bits(&together), bits(&alone), "seed {seed}, batches of {size}");
        }
    }
}
