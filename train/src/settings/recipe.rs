//! Named sets of defaults.

use serde::{Deserialize, Serialize};

/// A named set of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// Defaults of the reference run that this project reproduces
    Seed,
    /// Views of Temporal Segment Networks (Wang et al. 2016) and a cosine schedule
    Tsn,
    /// As tsn, but each view is a step of its own, and the learning rates are higher
    Strong,
}
