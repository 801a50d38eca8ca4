//! The layers of a residual network: forward and backward pass.

use super::config::ResNetConfig;
use super::pass::TrainPass;
use super::tape::Gradients;
use crate::geometry::{BatchNormConfig, Conv2dConfig, MaxPool2dConfig};
use crate::ops::batch_norm::{BatchNorm2d, Moments, NormBy};
use crate::ops::conv::{self, Conv2d, FixedNorm, Kept};
use crate::ops::linear::{self, Linear, linear};
use crate::ops::pool::{Argmax, global_avg_pool_forward, global_avg_pool_grad, max_pool2d_forward, max_pool2d_grad};
use crate::ops::relu::relu_grad;
use crate::ops::shift::{temporal_shift_forward, temporal_shift_grad};
use crate::ops::stochastic_depth::{scale_add_relu, scale_images};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

const MAX_POOL: MaxPool2dConfig = MaxPool2dConfig { kernel: 3, stride: 2, padding: 1 };

/// Statistics with which a training pass normalises after the first batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrainNorms {
    /// The batch's statistics.
    Batch,
    /// The running statistics. They stay constant, and so do the weights and biases of the batch
    /// norms.
    Frozen,
}

/// Settings of a network that are not part of its layers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    pub(super) norms: TrainNorms,
    /// Frames per clip, between which the branches of the blocks shift channels.
    pub(super) shift: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Layers {
    stem: ConvNorm,
    blocks: Vec<Block>,
    fc: Linear,
}

/// Activations that the backward pass needs. It drops them layer by layer.
pub(super) struct Trace {
    stem: ConvNormTrace,
    argmax: Argmax,
    blocks: Vec<BlockTrace>,
    /// Output of the last block. `features` is its mean over pixels.
    last: Tensor,
    features: Tensor,
    /// The mask that the features were multiplied by.
    dropout: Option<Tensor>,
}

impl Layers {
    pub(super) fn new(config: &ResNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let shape = ConvShape { inputs: config.in_channels, outputs: 64, kernel: 7, stride: 2 };
        let stem = ConvNorm::new(shape, true, &vb.pp("conv1"), &vb.pp("bn1"))?;
        let mut blocks = Vec::new();
        let mut channels = 64;
        for (stage, &count) in config.depth.blocks().iter().enumerate() {
            let width = 64 << stage;
            for index in 0..count {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let vb = vb.pp(format!("layer{}.{index}", stage + 1));
                let block = Block::new(channels, width, stride, config.depth.bottleneck(), &vb)?;
                channels = block.outputs;
                blocks.push(block);
            }
        }
        Ok(Self { stem, blocks, fc: Linear::new(channels, config.classes, &vb.pp("fc"))? })
    }

    /// Returns the number of features that the last layer receives.
    pub(super) fn features(&self) -> usize {
        self.fc.parameters().0.dims()[1]
    }

    /// Returns the number of residual blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn parameters(&self) -> Vec<&Tensor> {
        let mut parameters = self.stem.parameters().to_vec();
        for block in &self.blocks {
            let layers = block.branch.iter().chain(&block.shortcut);
            parameters.extend(layers.flat_map(ConvNorm::parameters));
        }
        let (weight, bias) = self.fc.parameters();
        parameters.extend([weight, bias]);
        parameters
    }

    /// Maps images [N, H, W, C] to logits [N, classes], outside candle's graph.
    ///
    /// The first batch norm uses the statistics of the batch; `mode` chooses those of the others.
    pub(super) fn forward(&self, x: &Tensor, mode: Mode, pass: &TrainPass) -> Result<(Tensor, Trace)> {
        let (y, stem) = self.stem.forward(&x.contiguous()?, None, TrainNorms::Batch)?;
        let (mut x, argmax) = max_pool2d_forward(&y, MAX_POOL)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (at, block) in self.blocks.iter().enumerate() {
            let factors = pass.stochastic_depth.as_ref().map(|factors| factors.get(at)).transpose()?;
            let (y, trace) = block.forward(&x, mode, factors)?;
            x = y;
            blocks.push(trace);
        }
        let mut features = global_avg_pool_forward(&x)?;
        if let Some(dropout) = &pass.dropout {
            features = (features * dropout)?;
        }
        let logits = self.classify(&features)?;
        Ok((logits, Trace { stem, argmax, blocks, last: x, features, dropout: pass.dropout.clone() }))
    }

    /// Maps images [N, H, W, C] to logits [N, classes], outside candle's graph and without a
    /// backward pass.
    pub(super) fn evaluate(&self, x: &Tensor, shift: Option<usize>, by: NormBy) -> Result<Tensor> {
        let y = self.stem.evaluate(&x.contiguous()?, None, by)?;
        let (mut x, _) = max_pool2d_forward(&y, MAX_POOL)?;
        drop(y);
        for block in &self.blocks {
            x = block.evaluate(&x, shift, by)?;
        }
        self.classify(&global_avg_pool_forward(&x)?)
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.fc.parameters();
        linear(features, &weight.detach(), &bias.detach())
    }

    /// Computes the gradients of all parameters, and of the input if `wants_input`, from the
    /// gradient of the logits.
    pub(super) fn backward(
        &self,
        trace: Trace,
        grad: &Tensor,
        wants_input: bool,
    ) -> Result<(Option<Tensor>, Gradients)> {
        let Trace { stem, argmax, mut blocks, last, features, dropout } = trace;
        let mut gradients = Gradients::default();
        let (weight, bias) = self.fc.parameters();
        let (mut grad, weight_grad, bias_grad) = linear::gradients(&features, weight, grad)?;
        if let Some(dropout) = dropout {
            grad = (grad * dropout)?;
        }
        gradients.insert(weight, weight_grad);
        gradients.insert(bias, bias_grad);
        let mut grad = (global_avg_pool_grad(&grad, &last)?, None);
        drop(last);
        for block in self.blocks.iter().rev() {
            let Some(trace) = blocks.pop() else {
                candle_core::bail!("network: the activations of a block are missing")
            };
            grad = block.backward(trace, &grad, &mut gradients)?;
        }
        let grad = match grad {
            (branch, Some(shortcut)) => (branch + shortcut)?,
            (grad, None) => grad,
        };
        let grad = max_pool2d_grad(&grad, &argmax, stem.middle.shape(), MAX_POOL)?;
        let input = self.stem.backward(&stem, &grad, wants_input, &mut gradients)?;
        Ok((input, gradients))
    }
}

