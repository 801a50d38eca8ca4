//! R(2+1)D-18 (Tran et al. 2018) with torchvision's parameter names.
#![allow(clippy::needless_pass_by_value, reason = "layers take a `VarBuilder` by value, as candle's own")]

use candle_convnet::{BatchNorm2d, BatchNormConfig, Conv3d, Conv3dConfig, Linear, relu};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

/// A video network whose 3-D convolutions are split into space and time.
#[derive(Clone, Debug)]
pub struct R2Plus1d {
    stem: [(Conv3d, Norm); 2],
    blocks: Vec<Block>,
    fc: Linear,
}

impl R2Plus1d {
    /// Creates the network with 18 layers.
    pub fn new(classes: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let stem = vb.pp("stem");
        let space = Conv3dConfig::default().with_stride((1, 2, 2)).with_padding((0, 3, 3));
        let time = Conv3dConfig::default().with_padding((1, 0, 0));
        let stem = [
            (Conv3d::new(3, 45, (1, 7, 7), space, stem.pp(0))?, Norm::new(45, true, stem.pp(1))?),
            (Conv3d::new(45, 64, (3, 1, 1), time, stem.pp(3))?, Norm::new(64, true, stem.pp(4))?),
        ];
        let mut blocks = Vec::new();
        let mut channels = 64;
        for stage in 0..4 {
            for index in 0..2 {
                let (width, stride) = (64 << stage, if stage > 0 && index == 0 { 2 } else { 1 });
                blocks.push(Block::new(channels, width, stride, vb.pp(format!("layer{}.{index}", stage + 1)))?);
                channels = width;
            }
        }
        Ok(Self { stem, blocks, fc: Linear::new(channels, classes, vb.pp("fc"))? })
    }

    /// Computes the logits [N, classes] of clips [N, T, H, W, 3].
    pub fn forward_t(&self, clips: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = clips.clone();
        for (conv, norm) in &self.stem {
            x = norm.forward_t(&conv.forward(&x)?, train)?;
        }
        for block in &self.blocks {
            x = block.forward_t(&x, train)?;
        }
        self.fc.forward(&x.mean((1, 2, 3))?)
    }
}

/// Batch norm over clips, with or without ReLU.
#[derive(Clone, Debug)]
struct Norm(BatchNorm2d);

impl Norm {
    fn new(channels: usize, relu: bool, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self(BatchNorm2d::new(channels, BatchNormConfig::default().with_relu(relu), vb)?))
    }

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let (n, t, h, w, c) = x.dims5()?;
        self.0.forward_t(&x.reshape((n * t, h, w, c))?, train)?.reshape((n, t, h, w, c))
    }
}

/// A convolution in space, one in time, and their batch norms.
#[derive(Clone, Debug)]
struct SpaceTime {
    space: Conv3d,
    middle: Norm,
    time: Conv3d,
    norm: Norm,
}

impl SpaceTime {
    fn new(
        inputs: usize,
        middle: usize,
        outputs: usize,
        stride: usize,
        relu: bool,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let conv = vb.pp(0);
        let space = Conv3dConfig::default().with_stride((1, stride, stride)).with_padding((0, 1, 1));
        let time = Conv3dConfig::default().with_stride((stride, 1, 1)).with_padding((1, 0, 0));
        Ok(Self {
            space: Conv3d::new(inputs, middle, (1, 3, 3), space, conv.pp(0))?,
            middle: Norm::new(middle, true, conv.pp(1))?,
            time: Conv3d::new(middle, outputs, (3, 1, 1), time, conv.pp(3))?,
            norm: Norm::new(outputs, relu, vb.pp(1))?,
        })
    }

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let x = self.middle.forward_t(&self.space.forward(x)?, train)?;
        self.norm.forward_t(&self.time.forward(&x)?, train)
    }
}

/// A residual block.
#[derive(Clone, Debug)]
struct Block {
    first: SpaceTime,
    second: SpaceTime,
    shortcut: Option<(Conv3d, Norm)>,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize, vb: VarBuilder<'_>) -> Result<Self> {
        // As many parameters as a 3x3x3 convolution.
        let middle = inputs * outputs * 27 / (inputs * 9 + 3 * outputs);
        let point = Conv3dConfig::default().with_stride(stride);
        let shortcut = |vb: VarBuilder<'_>| {
            Ok::<_, candle_core::Error>((
                Conv3d::new(inputs, outputs, 1, point, vb.pp(0))?,
                Norm::new(outputs, false, vb.pp(1))?,
            ))
        };
        Ok(Self {
            first: SpaceTime::new(inputs, middle, outputs, stride, true, vb.pp("conv1"))?,
            second: SpaceTime::new(outputs, middle, outputs, 1, false, vb.pp("conv2"))?,
            shortcut: (stride != 1 || inputs != outputs).then(|| shortcut(vb.pp("downsample"))).transpose()?,
        })
    }

    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let y = self.second.forward_t(&self.first.forward_t(x, train)?, train)?;
        let shortcut = match &self.shortcut {
            Some((conv, norm)) => norm.forward_t(&conv.forward(x)?, train)?,
            None => x.clone(),
        };
        relu(&(y + shortcut)?)
    }
}
