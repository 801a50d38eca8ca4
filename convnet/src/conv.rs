//! 2-D convolution of NHWC images with OIHW weights, with gradients.
//!
//! `y[n, i, j, o] = sum over c, a, b of x[n, i·s + a - p, j·s + b - p, c] · w[o, c, a, b]` (s stride, p zero padding), as
//! [`torch.nn.functional.conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html) without
//! bias, dilation and groups.

use crate::batch_norm::Statistics;
use crate::cpu::direct::{Class, Gather};
use crate::cpu::finish::{Finish, Shift};
use crate::cpu::images::{Images, Taps};
use crate::cpu::pack::Weights;
use crate::cpu::product::panel_width;
use crate::cpu::simd::Isa;
use crate::cpu::weight_grad::WeightGrad;
use crate::cpu::winograd::{self, Winograd};
use crate::dense;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use candle_nn::VarBuilder;
use candle_nn::init::{FanInOut, Init, NonLinearity, NormalOrUniform};

/// Geometry of a convolution; the kernel's size comes from the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Step between output pixels, in input pixels, along both axes; at least 1.
    pub stride: usize,
    /// Zeros added on each side of both axes, in pixels.
    pub padding: usize,
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Self { stride: 1, padding: 0 }
    }
}

/// Convolution without bias, as a ResNet uses it.
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

    /// The weights `[out_channels, in_channels, kernel, kernel]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `x` `[N, H, W, in_channels]` -> `[N, H', W', out_channels]` with H' = (H + 2·padding - kernel) / stride + 1.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        conv2d(x, &self.weight, self.config)
    }

    /// Geometry of the convolution.
    pub fn config(&self) -> Conv2dConfig {
        self.config
    }
}

/// Convolves `x` [N, H, W, C] with `weight` [O, C, KH, KW] f32 -> [N, H', W', O] of the type of `x`: f32, on CUDA also bf16.
///
/// Gradients reach `x` and `weight`; the one of `x` is left out when `x` is a plain input that nothing trainable led to.
/// On the CPU, results are bit-identical for any number of threads.
pub fn conv2d(x: &Tensor, weight: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weight.contiguous()?, Conv2dOp { config, statistics: None })
}

/// Shapes of one convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) input: Images,
    pub(crate) output: Images,
    pub(crate) kernel: (usize, usize),
    pub(crate) config: Conv2dConfig,
}

impl Geometry {
    pub(crate) fn new(x: &Shape, weight: &Shape, config: Conv2dConfig) -> Result<Self> {
        let (n, h, w, c) = x.dims4()?;
        let (o, weight_c, kh, kw) = weight.dims4()?;
        let Conv2dConfig { stride, padding } = config;
        if weight_c != c {
            bail!("conv2d: images {x:?} (NHWC) have {c} channels, weights {weight:?} (OIHW) expect {weight_c}");
        }
        if stride == 0 || kh == 0 || kw == 0 {
            bail!("conv2d: stride {stride} and kernel {kh}x{kw} must be at least 1");
        }
        if h + 2 * padding < kh || w + 2 * padding < kw {
            bail!("conv2d: kernel {kh}x{kw} is larger than the {h}x{w} image with padding {padding}");
        }
        let (out_h, out_w) = ((h + 2 * padding - kh) / stride + 1, (w + 2 * padding - kw) / stride + 1);
        Ok(Self {
            input: Images { n, h, w, c },
            output: Images { n, h: out_h, w: out_w, c: o },
            kernel: (kh, kw),
            config,
        })
    }

    fn taps(&self, count: usize) -> Taps {
        Taps { first: -(self.config.padding as isize), count, step: self.config.stride }
    }

    fn weights<'a>(&self, data: &'a [f32], transposed: bool, scale: Option<&'a [f32]>) -> Weights<'a> {
        let positions = self.kernel.0 * self.kernel.1;
        Weights { data, outputs: self.output.c, inputs: self.input.c, positions, transposed, scale }
    }

    /// The faster way from `src` to `dst`, where there is one.
    fn winograd(&self, isa: Isa, src: Images, dst: Images, padding: usize) -> Option<Winograd> {
        winograd::suits(isa, src, dst, self.kernel, self.config.stride).then_some(Winograd { isa, src, dst, padding })
    }

