//! Stochastic depth: factors per image for the branches of residual blocks.

use crate::cpu::dense::{self, rectify, with_images};
use crate::cpu::element::Element;
use crate::cpu::parallel;
#[cfg(feature = "cuda")]
use crate::cuda::elementwise;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

/// Multiplies each image of `x` `[N, H, W, C]`, f32 or bf16, by its factor in `factors`
/// `[N]`, f32.
///
/// For stochastic depth (Huang et al. 2016, "Deep Networks with Stochastic Depth"), `x` is the
/// output of the branch of a residual block. The factors are 0 with probability p, and 1 / (1 - p)
/// otherwise, as in `torchvision.ops.stochastic_depth` with mode "row". `x` gets a gradient;
/// `factors` gets none.
///
/// ```
/// # use candle_convnet::stochastic_depth;
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[1f32, 2., 3., 4.], &Device::Cpu)?.reshape((2, 1, 2, 1))?;
/// // With p = 1/2, the first image is dropped and the second is doubled.
/// let y = stochastic_depth(&x, &Tensor::new(&[0f32, 2.], &Device::Cpu)?)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [0., 0., 6., 8.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if the number of factors is not N, or if a tensor has another type.
pub fn stochastic_depth(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&factors.detach().contiguous()?, Scale)
}

/// Runs [`stochastic_depth`] outside the autograd graph. It is also its own gradient.
pub(crate) fn scale_images(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    x.apply_op2_no_bwd(factors, &Scale)
}

/// Computes `relu(factor · branch + shortcut)`, the end of a residual block, outside the autograd
/// graph.
pub(crate) fn scale_add_relu(branch: &Tensor, shortcut: &Tensor, factors: &Tensor) -> Result<Tensor> {
    if branch.shape() != shortcut.shape() {
        bail!("stochastic-depth: shapes {:?} and {:?} differ", branch.shape(), shortcut.shape());
    }
    branch.apply_op3_no_bwd(shortcut, factors, &Scale)
}

/// Checks that there is a factor for each image.
fn check(x: &Shape, factors: &Shape) -> Result<()> {
    let (n, _, _, _) = x.dims4()?;
    if factors.dims() != [n] {
        bail!("stochastic-depth: the factors {factors:?} do not fit the {n} images; their shape must be [{n}]");
    }
    Ok(())
}

struct Scale;

/// (images, factors) -> images
impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "stochastic-depth"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, factors: &CpuStorage, fl: &Layout) -> Result<(CpuStorage, Shape)> {
        check(xl.shape(), fl.shape())?;
        let name = "stochastic-depth";
        with_images!(x, name, T => {
            let (x, factors) = (dense::slice::<T>(x, xl, name)?, dense::slice(factors, fl, name)?);
            let out = parallel::images1(x, factors, |x, factor| factor * x);
            Ok((T::storage(out), xl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        factors: &CudaStorage,
        fl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        check(xl.shape(), fl.shape())?;
        Ok((elementwise::scale_images((x, xl), None, (factors, fl))?, xl.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, factors: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(scale_images(&grad.contiguous()?, factors)?), None))
    }
}

/// (branch, shortcut, factors) -> `relu(factor · branch + shortcut)`
impl CustomOp3 for Scale {
    fn name(&self) -> &'static str {
        "stochastic-depth"
    }

    fn cpu_fwd(
        &self,
        branch: &CpuStorage,
        bl: &Layout,
        shortcut: &CpuStorage,
        sl: &Layout,
        factors: &CpuStorage,
        fl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        check(bl.shape(), fl.shape())?;
        let name = "stochastic-depth";
        with_images!(branch, name, T => {
            let (branch, shortcut) = (dense::slice::<T>(branch, bl, name)?, dense::slice(shortcut, sl, name)?);
            let factors = dense::slice(factors, fl, name)?;
            let out = parallel::images2(branch, shortcut, factors, |branch, shortcut, factor| {
                rectify(factor * branch + shortcut)
            });
            Ok((T::storage(out), bl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        branch: &CudaStorage,
        bl: &Layout,
        shortcut: &CudaStorage,
        sl: &Layout,
        factors: &CudaStorage,
        fl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        check(bl.shape(), fl.shape())?;
        let out = elementwise::scale_images((branch, bl), Some((shortcut, sl)), (factors, fl))?;
        Ok((out, bl.shape().clone()))
    }
}
