//! ResNet-18 to 152 (He et al. 2015) with torchvision's parameter names.
//!
//! The 3x3 convolution of a bottleneck has the stride, as in
//! [torchvision](https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py) ("ResNet
//! v1.5").

use super::arch::Arch;
use super::backbone::{Backbone, BackboneTrace};
use super::block::{Block, Stem};
use super::config::{Depth, ResNetConfig};
use super::conv_norm::ConvNorm;
use super::network_config::NetworkConfig;
use super::pass::TrainPass;
use super::tape::{self, Gradients};
use crate::geometry::Clips;
use crate::ops::batch_norm::{NormBy, NormSync};
use crate::ops::global_avg_pool::{global_avg_pool, global_avg_pool_forward, global_avg_pool_grad};
use crate::ops::linear::{self, Linear, linear};
use candle_core::{ModuleT, Result, Tensor};
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
    backbone: Arc<Backbone>,
    fc: Linear,
    depth: Depth,
    clips: Option<Clips>,
}

/// Activations that the backward pass needs.
struct Trace {
    backbone: BackboneTrace,
    /// Output of the last block. `features` is its mean over pixels.
    last: Tensor,
    features: Tensor,
    /// The mask that the features were multiplied by.
    dropout: Option<Tensor>,
}

impl ResNet {
    /// Creates a network whose parameters and running statistics come from `vb`, with torchvision's
    /// names.
    ///
    /// # Errors
    /// Returns the error of `vb` if a parameter is missing or has another shape.
    pub fn new(config: &ResNetConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let backbone = Arc::new(Backbone::new(config, &vb)?);
        let fc = Linear::new(config.depth.features(), config.classes, vb.pp("fc"))?;
        Ok(Self { backbone, fc, depth: config.depth, clips: None })
    }

    /// Freezes all batch norms except for the first one ("partial BN": Wang et al. 2016, "Temporal
    /// Segment Networks").
    ///
    /// Training passes then normalise with the running statistics in these layers and do not change
    /// them. Their weights and biases get no gradients, as in the authors' code.
    #[must_use]
    pub fn with_frozen_norms(mut self) -> Self {
        let blocks = &mut Arc::make_mut(&mut self.backbone).blocks;
        blocks.iter_mut().flat_map(Block::layers_mut).for_each(ConvNorm::freeze);
        self
    }

