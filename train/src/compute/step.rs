//! One training step. A card records it: started kernel by kernel, a step of few images takes the processor longer than the card.

use crate::compute::device::Compute;
use crate::compute::feed::{Feed, Staged};
use crate::view::Consensus;
#[cfg(feature = "cuda")]
use anyhow::Context;
use anyhow::Result;
use candle_convnet::{Model, Sgd, cross_entropy};
use candle_core::{DType, Tensor};
use clipshard::order::Draws;

/// What a step leaves for the meters.
pub struct StepResult {
    /// Mean over the batch.
    pub loss: f32,
    /// Consensus of the views [N, classes].
    pub logits: Vec<f32>,
}

/// A step's results; a card may still be at it.
pub struct StepOutputs(Kept);

enum Kept {
    There(Tensors),
    #[cfg(feature = "cuda")]
    UnderWay(candle_convnet::cuda::Download),
}

/// Logits [N, classes] and their loss [1], f32 on the device.
struct Tensors {
    logits: Tensor,
    loss: Tensor,
}

/// What a step computes.
#[derive(Clone, Copy, Debug)]
pub struct StepRule {
    /// How the logits of a sample's views become one.
    pub consensus: Consensus,
    /// Share of the target that goes to all classes alike.
    pub label_smoothing: f64,
    /// Images of a sample, each seen by itself.
    pub views: usize,
    /// Share of the features that each view drops in front of the last layer.
    pub dropout: f64,
}

impl StepRule {
    /// 0 or 1 / (1 - share) for each feature of each sample of each view [views, N, features]; none where nothing is dropped.
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

/// Takes the steps of an epoch.
pub struct Steps {
    compute: Compute,
    rule: StepRule,
    #[cfg(feature = "cuda")]
    card: Option<Card>,
}

/// What makes a step quick on a card.
#[cfg(feature = "cuda")]
struct Card {
    recorded: recorded::Recorded,
    downloads: candle_convnet::cuda::Downloads,
}

impl Steps {
    /// For batches of at most `batch_size` samples.
    pub fn new(compute: &Compute, classes: usize, batch_size: usize, rule: StepRule) -> Result<Self> {
        let _ = (classes, batch_size);
        Ok(Self {
            #[cfg(feature = "cuda")]
            card: if compute.device.is_cuda() {
                Some(Card {
                    recorded: recorded::Recorded::new(&compute.device, classes, batch_size)?,
                    downloads: candle_convnet::cuda::Downloads::new(&compute.device, 1 + batch_size * classes)?,
                })
            } else {
                None
            },
            compute: compute.clone(),
            rule,
        })
    }

    /// Takes a step; `draws` decide what it drops. A card may still be at it when this returns: [`Steps::finish`] its outputs,
    /// best when the next step is under way, and before the one after that.
    pub fn take(
        &mut self,
        (model, sgd): (&Model, &mut Sgd),
        feed: &Feed,
        batch: &Staged<'_>,
        labels: &[u32],
        draws: Draws,
    ) -> Result<StepOutputs> {
        // As few bytes as labels are go to a card without waiting for it.
        let (labels, rule) = (Tensor::new(labels, &self.compute.device)?, self.rule);
        let masks = rule.dropout_masks(model, &labels, draws)?;
        #[cfg(feature = "cuda")]
        if let Some(Card { recorded, downloads }) = &mut self.card {
            let work = |labels: &Tensor, masks: Option<&Tensor>| step((model, sgd), feed, batch, labels, masks, rule);
            let Tensors { logits, loss } = recorded.take(&labels, masks.as_ref(), batch.slot(), work)?;
            return Ok(StepOutputs(Kept::UnderWay(downloads.start(&[&loss, &logits])?)));
        }
        Ok(StepOutputs(Kept::There(step((model, sgd), feed, batch, &labels, masks.as_ref(), rule)?)))
    }

