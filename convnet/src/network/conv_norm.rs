//! A convolution with its batch norm.

use super::tape::Gradients;
use crate::cpu::statistics::Statistics;
use crate::geometry::{BatchNormConfig, Conv2dConfig, MaxPool2dConfig};
use crate::ops::batch_norm::{BatchNorm2d, Moments, NormBy, NormSync};
use crate::ops::conv::{self, Conv2d, FixedNorm, Kept, KeptKernels};
use crate::ops::max_pool::{Argmax, max_pool2d_forward, max_pool2d_grad};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use std::sync::Arc;

#[derive(Clone, Copy, Debug)]
pub(super) struct ConvShape {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
}

/// A convolution that keeps the size of the image (divided by its stride), its batch norm and an
/// optional ReLU.
#[derive(Clone, Debug)]
pub(super) struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
    relu: bool,
    /// Where the kernels stay between passes, if they do.
    kept: Option<KeptKernels>,
}

/// Activations that the backward pass needs.
pub(super) struct ConvNormTrace {
    x: Kept,
    /// The values between convolution and batch norm.
    pub middle: Tensor,
    moments: Moments,
    /// Whether the moments are those of the running statistics.
    fixed: bool,
}

impl ConvNorm {
    pub(super) fn new(shape: ConvShape, relu: bool, conv: VarBuilder<'_>, norm: VarBuilder<'_>) -> Result<Self> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let geometry = Conv2dConfig::default().with_stride(stride).with_padding(kernel / 2);
        Ok(Self {
            conv: Conv2d::new(inputs, outputs, kernel, geometry, conv)?,
            norm: BatchNorm2d::new(outputs, BatchNormConfig { relu, ..BatchNormConfig::default() }, norm)?,
            relu,
            kept: None,
        })
    }

    /// Freezes the batch norm.
    pub(super) fn freeze(&mut self) {
        self.norm = self.norm.clone().with_frozen(true);
    }

    /// Joins the statistics of the batch norm with those of other processes.
    pub(super) fn synchronise(&mut self, sync: &Arc<dyn NormSync>) {
        self.norm = self.norm.clone().with_sync(sync.clone());
    }

    /// Keeps the kernels of the next passes for later ones.
    pub(super) fn keep_kernels(&mut self) {
        self.kept = Some(KeptKernels::default());
    }

    pub(super) fn parameters(&self) -> [&Tensor; 3] {
        let (weight, bias) = self.norm.parameters();
        [self.conv.weight(), weight, bias]
    }

    /// Computes what [`ConvNorm::evaluate`] does, and what the backward pass needs.
    ///
    /// If `train`, the statistics of the batch normalise, unless the layer is frozen. Otherwise, the
    /// running statistics do.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        residual: Option<&Tensor>,
        train: bool,
    ) -> Result<(Tensor, ConvNormTrace)> {
        self.apart(x, residual, self.norm.by(train))
    }

    /// Runs the convolution and the batch norm as separate operations.
    fn apart(&self, x: &Tensor, residual: Option<&Tensor>, by: NormBy) -> Result<(Tensor, ConvNormTrace)> {
        let (middle, x, statistics) = self.convolve(x, by)?;
        let (y, moments) = self.norm.forward(&middle, residual, by, statistics)?;
        Ok((y, ConvNormTrace { x, middle, moments, fixed: by == NormBy::Running }))
    }

    /// Runs the convolution. Returns its statistics, too, if the batch norm needs them.
    fn convolve(&self, x: &Tensor, by: NormBy) -> Result<(Tensor, Kept, Option<Statistics>)> {
        let takes_statistics = by != NormBy::Running && x.device().is_cpu();
        let statistics = takes_statistics.then(|| self.norm.statistics());
        let (middle, x) =
            conv::forward(x, self.conv.weight(), self.conv.config(), statistics.as_ref(), self.kept.as_ref())?;
        Ok((middle, x, statistics))
    }

    /// Computes the maxima of the windows `pool` of what [`ConvNorm::forward`] returns without a residual, and
    /// their positions.
    pub(super) fn forward_pooled(
        &self,
        x: &Tensor,
        train: bool,
        pool: MaxPool2dConfig,
    ) -> Result<(Tensor, ConvNormTrace, Argmax)> {
        let by = self.norm.by(train);
        if !x.device().is_cpu() {
            let (y, trace) = self.apart(x, None, by)?;
            let (y, argmax) = max_pool2d_forward(&y, pool)?;
            return Ok((y, trace, argmax));
        }
        let (middle, x, statistics) = self.convolve(x, by)?;
        let (y, moments, argmax) = self.norm.forward_pooled(&middle, by, statistics, pool)?;
        Ok((y, ConvNormTrace { x, middle, moments, fixed: by == NormBy::Running }, argmax))
    }

    /// Returns `relu(norm(conv(x)) + residual)`. Without a residual: `relu(norm(conv(x)))`, or
    /// `norm(conv(x))` if this layer has no ReLU.
    pub(super) fn evaluate(&self, x: &Tensor, residual: Option<&Tensor>, by: NormBy) -> Result<Tensor> {
        if by == NormBy::Running && x.device().is_cpu() {
            return self.in_one_pass(x, residual, None);
        }
        Ok(self.apart(x, residual, by)?.0)
    }

    /// Returns the maxima of the windows `pool` of what [`ConvNorm::evaluate`] returns without a residual.
    pub(super) fn evaluate_pooled(&self, x: &Tensor, by: NormBy, pool: MaxPool2dConfig) -> Result<Tensor> {
        if by == NormBy::Running && x.device().is_cpu() {
            return self.in_one_pass(x, None, Some(pool));
        }
        Ok(max_pool2d_forward(&self.apart(x, None, by)?.0, pool)?.0)
    }

    /// Runs all operations in one pass, with the running statistics, on the CPU.
    fn in_one_pass(&self, x: &Tensor, residual: Option<&Tensor>, pool: Option<MaxPool2dConfig>) -> Result<Tensor> {
        let (scale, bias) = self.norm.scale_and_shift()?;
        let relu = self.relu || residual.is_some();
        let norm = FixedNorm { scale: &scale, bias: &bias, residual, relu, kept: self.kept.as_ref() };
        conv::forward_with_norm(x, self.conv.weight(), self.conv.config(), norm, pool)
    }

    /// Computes the gradients of the parameters, and of the input if `wants_input`.
    ///
    /// `grad` is the gradient of the output. For the last layer of a block, it is the gradient of
    /// the residual sum.
    pub(super) fn backward(
        &self,
        trace: &ConvNormTrace,
        grad: &Tensor,
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let ConvNormTrace { middle, moments, fixed, .. } = trace;
        let norm = self.norm.gradients(middle, grad, moments, (self.relu, *fixed), None)?;
        self.backward_of_conv(trace, norm, wants_input, gradients)
    }

    /// Computes the gradients like [`ConvNorm::backward`], from the gradient of the maxima that
    /// [`ConvNorm::forward_pooled`] returned, and from their positions.
    pub(super) fn backward_pooled(
        &self,
        trace: &ConvNormTrace,
        (grad, argmax, pool): (&Tensor, &Argmax, MaxPool2dConfig),
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let ConvNormTrace { middle, moments, fixed, .. } = trace;
        if !grad.device().is_cpu() {
            let grad = max_pool2d_grad(grad, argmax, middle.shape(), pool)?;
            return self.backward(trace, &grad, wants_input, gradients);
        }
        let norm = self.norm.gradients(middle, grad, moments, (self.relu, *fixed), Some((pool, argmax)))?;
        self.backward_of_conv(trace, norm, wants_input, gradients)
    }

    /// Stores the gradients of the parameters, given those of the batch norm: of its input, weight and bias.
    fn backward_of_conv(
        &self,
        ConvNormTrace { x, .. }: &ConvNormTrace,
        [grad, weight_grad, bias_grad]: [Tensor; 3],
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let [kernel, weight, bias] = self.parameters();
        if !self.norm.is_frozen() {
            gradients.insert(weight, weight_grad);
            gradients.insert(bias, bias_grad);
        }
        gradients.insert(kernel, x.weight_grad(kernel, &grad, self.conv.config())?);
        wants_input.then(|| x.data_grad(kernel, &grad, self.conv.config(), self.kept.as_ref())).transpose()
    }
}
