//! Convolution over time and space, for kernels that are flat in one of them: the parts of (2+1)D
//! networks.

use super::conv::{INIT, conv2d};
use crate::geometry::{Conv2dConfig, Conv3dConfig, Thw};
use candle_core::{Module, Result, Tensor, bail};
use candle_nn::VarBuilder;

/// Convolves the clips `x` `[N, T, H, W, C]` with `weight` `[O, C, KT, KH, KW]` and returns `[N, T',
/// H', W', O]`, as `torch.nn.functional.conv3d` without bias.
///
/// The kernel must be flat in time (KT = 1, without padding in time), or in space (KH = KW = 1, with
/// stride 1 and without padding in space). These are the convolutions of (2+1)D networks (Tran et al.
/// 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition"). They run as
/// [`conv2d`].
///
/// ```
/// # use candle_convnet::{Conv3dConfig, conv3d};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let clips = Tensor::zeros((2, 8, 32, 32, 3), DType::F32, &Device::Cpu)?;
/// let space = Tensor::zeros((45, 3, 1, 7, 7), DType::F32, &Device::Cpu)?;
/// let time = Tensor::zeros((64, 45, 3, 1, 1), DType::F32, &Device::Cpu)?;
/// let y = conv3d(&clips, &space, Conv3dConfig::default().with_stride((1, 2, 2)).with_padding((0, 3, 3)))?;
/// let y = conv3d(&y, &time, Conv3dConfig::default().with_padding((1, 0, 0)))?;
/// assert_eq!(y.dims(), [2, 8, 16, 16, 64]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if the kernel is flat neither in time nor in space, and the errors of
/// [`conv2d`].
pub fn conv3d(x: &Tensor, weight: &Tensor, config: Conv3dConfig) -> Result<Tensor> {
    let (n, t, h, w, c) = x.dims5()?;
    let (o, inputs, kt, kh, kw) = weight.dims5()?;
    let Conv3dConfig { stride, padding } = config;
    let plane = Conv2dConfig::default();
    if (kt, padding.t) == (1, 0) && stride.t > 0 {
        let plane = plane.with_stride((stride.h, stride.w)).with_padding((padding.h, padding.w));
        let x = every(x, stride.t)?;
        let t = x.dim(1)?;
        let y = conv2d(&x.reshape((n * t, h, w, c))?, &weight.reshape((o, inputs, kh, kw))?, plane)?;
        let (_, out_h, out_w, _) = y.dims4()?;
        return y.reshape((n, t, out_h, out_w, o));
    }
    let in_space = [kh, kw, stride.h, stride.w, padding.h + 1, padding.w + 1];
    if in_space != [1; 6] {
        bail!(
            "conv3d: the kernel {kt}x{kh}x{kw} with stride {stride:?} and padding {padding:?} covers time and space; \
             use two convolutions, with kernels 1x{kh}x{kw} and {kt}x1x1"
        );
    }
    let plane = plane.with_stride((stride.t, 1)).with_padding((padding.t, 0));
    let y = conv2d(&x.reshape((n, t, h * w, c))?, &weight.reshape((o, inputs, kt, 1))?, plane)?;
    let (_, out_t, _, _) = y.dims4()?;
    y.reshape((n, out_t, h, w, o))
}

/// Returns every `step`-th frame of the clips.
fn every(x: &Tensor, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.clone());
    }
    let frames: Vec<u32> = (0..x.dim(1)? as u32).step_by(step).collect();
    x.contiguous()?.index_select(&Tensor::new(frames, x.device())?, 1)
}

/// A layer of [`conv3d`], without bias.
///
/// ```
/// # use candle_convnet::{Conv3d, Conv3dConfig};
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let config = Conv3dConfig::default().with_padding((0, 1, 1));
/// let layer = Conv3d::new(3, 45, (1, 3, 3), config, vb)?;
/// let clips = Tensor::zeros((1, 4, 16, 16, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&clips)?.dims(), [1, 4, 16, 16, 45]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Conv3d {
    weight: Tensor,
    config: Conv3dConfig,
}

impl Conv3d {
    /// Creates a layer from `weight` of `vb`, which is `[out_channels, in_channels, kernel time,
    /// kernel height, kernel width]`. `kernel` is one number for all axes, or (time, height,
    /// width).
    ///
    /// If `vb` creates a new variable, its distribution is Kaiming normal by fan-out, as in
    /// torchvision's video networks.
    ///
    /// # Errors
    /// Returns the error of `vb` if the tensor is missing or has another shape.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: impl Into<Thw>,
        config: Conv3dConfig,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let Thw { t, h, w } = kernel.into();
        Ok(Self { weight: vb.get_with_hints((out_channels, in_channels, t, h, w), "weight", INIT)?, config })
    }

    /// Convolves `x` `[N, T, H, W, in_channels]` and returns `[N, T', H', W', out_channels]`, as
    /// [`conv3d`] does.
    ///
    /// # Errors
    /// Returns the errors of [`conv3d`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv3d(x, &self.weight, self.config)
    }

    /// Returns the weights `[out_channels, in_channels, kernel time, kernel height, kernel width]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}

impl Module for Conv3d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}
