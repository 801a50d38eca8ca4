//! Average pooling of NHWC images over all pixels.

use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Returns the mean over all pixels of `x` `[N, H, W, C]`, f32 or bf16, as `[N, C]`,
/// f32.
///
/// ```
/// # use candle_convnet::global_avg_pool;
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::ones((2, 7, 7, 512), DType::F32, &Device::Cpu)?;
/// assert_eq!(global_avg_pool(&x)?.dims(), [2, 512]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if the images have no pixels, or if `x` has another type.
pub fn global_avg_pool(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(GlobalAvgPool)
}

/// Runs [`global_avg_pool`] outside the autograd graph.
pub(crate) fn global_avg_pool_forward(x: &Tensor) -> Result<Tensor> {
    x.apply_op1_no_bwd(&GlobalAvgPool)
}

/// Returns the gradient of the input `x` from that of the means.
pub(crate) fn global_avg_pool_grad(grad: &Tensor, x: &Tensor) -> Result<Tensor> {
    grad.apply_op2_no_bwd(x, &GlobalAvgPoolGrad)
}

struct GlobalAvgPool;

impl CustomOp1 for GlobalAvgPool {
    fn name(&self) -> &'static str {
        "global-avg-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        if h * w == 0 {
            bail!("global-avg-pool: images of {h}x{w} pixels have no mean");
        }
        let mut out = vec![0f32; n * c];
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, layout, self.name())?;
            out.par_chunks_mut(c.max(1)).zip(x.par_chunks((h * w * c).max(1))).for_each(|(out, image)| {
                let mut sums = vec![0f64; c];
                for pixel in image.chunks_exact(c) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(value.value()));
                }
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out = (sum / (h * w) as f64) as f32);
            });
        });
        Ok((CpuStorage::F32(out), (n, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        if h * w == 0 {
            bail!("global-avg-pool: images of {h}x{w} pixels have no mean");
        }
        Ok((crate::cuda::pool::avg_pool((x, layout))?, (n, c).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(global_avg_pool_grad(&grad.contiguous()?, x)?))
    }
}

/// (output gradient [N, C], input [N, H, W, C]) -> input gradient. Only the shape of the input
/// matters.
struct GlobalAvgPoolGrad;

impl CustomOp2 for GlobalAvgPoolGrad {
    fn name(&self) -> &'static str {
        "global-avg-pool-gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, gl: &Layout, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let grad = dense::slice::<f32>(grad, gl, self.name())?;
        let (n, h, w, c) = xl.shape().dims4()?;
        let scale = 1. / (h * w) as f32;
        with_images!(x, self.name(), T => {
            let mut out = vec![T::default(); n * h * w * c];
            out.par_chunks_mut((h * w * c).max(1)).zip(grad.par_chunks(c.max(1))).for_each(|(image, grad)| {
                for pixel in image.chunks_exact_mut(c) {
                    pixel.iter_mut().zip(grad).for_each(|(out, &grad)| *out = T::of(grad * scale));
                }
            });
            Ok((T::storage(out), xl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, grad: &CudaStorage, gl: &Layout, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((crate::cuda::pool::avg_pool_grad((grad, gl), (x, xl))?, xl.shape().clone()))
    }
}
