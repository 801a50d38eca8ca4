//! The layer of a batch normalisation.

use super::op::{BatchNormOp, How, Moments, NormBy, gradients};
use super::sync::NormSync;
use crate::cpu::simd::Isa;
use crate::cpu::statistics::Statistics;
use crate::geometry::{BatchNormConfig, MaxPool2dConfig};
use crate::ops::max_pool::Argmax;
use candle_core::{ModuleT, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use std::sync::{Arc, Mutex};

/// Batch normalisation of NHWC images, with learned weight and bias, and running statistics. All
/// four are `[C]`, f32.
///
/// It computes `y = (x - mean) / sqrt(var + eps) · weight + bias` per channel (Ioffe and Szegedy
/// 2015), like
/// [`torch.nn.BatchNorm2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html),
/// and optionally ReLU in the same pass.
///
/// ```
/// # use candle_convnet::{BatchNorm2d, BatchNormConfig};
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let norm = BatchNorm2d::new(1, BatchNormConfig::default(), vb)?;
/// let x = Tensor::new(&[1f32, 3.], &Device::Cpu)?.reshape((1, 1, 2, 1))?;
/// let y = norm.forward_t(&x, true)?.flatten_all()?.to_vec1::<f32>()?;
/// assert!((y[0] + 1.).abs() < 1e-4 && (y[1] - 1.).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm2d {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    config: BatchNormConfig,
    frozen: bool,
    sync: Option<Arc<dyn NormSync>>,
}