    /// The output, whose channels' weights are multiplied by `scale`.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        x: &[f32],
        weight: &[f32],
        scale: Option<&[f32]>,
        finish: &impl Finish,
    ) -> Vec<f32> {
        let weights = self.weights(weight, false, scale);
        if let Some(winograd) = self.winograd(isa, self.input, self.output, self.config.padding) {
            return winograd.run(x, weights, finish);
        }
        let (kh, kw) = self.kernel;
        let positions: Vec<usize> = (0..kh * kw).collect();
        let weights = weights.panels(&positions, panel_width(isa));
        let class = Class { offset: (0, 0), rows: self.taps(kh), cols: self.taps(kw), weights };
        Gather { isa, src: self.input, dst: self.output, step: 1, classes: vec![class] }.run(x, finish)
    }

    pub(crate) fn data_grad(&self, isa: Isa, weight: &[f32], grad: &[f32]) -> Vec<f32> {
        if self.config.padding <= 2
            && let Some(winograd) = self.winograd(isa, self.output, self.input, 2 - self.config.padding)
        {
            return winograd.run(grad, self.weights(weight, true, None), &());
        }
        let (stride, weights) = (self.config.stride, self.weights(weight, true, None));
        let mut classes = Vec::with_capacity(stride * stride);
        for row in 0..stride {
            for col in 0..stride {
                let (rows, taps_y) = self.class_taps(row, self.kernel.0);
                let (cols, taps_x) = self.class_taps(col, self.kernel.1);
                let positions: Vec<usize> =
                    taps_y.iter().flat_map(|y| taps_x.iter().map(move |x| y * self.kernel.1 + x)).collect();
                let weights = weights.panels(&positions, panel_width(isa));
                classes.push(Class { offset: (row, col), rows, cols, weights });
            }
        }
        Gather { isa, src: self.output, dst: self.input, step: stride, classes }.run(grad, &())
    }

    /// The kernel positions that reach input positions `offset + i·stride`, in the order of the output positions that they
    /// come from: output `i + (offset + padding - position) / stride`.
    fn class_taps(&self, offset: usize, kernel: usize) -> (Taps, Vec<usize>) {
        let Conv2dConfig { stride, padding } = self.config;
        let positions: Vec<usize> = (0..kernel).rev().filter(|k| (offset + padding) % stride == k % stride).collect();
        let first = positions.first().map_or(0, |&k| ((offset + padding) as isize - k as isize) / stride as isize);
        (Taps { first, count: positions.len(), step: 1 }, positions)
    }

    pub(crate) fn weight_grad(&self, isa: Isa, x: &[f32], grad: &[f32]) -> Vec<f32> {
        if let Some(winograd) = self.winograd(isa, self.input, self.output, self.config.padding) {
            return winograd.weight_grad(x, grad);
        }
        let (kh, kw) = self.kernel;
        WeightGrad { isa, input: self.input, output: self.output, rows: self.taps(kh), cols: self.taps(kw) }
            .run(x, grad)
    }
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
        let out = crate::cuda::conv::forward(&geometry, (x, xl), (w, wl))?;
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
    /// Images in the form that suits a card, and the shape that they had.
    #[cfg(feature = "cuda")]
    Folded(Tensor, crate::cuda::fold::Fold, Shape),
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
        && let Some(fold) = crate::cuda::fold::Fold::of(&Geometry::new(x.shape(), weight.shape(), config)?)
    {
        let images = fold.images(x)?;
        let y = images.apply_op2_no_bwd(
            &fold.weights(weight)?,
            &Conv2dOp { config: Conv2dConfig::default(), statistics: None },
        )?;
        return Ok((y, Kept::Folded(images, fold, x.shape().clone())));
    }
    Ok((x.apply_op2_no_bwd(weight, &Conv2dOp { config, statistics })?, Kept::Images(x.clone())))
}

/// What follows a convolution whose batch norm has fixed statistics: its scale goes into the weights, the rest into the last
/// step.
pub(crate) struct Folded<'a> {
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
pub(crate) fn forward_folded(x: &Tensor, weight: &Tensor, config: Conv2dConfig, folded: Folded<'_>) -> Result<Tensor> {
    x.apply_op2_no_bwd(weight, &FoldedConv2d { config, folded })
}

struct FoldedConv2d<'a> {
    config: Conv2dConfig,
    folded: Folded<'a>,
}

impl CustomOp2 for FoldedConv2d<'_> {
    fn name(&self) -> &'static str {
        "conv2d-with-fixed-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let Images { n, h, w: width, c } = geometry.output;
        let shape = Shape::from((n, h, width, c));
        let &Folded { scale, bias, residual, relu } = &self.folded;
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
            Self::Folded(_, _, shape) => shape,
        };
        data_grad(weight, grad, shape, config)
    }

    /// The weights' gradient, of the shape of `weight`, from the output's.
    pub(crate) fn weight_grad(&self, weight: &Tensor, grad: &Tensor, config: Conv2dConfig) -> Result<Tensor> {
        match self {
            Self::Images(images) => weight_grad(images, grad, weight.shape(), config),
            #[cfg(feature = "cuda")]
            Self::Folded(images, fold, _) => {
                let folded = fold.weights_shape();
                fold.unfold_weights(&weight_grad(images, grad, &folded, Conv2dConfig::default())?)
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
        Ok((crate::cuda::conv::data_grad(&geometry, (w, wl), (grad, gl))?, self.input.clone()))
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
        Ok((crate::cuda::conv::weight_grad(&geometry, (x, xl), (grad, gl))?, self.weight.clone()))
    }
}
