//! Batch norms that see the samples of all ranks.

use crate::ranks::Ranks;
use candle_convnet::NormSync;
use candle_core::{Error, Result};
use std::sync::Arc;

/// Exchanges the statistics of batch norms among ranks.
#[derive(Debug)]
pub(super) struct OverRanks {
    pub ranks: Arc<dyn Ranks>,
    /// Whether this rank has samples.
    pub counts: bool,
}

impl NormSync for OverRanks {
    fn gather(&self, own: &[f64]) -> Result<Vec<Vec<f64>>> {
        let all =
            self.ranks.gather(bytemuck::cast_slice(own).to_vec()).map_err(|error| Error::msg(format!("{error:#}")))?;
        Ok(all.iter().map(|bytes| bytemuck::pod_collect_to_vec(bytes)).collect())
    }

    fn counts(&self) -> bool {
        self.counts
    }
}