/// A residual block: `relu(branch(x) + shortcut(x))`. Options shift the input of the branch in
/// time, and multiply its output by a factor per image.
#[derive(Debug)]
struct Block {
    branch: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
    outputs: usize,
}

struct BlockTrace {
    /// The block's output.
    y: Tensor,
    branch: Vec<ConvNormTrace>,
    shortcut: Option<ConvNormTrace>,
    /// Frames per clip of the shift.
    shift: Option<usize>,
    /// The factors of the branch, [N].
    factors: Option<Tensor>,
}

impl Block {
    fn new(inputs: usize, width: usize, stride: usize, bottleneck: bool, vb: &VarBuilder<'_>) -> Result<Self> {
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
            .map(|(i, shape)| ConvNorm::new(shape, i < last, &vb.pp(format!("conv{i}")), &vb.pp(format!("bn{i}"))))
            .collect::<Result<_>>()?;
        let shape = ConvShape { inputs, outputs, kernel: 1, stride };
        let shortcut = (stride != 1 || inputs != outputs)
            .then(|| ConvNorm::new(shape, false, &vb.pp("downsample.0"), &vb.pp("downsample.1")))
            .transpose()?;
        Ok(Self { branch, shortcut, outputs })
    }

    fn forward(&self, x: &Tensor, mode: Mode, factors: Option<Tensor>) -> Result<(Tensor, BlockTrace)> {
        let Mode { norms, shift } = mode;
        let (residual, shortcut) = match &self.shortcut {
            Some(shortcut) => {
                let (y, trace) = shortcut.forward(x, None, norms)?;
                (y, Some(trace))
            }
            None => (x.clone(), None),
        };
        let last = self.branch.len() - 1;
        let mut branch = Vec::with_capacity(self.branch.len());
        let mut y = shifted(x, shift)?;
        for (i, layer) in self.branch.iter().enumerate() {
            // Without factors, the last batch norm adds the residual in its own pass.
            let (next, trace) = layer.forward(&y, (i == last && factors.is_none()).then_some(&residual), norms)?;
            y = next;
            branch.push(trace);
        }
        if let Some(factors) = &factors {
            y = scale_add_relu(&y, &residual, factors)?;
        }
        Ok((y.clone(), BlockTrace { y, branch, shortcut, shift, factors }))
    }

    fn evaluate(&self, x: &Tensor, shift: Option<usize>, by: NormBy) -> Result<Tensor> {
        let residual = self.shortcut.as_ref().map(|shortcut| shortcut.evaluate(x, None, by)).transpose()?;
        let last = self.branch.len() - 1;
        let mut y = shifted(x, shift)?;
        for (i, layer) in self.branch.iter().enumerate() {
            y = layer.evaluate(&y, (i == last).then_some(residual.as_ref().unwrap_or(x)), by)?;
        }
        Ok(y)
    }

