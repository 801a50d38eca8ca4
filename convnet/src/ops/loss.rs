//! Cross-entropy of logits against class labels.

use crate::cpu::dense;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

/// Computes the mean cross-entropy of `logits` and `labels` over the batch, a scalar f32 tensor.
///
/// `logits` is `[N, K]`, f32; `labels` is `[N]`, u32, below K. The loss of a sample is
/// `-Σ_k q_k · log softmax(logits)_k`. The target q is `1 - label_smoothing` for the label, plus
/// `label_smoothing / K` for each class, as in
/// [`torch.nn.CrossEntropyLoss`](https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html).
/// Use 0 for no smoothing. Sums are in f64. Only `logits` gets a gradient.
///
/// ```
/// # use candle_convnet::cross_entropy;
/// # use candle_core::{Device, Tensor};
/// # fn main() -> candle_core::Result<()> {
/// let logits = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu)?;
/// let loss = cross_entropy(&logits, &Tensor::new(&[0u32, 3], &Device::Cpu)?, 0.)?;
/// assert!((loss.to_scalar::<f32>()? - 4f32.ln()).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Returns an error if `label_smoothing` is not between 0 and 1, if shapes or types do not fit, or
/// if the batch is empty. A label of K or more is an error on the CPU. On a GPU, it makes the loss
/// NaN, because the host does not wait for the device.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    if !(0. ..=1.).contains(&label_smoothing) {
        bail!("cross-entropy: label smoothing is {label_smoothing}, but must be between 0 and 1");
    }
    logits.contiguous()?.apply_op2(&labels.contiguous()?, CrossEntropy { label_smoothing })
}

struct CrossEntropy {
    label_smoothing: f64,
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_l: &Layout,
        labels: &CpuStorage,
        labels_l: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, classes) = logits_l.shape().dims2()?;
        let logits = dense::slice::<f32>(logits, logits_l, self.name())?;
        let labels = checked_labels(labels, labels_l, n, classes)?;
        let mut loss = 0f64;
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            let log_sum = log_sum_exp(row);
            let mean = row.iter().map(|&logit| f64::from(logit)).sum::<f64>() / classes as f64;
            let target = (1. - self.label_smoothing) * f64::from(row[label as usize]) + self.label_smoothing * mean;
            loss += log_sum - target;
        }
        Ok((CpuStorage::F32(vec![(loss / n as f64) as f32]), ().into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        logits_l: &Layout,
        labels: &CudaStorage,
        labels_l: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let loss = crate::cuda::loss::cross_entropy((logits, logits_l), (labels, labels_l), self.label_smoothing)?;
        Ok((loss, ().into()))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        labels: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let op = CrossEntropyGrad { label_smoothing: self.label_smoothing };
        Ok((Some(logits.apply_op2_no_bwd(labels, &op)?.broadcast_mul(grad)?), None))
    }
}

/// (logits, labels) -> gradient of the mean loss with respect to the logits: (softmax - q) / N.
struct CrossEntropyGrad {
    label_smoothing: f64,
}

impl CustomOp2 for CrossEntropyGrad {
    fn name(&self) -> &'static str {
        "cross-entropy-gradient"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_l: &Layout,
        labels: &CpuStorage,
        labels_l: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, classes) = logits_l.shape().dims2()?;
        let logits = dense::slice::<f32>(logits, logits_l, self.name())?;
        let labels = checked_labels(labels, labels_l, n, classes)?;
        let spread = self.label_smoothing / classes as f64;
        let mut out = Vec::with_capacity(logits.len());
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            let log_sum = log_sum_exp(row);
            out.extend(row.iter().enumerate().map(|(class, &logit)| {
                let on_label = if class == label as usize { 1. - self.label_smoothing } else { 0. };
                (((f64::from(logit) - log_sum).exp() - on_label - spread) / n as f64) as f32
            }));
        }
        Ok((CpuStorage::F32(out), logits_l.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        logits_l: &Layout,
        labels: &CudaStorage,
        labels_l: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let grad = crate::cuda::loss::cross_entropy_grad((logits, logits_l), (labels, labels_l), self.label_smoothing)?;
        Ok((grad, logits_l.shape().clone()))
    }
}

fn checked_labels<'a>(labels: &'a CpuStorage, layout: &Layout, n: usize, classes: usize) -> Result<&'a [u32]> {
    let (CpuStorage::U32(data), Some((start, end))) = (labels, layout.contiguous_offsets()) else {
        bail!("cross-entropy: the labels must be a contiguous u32 tensor")
    };
    let labels = &data[start..end];
    if labels.len() != n || layout.shape().rank() != 1 || n == 0 {
        bail!("cross-entropy: labels of shape {:?} do not fit logits [{n}, {classes}]", layout.shape());
    }
    if let Some((row, label)) = labels.iter().enumerate().find(|(_, label)| **label as usize >= classes) {
        bail!("cross-entropy: label {label} of row {row} is too large for {classes} classes");
    }
    Ok(labels)
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = if max.is_finite() { f64::from(max) } else { 0. };
    max + row.iter().map(|&logit| (f64::from(logit) - max).exp()).sum::<f64>().ln()
}
