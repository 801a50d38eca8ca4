//! Linear (fully connected) layer.

use crate::cpu::dense;
use crate::cpu::matmul::{Mat, matmul};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Module, Result, Shape, Tensor, bail};
use candle_nn::{Init, VarBuilder};

/// A linear (fully connected) layer: `y = x · weightᵀ + bias`, as `torch.nn.Linear`.
///
/// ```
/// # use candle_convnet::Linear;
/// # use candle_core::{DType, Device, Tensor};
/// # use candle_nn::{VarBuilder, VarMap};
/// # fn main() -> candle_core::Result<()> {
/// let layer = Linear::new(512, 101, VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu))?;
/// let features = Tensor::zeros((4, 512), DType::F32, &Device::Cpu)?;
/// assert_eq!(layer.forward(&features)?.dims(), [4, 101]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Creates a layer from `weight` `[outputs, inputs]` and `bias` `[outputs]` of `vb`.
    ///
    /// If `vb` creates new variables, they are uniform in ±1/√inputs, as in `torch.nn.Linear`.
    ///
    /// # Errors
    /// Returns the error of `vb` if a tensor is missing or has another shape.
    pub fn new(inputs: usize, outputs: usize, vb: VarBuilder<'_>) -> Result<Self> {
        let bound = 1. / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Self::with_init(inputs, outputs, (init, init), vb)
    }

    /// Creates a layer with other distributions of new weights and biases.
    pub(crate) fn with_init(
        inputs: usize,
        outputs: usize,
        (weight, bias): (Init, Init),
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        Ok(Self {
            weight: vb.get_with_hints((outputs, inputs), "weight", weight)?,
            bias: vb.get_with_hints(outputs, "bias", bias)?,
        })
    }

    /// Maps `x` `[N, inputs]` to `[N, outputs]`, both f32.
    ///
    /// # Errors
    /// Returns an error if the shape or the type of `x` does not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, &self.bias)
    }

    /// Returns the weights `[outputs, inputs]` and the biases `[outputs]`.
    pub fn parameters(&self) -> (&Tensor, &Tensor) {
        (&self.weight, &self.bias)
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward(x)
    }
}

/// Computes `x · weightᵀ + bias`, as `torch.nn.functional.linear`.
///
/// `x` is `[N, I]`, `weight` is `[O, I]`, `bias` is `[O]` and the result is `[N, O]`, all f32.
///
/// # Errors
/// Returns an error if the shapes do not fit together, or if a tensor has another type.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.device().is_cuda() {
        return x.matmul(&weight.t()?)?.broadcast_add(bias);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, LinearOp)
}

struct LinearOp;

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        weight: &CpuStorage,
        wl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, inputs) = xl.shape().dims2()?;
        let (outputs, weight_inputs) = wl.shape().dims2()?;
        let bias = dense::slice::<f32>(bias, bl, self.name())?;
        if inputs != weight_inputs || bias.len() != outputs {
            bail!(
                "linear: the shapes of input {:?}, weight {:?} and bias {:?} do not fit together",
                xl.shape(),
                wl.shape(),
                bl.shape()
            );
        }
        let x = dense::slice::<f32>(x, xl, self.name())?;
        let weight = Mat::new(dense::slice::<f32>(weight, wl, self.name())?, outputs, inputs, inputs);
        Ok((CpuStorage::F32(rows_times(x, (n, inputs), weight.t(), bias)), (n, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x, weight, bias) = gradients(x, weight, &grad.contiguous()?)?;
        Ok((Some(x), Some(weight), Some(bias)))
    }
}

/// Number of rows per product.
const ROWS: usize = 16;

/// Returns `x · weight + bias`, where `x` has `n` rows of `inputs` values.
///
/// All products have as many rows, the last of them with rows of zeros. The algorithm of a product depends on
/// its size, and so would the bits of a row depend on the number of the others.
fn rows_times(x: &[f32], (n, inputs): (usize, usize), weight: Mat<'_>, bias: &[f32]) -> Vec<f32> {
    let outputs = bias.len();
    let mut out = Vec::with_capacity(n.next_multiple_of(ROWS) * outputs);
    let mut rows = vec![0f32; ROWS * inputs];
    for first in (0..n).step_by(ROWS) {
        let own = &x[first * inputs..n.min(first + ROWS) * inputs];
        rows[..own.len()].copy_from_slice(own);
        rows[own.len()..].fill(0.);
        let start = out.len();
        (0..ROWS).for_each(|_| out.extend_from_slice(bias));
        matmul(&mut out[start..], Mat::new(&rows, ROWS, inputs, inputs), weight, true);
    }
    out.truncate(n * outputs);
    out
}

/// Returns the gradients of input, weight and bias from that of the output, outside the autograd
/// graph.
pub(crate) fn gradients(x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let (x, weight, grad) = (x.detach(), weight.detach(), grad.detach());
    let bias = grad.sum(0)?;
    if x.device().is_cuda() {
        return Ok((grad.matmul(&weight)?, grad.t()?.matmul(&x)?, bias));
    }
    let data = grad.apply_op2_no_bwd(&weight, &Product { transpose: false })?;
    Ok((data, grad.apply_op2_no_bwd(&x, &Product { transpose: true })?, bias))
}

/// `a · b`, or `aᵀ · b` if `transpose`, both row-major.
struct Product {
    transpose: bool,
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(&self, a: &CpuStorage, al: &Layout, b: &CpuStorage, bl: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((a_rows, a_cols), (b_rows, b_cols)) = (al.shape().dims2()?, bl.shape().dims2()?);
        let a = Mat::new(dense::slice::<f32>(a, al, self.name())?, a_rows, a_cols, a_cols);
        let b = Mat::new(dense::slice::<f32>(b, bl, self.name())?, b_rows, b_cols, b_cols);
        let (a, rows) = if self.transpose { (a.t(), a_cols) } else { (a, a_rows) };
        let mut out = vec![0f32; rows * b_cols];
        matmul(&mut out, a, b, false);
        Ok((CpuStorage::F32(out), (rows, b_cols).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn the_bits_of_a_row_do_not_depend_on_the_other_rows() {
        for (inputs, outputs) in [(512, 4), (512, 101), (1024, 21), (3, 1)] {
            let tensor = |n: usize, scale: usize| {
                let values = (0..n * inputs).map(|i| ((i * scale) % 8191) as f32 / 97. - 40.);
                Tensor::from_vec(values.collect(), (n, inputs), &Device::Cpu).unwrap()
            };
            let (x, weight) = (tensor(130, 7919), tensor(outputs, 104_729));
            let bias = Tensor::zeros(outputs, DType::F32, &Device::Cpu).unwrap();
            let logits = |first: usize, n: usize| {
                let y = linear(&x.narrow(0, first, n).unwrap(), &weight, &bias).unwrap();
                y.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let all = logits(0, 130);
            for (first, n) in [(0, 1), (7, 1), (129, 1), (3, 2), (5, 15), (1, 16), (76, 24), (20, 76), (2, 128)] {
                let expected = &all[first * outputs..(first + n) * outputs];
                assert_eq!(logits(first, n), expected, "{n} rows from {first}, {inputs} to {outputs}");
            }
        }
    }
}
