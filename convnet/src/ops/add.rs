//! Sums of images.

use crate::cpu::dense::{self, with_images};
use crate::cpu::element::Element;
use crate::cpu::parallel;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// Returns `a + b`, for tensors of the same shape.
///
/// On the CPU, it is faster than candle's sum, which converts each bf16 value in a call of its own.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.device().is_cpu() { a.contiguous()?.apply_op2(&b.contiguous()?, Add) } else { a + b }
}

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        if al.shape() != bl.shape() {
            candle_core::bail!("add: the shapes {:?} and {:?} differ", al.shape(), bl.shape());
        }
        with_images!(a, self.name(), T => {
            let (a, b) = (dense::slice::<T>(a, al, self.name())?, dense::slice(b, bl, self.name())?);
            Ok((T::storage(parallel::map2(a, b, |a, b| a + b)), al.shape().clone()))
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}
