//! The parts of a residual network.

use super::conv_norm::{ConvNorm, ConvNormTrace, ConvShape};
use super::tape::{self, Gradients};
use crate::geometry::{Clips, MaxPool2dConfig};
use crate::ops::add::add;
use crate::ops::batch_norm::NormBy;
use crate::ops::max_pool::Argmax;
use crate::ops::relu::relu_grad;
use crate::ops::shift::{temporal_shift_forward, temporal_shift_grad};
use crate::ops::stochastic_depth::{scale_add_relu, scale_images};
use candle_core::{ModuleT, Result, Tensor};
use candle_nn::VarBuilder;

const MAX_POOL: MaxPool2dConfig = MaxPool2dConfig { kernel: 3, stride: 2, padding: 1 };

/// The first layers of a [`ResNet`](crate::ResNet): a 7x7 convolution with stride 2, batch norm,
/// ReLU, and max pooling with stride 2.
///
/// [`ResNet::stem`](crate::ResNet::stem) has an example.
#[derive(Clone, Debug)]
pub struct Stem(ConvNorm);

/// Activations of a stem that the backward pass needs.
pub(super) struct StemTrace {
    layer: ConvNormTrace,
    argmax: Argmax,
}

impl Stem {
    pub(super) fn new(in_channels: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let shape = ConvShape { inputs: in_channels, outputs: 64, kernel: 7, stride: 2 };
        Ok(Self(ConvNorm::new(shape, true, vb.pp("conv1"), vb.pp("bn1"))?))
    }

    /// Maps images `[N, H, W, in_channels]` to `[N, H', W', 64]`, where H' is H / 4, rounded up.
    ///
    /// Training and evaluation, types and gradients are those of
    /// [`ResNet::forward_t`](crate::ResNet::forward_t).
    ///
    /// # Errors
    /// Returns the errors of [`ResNet::forward_t`](crate::ResNet::forward_t).
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if !train && !x.track_op() {
            return self.evaluate(x, NormBy::Running);
        }
        let (y, trace) = self.forward(&x.detach(), train)?;
        let stem = self.clone();
        tape::record(&y, x, &self.0.parameters(), move |grad, wants_input| {
            let mut gradients = Gradients::default();
            let input = stem.backward(&trace, grad, wants_input, &mut gradients)?;
            Ok((input, gradients))
        })
    }

    pub(super) fn layer_mut(&mut self) -> &mut ConvNorm {
        &mut self.0
    }

    pub(super) fn parameters(&self) -> [&Tensor; 3] {
        self.0.parameters()
    }

    pub(super) fn forward(&self, x: &Tensor, train: bool) -> Result<(Tensor, StemTrace)> {
        let (y, layer, argmax) = self.0.forward_pooled(&x.contiguous()?, train, MAX_POOL)?;
        Ok((y, StemTrace { layer, argmax }))
    }

    pub(super) fn evaluate(&self, x: &Tensor, by: NormBy) -> Result<Tensor> {
        self.0.evaluate_pooled(&x.contiguous()?, by, MAX_POOL)
    }

    pub(super) fn backward(
        &self,
        trace: &StemTrace,
        grad: &Tensor,
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let StemTrace { layer, argmax } = trace;
        self.0.backward_pooled(layer, (grad, argmax, MAX_POOL), wants_input, gradients)
    }
}

impl ModuleT for Stem {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}

/// A residual block of a [`ResNet`](crate::ResNet): `relu(branch(x) + shortcut(x))`.
///
/// [`ResNet::stages`](crate::ResNet::stages) has an example.
#[derive(Clone, Debug)]
pub struct Block {
    branch: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
    outputs: usize,
    /// Shifts the input of the branch in time.
    pub(super) clips: Option<Clips>,
}

/// Activations of a block that the backward pass needs.
pub(super) struct BlockTrace {
    /// The block's output.
    y: Tensor,
    branch: Vec<ConvNormTrace>,
    shortcut: Option<ConvNormTrace>,
    /// The factors of the branch, [N].
    factors: Option<Tensor>,
}

impl Block {
    pub(super) fn new(
        inputs: usize,
        width: usize,
        stride: usize,
        bottleneck: bool,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let outputs = if bottleneck { 4 * width } else { width };
        let shapes = if bottleneck {
            vec![
                ConvShape { inputs, outputs: width, kernel: 1, stride: 1 },
                ConvShape { inputs: width, outputs: width, kernel: 3, stride },
                ConvShape { inputs: width, outputs, kernel: 1, stride: 1 },
            ]
        } else {
            vec![
                ConvShape { inputs, outputs: width, kernel: 3, stride },
                ConvShape { inputs: width, outputs, kernel: 3, stride: 1 },
            ]
        };
        let last = shapes.len();
        let branch = (1..)
            .zip(shapes)
            .map(|(i, shape)| ConvNorm::new(shape, i < last, vb.pp(format!("conv{i}")), vb.pp(format!("bn{i}"))))
            .collect::<Result<_>>()?;
        let shape = ConvShape { inputs, outputs, kernel: 1, stride };
        let shortcut = (stride != 1 || inputs != outputs)
            .then(|| ConvNorm::new(shape, false, vb.pp("downsample.0"), vb.pp("downsample.1")))
            .transpose()?;
        Ok(Self { branch, shortcut, outputs, clips: None })
    }

