//! What becomes of the sums of a row: base values, then the columns of the output.
//!
//! Every rule here is ONNX Runtime's (1.32), in its order and in 32 bits. The standard says little of two classes whose
//! leaves weigh one of them only, which is how most fraud models are exported: there is one sum s, and the columns are
//!
//! ```text
//! LOGISTIC                                  logistic(-s), logistic(s)
//! any other, and no weight is below zero        1 - s   ,     s
//! any other                                      -s     ,     s
//! ```

use super::attributes::Attributes;

/// Most classes or targets: a row's sums live on the stack.
pub(super) const MOST_SCORES: usize = 16;

/// How the leaves of a row's trees make one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Least,
    Greatest,
}

/// What is done to the scores of a row at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    /// The softmax of what is not zero.
    SoftmaxZero,
    Probit,
}

/// The sums of one row while its trees are walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    pub values: [f32; MOST_SCORES],
    /// A bit for each score that a leaf has weighed.
    pub weighed: u32,
}

/// How sums become columns.
#[derive(Debug)]
pub(super) struct Ending {
    aggregate: Aggregate,
    trees: f32,
    /// One for each sum.
    base: Vec<f32>,
    /// Whether a sum that no leaf weighed is its base value; it is zero otherwise.
    base_alone: bool,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// A column for each sum.
    Each(Transform),
    /// Two columns of one sum.
    Two { logistic: bool, all_positive: bool },
}

impl Aggregate {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"SUM" => Some(Aggregate::Sum),
            b"AVERAGE" => Some(Aggregate::Average),
            b"MIN" => Some(Aggregate::Least),
            b"MAX" => Some(Aggregate::Greatest),
            _ => None,
        }
    }

    /// What a sum is before any leaf: weights are finite, so the first of them always replaces an infinite one.
    fn start(self) -> f32 {
        match self {
            Aggregate::Sum | Aggregate::Average => 0.0,
            Aggregate::Least => f32::INFINITY,
            Aggregate::Greatest => f32::NEG_INFINITY,
        }
    }

    /// Takes one leaf's weight into a sum.
    #[inline]
    pub(super) fn fold(self, sum: f32, weight: f32) -> f32 {
        match self {
            Aggregate::Sum | Aggregate::Average => sum + weight,
            Aggregate::Least if weight < sum => weight,
            Aggregate::Greatest if weight > sum => weight,
            Aggregate::Least | Aggregate::Greatest => sum,
        }
    }
}

impl Transform {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"NONE" => Some(Transform::None),
            b"LOGISTIC" => Some(Transform::Logistic),
            b"SOFTMAX" => Some(Transform::Softmax),
            b"SOFTMAX_ZERO" => Some(Transform::SoftmaxZero),
            b"PROBIT" => Some(Transform::Probit),
            _ => None,
        }
    }

    fn apply(self, scores: &mut [f32]) {
        match self {
            Transform::None => {}
            Transform::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Transform::Softmax => softmax(scores),
            Transform::SoftmaxZero => softmax_zero(scores),
            Transform::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }
}

impl Ending {
    /// Chooses by kind, number of classes and the classes that leaves weigh; a reason where it is refused.
    pub(super) fn choose(attributes: &Attributes, trees: usize) -> Result<Self, String> {
        let Attributes { weights, base, aggregate, transform, scores, labels, .. } = attributes;
        let classes = labels.as_ref().map(|_| *scores);
        let only = |class: usize| weights.iter().all(|weight| weight.score == class);
        let (sums, form) = match (classes, transform) {
            (Some(2), Transform::Probit) if only(0) => {
                return Err(
                    "PROBIT of two classes whose leaves weigh one: it has no second column".to_owned()
                );
            }
            (Some(2), _) if only(0) => {
                let all_positive = !weights.iter().any(|weight| weight.weight < 0.0);
                (1, Form::Two { logistic: *transform == Transform::Logistic, all_positive })
            }
            // One target is left as it is by all others: ONNX Runtime, not the standard.
            (None, _) if *scores == 1 && *transform != Transform::Probit => (1, Form::Each(Transform::None)),
            _ => (*scores, Form::Each(*transform)),
        };
        // Of two values for two classes ONNX Runtime adds the second to the first sum; where leaves weigh the second
        // class only, it drops even one.
        let fits = match classes {
            Some(2) => base.len() <= usize::from(!only(1)),
            _ => base.is_empty() || base.len() == sums,
        };
        if !fits {
            let what = if classes.is_some() { "classes" } else { "targets" };
            let fold = "fold them into the leaves of one tree";
            return Err(format!("{} base_values for {scores} {what} are not run: {fold}", base.len()));
        }
        let mut base = base.clone();
        base.resize(sums, 0.0);
        let base_alone = classes.is_some_and(|classes| classes > 2);
        Ok(Self { aggregate: *aggregate, trees: trees as f32, base, base_alone, form })
    }

    /// Sums that the leaves add to.
    pub(super) fn sums(&self) -> usize {
        self.base.len()
    }

    /// Columns of the output.
    pub(super) fn columns(&self) -> usize {
        match self.form {
            Form::Each(_) => self.sums(),
            Form::Two { .. } => 2,
        }
    }

    pub(super) fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// The sums of a row before its first tree.
    pub(super) fn start(&self) -> Sums {
        Sums { values: [self.aggregate.start(); MOST_SCORES], weighed: 0 }
    }

    /// Divides and adds the base values: what labels are chosen by.
    pub(super) fn total<'a>(&self, sums: &'a mut Sums) -> &'a mut [f32] {
        let weighed = sums.weighed;
        let totals = sums.values.iter_mut().zip(&self.base);
        for (place, (sum, base)) in totals.enumerate() {
            if weighed & (1_u32 << place) == 0 {
                *sum = if self.base_alone { *base } else { 0.0 };
            } else if self.aggregate == Aggregate::Average {
                *sum = *sum / self.trees + *base;
            } else {
                *sum += *base;
            }
        }
        &mut sums.values[..self.base.len()]
    }

    /// Writes the columns of a row.
    pub(super) fn finish(&self, sums: &mut Sums, columns: &mut [f32]) {
        let totals = self.total(sums);
        match self.form {
            Form::Each(transform) => {
                transform.apply(totals);
                columns.copy_from_slice(totals);
            }
            Form::Two { logistic: is_logistic, all_positive } => {
                let sum = totals[0];
                columns[0] = match (is_logistic, all_positive) {
                    (true, _) => logistic(-sum),
                    (false, true) => 1.0 - sum,
                    (false, false) => -sum,
                };
                columns[1] = if is_logistic { logistic(sum) } else { sum };
            }
        }
    }
}

fn logistic(score: f32) -> f32 {
    let upper = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - upper } else { upper }
}

fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn softmax_zero(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if score.abs() > 1e-7 {
            *score = (*score - largest).exp();
            sum += *score;
        } else {
            *score *= (-largest).exp();
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The square root of two times the inverse of the error function at `2 score - 1`, by Winitzki's approximation
/// ("A handy approximation for the error function and its inverse", 2008), as ONNX Runtime has it.
fn probit(score: f32) -> f32 {
    let x = 2.0 * score - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let middle = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let root = (-middle + (middle * middle - 1.0 / 0.147 * log).sqrt()).sqrt();
    let inverse = if x < 0.0 { -root } else { root };
    std::f32::consts::SQRT_2 * inverse
}
