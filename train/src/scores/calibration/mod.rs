//! Weights of streams, and temperatures, fitted on clips that are not test clips.
//!
//! A stream has the mean logits z of a clip, one per class. The combination of streams is
//! softmax(sum of w z), with a weight w >= 0 per stream. The fitted weights minimise the sum over
//! the clips of -log p(actual class), plus the sum over the streams of (w - 1)^2 / 2, which draws
//! the weights towards 1. The function is convex, so it has one minimum. With one stream, w is the
//! inverse of the temperature of Guo et al. 2017 ("On Calibration of Modern Neural Networks").
//! [`fit_per_class`] fits a weight per stream and class.

mod per_class;

pub use per_class::fit_per_class;

/// Largest number of Newton steps; usually a few are enough.
const MAX_STEPS: usize = 100;
/// Relative decrease of the loss below which the iteration stops.
const LEAST_GAIN: f64 = 1e-12;

/// Fits the weights of streams with mean logits `[clips, classes]` to the labels `[clips]`, and
/// returns one weight per stream.
pub fn fit(streams: &[&[f32]], classes: usize, labels: &[u32]) -> Vec<f64> {
    minimise(vec![1.0; streams.len()], |weights| Local::at(streams, classes, labels, weights))
}

/// Returns the weights of 0 or more that minimise a convex function, by Newton's method from
/// `weights` on. `at` computes the function at some weights.
fn minimise(mut weights: Vec<f64>, at: impl Fn(&[f64]) -> Local) -> Vec<f64> {
    let mut now = at(&weights);
    for _ in 0..MAX_STEPS {
        // A weight of 0 that would decrease further stays 0.
        let is_free: Vec<bool> = weights.iter().zip(&now.gradient).map(|(&w, &g)| w > 0.0 || g < 0.0).collect();
        let direction = newton(&now, &is_free);
        let mut length = 1.0;
        let next = loop {
            let moved = weights.iter().zip(&direction).map(|(w, d)| (w + length * d).max(0.0)).collect::<Vec<_>>();
            let there = at(&moved);
            if there.loss < now.loss {
                break Some((moved, there));
            }
            length /= 2.0;
            if length < 1e-9 {
                break None;
            }
        };
        let Some((moved, there)) = next else { break };
        let gain = now.loss - there.loss;
        (weights, now) = (moved, there);
        if gain < LEAST_GAIN * (1.0 + now.loss.abs()) {
            break;
        }
    }
    weights
}

/// The minimised function at some weights, with its derivatives.
struct Local {
    loss: f64,
    gradient: Vec<f64>,
    /// Second derivatives, `[weights, weights]`.
    hessian: Vec<f64>,
}

