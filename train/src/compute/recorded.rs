//! Training steps that a GPU records: started kernel by kernel, a step of few images takes the processor longer than the GPU.

use super::backend::{Recording, record, rehearse};
use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use std::collections::HashSet;

/// Logits `[n, classes]` and their loss `[1]`, f32 on the device.
pub(super) struct Tensors {
    pub(super) logits: Tensor,
    pub(super) loss: Tensor,
}

/// Recorded steps, and the tensors at fixed addresses that they read and write.
pub(super) struct Recorded {
    device: Device,
    labels: Tensor,
    /// All masks one behind the other; none where nothing is dropped, and before the first step.
    masks: Option<Tensor>,
    logits: Tensor,
    loss: Tensor,
    /// Batch sizes that were rehearsed.
    rehearsed: HashSet<usize>,
    /// By batch size and buffer of the pixels.
    recordings: Vec<((usize, usize), Recording)>,
}

impl Recorded {
    pub(super) fn new(device: &Device, classes: usize, batch_size: usize) -> Result<Self> {
        Ok(Self {
            device: device.clone(),
            labels: Tensor::zeros(batch_size, DType::U32, device)?,
            masks: None,
            logits: Tensor::zeros((batch_size, classes), DType::F32, device)?,
            loss: Tensor::zeros(1, DType::F32, device)?,
            rehearsed: HashSet::new(),
            recordings: Vec::new(),
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
    pub(super) fn take(
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
                if let Some((_, recording)) = self.recordings.iter().find(|(of, _)| *of == (n, slot)) {
                    recording.run()?;
                } else {
                    let recording = record(&self.device, kept)?;
                    recording.run()?;
                    self.recordings.push(((n, slot), recording));
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
