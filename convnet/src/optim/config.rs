//! Settings of stochastic gradient descent.

use super::error::SgdError;
use candle_core::Tensor;

/// Hyper-parameters, as [`torch.optim.SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
///
/// ```
/// # use candle_convnet::{Decay, SgdConfig};
/// let config = SgdConfig::new(0.1).with_weight_decay(5e-4).with_decay(Decay::Weights).with_nesterov(true);
/// assert_eq!((config.lr, config.momentum, config.clip_norm), (0.1, 0.9, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Step size; finite, at least 0.
    pub lr: f64,
    /// Share of the previous update that is kept, from 0 for none to below 1.
    pub momentum: f64,
    /// L2 penalty added to the gradient; finite, at least 0.
    pub weight_decay: f64,
    /// Variables that the penalty applies to.
    pub decay: Decay,
    /// Whether to look ahead along the momentum.
    pub nesterov: bool,
    /// Largest norm of all gradients together; above it all are scaled down to it (Pascanu et al. 2013). Finite, above 0; None
    /// leaves gradients as they are.
    pub clip_norm: Option<f64>,
}

/// Variables that weight decay pulls towards 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decay {
    /// All of them, as `torch.optim.SGD` does.
    #[default]
    All,
    /// Those of two dimensions and more: convolutions' and linear layers' weights, but not biases and batch norms (Goyal et al.
    /// 2017, He et al. 2018).
    Weights,
}

impl Default for SgdConfig {
    /// Momentum 0.9, no weight decay, learning rate 0.01.
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.9, weight_decay: 0., decay: Decay::All, nesterov: false, clip_norm: None }
    }
}

impl SgdConfig {
    /// The default settings with another learning rate.
    pub fn new(lr: f64) -> Self {
        Self { lr, ..Self::default() }
    }

    /// Sets the share of the previous update that is kept.
    #[must_use]
    pub const fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets the L2 penalty.
    #[must_use]
    pub const fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Sets which variables the L2 penalty applies to.
    #[must_use]
    pub const fn with_decay(self, decay: Decay) -> Self {
        Self { decay, ..self }
    }

    /// Sets whether to look ahead along the momentum.
    #[must_use]
    pub const fn with_nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// Sets the largest norm of all gradients together.
    #[must_use]
    pub const fn with_clip_norm(self, clip_norm: Option<f64>) -> Self {
        Self { clip_norm, ..self }
    }

    /// Returns the penalty of one variable.
    pub(super) fn weight_decay_of(&self, var: &Tensor) -> f64 {
        match self.decay {
            Decay::Weights if var.rank() < 2 => 0.,
            Decay::All | Decay::Weights => self.weight_decay,
        }
    }

    /// Refuses values that no step can be computed with.
    pub(super) fn check(&self) -> Result<(), SgdError> {
        check_rate("lr", self.lr)?;
        check_rate("weight_decay", self.weight_decay)?;
        if !(0. ..1.).contains(&self.momentum) {
            return Err(SgdError::Setting { setting: "momentum", value: self.momentum, expected: "from 0 to below 1" });
        }
        match self.clip_norm {
            Some(value) if !(value > 0. && value.is_finite()) => {
                Err(SgdError::Setting { setting: "clip_norm", value, expected: "a finite number above 0" })
            }
            _ => Ok(()),
        }
    }
}

/// Refuses what is negative, not a number, or infinite in the f32 that steps are computed in.
pub(super) fn check_rate(setting: &'static str, value: f64) -> Result<(), SgdError> {
    if value >= 0. && (value as f32).is_finite() {
        return Ok(());
    }
    Err(SgdError::Setting { setting, value, expected: "a finite number of at least 0" })
}
