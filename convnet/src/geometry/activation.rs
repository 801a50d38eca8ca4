//! Activation functions.

/// An activation function, applied to each value.
///
/// It is a layer, too:
///
/// ```
/// # use candle_convnet::{Activation, Linear};
/// # use candle_core::{DType, Device, Module, Tensor};
/// # use candle_nn::{VarBuilder, VarMap, seq};
/// # fn main() -> candle_core::Result<()> {
/// # let vb = VarBuilder::from_varmap(&VarMap::new(), DType::F32, &Device::Cpu);
/// let layers = seq().add(Linear::new(8, 4, vb)?).add(Activation::HardSwish);
/// assert_eq!(layers.forward(&Tensor::zeros((2, 8), DType::F32, &Device::Cpu)?)?.dims(), [2, 4]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)` (Elfwing et al. 2017), also called Swish.
    Silu,
    /// `x · hard_sigmoid(x)` (Howard et al. 2019, "Searching for MobileNetV3").
    HardSwish,
    /// `min(max(x / 6 + 1 / 2, 0), 1)`.
    HardSigmoid,
}
