//! Settings of stochastic gradient descent.

use super::error::SgdError;
use candle_core::Tensor;

/// Hyper-parameters of [`Sgd`](crate::Sgd), as in
/// [`torch.optim.SGD`](https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
///
/// ```
/// # use candle_convnet::{Decay, SgdConfig};
/// let config = SgdConfig::new(0.1).with_weight_decay(5e-4).with_decay(Decay::Weights).with_nesterov(true);
/// assert_eq!((config.lr, config.momentum, config.clip_norm), (0.1, 0.9, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Learning rate; finite, at least 0.
    pub lr: f64,
    /// Factor of the previous update, at least 0 and below 1. 0 means no momentum.
    pub momentum: f64,
    /// Factor of the L2 penalty, which is added to the gradient; finite, at least 0.
    pub weight_decay: f64,
    /// Variables with an L2 penalty.
    pub decay: Decay,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Largest norm of all gradients together; finite, above 0. If the norm is larger, all
    /// gradients are scaled down to it (Pascanu et al. 2013), as by
    /// `torch.nn.utils.clip_grad_norm_`. `None` means no clipping.
    pub clip_norm: Option<f64>,
}

/// Variables that weight decay applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decay {
    /// All variables, as in `torch.optim.SGD`.
    #[default]
    All,
    /// Variables of two or more dimensions: weights of convolutions and linear layers, but not
    /// biases and batch norms (Goyal et al. 2017, He et al. 2018).
    Weights,
}

impl Default for SgdConfig {
    /// Returns learning rate 0.01 and momentum 0.9, without weight decay, Nesterov momentum or
    /// clipping.
    fn default() -> Self {
        Self { lr: 0.01, momentum: 0.9, weight_decay: 0., decay: Decay::All, nesterov: false, clip_norm: None }
    }
}

impl SgdConfig {
    /// Returns the default settings with the learning rate `lr`.
    pub fn new(lr: f64) -> Self {
        Self { lr, ..Self::default() }
    }

    /// Sets the factor of the previous update.
    #[must_use]
    pub const fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets the factor of the L2 penalty.
    #[must_use]
    pub const fn with_weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// Sets the variables with an L2 penalty.
    #[must_use]
    pub const fn with_decay(self, decay: Decay) -> Self {
        Self { decay, ..self }
    }

    /// Sets whether to use Nesterov momentum.
    #[must_use]
    pub const fn with_nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// Sets the largest norm of all gradients together, or `None` for no clipping.
    #[must_use]
    pub const fn with_clip_norm(self, clip_norm: Option<f64>) -> Self {
        Self { clip_norm, ..self }
    }

    /// Returns the factor of the L2 penalty for one variable.
    pub(super) fn weight_decay_of(&self, var: &Tensor) -> f64 {
        match self.decay {
            Decay::Weights if var.rank() < 2 => 0.,
            Decay::All | Decay::Weights => self.weight_decay,
        }
    }

    /// Checks that all values are in their ranges.
    pub(super) fn check(&self) -> Result<(), SgdError> {
        check_rate("lr", self.lr)?;
        check_rate("weight_decay", self.weight_decay)?;
        if !(0. ..1.).contains(&self.momentum) {
            return Err(SgdError::Setting {
                setting: "momentum",
                value: self.momentum,
                expected: "at least 0 and below 1",
            });
        }
        match self.clip_norm {
            Some(value) if !(value > 0. && value.is_finite()) => {
                Err(SgdError::Setting { setting: "clip_norm", value, expected: "a finite number above 0" })
            }
            _ => Ok(()),
        }
    }
}

/// Checks that a value is at least 0, and finite as the f32 that steps are computed in.
pub(super) fn check_rate(setting: &'static str, value: f64) -> Result<(), SgdError> {
    if value >= 0. && (value as f32).is_finite() {
        return Ok(());
    }
    Err(SgdError::Setting { setting, value, expected: "a finite number of at least 0" })
}
