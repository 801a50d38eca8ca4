//! 2-D convolution of NHWC images with OIHW weights, with gradients.

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

/// A convolution layer without bias, as in a ResNet. See [`conv2d`] for the formula.
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
    /// Creates a layer from `weight` `[out_channels, in_channels, kernel, kernel]` of `vb`.
    ///
    /// If `vb` creates a new variable, its distribution is Kaiming normal by fan-out, as in
    /// torchvision's ResNet.
    ///
    /// # Errors
    /// Returns the error of `vb` if the tensor is missing or has another shape.
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

    /// Convolves `x` `[N, H, W, in_channels]` and returns `[N, H', W', out_channels]`, as
    /// [`conv2d`] does.
    ///
    /// # Errors
    /// Returns the errors of [`conv2d`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv2d(x, &self.weight, self.config)
    }

    /// Returns stride and padding of the convolution.
    pub fn config(&self) -> Conv2dConfig {
        self.config
    }
}

/// Convolves the images `x` `[N, H, W, C]` with `weight` `[O, C, KH, KW]` and returns
/// `[N, H', W', O]`.
///
/// `x` and the result are f32, on a GPU also bf16; `weight` is f32. H' = (H + 2·padding - KH) /
/// stride + 1, rounded down, and W' accordingly. With stride s and zero padding p, the result is
///
/// ```text
/// y[n, i, j, o] = sum over c, a, b of x[n, i·s + a - p, j·s + b - p, c] · weight[o, c, a, b]
/// ```
///
/// as in
/// [`torch.nn.functional.conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html)
/// without bias, dilation and groups.
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
/// Returns an error if the numbers of channels differ, if the kernel is larger than the padded
/// image, if the stride is 0, or if a tensor has another type.
pub fn conv2d(x: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Conv2dOp { config, statistics: None })
}

struct Conv2dOp<'a> {
    config: Conv2dConfig,
    /// Collects the statistics of the output, on the CPU.
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

/// The input of a convolution, kept for the backward pass.
pub(crate) enum Kept {
    Images(Tensor),
    /// Images in which squares of 2 x 2 pixels became channels, which is faster on a GPU, and the
    /// original shape.
    #[cfg(feature = "cuda")]
    SpaceToDepth(Tensor, cuda::SpaceToDepth, Shape),
}

/// Runs [`conv2d`] outside the autograd graph. `x` and `weight` must be contiguous.
///
/// On the CPU, `statistics` collects the statistics of the result.
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

/// A batch norm with fixed statistics after a convolution. Its scale is multiplied into the
/// weights; the rest is the last step of the convolution.
pub(crate) struct FixedNorm<'a> {
    /// One factor per output channel.
    pub scale: &'a [f32],
    /// One summand per output channel.
    pub bias: &'a [f32],
    /// Added to the output; contiguous, with the shape of the output.
    pub residual: Option<&'a Tensor>,
    /// Whether ReLU follows.
    pub relu: bool,
}

/// Runs [`conv2d`] and a batch norm in one pass, on the CPU and outside the autograd graph. `x` and
/// `weight` must be contiguous.
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
            bail!("{}: the residual has shape {:?}, but the output has {shape:?}", self.name(), residual.shape());
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
    /// Returns the gradient of the input from that of the output.
    pub(crate) fn data_grad(&self, weight: &Tensor, grad: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
        let shape = match self {
            Self::Images(images) => images.shape(),
            #[cfg(feature = "cuda")]
            Self::SpaceToDepth(_, _, shape) => shape,
        };
        data_grad(weight, grad, shape, config)
    }

    /// Returns the gradient of `weight`, with its shape, from that of the output.
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

/// Returns the gradient of the input, which has shape `input`, from that of the output.
fn data_grad(weight: &Tensor, grad: &Tensor, input: &Shape, config: Conv2dConfig) -> Result<Tensor> {
    weight.apply_op2_no_bwd(grad, &DataGrad { config, input: input.clone() })
}

/// Returns the gradient of the weights, which have shape `weight`, in f32, from that of the output.
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
