//! The training loop: epochs of steps and a test pass after each.

use crate::accuracy::{Accuracy, accuracy};
use crate::average::{Average, copied};
use crate::checkpoint::{self, Cursor, EpochResult, Parts, Scored, Seconds, State, TrainMeters};
use crate::console::{Console, Figures};
use crate::device::Compute;
use crate::evaluate::{Evaluation, Outcome};
use crate::input::{Damage, Feed, Plan, RING, SampleSource, Staged, TrainSource, Work, with_batches};
use crate::run_folder::RunFolder;
use crate::schedule::{Place, Schedule};
use crate::settings::Settings;
use crate::step::{StepOutputs, StepResult, StepRule, Steps};
use crate::stop::Stop;
use crate::stream::STACK_FRAMES;
use crate::table::table;
use crate::videos::{Video, Videos};
use anyhow::{Result, bail};
use candle_convnet::{Model, Sgd};
use candle_core::Tensor;
use clipshard::Dataset;
use clipshard::order::Draws;
use serde_json::json;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A run: what it reads, what it learns, where it is.
pub struct Engine<'a> {
    /// All settings.
    pub settings: &'a Settings,
    /// The packed data set.
    pub data: &'a Dataset,
    /// The clips of the split.
    pub videos: &'a Videos,
    /// Where results go.
    pub folder: &'a RunFolder,
    /// Where the network is.
    pub compute: &'a Compute,
    /// What a person sees.
    pub console: Console,
    /// The network.
    pub model: Model,
    /// The optimiser.
    pub sgd: Sgd,
    /// Average of the network's weights, where that is what is tested.
    pub average: Option<Average>,
    /// Everything else that a checkpoint holds.
    pub state: State,
    /// Steps of the whole run after which it stops.
    pub limit_steps: Option<u64>,
    /// Asked by a signal.
    pub stop: Stop,
}

/// Numbers of the draws of a step's dropout, which no clip has.
const DROPOUT_DRAWS: u64 = 1 << 63;

/// A step whose results were not waited for.
struct Pending {
    step: usize,
    outputs: StepOutputs,
    labels: Vec<u32>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are over.
    Finished,
    /// A signal, or the limit of steps: the checkpoint goes on from here.
    Stopped,
}

impl<'a> Engine<'a> {
    fn steps(&self) -> usize {
        self.videos.train.len().div_ceil(self.settings.batch_size)
    }

    /// Trains until all epochs are over or something stops it.
    pub fn run(&mut self) -> Result<End> {
        while self.state.cursor.epoch < self.settings.epochs {
            let Cursor { epoch, step, .. } = self.state.cursor;
            if step < self.steps() {
                self.console.say(&format!("==> Epoch:[{epoch}/{}][training stage]", self.settings.epochs))?;
                if self.train_epoch()? == End::Stopped {
                    self.save_checkpoint()?;
                    return Ok(End::Stopped);
                }
                self.save_checkpoint()?;
            }
            let weights = self.average.as_ref().map(|average| average.put_in(&self.model)).transpose()?;
            let outcome = self.test_epoch();
            let tested = self.model.tensors();
            // Copied: the best network is written from it when the training weights are in place again.
            let tested = weights.as_ref().map(|_| copied(&tested)).transpose()?.unwrap_or(tested);
            if let Some(weights) = weights {
                self.model.load_tensors(&weights.into_iter().collect())?;
            }
            let Some(outcome) = outcome? else { return Ok(End::Stopped) };
            self.end_epoch(&outcome, &tested)?;
        }
        Ok(if self.test_best()? { End::Finished } else { End::Stopped })
    }

    /// The test pass of an epoch; none where a signal ended it.
    fn test_epoch(&self) -> Result<Option<Outcome>> {
        let epoch = self.state.cursor.epoch;
        if self.settings.precise_bn > 0 && !self.take_statistics()? {
            return Ok(None);
        }
        self.console.say(&format!("==> Epoch:[{epoch}/{}][validation stage]", self.settings.epochs))?;
        self.evaluation(self.videos.validation()).run(&self.model.net, self.console, &self.stop)
    }

    /// Where held-out clips chose the best epoch: sees the test clips once, with its network. False where a signal ended that.
    fn test_best(&mut self) -> Result<bool> {
        let epochs = self.state.history.len();
        if self.videos.held_out.is_empty() || self.state.tested.is_some_and(|(tested, _)| tested == epochs) {
            return Ok(true);
        }
        self.console.say("==> Best epoch:[test stage]")?;
        let (_, tensors) = checkpoint::load_network(&self.folder.best())?;
        let kept: HashMap<_, _> = copied(&self.model.tensors())?.into_iter().collect();
        self.model.load_tensors(&tensors)?;
        let outcome = self.evaluation(&self.videos.test).run(&self.model.net, self.console, &self.stop);
        self.model.load_tensors(&kept)?;
        let Some(outcome) = outcome? else { return Ok(false) };
        outcome.scores.write_npz(&self.folder.scores())?;
        self.state.damaged += outcome.damaged;
        self.state.tested = Some((epochs, outcome.scored));
        self.log(&json!({ "event": "test", "epochs": epochs, "test": outcome.scored }))?;
        self.save_checkpoint()?;
        Ok(true)
    }

