//! MobileNetV3-small (Howard et al. 2019) with torchvision's parameter names.

use super::arch::Arch;
use super::network_config::NetworkConfig;
use super::pass::TrainPass;
use crate::geometry::{Activation, BatchNormConfig, Conv2dConfig};
use crate::ops::activation::hard_swish;
use crate::ops::add::add;
use crate::ops::batch_norm::{BatchNorm2d, NormBy, NormSync};
use crate::ops::conv::Conv2d;
use crate::ops::global_avg_pool::global_avg_pool;
use crate::ops::linear::Linear;
use crate::ops::squeeze_excitation::SqueezeExcitation;
use candle_core::{Module, ModuleT, Result, Tensor, bail};
use candle_nn::VarBuilder;
use candle_nn::init::Init;
use std::sync::Arc;

/// A row of the table of blocks in the paper: kernel, expanded channels, output channels, squeeze
/// and excitation, activation, stride.
type Row = (usize, usize, usize, bool, Activation, usize);

const SMALL: [Row; 11] = [
    (3, 16, 16, true, Activation::Relu, 2),
    (3, 72, 24, false, Activation::Relu, 2),
    (3, 88, 24, false, Activation::Relu, 1),
    (5, 96, 40, true, Activation::HardSwish, 2),
    (5, 240, 40, true, Activation::HardSwish, 1),
    (5, 240, 40, true, Activation::HardSwish, 1),
    (5, 120, 48, true, Activation::HardSwish, 1),
    (5, 144, 48, true, Activation::HardSwish, 1),
    (5, 288, 96, true, Activation::HardSwish, 2),
    (5, 576, 96, true, Activation::HardSwish, 1),
    (5, 576, 96, true, Activation::HardSwish, 1),
];
/// Channels of the first layer, of the last convolution, and of the hidden layer of the classifier.
const STEM: usize = 16;
const LAST_CONV: usize = 576;
const HIDDEN: usize = 1024;

/// Input channels and classes of a [`MobileNetV3`].
///
/// ```
/// # use candle_convnet::MobileNetV3Config;
/// let config = MobileNetV3Config::small(3, 101);
/// assert_eq!((config.in_channels, config.classes), (3, 101));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MobileNetV3Config {
    /// Channels of the input: 3 for RGB.
    pub in_channels: usize,
    /// Number of classes, which is the number of logits.
    pub classes: usize,
}

impl MobileNetV3Config {
    /// Returns the settings for a MobileNetV3-small that maps `in_channels` channels to `classes`
    /// logits.
    pub const fn small(in_channels: usize, classes: usize) -> Self {
        Self { in_channels, classes }
    }
}

impl NetworkConfig for MobileNetV3Config {
    type Network = MobileNetV3;

    fn build(&self, vb: VarBuilder<'_>) -> Result<MobileNetV3> {
        MobileNetV3::new(self, vb)
    }

    fn first_weights(&self) -> &str {
        Arch::MobileNetV3Small.first_weights()
    }

    fn last_layer(&self) -> &str {
        Arch::MobileNetV3Small.last_layer()
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }
}

/// A small network for devices with little memory and power: MobileNetV3-small (Howard et al. 2019,
/// "Searching for MobileNetV3"), with the layers and names of torchvision.
///
/// It is built from the layers of this crate, so it is also an example of how to build your own
/// network. Clones share their parameters.
///
/// ```
/// # use candle_convnet::{MobileNetV3Config, Model};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let model = Model::random(&MobileNetV3Config::small(3, 1000), 42, &Device::Cpu)?;
/// let images = Tensor::zeros((2, 64, 64, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(model.net.forward_t(&images, false)?.dims(), [2, 1000]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MobileNetV3(Arc<Layers>);

#[derive(Clone, Debug)]
struct Layers {
    stem: Unit,
    blocks: Vec<InvertedResidual>,
    last: Unit,
    hidden: Linear,
    classes: Linear,
}

