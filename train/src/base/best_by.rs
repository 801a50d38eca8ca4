//! The rule that chooses the best epoch of a run.

use crate::base::meters::Scored;
use serde::{Deserialize, Serialize};

/// The rule that chooses the best epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BestBy {
    /// The highest top-1 accuracy; among equals, the first epoch
    #[default]
    Top1,
    /// The lowest loss, which varies less if there are few clips
    Loss,
    /// The last epoch
    Last,
}

impl BestBy {
    /// Returns whether an epoch with the result `later` is better than an earlier one with the
    /// result `earlier`.
    pub fn prefers(self, later: Scored, earlier: Scored) -> bool {
        match self {
            Self::Top1 => later.top1 > earlier.top1,
            Self::Loss => later.loss < earlier.loss,
            Self::Last => true,
        }
    }
}
