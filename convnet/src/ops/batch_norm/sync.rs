//! Batch norms of several processes that normalise with the statistics of all their images.

use candle_core::Result;
use std::fmt::Debug;

/// Exchanges the statistics of batch norms among processes (or threads) that train one network together.
///
/// [`ResNet::with_synchronised_norms`](crate::ResNet::with_synchronised_norms) has an example.
pub trait NormSync: Debug + Send + Sync {
    /// Returns the values of all processes, in an order that is the same for all of them.
    ///
    /// All processes run the same passes, so they call this equally often, and each time with equally many
    /// values.
    ///
    /// # Errors
    /// Another process is lost. The pass fails with this error.
    fn gather(&self, own: &[f64]) -> Result<Vec<Vec<f64>>>;

    /// Returns whether the images of this process count. A process without images for a step runs the passes
    /// with any image that does not count, so that the others need not wait for it forever. Multiply its loss by
    /// `f64::MIN_POSITIVE`: candle omits the backward pass of a loss that is multiplied by 0. The
    /// gradients of this process mean nothing.
    fn counts(&self) -> bool {
        true
    }
}

/// Returns the values of all processes. Those of a process whose images do not count are zeros.
pub(super) fn gather(sync: &dyn NormSync, own: &[f64]) -> Result<Vec<Vec<f64>>> {
    let all = if sync.counts() { sync.gather(own) } else { sync.gather(&vec![0.; own.len()]) }?;
    match all.iter().find(|values| values.len() != own.len()) {
        Some(values) => candle_core::bail!(
            "synchronised batch norm: a process sent {} values instead of {}; all need the same network",
            values.len(),
            own.len()
        ),
        None => Ok(all),
    }
}
