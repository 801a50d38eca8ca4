//! Max pooling and global average pooling.

use crate::cuda::device::{Arg, Gpu, Operand, float_type, fresh, suffix, vector};
use crate::geometry::MaxPool2dConfig;
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result};

/// Returns the maxima [N, H', W', C] of the windows of `x` [N, H, W, C], and their positions in
/// their windows, u8.
pub(crate) fn max_pool(
    x: Operand,
    (out_h, out_w): (usize, usize),
    config: MaxPool2dConfig,
) -> Result<(CudaStorage, CudaStorage)> {
    let (n, h, w, c) = x.1.shape().dims4()?;
    let dtype = float_type(x.0, "max-pool2d")?;
    let v = vector(dtype, c);
    let len = n * out_h * out_w * c;
    let device = &x.0.device;
    let (y, argmax) = (fresh(device, dtype, len)?, fresh(device, DType::U8, len)?);
    let mut args = vec![Arg::tensor(x, dtype, "max-pool2d")?, Arg::fresh(&y), Arg::fresh(&argmax)];
    args.extend(shape([n, h, w, c, out_h, out_w], config));
    Gpu::of(device)?.launch_over(&format!("max_pool_{}_v{v}", suffix(dtype)), len / v, &args)?;
    Ok((y, argmax))
}

/// Returns the gradient of the input, which has shape `[n, h, w, c]`, from the gradient of the
/// maxima and their positions.
pub(crate) fn max_pool_grad(
    grad: Operand,
    argmax: Operand,
    [n, h, w, c]: [usize; 4],
    config: MaxPool2dConfig,
) -> Result<CudaStorage> {
    let (_, out_h, out_w, _) = grad.1.shape().dims4()?;
    let dtype = float_type(grad.0, "max-pool2d-gradient")?;
    let v = vector(dtype, c);
    let device = &grad.0.device;
    let out = fresh(device, dtype, n * h * w * c)?;
    let mut args = vec![
        Arg::tensor(grad, dtype, "max-pool2d-gradient")?,
        Arg::tensor(argmax, DType::U8, "max-pool2d-gradient")?,
        Arg::fresh(&out),
    ];
    args.extend(shape([n, h, w, c, out_h, out_w], config));
    Gpu::of(device)?.launch_over(&format!("max_pool_grad_{}_v{v}", suffix(dtype)), n * h * w * c / v, &args)?;
    Ok(out)
}

fn shape(sizes: [usize; 6], config: MaxPool2dConfig) -> impl Iterator<Item = Arg<'static>> {
    let MaxPool2dConfig { kernel, stride, padding } = config;
    sizes.into_iter().chain([kernel, stride, padding]).map(Arg::Int)
}

/// Returns the means over all pixels of `x` [N, H, W, C] as [N, C], f32.
pub(crate) fn avg_pool(x: Operand) -> Result<CudaStorage> {
    let (n, h, w, c) = x.1.shape().dims4()?;
    let dtype = float_type(x.0, "global-avg-pool")?;
    let y = fresh(&x.0.device, DType::F32, n * c)?;
    let args = [Arg::tensor(x, dtype, "global-avg-pool")?, Arg::fresh(&y), Arg::Int(n), Arg::Int(h * w), Arg::Int(c)];
    Gpu::of(&x.0.device)?.launch_over(&format!("avg_pool_{}", suffix(dtype)), n * c, &args)?;
    Ok(y)
}

/// Returns the gradient of the input `x`, with its shape and type, from the gradient of the means
/// [N, C], f32.
pub(crate) fn avg_pool_grad(grad: Operand, x: Operand) -> Result<CudaStorage> {
    let (n, h, w, c) = x.1.shape().dims4()?;
    let dtype = float_type(x.0, "global-avg-pool-gradient")?;
    let out = fresh(&grad.0.device, dtype, n * h * w * c)?;
    let args = [
        Arg::tensor(grad, DType::F32, "global-avg-pool-gradient")?,
        Arg::fresh(&out),
        Arg::Int(n),
        Arg::Int(h * w),
        Arg::Int(c),
    ];
    Gpu::of(&grad.0.device)?.launch_over(&format!("avg_pool_grad_{}", suffix(dtype)), n * h * w * c, &args)?;
    Ok(out)
}
