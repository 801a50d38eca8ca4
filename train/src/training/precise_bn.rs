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
        let mut statistics = Statistics::of(self.model.running_statistics())?;
        let mut sum = self.ranks.start_sum(statistics.len());
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
                        sums = Some(self.statistics_of(&net, &inputs, own, &mut statistics)?).filter(|_| count > 0);
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
        for own in self.ranks.gather(statistics.has_changed.clone())? {
            statistics.has_changed.iter_mut().zip(own).for_each(|(all, own)| *all |= own);
        }
        statistics.set(&means)?;
        Ok(true)
    }

    /// Returns the sums of the statistics over all images of the samples `own`, which are among those of `inputs`.
    fn statistics_of(
        &self,
        net: &Classifier,
        inputs: &[Tensor],
        own: Range<usize>,
        statistics: &mut Statistics,
    ) -> Result<Vec<f32>> {
        let mut views = Vec::with_capacity(inputs.len());
        for images in inputs {
            views.push(images.narrow(0, own.start, own.len())?.contiguous()?);
        }
        if self.settings.view.temporal_shift {
            views = vec![groups::of_views(&views)?];
        }
        let mut sums = vec![0_f32; statistics.len()];
        for images in views {
            net.take_statistics(&images, 1.0)?;
            let number = images.dim(0)? as f32;
            sums.iter_mut().zip(statistics.values()?).for_each(|(sum, value)| *sum += number * value);
        }
        Ok(sums)
    }
}

/// The running statistics of a network.
struct Statistics {
    vars: Vec<Var>,
    before: Vec<Vec<f32>>,
    /// Whether a batch changed each of them. Those of frozen batch norms stay.
    has_changed: Vec<u8>,
}

impl Statistics {
    fn of(named: Vec<(String, Var)>) -> Result<Self> {
        let vars: Vec<Var> = named.into_iter().map(|(_, var)| var).collect();
        let before = vars.iter().map(|var| var.to_vec1()).collect::<candle_core::Result<_>>()?;
        Ok(Self { has_changed: vec![0; vars.len()], vars, before })
    }

    /// Returns the number of values.
    fn len(&self) -> usize {
        self.before.iter().map(Vec::len).sum()
    }

    /// Returns the values after a batch.
    fn values(&mut self) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(self.len());
        for ((var, before), has_changed) in self.vars.iter().zip(&self.before).zip(&mut self.has_changed) {
            let values: Vec<f32> = var.to_vec1()?;
            *has_changed |= u8::from(values != *before);
            all.extend(values);
        }
        Ok(all)
    }

    /// Sets the values that have changed.
    fn set(&self, values: &[f32]) -> Result<()> {
        let mut rest = values;
        for (var, has_changed) in self.vars.iter().zip(&self.has_changed) {
            let (own, after) = rest.split_at(var.elem_count());
            rest = after;
            if *has_changed == 1 {
                var.set(&Tensor::new(own, var.device())?)?;
            }
        }
        Ok(())
    }
}
