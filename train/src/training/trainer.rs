//! The training loop: epochs of steps, and after each a test pass on the clips that choose the best
//! epoch.

use super::average::{Average, Moment, copied};
use super::evaluation::{Evaluation, Outcome};
use super::printed::EpochTable;
use crate::base::console::Console;
use crate::base::meters::Scored;
use crate::base::stop::Stop;
use crate::compute::algorithms;
use crate::compute::batches::{DeviceBatches, Plan, SamplePixels};
use crate::compute::device::Compute;
use crate::formats::{network_file, safetensors_file};
use crate::input::{self, Choices};
use crate::ranks::Ranks;
use crate::run::checkpoint::{self, Parts};
use crate::run::folder::RunFolder;
use crate::run::log::{epoch_event, test_event};
use crate::run::rank_work::JointWork;
use crate::run::state::{Cursor, EpochResult, Evaluated, Seconds, State, TrainMeters};
use crate::schedule::{Place, Schedule};
use crate::settings::Settings;
use anyhow::{Context, Result, bail};
use candle_convnet::{Classifier, Model, Sgd};
use candle_core::Tensor;
use clip_loader::{Samples, Split, SplitClip, TrainSamples, Work};
use clipshard::Dataset;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A run in training: its inputs, its network and its state.
pub struct Trainer<'a> {
    /// All settings.
    pub settings: &'a Settings,
    /// The packed dataset.
    pub data: &'a Arc<Dataset>,
    /// The clips of the split.
    pub split: &'a Split,
    /// The folder of the results; none on a rank that does not write.
    pub folder: Option<&'a RunFolder>,
    /// The device of the network.
    pub compute: &'a Compute,
    /// The output for the user.
    pub console: Console,
    /// The network.
    pub model: Model<Classifier>,
    /// The optimiser.
    pub sgd: Sgd,
    /// Average of the network's weights, if the run tests the average.
    pub average: Option<Average>,
    /// The state: everything else in a checkpoint.
    pub state: State,
    /// Number of steps, counted from the start of the run, after which it stops.
    pub limit_steps: Option<u64>,
    /// The request of a signal to stop.
    pub stop: Stop,
    /// The processes that train together.
    pub ranks: Arc<dyn Ranks>,
    /// Whether all ranks know that they stop.
    pub stops: bool,
    /// The work of the ranks since the start of the program, in the last epoch, if there are several.
    pub work: Option<JointWork>,
}

/// The reason why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are complete.
    Finished,
    /// A signal or the step limit stopped it. The checkpoint continues from here.
    Stopped,
}

