//! The arithmetic of batch normalisation on the CPU: fixed blocks, so that results do not depend on the number of threads.

use crate::parallel::unwritten;
use crate::relu::rectify;
use rayon::prelude::*;

/// Per channel: what normalises it.
pub(super) struct Moments {
    pub mean: Vec<f32>,
    pub inv_std: Vec<f32>,
}

pub(super) fn inv_std(var: f64, eps: f64) -> f32 {
    (1. / (var + eps).sqrt()) as f32
}

/// Values in a block of rows (pixels), and rows that are summed in f32 before they are added in f64.
const BLOCK_VALUES: usize = 1 << 15;
const F32_ROWS: usize = 32;

fn block_len(c: usize) -> usize {
    (BLOCK_VALUES / c).max(1) * c
}

/// `(x - mean) · inv_std · weight + bias`, plus the residual, rectified if asked.
pub(super) fn apply(
    x: &[f32],
    residual: Option<&[f32]>,
    Moments { mean, inv_std }: &Moments,
    weight: &[f32],
    bias: &[f32],
    relu: bool,
) -> Vec<f32> {
    let c = mean.len();
    let scale: Vec<f32> = inv_std.iter().zip(weight).map(|(inv_std, weight)| inv_std * weight).collect();
    let mut out = unwritten(x.len());
    // Three loops rather than one with choices in it, so that each vectorises.
    let blocks = out.par_chunks_mut(block_len(c)).zip(x.par_chunks(block_len(c)));
    let Some(residual) = residual else {
        blocks.for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let channels = out.iter_mut().zip(x).zip(mean).zip(&scale).zip(bias);
                if relu {
                    channels.for_each(|((((out, x), mean), scale), bias)| *out = rectify((x - mean) * scale + bias));
                } else {
                    channels.for_each(|((((out, x), mean), scale), bias)| *out = (x - mean) * scale + bias);
                }
            }
        });
        return out;
    };
    blocks.zip(residual.par_chunks(block_len(c))).for_each(|((out, x), residual)| {
        for ((out, x), residual) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(residual.chunks_exact(c)) {
            let channels = out.iter_mut().zip(x).zip(residual).zip(mean).zip(&scale).zip(bias);
            channels.for_each(|(((((out, x), residual), mean), scale), bias)| {
                let sum = (x - mean) * scale + bias + residual;
                *out = if relu { rectify(sum) } else { sum };
            });
        }
    });
    out
}

/// Mean and variance of every channel of `x` (rows of `c` channels).
///
/// Returns the moments and the unbiased variances.
pub(super) fn batch_moments(x: &[f32], c: usize, eps: f64) -> (Moments, Vec<f32>) {
    // Sums are taken around the first pixel; any sample of the channel removes most of a large mean.
    let around = &x[..c];
    let partial: Vec<Vec<(f64, f64)>> = x
        .par_chunks(block_len(c))
        .map(|x| {
            let mut sums = vec![(0f64, 0f64); c];
            let (mut ones, mut squares) = (vec![0f32; c], vec![0f32; c]);
            for x in x.chunks(F32_ROWS * c) {
                ones.fill(0.);
                squares.fill(0.);
                for x in x.chunks_exact(c) {
                    for (((one, square), x), around) in ones.iter_mut().zip(&mut squares).zip(x).zip(around) {
                        let distance = x - around;
                        *one += distance;
                        *square += distance * distance;
                    }
                }
                for ((sum, &one), &square) in sums.iter_mut().zip(&ones).zip(&squares) {
                    sum.0 += f64::from(one);
                    sum.1 += f64::from(square);
                }
            }
            sums
        })
        .collect();
    let count = (x.len() / c) as f64;
    let mut moments = Moments { mean: Vec::with_capacity(c), inv_std: Vec::with_capacity(c) };
    let mut unbiased_var = Vec::with_capacity(c);
    for channel in 0..c {
        let (mut one, mut square) = (0f64, 0f64);
        for sums in &partial {
            one += sums[channel].0;
            square += sums[channel].1;
        }
        let squares_around_mean = (square - one * one / count).max(0.);
        moments.mean.push((f64::from(around[channel]) + one / count) as f32);
        moments.inv_std.push(inv_std(squares_around_mean / count, eps));
        unbiased_var.push((squares_around_mean / (count - 1.).max(1.)) as f32);
    }
    (moments, unbiased_var)
}