    fn evaluation<'e>(&'e self, videos: &'e [Video]) -> Evaluation<'e> {
        Evaluation {
            data: self.data,
            videos,
            stream: self.settings.stream,
            side: self.settings.input_size,
            view: self.settings.view,
            classes: self.state.network.classes.len(),
            batch_size: self.settings.batch_size,
            threads: self.settings.threads,
            compute: self.compute,
            skip_damaged: self.settings.skip_damaged,
            keeps_samples: false,
        }
    }

    fn damage(&self) -> Damage {
        Damage::by_option(self.settings.skip_damaged)
    }

    fn is_at_limit(&self) -> bool {
        self.stop.is_asked() || self.limit_steps.is_some_and(|limit| self.state.cursor.steps_done >= limit)
    }

    /// The epoch's training clips as the network sees them.
    fn training_clips(&self) -> TrainSource<'a> {
        let Settings { stream, input_size, seed, view, color_jitter, .. } = *self.settings;
        let epoch = self.state.cursor.epoch as u64;
        TrainSource::new(self.data, &self.videos.train, stream, input_size, seed, epoch)
            .with_view(view)
            .with_damage(self.damage())
            .with_color_jitter(color_jitter)
    }

    /// The steps of the epoch from the cursor on.
    fn train_epoch(&mut self) -> Result<End> {
        let Settings { stream, input_size, batch_size, threads, seed, view, schedule, warm_up, .. } = *self.settings;
        let Cursor { epoch, step, .. } = self.state.cursor;
        let (source, steps) = (self.training_clips(), self.steps());
        let mut feed = Feed::new(self.compute, (stream, view.range(stream)), input_size, view.segments, batch_size)?;
        let plan = Plan { batch_size, first_batch: step, threads, ring: RING };
        let rule = StepRule {
            consensus: view.consensus,
            label_smoothing: self.settings.label_smoothing,
            dropout: self.settings.dropout,
            is_steady: schedule.is_constant_in(epoch, warm_up, &self.settings.milestones)
                && self.settings.dropout == 0.0,
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
                self.sgd.set_lr(self.rate(epoch, self.state.cursor.step));
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
                    if let Some(last) = pending.take() {
                        self.take_in(&mut steps_taken, last)?;
                    }
                    self.save_checkpoint()?;
                    last_checkpoint = Instant::now();
                }
            };
            if let Some(last) = pending {
                let start = Instant::now();
                self.take_in(&mut steps_taken, last)?;
                self.state.seconds.batch.go_on(start.elapsed().as_secs_f64());
            }
            Ok(end)
        })
    }

    /// Takes the batch norms' statistics of `precise_bn` of the epoch's training clips, seen as in training; false where a
    /// signal ended that. Later training does not read them.
    fn take_statistics(&self) -> Result<bool> {
        let Settings { stream, input_size, batch_size, threads, view, precise_bn, .. } = *self.settings;
        let source = self.training_clips();
        let batches_wanted = precise_bn.min(source.len()).div_ceil(batch_size);
        let mut feed = Feed::new(self.compute, (stream, view.range(stream)), input_size, view.segments, batch_size)?;
        let plan = Plan { batch_size, first_batch: 0, threads, ring: RING };
        let mut progress = self.console.progress("statistics", batches_wanted, 0);
        let mut seen = 0;
        with_batches(&source, plan, &self.compute.device, |batches| {
            for _ in 0..batches_wanted {
                let Some(batch) = batches.next_batch()? else { break };
                if self.stop.is_asked() {
                    return Ok(false);
                }
                let batch = feed.stage(batch)?;
                feed.arrive(&batch)?;
                let images = batch.samples.len();
                for view in feed.inputs(&batch)? {
                    seen += images;
                    self.model.net.take_statistics(&view, images as f64 / seen as f64)?;
                }
                feed.release(batch)?;
                progress.step(images, None);
            }
            Ok(true)
        })
    }

    /// Learning rate of a step.
    fn rate(&self, epoch: usize, step: usize) -> f64 {
        let (steps, epoch) = (self.steps() as f64, epoch as f64);
        let [now, next] = [step, step + 1].map(|step| epoch + step as f64 / steps);
        let place = Place { now, next, end: self.settings.epochs as f64 };
        let Settings { schedule, warm_up, milestones, .. } = self.settings;
        schedule.rate(self.state.plateau.lr, *warm_up, milestones, place)
    }

    /// Waits for a step's results and adds them to the meters.
    fn take_in(&mut self, steps: &mut Steps, pending: Pending) -> Result<()> {
        let Pending { step, outputs, labels } = pending;
        let StepResult { loss, logits } = steps.finish(outputs)?;
        let loss = f64::from(loss);
        if !loss.is_finite() {
            let epoch = self.state.cursor.epoch;
            bail!(
                "the loss is {loss} at epoch {epoch}, step {step}: training has diverged; start again with a lower --lr"
            );
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
    fn trained(&self) -> Scored {
        let TrainMeters { loss, top1, top5 } = self.state.meters;
        Scored { loss: loss.get(), top1: top1.get(), top5: top5.get() }
    }

    /// Takes the results of an epoch, whose test saw the network `tested`, in: history, scheduler, best network, files, tables.
    fn end_epoch(&mut self, outcome: &Outcome, tested: &[(String, Tensor)]) -> Result<()> {
        let result = EpochResult {
            epoch: self.state.cursor.epoch,
            lr: self.rate(self.state.cursor.epoch, 0),
            train: self.trained(),
            test: outcome.scored,
            train_seconds: self.state.seconds,
            test_seconds: outcome.seconds,
            train_decode_seconds: self.state.decode_seconds,
            test_decode_seconds: outcome.decoding,
        };
        self.state.damaged += outcome.damaged;
        self.state.decode_seconds = Work::default();
        let is_best = self.state.best().is_none_or(|best| result.test.top1 > best.test.top1);
        self.state.history.push(result);
        if self.settings.schedule == Schedule::Plateau {
            self.state.plateau.step(outcome.scored.loss);
        }
        self.state.cursor.epoch += 1;
        self.state.cursor.step = 0;
        self.state.meters = TrainMeters::default();
        self.state.seconds = Seconds::default();
        // Best network and scores come before the checkpoint that says that the epoch is over: a run that is killed in between does the epoch's test again.
        if is_best {
            checkpoint::save_network(&self.folder.best(), &self.state.network, tested)?;
            let is_held_out = !self.videos.held_out.is_empty();
            let scores = if is_held_out { self.folder.validation_scores() } else { self.folder.scores() };
            outcome.scores.write_npz(&scores)?;
        }
        let keep = self.settings.keep_epochs;
        if keep > 0 {
            checkpoint::save_network(&self.folder.network_of(result.epoch), &self.state.network, tested)?;
            self.folder.forget_epochs_before((result.epoch + 1).saturating_sub(keep))?;
        }
        self.folder.write_csv(&self.state.history)?;
        self.log(&json!({ "event": "epoch", "result": result, "best": is_best }))?;
        self.folder.log_epoch(&result)?;
        self.save_checkpoint()?;
        self.print_epoch(&result, is_best)
    }

    fn print_epoch(&self, result: &EpochResult, is_best: bool) -> Result<()> {
        let EpochResult { epoch, lr, train, test, train_seconds, test_seconds, .. } = result;
        let seconds = |mean: crate::meters::Mean| format!("{:.3}", mean.get());
        let row = vec![
            epoch.to_string(),
            seconds(train_seconds.batch),
            seconds(train_seconds.data),
            format!("{:.5}", train.loss),
            format!("{:.4}", train.top1),
            format!("{:.4}", train.top5),
            format!("{lr:e}"),
        ];
        let head = ["Epoch", "Batch Time", "Data Time", "Loss", "Prec@1", "Prec@5", "lr"];
        self.console.say(&table(&head, &[row]))?;
        let row = vec![
            epoch.to_string(),
            seconds(test_seconds.batch),
            format!("{:.5}", test.loss),
            format!("{:.3}", test.top1),
            format!("{:.3}", test.top5),
        ];
        self.console.say(&table(&["Epoch", "Batch Time", "Loss", "Prec@1", "Prec@5"], &[row]))?;
        if is_best {
            self.console.say(&format!(
                "best so far: epoch {epoch} with {:.3} % of the {} clips right\n",
                test.top1,
                self.judges()
            ))?;
        }
        Ok(())
    }

    /// What the clips are called that choose the best epoch.
    pub fn judges(&self) -> &'static str {
        if self.videos.held_out.is_empty() { "test" } else { "held-out" }
    }

    /// To `log.jsonl`, and to a program that listens.
    pub fn log(&self, event: &serde_json::Value) -> Result<()> {
        self.console.event(event);
        self.folder.log(event)
    }

    fn save_checkpoint(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        crate::algorithms::store(self.folder, self.compute)?;
        let average = self.average.as_ref().map_or_else(Vec::new, |average| average.tensors().to_vec());
        let (model, momentum) = (self.model.tensors(), self.sgd.state());
        let tensors = Parts { model: model.as_slice(), momentum: &momentum, average: &average };
        checkpoint::save(&self.folder.checkpoint(), &self.state, &tensors)
    }
}

/// The lines that people know from the seed run.
pub fn seed_lines(settings: &Settings, videos: &Videos) -> [String; 3] {
    let (train, test, side) = (videos.train.len(), videos.validation().len(), settings.input_size);
    let shape = match settings.stream {
        crate::stream::Stream::Spatial => format!("(3, {side}, {side})"),
        crate::stream::Stream::Temporal => format!("({}, {side}, {side})", 2 * STACK_FRAMES),
    };
    [
        format!("==> (Training video, Validation video):( {train} {test} )"),
        format!("==> Training data : {train} videos {shape}"),
        format!("==> Validation data : {} samples {shape}", test * settings.view.test_samples),
    ]
}
