//! ReLU, alone and after a residual sum.
//!
//! As in PyTorch, the gradient at 0 is 0. In candle's own `relu` it is that of the output. A NaN
//! stays a NaN, and its gradient is that of the output.

use crate::cpu::dense::{self, rectify, with_images};
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::cpu::{activation, parallel};
#[cfg(feature = "cuda")]
use crate::cuda::elementwise;
use crate::geometry::Activation;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// Computes `max(x, 0)` of a tensor of any shape, f32 or bf16.
///
/// As in PyTorch, the gradient at 0 is 0, and a NaN stays a NaN.
///
/// ```
/// # use candle_convnet::relu;
/// # use candle_core::{Device, Var};
/// # fn main() -> candle_core::Result<()> {
/// let x = Var::new(&[-1f32, 0., 2.], &Device::Cpu)?;
/// let y = relu(&x)?;
/// assert_eq!(y.to_vec1::<f32>()?, [0., 0., 2.]);
/// assert_eq!(y.backward()?.get(&x).unwrap().to_vec1::<f32>()?, [0., 0., 1.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if `x` has another type.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Relu)
}

/// Computes `max(a + b, 0)` of two tensors of the same shape, f32 or bf16: the end of a
/// residual block.
///
/// # Errors
/// Returns an error if the shapes differ, or if a tensor has another type.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.shape() != b.shape() {
        candle_core::bail!("add_relu: shapes {:?} and {:?} differ", a.shape(), b.shape());
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, AddRelu)
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_images!(x, self.name(), T => {
            let x = dense::slice::<T>(x, layout, self.name())?;
            let out = activation::forward(Isa::best(), Activation::Relu, x);
            Ok((T::storage(out), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((elementwise::relu((x, layout))?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(relu_grad(y, &grad.contiguous()?, None)?))
    }
}

struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        with_images!(a, self.name(), T => {
            let (a, b) = (dense::slice::<T>(a, al, self.name())?, dense::slice(b, bl, self.name())?);
            Ok((T::storage(parallel::map2(a, b, |a, b| rectify(a + b))), al.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, a: &CudaStorage, al: &Layout, b: &CudaStorage, bl: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((elementwise::add_relu((a, al), (b, bl))?, al.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = relu_grad(y, &grad.contiguous()?, None)?;
        Ok((Some(grad.clone()), Some(grad)))
    }
}

/// Returns the gradient of the input of a ReLU, from its output `y` and the gradient of that
/// output: `grad`, or `grad + more`.
pub(crate) fn relu_grad(y: &Tensor, grad: &Tensor, more: Option<&Tensor>) -> Result<Tensor> {
    match more {
        Some(more) => y.apply_op3_no_bwd(grad, more, &ReluGrad),
        None => y.apply_op2_no_bwd(grad, &ReluGrad),
    }
}

/// (output, output gradient) -> input gradient.
struct ReluGrad;

impl CustomOp2 for ReluGrad {
    fn name(&self) -> &'static str {
        "relu-gradient"
    }

    fn cpu_fwd(&self, y: &CpuStorage, yl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        let name = "relu-gradient";
        with_images!(y, name, T => {
            let (y, grad) = (dense::slice::<T>(y, yl, name)?, dense::slice(grad, gl, name)?);
            let out = parallel::map2(y, grad, |y, grad| if y <= 0. { 0. } else { grad });
            Ok((T::storage(out), yl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, y: &CudaStorage, yl: &Layout, grad: &CudaStorage, gl: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((elementwise::relu_grad((y, yl), (grad, gl), None)?, yl.shape().clone()))
    }
}

/// (output, one part of the output gradient, the other part) -> input gradient.
impl CustomOp3 for ReluGrad {
    fn name(&self) -> &'static str {
        "relu-gradient"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        yl: &Layout,
        grad: &CpuStorage,
        gl: &Layout,
        more: &CpuStorage,
        ml: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let name = "relu-gradient";
        with_images!(y, name, T => {
            let (y, grad) = (dense::slice::<T>(y, yl, name)?, dense::slice(grad, gl, name)?);
            let more = dense::slice(more, ml, name)?;
            let out = parallel::map3(y, grad, more, |y, grad, more| if y <= 0. { 0. } else { grad + more });
            Ok((T::storage(out), yl.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y: &CudaStorage,
        yl: &Layout,
        grad: &CudaStorage,
        gl: &Layout,
        more: &CudaStorage,
        ml: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((elementwise::relu_grad((y, yl), (grad, gl), Some((more, ml)))?, yl.shape().clone()))
    }
}
