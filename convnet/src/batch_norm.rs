//! Batch normalisation over the channels of NHWC images, with an optional rectifier in the same pass.
//!
//! `y = (x - mean) / sqrt(var + eps) · weight + bias`, Ioffe and Szegedy 2015, as
//! [`torch.nn.BatchNorm2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html). Statistics are summed
//! in f64 around a sample of each channel, so that a large mean does not swallow a small variance.

use crate::dense;
use crate::relu::rectify;
use candle_core::{CpuStorage, CustomOp3, InplaceOp1, Layout, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;
use std::sync::{Arc, OnceLock};

/// Constants of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormConfig {
    /// Added to the variance before its root.
    pub eps: f64,
    /// Share of the new batch in the running statistics.
    pub momentum: f64,
    /// Whether `max(y, 0)` follows in the same pass.
    pub relu: bool,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, relu: false }
    }
}

/// Batch normalisation with learned weight and bias and running statistics, all [C].
#[derive(Clone, Debug)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    config: BatchNormConfig,
}

impl BatchNorm2d {
    /// Takes `weight`, `bias`, `running_mean` and `running_var`, each [`channels`], from `vb`; new ones are 1, 0, 0 and 1.
    pub fn new(channels: usize, config: BatchNormConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Init::Const(1.))?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.))?,
            running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.))?,
            running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.))?,
            config,
        })
    }

    /// `x` [N, H, W, C] f32 -> [N, H, W, C], differentiable in both modes.
    ///
    /// With `train` the batch's own mean and (biased) variance normalise it, and every call moves the running statistics by
    /// `momentum` towards the batch's mean and unbiased variance. Without it the running statistics normalise.
    ///
    /// Where a channel has a single value (one image of one pixel) the variance is 0, the output is the bias, and the
    /// running variance moves towards 0: the unbiased variance, 0/0, is taken as 0. PyTorch raises an error there.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let statistics: Arc<OnceLock<Statistics>> = Arc::default();
        let mode = if train {
            Mode::Batch
        } else {
            let (mean, var): (Vec<f32>, Vec<f32>) = (self.running_mean.to_vec1()?, self.running_var.to_vec1()?);
            let inv_std = var.iter().map(|&var| inv_std(f64::from(var), self.config.eps)).collect();
            let _ = statistics.set(Statistics { mean, inv_std, unbiased_var: var });
            Mode::Running
        };
        let op = BatchNormOp { mode, config: self.config, statistics: statistics.clone() };
        let y = x.contiguous()?.apply_op3(&self.weight.contiguous()?, &self.bias.contiguous()?, op)?;
        if train {
            let Some(batch) = statistics.get() else { bail!("batch-norm: the forward pass left no statistics") };
            let share = self.config.momentum as f32;
            self.running_mean.inplace_op1(&Blend { share, values: &batch.mean })?;
            self.running_var.inplace_op1(&Blend { share, values: &batch.unbiased_var })?;
        }
        Ok(y)
    }

    /// The same layer on the same values, outside the autograd graph.
    pub(crate) fn detached(&self) -> Self {
        Self {
            weight: self.weight.detach(),
            bias: self.bias.detach(),
            running_mean: self.running_mean.detach(),
            running_var: self.running_var.detach(),
            config: self.config,
        }
    }
}

/// Per channel, of one call: what normalised it.
struct Statistics {
    mean: Vec<f32>,
    inv_std: Vec<f32>,
    unbiased_var: Vec<f32>,
}

fn inv_std(var: f64, eps: f64) -> f32 {
    (1. / (var + eps).sqrt()) as f32
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Batch,
    Running,
}

struct BatchNormOp {
    mode: Mode,
    config: BatchNormConfig,
    statistics: Arc<OnceLock<Statistics>>,
}

/// Values in a block of rows (pixels), and rows that are summed in f32 before they are added in f64.
const BLOCK_VALUES: usize = 1 << 15;
const F32_ROWS: usize = 32;

fn block_len(c: usize) -> usize {
    (BLOCK_VALUES / c).max(1) * c
}

