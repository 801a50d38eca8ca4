//! Convolution of NHWC images with OIHW weights, as operations of candle.

use super::kept::{KeptKernels, kept_or_made};
use crate::cpu::conv::{ForwardKernels, GradientKernels, Shift};
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::cpu::statistics::Statistics;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::geometry::{Conv2dConfig, Geometry};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// Convolves the images `x` `[N, H, W, C]` with `weight` `[O, C, KH, KW]` and returns
/// `[N, H', W', O]`.
///
/// `x` and the result are f32 or bf16; `weight` is f32. H' = (H + 2·padding - KH) /
/// stride + 1, rounded down, and W' accordingly. With stride s and zero padding p, the result is
///
/// ```text
/// y[n, i, j, o] = sum over c, a, b of x[n, i·s + a - p, j·s + b - p, c] · weight[o, c, a, b]
/// ```
///
/// as in
/// [`torch.nn.functional.conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html).
/// With dilation d, the window is x[n, i·s + a·d - p, ..], and KH counts as (KH - 1)·d + 1. With g
/// groups, `weight` is `[O, C / g, KH, KW]`, and output channel o sees the input channels of group
/// o·g / O, rounded down.
///
/// `weight` gets a gradient. `x` gets one only if it depends on a variable. On the CPU, results are
/// bit-identical for any number of threads.
///
/// ```
/// # use candle_convnet::{Conv2dConfig, conv2d};
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[1f32, 2., 3., 4.], &Device::Cpu)?.reshape((1, 1, 4, 1))?;
/// let difference = Tensor::new(&[-1f32, 1.], &Device::Cpu)?.reshape((1, 1, 1, 2))?;
/// let y = conv2d(&x, &difference, Conv2dConfig::default())?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [1., 1., 1.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if the numbers of channels do not fit together, if the kernel is larger than
/// the padded image, if stride, dilation or groups are 0, or if a tensor has another type.
pub fn conv2d(x: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Conv2dOp::new(config))
}

/// Convolves the images `x` `[N, H, W, C]` like [`conv2d`], and adds `bias` `[O]`, f32, to each
/// pixel.
///
/// All three tensors get gradients.
///
/// # Errors
/// Returns the errors of [`conv2d`], and an error if `bias` does not have one value per output
/// channel.
pub fn conv2d_with_bias(x: &Tensor, weight: &Tensor, bias: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    if bias.dims() != &weight.dims()[..1.min(weight.rank())] {
        bail!("conv2d: the bias {:?} does not fit the weights {:?} (OIHW)", bias.shape(), weight.shape());
    }
    if x.device().is_cuda() {
        let y = conv2d(x, weight, config)?;
        return y.broadcast_add(&bias.to_dtype(y.dtype())?);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Conv2dBiasOp { config })
}

/// (input, weight) -> output
pub(super) struct Conv2dOp<'a> {
    pub config: Conv2dConfig,
    /// Collects the statistics of the output, on the CPU.
    pub statistics: Option<&'a Statistics>,
    /// Where the kernels stay for the next pass, on the CPU.
    pub kept: Option<&'a KeptKernels>,
}

impl Conv2dOp<'_> {
    pub(super) const fn new(config: Conv2dConfig) -> Self {
        Self { config, statistics: None, kept: None }
    }
}

