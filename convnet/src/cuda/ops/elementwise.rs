//! ReLU, with and without a sum, element by element.

use crate::cuda::device::{Arg, Gpu, Operand, float_type, fresh, suffix, vector};
use candle_core::cuda::CudaStorage;
use candle_core::{Result, bail};

/// Computes `max(x, 0)`.
pub(crate) fn relu(x: Operand) -> Result<CudaStorage> {
    run("relu", x, &[])
}

/// Computes `max(a + b, 0)`.
pub(crate) fn add_relu(a: Operand, b: Operand) -> Result<CudaStorage> {
    run("add_relu", a, &[Some(b)])
}

/// Returns `grad`, plus `more` if there is one, where `y` is above 0 or NaN, and 0 elsewhere.
pub(crate) fn relu_grad(y: Operand, grad: Operand, more: Option<Operand>) -> Result<CudaStorage> {
    run("relu_grad", y, &[Some(grad), more])
}

fn run(kernel: &str, a: Operand, others: &[Option<Operand>]) -> Result<CudaStorage> {
    let dtype = float_type(a.0, kernel)?;
    let len = a.1.shape().elem_count();
    let out = fresh(&a.0.device, dtype, len)?;
    let mut args = vec![Arg::tensor(a, dtype, kernel)?];
    for other in others {
        let Some(other) = *other else {
            args.push(Arg::NONE);
            continue;
        };
        if other.1.shape().elem_count() != len {
            bail!("{kernel}: shapes {:?} and {:?} differ", a.1.shape(), other.1.shape());
        }
        args.push(Arg::tensor(other, dtype, kernel)?);
    }
    let v = vector(dtype, len);
    args.extend([Arg::fresh(&out), Arg::Long(len / v)]);
    Gpu::of(&a.0.device)?.launch_over(&format!("{kernel}_{}_v{v}", suffix(dtype)), len / v, &args)?;
    Ok(out)
}