impl CustomOp3 for BatchNormOp {
    fn name(&self) -> &'static str {
        "batch-norm2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = dense::slice(x, xl, self.name())?;
        let (weight, bias) = (dense::slice(weight, wl, self.name())?, dense::slice(bias, bl, self.name())?);
        let (_, _, _, c) = xl.shape().dims4()?;
        if c == 0 || weight.len() != c || bias.len() != c {
            bail!("batch-norm2d: {c} channels in {:?}, {} weights, {} biases", xl.shape(), weight.len(), bias.len());
        }
        if x.is_empty() {
            bail!("batch-norm2d: no values in {:?}", xl.shape());
        }
        let Statistics { mean, inv_std, .. } = self.statistics.get_or_init(|| batch_statistics(x, c, self.config.eps));
        let scale: Vec<f32> = inv_std.iter().zip(weight).map(|(inv_std, weight)| inv_std * weight).collect();
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(block_len(c)).zip(x.par_chunks(block_len(c))).for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let channels = out.iter_mut().zip(x).zip(mean).zip(&scale).zip(bias);
                if self.config.relu {
                    channels.for_each(|((((out, x), mean), scale), bias)| *out = rectify((x - mean) * scale + bias));
                } else {
                    channels.for_each(|((((out, x), mean), scale), bias)| *out = (x - mean) * scale + bias);
                }
            }
        });
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(statistics) = self.statistics.get() else { bail!("batch-norm2d: backward before forward") };
        let op = BatchNormGrad {
            mode: self.mode,
            relu: self.config.relu,
            statistics,
            weight: weight.to_vec1()?,
            sums: OnceLock::new(),
        };
        let data = x.apply_op3_no_bwd(y, &grad.contiguous()?, &op)?;
        let Some((weight_grad, bias_grad)) = op.sums.into_inner() else {
            bail!("batch-norm2d: no parameter gradients")
        };
        let weight_grad = Tensor::from_vec(weight_grad, weight.shape(), x.device())?;
        let bias_grad = Tensor::from_vec(bias_grad, weight.shape(), x.device())?;
        Ok((Some(data), Some(weight_grad), Some(bias_grad)))
    }
}

/// (input, output, output gradient) -> input gradient; the parameters' gradients are left in `sums`.
struct BatchNormGrad<'a> {
    mode: Mode,
    relu: bool,
    statistics: &'a Statistics,
    weight: Vec<f32>,
    /// Gradients of weight and bias.
    sums: OnceLock<(Vec<f32>, Vec<f32>)>,
}

impl BatchNormGrad<'_> {
    /// The gradient before the rectifier.
    #[inline]
    fn masked(&self, y: f32, grad: f32) -> f32 {
        if self.relu && y <= 0. { 0. } else { grad }
    }

    /// Per channel: sum of g and of `g · (x - mean) · inv_std`.
    fn sums(&self, x: &[f32], y: &[f32], grad: &[f32]) -> Vec<(f64, f64)> {
        let Statistics { mean, inv_std, .. } = self.statistics;
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
}

impl CustomOp3 for BatchNormGrad<'_> {
    fn name(&self) -> &'static str {
        "batch-norm2d-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        y: &CpuStorage,
        yl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, y) = (dense::slice(x, xl, self.name())?, dense::slice(y, yl, self.name())?);
        let grad = dense::slice(grad, gl, self.name())?;
        let Statistics { mean, inv_std, .. } = self.statistics;
        let c = mean.len();
        let rows = (x.len() / c) as f64;
        let sums = self.sums(x, y, grad);
        // dx = weight · inv_std · (g - mean(g) - (x - mean) · inv_std · mean(g · xhat)); the means fall away with fixed statistics.
        let batch = if self.mode == Mode::Batch { 1. } else { 0. };
        let coefficients: Vec<(f32, f32, f32)> = (0..c)
            .map(|i| {
                let inv_std = f64::from(inv_std[i]);
                let scale = f64::from(self.weight[i]) * inv_std;
                let (mean_g, slope) = (batch * sums[i].0 / rows, batch * sums[i].1 / rows * inv_std);
                (scale as f32, mean_g as f32, slope as f32)
            })
            .collect();
        let mut out = vec![0f32; x.len()];
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
        let _ = self.sums.set((weight, bias));
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }
}

/// Mean and variance of every channel of `x` (rows of `c` channels).
fn batch_statistics(x: &[f32], c: usize, eps: f64) -> Statistics {
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
    let mut statistics =
        Statistics { mean: Vec::with_capacity(c), inv_std: Vec::with_capacity(c), unbiased_var: Vec::with_capacity(c) };
    for channel in 0..c {
        let (mut one, mut square) = (0f64, 0f64);
        for sums in &partial {
            one += sums[channel].0;
            square += sums[channel].1;
        }
        let squares_around_mean = (square - one * one / count).max(0.);
        statistics.mean.push((f64::from(around[channel]) + one / count) as f32);
        statistics.inv_std.push(inv_std(squares_around_mean / count, eps));
        statistics.unbiased_var.push((squares_around_mean / (count - 1.).max(1.)) as f32);
    }
    statistics
}

/// `x += share · (values - x)`, as PyTorch moves running statistics.
struct Blend<'a> {
    share: f32,
    values: &'a [f32],
}

impl InplaceOp1 for Blend<'_> {
    fn name(&self) -> &'static str {
        "blend"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        for (x, &value) in dense::slice_mut(storage, layout, self.name())?.iter_mut().zip(self.values) {
            *x = (1. - self.share) * *x + self.share * value;
        }
        Ok(())
    }
}
