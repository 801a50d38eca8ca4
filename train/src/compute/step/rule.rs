//! The rules of a training step.

use super::mixing::MixRule;
use crate::view::Consensus;

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
    /// Number of micro-batches, one after the other, whose gradients are added up.
    pub accumulate: usize,
}
