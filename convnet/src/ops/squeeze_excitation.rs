//! Squeeze and excitation: factors per channel that depend on the image.

use super::activation::hard_sigmoid;
use super::conv::Conv2d;
use super::global_avg_pool::global_avg_pool;
use super::relu::relu;
use crate::cpu::channels;
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::geometry::Conv2dConfig;
use candle_core::{CpuStorage, CustomOp2, Layout, Module, Result, Shape, Tensor, bail};
use candle_nn::VarBuilder;

/// Multiplies each channel of each image `x` `[N, H, W, C]` by its factor in `factors` `[N, C]`.
///
/// `x` and the result are f32 or bf16; `factors` is f32. Both get gradients.
///
/// # Errors
/// Returns an error if the shapes do not fit together, or if a tensor has another type.
pub fn scale_channels(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let (n, _, _, c) = x.dims4()?;
    if factors.dims() != [n, c] {
        bail!("scale-channels: the images {:?} need factors [{n}, {c}], not {:?}", x.shape(), factors.shape());
    }
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op2(&factors.contiguous()?, ScaleChannels);
    }
    x.broadcast_mul(&factors.reshape((n, 1, 1, c))?.to_dtype(x.dtype())?)
}

/// A squeeze-and-excitation block (Hu et al. 2017) with the names of torchvision's
/// `SqueezeExcitation`: it multiplies each channel by `hard_sigmoid(fc2(relu(fc1(means))))`, where
/// means are those of all channels over the pixels.
///
/// This is the block of MobileNetV3.
///
/// ```
/// # use candle_convnet::SqueezeExcitation;
/// # use candle_core::{DType, Device, Module, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let block = SqueezeExcitation::new(16, 8, vb)?;
/// let x = Tensor::ones((2, 7, 7, 16), DType::F32, &Device::Cpu)?;
/// assert_eq!(block.forward(&x)?.dims(), [2, 7, 7, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
}

impl SqueezeExcitation {
    /// Creates a block for `channels` channels with `squeezed` channels in between, from `fc1` and
    /// `fc2` of `vb`. Both are 1x1 convolutions with bias.
    ///
    /// # Errors
    /// Returns the error of `vb` if a tensor is missing or has another shape.
    pub fn new(channels: usize, squeezed: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let config = Conv2dConfig::default();
        Ok(Self {
            fc1: Conv2d::with_bias(channels, squeezed, 1, config, vb.pp("fc1"))?,
            fc2: Conv2d::with_bias(squeezed, channels, 1, config, vb.pp("fc2"))?,
        })
    }

    /// Computes the block for `x` `[N, H, W, channels]`. The result has the shape of `x`.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, _, _, c) = x.dims4()?;
        let squeezed = relu(&self.fc1.forward(&global_avg_pool(x)?.reshape((n, 1, 1, c))?)?)?;
        let factors = hard_sigmoid(&self.fc2.forward(&squeezed)?)?;
        scale_channels(x, &factors.reshape((n, c))?)
    }
}

impl Module for SqueezeExcitation {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}

struct ScaleChannels;

impl CustomOp2 for ScaleChannels {
    fn name(&self) -> &'static str {
        "scale-channels"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, factors: &CpuStorage, fl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, h, w, c) = xl.shape().dims4()?;
        with_images!(x, self.name(), T => {
            let (x, factors) = (dense::slice::<T>(x, xl, self.name())?, dense::slice(factors, fl, self.name())?);
            Ok((T::storage(channels::scale(x, factors, h * w * c, c)), xl.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, factors: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        Ok((Some(grad.apply_op2_no_bwd(factors, &Self)?), Some(x.apply_op2_no_bwd(&grad, &ChannelDots)?)))
    }
}

/// Two batches of images [N, H, W, C] -> sums over pixels of their products, [N, C].
struct ChannelDots;

impl CustomOp2 for ChannelDots {
    fn name(&self) -> &'static str {
        "channel-dots"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = al.shape().dims4()?;
        with_images!(a, self.name(), T => {
            let (a, b) = (dense::slice::<T>(a, al, self.name())?, dense::slice(b, bl, self.name())?);
            Ok((CpuStorage::F32(channels::dot(a, b, h * w * c, c)), (n, c).into()))
        })
    }
}
