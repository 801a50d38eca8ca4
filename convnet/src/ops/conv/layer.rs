//! The convolution layer.

use super::op::{conv2d, conv2d_with_bias};
use crate::geometry::{Conv2dConfig, Hw};
use candle_core::{Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

/// The distribution of new weights: Kaiming normal by fan-out.
pub(crate) const INIT: Init =
    Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };

/// A convolution layer, with or without bias. See [`conv2d`] for the formula.
///
/// ```
/// # use candle_convnet::{Conv2d, Conv2dConfig};
/// # use candle_core::{DType, Device, Module, Tensor};
/// # use candle_nn::{VarBuilder, VarMap, seq};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let stem = Conv2dConfig::default().with_stride(2).with_padding(3);
/// let depthwise = Conv2dConfig::default().with_padding(1).with_groups(8);
/// let layers = seq()
///     .add(Conv2d::new(3, 8, 7, stem, vb.pp("stem"))?)
///     .add(Conv2d::with_bias(8, 8, 3, depthwise, vb.pp("depthwise"))?);
/// let images = Tensor::zeros((2, 32, 48, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(layers.forward(&images)?.dims(), [2, 16, 24, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    config: Conv2dConfig,
}

impl Conv2d {
    /// Creates a layer without bias from `weight` of `vb`, which is `[out_channels, in_channels /
    /// groups, kernel height, kernel width]`. `kernel` is the size along both axes, or (height,
    /// width).
    ///
    /// If `vb` creates a new variable, its distribution is Kaiming normal by fan-out, as in
    /// torchvision's networks.
    ///
    /// # Errors
    /// Returns the error of `vb` if the tensor is missing or has another shape, and an error if
    /// the groups do not divide the channels.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: impl Into<Hw>,
        config: Conv2dConfig,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let (Hw { h, w }, groups) = (kernel.into(), config.groups);
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            candle_core::bail!("conv2d: {groups} groups do not divide {in_channels} and {out_channels} channels");
        }
        let weight = vb.get_with_hints((out_channels, in_channels / groups, h, w), "weight", INIT)?;
        Ok(Self { weight, bias: None, config })
    }

    /// Creates a layer like [`Conv2d::new`], with `bias` `[out_channels]` of `vb`. A new bias is 0.
    ///
    /// # Errors
    /// Returns the errors of [`Conv2d::new`].
    pub fn with_bias(
        in_channels: usize,
        out_channels: usize,
        kernel: impl Into<Hw>,
        config: Conv2dConfig,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let bias = vb.get_with_hints(out_channels, "bias", Init::Const(0.))?;
        Ok(Self { bias: Some(bias), ..Self::new(in_channels, out_channels, kernel, config, vb)? })
    }

    /// Returns the weights `[out_channels, in_channels / groups, kernel height, kernel width]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Returns the bias `[out_channels]`, if there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// Convolves `x` `[N, H, W, in_channels]` and returns `[N, H', W', out_channels]`, as
    /// [`conv2d`] does.
    ///
    /// # Errors
    /// Returns the errors of [`conv2d`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.bias {
            Some(bias) => conv2d_with_bias(x, &self.weight, bias, self.config),
            None => conv2d(x, &self.weight, self.config),
        }
    }

    /// Returns stride, padding, dilation and groups of the convolution.
    pub fn config(&self) -> Conv2dConfig {
        self.config
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}