impl MobileNetV3 {
    /// Creates a network whose parameters and running statistics come from `vb`, with torchvision's
    /// names.
    ///
    /// New parameters have the distributions of torchvision.
    ///
    /// # Errors
    /// Returns the error of `vb` if a parameter is missing or has another shape.
    pub fn new(config: &MobileNetV3Config, vb: VarBuilder<'_>) -> Result<Self> {
        let MobileNetV3Config { in_channels, classes } = *config;
        let features = vb.pp("features");
        let (three, one) = (Conv2dConfig::default().with_stride(2).with_padding(1), Conv2dConfig::default());
        let hard_swish = Some(Activation::HardSwish);
        let stem = Unit::new(in_channels, STEM, 3, three, hard_swish, features.pp(0))?;
        let mut channels = STEM;
        let mut blocks = Vec::with_capacity(SMALL.len());
        for (at, row) in SMALL.into_iter().enumerate() {
            blocks.push(InvertedResidual::new(channels, row, features.pp(at + 1).pp("block"))?);
            channels = row.2;
        }
        let last = Unit::new(channels, LAST_CONV, 1, one, hard_swish, features.pp(SMALL.len() + 1))?;
        let init = (Init::Randn { mean: 0., stdev: 0.01 }, Init::Const(0.));
        let classifier = vb.pp("classifier");
        let hidden = Linear::with_init(LAST_CONV, HIDDEN, init, classifier.pp(0))?;
        let classes = Linear::with_init(HIDDEN, classes, init, classifier.pp(3))?;
        Ok(Self(Arc::new(Layers { stem, blocks, last, hidden, classes })))
    }

    /// Freezes all batch norms except for the first one, like
    /// [`ResNet::with_frozen_norms`](crate::ResNet::with_frozen_norms).
    #[must_use]
    pub fn with_frozen_norms(mut self) -> Self {
        let Layers { blocks, last, .. } = Arc::make_mut(&mut self.0);
        for unit in blocks.iter_mut().flat_map(InvertedResidual::units_mut).chain([last]) {
            unit.norm = unit.norm.clone().with_frozen(true);
        }
        self
    }

    /// Lets the batch norms normalise with the statistics of the images of all processes of `sync` in training, like
    /// [`ResNet::with_synchronised_norms`](crate::ResNet::with_synchronised_norms).
    #[must_use]
    pub fn with_synchronised_norms(mut self, sync: Arc<dyn NormSync>) -> Self {
        let Layers { stem, blocks, last, .. } = Arc::make_mut(&mut self.0);
        for unit in blocks.iter_mut().flat_map(InvertedResidual::units_mut).chain([stem, last]) {
            unit.norm = unit.norm.clone().with_sync(sync.clone());
        }
        self
    }

    /// Returns the number of features that the last layer receives: 1024.
    pub fn features(&self) -> usize {
        HIDDEN
    }

    /// Computes the logits `[N, classes]`, f32, of the images `x` `[N, H, W, in_channels]`.
    ///
    /// `x` is f32 or bf16, and normalised; see [`normalise`](crate::normalise). If `train`
    /// is true, the batch norms use the statistics of the batch and update their running statistics.
    /// Otherwise, they use the running statistics. The result has gradients in both cases. Unlike in
    /// torchvision, training has no dropout; [`MobileNetV3::forward_train`] adds it.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `x` does not fit, or if an operation fails on
    /// the device.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.classify(&self.forward_features(x, By::Mode(train))?, None)
    }

    /// Computes the logits in training, like [`MobileNetV3::forward_t`], with the dropout of `pass`.
    /// torchvision drops 20 % of the features.
    ///
    /// # Errors
    /// Returns the errors of [`MobileNetV3::forward_t`]. Returns an error if the dropout mask does
    /// not have the shape `[N, 1024]` and type f32, or if `pass` has stochastic depth, which this
    /// network does not support.
    pub fn forward_train(&self, x: &Tensor, pass: &TrainPass) -> Result<Tensor> {
        if pass.stochastic_depth.is_some() {
            bail!("network: MobileNetV3 has no stochastic depth");
        }
        pass.check(x.dim(0)?, self.features(), 0)?;
        self.classify(&self.forward_features(x, By::Mode(true))?, pass.dropout.as_ref())
    }

    /// Moves the running statistics towards those of the batch `x`, like
    /// [`ResNet::take_statistics`](crate::ResNet::take_statistics).
    ///
    /// # Errors
    /// Returns an error if `share` is not between 0 and 1, and the errors of
    /// [`MobileNetV3::forward_t`].
    pub fn take_statistics(&self, x: &Tensor, share: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&share) {
            bail!("take_statistics: share is {share}, but must be between 0 and 1");
        }
        self.forward_features(&x.detach(), By::Share(share))?;
        Ok(())
    }

    /// Computes the features [N, H', W', 576] before the pooling.
    fn forward_features(&self, x: &Tensor, by: By) -> Result<Tensor> {
        let Layers { stem, blocks, last, .. } = &*self.0;
        let mut x = stem.forward(x, by)?;
        for block in blocks {
            x = block.forward(&x, by)?;
        }
        last.forward(&x, by)
    }

    fn classify(&self, features: &Tensor, dropout: Option<&Tensor>) -> Result<Tensor> {
        let Layers { hidden, classes, .. } = &*self.0;
        let mut hidden = hard_swish(&hidden.forward(&global_avg_pool(features)?)?)?;
        if let Some(dropout) = dropout {
            hidden = (hidden * dropout)?;
        }
        classes.forward(&hidden)
    }
}

