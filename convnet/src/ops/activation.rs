//! Activation functions of tensors.

use super::relu::relu;
use crate::cpu::activation;
use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::simd::Isa;
use crate::geometry::Activation;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Module, Result, Shape, Tensor};

/// Computes `x · sigmoid(x)` of each value, like `torch.nn.functional.silu`. `x` is f32 or
/// bf16.
///
/// # Errors
/// Returns an error if `x` has another type.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() { on_cpu(x, Activation::Silu) } else { x.silu() }
}

/// Computes `x · hard_sigmoid(x)` of each value, like `torch.nn.functional.hardswish`. `x` is f32
/// or bf16.
///
/// The gradient is 0 at -3 and 1 at 3.
///
/// # Errors
/// Returns an error if `x` has another type.
pub fn hard_swish(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() { on_cpu(x, Activation::HardSwish) } else { x * hard_sigmoid(x)? }
}

/// Computes `min(max(x / 6 + 1 / 2, 0), 1)` of each value, like `torch.nn.functional.hardsigmoid`.
/// `x` is f32 or bf16.
///
/// ```
/// # use candle_convnet::hard_sigmoid;
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[-4f32, 0., 1.5, 3.], &Device::Cpu)?;
/// assert_eq!(hard_sigmoid(&x)?.to_vec1::<f32>()?, [0., 0.5, 0.75, 1.]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if `x` has another type.
pub fn hard_sigmoid(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return on_cpu(x, Activation::HardSigmoid);
    }
    x.affine(1. / 6., 0.5)?.clamp(0f32, 1f32)
}

impl Module for Activation {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Relu => relu(x),
            Self::Silu => silu(x),
            Self::HardSwish => hard_swish(x),
            Self::HardSigmoid => hard_sigmoid(x),
        }
    }
}

fn on_cpu(x: &Tensor, activation: Activation) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Forward(activation))
}

struct Forward(Activation);

impl CustomOp1 for Forward {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        with_images!(x, self.name(), T => {
            let y = activation::forward::<T>(Isa::best(), self.0, dense::slice(x, layout, self.name())?);
            Ok((T::storage(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.apply_op2_no_bwd(&grad.contiguous()?, &Gradient(self.0))?))
    }
}

/// (input, output gradient) -> input gradient.
struct Gradient(Activation);

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "activation-gradient"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, grad: &CpuStorage, gl: &Layout) -> Result<(CpuStorage, Shape)> {
        with_images!(x, self.name(), T => {
            let (x, grad) = (dense::slice::<T>(x, xl, self.name())?, dense::slice(grad, gl, self.name())?);
            Ok((T::storage(activation::gradient(Isa::best(), self.0, x, grad)), xl.shape().clone()))
        })
    }
}
