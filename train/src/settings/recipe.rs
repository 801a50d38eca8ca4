//! Named sets of defaults.

use serde::{Deserialize, Serialize};

/// A named set of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// The documented run that this project reproduces
    Seed,
    /// Temporal Segment Networks' way of seeing clips, with a learning rate that falls along a cosine
    Tsn,
}
