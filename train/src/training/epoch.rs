//! The training steps of an epoch, and their results.

use super::average::Moment;
use super::trainer::{DIVERGED, End, Trainer};
use crate::base::console::Figures;
use crate::base::meters::Scored;
use crate::compute::batches::{DeviceBatch, Waits};
use crate::compute::step::{Joint, MixRule, Own, StepOutputs, StepPlace, StepResult, StepRule, Stepper};
use crate::input;
use crate::ranks::{OwnSamples, Share, Traffic};
use crate::run::rank_work::{JointWork, RankWork};
use crate::run::state::{Cursor, Seconds, TrainMeters};
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::settings::Settings;
use anyhow::{Result, bail};
use clip_loader::{Samples, TrainSamples};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A step whose results have not been read yet.
struct Pending {
    step: usize,
    outputs: StepOutputs,
    labels: Vec<u32>,
}

impl Trainer<'_> {
    /// Takes the steps of the epoch, starting at the cursor.
    pub(super) fn train_epoch(&mut self) -> Result<End> {
        let Settings { batch_size, checkpoint_minutes, .. } = *self.settings;
        let Cursor { epoch, step, .. } = self.state.cursor;
        let rule = self.step_rule();
        let mut stepper = Stepper::new(self.compute, self.state.network.classes.len(), batch_size, rule)?;
        let mut progress = self.console.progress(&format!("epoch {epoch}"), self.steps(), step);
        let between_checkpoints = Duration::from_secs_f64(checkpoint_minutes * 60.0);
        let samples = self.training_samples()?;
        let own = (self.ranks.size() > 1).then(|| Arc::new(OwnSamples::new(samples.clone(), self.share())));
        let mut batches = match &own {
            None => self.training_batches(samples.clone(), batch_size, step)?,
            Some(own) => self.training_batches(own.clone(), batch_size / self.ranks.size(), step)?,
        };
        let mut last_checkpoint = Instant::now();
        let (seconds_before, traffic_before) = (self.state.seconds, self.ranks.traffic());
        let decoding_before = self.state.decode_seconds;
        // Reads results one step late, so that a GPU never waits for the processor.
        let mut pending: Option<Pending> = None;
        let end = loop {
            if self.is_at_limit() {
                break End::Stopped;
            }
            let start = Instant::now();
            let now = match &own {
                None => batches.next(|batch| self.take_step(&mut stepper, batch, &samples))?,
                Some(own) => {
                    let of_batch =
                        |batch: &DeviceBatch<'_>| self.take_shared_step(&mut stepper, Some(batch), (&samples, own));
                    match batches.next(of_batch)? {
                        Some(now) => Some(now),
                        // A rank may have no samples in the last batch.
                        None if self.state.cursor.step < self.steps() => {
                            Some(self.take_shared_step(&mut stepper, None, (&samples, own))?)
                        }
                        None => None,
                    }
                }
            };
            let Some(now) = now else { break End::Finished };
            // A GPU is computing now. Meanwhile, copies the next batch to it if that batch is
            // ready.
            batches.look_ahead_if_ready()?;
            let images = now.labels.len();
            if let Some(before) = pending.replace(now) {
                self.take_in(&mut stepper, before)?;
            }
            self.state.decode_seconds = decoding_before;
            self.state.decode_seconds += batches.work();
            self.state.cursor.step += 1;
            self.state.cursor.steps_done += 1;
            self.state.seconds.add(start.elapsed(), batches.take_waits());
            let Seconds { batch, data, .. } = self.state.seconds;
            let scored = Some(self.train_means());
            progress.step(images, Some(Figures { seconds: batch.get(), data_seconds: data.get(), scored }));
            if !between_checkpoints.is_zero() && last_checkpoint.elapsed() >= between_checkpoints {
                self.take_in_last(&mut stepper, pending.take())?;
                self.save_checkpoint()?;
                last_checkpoint = Instant::now();
            }
        };
        self.take_in_last(&mut stepper, pending)?;
        if self.ranks.size() > 1 && self.state.cursor.step > step {
            let traffic = self.ranks.traffic().since(traffic_before);
            self.gather_work(step..self.state.cursor.step, seconds_before, traffic)?;
        }
        Ok(end)
    }

    /// Gathers and logs the work of all ranks in `steps` of the epoch. `before` has the times before them.
    fn gather_work(&mut self, steps: Range<usize>, before: Seconds, traffic: Traffic) -> Result<()> {
        let (share, samples, batch_size) = (self.share(), self.training_samples()?.len(), self.settings.batch_size);
        let clips = |step: usize| {
            let n = batch_size.min(samples - step * batch_size);
            share.rounds(n).map(|(_, clips)| clips as u64).sum::<u64>()
        };
        let Seconds { batch, data, .. } = self.state.seconds;
        let own = RankWork {
            clips: steps.clone().map(clips).sum(),
            seconds: batch.sum() - before.batch.sum(),
            data: data.sum() - before.data.sum(),
            waiting: traffic.waiting.as_secs_f64(),
            moving: (traffic.time.saturating_sub(traffic.waiting)).as_secs_f64(),
            sent: traffic.sent,
        };
        let all = self.ranks.gather(serde_json::to_vec(&own)?)?;
        let ranks = all.iter().map(|bytes| serde_json::from_slice(bytes)).collect::<Result<_, _>>()?;
        let work = JointWork { steps: steps.len() as u64, ranks };
        self.log(&work.event(Cursor { step: steps.start, ..self.state.cursor }))?;
        self.work = Some(work);
        Ok(())
    }

    pub(super) fn step_rule(&self) -> StepRule {
        let Settings {
            view,
            label_smoothing,
            dropout,
            stochastic_depth,
            mixup,
            cutmix,
            input_size,
            accumulate,
            sync_bn,
            stream,
            ..
        } = *self.settings;
        StepRule {
            consensus: view.consensus,
            label_smoothing,
            views: view.segments,
            dropout,
            stochastic_depth,
            temporal_shift: view.temporal_shift,
            mix: MixRule { mixup, cutmix },
            side: input_size,
            channels: view.channels(stream),
            accumulate,
            sync_bn,
        }
    }

    /// Starts the step at the cursor, and does not wait for its results.
    fn take_step(&mut self, stepper: &mut Stepper, batch: &DeviceBatch<'_>, samples: &TrainSamples) -> Result<Pending> {
        let Cursor { epoch, step, .. } = self.state.cursor;
        let labels = batch.samples().map(|i| input::label(samples.clip(i))).collect::<Result<Vec<u32>>>()?;
        self.state.damaged += batch.samples().filter(|&i| samples.was_damaged(i)).count() as u64;
        self.sgd.set_lr(self.rate(epoch, step))?;
        let place = StepPlace { seed: self.settings.seed, epoch, step, micro_batch: 0 };
        let outputs = stepper.take((&self.model, &mut self.sgd), batch, &labels, place)?;
        if let Some(average) = &mut self.average {
            average.take_in(&self.model, Moment::Step)?;
        }
        Ok(Pending { step, outputs, labels })
    }

    /// Returns this rank's share of the samples.
    pub(super) fn share(&self) -> Share {
        let Settings { batch_size, accumulate, .. } = *self.settings;
        Share { rank: self.ranks.rank(), size: self.ranks.size(), batch_size, micro_batches: accumulate }
    }

    /// Takes the step at the cursor together with the other ranks. `batch` has this rank's samples.
    fn take_shared_step(
        &mut self,
        stepper: &mut Stepper,
        batch: Option<&DeviceBatch<'_>>,
        (samples, own_samples): (&TrainSamples, &OwnSamples),
    ) -> Result<Pending> {
        let Cursor { epoch, step, .. } = self.state.cursor;
        let numbers = batch.map_or(0..0, DeviceBatch::samples).map(|i| own_samples.number(i));
        let mut own = Own { stop: self.stop.is_asked(), ..Own::default() };
        for number in numbers {
            own.labels.push(input::label(samples.clip(number))?);
            own.damaged += u64::from(samples.was_damaged(number));
        }
        self.sgd.set_lr(self.rate(epoch, step))?;
        let batch_size = self.settings.batch_size;
        let n = batch_size.min(samples.len() - step * batch_size);
        let place = StepPlace { seed: self.settings.seed, epoch, step, micro_batch: 0 };
        let (outputs, joint) =
            stepper.take_shared((&self.model, &mut self.sgd), (batch, &own), n, place, &self.ranks)?;
        let Joint { labels, damaged, stop } = joint;
        self.state.damaged += damaged;
        self.stops |= stop;
        if let Some(average) = &mut self.average {
            average.take_in(&self.model, Moment::Step)?;
        }
        Ok(Pending { step, outputs, labels })
    }

    /// Reads the results of the last step, and adds the time of waiting for them to that step.
    fn take_in_last(&mut self, stepper: &mut Stepper, last: Option<Pending>) -> Result<()> {
        let Some(last) = last else { return Ok(()) };
        let start = Instant::now();
        self.take_in(stepper, last)?;
        self.state.seconds.batch.go_on(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Waits for a step's results and adds them to the meters.
    ///
    /// # Errors
    /// The loss is NaN or infinite, or the device fails.
    fn take_in(&mut self, stepper: &mut Stepper, pending: Pending) -> Result<()> {
        let Pending { step, outputs, labels } = pending;
        let StepResult { loss, logits } = stepper.finish(outputs)?;
        let loss = f64::from(loss);
        if !loss.is_finite() {
            let epoch = self.state.cursor.epoch;
            bail!("the loss is {loss} at epoch {epoch}, step {step}: {DIVERGED}");
        }
        let classes = self.state.network.classes.len();
        let Accuracy { top1, top5 } = accuracy(&logits, classes, &labels);
        let TrainMeters { loss: loss_mean, top1: top1_mean, top5: top5_mean } = &mut self.state.meters;
        loss_mean.add(loss, labels.len());
        top1_mean.add(top1, labels.len());
        top5_mean.add(top5, labels.len());
        Ok(())
    }

    /// Returns the means over the epoch so far.
    pub(super) fn train_means(&self) -> Scored {
        let TrainMeters { loss, top1, top5 } = self.state.meters;
        Scored { loss: loss.get(), top1: top1.get(), top5: top5.get() }
    }
}

impl Seconds {
    /// Adds a step that took the time `batch`, which includes its waits.
    pub(super) fn add(&mut self, batch: Duration, waits: Waits) {
        self.batch.add(batch.as_secs_f64(), 1);
        self.data.add(waits.data.as_secs_f64(), 1);
        self.copy.add(waits.copy.as_secs_f64(), 1);
    }
}
