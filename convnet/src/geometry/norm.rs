//! Settings of a batch normalisation.

/// Settings of a batch normalisation.
///
/// ```
/// # use candle_convnet::BatchNormConfig;
/// let config = BatchNormConfig::default().with_relu(true);
/// assert_eq!((config.eps, config.momentum, config.relu), (1e-5, 0.1, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchNormConfig {
    /// Number added to the variance, so that its square root is never 0.
    pub eps: f64,
    /// Weight of a new batch in the running statistics, as in PyTorch:
    /// `running = (1 - momentum) * running + momentum * new`.
    pub momentum: f64,
    /// Whether ReLU follows in the same pass.
    pub relu: bool,
}

impl Default for BatchNormConfig {
    /// Returns PyTorch's defaults: `eps` 1e-5, `momentum` 0.1, and no ReLU.
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, relu: false }
    }
}

impl BatchNormConfig {
    /// Sets the number added to the variance.
    #[must_use]
    pub const fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets the weight of a new batch in the running statistics.
    #[must_use]
    pub const fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets whether ReLU follows in the same pass.
    #[must_use]
    pub const fn with_relu(self, relu: bool) -> Self {
        Self { relu, ..self }
    }
}
