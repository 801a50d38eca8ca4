//! Weights per stream and class.

use super::{Local, minimise};

/// Fits a weight per stream and class to the labels `[clips]`, and returns the weights
/// `[streams, classes]`.
///
/// The streams have mean logits `[clips, classes]`. The combination is softmax over the classes c of
/// the sum over the streams of w(stream, c) z(stream, c). The weights minimise the sum over the clips
/// of -log p(actual class), plus the sum of (w - center)^2 / 2. `center` has one weight per stream,
/// usually those of [`fit`](super::fit): a class without clips keeps about these weights.
pub fn fit_per_class(streams: &[&[f32]], classes: usize, labels: &[u32], center: &[f64]) -> Vec<f64> {
    let start: Vec<f64> = center.iter().flat_map(|&weight| std::iter::repeat_n(weight, classes)).collect();
    minimise(start.clone(), |weights| at(streams, classes, labels, (weights, &start)))
}

fn at(streams: &[&[f32]], classes: usize, labels: &[u32], (weights, center): (&[f64], &[f64])) -> Local {
    let n = weights.len();
    let away = || weights.iter().zip(center).map(|(w, c)| w - c);
    let mut local = Local {
        loss: away().map(|distance| distance.powi(2) / 2.0).sum(),
        gradient: away().collect(),
        hessian: (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect(),
    };
    let mut inputs = vec![0.0; n];
    let mut logits = vec![0.0; classes];
    for (clip, &label) in labels.iter().enumerate() {
        for (stream, inputs) in streams.iter().zip(inputs.chunks_exact_mut(classes)) {
            for (input, logit) in inputs.iter_mut().zip(&stream[clip * classes..]) {
                *input = f64::from(*logit);
            }
        }
        logits.fill(0.0);
        for (i, (weight, input)) in weights.iter().zip(&inputs).enumerate() {
            logits[i % classes] += weight * input;
        }
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
        local.loss += total.ln() + greatest - logits[label as usize];
        let p: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp() / total).collect();
        for (i, row) in local.hessian.chunks_exact_mut(n).enumerate() {
            let class = i % classes;
            local.gradient[i] += inputs[i] * (p[class] - if class == label as usize { 1.0 } else { 0.0 });
            let outer = -inputs[i] * p[class];
            for (inputs, row) in inputs.chunks_exact(classes).zip(row.chunks_exact_mut(classes)) {
                for ((value, input), p) in row.iter_mut().zip(inputs).zip(&p) {
                    *value += outer * input * p;
                }
                row[class] -= outer * inputs[class];
            }
        }
    }
    local
}

#[cfg(test)]
mod tests {
    use super::super::{fit, tests::example};
    use super::*;

    #[test]
    fn gradient_and_curvature_are_those_of_the_loss() {
        let (a, b, labels) = example();
        let streams: [&[f32]; 2] = [&a, &b];
        let place: Vec<f64> = (0..8).map(|i| 0.4 + 0.17 * f64::from(i)).collect();
        let local = |weights: &[f64]| at(&streams, 4, &labels, (weights, &[0.9; 8]));
        let (here, h) = (local(&place), 1e-5);
        for i in 0..8 {
            let moved = |by: f64| {
                let mut place = place.clone();
                place[i] += by;
                local(&place)
            };
            let (above, below) = (moved(h), moved(-h));
            let slope = (above.loss - below.loss) / (2.0 * h);
            assert!((slope - here.gradient[i]).abs() < 1e-6 * (1.0 + slope.abs()), "weight {i}");
            for j in 0..8 {
                let slope = (above.gradient[j] - below.gradient[j]) / (2.0 * h);
                assert!((slope - here.hessian[8 * i + j]).abs() < 1e-6 * (1.0 + slope.abs()), "weights {i} and {j}");
            }
        }
    }

    #[test]
    fn equal_weights_of_all_classes_have_the_loss_of_shared_weights() {
        let (a, b, labels) = example();
        let streams: [&[f32]; 2] = [&a, &b];
        let shared = Local::at(&streams, 4, &labels, &[0.7, 1.3]);
        let prior = 0.3_f64.powi(2);
        let all = [0.7, 0.7, 0.7, 0.7, 1.3, 1.3, 1.3, 1.3];
        let each = at(&streams, 4, &labels, (&all, &all));
        assert!((each.loss - (shared.loss - prior)).abs() < 1e-9);
    }

    #[test]
    fn a_stream_that_knows_one_class_gets_its_weight_there() {
        // Stream a knows classes 0 and 1, stream b classes 2 and 3.
        let (mut a, mut b, labels) = example();
        b.copy_from_slice(&a);
        for clip in 0..labels.len() {
            a[4 * clip + 2..4 * clip + 4].fill(0.0);
            b[4 * clip..4 * clip + 2].fill(0.0);
            // Noise on what the stream does not know.
            a[4 * clip + 2 + clip / 4 % 2] = 1.0;
            b[4 * clip + clip / 4 % 2] = 1.0;
        }
        let streams: [&[f32]; 2] = [&a, &b];
        let center = fit(&streams, 4, &labels);
        let fitted = fit_per_class(&streams, 4, &labels, &center);
        assert_eq!(fitted.len(), 8);
        for class in 0..2 {
            assert!(fitted[class] > fitted[4 + class], "class {class}: {fitted:?}");
            assert!(fitted[6 + class] > fitted[2 + class], "class {}: {fitted:?}", class + 2);
        }
    }
}