impl CustomOp2 for Conv2dOp<'_> {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let (images, isa, w) = (geometry.output, Isa::best(), dense::slice(w, wl, self.name())?);
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, xl, self.name())?;
            let kernels = kept_or_made(
                self.kept.map(|kept| &kept.forward),
                |kernels: &ForwardKernels<T>| kernels.suit(&geometry, isa),
                || ForwardKernels::new(&geometry, isa, w, None),
            );
            let out = geometry.forward(isa, x, &*kernels, &self.statistics);
            Ok((T::storage(out), images.shape()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, w: &CudaStorage, wl: &Layout) -> Result<(CudaStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let out = cuda::conv::forward(&geometry, (x, xl), (w, wl))?;
        Ok((out, geometry.output.shape()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let data = x.track_op().then(|| data_grad(weight, &grad, x.shape(), self.config, None));
        let weights = weight.track_op().then(|| weight_grad(x, &grad, weight.shape(), self.config));
        Ok((data.transpose()?, weights.transpose()?))
    }
}

/// (input, weight, bias) -> output, on the CPU.
struct Conv2dBiasOp {
    config: Conv2dConfig,
}

impl CustomOp3 for Conv2dBiasOp {
    fn name(&self) -> &'static str {
        "conv2d-with-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let (isa, w) = (Isa::best(), dense::slice(w, wl, self.name())?);
        let bias = dense::slice(bias, bl, self.name())?;
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, xl, self.name())?;
            let kernels = ForwardKernels::new(&geometry, isa, w, None);
            let out = geometry.forward(isa, x, &kernels, &Shift { isa, bias, residual: None, relu: false });
            Ok((T::storage(out), geometry.output.shape()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let data = x.track_op().then(|| data_grad(weight, &grad, x.shape(), self.config, None));
        let weights = weight.track_op().then(|| weight_grad(x, &grad, weight.shape(), self.config));
        let biases = bias.track_op().then(|| grad.apply_op1_no_bwd(&ChannelSums));
        Ok((data.transpose()?, weights.transpose()?, biases.transpose()?))
    }
}

/// Images [N, H, W, C] -> sums per channel [C].
struct ChannelSums;

impl CustomOp1 for ChannelSums {
    fn name(&self) -> &'static str {
        "channel-sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, _, _, c) = layout.shape().dims4()?;
        let sums = with_images!(x, self.name(), T => {
            Statistics::of(Isa::best(), dense::slice::<T>(x, layout, self.name())?, c).sums()
        });
        Ok((CpuStorage::F32(sums), c.into()))
    }
}

/// Returns the gradient of the input, which has shape `input`, from that of the output.
pub(super) fn data_grad(
    weight: &Tensor,
    grad: &Tensor,
    input: &Shape,
    config: Conv2dConfig,
    kept: Option<&KeptKernels>,
) -> Result<Tensor> {
    weight.apply_op2_no_bwd(grad, &DataGrad { config, input: input.clone(), kept })
}

/// Returns the gradient of the weights, which have shape `weight`, in f32, from that of the output.
pub(super) fn weight_grad(x: &Tensor, grad: &Tensor, weight: &Shape, config: Conv2dConfig) -> Result<Tensor> {
    x.apply_op2_no_bwd(grad, &WeightGradOp { config, weight: weight.clone() })
}

/// (weight, output gradient) -> input gradient.
struct DataGrad<'a> {
    config: Conv2dConfig,
    input: Shape,
    /// Where the kernels stay for the next pass, on the CPU.
    kept: Option<&'a KeptKernels>,
}

impl CustomOp2 for DataGrad<'_> {
    fn name(&self) -> &'static str {
        "conv2d-data-gradient"
    }

    fn cpu_fwd(&self, w: &CpuStorage, wl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(&self.input, wl.shape(), self.config)?;
        let (isa, w) = (Isa::best(), dense::slice(w, wl, self.name())?);
        with_images!(grad, self.name(), T => {
            let kernels = kept_or_made(
                self.kept.map(|kept| &kept.gradient),
                |kernels: &GradientKernels<T>| kernels.suit(&geometry, isa),
                || GradientKernels::new(&geometry, isa, w),
            );
            let out = geometry.data_grad(isa, &kernels, dense::slice::<T>(grad, gl, self.name())?);
            Ok((T::storage(out), self.input.clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, w: &CudaStorage, wl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        let geometry = Geometry::new(&self.input, wl.shape(), self.config)?;
        Ok((cuda::conv::data_grad(&geometry, (w, wl), (grad, gl))?, self.input.clone()))
    }
}

/// (input, output gradient) -> weight gradient, OIHW.
struct WeightGradOp {
    config: Conv2dConfig,
    weight: Shape,
}

impl CustomOp2 for WeightGradOp {
    fn name(&self) -> &'static str {
        "conv2d-weight-gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), &self.weight, self.config)?;
        let out = with_images!(x, self.name(), T => {
            let (x, grad) = (dense::slice::<T>(x, xl, self.name())?, dense::slice(grad, gl, self.name())?);
            geometry.weight_grad(Isa::best(), x, grad)
        });
        Ok((CpuStorage::F32(out), self.weight.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), &self.weight, self.config)?;
        Ok((cuda::conv::weight_grad(&geometry, (x, xl), (grad, gl))?, self.weight.clone()))
    }
}