    /// Adds a temporal shift to each residual block (Lin et al. 2019, "TSM: Temporal Shift Module
    /// for Efficient Video Understanding").
    ///
    /// The images of a batch are then clips of `frames` consecutive images, so N must be a multiple
    /// of `frames`. In each block, [`temporal_shift`](crate::temporal_shift) moves a `fraction` of
    /// the channels in each direction, in the input of the first convolution, but not in that of the
    /// shortcut ("residual shift"). The authors use 1/8. It works in training, in evaluation and in
    /// [`ResNet::take_statistics`]. The logits are still those of single images; the authors use
    /// their mean over a clip.
    ///
    /// The network has the same parameters with and without the shift. For ResNet-101 and
    /// ResNet-152, the authors' code shifts in every second block only.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{DType, Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let net = net.with_shift(8, 1. / 8.);
    /// // Two clips of eight frames.
    /// let images = Tensor::zeros((2 * 8, 32, 32, 3), DType::F32, &Device::Cpu)?;
    /// let logits = net.forward_t(&images, true)?.reshape((2, 8, 10))?.mean(1)?;
    /// assert_eq!(logits.dims(), [2, 10]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_shift(mut self, frames: usize, fraction: f64) -> Self {
        self.clips = Some(Clips { frames, fraction });
        for block in &mut Arc::make_mut(&mut self.backbone).blocks {
            block.clips = self.clips;
        }
        self
    }

    /// Keeps the kernels of the convolutions between passes, in the layout that the CPU multiplies.
    ///
    /// The first pass computes them and later ones use them, which makes these faster, most of all for small
    /// images and batches. The results are the same bits. Evaluations, forward passes of training and backward
    /// passes each have kernels of their own, which need up to four times the memory of the weights. Clones
    /// share them. On a GPU, nothing changes.
    ///
    /// Use the result only for passes with the same weights: an evaluation, or the passes of one training step
    /// that adds up several gradients. After the first pass, changes of parameters may have no effect on it,
    /// and changes of running statistics may have none on an evaluation. Other networks with the same parameters
    /// see the changes.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{DType, Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?;
    /// let net = model.net.clone().with_kept_kernels();
    /// for _ in 0..3 {
    ///     let images = Tensor::randn(0f32, 1., (1, 32, 32, 3), &Device::Cpu)?;
    ///     let (kept, computed) = (net.forward_t(&images, false)?, model.net.forward_t(&images, false)?);
    ///     assert_eq!(kept.to_vec2::<f32>()?, computed.to_vec2::<f32>()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_kept_kernels(mut self) -> Self {
        let Backbone { stem, blocks } = Arc::make_mut(&mut self.backbone);
        blocks.iter_mut().flat_map(Block::layers_mut).chain([stem.layer_mut()]).for_each(ConvNorm::keep_kernels);
        self
    }

    /// Lets the batch norms normalise with the statistics of the images of all processes of `sync` in training,
    /// as if one process had all images (Zhang et al. 2018, "Context Encoding for Semantic Segmentation").
    ///
    /// Each process computes the gradients of a loss of its own images. If the loss of all images is the sum of
    /// these losses, its gradients are their sums. The running statistics are the same in all processes. Frozen
    /// batch norms stay as they are. Works on the CPU.
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, NormSync, ResNetConfig};
    /// # use candle_core::{DType, Device, Result, Tensor};
    /// # use std::sync::Arc;
    /// /// A single process. A real one sends its values to the others, and receives theirs.
    /// #[derive(Debug)]
    /// struct Alone;
    ///
    /// impl NormSync for Alone {
    ///     fn gather(&self, own: &[f64]) -> Result<Vec<Vec<f64>>> {
    ///         Ok(vec![own.to_vec()])
    ///     }
    /// }
    ///
    /// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let joint = net.clone().with_synchronised_norms(Arc::new(Alone));
    /// let images = Tensor::randn(0f32, 1., (2, 32, 32, 3), &Device::Cpu)?;
    /// let (joint, plain) = (joint.forward_t(&images, true)?, net.forward_t(&images, true)?);
    /// assert_eq!(joint.to_vec2::<f32>()?, plain.to_vec2::<f32>()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_synchronised_norms(mut self, sync: Arc<dyn NormSync>) -> Self {
        let Backbone { stem, blocks } = Arc::make_mut(&mut self.backbone);
        let layers = blocks.iter_mut().flat_map(Block::layers_mut).chain([stem.layer_mut()]);
        layers.for_each(|layer| layer.synchronise(&sync));
        self
    }

    /// Returns the number of features that the last layer receives: 512 or 2048.
    pub fn features(&self) -> usize {
        self.depth.features()
    }

    /// Returns the first layers.
    ///
    /// Stem, blocks and head are candle modules. Together they compute what [`ResNet::forward_t`]
    /// does, and you can replace or change parts:
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let images = Tensor::randn(0f32, 1., (2, 64, 64, 3), &Device::Cpu)?;
    /// let mut x = net.stem().forward_t(&images, false)?;
    /// for block in net.blocks() {
    ///     x = block.forward_t(&x, false)?;
    /// }
    /// let logits = net.forward_head(&x)?;
    /// assert_eq!(logits.to_vec2::<f32>()?, net.forward_t(&images, false)?.to_vec2::<f32>()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stem(&self) -> &Stem {
        &self.backbone.stem
    }

    /// Returns the residual blocks of all stages, from the first to the last: 8 in ResNet-18, 16 in
    /// ResNet-50.
    pub fn blocks(&self) -> &[Block] {
        &self.backbone.blocks
    }

    /// Returns the blocks of each of the four stages, `layer1` to `layer4`.
    ///
    /// Use them for networks that need images of several sizes, such as feature pyramids:
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{DType, Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let mut x = net.stem().forward_t(&Tensor::zeros((1, 64, 64, 3), DType::F32, &Device::Cpu)?, true)?;
    /// let mut sizes = Vec::new();
    /// for stage in net.stages() {
    ///     for block in stage {
    ///         x = block.forward_t(&x, true)?;
    ///     }
    ///     sizes.push(x.dims4()?);
    /// }
    /// assert_eq!(sizes, [(1, 16, 16, 64), (1, 8, 8, 128), (1, 4, 4, 256), (1, 2, 2, 512)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stages(&self) -> [&[Block]; 4] {
        let mut rest = self.blocks();
        self.depth.blocks().map(|count| {
            let (stage, after) = rest.split_at(count);
            rest = after;
            stage
        })
    }

    /// Returns the last layer.
    pub fn fc(&self) -> &Linear {
        &self.fc
    }

    /// Computes the logits `[N, classes]`, f32, of the images `x` `[N, H, W, in_channels]`.
    ///
    /// `x` is f32 or bf16, and normalised; see [`normalise`](crate::normalise).
    ///
    /// If `train` is true, the batch norms use the statistics of the batch and update their running
    /// statistics (except for [frozen](ResNet::with_frozen_norms) ones). The result can be
    /// differentiated once.
    ///
    /// If `train` is false, the batch norms use the running statistics. If `x` depends on a variable,
    /// the result can then be differentiated once, too. Otherwise it has no gradient, and the pass is
    /// faster. For the gradient of a score, such as that of a saliency map, make `x` a variable:
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig};
    /// # use candle_core::{Device, Var};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let image = Var::randn(0f32, 1., (1, 64, 64, 3), &Device::Cpu)?;
    /// let score = net.forward_t(&image, false)?.get(0)?.get(7)?;
    /// let saliency = score.backward()?.get(&image).unwrap().abs()?.max(3)?;
    /// assert_eq!(saliency.dims(), [1, 64, 64]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The whole network is one node of candle's graph. candle would add each gradient between two
    /// nodes to zeros, which costs as much memory traffic as the layers themselves.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `x` does not fit, if N is not a multiple of the
    /// frames of a [shift](ResNet::with_shift), or if an operation fails on the device.
    /// Differentiating the result a second time is an error, too.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.check_images(x)?;
        if !train && !x.track_op() {
            return self.evaluate(&x.detach(), NormBy::Running);
        }
        self.record(x, train, &TrainPass::new())
    }

    /// Computes the logits in training, like [`ResNet::forward_t`], with the options of `pass`:
    /// dropout and stochastic depth. [`TrainPass`] has an example.
    ///
    /// # Errors
    /// Returns the errors of [`ResNet::forward_t`], and an error if the factors of `pass` have
    /// another shape or type.
    pub fn forward_train(&self, x: &Tensor, pass: &TrainPass) -> Result<Tensor> {
        pass.check(self.check_images(x)?, self.features(), self.blocks().len())?;
        self.record(x, true, pass)
    }

    /// Computes the features `[N, H', W', F]` of the last block, from which
    /// [`ResNet::forward_head`] computes the logits. H' is H / 32, rounded up, and F is
    /// [`ResNet::features`].
    ///
    /// Training and evaluation, types and gradients are those of [`ResNet::forward_t`].
    ///
    /// ```
    /// # use candle_convnet::{Depth, Model, ResNetConfig, global_avg_pool};
    /// # use candle_core::{DType, Device, Tensor};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
    /// let images = Tensor::zeros((2, 64, 96, 3), DType::F32, &Device::Cpu)?;
    /// let features = net.forward_features(&images, false)?;
    /// assert_eq!(features.dims(), [2, 2, 3, 512]);
    /// assert_eq!(global_avg_pool(&features)?.dims(), [2, 512]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the errors of [`ResNet::forward_t`].
    pub fn forward_features(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.check_images(x)?;
        if !train && !x.track_op() {
            return self.backbone.evaluate(&x.detach(), NormBy::Running);
        }
        let (features, trace) = self.backbone.forward(&x.detach(), train, None)?;
        let backbone = self.backbone.clone();
        tape::record(&features, x, &self.backbone.parameters(), move |grad, wants_input| {
            let mut gradients = Gradients::default();
            let input = backbone.backward(trace, grad.clone(), wants_input, &mut gradients)?;
            Ok((input, gradients))
        })
    }

    /// Computes the logits `[N, classes]` from the features `[N, H', W', F]` of
    /// [`ResNet::forward_features`]: their mean over pixels, and the last layer.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `features` does not fit.
    pub fn forward_head(&self, features: &Tensor) -> Result<Tensor> {
        self.fc.forward(&global_avg_pool(features)?)
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
        self.evaluate(&x.detach(), NormBy::Batch { share })?;
        Ok(())
    }

    /// Checks that the images `x` are whole clips, and returns their number.
    fn check_images(&self, x: &Tensor) -> Result<usize> {
        let (n, _, _, _) = x.dims4()?;
        if let Some(clips) = self.clips {
            clips.check(n)?;
        }
        Ok(n)
    }

    /// Computes the logits as one node of candle's graph.
    fn record(&self, x: &Tensor, train: bool, pass: &TrainPass) -> Result<Tensor> {
        let (logits, trace) = self.forward(&x.detach(), train, pass)?;
        let (weight, bias) = self.fc.parameters();
        let mut parameters = self.backbone.parameters();
        parameters.extend([weight, bias]);
        let net = self.clone();
        tape::record(&logits, x, &parameters, move |grad, wants_input| net.backward(trace, grad, wants_input))
    }

    /// Computes the logits outside candle's graph.
    fn forward(&self, x: &Tensor, train: bool, pass: &TrainPass) -> Result<(Tensor, Trace)> {
        let (last, backbone) = self.backbone.forward(x, train, pass.stochastic_depth.as_ref())?;
        let mut features = global_avg_pool_forward(&last)?;
        if let Some(dropout) = &pass.dropout {
            features = (features * dropout)?;
        }
        let logits = self.classify(&features)?;
        Ok((logits, Trace { backbone, last, features, dropout: pass.dropout.clone() }))
    }

    /// Computes the logits outside candle's graph and without a backward pass.
    fn evaluate(&self, x: &Tensor, by: NormBy) -> Result<Tensor> {
        self.classify(&global_avg_pool_forward(&self.backbone.evaluate(x, by)?)?)
    }

    fn classify(&self, features: &Tensor) -> Result<Tensor> {
        let (weight, bias) = self.fc.parameters();
        linear(features, &weight.detach(), &bias.detach())
    }

    /// Computes the gradients of all parameters, and of the input if `wants_input`, from the
    /// gradient of the logits.
    fn backward(&self, trace: Trace, grad: &Tensor, wants_input: bool) -> Result<(Option<Tensor>, Gradients)> {
        let Trace { backbone, last, features, dropout } = trace;
        let mut gradients = Gradients::default();
        let (weight, bias) = self.fc.parameters();
        let (mut grad, weight_grad, bias_grad) = linear::gradients(&features, weight, grad)?;
        if let Some(dropout) = dropout {
            grad = (grad * dropout)?;
        }
        gradients.insert(weight, weight_grad);
        gradients.insert(bias, bias_grad);
        let grad = global_avg_pool_grad(&grad, &last)?;
        drop(last);
        let input = self.backbone.backward(backbone, grad, wants_input, &mut gradients)?;
        Ok((input, gradients))
    }
}

impl NetworkConfig for ResNetConfig {
    type Network = ResNet;

    fn build(&self, vb: VarBuilder<'_>) -> Result<ResNet> {
        ResNet::new(self, vb)
    }

    fn first_weights(&self) -> &str {
        Arch::ResNet(self.depth).first_weights()
    }

    fn last_layer(&self) -> &str {
        Arch::ResNet(self.depth).last_layer()
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }
}

impl ModuleT for ResNet {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}
