//! The label of a row: the class that wins, by ONNX Runtime's rules.
//!
//! They are the rules of its scores before they are transformed, and odd where both of two classes are weighed: then the
//! label is 1 or 0, whatever the classes are called, and 1 as soon as the second sum is above zero.

use tract_onnx::tract_hir::internal::{Datum, DatumType, Tensor, tensor1};

use super::attributes::Attributes;

/// What the classes are called.
#[derive(Debug, Clone)]
pub(super) enum Names {
    Numbers(Vec<i64>),
    Words(Vec<String>),
}

/// Names, and how one is chosen.
#[derive(Debug)]
pub(crate) struct Labels {
    names: Names,
    rule: Rule,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    /// The second of two where this sum is above the limit.
    Above { sum: usize, limit: f32 },
    /// The largest of several, the first of equals; where there are no base values, of those that a leaf weighed.
    Largest { with_unweighed: bool },
}

impl Names {
    pub(super) fn len(&self) -> usize {
        match self {
            Names::Numbers(numbers) => numbers.len(),
            Names::Words(words) => words.len(),
        }
    }
}

impl Labels {
    /// Of a classifier; none of a regressor.
    pub(super) fn choose(attributes: &Attributes) -> Option<Self> {
        let Attributes { weights, base, labels, .. } = attributes;
        let names = labels.clone()?;
        let only = |class: usize| weights.iter().all(|weight| weight.score == class);
        let limit = if weights.iter().any(|weight| weight.weight < 0.0) { 0.0 } else { 0.5 };
        Some(match (names.len(), names) {
            (2, names) if only(0) => Self { names, rule: Rule::Above { sum: 0, limit } },
            (2, names) if only(1) => Self { names, rule: Rule::Above { sum: 1, limit } },
            (2, Names::Numbers(_)) => {
                Self { names: Names::Numbers(vec![0, 1]), rule: Rule::Above { sum: 1, limit: 0.0 } }
            }
            (2, names) => Self { names, rule: Rule::Above { sum: 1, limit: 0.0 } },
            (_, names) => Self { names, rule: Rule::Largest { with_unweighed: !base.is_empty() } },
        })
    }

    /// The place of the class that wins with these totals.
    pub(super) fn winner(&self, totals: &[f32], weighed: u32) -> usize {
        match self.rule {
            Rule::Above { sum, limit } => usize::from(totals.get(sum).is_some_and(|total| *total > limit)),
            Rule::Largest { with_unweighed } => {
                let counts = |place: usize| with_unweighed || weighed & (1_u32 << place) != 0;
                let all = totals.iter().enumerate().filter(|(place, _)| counts(*place));
                let better = |best: Option<(usize, f32)>, (place, total): (usize, &f32)| match best {
                    Some((_, most)) if *total <= most => best,
                    _ => Some((place, *total)),
                };
                all.fold(None, better).map_or(0, |(place, _)| place)
            }
        }
    }

    /// The type of the labels' tensor.
    pub(super) fn datum_type(&self) -> DatumType {
        match self.names {
            Names::Numbers(_) => i64::datum_type(),
            Names::Words(_) => String::datum_type(),
        }
    }

    /// A name for each winner.
    pub(super) fn tensor(&self, winners: &[usize]) -> Tensor {
        let places = winners.iter();
        match &self.names {
            Names::Numbers(numbers) => {
                tensor1(&places.map(|place| numbers.get(*place).copied().unwrap_or(0)).collect::<Vec<_>>())
            }
            Names::Words(words) => tensor1(
                &places.map(|place| words.get(*place).cloned().unwrap_or_default()).collect::<Vec<_>>(),
            ),
        }
    }
}
