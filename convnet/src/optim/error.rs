//! Errors of the optimiser.

use candle_core::{DType, Shape};

/// An error of [`Sgd`](crate::Sgd).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SgdError {
    /// Two variables have the same name.
    #[error("two variables are named {name}; give each variable its own name")]
    DuplicateVariable {
        /// The name.
        name: String,
    },
    /// No variable has this name.
    #[error("the optimiser has no variable {name}")]
    UnknownVariable {
        /// The name.
        name: String,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}, but must be {expected}")]
    Setting {
        /// The field of [`SgdConfig`](crate::SgdConfig), or `lr factor`.
        setting: &'static str,
        /// The value of the setting.
        value: f64,
        /// The allowed values, in words.
        expected: &'static str,
    },
    /// A momentum of the state has another shape or type than its variable.
    #[error(
        "the momentum of {name} is {found_dtype:?} {found_shape:?}, \
         but the variable is {expected_dtype:?} {expected_shape:?}"
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
    /// The state has a momentum for a variable that the optimiser does not have.
    #[error("the state has a momentum of {name}, but the optimiser has no such variable")]
    UnknownMomentum {
        /// The name in the state.
        name: String,
    },
    /// An operation of candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