/// What the gradients are taken of: `y = relu(norm(x))` or `y = norm(x)`.
pub(super) struct Gradients<'a> {
    pub moments: &'a Moments,
    pub weight: &'a [f32],
    /// Whether a rectifier followed, so that the gradient passes only where `y > 0`.
    pub relu: bool,
    /// Whether the moments did not depend on `x`.
    pub fixed: bool,
}

/// Gradients of the input, the weight and the bias.
pub(super) type InputWeightBias = (Vec<f32>, Vec<f32>, Vec<f32>);

impl Gradients<'_> {
    /// The gradient before the rectifier.
    #[inline]
    fn masked(&self, y: f32, grad: f32) -> f32 {
        if self.relu && y <= 0. { 0. } else { grad }
    }

    /// Per channel: sum of g and of `g · (x - mean) · inv_std`.
    fn sums(&self, x: &[f32], y: &[f32], grad: &[f32]) -> Vec<(f64, f64)> {
        let Moments { mean, inv_std } = self.moments;
        let c = mean.len();
        let partial: Vec<Vec<(f64, f64)>> = x
            .par_chunks(block_len(c))
            .zip(y.par_chunks(block_len(c)))
            .zip(grad.par_chunks(block_len(c)))
            .map(|((x, y), grad)| {
                let mut sums = vec![(0f64, 0f64); c];
                let (mut ones, mut products) = (vec![0f32; c], vec![0f32; c]);
                let rows = F32_ROWS * c;
                for ((x, y), grad) in x.chunks(rows).zip(y.chunks(rows)).zip(grad.chunks(rows)) {
                    ones.fill(0.);
                    products.fill(0.);
                    for ((x, y), grad) in x.chunks_exact(c).zip(y.chunks_exact(c)).zip(grad.chunks_exact(c)) {
                        let channels = ones.iter_mut().zip(&mut products).zip(x).zip(y).zip(grad).zip(mean);
                        for (((((one, product), x), &y), &grad), mean) in channels {
                            let grad = self.masked(y, grad);
                            *one += grad;
                            *product += grad * (x - mean);
                        }
                    }
                    for ((sum, &one), &product) in sums.iter_mut().zip(&ones).zip(&products) {
                        sum.0 += f64::from(one);
                        sum.1 += f64::from(product);
                    }
                }
                sums
            })
            .collect();
        let mut total = vec![(0f64, 0f64); c];
        for sums in partial {
            for (total, sum) in total.iter_mut().zip(sums) {
                total.0 += sum.0;
                total.1 += sum.1;
            }
        }
        total.iter().zip(inv_std).map(|(&(one, product), &inv_std)| (one, product * f64::from(inv_std))).collect()
    }
    pub(super) fn run(&self, x: &[f32], y: &[f32], grad: &[f32]) -> InputWeightBias {
        let Moments { mean, inv_std } = self.moments;
        let c = mean.len();
        let rows = (x.len() / c) as f64;
        let sums = self.sums(x, y, grad);
        // dx = weight · inv_std · (g - mean(g) - (x - mean) · inv_std · mean(g · xhat)); the means fall away with fixed statistics.
        let batch = if self.fixed { 0. } else { 1. };
        let coefficients: Vec<(f32, f32, f32)> = (0..c)
            .map(|i| {
                let inv_std = f64::from(inv_std[i]);
                let scale = f64::from(self.weight[i]) * inv_std;
                let (mean_g, slope) = (batch * sums[i].0 / rows, batch * sums[i].1 / rows * inv_std);
                (scale as f32, mean_g as f32, slope as f32)
            })
            .collect();
        let mut out = unwritten(x.len());
        out.par_chunks_mut(block_len(c))
            .zip(x.par_chunks(block_len(c)))
            .zip(y.par_chunks(block_len(c)))
            .zip(grad.par_chunks(block_len(c)))
            .for_each(|(((out, x), y), grad)| {
                let rows =
                    out.chunks_exact_mut(c).zip(x.chunks_exact(c)).zip(y.chunks_exact(c)).zip(grad.chunks_exact(c));
                for (((out, x), y), grad) in rows {
                    let channels = out.iter_mut().zip(x).zip(y).zip(grad).zip(mean).zip(&coefficients);
                    for (((((out, x), &y), &grad), mean), (scale, mean_g, slope)) in channels {
                        *out = scale * ((self.masked(y, grad) - mean_g) - (x - mean) * slope);
                    }
                }
            });
        let (bias, weight) = sums.iter().map(|&(one, product)| (one as f32, product as f32)).unzip();
        (out, weight, bias)
    }
}
