//! The steps of an epoch, and what they leave.

use super::trainer::{DIVERGED, End, Engine};
use crate::base::console::Figures;
use crate::compute::feed::{Feed, Staged};
use crate::compute::step::{StepOutputs, StepResult, StepRule, Steps};
use crate::input::{Plan, RING, with_batches};
use crate::run::checkpoint::{Cursor, Scored, Seconds, TrainMeters};
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::settings::Settings;
use crate::training::schedule::Place;
use anyhow::{Result, bail};
use clipshard::order::Draws;
use std::time::{Duration, Instant};

/// Numbers of the draws of a step's dropout, which no clip has.
const DROPOUT_DRAWS: u64 = 1 << 63;

/// A step whose results were not waited for.
struct Pending {
    step: usize,
    outputs: StepOutputs,
    labels: Vec<u32>,
}

impl Engine<'_> {
    /// The steps of the epoch from the cursor on.
    pub(super) fn train_epoch(&mut self) -> Result<End> {
        let Settings { stream, input_size, batch_size, threads, seed, view, .. } = *self.settings;
        let Cursor { epoch, step, .. } = self.state.cursor;
        let (source, steps) = (self.training_clips(), self.steps());
        let mut feed = Feed::new(self.compute, (stream, view.range(stream)), input_size, view.segments, batch_size)?;
        let plan = Plan { batch_size, first_batch: step, threads, ring: RING };
        let rule = StepRule {
            consensus: view.consensus,
            label_smoothing: self.settings.label_smoothing,
            views: view.segments,
            dropout: self.settings.dropout,
        };
        let mut steps_taken = Steps::new(self.compute, self.state.network.classes.len(), batch_size, rule)?;
        let mut progress = self.console.progress(&format!("epoch {epoch}"), steps, step);
        let between_checkpoints = Duration::from_secs_f64(self.settings.checkpoint_minutes * 60.0);
        with_batches(&source, plan, &self.compute.device, |batches| {
            let mut last_checkpoint = Instant::now();
            let mut waited_before = 0.0;
            let decoding_before = self.state.decode_seconds;
            let mut staged: Option<Staged<'_>> = None;
            let mut pending: Option<Pending> = None;
            let end = loop {
                if self.is_at_limit() {
                    break End::Stopped;
                }
                let start = Instant::now();
                let copied_before = feed.copied;
                let batch = match staged.take() {
                    Some(batch) => batch,
                    None => match batches.next_batch()? {
                        Some(batch) => feed.stage(batch)?,
                        None => break End::Finished,
                    },
                };
                let labels: Vec<u32> = batch.samples.clone().map(|i| source.label(i)).collect();
                self.state.damaged += batch.samples.clone().filter(|&i| source.was_damaged(i)).count() as u64;
                feed.arrive(&batch)?;
                self.sgd.set_lr(self.rate(epoch, self.state.cursor.step))?;
                let draws = Draws::new(seed, epoch as u64, DROPOUT_DRAWS | self.state.cursor.step as u64);
                let outputs = steps_taken.take((&self.model, &mut self.sgd), &feed, &batch, &labels, draws)?;
                if let Some(average) = &mut self.average {
                    average.take_in(&self.model)?;
                }
                feed.release(batch)?;
                // A card is computing now: the next batch may go there beside that, if it is ready.
                if batches.is_ready()
                    && let Some(batch) = batches.next_batch()?
                {
                    staged = Some(feed.stage(batch)?);
                }
                let images = labels.len();
                let now = Pending { step: self.state.cursor.step, outputs, labels };
                if let Some(before) = pending.replace(now) {
                    self.take_in(&mut steps_taken, before)?;
                }
                self.state.decode_seconds = decoding_before;
                self.state.decode_seconds += batches.work();
                self.state.seconds.copy.add(feed.copied.saturating_sub(copied_before).as_secs_f64(), 1);
                self.state.cursor.step += 1;
                self.state.cursor.steps_done += 1;
                let waited = batches.waited.as_secs_f64();
                self.state.seconds.batch.add(start.elapsed().as_secs_f64(), 1);
                self.state.seconds.data.add(waited - waited_before, 1);
                waited_before = waited;
                let Seconds { batch, data, .. } = self.state.seconds;
                let figures = Figures { seconds: batch.get(), data_seconds: data.get(), scored: Some(self.trained()) };
                progress.step(images, Some(figures));
                if !between_checkpoints.is_zero() && last_checkpoint.elapsed() >= between_checkpoints {
                    self.take_in_last(&mut steps_taken, pending.take())?;
                    self.save_checkpoint()?;
                    last_checkpoint = Instant::now();
                }
            };
            self.take_in_last(&mut steps_taken, pending)?;
            Ok(end)
        })
    }

    /// Learning rate of a step.
    pub(super) fn rate(&self, epoch: usize, step: usize) -> f64 {
        let (steps, epoch) = (self.steps() as f64, epoch as f64);
        let [now, next] = [step, step + 1].map(|step| epoch + step as f64 / steps);
        let place = Place { now, next, end: self.settings.epochs as f64 };
        let Settings { schedule, warm_up, milestones, .. } = self.settings;
        schedule.rate(self.state.plateau.lr, *warm_up, milestones, place)
    }

    /// The step after which none is under way; the wait is part of it.
    fn take_in_last(&mut self, steps: &mut Steps, last: Option<Pending>) -> Result<()> {
        let Some(last) = last else { return Ok(()) };
        let start = Instant::now();
        self.take_in(steps, last)?;
        self.state.seconds.batch.go_on(start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Waits for a step's results and adds them to the meters.
    fn take_in(&mut self, steps: &mut Steps, pending: Pending) -> Result<()> {
        let Pending { step, outputs, labels } = pending;
        let StepResult { loss, logits } = steps.finish(outputs)?;
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

    /// Means over the epoch so far.
    pub(super) fn trained(&self) -> Scored {
        let TrainMeters { loss, top1, top5 } = self.state.meters;
        Scored { loss: loss.get(), top1: top1.get(), top5: top5.get() }
    }
}
