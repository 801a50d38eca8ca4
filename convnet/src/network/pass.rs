//! Options of a training pass.

use candle_core::{DType, Result, Tensor, bail};

/// Options of [`ResNet::forward_train`](crate::ResNet::forward_train).
///
/// The factors are inputs, so you choose the random numbers. A step that a GPU records can read
/// them from fixed addresses.
///
/// ```
/// # use candle_convnet::{Depth, Model, ResNetConfig, TrainPass};
/// # use candle_core::{DType, Device, Tensor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let net = Model::random(&ResNetConfig::new(Depth::R18, 3, 10), 42, &Device::Cpu)?.net;
/// let images = Tensor::zeros((2, 32, 32, 3), DType::F32, &Device::Cpu)?;
/// // 0 with probability p, otherwise 1 / (1 - p).
/// let factors = |p: f64, rows: usize, columns: usize| {
///     let kept = Tensor::rand(0f32, 1., (rows, columns), &Device::Cpu)?.ge(p)?;
///     kept.to_dtype(DType::F32)? / (1. - p)
/// };
/// let pass = TrainPass::new()
///     .with_dropout(&factors(0.5, 2, net.features())?)
///     .with_stochastic_depth(&factors(0.1, net.blocks().len(), 2)?);
/// assert_eq!(net.forward_train(&images, &pass)?.dims(), [2, 10]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TrainPass {
    /// Factors of the features before the last layer, `[N, features]`, f32; see
    /// [`TrainPass::with_dropout`].
    pub dropout: Option<Tensor>,
    /// Factors of the branches of the residual blocks, `[blocks, N]`, f32; see
    /// [`TrainPass::with_stochastic_depth`].
    pub stochastic_depth: Option<Tensor>,
}

impl TrainPass {
    /// Returns a pass without dropout and without stochastic depth.
    pub const fn new() -> Self {
        Self { dropout: None, stochastic_depth: None }
    }

    /// Multiplies the features by `mask` `[N, features]`, f32 (dropout, Srivastava et al. 2014).
    ///
    /// To drop features with probability p, fill the mask with 0 (dropped) and 1 / (1 - p) (kept).
    #[must_use]
    pub fn with_dropout(self, mask: &Tensor) -> Self {
        Self { dropout: Some(mask.clone()), ..self }
    }

    /// Multiplies the branch of each residual block by a factor per image (stochastic depth, Huang
    /// et al. 2016).
    ///
    /// `factors` is `[blocks, N]`, f32, with a row per block, from the first to the last; see
    /// [`ResNet::blocks`](crate::ResNet::blocks). To drop branches with probability p, fill it with
    /// 0 (dropped) and 1 / (1 - p) (kept). [`stochastic_depth`](crate::stochastic_depth) gives the
    /// definition. The authors let p grow linearly with the number of the block.
    ///
    /// A block computes `relu(factor · branch(x) + shortcut(x))`. All images count for the
    /// statistics of its batch norms, dropped or not.
    #[must_use]
    pub fn with_stochastic_depth(self, factors: &Tensor) -> Self {
        Self { stochastic_depth: Some(factors.clone()), ..self }
    }

    /// Checks the factors for `images` images of a network.
    pub(super) fn check(&self, images: usize, features: usize, blocks: usize) -> Result<()> {
        let of = |name: &str, factors: &Option<Tensor>, rows: usize, columns: usize| {
            let Some(factors) = factors else { return Ok(()) };
            if factors.dims() != [rows, columns] || factors.dtype() != DType::F32 {
                let (dtype, dims) = (factors.dtype(), factors.dims());
                bail!("network: the factors of {name} are {dtype:?} {dims:?}, but must be F32 [{rows}, {columns}]");
            }
            Ok(())
        };
        of("dropout", &self.dropout, images, features)?;
        of("stochastic depth", &self.stochastic_depth, blocks, images)
    }
}
