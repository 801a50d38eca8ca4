//! Precise batch norm: before a test pass, the batch norms take their statistics from training samples with the
//! current weights (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm").

use super::trainer::Trainer;
use crate::compute::batches::DeviceBatch;
use crate::compute::groups;
use crate::ranks::OwnSamples;
use crate::settings::Settings;
use anyhow::Result;
use candle_convnet::Classifier;
use candle_core::{Tensor, Var};
use clip_loader::Samples;
use std::ops::Range;
use std::sync::Arc;

impl Trainer<'_> {
    /// Sets the statistics of the batch norms to their means over `precise_bn` training samples of the epoch, rounded
    /// up to whole batches. Training itself does not use them. Returns false if a rank was asked to stop.
    ///
    /// The ranks share out the micro-batches of each batch, as in training.
    pub(super) fn take_statistics(&self) -> Result<bool> {
        let Settings { batch_size, precise_bn, view, .. } = *self.settings;
        let (samples, share) = (self.training_samples()?, self.share());
        let batches_wanted = precise_bn.min(samples.len()).div_ceil(batch_size);
        let mut progress = self.console.progress("statistics", batches_wanted, 0);
        let own = Arc::new(OwnSamples::new(samples.clone(), share));
        let mut batches = self.training_batches(own, share.batch(), 0)?;
        let statistics: Vec<Var> = self.model.running_statistics().into_iter().map(|(_, var)| var).collect();
        let mut sum = self.ranks.start_sum(statistics.iter().map(|var| var.elem_count()).sum());
        let (mut seen, rule) = (0, self.step_rule());
        for batch in 0..batches_wanted {
            if self.is_asked()? {
                return Ok(false);
            }
            let n = batch_size.min(samples.len() - batch * batch_size);
            let mut of_batch = |batch: Option<&DeviceBatch<'_>>| {
                let inputs = match batch {
                    Some(batch) => batch.inputs()?,
                    None => rule.images_that_do_not_count(self.compute)?,
                };
                let mut first = 0;
                for (_, count) in share.rounds(n) {
                    let net = rule.over_ranks(&self.model.net, &self.ranks, count > 0);
                    let mut sums = None;
                    if count > 0 || rule.sync_bn {
                        let own = first..first + count.max(1);
                        sums = Some(self.statistics_of(&net, &inputs, own, &statistics)?).filter(|_| count > 0);
                    }
                    first += count;
                    self.ranks.add(&mut sum, sums.as_deref())?;
                }
                anyhow::Ok(())
            };
            // A rank may have no samples in the last batch.
            if batches.next(|batch| of_batch(Some(batch)))?.is_none() {
                of_batch(None)?;
            }
            seen += n * view.segments;
            progress.step(n, None);
        }
        let means: Vec<f32> = self.ranks.total(sum)?.into_iter().map(|sum| sum / seen as f32).collect();
        set(&statistics, &means)?;
        Ok(true)
    }

    /// Returns the sums of the statistics over all images of the samples `own`, which are among those of `inputs`.
    fn statistics_of(
        &self,
        net: &Classifier,
        inputs: &[Tensor],
        own: Range<usize>,
        statistics: &[Var],
    ) -> Result<Vec<f32>> {
        let mut views = Vec::with_capacity(inputs.len());
        for images in inputs {
            views.push(images.narrow(0, own.start, own.len())?.contiguous()?);
        }
        if self.settings.view.temporal_shift {
            views = vec![groups::of_views(&views)?];
        }
        let mut sums = Vec::new();
        for images in views {
            net.take_statistics(&images, 1.0)?;
            let number = images.dim(0)? as f32;
            let values = values(statistics)?;
            sums.resize(values.len(), 0.0);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += number * value);
        }
        Ok(sums)
    }
}

/// Returns the values of all statistics.
fn values(statistics: &[Var]) -> Result<Vec<f32>> {
    let values = statistics.iter().map(|var| var.to_vec1()).collect::<candle_core::Result<Vec<Vec<f32>>>>()?;
    Ok(values.concat())
}

/// Sets the values of all statistics.
fn set(statistics: &[Var], mut values: &[f32]) -> Result<()> {
    for var in statistics {
        let (own, rest) = values.split_at(var.elem_count());
        values = rest;
        var.set(&Tensor::new(own, var.device())?)?;
    }
    Ok(())
}
