//! Training steps: forward passes, loss, backward pass and update, computed on the CPU or recorded
//! by a GPU.
//!
//! [`StepRule`] has the rules of a step, [`StepPlace`] decides its random numbers, and `inputs` draws
//! them. `mixing` mixes the samples of a batch, and `accumulate` splits it into micro-batches, and
//! `shared` shares these out among ranks.

mod accumulate;
mod backward;
mod beta;
mod inputs;
mod mixing;
mod recorded;
mod rule;
mod shared;
mod sync;

pub use inputs::StepPlace;
pub use mixing::MixRule;
pub use rule::StepRule;
pub use shared::{Joint, Own};

use super::backend::{Download, Downloads};
use super::batches::DeviceBatch;
use super::device::Compute;
use crate::ranks::Ranks;
use anyhow::{Context, Result};
use backward::backward;
use candle_convnet::{Classifier, Model, Sgd};
use candle_core::Tensor;
use inputs::StepInputs;
use recorded::{Recorded, Tensors};
use std::fmt;
use std::sync::Arc;

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
        if rule.accumulate > 1 {
            let outputs = accumulate::step((model, sgd), &batch.inputs()?, labels, place, &rule)?;
            let Some(Gpu { downloads, .. }) = &mut self.gpu else { return Ok(StepOutputs(Kept::Host(outputs))) };
            return Ok(StepOutputs(Kept::OnTheWay(downloads.start(&[&outputs.loss, &outputs.logits])?)));
        }
        let inputs = StepInputs::draw(&rule, &model.net, labels, place, &self.compute.device)?;
        let mut work = |inputs: &StepInputs| step((model, sgd), batch.inputs()?, inputs, &rule);
        let Some(Gpu { recorded, downloads }) = &mut self.gpu else {
            return Ok(StepOutputs(Kept::Host(work(&inputs)?)));
        };
        let Tensors { logits, loss } = recorded.take(&inputs, batch.slot(), work)?;
        Ok(StepOutputs(Kept::OnTheWay(downloads.start(&[&loss, &logits])?)))
    }

    /// Takes a step of a batch of `n` samples together with the other ranks. `batch` has this rank's samples,
    /// which `own` describes; it is none if there are none.
    ///
    /// # Errors
    /// The device fails, or another rank has ended or does not do the same.
    pub fn take_shared(
        &mut self,
        (model, sgd): (&Model<Classifier>, &mut Sgd),
        (batch, own): (Option<&DeviceBatch<'_>>, &Own),
        n: usize,
        place: StepPlace,
        ranks: &Arc<dyn Ranks>,
    ) -> Result<(StepOutputs, Joint)> {
        let images = match batch {
            Some(batch) => batch.inputs()?,
            None => self.rule.images_that_do_not_count(&self.compute)?,
        };
        let (outputs, joint) = shared::step((model, sgd), &images, own, n, place, &self.rule, ranks)?;
        Ok((StepOutputs(Kept::Host(outputs)), joint))
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

/// Computes a backward pass and an update for the images of all views.
fn step(
    (model, sgd): (&Model<Classifier>, &mut Sgd),
    images: Vec<Tensor>,
    inputs: &StepInputs,
    rule: &StepRule,
) -> candle_core::Result<Tensors> {
    let (outputs, gradients) = backward(&rule.network(&model.net), images, inputs, rule, 1.0)?;
    sgd.step(&gradients)?;
    Ok(outputs)
}