impl Trainer<'_> {
    pub(super) fn steps(&self) -> usize {
        self.settings.steps(self.split.train.len())
    }

    /// Returns whether nothing remains to do: all epochs and the test of the best one are complete.
    pub fn is_finished(&self) -> bool {
        self.state.cursor.epoch >= self.settings.epochs && self.is_best_tested()
    }

    /// Returns whether the best network needs no test on the test clips any more. The test of a
    /// network that is still the best after further epochs counts, if its scores exist.
    fn is_best_tested(&self) -> bool {
        let is_tested = || self.state.test().is_some() && self.folder.is_none_or(|folder| folder.scores().is_file());
        self.split.val.is_empty() || self.split.test.is_empty() || is_tested()
    }

    /// Trains until all epochs are complete, or until a signal or the step limit stops it.
    ///
    /// # Errors
    /// A sample cannot be read, a file cannot be written, the device fails, or training has
    /// diverged.
    pub fn run(&mut self) -> Result<End> {
        let mut has_head = false;
        while self.state.cursor.epoch < self.settings.epochs {
            if self.state.cursor.step < self.steps() {
                if self.train_epoch()? == End::Stopped {
                    self.save_checkpoint()?;
                    return Ok(End::Stopped);
                }
                self.save_checkpoint()?;
            }
            // After the checkpoint: a run that is resumed before the test takes the weights in then.
            if let Some(average) = &mut self.average {
                average.take_in(&self.model, Moment::Epoch(self.state.cursor.epoch))?;
            }
            let weights = self.average.as_ref().map(|average| average.put_in(&self.model)).transpose()?.flatten();
            let outcome = self.test_epoch();
            let tested = self.model.tensors();
            // A copy, because the best network is written after the training weights have been
            // restored.
            let tested = weights.as_ref().map(|_| copied(&tested)).transpose()?.unwrap_or(tested);
            if let Some(weights) = weights {
                self.model.load_tensors(&weights.into_iter().collect())?;
            }
            let Some(outcome) = outcome? else { return Ok(End::Stopped) };
            let scored = scored(&outcome, &format!("at epoch {}", self.state.cursor.epoch))?;
            let base_rate = self.state.plateau.lr;
            let row = self.end_epoch(outcome, scored, &tested)?;
            // The head comes with the first row: a training that stops before has no table.
            if !std::mem::replace(&mut has_head, true) {
                self.console.say(&self.epoch_table().head());
            }
            self.console.say(&row);
            self.say_if_rate_is_spent(base_rate);
        }
        Ok(if self.test_best()? { End::Finished } else { End::Stopped })
    }

    /// Runs the test pass of an epoch. Returns none if a signal ended it.
    fn test_epoch(&self) -> Result<Option<Outcome>> {
        if self.settings.precise_bn > 0 && !self.take_statistics()? {
            return Ok(None);
        }
        self.evaluation(self.split.validation()).run(&self.model.net, self.console, &self.stop, &*self.ranks)
    }

    /// Tests the best network once on the test clips, if val clips chose the best epoch. Returns
    /// false if a signal ended the pass.
    fn test_best(&mut self) -> Result<bool> {
        // Only the first rank knows the files.
        if self.of_first(vec![u8::from(self.is_best_tested())])? == [1] {
            return Ok(true);
        }
        let epochs = self.state.history.len();
        self.console.say("\nevaluating the best epoch on the test clips");
        let best = match self.folder {
            None => Vec::new(),
            Some(folder) => {
                let (_, tensors) = network_file::load(&folder.best())?;
                safetensors_file::to_bytes(tensors.iter().map(|(name, tensor)| (name.clone(), tensor)), "")?
            }
        };
        let (_, tensors) = safetensors_file::parse(&self.of_first(best)?, "the best network")?;
        let kept: HashMap<_, _> = copied(&self.model.tensors())?.into_iter().collect();
        self.model.load_tensors(&tensors)?;
        let outcome = self.evaluation(&self.split.test).run(&self.model.net, self.console, &self.stop, &*self.ranks);
        self.model.load_tensors(&kept)?;
        let Some(outcome) = outcome? else { return Ok(false) };
        let test = scored(&outcome, "on the test clips")?;
        if let Some(folder) = self.folder {
            outcome.scores.of_subset("test").write_npz(&folder.scores())?;
        }
        self.state.damaged += outcome.damaged;
        self.state.tested = Some((epochs, test));
        self.log(&test_event(epochs, &test))?;
        self.folder.map_or(Ok(()), |folder| folder.log_test(epochs, &test))?;
        self.save_checkpoint()?;
        Ok(true)
    }

    fn evaluation<'e>(&'e self, clips: &'e Arc<[SplitClip]>) -> Evaluation<'e> {
        Evaluation {
            data: self.data,
            clips,
            stream: self.settings.stream,
            side: self.settings.input_size,
            view: self.settings.view,
            classes: self.state.network.classes.len(),
            batch_size: self.settings.micro_batch(),
            threads: self.settings.threads,
            compute: self.compute,
            skip_damaged: self.settings.skip_damaged,
            keeps_samples: false,
        }
    }

    /// Returns the bytes of the first rank.
    fn of_first(&self, own: Vec<u8>) -> Result<Vec<u8>> {
        let own = if self.ranks.is_first() { own } else { Vec::new() };
        Ok(self.ranks.gather(own)?.swap_remove(0))
    }

    /// Returns whether a rank was asked to stop.
    pub(super) fn is_asked(&self) -> Result<bool> {
        Ok(self.ranks.gather(vec![u8::from(self.stop.is_asked())])?.concat().contains(&1))
    }

    pub(super) fn is_at_limit(&self) -> bool {
        let is_asked = if self.ranks.size() == 1 { self.stop.is_asked() } else { self.stops };
        is_asked || self.limit_steps.is_some_and(|limit| self.state.cursor.steps_done >= limit)
    }

    /// Returns the epoch's training samples.
    pub(super) fn training_samples(&self) -> Result<Arc<TrainSamples>> {
        let Settings { stream, input_size, seed, view, color_jitter, skip_damaged, .. } = *self.settings;
        let Settings { repeat, trivial_augment, frame_dropout, .. } = *self.settings;
        // To the loader, each repetition is an epoch.
        let epoch = (self.state.cursor.epoch as u64).wrapping_mul(repeat as u64);
        let damage = input::damage(skip_damaged);
        let choices = Choices { seed, epoch, repeat, color_jitter, trivial_augment, frame_dropout, damage };
        Ok(input::training_samples(self.data, &self.split.train, (stream, view, input_size), choices)?)
    }

    /// Starts to load the batches of a training pass, from `first_batch` on.
    pub(super) fn training_batches(
        &self,
        samples: Arc<dyn Samples>,
        batch_size: usize,
        first_batch: usize,
    ) -> Result<DeviceBatches> {
        let plan = Plan { batch_size, first_sample: first_batch * batch_size, threads: self.settings.threads };
        DeviceBatches::start(self.compute, samples, plan, self.training_pixels())
    }

    /// Returns the description of a training sample's pixels.
    fn training_pixels(&self) -> SamplePixels {
        let Settings { stream, input_size, view, .. } = *self.settings;
        let (views, stack) = (view.segments, view.stack(stream));
        SamplePixels { stream, stack, side: input_size, views, range: view.range(stream) }
    }

    /// Returns the learning rate of a step.
    pub(super) fn rate(&self, epoch: usize, step: usize) -> f64 {
        let (steps, epoch) = (self.steps() as f64, epoch as f64);
        let [now, next] = [step, step + 1].map(|step| epoch + step as f64 / steps);
        let place = Place { now, next, end: self.settings.epochs as f64 };
        let Settings { schedule, warm_up, milestones, .. } = self.settings;
        schedule.rate(self.state.plateau.lr, *warm_up, milestones, place)
    }

    /// Prints a note if the end of an epoch lowered the rate of the plateau schedule so far that
    /// further epochs are useless. `before` is the rate of that epoch. A later or resumed epoch
    /// starts with the low rate, so it does not repeat the note.
    fn say_if_rate_is_spent(&self, before: f64) {
        let (start, now) = (self.settings.lr, self.state.plateau.lr);
        let is_last = self.state.cursor.epoch >= self.settings.epochs;
        if self.settings.schedule == Schedule::Plateau && !is_last && is_spent(start, now) && !is_spent(start, before) {
            self.console.say(&format!(
                "note: the learning rate has fallen from {start:e} to {now:.0e}, so further epochs will hardly change \
                 the network; Ctrl-C ends the training and keeps the best epoch"
            ));
        }
    }

    /// Ends an epoch whose test used the network `tested`: updates the history, the scheduler, the
    /// best network and the files. Returns the row of the epoch.
    fn end_epoch(&mut self, outcome: Outcome, scored: Scored, tested: &[(String, Tensor)]) -> Result<String> {
        let result = EpochResult {
            epoch: self.state.cursor.epoch,
            lr: self.rate(self.state.cursor.epoch, 0),
            train: self.train_means(),
            eval: if self.split.val.is_empty() { Evaluated::Test(scored) } else { Evaluated::Val(scored) },
            train_seconds: self.state.seconds,
            test_seconds: outcome.seconds,
            train_decode_seconds: self.state.decode_seconds,
            test_decode_seconds: outcome.decoding,
        };
        self.state.damaged += outcome.damaged;
        self.state.decode_seconds = Work::default();
        let is_best = self.state.best().is_none_or(|best| result.is_better_than(best, self.settings.best_by));
        self.state.history.push(result);
        if self.settings.schedule == Schedule::Plateau {
            self.state.plateau.step(scored.loss);
        }
        self.state.cursor.epoch += 1;
        self.state.cursor.step = 0;
        self.state.meters = TrainMeters::default();
        self.state.seconds = Seconds::default();
        // Writes the best network and the scores before the checkpoint that ends the epoch: a run
        // that is killed in between repeats the test of the epoch.
        if let Some(folder) = self.folder {
            self.write_epoch(folder, &result, is_best.then_some(outcome), tested)?;
        }
        self.save_checkpoint()?;
        Ok(self.epoch_table().row(&result, is_best))
    }

    /// Writes the files of an epoch, and those of the best one if `best` has its outcome.
    fn write_epoch(
        &self,
        folder: &RunFolder,
        result: &EpochResult,
        best: Option<Outcome>,
        tested: &[(String, Tensor)],
    ) -> Result<()> {
        let is_best = best.is_some();
        if let Some(best) = best {
            if self.judges() == "val" {
                // Those are the scores of an earlier best network. The run tests the new one at its
                // end.
                folder.forget_scores()?;
            }
            network_file::save(&folder.best(), &self.state.network, tested)?;
            best.scores.of_subset(self.judges()).write_npz(&folder.scores_of(&result.eval))?;
        }
        let keep = self.settings.keep_epochs;
        if keep > 0 {
            network_file::save(&folder.network_of(result.epoch), &self.state.network, tested)?;
            folder.forget_epochs_before((result.epoch + 1).saturating_sub(keep))?;
        }
        folder.write_csv(&self.state.history)?;
        self.log(&epoch_event(result, is_best))?;
        folder.log_epoch(result)
    }

    /// Returns the subset of the clips that choose the best epoch.
    pub fn judges(&self) -> &'static str {
        judges(self.split)
    }

    fn epoch_table(&self) -> EpochTable {
        EpochTable { judges: self.judges() }
    }

    /// Writes an event to `log.jsonl`, and prints it if events are requested.
    pub fn log(&self, event: &serde_json::Value) -> Result<()> {
        self.console.event(event);
        self.folder.map_or(Ok(()), |folder| folder.log(event))
    }

    pub(super) fn save_checkpoint(&self) -> Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        algorithms::store(&folder.algorithms(), self.compute)?;
        let average = self.average.as_ref().map_or_else(Vec::new, |average| average.tensors().to_vec());
        let (model, momentum) = (self.model.tensors(), self.sgd.state());
        let tensors = Parts { model: model.as_slice(), momentum: &momentum, average: &average };
        if let Some(name) = tensors.not_finite()? {
            let Cursor { epoch, step, .. } = self.state.cursor;
            bail!(
                "tensor {name} contains NaN or infinity at epoch {epoch}, step {step}: {DIVERGED}; \
                 the last checkpoint is kept"
            );
        }
        checkpoint::save(&folder.checkpoint(), &self.state, &tensors)
    }
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("settings", &self.settings).field("state", &self.state).finish_non_exhaustive()
    }
}