impl BatchNorm2d {
    /// Creates a layer from `weight`, `bias`, `running_mean` and `running_var` of `vb`, each
    /// `[channels]`.
    ///
    /// If `vb` creates new variables, they are 1, 0, 0 and 1.
    ///
    /// # Errors
    /// Returns the error of `vb` if a tensor is missing or has another shape.
    pub fn new(channels: usize, config: BatchNormConfig, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints(channels, "weight", Init::Const(1.))?,
            bias: vb.get_with_hints(channels, "bias", Init::Const(0.))?,
            running_mean: vb.get_with_hints(channels, "running_mean", Init::Const(0.))?,
            running_var: vb.get_with_hints(channels, "running_var", Init::Const(1.))?,
            config,
            frozen: false,
            sync: None,
        })
    }

    /// Sets whether the layer is frozen. A frozen layer normalises with its running statistics in
    /// training, too, and does not change them. Its weight and bias get no gradients.
    #[must_use]
    pub fn with_frozen(self, frozen: bool) -> Self {
        Self { frozen, ..self }
    }

    /// Lets the layer normalise with the statistics of the images of all processes of `sync` in training, and
    /// sum its gradients accordingly. Works on the CPU.
    #[must_use]
    pub fn with_sync(self, sync: Arc<dyn NormSync>) -> Self {
        Self { sync: Some(sync), ..self }
    }

    /// Returns whether the layer is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Normalises `x` `[N, H, W, C]`, f32 or bf16. The result has the shape and type of
    /// `x`.
    ///
    /// If `train` is true, the mean and the biased variance of the batch normalise it. Each call
    /// also updates the running statistics with the mean and the unbiased variance of the batch, by
    /// `momentum`. If `train` is false, the running statistics normalise. Both modes have gradients
    /// for `x`, weight and bias.
    ///
    /// For one image of one pixel, the variance of the batch is 0, so the output is the bias. Its
    /// unbiased variance would be 0/0 and counts as 0. PyTorch raises an error in this case.
    ///
    /// # Errors
    /// Returns an error if `x` has another number of channels, no values, or another type.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let op = self.op(None, self.by(train), None);
        let (weight, bias) = (self.weight.contiguous()?, self.bias.contiguous()?);
        if self.frozen {
            return x.contiguous()?.apply_op3(&weight.detach(), &bias.detach(), op);
        }
        x.contiguous()?.apply_op3(&weight, &bias, op)
    }

    /// Computes `norm(x)`, with ReLU if configured, or `relu(norm(x) + residual)`, outside the
    /// autograd graph.
    ///
    /// Also returns the moments that normalised `x`. On the CPU, known `statistics` of `x` make it
    /// faster.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        by: NormBy,
        statistics: Option<Statistics>,
    ) -> Result<(Tensor, Moments)> {
        let op = self.op(residual.cloned(), by, statistics);
        let y = x.apply_op3_no_bwd(&self.weight, &self.bias, &op)?;
        Ok((y, op.moments))
    }

    /// Computes the maxima of the windows `pool` of what [`BatchNorm2d::forward`] returns without a residual,
    /// on the CPU. Also returns their positions.
    pub(crate) fn forward_pooled(
        &self,
        x: &Tensor,
        by: NormBy,
        statistics: Option<Statistics>,
        pool: MaxPool2dConfig,
    ) -> Result<(Tensor, Moments, Argmax)> {
        let argmax = Argmax::default();
        let op = BatchNormOp { pool: Some((pool, argmax.clone())), ..self.op(None, by, statistics) };
        let y = x.apply_op3_no_bwd(&self.weight, &self.bias, &op)?;
        Ok((y, op.moments, argmax))
    }

    /// Returns the gradients of input, weight and bias for a call of [`BatchNorm2d::forward`].
    ///
    /// With a residual, `grad` must be the gradient of the sum before the ReLU. `relu` tells
    /// whether a ReLU follows the norm directly. `fixed` tells whether the moments were those of
    /// the running statistics. If `pool` has the window and the positions of the maxima of
    /// [`BatchNorm2d::forward_pooled`], `grad` is the gradient of these maxima.
    pub(crate) fn gradients(
        &self,
        x: &Tensor,
        grad: &Tensor,
        moments: &Moments,
        (relu, fixed): (bool, bool),
        pool: Option<(MaxPool2dConfig, &Argmax)>,
    ) -> Result<[Tensor; 3]> {
        let how = How { relu, fixed, pool, sync: self.sync.as_deref() };
        gradients(x, grad, [&self.weight, &self.bias], moments, how)
    }

    /// Returns a collector for the statistics of an input. It works while the input is computed.
    pub(crate) fn statistics(&self) -> Statistics {
        Statistics::new(Isa::best(), self.weight.elem_count())
    }

    /// Returns scale and shift per channel, so that `norm(x) = scale · x + shift` with the running
    /// statistics.
    pub(crate) fn scale_and_shift(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let [weight, bias, mean, var] = [&self.weight, &self.bias, &self.running_mean, &self.running_var]
            .map(|tensor| tensor.to_vec1::<f32>().map(|values| values.into_iter().map(f64::from)));
        let scales = weight?.zip(var?).map(|(weight, var)| weight / (var + self.config.eps).sqrt());
        let (scales, shifts) = scales
            .zip(bias?.zip(mean?))
            .map(|(scale, (bias, mean))| (scale as f32, (bias - mean * scale) as f32))
            .unzip();
        Ok((scales, shifts))
    }

    /// Returns weight and bias, `[C]` each.
    pub fn parameters(&self) -> (&Tensor, &Tensor) {
        (&self.weight, &self.bias)
    }

    /// Returns the normalisation of a pass in training or evaluation.
    pub(crate) fn by(&self, train: bool) -> NormBy {
        if train && !self.frozen { NormBy::Batch { share: self.config.momentum } } else { NormBy::Running }
    }

    fn op(&self, residual: Option<Tensor>, by: NormBy, statistics: Option<Statistics>) -> BatchNormOp {
        BatchNormOp {
            by,
            eps: self.config.eps,
            relu: self.config.relu || residual.is_some(),
            residual,
            running: (self.running_mean.detach(), self.running_var.detach()),
            moments: Moments::default(),
            sync: self.sync.clone(),
            statistics: Mutex::new(statistics),
            pool: None,
        }
    }
}

impl ModuleT for BatchNorm2d {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}
