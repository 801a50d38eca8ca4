//! Training steps: forward passes, loss, backward pass and update, computed on the CPU or recorded
//! by a GPU.

use super::backend::{Download, Downloads};
use super::batches::DeviceBatch;
use super::device::Compute;
use super::recorded::{Recorded, Tensors};
use crate::view::Consensus;
use anyhow::{Context, Result};
use candle_convnet::{Model, Sgd, cross_entropy};
use candle_core::{DType, Tensor};
use clipshard::order::Draws;
use std::fmt;

/// The results of a step for the meters.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Mean loss over the batch.
    pub loss: f32,
    /// Consensus logits of the views, `[n, classes]`.
    pub logits: Vec<f32>,
}

/// The results of a step that a GPU may still be computing.
pub struct StepOutputs(Kept);

enum Kept {
    Host(Tensors),
    OnTheWay(Download),
}

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
}

impl StepRule {
    /// Returns the dropout masks `[views, n, features]`, with values 0 or 1 / (1 - share). Returns
    /// none without dropout.
    fn dropout_masks(&self, model: &Model, labels: &Tensor, mut draws: Draws) -> Result<Option<Tensor>> {
        let share = self.dropout;
        if share == 0.0 {
            return Ok(None);
        }
        let shape = (self.views, labels.elem_count(), model.net.features());
        let kept = (1.0 / (1.0 - share)) as f32;
        let values = (0..shape.0 * shape.1 * shape.2).map(|_| if draws.unit() < share { 0.0 } else { kept });
        Ok(Some(Tensor::from_vec(values.collect(), shape, labels.device())?))
    }
}

/// The training steps of an epoch on a device.
pub struct Stepper {
    compute: Compute,
    rule: StepRule,
    gpu: Option<Gpu>,
}

/// The recordings and copies that make steps fast on a GPU.
struct Gpu {
    recorded: Recorded,
    downloads: Downloads,
}

impl Stepper {
    /// Prepares for batches of at most `batch_size` samples.
    ///
    /// # Errors
    /// The GPU has no memory left.
    pub fn new(compute: &Compute, classes: usize, batch_size: usize, rule: StepRule) -> Result<Self> {
        let gpu = || -> Result<Gpu> {
            Ok(Gpu {
                recorded: Recorded::new(&compute.device, classes, batch_size)?,
                downloads: Downloads::new(&compute.device, 1 + batch_size * classes)?,
            })
        };
        let gpu = compute.device.is_cuda().then(gpu).transpose()?;
        Ok(Self { compute: compute.clone(), rule, gpu })
    }

    /// Takes a step; `draws` decide which features it drops.
    ///
    /// A GPU may still compute when this returns. [`Stepper::finish`] waits for the outputs: call
    /// it after starting the next step to keep the GPU busy, and before starting the step after
    /// that.
    ///
    /// # Errors
    /// The device fails.
    pub fn take(
        &mut self,
        (model, sgd): (&Model, &mut Sgd),
        batch: &DeviceBatch<'_>,
        labels: &[u32],
        draws: Draws,
    ) -> Result<StepOutputs> {
        // Labels have few bytes, so their copy to a GPU does not wait for it.
        let (labels, rule) = (Tensor::new(labels, &self.compute.device)?, self.rule);
        let masks = rule.dropout_masks(model, &labels, draws)?;
        let mut work = |labels: &Tensor, masks: Option<&Tensor>| step((model, sgd), batch, labels, masks, rule);
        let Some(Gpu { recorded, downloads }) = &mut self.gpu else {
            return Ok(StepOutputs(Kept::Host(work(&labels, masks.as_ref())?)));
        };
        let Tensors { logits, loss } = recorded.take(&labels, masks.as_ref(), batch.slot(), work)?;
        Ok(StepOutputs(Kept::OnTheWay(downloads.start(&[&loss, &logits])?)))
    }

    /// Waits for a step's results.
    ///
    /// # Errors
    /// The device fails.
    pub fn finish(&mut self, outputs: StepOutputs) -> Result<StepResult> {
        match outputs.0 {
            Kept::Host(Tensors { logits, loss }) => {
                Ok(StepResult { loss: loss.to_vec1()?[0], logits: logits.flatten_all()?.to_vec1()? })
            }
            Kept::OnTheWay(download) => {
                let gpu = self.gpu.as_mut().context("a download needs a GPU")?;
                let mut values = gpu.downloads.finish(&download)?;
                let logits = values.split_off(1);
                Ok(StepResult { loss: values[0], logits })
            }
        }
    }
}

impl fmt::Debug for StepOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepOutputs(..)")
    }
}

impl fmt::Debug for Stepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepper").field("compute", &self.compute).field("rule", &self.rule).finish_non_exhaustive()
    }
}

/// Computes the forward passes of all views, the loss of their consensus, one backward pass and one
/// update.
fn step(
    (model, sgd): (&Model, &mut Sgd),
    batch: &DeviceBatch<'_>,
    labels: &Tensor,
    masks: Option<&Tensor>,
    rule: StepRule,
) -> candle_core::Result<Tensors> {
    let inputs = batch.inputs()?;
    let forward = |view: usize| match masks {
        None => model.net.forward_t(&inputs[view], true),
        Some(masks) => model.net.forward_dropout(&inputs[view], &masks.get(view)?),
    };
    let mut logits = forward(0)?;
    for view in 1..inputs.len() {
        logits = (logits + forward(view)?)?;
    }
    if rule.consensus == Consensus::Mean {
        logits = (logits / inputs.len() as f64)?;
    }
    let loss = cross_entropy(&logits, labels, rule.label_smoothing)?;
    sgd.step(&loss.backward()?)?;
    Ok(Tensors { logits: logits.detach().to_dtype(DType::F32)?, loss: loss.detach().reshape(1)? })
}
