//! Convolution inside a network that computes its own backward pass.

use super::kept::{Folded, KeptKernels, kept_or_made};
use super::op::{Conv2dOp, data_grad, weight_grad};
use crate::cpu::conv::Shift;
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::cpu::statistics::Statistics;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::geometry::{Conv2dConfig, Geometry, MaxPool2dConfig};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// The input of a convolution, kept for the backward pass.
pub(crate) enum Kept {
    Images(Tensor),
    /// Images in which squares of 2 x 2 pixels became channels, which is faster on a GPU, and the
    /// original shape.
    #[cfg(feature = "cuda")]
    SpaceToDepth(Tensor, cuda::SpaceToDepth, Shape),
}

/// Runs [`conv2d`](super::conv2d) outside the autograd graph. `x` and `weight` must be contiguous.
///
/// On the CPU, `statistics` collects the statistics of the result, and `kept` has the kernels of earlier passes.
pub(crate) fn forward(
    x: &Tensor,
    weight: &Tensor,
    config: Conv2dConfig,
    statistics: Option<&Statistics>,
    kept: Option<&KeptKernels>,
) -> Result<(Tensor, Kept)> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(squares) = cuda::SpaceToDepth::of(&Geometry::new(x.shape(), weight.shape(), config)?)
    {
        let images = squares.images(x)?;
        let y = images.apply_op2_no_bwd(&squares.weights(weight)?, &Conv2dOp::new(Conv2dConfig::default()))?;
        return Ok((y, Kept::SpaceToDepth(images, squares, x.shape().clone())));
    }
    Ok((x.apply_op2_no_bwd(weight, &Conv2dOp { config, statistics, kept })?, Kept::Images(x.clone())))
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
    /// Where the kernels stay for the next pass.
    pub kept: Option<&'a KeptKernels>,
}

/// Runs [`conv2d`](super::conv2d), a batch norm and, if `pool` is a window, max pooling in one pass, on the CPU and
/// outside the autograd graph. `x` and `weight` must be contiguous.
///
/// # Errors
/// The shapes do not fit together, or there are both a residual and a window.
pub(crate) fn forward_with_norm(
    x: &Tensor,
    weight: &Tensor,
    config: Conv2dConfig,
    norm: FixedNorm<'_>,
    pool: Option<MaxPool2dConfig>,
) -> Result<Tensor> {
    x.apply_op2_no_bwd(weight, &FixedNormConv2d { config, norm, pool })
}

struct FixedNormConv2d<'a> {
    config: Conv2dConfig,
    norm: FixedNorm<'a>,
    pool: Option<MaxPool2dConfig>,
}

impl CustomOp2 for FixedNormConv2d<'_> {
    fn name(&self) -> &'static str {
        "conv2d-with-fixed-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let geometry = Geometry::new(xl.shape(), wl.shape(), self.config)?;
        let shape = geometry.output.shape();
        let &FixedNorm { scale, bias, residual, relu, kept } = &self.norm;
        if let Some(residual) = residual.filter(|residual| residual.shape() != &shape) {
            bail!("{}: the residual has shape {:?}, but the output has {shape:?}", self.name(), residual.shape());
        }
        if residual.is_some() && self.pool.is_some() {
            bail!("{}: max pooling after a residual", self.name());
        }
        let residual = residual.map(Tensor::storage_and_layout);
        let (isa, w) = (Isa::best(), dense::slice(w, wl, self.name())?);
        with_images!(x, self.name(), T => {
            let residual = residual.as_ref().map(|(storage, layout)| (&**storage, *layout));
            let residual = dense::optional::<T>(residual, self.name())?;
            let x = dense::slice::<T>(x, xl, self.name())?;
            let folded = kept_or_made(
                kept.map(|kept| &kept.folded),
                |folded: &Folded<T>| folded.kernels.suit(&geometry, isa),
                || Folded::new(&geometry, isa, w, scale, bias),
            );
            let shift = Shift { isa, bias: &folded.bias, residual, relu };
            if let Some(pool) = self.pool {
                let (n, rows, cols, c) = pool.output(&shape)?;
                let out = geometry.forward_pooled(isa, x, &folded.kernels, &shift, (pool, rows, cols));
                return Ok((T::storage(out), (n, rows, cols, c).into()));
            }
            Ok((T::storage(geometry.forward(isa, x, &folded.kernels, &shift)), shape))
        })
    }
}

impl Kept {
    /// Returns the gradient of the input from that of the output. On the CPU, `kept` has the kernels of earlier
    /// passes.
    pub(crate) fn data_grad(
        &self,
        weight: &Tensor,
        grad: &Tensor,
        config: Conv2dConfig,
        kept: Option<&KeptKernels>,
    ) -> Result<Tensor> {
        let shape = match self {
            Self::Images(images) => images.shape(),
            #[cfg(feature = "cuda")]
            Self::SpaceToDepth(_, _, shape) => shape,
        };
        data_grad(weight, grad, shape, config, kept)
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
