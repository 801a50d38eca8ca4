//! ResNet-18 to 152 (He et al. 2015) under torchvision's parameter names.
//!
//! The bottleneck's stride sits on its 3x3 convolution, as in
//! [torchvision](https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py) ("ResNet v1.5").

mod layers;
mod tape;

use crate::batch_norm::NormBy;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use layers::{Layers, TrainNorms};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Number of weight layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Depth {
    R18,
    R34,
    R50,
    R101,
    R152,
}

impl Depth {
    /// All depths, shallow first.
    pub const ALL: [Self; 5] = [Self::R18, Self::R34, Self::R50, Self::R101, Self::R152];

    /// Blocks in layer1 to layer4.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Self::R18 => [2, 2, 2, 2],
            Self::R34 | Self::R50 => [3, 4, 6, 3],
            Self::R101 => [3, 4, 23, 3],
            Self::R152 => [3, 8, 36, 3],
        }
    }

    /// Whether blocks are bottlenecks (1x1, 3x3, 1x1) rather than two 3x3 convolutions.
    pub fn bottleneck(self) -> bool {
        !matches!(self, Self::R18 | Self::R34)
    }

    /// Channels that reach the last layer: 512, or 2048 behind bottlenecks.
    pub fn features(self) -> usize {
        if self.bottleneck() { 2048 } else { 512 }
    }
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::R18 => "resnet18",
            Self::R34 => "resnet34",
            Self::R50 => "resnet50",
            Self::R101 => "resnet101",
            Self::R152 => "resnet152",
        })
    }
}

/// A name that is no [`Depth`].
#[derive(Debug, thiserror::Error)]
#[error("unknown network \"{0}\"; expected resnet18, resnet34, resnet50, resnet101 or resnet152")]
pub struct ParseDepthError(String);

impl FromStr for Depth {
    type Err = ParseDepthError;

    fn from_str(name: &str) -> std::result::Result<Self, ParseDepthError> {
        Self::ALL.into_iter().find(|depth| depth.to_string() == name).ok_or_else(|| ParseDepthError(name.to_owned()))
    }
}

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Number of weight layers.
    pub depth: Depth,
    /// Channels of the input: 3 for RGB, 20 for ten frames of optical flow (x and y).
    pub in_channels: usize,
    /// Logits.
    pub classes: usize,
}

/// A residual network. [`Model`](crate::Model) adds the parameters' names, initial values and loading.
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