impl ModuleT for MobileNetV3 {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.forward_t(x, train)
    }
}

/// How the batch norms of a pass work.
#[derive(Clone, Copy)]
enum By {
    /// As in training, or as in evaluation.
    Mode(bool),
    /// They only collect statistics; see [`MobileNetV3::take_statistics`].
    Share(f64),
}

/// A convolution that keeps the size of the image (divided by its stride), its batch norm and an
/// activation.
#[derive(Clone, Debug)]
struct Unit {
    conv: Conv2d,
    norm: BatchNorm2d,
    activation: Option<Activation>,
}

impl Unit {
    fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        config: Conv2dConfig,
        activation: Option<Activation>,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        // The batch norm computes ReLU in its own pass.
        let relu = activation == Some(Activation::Relu);
        let norm = BatchNormConfig::default().with_eps(1e-3).with_momentum(0.01).with_relu(relu);
        Ok(Self {
            conv: Conv2d::new(inputs, outputs, kernel, config, vb.pp(0))?,
            norm: BatchNorm2d::new(outputs, norm, vb.pp(1))?,
            activation: activation.filter(|_| !relu),
        })
    }

    fn forward(&self, x: &Tensor, by: By) -> Result<Tensor> {
        let x = self.conv.forward(x)?;
        let y = match by {
            By::Mode(train) => self.norm.forward_t(&x, train)?,
            By::Share(share) => self.norm.forward(&x.detach(), None, NormBy::Batch { share }, None)?.0,
        };
        self.activation.map_or(Ok(y.clone()), |activation| activation.forward(&y))
    }
}

/// A block that expands the channels, convolves each of them, and projects them to fewer.
#[derive(Clone, Debug)]
struct InvertedResidual {
    expand: Option<Unit>,
    depthwise: Unit,
    excitation: Option<SqueezeExcitation>,
    project: Unit,
    /// Whether the input is added to the output.
    residual: bool,
}

impl InvertedResidual {
    fn new(inputs: usize, row: Row, vb: VarBuilder<'_>) -> Result<Self> {
        let (kernel, expanded, outputs, excitation, activation, stride) = row;
        let one = Conv2dConfig::default();
        let depthwise = one.with_stride(stride).with_padding(kernel / 2).with_groups(expanded);
        let mut parts = 0..;
        let mut next = || vb.pp(parts.next().unwrap_or(0));
        Ok(Self {
            expand: (expanded != inputs)
                .then(|| Unit::new(inputs, expanded, 1, one, Some(activation), next()))
                .transpose()?,
            depthwise: Unit::new(expanded, expanded, kernel, depthwise, Some(activation), next())?,
            excitation: excitation
                .then(|| SqueezeExcitation::new(expanded, divisible(expanded / 4), next()))
                .transpose()?,
            project: Unit::new(expanded, outputs, 1, one, None, next())?,
            residual: stride == 1 && inputs == outputs,
        })
    }

    fn units_mut(&mut self) -> impl Iterator<Item = &mut Unit> {
        self.expand.iter_mut().chain([&mut self.depthwise, &mut self.project])
    }

    fn forward(&self, x: &Tensor, by: By) -> Result<Tensor> {
        let mut y = match &self.expand {
            Some(expand) => expand.forward(x, by)?,
            None => x.clone(),
        };
        y = self.depthwise.forward(&y, by)?;
        if let Some(excitation) = &self.excitation {
            y = excitation.forward(&y)?;
        }
        y = self.project.forward(&y, by)?;
        if self.residual { add(&y, x) } else { Ok(y) }
    }
}

/// Returns the multiple of 8 that is closest to `channels`, but at least 90 % of it, as
/// torchvision's `_make_divisible`.
fn divisible(channels: usize) -> usize {
    let rounded = ((channels + 4) / 8 * 8).max(8);
    if 10 * rounded < 9 * channels { rounded + 8 } else { rounded }
}