/// Returns whether a learning rate is at most a thousandth of that at the start of the run. Allows
/// for the rounding of three divisions by ten.
fn is_spent(start: f64, now: f64) -> bool {
    now <= start * 1e-3 * (1.0 + 1e-9)
}

/// The end of every error about a number that is NaN or infinite: the reason and the cure.
pub(super) const DIVERGED: &str = "the training diverged; start a new run with a lower --lr";

/// Returns loss and accuracy of a test pass.
///
/// # Errors
/// The pass shows that training has diverged. The checkpoint and the best network stay unchanged.
fn scored(outcome: &Outcome, place: &str) -> Result<Scored> {
    match outcome.fault() {
        Some(fault) => bail!("{fault} {place}: {DIVERGED}"),
        None => outcome.scored.with_context(|| format!("there is no accuracy {place}, because a clip has no label")),
    }
}

/// Returns the subset of the clips that choose the best epoch of a training on this split.
pub fn judges(split: &Split) -> &'static str {
    if split.val.is_empty() { "test" } else { "val" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::plateau::Plateau;

    #[test]
    fn a_rate_is_spent_after_three_plateaus() {
        for start in [5e-4, 1e-2, 0.3] {
            let mut plateau = Plateau::new(start);
            let mut rates = vec![start];
            for _ in 0..12 {
                plateau.step(1.0);
                if rates.last() != Some(&plateau.lr) {
                    rates.push(plateau.lr);
                }
            }
            let spent: Vec<bool> = rates.iter().map(|&rate| is_spent(start, rate)).collect();
            assert_eq!(spent[..5], [false, false, false, true, true], "{rates:?}");
        }
    }
}
