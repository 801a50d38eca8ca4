//! Training steps: forward passes, loss, backward pass and update, computed on the CPU or recorded
//! by a GPU.
//!
//! [`StepRule`] has the rules of a step, [`StepPlace`] decides its random numbers, and `inputs` draws
//! them. `mixing` mixes the samples of a batch.

mod beta;
mod inputs;
mod mixing;
mod recorded;
mod rule;

pub use inputs::StepPlace;
pub use mixing::MixRule;
pub use rule::StepRule;

use super::backend::{Download, Downloads};
use super::batches::DeviceBatch;
use super::device::Compute;
use super::groups;
use crate::view::Consensus;
use anyhow::{Context, Result};
use candle_convnet::{Classifier, Model, Sgd, cross_entropy};
use candle_core::DType;
use inputs::StepInputs;
use recorded::{Recorded, Tensors};
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

    /// Takes a step; its place decides the random choices. No batch may be larger than the first.
    ///
    /// A GPU may still compute when this returns. [`Stepper::finish`] waits for the outputs: call
    /// it after starting the next step to keep the GPU busy, and before starting the step after
    /// that.
    ///
    /// # Errors
    /// The device fails.
    pub fn take(
        &mut self,
        (model, sgd): (&Model<Classifier>, &mut Sgd),
        batch: &DeviceBatch<'_>,
        labels: &[u32],
        place: StepPlace,
    ) -> Result<StepOutputs> {
        let rule = self.rule;
        let inputs = StepInputs::draw(&rule, &model.net, labels, place, &self.compute.device)?;
        let mut work = |inputs: &StepInputs| step((model, sgd), batch, inputs, rule);
        let Some(Gpu { recorded, downloads }) = &mut self.gpu else {
            return Ok(StepOutputs(Kept::Host(work(&inputs)?)));
        };
        let Tensors { logits, loss } = recorded.take(&inputs, batch.slot(), work)?;
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

/// Computes the forward passes of all views or of their groups, the loss of their consensus, one
/// backward pass and one update.
fn step(
    (model, sgd): (&Model<Classifier>, &mut Sgd),
    batch: &DeviceBatch<'_>,
    inputs: &StepInputs,
    rule: StepRule,
) -> candle_core::Result<Tensors> {
    let StepInputs { labels, mixing, .. } = inputs;
    let mut images = batch.inputs()?;
    if let Some(mixing) = mixing {
        for images in &mut images {
            *images = mixing.images(images)?;
        }
    }
    let mut logits = if rule.temporal_shift {
        let logits = model.net.forward_train(&groups::of_views(&images)?, &inputs.pass(0)?)?;
        logits.reshape((labels.elem_count(), rule.views, ()))?.sum(1)?
    } else {
        let forward = |view: usize| model.net.forward_train(&images[view], &inputs.pass(view)?);
        let mut logits = forward(0)?;
        for view in 1..images.len() {
            logits = (logits + forward(view)?)?;
        }
        logits
    };
    if rule.consensus == Consensus::Mean {
        logits = (logits / images.len() as f64)?;
    }
    let loss = match mixing {
        None => cross_entropy(&logits, labels, rule.label_smoothing)?,
        Some(mixing) => mixing.loss(&logits, labels, rule.label_smoothing)?,
    };
    sgd.step(&loss.backward()?)?;
    Ok(Tensors { logits: logits.detach().to_dtype(DType::F32)?, loss: loss.detach().reshape(1)? })
}
