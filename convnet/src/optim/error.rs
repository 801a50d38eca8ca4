//! Why an optimiser refuses something.

use candle_core::{DType, Shape};

/// Why an [`Sgd`](crate::Sgd) refuses variables, settings or a state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SgdError {
    /// Two variables have one name.
    #[error("two variables are named {name}; give each its own name")]
    DuplicateVariable {
        /// The name.
        name: String,
    },
    /// No variable has this name.
    #[error("{name}: no such variable is being trained")]
    UnknownVariable {
        /// The name.
        name: String,
    },
    /// A setting has a value that no step can be computed with.
    #[error("{setting} {value} is not {expected}")]
    Setting {
        /// The field of [`SgdConfig`](crate::SgdConfig), or `lr factor`.
        setting: &'static str,
        /// The value that was given.
        value: f64,
        /// The values that are allowed.
        expected: &'static str,
    },
    /// The state holds a momentum that does not fit its variable.
    #[error(
        "momentum of {name}: expected {expected_dtype:?} {expected_shape:?}, found {found_dtype:?} {found_shape:?}"
    )]
    Momentum {
        /// The variable's name.
        name: String,
        /// Type of the variable.
        expected_dtype: DType,
        /// Shape of the variable.
        expected_shape: Shape,
        /// Type of the momentum.
        found_dtype: DType,
        /// Shape of the momentum.
        found_shape: Shape,
    },
    /// The state holds the momentum of a variable that the optimiser does not have.
    #[error("momentum of {name}: no such variable is being trained")]
    UnknownMomentum {
        /// The name in the state.
        name: String,
    },
    /// candle failed to compute.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
