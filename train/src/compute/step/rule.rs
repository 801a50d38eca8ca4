//! The rules of a training step.

use super::mixing::MixRule;
use super::sync::OverRanks;
use crate::compute::device::Compute;
use crate::ranks::Ranks;
use crate::view::Consensus;
use candle_convnet::Classifier;
use candle_core::{Result, Tensor};
use std::sync::Arc;

/// The rules of a step's computation.
#[derive(Clone, Copy, Debug)]
pub struct StepRule {
    /// How the logits of a sample's views are combined.
    pub consensus: Consensus,
    /// Share of the target that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Number of images in a sample; the network sees each alone.
    pub views: usize,
    /// Share of the features that are dropped before the last layer, separately for each view.
    pub dropout: f64,
    /// Share of the images for which the last residual block drops its branch. Earlier blocks drop
    /// theirs less often.
    pub stochastic_depth: f64,
    /// Whether the views of a sample are a group, between whose frames the network shifts channels.
    pub temporal_shift: bool,
    /// How samples are mixed with others of their batch.
    pub mix: MixRule,
    /// Height and width of an image in pixels.
    pub side: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Number of micro-batches, one after the other, whose gradients are added up.
    pub accumulate: usize,
    /// Whether batch norms see the samples of all ranks. Each then has one micro-batch.
    pub sync_bn: bool,
}

impl StepRule {
    /// Returns the network for the passes of one step. It keeps the kernels of its convolutions if there are
    /// several passes.
    pub(super) fn network(&self, net: &Classifier) -> Classifier {
        let of_micro_batch = if self.temporal_shift { 1 } else { self.views };
        let is_alone = self.accumulate * of_micro_batch == 1;
        if is_alone { net.clone() } else { net.clone().with_kept_kernels() }
    }

    /// Returns the network for the passes of samples, or of images that do not count. Its batch norms see those of
    /// all ranks if the rule says so.
    pub fn over_ranks(&self, net: &Classifier, ranks: &Arc<dyn Ranks>, counts: bool) -> Classifier {
        let net = net.clone();
        if self.sync_bn && ranks.size() > 1 {
            return net.with_synchronised_norms(Arc::new(OverRanks { ranks: ranks.clone(), counts }));
        }
        net
    }

    /// Returns the images of a sample with which a rank without samples takes part in the exchanges of batch norms.
    /// If there are no exchanges, returns none.
    pub fn images_that_do_not_count(&self, compute: &Compute) -> Result<Vec<Tensor>> {
        let Self { side, channels, views, sync_bn, .. } = *self;
        let image = || Tensor::zeros((1, side, side, channels), compute.dtype, &compute.device);
        (0..if sync_bn { views } else { 0 }).map(|_| image()).collect()
    }
}
