//! ResNet-18 to 152 (He et al. 2015) under torchvision's parameter names.
//!
//! The bottleneck's stride sits on its 3x3 convolution, as in
//! [torchvision](https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py) ("ResNet v1.5").

use crate::{BatchNorm2d, BatchNormConfig, Conv2d, Conv2dConfig, Linear, MaxPool2dConfig};
use crate::{add_relu, global_avg_pool, max_pool2d};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use std::fmt;
use std::str::FromStr;

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
    training: Layers,
    /// The same layers on the same storage outside the autograd graph, so that evaluation keeps no activation.
    inference: Layers,
}

impl ResNet {
    /// Takes all parameters and running statistics from `vb` by torchvision's names.
    #[expect(clippy::needless_pass_by_value, reason = "as candle's own modules take it")]
    pub fn new(config: &ResNetConfig, vb: VarBuilder<'_>) -> Result<Self> {
        let training = Layers::new(config, &vb)?;
        let inference = training.detached();
        Ok(Self { training, inference })
    }

    /// `x` [N, H, W, `in_channels`] f32, normalised, contiguous -> logits [N, classes].
    ///
    /// With `train`, batch statistics normalise, running statistics move, and the result can be differentiated. Without it
    /// running statistics normalise and nothing is recorded: `backward` finds no variable behind the result.
    pub fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if train { self.training.forward_t(x, true) } else { self.inference.forward_t(&x.detach(), false) }
    }
}

#[derive(Clone, Debug)]
struct Layers {
    stem: ConvNorm,
    blocks: Vec<Block>,
    fc: Linear,
}

const MAX_POOL: MaxPool2dConfig = MaxPool2dConfig { kernel: 3, stride: 2, padding: 1 };

impl Layers {
    fn new(config: &ResNetConfig, vb: &VarBuilder<'_>) -> Result<Self> {
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

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = max_pool2d(&self.stem.forward_t(x, train)?, MAX_POOL)?;
        for block in &self.blocks {
            x = block.forward_t(&x, train)?;
        }
        self.fc.forward(&global_avg_pool(&x)?)
    }

    fn detached(&self) -> Self {
        Self {
            stem: self.stem.detached(),
            blocks: self.blocks.iter().map(Block::detached).collect(),
            fc: self.fc.detached(),
        }
    }
}

/// A residual block: `relu(branch(x) + shortcut(x))`.
#[derive(Clone, Debug)]
struct Block {
    branch: Vec<ConvNorm>,
    shortcut: Option<ConvNorm>,
    outputs: usize,
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

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut y = x.clone();
        for layer in &self.branch {
            y = layer.forward_t(&y, train)?;
        }
        match &self.shortcut {
            Some(shortcut) => add_relu(&y, &shortcut.forward_t(x, train)?),
            None => add_relu(&y, x),
        }
    }

    fn detached(&self) -> Self {
        Self {
            branch: self.branch.iter().map(ConvNorm::detached).collect(),
            shortcut: self.shortcut.as_ref().map(ConvNorm::detached),
            outputs: self.outputs,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct ConvShape {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
}

/// A convolution that keeps the image's size (over its stride), its batch norm and perhaps a rectifier.
#[derive(Clone, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    fn new(shape: ConvShape, relu: bool, conv: &VarBuilder<'_>, norm: &VarBuilder<'_>) -> Result<Self> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let geometry = Conv2dConfig { stride, padding: kernel / 2 };
        Ok(Self {
            conv: Conv2d::new(inputs, outputs, kernel, geometry, conv)?,
            norm: BatchNorm2d::new(outputs, BatchNormConfig { relu, ..BatchNormConfig::default() }, norm)?,
        })
    }

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        self.norm.forward_t(&self.conv.forward(x)?, train)
    }

    fn detached(&self) -> Self {
        Self { conv: self.conv.detached(), norm: self.norm.detached() }
    }
}