    /// Maps `x` `[N, H, W, C]` to `[N, H', W', outputs]`. H' is H, or H / 2 rounded up in the first
    /// block of the later stages.
    ///
    /// Training and evaluation, types and gradients are those of
    /// [`ResNet::forward_t`](crate::ResNet::forward_t).
    ///
    /// # Errors
    /// Returns the errors of [`ResNet::forward_t`](crate::ResNet::forward_t).
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let images = x.contiguous()?.detach();
        if !train && !x.track_op() {
            return self.evaluate(&images, NormBy::Running);
        }
        let (y, trace) = self.forward(&images, train, None)?;
        let block = self.clone();
        let parameters: Vec<&Tensor> = self.parameters().collect();
        tape::record(&y, x, &parameters, move |grad, _| {
            let mut gradients = Gradients::default();
            let parts = block.backward(trace, &(grad.clone(), None), &mut gradients)?;
            Ok((Some(sum(parts)?), gradients))
        })
    }

    /// Returns the number of output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn layers_mut(&mut self) -> impl Iterator<Item = &mut ConvNorm> {
        self.branch.iter_mut().chain(&mut self.shortcut)
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.branch.iter().chain(&self.shortcut).flat_map(ConvNorm::parameters)
    }

    pub(super) fn forward(&self, x: &Tensor, train: bool, factors: Option<Tensor>) -> Result<(Tensor, BlockTrace)> {
        let (residual, shortcut) = match &self.shortcut {
            Some(shortcut) => {
                let (y, trace) = shortcut.forward(x, None, train)?;
                (y, Some(trace))
            }
            None => (x.clone(), None),
        };
        let last = self.branch.len() - 1;
        let mut branch = Vec::with_capacity(self.branch.len());
        let mut y = self.shifted(x)?;
        for (i, layer) in self.branch.iter().enumerate() {
            // Without factors, the last batch norm adds the residual in its own pass.
            let (next, trace) = layer.forward(&y, (i == last && factors.is_none()).then_some(&residual), train)?;
            y = next;
            branch.push(trace);
        }
        if let Some(factors) = &factors {
            y = scale_add_relu(&y, &residual, factors)?;
        }
        Ok((y.clone(), BlockTrace { y, branch, shortcut, factors }))
    }

    pub(super) fn evaluate(&self, x: &Tensor, by: NormBy) -> Result<Tensor> {
        let residual = self.shortcut.as_ref().map(|shortcut| shortcut.evaluate(x, None, by)).transpose()?;
        let last = self.branch.len() - 1;
        let mut y = self.shifted(x)?;
        for (i, layer) in self.branch.iter().enumerate() {
            y = layer.evaluate(&y, (i == last).then_some(residual.as_ref().unwrap_or(x)), by)?;
        }
        Ok(y)
    }

    /// Computes the gradient of the input from that of the output.
    ///
    /// Each gradient can be a sum of two parts. The ReLU of the previous block adds them.
    pub(super) fn backward(&self, trace: BlockTrace, grad: &Parts, gradients: &mut Gradients) -> Result<Parts> {
        let BlockTrace { y, mut branch, shortcut, factors } = trace;
        // The last ReLU follows the sum. Its gradient goes to both the branch and the shortcut.
        let mut residual = relu_grad(&y, &grad.0, grad.1.as_ref())?;
        drop(y);
        let mut grad = match &factors {
            Some(factors) => scale_images(&residual, factors)?,
            None => residual.clone(),
        };
        for layer in self.branch.iter().rev() {
            let Some(trace) = branch.pop() else {
                candle_core::bail!("network: the activations of a layer are missing")
            };
            grad = wanted(layer.backward(&trace, &grad, true, gradients)?)?;
        }
        if let Some(clips) = self.clips {
            grad = temporal_shift_grad(&grad, clips)?;
        }
        if let (Some(layer), Some(trace)) = (&self.shortcut, &shortcut) {
            residual = wanted(layer.backward(trace, &residual, true, gradients)?)?;
        }
        Ok((grad, Some(residual)))
    }

    /// Returns the input of the branch for the block's input `x`.
    fn shifted(&self, x: &Tensor) -> Result<Tensor> {
        self.clips.map_or_else(|| Ok(x.clone()), |clips| temporal_shift_forward(x, clips))
    }
}

impl ModuleT for Block {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}

/// A gradient, or two parts whose sum it is.
pub(super) type Parts = (Tensor, Option<Tensor>);

pub(super) fn sum(parts: Parts) -> Result<Tensor> {
    match parts {
        (branch, Some(shortcut)) => add(&branch, &shortcut),
        (grad, None) => Ok(grad),
    }
}

fn wanted(gradient: Option<Tensor>) -> Result<Tensor> {
    gradient.ok_or_else(|| candle_core::Error::Msg("network: a layer returned no gradient of its input".into()))
}
