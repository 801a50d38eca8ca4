//! ResNet-18 to 152 (He et al. 2015) under torchvision's parameter names.
//!
//! The bottleneck's stride sits on its 3x3 convolution, as in
//! [torchvision](https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py) ("ResNet v1.5").

use super::config::ResNetConfig;
use super::layers::{Layers, TrainNorms};
use super::tape;
use crate::ops::batch_norm::NormBy;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use std::sync::Arc;

/// A residual network. [`Model`](crate::Model) adds the parameters' names, initial values and loading.
///
/// ```
/// # use candle_convnet::{Depth, ResNet, ResNetConfig};
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let net = ResNet::new(&ResNetConfig::new(Depth::R18, 20, 5), vb)?;
/// let flow = Tensor::zeros((2, 32, 32, 20), DType::F32, &Device::Cpu)?;
/// assert_eq!((net.features(), net.forward_t(&flow, false)?.dims()), (512, &[2, 5][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ResNet {
    layers: Arc<Layers>,
    norms: TrainNorms,
}

impl ResNet {
    /// Takes all parameters and running statistics from `vb` by torchvision's names.
    #[expect(clippy::needless_pass_by_value, reason = "as candle's own modules take it")]
    pub fn new(config: &ResNetConfig, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self { layers: Arc::new(Layers::new(config, &vb)?), norms: TrainNorms::Batch })
    }

    /// Partial batch norm (Wang et al. 2016, "Temporal Segment Networks"): from now on training passes normalise by the running
    /// statistics in all batch norms but the first, and move neither these nor, as the authors' code has it, those norms'
    /// weights and biases, which get no gradients.
    pub fn freeze_norms(&mut self) {
        self.norms = TrainNorms::Frozen;
    }

    /// Channels that reach the last layer.
    pub fn features(&self) -> usize {
        self.layers.features()
    }

    /// `x` [N, H, W, `in_channels`], normalised, contiguous, f32 (on CUDA also bf16) -> f32 logits [N, classes].
    ///
    /// With `train`, batch statistics normalise, running statistics move (but see [`ResNet::freeze_norms`]), and the result can be differentiated, once. Without
    /// it running statistics normalise and nothing is recorded: `backward` finds no variable behind the result.
    ///
    /// The whole network is one step of candle's graph, with its own way back: candle adds every gradient that passes between
    /// steps to zeros, which costs as much memory traffic as the layers themselves.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if !train {
            return self.layers.evaluate(&x.detach(), NormBy::Running);
        }
        self.forward_train(x, None)
    }

    /// The same in training, with dropout (Srivastava et al. 2014) in front of the last layer: `mask` [N, features], which is 0
    /// where a feature is dropped and 1 / (1 - share dropped) elsewhere, multiplies the features, which are f32.
    pub fn forward_dropout(&self, x: &Tensor, mask: &Tensor) -> Result<Tensor> {
        self.forward_train(x, Some(mask))
    }

    fn forward_train(&self, x: &Tensor, dropout: Option<&Tensor>) -> Result<Tensor> {
        let (logits, trace) = self.layers.forward(&x.detach(), self.norms, dropout)?;
        let layers = self.layers.clone();
        let back = move |grad: &Tensor, wants_input: bool| layers.backward(trace, grad, wants_input);
        tape::record(&logits, x, &self.layers.parameters(), back)
    }

    /// Moves the running statistics `share` of the way towards those of the batch `x`, and records nothing else. Over batches
    /// 1, 2, .. k with shares 1, 1/2, .. 1/k they become the mean of the batches' statistics: precise statistics of a network
    /// that stands still (Wu and Johnson 2021, "Rethinking Batch in BatchNorm"), where training leaves a trail of those that
    /// it had on its way.
    pub fn take_statistics(&self, x: &Tensor, share: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&share) {
            candle_core::bail!("take_statistics: a share of {share} is not within 0 and 1");
        }
        self.layers.evaluate(&x.detach(), NormBy::Batch { share })?;
        Ok(())
    }
}
