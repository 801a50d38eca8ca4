//! Constants of a batch normalisation.

/// Constants of a batch normalisation.
///
/// ```
/// # use candle_convnet::BatchNormConfig;
/// let config = BatchNormConfig::default().with_relu(true);
/// assert_eq!((config.eps, config.momentum, config.relu), (1e-5, 0.1, true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchNormConfig {
    /// Added to the variance before its root.
    pub eps: f64,
    /// Share of the new batch in the running statistics.
    pub momentum: f64,
    /// Whether `max(y, 0)` follows in the same pass.
    pub relu: bool,
}

impl Default for BatchNormConfig {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, relu: false }
    }
}

impl BatchNormConfig {
    /// Sets what is added to the variance before its root.
    #[must_use]
    pub const fn with_eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// Sets the share of a new batch in the running statistics.
    #[must_use]
    pub const fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets whether a rectifier follows in the same pass.
    #[must_use]
    pub const fn with_relu(self, relu: bool) -> Self {
        Self { relu, ..self }
    }
}