    /// Waits for a step's results.
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "a card's downloads are in it")]
    pub fn finish(&mut self, outputs: StepOutputs) -> Result<StepResult> {
        match outputs.0 {
            Kept::There(Tensors { logits, loss }) => {
                Ok(StepResult { loss: loss.to_vec1()?[0], logits: logits.flatten_all()?.to_vec1()? })
            }
            #[cfg(feature = "cuda")]
            Kept::UnderWay(download) => {
                let card = self.card.as_mut().context("a download without a card")?;
                let mut values = card.downloads.finish(&download)?;
                let logits = values.split_off(1);
                Ok(StepResult { loss: values[0], logits })
            }
        }
    }
}

/// Forward passes of all views, loss of their consensus, one backward pass, one update.
fn step(
    (model, sgd): (&Model, &mut Sgd),
    feed: &Feed,
    batch: &Staged<'_>,
    labels: &Tensor,
    masks: Option<&Tensor>,
    rule: StepRule,
) -> candle_core::Result<Tensors> {
    let inputs = feed.inputs(batch)?;
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

#[cfg(feature = "cuda")]
mod recorded {
    use super::Tensors;
    use anyhow::{Context, Result};
    use candle_convnet::cuda::{Recording, record, rehearse};
    use candle_core::{DType, Device, Tensor};
    use std::collections::{HashMap, HashSet};

    /// Recorded steps, and the tensors at fixed addresses that they read and write.
    pub struct Recorded {
        device: Device,
        labels: Tensor,
        /// All masks one behind the other; none where nothing is dropped, and before the first step.
        masks: Option<Tensor>,
        logits: Tensor,
        loss: Tensor,
        /// Batch sizes that were rehearsed.
        rehearsed: HashSet<usize>,
        /// By batch size and buffer of the pixels.
        recordings: HashMap<(usize, usize), Recording>,
    }

    impl Recorded {
        pub fn new(device: &Device, classes: usize, batch_size: usize) -> Result<Self> {
            Ok(Self {
                device: device.clone(),
                labels: Tensor::zeros(batch_size, DType::U32, device)?,
                masks: None,
                logits: Tensor::zeros((batch_size, classes), DType::F32, device)?,
                loss: Tensor::zeros(1, DType::F32, device)?,
                rehearsed: HashSet::new(),
                recordings: HashMap::new(),
            })
        }

        /// Brings masks [views, n, features] to where all steps of their size find them.
        fn keep_masks(&mut self, masks: &Tensor) -> Result<Tensor> {
            let (views, n, features) = masks.dims3()?;
            let room = views * self.labels.elem_count() * features;
            if self.masks.is_none() {
                self.masks = Some(Tensor::zeros(room, masks.dtype(), &self.device)?);
            }
            let all = self.masks.as_ref().context("the masks' place")?;
            all.slice_set(&masks.flatten_all()?, 0, 0)?;
            Ok(all.narrow(0, 0, views * n * features)?.reshape((views, n, features))?)
        }

        /// Does `step` the first time that it sees a batch size, records it the second time, and then runs the recording.
        pub fn take(
            &mut self,
            labels: &Tensor,
            masks: Option<&Tensor>,
            slot: Option<usize>,
            step: impl FnOnce(&Tensor, Option<&Tensor>) -> candle_core::Result<Tensors>,
        ) -> Result<Tensors> {
            let n = labels.elem_count();
            self.labels.slice_set(labels, 0, 0)?;
            let labels = self.labels.narrow(0, 0, n)?;
            let masks = masks.map(|masks| self.keep_masks(masks)).transpose()?;
            let kept = || {
                let outputs = step(&labels, masks.as_ref())?;
                self.logits.slice_set(&outputs.logits, 0, 0)?;
                self.loss.slice_set(&outputs.loss, 0, 0)
            };
            match slot {
                Some(slot) if self.rehearsed.contains(&n) => {
                    if let Some(recording) = self.recordings.get(&(n, slot)) {
                        recording.run()?;
                    } else {
                        let recording = record(&self.device, kept)?;
                        recording.run()?;
                        self.recordings.insert((n, slot), recording);
                    }
                }
                _ => {
                    rehearse(&self.device, kept)?;
                    self.rehearsed.insert(n);
                }
            }
            Ok(Tensors { logits: self.logits.narrow(0, 0, n)?, loss: self.loss.clone() })
        }
    }
}
