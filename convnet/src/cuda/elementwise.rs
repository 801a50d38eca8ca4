//! Rectifiers and sums, element by element.

use super::conv::Operand;
use super::gpu::{Arg, Gpu, suffix, vector};
use super::memory::{address, float_type, fresh, start};
use candle_core::cuda::CudaStorage;
use candle_core::{Result, bail};

/// `max(x, 0)`
pub(crate) fn relu(x: Operand) -> Result<CudaStorage> {
    run("relu", x, &[])
}

/// `max(a + b, 0)`
pub(crate) fn add_relu(a: Operand, b: Operand) -> Result<CudaStorage> {
    run("add_relu", a, &[Some(b)])
}

/// `grad` (plus `more`) where `y > 0` (or NaN), else 0.
pub(crate) fn relu_grad(y: Operand, grad: Operand, more: Option<Operand>) -> Result<CudaStorage> {
    run("relu_grad", y, &[Some(grad), more])
}

fn run(kernel: &str, a: Operand, others: &[Option<Operand>]) -> Result<CudaStorage> {
    let dtype = float_type(a.0, kernel)?;
    let len = a.1.shape().elem_count();
    let out = fresh(&a.0.device, dtype, len)?;
    let mut args = vec![Arg::Ptr(address(a.0, a.1, dtype, kernel)?)];
    for other in others {
        let Some((storage, layout)) = *other else {
            args.push(Arg::Ptr(0));
            continue;
        };
        if layout.shape().elem_count() != len {
            bail!("{kernel}: shapes {:?} and {:?} differ", a.1.shape(), layout.shape());
        }
        args.push(Arg::Ptr(address(storage, layout, dtype, kernel)?));
    }
    let v = vector(dtype, len);
    args.extend([Arg::Ptr(start(&out)), Arg::Long(len / v)]);
    Gpu::of(&a.0.device)?.launch_over(&format!("{kernel}_{}_v{v}", suffix(dtype)), len / v, &args)?;
    Ok(out)
}
