//! Cross-entropy.

use crate::cuda::device::{Arg, Gpu, Operand, fresh};
use candle_core::cuda::CudaStorage;
use candle_core::{DType, Result, bail};

/// Returns the mean loss, a scalar.
pub(crate) fn cross_entropy(logits: Operand, labels: Operand, smoothing: f64) -> Result<CudaStorage> {
    let loss = fresh(&logits.0.device, DType::F32, 1)?;
    let args = arguments(logits, labels, &loss, smoothing)?;
    Gpu::of(&logits.0.device)?.launch("cross_entropy", (1, 1), (1024, 1), 0, &args)?;
    Ok(loss)
}

/// Returns the gradient of the mean loss with respect to the logits.
pub(crate) fn cross_entropy_grad(logits: Operand, labels: Operand, smoothing: f64) -> Result<CudaStorage> {
    let (n, classes) = logits.1.shape().dims2()?;
    let grad = fresh(&logits.0.device, DType::F32, n * classes)?;
    let args = arguments(logits, labels, &grad, smoothing)?;
    // Each row has a warp of 32 threads.
    Gpu::of(&logits.0.device)?.launch_over("cross_entropy_grad", 32 * n, &args)?;
    Ok(grad)
}

fn arguments(logits: Operand, labels: Operand, out: &CudaStorage, smoothing: f64) -> Result<[Arg<'static>; 6]> {
    let (n, classes) = logits.1.shape().dims2()?;
    if labels.1.shape().dims1()? != n || n == 0 {
        bail!("cross-entropy: labels of shape {:?} do not fit logits [{n}, {classes}]", labels.1.shape());
    }
    Ok([
        Arg::tensor(logits, DType::F32, "cross-entropy")?,
        Arg::tensor(labels, DType::U32, "cross-entropy")?,
        Arg::fresh(out),
        Arg::Int(n),
        Arg::Int(classes),
        Arg::Float(smoothing as f32),
    ])
}