impl Local {
    fn at(streams: &[&[f32]], classes: usize, labels: &[u32], weights: &[f64]) -> Self {
        let n = streams.len();
        let mut local = Self {
            loss: weights.iter().map(|w| (w - 1.0).powi(2) / 2.0).sum(),
            gradient: weights.iter().map(|w| w - 1.0).collect(),
            hessian: (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect(),
        };
        let mut powers = vec![0.0; classes];
        for (clip, &label) in labels.iter().enumerate() {
            let row = |stream: &[f32], class: usize| f64::from(stream[clip * classes + class]);
            let logit = |class: usize| streams.iter().zip(weights).map(|(s, w)| w * row(s, class)).sum::<f64>();
            let greatest = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
            for (class, power) in powers.iter_mut().enumerate() {
                *power = (logit(class) - greatest).exp();
            }
            let total: f64 = powers.iter().sum();
            local.loss += total.ln() + greatest - logit(label as usize);
            let expected = |of: &dyn Fn(usize) -> f64| -> f64 {
                powers.iter().enumerate().map(|(class, power)| power / total * of(class)).sum()
            };
            let means: Vec<f64> = streams.iter().map(|stream| expected(&|class| row(stream, class))).collect();
            for (i, one) in streams.iter().enumerate() {
                local.gradient[i] += means[i] - row(one, label as usize);
                for (j, other) in streams.iter().enumerate() {
                    let product = expected(&|class| (row(one, class) - means[i]) * (row(other, class) - means[j]));
                    local.hessian[i * n + j] += product;
                }
            }
        }
        local
    }
}

/// Returns the Newton step of the free weights, and 0 for the others. Gaussian elimination without
/// pivoting works, because the matrix is positive definite.
fn newton(local: &Local, is_free: &[bool]) -> Vec<f64> {
    let n = is_free.len();
    let free: Vec<usize> = (0..n).filter(|&i| is_free[i]).collect();
    let mut rows: Vec<Vec<f64>> = free
        .iter()
        .map(|&i| free.iter().map(|&j| local.hessian[i * n + j]).chain([-local.gradient[i]]).collect())
        .collect();
    let m = free.len();
    for pivot in 0..m {
        let (above, below) = rows.split_at_mut(pivot + 1);
        let above = &above[pivot];
        for row in below {
            let factor = row[pivot] / above[pivot];
            row.iter_mut().zip(above).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut step = vec![0.0; n];
    for pivot in (0..m).rev() {
        let known: f64 = (pivot + 1..m).map(|column| rows[pivot][column] * step[free[column]]).sum();
        step[free[pivot]] = (rows[pivot][m] - known) / rows[pivot][pivot];
    }
    step
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns the logits of two streams for 60 clips and 4 classes from a small generator, and the
    /// labels. The first stream predicts well, the second badly.
    pub(super) fn example() -> (Vec<f32>, Vec<f32>, Vec<u32>) {
        let mut state = 7_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let labels: Vec<u32> = (0..60).map(|clip| clip % 4).collect();
        let mut table = |strength: f32| -> Vec<f32> {
            let logit = |(i, right): (usize, u32)| if i as u32 % 4 == right { strength } else { 0.0 };
            (0..240).map(|i| logit((i, labels[i / 4])) + 2.0 * noise()).collect()
        };
        let (strong, weak) = (table(1.5), table(0.3));
        (strong, weak, labels)
    }

    fn loss(streams: &[&[f32]], labels: &[u32], weights: &[f64]) -> f64 {
        Local::at(streams, 4, labels, weights).loss
    }

    #[test]
    fn gradient_and_curvature_are_those_of_the_loss() {
        let (a, b, labels) = example();
        let streams: [&[f32]; 2] = [&a, &b];
        let at = |w: [f64; 2]| Local::at(&streams, 4, &labels, &w);
        let (here, h) = (at([0.7, 1.3]), 1e-5);
        for i in 0..2 {
            let moved = |by: f64| at([0.7 + if i == 0 { by } else { 0.0 }, 1.3 + if i == 1 { by } else { 0.0 }]);
            let slope = (moved(h).loss - moved(-h).loss) / (2.0 * h);
            assert!((slope - here.gradient[i]).abs() < 1e-6 * (1.0 + slope.abs()));
            for j in 0..2 {
                let slope = (moved(h).gradient[j] - moved(-h).gradient[j]) / (2.0 * h);
                assert!((slope - here.hessian[2 * i + j]).abs() < 1e-6 * (1.0 + slope.abs()));
            }
        }
    }

    #[test]
    fn no_weights_of_a_grid_are_better_than_the_fitted_ones() {
        let (a, b, labels) = example();
        let streams: [&[f32]; 2] = [&a, &b];
        let fitted = fit(&streams, 4, &labels);
        let best = loss(&streams, &labels, &fitted);
        for i in 0..=40 {
            for j in 0..=40 {
                let weights = [f64::from(i) / 20.0, f64::from(j) / 20.0];
                assert!(loss(&streams, &labels, &weights) >= best - 1e-9, "{weights:?} beat {fitted:?}");
            }
        }
        assert!(fitted[0] > fitted[1], "the stream that predicts better has the larger weight: {fitted:?}");
    }

    #[test]
    fn a_misleading_stream_has_weight_0_and_weights_of_a_perfect_stream_are_finite() {
        let labels = [0, 1, 0, 1];
        let right = [3.0, 0.0, 0.0, 3.0, 3.0, 0.0, 0.0, 3.0];
        let wrong = right.map(|logit: f32| -logit);
        let mixed = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
        assert!(fit(&[&mixed, &wrong], 2, &labels)[1].abs() < 1e-12);
        let weights = fit(&[&right], 2, &labels);
        assert!(weights[0] > 1.0 && weights[0] < 3.0, "{weights:?}");
    }
}
