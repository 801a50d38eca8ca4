//! A network whose architecture is chosen when the program runs.

use super::arch::Arch;
use super::config::ResNetConfig;
use super::mobilenet_v3::{MobileNetV3, MobileNetV3Config};
use super::network_config::NetworkConfig;
use super::pass::TrainPass;
use super::resnet::ResNet;
use crate::ops::batch_norm::NormSync;
use candle_core::{ModuleT, Result, Tensor, bail};
use candle_nn::VarBuilder;
use std::sync::Arc;

/// Architecture, input channels and classes of a [`Classifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassifierConfig {
    /// The architecture.
    pub arch: Arch,
    /// Channels of the input: 3 for RGB.
    pub in_channels: usize,
    /// Number of classes, which is the number of logits.
    pub classes: usize,
}

impl ClassifierConfig {
    /// Returns the settings for a network of `arch` that maps `in_channels` channels to `classes`
    /// logits.
    pub const fn new(arch: Arch, in_channels: usize, classes: usize) -> Self {
        Self { arch, in_channels, classes }
    }
}

impl NetworkConfig for ClassifierConfig {
    type Network = Classifier;

    fn build(&self, vb: VarBuilder<'_>) -> Result<Classifier> {
        let Self { arch, in_channels, classes } = *self;
        Ok(match arch {
            Arch::ResNet(depth) => {
                Classifier::ResNet(ResNet::new(&ResNetConfig::new(depth, in_channels, classes), vb)?)
            }
            Arch::MobileNetV3Small => {
                Classifier::MobileNetV3(MobileNetV3::new(&MobileNetV3Config::small(in_channels, classes), vb)?)
            }
        })
    }

    fn first_weights(&self) -> &str {
        self.arch.first_weights()
    }

    fn last_layer(&self) -> &str {
        self.arch.last_layer()
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }
}

/// A network of any [`Arch`], for programs that let their user choose it.
///
/// ```
/// # use candle_convnet::{ClassifierConfig, Model};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let arch = "mobilenet_v3_small".parse()?;
/// let model = Model::random(&ClassifierConfig::new(arch, 3, 10), 42, &Device::Cpu)?;
/// let images = Tensor::zeros((2, 64, 64, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(model.net.forward_t(&images, false)?.dims(), [2, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Classifier {
    /// A residual network.
    ResNet(ResNet),
    /// MobileNetV3.
    MobileNetV3(MobileNetV3),
}

impl Classifier {
    /// Computes the logits `[N, classes]`, f32, of the images `x` `[N, H, W, in_channels]`; see
    /// [`ResNet::forward_t`] and [`MobileNetV3::forward_t`].
    ///
    /// # Errors
    /// Returns the errors of these functions.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::ResNet(net) => net.forward_t(x, train),
            Self::MobileNetV3(net) => net.forward_t(x, train),
        }
    }

    /// Computes the logits in training, with the options of `pass`; see [`ResNet::forward_train`] and
    /// [`MobileNetV3::forward_train`].
    ///
    /// # Errors
    /// Returns the errors of these functions.
    pub fn forward_train(&self, x: &Tensor, pass: &TrainPass) -> Result<Tensor> {
        match self {
            Self::ResNet(net) => net.forward_train(x, pass),
            Self::MobileNetV3(net) => net.forward_train(x, pass),
        }
    }

    /// Moves the running statistics towards those of the batch `x`; see [`ResNet::take_statistics`].
    ///
    /// # Errors
    /// Returns the errors of this function.
    pub fn take_statistics(&self, x: &Tensor, share: f64) -> Result<()> {
        match self {
            Self::ResNet(net) => net.take_statistics(x, share),
            Self::MobileNetV3(net) => net.take_statistics(x, share),
        }
    }

    /// Returns the number of features that the last layer receives.
    pub fn features(&self) -> usize {
        match self {
            Self::ResNet(net) => net.features(),
            Self::MobileNetV3(net) => net.features(),
        }
    }

    /// Returns the number of residual blocks with stochastic depth: 0 if the network does not support
    /// it.
    pub fn depth_blocks(&self) -> usize {
        match self {
            Self::ResNet(net) => net.blocks().len(),
            Self::MobileNetV3(_) => 0,
        }
    }

    /// Freezes all batch norms except for the first one; see [`ResNet::with_frozen_norms`].
    #[must_use]
    pub fn with_frozen_norms(self) -> Self {
        match self {
            Self::ResNet(net) => Self::ResNet(net.with_frozen_norms()),
            Self::MobileNetV3(net) => Self::MobileNetV3(net.with_frozen_norms()),
        }
    }

    /// Lets the batch norms use the statistics of several processes in training; see
    /// [`ResNet::with_synchronised_norms`].
    #[must_use]
    pub fn with_synchronised_norms(self, sync: Arc<dyn NormSync>) -> Self {
        match self {
            Self::ResNet(net) => Self::ResNet(net.with_synchronised_norms(sync)),
            Self::MobileNetV3(net) => Self::MobileNetV3(net.with_synchronised_norms(sync)),
        }
    }

    /// Keeps the kernels of the convolutions between passes; see [`ResNet::with_kept_kernels`].
    /// MobileNetV3 keeps none.
    #[must_use]
    pub fn with_kept_kernels(self) -> Self {
        match self {
            Self::ResNet(net) => Self::ResNet(net.with_kept_kernels()),
            Self::MobileNetV3(net) => Self::MobileNetV3(net),
        }
    }

    /// Adds a temporal shift to each residual block; see [`ResNet::with_shift`].
    ///
    /// # Errors
    /// Returns an error if the network has no temporal shift, which is so for MobileNetV3.
    pub fn with_shift(self, frames: usize, fraction: f64) -> Result<Self> {
        match self {
            Self::ResNet(net) => Ok(Self::ResNet(net.with_shift(frames, fraction))),
            Self::MobileNetV3(_) => bail!("network: MobileNetV3 has no temporal shift"),
        }
    }
}

impl ModuleT for Classifier {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}
