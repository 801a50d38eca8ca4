//! All settings of a run, checked.

use super::recipe::Recipe;
use super::{place, seed};
use crate::base::usage::Usage;
use crate::compute::device::Precision;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::{INPUT_SIZES, View};
use anyhow::{Result, bail};
use candle_convnet::Depth;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything that decides a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Which network.
    pub stream: Stream,
    /// The recipe that the defaults come from.
    pub recipe: Recipe,
    /// The packed data set.
    pub data: PathBuf,
    /// Name of the split.
    pub split: String,
    /// Groups of training clips that choose the best epoch; with none the test clips do, as in the documented run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub val_groups: Vec<String>,
    /// Network: resnet18 to resnet152.
    pub arch: String,
    /// Weights to start from, or `none`.
    pub weights: String,
    /// Epochs.
    pub epochs: usize,
    /// Clips a step.
    pub batch_size: usize,
    /// Learning rate of the first epoch, or behind the warm-up.
    pub lr: f64,
    /// How the learning rate falls.
    pub schedule: Schedule,
    /// Epochs over which the learning rate rises from 0 first; parts count.
    pub warm_up: f64,
    /// Epochs at which the schedule `steps` lets the learning rate fall to a tenth; parts count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<f64>,
    /// Factor of the first convolution's learning rate.
    #[serde(default = "one")]
    pub conv1_lr: f64,
    /// Largest norm of a step's gradients together; 0 leaves them as they are.
    #[serde(default)]
    pub clip_grad: f64,
    /// Share of the features that a training view drops in front of the last layer.
    #[serde(default)]
    pub dropout: f64,
    /// Share of the past in the running average of the weights that is tested and kept as the best network; 0 takes the weights.
    #[serde(default)]
    pub ema: f64,
    /// L2 penalty of the weights of convolutions and of the last layer.
    pub weight_decay: f64,
    /// Share of the target that goes to all classes alike.
    pub label_smoothing: f64,
    /// How the network sees clips.
    #[serde(flatten)]
    pub view: View,
    /// Strength of random brightness, contrast and saturation of RGB training views.
    #[serde(default)]
    pub color_jitter: f64,
    /// Whether all batch norms but the first stay as they begin.
    #[serde(default)]
    pub partial_bn: bool,
    /// Side of the network's input in pixels.
    pub input_size: usize,
    /// Training clips of which the batch norms' statistics are taken anew before each test pass; 0 tests by the trail that
    /// training leaves.
    #[serde(default)]
    pub precise_bn: usize,
    /// Decides the random start, the order of clips and every random choice.
    #[serde(with = "seed")]
    pub seed: u64,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// How precisely a card computes; none for bf16 on a card and f32 on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Whether a card uses only what gives the same bits in every run. The CPU always does.
    pub deterministic: bool,
    /// Threads that decode and compute.
    pub threads: usize,
    /// Whether damaged samples are replaced by others and counted, instead of ending the run.
    #[serde(default)]
    pub skip_damaged: bool,
    /// Minutes between checkpoints within an epoch.
    pub checkpoint_minutes: f64,
    /// Networks of how many last epochs are kept beside the best one.
    #[serde(default)]
    pub keep_epochs: usize,
}

fn one() -> f64 {
    1.0
}

impl Settings {
    /// Checks every value.
    ///
    /// # Errors
    /// The first option whose value cannot be meant.
    pub(super) fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Usage(format!("--{name} {value} is not between {low} and {high}")))
        };
        within("epochs", self.epochs as f64, 1.0, 1e6)?;
        within("batch-size", self.batch_size as f64, 1.0, 65_536.0)?;
        within("lr", self.lr, 1e-12, 1e3)?;
        within("input-size", self.input_size as f64, *INPUT_SIZES.start() as f64, *INPUT_SIZES.end() as f64)?;
        within("threads", self.threads as f64, 1.0, 1024.0)?;
        within("checkpoint-minutes", self.checkpoint_minutes, 0.0, 1e6)?;
        within("keep-epochs", self.keep_epochs as f64, 0.0, 1e6)?;
        within("warm-up", self.warm_up, 0.0, self.epochs as f64)?;
        within("weight-decay", self.weight_decay, 0.0, 1.0)?;
        within("label-smoothing", self.label_smoothing, 0.0, 0.99)?;
        within("conv1-lr", self.conv1_lr, 0.0, 1e3)?;
        within("clip-grad", self.clip_grad, 0.0, 1e9)?;
        within("dropout", self.dropout, 0.0, 0.99)?;
        within("color-jitter", self.color_jitter, 0.0, 1.0)?;
        within("ema", self.ema, 0.0, 0.999_999)?;
        for &milestone in &self.milestones {
            within("milestones", milestone, 0.0, 1e6)?;
        }
        if (self.schedule == Schedule::Steps) == self.milestones.is_empty() {
            bail!(Usage("--schedule steps and --milestones go together: --schedule steps --milestones 20,30".into()));
        }
        if self.color_jitter > 0.0 && self.stream == Stream::Temporal {
            bail!(Usage("--color-jitter is for RGB; flow has no colours".into()));
        }
        if self.partial_bn && self.precise_bn > 0 {
            bail!(Usage(
                "--partial-bn keeps the statistics that --precise-bn would take anew: give --precise-bn 0 with it"
                    .into()
            ));
        }
        if self.partial_bn && self.weights == "none" {
            bail!(Usage("--partial-bn keeps statistics that a random start does not have: give --weights".into()));
        }
        self.view.check(self.stream).map_err(|fault| Usage(format!("--{fault}")))?;
        Ok(())
    }

    /// Depth of the network.
    pub fn depth(&self) -> Result<Depth> {
        self.arch.parse().map_err(|_| Usage(format!("--arch {}: unknown network", self.arch)).into())
    }

    /// As `config.toml` holds them, with absolute paths.
    pub fn to_toml(&self) -> Result<String> {
        let mut stored = Self { data: place::absolute(&self.data), ..self.clone() };
        if self.weights != "none" {
            stored.weights = place::absolute(Path::new(&self.weights)).to_string_lossy().into_owned();
        }
        let head = format!(
            "# All settings of this run. Repeat it with: ucftrain {} --config config.toml --run ANOTHER_DIR\n",
            self.stream
        );
        Ok(head + &toml::to_string(&stored)?)
    }
}
