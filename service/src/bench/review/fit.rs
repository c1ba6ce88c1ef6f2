//! A logistic regression: Newton's method on standardised columns with a ridge of one, which is what scikit-learn's
//! `LogisticRegression()` after a `StandardScaler` minimises too. And how well scores tell fraud from the rest.

use anyhow::{Context, ensure};

/// Newton's steps until nothing moves: it takes about eight.
const STEPS: usize = 50;
const STILL: f64 = 1e-9;

/// Weights over the columns as they are.
pub struct Fitted {
    pub weights: Vec<f64>,
    pub intercept: f64,
}

/// Fits rows of `width` columns.
///
/// # Errors
/// When there is nothing to tell apart.
pub fn logistic(rows: &[f64], frauds: &[bool], width: usize) -> anyhow::Result<Fitted> {
    let fraud = frauds.iter().filter(|fraud| **fraud).count();
    ensure!(
        0 < fraud && fraud < frauds.len(),
        "{fraud} of {} payments to learn from are fraud",
        frauds.len()
    );
    let (means, spreads) = moments(rows, width);
    let side = width + 1;
    let mut weights = vec![0.0; side];
    let mut column = vec![1.0; side];
    for _ in 0..STEPS {
        // The ridge holds the weights, not the intercept, which stands last.
        let mut slope: Vec<f64> = weights.iter().map(|weight| -weight).collect();
        slope[width] = 0.0;
        let mut bend = vec![0.0; side * side];
        (0..width).for_each(|place| bend[place * side + place] = 1.0);
        for (row, fraud) in rows.chunks_exact(width).zip(frauds) {
            for (place, value) in row.iter().enumerate() {
                column[place] = (value - means[place]) / spreads[place];
            }
            let sum: f64 = column.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
            let chance = 1.0 / (1.0 + (-sum).exp());
            let (off, sway) = (f64::from(u8::from(*fraud)) - chance, chance * (1.0 - chance));
            for place in 0..side {
                slope[place] += off * column[place];
                for other in 0..=place {
                    bend[place * side + other] += sway * column[place] * column[other];
                }
            }
        }
        let step = solved(bend, slope).context("the columns cannot be told apart")?;
        weights.iter_mut().zip(&step).for_each(|(weight, step)| *weight += step);
        if step.iter().all(|step| step.abs() < STILL) {
            break;
        }
    }
    let intercept = weights.pop().unwrap_or_default();
    let weights: Vec<f64> = weights.iter().zip(&spreads).map(|(weight, spread)| weight / spread).collect();
    let shift: f64 = weights.iter().zip(&means).map(|(weight, mean)| weight * mean).sum();
    Ok(Fitted { weights, intercept: intercept - shift })
}

/// Mean and standard deviation of each column; 1 for one that never changes.
fn moments(rows: &[f64], width: usize) -> (Vec<f64>, Vec<f64>) {
    let count = (rows.len() / width.max(1)).max(1) as f64;
    let sums = |value: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            row.iter().enumerate().for_each(|(place, one)| sums[place] += value(place, *one));
        }
        sums
    };
    let means: Vec<f64> = sums(&|_, one| one).iter().map(|sum| sum / count).collect();
    let squares = sums(&|place, one| (one - means[place]).powi(2));
    let spread = |sum: &f64| Some((sum / count).sqrt()).filter(|spread| *spread > 0.0).unwrap_or(1.0);
    let spreads = squares.iter().map(spread).collect();
    (means, spreads)
}

/// Solves `matrix x = right` by Cholesky's way; of the matrix the lower half counts. `None` where it has no one answer.
fn solved(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let side = right.len();
    for row in 0..side {
        for column in 0..=row {
            let sum: f64 = (0..column).map(|k| matrix[row * side + k] * matrix[column * side + k]).sum();
            let left = matrix[row * side + column] - sum;
            matrix[row * side + column] = match row == column {
                true => Some(left.sqrt()).filter(|root| *root > 0.0)?,
                false => left / matrix[column * side + column],
            };
        }
    }
    for row in 0..side {
        let sum: f64 = (0..row).map(|k| matrix[row * side + k] * right[k]).sum();
        right[row] = (right[row] - sum) / matrix[row * side + row];
    }
    for row in (0..side).rev() {
        let sum: f64 = (row + 1..side).map(|k| matrix[k * side + row] * right[k]).sum();
        right[row] = (right[row] - sum) / matrix[row * side + row];
    }
    Some(right)
}

/// The chance that a fraud scores above an honest payment; equals count half.
pub fn area_under_curve(scores: &[(f64, bool)]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut ranks, mut frauds, mut below) = (0.0, 0.0, 0.0);
    for equals in sorted.chunk_by(|one, other| one.0 == other.0) {
        let fraud = equals.iter().filter(|(_, fraud)| *fraud).count() as f64;
        ranks += fraud * (below + (equals.len() as f64 + 1.0) / 2.0);
        below += equals.len() as f64;
        frauds += fraud;
    }
    let honest = below - frauds;
    (ranks - frauds * (frauds + 1.0) / 2.0) / (frauds * honest).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back() {
        // Chances by a known line, each point with as many frauds of its two hundred as they say: there is no luck in it.
        let (mut rows, mut frauds) = (Vec::new(), Vec::new());
        for point in 0..200 {
            let (one, other) = (f64::from(point % 20) / 10.0, f64::from(point / 20) * 5.0);
            let chance = 1.0 / (1.0 + (-(1.5 * one - 0.02 * other - 2.0)).exp());
            for outcome in 0..200 {
                rows.extend([one, other]);
                frauds.push(f64::from(outcome) + 0.5 < 200.0 * chance);
            }
        }
        let Fitted { weights, intercept } = logistic(&rows, &frauds, 2).unwrap();
        assert!((weights[0] - 1.5).abs() < 0.05 && (weights[1] + 0.02).abs() < 0.001, "{weights:?}");
        assert!((intercept + 2.0).abs() < 0.1, "{intercept}");
        assert!(logistic(&rows, &vec![false; frauds.len()], 2).is_err());
    }

    #[test]
    fn the_area_counts_pairs() {
        assert_eq!(area_under_curve(&[(0.1, false), (0.9, true)]), 1.0);
        assert_eq!(area_under_curve(&[(0.9, false), (0.1, true)]), 0.0);
        assert_eq!(area_under_curve(&[(0.5, false), (0.5, true), (0.7, true), (0.2, false)]), 0.875);
    }
}
