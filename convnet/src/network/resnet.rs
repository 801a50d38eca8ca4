//! ResNet-18 to 152 (He et al. 2015) with torchvision's parameter names.
//!
//! The 3x3 convolution of a bottleneck has the stride, as in
//! [torchvision](https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py) ("ResNet
//! v1.5").

use super::config::ResNetConfig;
use super::layers::{Layers, Mode, TrainNorms};
use super::pass::TrainPass;
use super::tape;
use crate::geometry::check_clips;
use crate::ops::batch_norm::NormBy;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use std::sync::Arc;

/// A residual network: ResNet-18 to 152 (He et al. 2015), with the layers of torchvision.
///
/// [`Model`](crate::Model) adds the names of the parameters, initial values and loading. Clones
/// share their parameters.
///
/// As in torchvision's "ResNet v1.5", the 3x3 convolution of a bottleneck has the stride.
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
    mode: Mode,
}

impl ResNet {
    /// Creates a network whose parameters and running statistics come from `vb`, with torchvision's
    /// names.
    ///
    /// # Errors
    /// Returns the error of `vb` if a parameter is missing or has another shape.
    #[expect(clippy::needless_pass_by_value, reason = "as candle's own modules take it")]
    pub fn new(config: &ResNetConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let mode = Mode { norms: TrainNorms::Batch, shift: None };
        Ok(Self { layers: Arc::new(Layers::new(config, &vb)?), mode })
    }

    /// Freezes all batch norms except for the first one ("partial BN": Wang et al. 2016, "Temporal
    /// Segment Networks").
    ///
    /// From now on, training passes normalise with the running statistics in these layers and do
    /// not change them. Their weights and biases get no gradients, as in the authors' code.
    pub fn freeze_norms(&mut self) {
        self.mode.norms = TrainNorms::Frozen;
    }

    /// Adds a temporal shift to each residual block (Lin et al. 2019, "TSM: Temporal Shift Module
    /// for Efficient Video Understanding").
    ///
    /// From now on, the images of a batch are clips of `frames` consecutive images, so N must be a
    /// multiple of `frames`. In each block, [`temporal_shift`](crate::temporal_shift) changes the
    /// input of the first convolution, but not that of the shortcut ("residual shift"). It works in
    /// training, in evaluation and in [`ResNet::take_statistics`]. The logits are still those of
    /// single images; the authors use their mean over a clip.
    ///
    /// The network has the same parameters with and without the shift. For ResNet-101 and
    /// ResNet-152, the authors' code shifts in every second block only.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{DType, Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// net.shift_frames(8);
    /// // Two clips of eight frames.
    /// let images = Tensor::zeros((2 * 8, 32, 32, 3), DType::F32, &Device::Cpu)?;
    /// let logits = net.forward_t(&images, true)?.reshape((2, 8, 10))?.mean(1)?;
    /// assert_eq!(logits.dims(), [2, 10]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shift_frames(&mut self, frames: usize) {
        self.mode.shift = Some(frames);
    }

    /// Returns the number of residual blocks: 8 in ResNet-18, 16 in ResNet-50.
    pub fn blocks(&self) -> usize {
        self.layers.blocks()
    }

    /// Returns the number of features that the last layer receives: 512 or 2048.
    pub fn features(&self) -> usize {
        self.layers.features()
    }

    /// Computes the logits `[N, classes]`, f32, of the images `x` `[N, H, W, in_channels]`.
    ///
    /// `x` is f32, or bf16 on a GPU, and normalised; see [`normalise`](crate::normalise).
    ///
    /// If `train` is true, the batch norms use the statistics of the batch and update their running
    /// statistics (except for [frozen](ResNet::freeze_norms) ones). The result can be
    /// differentiated once. If `train` is false, the batch norms use the running statistics, and
    /// the result has no gradient.
    ///
    /// The whole network is one node of candle's graph. candle would add each gradient between two
    /// nodes to zeros, which costs as much memory traffic as the layers themselves.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `x` does not fit, if N is not a multiple of the
    /// frames of a [shift](ResNet::shift_frames), or if an operation fails on the device.
    /// Differentiating the result a second time is an error, too.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if !train {
            self.check_images(x)?;
            return self.layers.evaluate(&x.detach(), self.mode.shift, NormBy::Running);
        }
        self.forward_train(x, &TrainPass::new())
    }

    /// Computes the logits in training, like [`ResNet::forward_t`], with the options of `pass`:
    /// dropout and stochastic depth. [`TrainPass`] has an example.
    ///
    /// # Errors
    /// Returns the errors of [`ResNet::forward_t`], and an error if the factors of `pass` have
    /// another shape or type.
    pub fn forward_train(&self, x: &Tensor, pass: &TrainPass) -> Result<Tensor> {
        pass.check(self.check_images(x)?, self.features(), self.blocks())?;
        let (logits, trace) = self.layers.forward(&x.detach(), self.mode, pass)?;
        let layers = self.layers.clone();
        let back = move |grad: &Tensor, wants_input: bool| layers.backward(trace, grad, wants_input);
        tape::record(&logits, x, &self.layers.parameters(), back)
    }

    /// Checks that the images `x` are whole clips, and returns their number.
    fn check_images(&self, x: &Tensor) -> Result<usize> {
        let (n, _, _, _) = x.dims4()?;
        if let Some(frames) = self.mode.shift {
            check_clips(n, frames)?;
        }
        Ok(n)
    }

    /// Moves the running statistics towards those of the batch `x`:
    /// `running += share · (batch - running)`.
    ///
    /// `x` is `[N, H, W, in_channels]`, as for [`ResNet::forward_t`]. Nothing else changes.
    ///
    /// Use it for precise batch norm (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm").
    /// Training leaves statistics that partly come from earlier weights. Call this method for
    /// batches 1, 2, .. k with shares 1, 1/2, .. 1/k, and the running statistics become the mean of
    /// the statistics of these batches, all with the current weights.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// for k in 1..=3 {
    ///     let batch = Tensor::randn(0f32, 1., (4, 32, 32, 3), &Device::Cpu)?;
    ///     net.take_statistics(&batch, 1. / f64::from(k))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns an error if `share` is not between 0 and 1, and the errors of [`ResNet::forward_t`].
    pub fn take_statistics(&self, x: &Tensor, share: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&share) {
            candle_core::bail!("take_statistics: share is {share}, but must be between 0 and 1");
        }
        self.check_images(x)?;
        self.layers.evaluate(&x.detach(), self.mode.shift, NormBy::Batch { share })?;
        Ok(())
    }
}
