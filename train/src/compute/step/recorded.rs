//! Training steps that a GPU records and then runs as a whole. Without a recording, the processor
//! starts each kernel, which takes longer than the computation if a step has few images.

use super::inputs::StepInputs;
use crate::compute::backend::{Recording, record, rehearse};
use anyhow::Result;
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
    /// The places of the inputs, in the order of [`StepInputs::moved`]. The first step sets their
    /// lengths.
    places: Vec<Tensor>,
    logits: Tensor,
    loss: Tensor,
    /// Batch sizes whose step has run once.
    rehearsed: HashSet<usize>,
    /// Recordings by batch size and number of the pixels' buffer.
    recordings: Vec<((usize, usize), Recording)>,
}

impl Recorded {
    pub(super) fn new(device: &Device, classes: usize, batch_size: usize) -> Result<Self> {
        Ok(Self {
            device: device.clone(),
            places: Vec::new(),
            logits: Tensor::zeros((batch_size, classes), DType::F32, device)?,
            loss: Tensor::zeros(1, DType::F32, device)?,
            rehearsed: HashSet::new(),
            recordings: Vec::new(),
        })
    }

    /// Copies the inputs to the addresses that all recordings of their size read.
    ///
    /// # Errors
    /// An input is longer than that of the first step.
    fn kept(&mut self, inputs: &StepInputs) -> Result<StepInputs> {
        let mut number = 0;
        inputs.moved(|tensor| {
            let length = tensor.elem_count();
            if number == self.places.len() {
                self.places.push(Tensor::zeros(length, tensor.dtype(), &self.device)?);
            }
            let place = &self.places[number];
            number += 1;
            place.slice_set(&tensor.flatten_all()?, 0, 0)?;
            Ok(place.narrow(0, 0, length)?.reshape(tensor.shape())?)
        })
    }

    /// Takes a step. The first step of a batch size runs directly and the second is recorded; later
    /// ones run the recording. No batch may be larger than the first.
    pub(super) fn take(
        &mut self,
        inputs: &StepInputs,
        slot: Option<usize>,
        step: impl FnOnce(&StepInputs) -> candle_core::Result<Tensors>,
    ) -> Result<Tensors> {
        let inputs = self.kept(inputs)?;
        let n = inputs.labels.elem_count();
        let kept = || {
            let outputs = step(&inputs)?;
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
