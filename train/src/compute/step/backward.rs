//! The gradients of some samples.

use super::inputs::{StepInputs, StepPlace};
use super::recorded::Tensors;
use super::rule::StepRule;
use crate::compute::groups;
use crate::view::Consensus;
use candle_convnet::{Classifier, cross_entropy};
use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor};
use std::ops::Range;

/// The samples of a micro-batch: their places among `images`, and their labels.
pub(super) struct MicroBatch<'a> {
    /// A tensor per view, `[samples, side, side, channels]`.
    pub images: &'a [Tensor],
    pub places: Range<usize>,
    pub labels: &'a [u32],
    /// Decides the random choices.
    pub place: StepPlace,
    /// Its share of the samples of the batch.
    pub share: f64,
}

impl MicroBatch<'_> {
    /// Computes logits, loss and gradients. The loss and the gradients are multiplied by the share.
    pub(super) fn backward(&self, net: &Classifier, rule: &StepRule) -> anyhow::Result<(Tensors, GradStore)> {
        let Self { images, places, labels, place, share } = self;
        let own = images.iter().map(|images| images.narrow(0, places.start, places.len())?.contiguous());
        let own = own.collect::<Result<Vec<_>>>()?;
        let inputs = StepInputs::draw(rule, net, labels, *place, own[0].device())?;
        Ok(backward(net, own, &inputs, rule, *share)?)
    }
}

/// Computes the forward passes of all views or of their groups, the loss of their consensus, and the
/// gradients. The loss and the gradients are multiplied by `share`.
pub(super) fn backward(
    net: &Classifier,
    mut images: Vec<Tensor>,
    inputs: &StepInputs,
    rule: &StepRule,
    share: f64,
) -> Result<(Tensors, GradStore)> {
    let StepInputs { labels, mixing, .. } = inputs;
    if let Some(mixing) = mixing {
        for images in &mut images {
            *images = mixing.images(images)?;
        }
    }
    let mut logits = if rule.temporal_shift {
        let logits = net.forward_train(&groups::of_views(&images)?, &inputs.pass(0)?)?;
        logits.reshape((labels.elem_count(), rule.views, ()))?.sum(1)?
    } else {
        let forward = |view: usize| net.forward_train(&images[view], &inputs.pass(view)?);
        let mut logits = forward(0)?;
        for view in 1..images.len() {
            logits = (logits + forward(view)?)?;
        }
        logits
    };
    if rule.consensus == Consensus::Mean {
        logits = (logits / images.len() as f64)?;
    }
    let mut loss = match mixing {
        None => cross_entropy(&logits, labels, rule.label_smoothing)?,
        Some(mixing) => mixing.loss(&logits, labels, rule.label_smoothing)?,
    };
    if share < 1.0 {
        loss = (loss * share)?;
    }
    let outputs = Tensors { logits: logits.detach().to_dtype(DType::F32)?, loss: loss.detach().reshape(1)? };
    Ok((outputs, loss.backward()?))
}
