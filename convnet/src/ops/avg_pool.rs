//! Average pooling of NHWC images over windows.

use crate::cpu::avg_pool;
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::geometry::{AvgPool2dConfig, AvgWindows, Hw, Images, Window};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// Returns the mean of each window of `x` `[N, H, W, C]` as `[N, H', W', C]`, f32 or
/// bf16, as `torch.nn.functional.avg_pool2d`.
///
/// H' = (H + 2·padding - kernel) / stride + 1, rounded down, and W' accordingly.
///
/// ```
/// # use candle_convnet::{AvgPool2dConfig, avg_pool2d};
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[1f32, 3., 5., 7.], &Device::Cpu)?.reshape((1, 1, 4, 1))?;
/// let y = avg_pool2d(&x, AvgPool2dConfig::new((1, 2), (1, 2)))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2., 6.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if a field of `config` is out of its range, if the window is larger than the
/// padded image, or if `x` has another type.
pub fn avg_pool2d(x: &Tensor, config: AvgPool2dConfig) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    pool(x, AvgWindows::sliding(Hw { h, w }, config)?)
}

/// Divides each image of `x` `[N, H, W, C]` into `size` windows, and returns their means `[N,
/// size.h, size.w, C]`, f32 or bf16, as `torch.nn.functional.adaptive_avg_pool2d`.
///
/// Window i covers the rows from i·H / size.h, rounded down, to (i + 1)·H / size.h, rounded up, and
/// the columns accordingly. `size` is one number for both axes, or (height, width). For one window,
/// [`global_avg_pool`](crate::global_avg_pool) is faster.
///
/// # Errors
/// Returns an error if `size` or the images have no pixels, or if `x` has another type.
pub fn adaptive_avg_pool2d(x: &Tensor, size: impl Into<Hw>) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    pool(x, AvgWindows::adaptive(Hw { h, w }, size.into())?)
}

fn pool(x: &Tensor, windows: AvgWindows) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op1(AvgPool(Arc::new(windows)));
    }
    // The mean along each axis is a product with a matrix.
    let (n, h, w, c) = x.dims4()?;
    let rows = matrix(&windows.rows, h, x)?;
    let cols = matrix(&windows.cols, w, x)?;
    let y = rows.broadcast_matmul(&x.reshape((n, h, w * c))?)?;
    let y = cols.broadcast_matmul(&y.reshape((n * windows.rows.len(), w, c))?)?;
    y.reshape((n, windows.rows.len(), windows.cols.len(), c))
}

/// Returns the factors of `size` positions in each window, `[1, windows, size]`, with the type of
/// `x`.
fn matrix(windows: &[Window], size: usize, x: &Tensor) -> Result<Tensor> {
    let mut factors = vec![0f32; windows.len() * size];
    for (window, row) in windows.iter().zip(factors.chunks_exact_mut(size)) {
        row[window.first..window.end].fill(window.factor);
    }
    Tensor::from_vec(factors, (1, windows.len(), size), x.device())?.to_dtype(x.dtype())
}

struct AvgPool(Arc<AvgWindows>);

impl CustomOp1 for AvgPool {
    fn name(&self) -> &'static str {
        "avg-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, layout, self.name())?;
            let out = avg_pool::forward(x, Images { n, h, w, c }, &self.0);
            Ok((T::storage(out), (n, self.0.rows.len(), self.0.cols.len(), c).into()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let op = AvgPoolGrad { input: x.shape().clone(), windows: self.0.clone() };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&op)?))
    }
}

/// Output gradient -> input gradient.
struct AvgPoolGrad {
    input: Shape,
    windows: Arc<AvgWindows>,
}

impl CustomOp1 for AvgPoolGrad {
    fn name(&self) -> &'static str {
        "avg-pool2d-gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = self.input.dims4()?;
        with_images!(grad, self.name(), T => {
            let grad = dense::slice::<T>(grad, layout, self.name())?;
            let out = avg_pool::gradient(grad, Images { n, h, w, c }, &self.windows);
            Ok((T::storage(out), self.input.clone()))
        })
    }
}