    /// Computes the gradient of the input from that of the output.
    ///
    /// Each gradient can be a sum of two parts. The ReLU of the previous block adds them.
    fn backward(&self, trace: BlockTrace, grad: &Parts, gradients: &mut Gradients) -> Result<Parts> {
        let BlockTrace { y, mut branch, shortcut, shift, factors } = trace;
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
        if let Some(frames) = shift {
            grad = temporal_shift_grad(&grad, frames)?;
        }
        if let (Some(layer), Some(trace)) = (&self.shortcut, &shortcut) {
            residual = wanted(layer.backward(trace, &residual, true, gradients)?)?;
        }
        Ok((grad, Some(residual)))
    }
}

/// Returns the input of a block's branch for the block's input `x`.
fn shifted(x: &Tensor, shift: Option<usize>) -> Result<Tensor> {
    shift.map_or_else(|| Ok(x.clone()), |frames| temporal_shift_forward(x, frames))
}

/// A gradient, or two parts whose sum it is.
type Parts = (Tensor, Option<Tensor>);

fn wanted(gradient: Option<Tensor>) -> Result<Tensor> {
    gradient.ok_or_else(|| candle_core::Error::Msg("network: a layer returned no gradient of its input".into()))
}

#[derive(Clone, Copy, Debug)]
struct ConvShape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
}

/// A convolution that keeps the size of the image (divided by its stride), its batch norm and an
/// optional ReLU.
#[derive(Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
    relu: bool,
}

struct ConvNormTrace {
    x: Kept,
    /// The values between convolution and batch norm.
    middle: Tensor,
    moments: Moments,
    /// Whether the moments are those of the running statistics. Weight and bias are then not
    /// learned.
    fixed: bool,
}

impl ConvNorm {
    fn new(shape: ConvShape, relu: bool, conv: &VarBuilder<'_>, norm: &VarBuilder<'_>) -> Result<Self> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let geometry = Conv2dConfig { stride, padding: kernel / 2 };
        Ok(Self {
            conv: Conv2d::new(inputs, outputs, kernel, geometry, conv)?,
            norm: BatchNorm2d::new(outputs, BatchNormConfig { relu, ..BatchNormConfig::default() }, norm)?,
            relu,
        })
    }

    fn parameters(&self) -> [&Tensor; 3] {
        let (weight, bias) = self.norm.parameters();
        [self.conv.weight(), weight, bias]
    }

    fn forward(&self, x: &Tensor, residual: Option<&Tensor>, norms: TrainNorms) -> Result<(Tensor, ConvNormTrace)> {
        let by = match norms {
            TrainNorms::Batch => self.norm.batch(),
            TrainNorms::Frozen => NormBy::Running,
        };
        self.apart(x, residual, by)
    }

    /// Runs the convolution and the batch norm as separate operations.
    fn apart(&self, x: &Tensor, residual: Option<&Tensor>, by: NormBy) -> Result<(Tensor, ConvNormTrace)> {
        let takes_statistics = by != NormBy::Running && x.device().is_cpu();
        let statistics = takes_statistics.then(|| self.norm.statistics());
        let (middle, x) = conv::forward(x, self.conv.weight(), self.conv.config(), statistics.as_ref())?;
        let (y, moments) = self.norm.forward(&middle, residual, by, statistics)?;
        Ok((y, ConvNormTrace { x, middle, moments, fixed: by == NormBy::Running }))
    }

    /// Returns `relu(norm(conv(x)) + residual)`. Without a residual: `relu(norm(conv(x)))`, or
    /// `norm(conv(x))` if this layer has no ReLU.
    fn evaluate(&self, x: &Tensor, residual: Option<&Tensor>, by: NormBy) -> Result<Tensor> {
        if by == NormBy::Running && x.device().is_cpu() {
            let (scale, bias) = self.norm.scale_and_shift()?;
            let norm = FixedNorm { scale: &scale, bias: &bias, residual, relu: self.relu || residual.is_some() };
            return conv::forward_with_norm(x, self.conv.weight(), self.conv.config(), norm);
        }
        Ok(self.apart(x, residual, by)?.0)
    }

    /// Computes the gradients of the parameters, and of the input if `wants_input`.
    ///
    /// `grad` is the gradient of the output. For the last layer of a block, it is the gradient of
    /// the residual sum.
    fn backward(
        &self,
        trace: &ConvNormTrace,
        grad: &Tensor,
        wants_input: bool,
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let ConvNormTrace { x, middle, moments, fixed } = trace;
        let [grad, weight_grad, bias_grad] = self.norm.gradients(middle, grad, moments, (self.relu, *fixed))?;
        let [kernel, weight, bias] = self.parameters();
        if !fixed {
            gradients.insert(weight, weight_grad);
            gradients.insert(bias, bias_grad);
        }
        gradients.insert(kernel, x.weight_grad(kernel, &grad, self.conv.config())?);
        wants_input.then(|| x.data_grad(kernel, &grad, self.conv.config())).transpose()
    }
}
