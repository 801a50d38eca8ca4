//! 2-D convolution of NHWC images with OIHW weights, with gradients.
//!
//! `y[n, i, j, o] = sum over c, a, b of x[n, i·s + a - p, j·s + b - p, c] · w[o, c, a, b]` (s stride, p zero padding), as
//! [`torch.nn.functional.conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html) without
//! bias, dilation and groups.

use crate::cpu::conv::Shift;
use crate::cpu::dense;
use crate::cpu::simd::Isa;
use crate::cpu::statistics::Statistics;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::geometry::{Conv2dConfig, Geometry, Images};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

/// Convolution without bias, as a ResNet uses it.
///
/// ```
/// # use candle_convnet::{Conv2d, Conv2dConfig};
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let conv = Conv2d::new(3, 8, 7, Conv2dConfig::default().with_stride(2).with_padding(3), &vb)?;
/// let images = Tensor::zeros((2, 32, 48, 3), DType::F32, &Device::Cpu)?;
/// assert_eq!(conv.forward(&images)?.dims(), [2, 16, 24, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    config: Conv2dConfig,
}

impl Conv2d {
    /// Takes `weight` `[out_channels, in_channels, kernel, kernel]` from `vb`. A new one is drawn from the Kaiming normal
    /// distribution by fan-out, as torchvision does for ResNet.
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        config: Conv2dConfig,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let init =
            Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };
        let weight = vb.get_with_hints((out_channels, in_channels, kernel, kernel), "weight", init)?;
        Ok(Self { weight, config })
    }

    /// Returns the weights `[out_channels, in_channels, kernel, kernel]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Convolves `x` `[N, H, W, in_channels]` -> `[N, H', W', out_channels]` with H' = (H + 2·padding - kernel) / stride + 1.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv2d(x, &self.weight, self.config)
    }

    /// Returns the geometry of the convolution.
    pub fn config(&self) -> Conv2dConfig {
        self.config
    }
}

/// Convolves `x` [N, H, W, C] with `weight` [O, C, KH, KW] f32 -> [N, H', W', O] of the type of `x`: f32, on CUDA also bf16.
///
/// Gradients reach `x` and `weight`; the one of `x` is left out when `x` is a plain input that nothing trainable led to.
/// On the CPU, results are bit-identical for any number of threads.
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
pub fn conv2d(x: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Conv2dOp { config, statistics: None })
}

struct Conv2dOp<'a> {
    config: Conv2dConfig,
    /// Takes those of the output, on the CPU.
    statistics: Option<&'a Statistics>,
}

impl CustomOp2 for Conv2dOp<'_> {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let (x, w) = (dense::slice(x, xl, self.name())?, dense::slice(w, wl, self.name())?);
        let out = geometry.forward(Isa::best(), x, w, None, &self.statistics);
        let Images { n, h, w, c } = geometry.output;
        Ok((CpuStorage::F32(out), (n, h, w, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, w: &CudaStorage, wl: &Layout) -> Result<(CudaStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let out = cuda::conv::forward(&geometry, (x, xl), (w, wl))?;
        let Images { n, h, w, c } = geometry.output;
        Ok((out, (n, h, w, c).into()))
    }

    fn bwd(&self, x: &Tensor, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let data = x.track_op().then(|| data_grad(weight, &grad, x.shape(), self.config));
        let weights = weight.track_op().then(|| weight_grad(x, &grad, weight.shape(), self.config));
        Ok((data.transpose()?, weights.transpose()?))
    }
}

/// What a convolution keeps of its input for the way back.
pub(crate) enum Kept {
    Images(Tensor),
    /// Images whose squares of 2 x 2 pixels became channels, as suits a GPU, and the shape that they had.
    #[cfg(feature = "cuda")]
    SpaceToDepth(Tensor, cuda::SpaceToDepth, Shape),
}

/// [`conv2d`] outside the autograd graph, `x` and `weight` contiguous; on the CPU, `statistics` takes those of the result.
pub(crate) fn forward(
    x: &Tensor,
    weight: &Tensor,
    config: Conv2dConfig,
    statistics: Option<&Statistics>,
) -> Result<(Tensor, Kept)> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(squares) = cuda::SpaceToDepth::of(&Geometry::new(x.shape(), weight.shape(), config)?)
    {
        let images = squares.images(x)?;
        let y = images.apply_op2_no_bwd(
            &squares.weights(weight)?,
            &Conv2dOp { config: Conv2dConfig::default(), statistics: None },
        )?;
        return Ok((y, Kept::SpaceToDepth(images, squares, x.shape().clone())));
    }
    Ok((x.apply_op2_no_bwd(weight, &Conv2dOp { config, statistics })?, Kept::Images(x.clone())))
}

