//! ReLU, with and without a sum, and factors per image, element by element.

use crate::cuda::device::{Arg, Gpu, Operand, float_type, fresh, suffix, vector};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result, bail};

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

/// Multiplies each image of `x` [N, H, W, C] by its factor in `factors` [N], f32. With a shortcut,
/// adds it and applies ReLU.
pub(crate) fn scale_images(x: Operand, shortcut: Option<Operand>, factors: Operand) -> Result<CudaStorage> {
    let name = "stochastic-depth";
    let (n, h, w, c) = x.1.shape().dims4()?;
    let (dtype, image) = (float_type(x.0, name)?, h * w * c);
    let v = vector(dtype, image);
    let out = fresh(&x.0.device, dtype, n * image)?;
    let args = [
        Arg::tensor(x, dtype, name)?,
        shortcut.map_or(Ok(Arg::NONE), |shortcut| Arg::tensor(shortcut, dtype, name))?,
        Arg::tensor(factors, DType::F32, name)?,
        Arg::fresh(&out),
        Arg::Long(n * image / v),
        Arg::Long(image / v),
    ];
    Gpu::of(&x.0.device)?.launch_over(&format!("scale_images_{}_v{v}", suffix(dtype)), n * image / v, &args)?;
    Ok(out)
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
