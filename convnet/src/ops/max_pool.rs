//! Max pooling of NHWC images, with padding and overlap.

use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::max_pool;
use crate::geometry::{Images, MaxPool2dConfig};
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Arc, OnceLock};

/// Returns the maximum of each window of `x` `[N, H, W, C]` as `[N, H', W', C]`, f32 or
/// bf16.
///
/// H' = (H + 2·padding - kernel) / stride + 1, rounded down, and W' accordingly. As in
/// `torch.nn.functional.max_pool2d`, the gradient goes to the first maximum of a window, row by
/// row, and a NaN is the maximum of its window.
///
/// ```
/// # use candle_convnet::{MaxPool2dConfig, max_pool2d};
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[1f32, 4., 2., 3.], &Device::Cpu)?.reshape((1, 1, 4, 1))?;
/// let y = max_pool2d(&x.broadcast_as((1, 2, 4, 1))?, MaxPool2dConfig::new(2, 2))?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [4., 3.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if a field of `config` is out of its range, if the window is larger than the
/// padded image, or if `x` has another type.
pub fn max_pool2d(x: &Tensor, config: MaxPool2dConfig) -> Result<Tensor> {
    x.contiguous()?.apply_op1(MaxPool { config, argmax: Argmax::default() })
}

/// Runs [`max_pool2d`] outside the autograd graph. Returns the maxima and their positions.
pub(crate) fn max_pool2d_forward(x: &Tensor, config: MaxPool2dConfig) -> Result<(Tensor, Argmax)> {
    let op = MaxPool { config, argmax: Argmax::default() };
    let y = x.apply_op1_no_bwd(&op)?;
    Ok((y, op.argmax))
}

/// Returns the gradient of the input, which has shape `input`, from that of the maxima.
pub(crate) fn max_pool2d_grad(
    grad: &Tensor,
    argmax: &Argmax,
    input: &Shape,
    config: MaxPool2dConfig,
) -> Result<Tensor> {
    grad.apply_op1_no_bwd(&MaxPoolGrad { input: input.clone(), config, argmax: argmax.clone() })
}

/// Position of each maximum in its window: row · kernel + column, u8 [N, H', W', C]. The forward
/// pass sets it.
pub(crate) type Argmax = Arc<OnceLock<Tensor>>;

struct MaxPool {
    config: MaxPool2dConfig,
    argmax: Argmax,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, h, w, c) = layout.shape().dims4()?;
        let (n, out_h, out_w, _) = self.config.output(layout.shape())?;
        let shape = Shape::from((n, out_h, out_w, c));
        let (out, argmax) = with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, layout, self.name())?;
            let (out, argmax) = max_pool::forward(self.config, x, Images { n, h, w, c }, (out_h, out_w));
            (T::storage(out), argmax)
        });
        if c > 0 {
            let _ = self.argmax.set(Tensor::from_vec(argmax, shape.clone(), &Device::Cpu)?);
        }
        Ok((out, shape))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, out_h, out_w, c) = self.config.output(layout.shape())?;
        let (y, argmax) = crate::cuda::pool::max_pool((x, layout), (out_h, out_w), self.config)?;
        let _ = self.argmax.set(crate::cuda::tensor(argmax, (n, out_h, out_w, c)));
        Ok((y, (n, out_h, out_w, c).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(max_pool2d_grad(&grad.contiguous()?, &self.argmax, x.shape(), self.config)?))
    }
}

struct MaxPoolGrad {
    input: Shape,
    config: MaxPool2dConfig,
    argmax: Argmax,
}

/// Returns the positions of the maxima that a forward pass set.
fn places(argmax: &Argmax) -> Result<&Tensor> {
    let Some(argmax) = argmax.get() else { bail!("max-pool2d: the backward pass ran before the forward pass") };
    Ok(argmax)
}

/// Returns what `read` returns for the positions of the maxima, which must be on the CPU.
pub(crate) fn read_places<R>(argmax: &Argmax, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
    let (argmax, layout) = places(argmax)?.storage_and_layout();
    match (&*argmax, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::U8(argmax)), Some((start, end))) => Ok(read(&argmax[start..end])),
        _ => bail!("max-pool2d-gradient: the positions of the maxima are not on the CPU"),
    }
}

impl CustomOp1 for MaxPoolGrad {
    fn name(&self) -> &'static str {
        "max-pool2d-gradient"
    }

    fn cpu_fwd(&self, grad: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = self.input.dims4()?;
        let (_, out_h, out_w, _) = layout.shape().dims4()?;
        with_images!(grad, self.name(), T => {
            let grad = dense::slice::<T>(grad, layout, self.name())?;
            let (size, images) = ((out_h, out_w), Images { n, h, w, c });
            let gradient = |argmax: &[u8]| max_pool::gradient(self.config, (grad, argmax), size, images);
            let out = read_places(&self.argmax, gradient)?;
            Ok((T::storage(out), self.input.clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, grad: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = self.input.dims4()?;
        let (argmax, argmax_layout) = places(&self.argmax)?.storage_and_layout();
        let Storage::Cuda(argmax) = &*argmax else {
            bail!("max-pool2d-gradient: the positions of the maxima are not on the GPU")
        };
        let out = crate::cuda::pool::max_pool_grad((grad, layout), (argmax, argmax_layout), [n, h, w, c], self.config)?;
        Ok((out, self.input.clone()))
    }
}