/// What follows a convolution whose batch norm has fixed statistics: its scale goes into the weights, the rest into the last
/// step.
pub(crate) struct FixedNorm<'a> {
    /// One for each output channel.
    pub scale: &'a [f32],
    /// One for each output channel, added to it.
    pub bias: &'a [f32],
    /// Of the output's shape, contiguous, added to it.
    pub residual: Option<&'a Tensor>,
    /// Whether `max(y, 0)` follows.
    pub relu: bool,
}

/// [`conv2d`] on the CPU outside the autograd graph, `x` and `weight` contiguous, with what follows in the same pass.
pub(crate) fn forward_with_norm(
    x: &Tensor,
    weight: &Tensor,
    config: Conv2dConfig,
    norm: FixedNorm<'_>,
) -> Result<Tensor> {
    x.apply_op2_no_bwd(weight, &FixedNormConv2d { config, norm })
}

struct FixedNormConv2d<'a> {
    config: Conv2dConfig,
    norm: FixedNorm<'a>,
}

impl CustomOp2 for FixedNormConv2d<'_> {
    fn name(&self) -> &'static str {
        "conv2d-with-fixed-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let Images { n, h, w: width, c } = geometry.output;
        let shape = Shape::from((n, h, width, c));
        let &FixedNorm { scale, bias, residual, relu } = &self.norm;
        if let Some(residual) = residual.filter(|residual| residual.shape() != &shape) {
            bail!("{}: the residual has shape {:?}, the output {shape:?}", self.name(), residual.shape());
        }
        let residual = residual.map(Tensor::storage_and_layout);
        let residual = match &residual {
            Some((storage, layout)) => match &**storage {
                Storage::Cpu(storage) => Some(dense::slice(storage, layout, self.name())?),
                _ => bail!("{}: the residual is on another device", self.name()),
            },
            None => None,
        };
        let (x, w) = (dense::slice(x, xl, self.name())?, dense::slice(w, wl, self.name())?);
        let isa = Isa::best();
        let out = geometry.forward(isa, x, w, Some(scale), &Shift { isa, bias, residual, relu });
        Ok((CpuStorage::F32(out), shape))
    }
}

impl Kept {
    /// The input's gradient from the output's.
    pub(crate) fn data_grad(&self, weight: &Tensor, grad: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
        let shape = match self {
            Self::Images(images) => images.shape(),
            #[cfg(feature = "cuda")]
            Self::SpaceToDepth(_, _, shape) => shape,
        };
        data_grad(weight, grad, shape, config)
    }

    /// The weights' gradient, of the shape of `weight`, from the output's.
    pub(crate) fn weight_grad(&self, weight: &Tensor, grad: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
        match self {
            Self::Images(images) => weight_grad(images, grad, weight.shape(), config),
            #[cfg(feature = "cuda")]
            Self::SpaceToDepth(images, squares, _) => {
                let shape = squares.weights_shape();
                squares.weights_back(&weight_grad(images, grad, &shape, Conv2dConfig::default())?)
            }
        }
    }
}

/// The input's gradient, of shape `input`, from the output's.
fn data_grad(weight: &Tensor, grad: &Tensor, input: &Shape, config: Conv2dConfig) -> Result<Tensor> {
    weight.apply_op2_no_bwd(grad, &DataGrad { config, input: input.clone() })
}

/// The weights' gradient, of shape `weight`, f32, from the output's.
fn weight_grad(x: &Tensor, grad: &Tensor, weight: &Shape, config: Conv2dConfig) -> Result<Tensor> {
    x.apply_op2_no_bwd(grad, &WeightGradOp { config, weight: weight.clone() })
}

/// (weight, output gradient) -> input gradient.
struct DataGrad {
    config: Conv2dConfig,
    input: Shape,
}

impl CustomOp2 for DataGrad {
    fn name(&self) -> &'static str {
        "conv2d-data-gradient"
    }

    fn cpu_fwd(&self, w: &CpuStorage, wl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(&self.input, wl.shape(), self.config)?;
        let out =
            geometry.data_grad(Isa::best(), dense::slice(w, wl, self.name())?, dense::slice(grad, gl, self.name())?);
        Ok((CpuStorage::F32(out), self.input.clone()))
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
        let out =
            geometry.weight_grad(Isa::best(), dense::slice(x, xl, self.name())?, dense::slice(grad, gl, self.name())?);
        Ok((CpuStorage::F32(out), self.weight.clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), &self.weight, self.config)?;
        Ok((cuda::conv::weight_grad(&geometry, (x, xl), (grad, gl))?, self.weight.clone()))
    }
}
