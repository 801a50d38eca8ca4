//! The complete settings of a run.

use super::recipe::Recipe;
use super::{place, seed, weights};
use crate::base::best_by::BestBy;
use crate::base::usage::Usage;
use crate::compute::device::Precision;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::{INPUT_SIZES, View};
use anyhow::{Result, bail};
use candle_convnet::{Arch, ParseArchError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is an option on the command line")]
pub struct Settings {
    /// Stream that the network sees.
    pub stream: Stream,
    /// The recipe that the defaults come from.
    pub recipe: Recipe,
    /// Folder of the packed dataset.
    pub data: PathBuf,
    /// Name of the split.
    pub split: String,
    /// Groups of training clips to use as val clips, which choose the best epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub val_groups: Vec<String>,
    /// Share of the training clips of each class to use as val clips, in whole groups; 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub val_share: f64,
    /// Name of the network: resnet18 to resnet152.
    pub arch: String,
    /// Weights to start from: `imagenet`, a file, or `none`.
    pub weights: String,
    /// Number of epochs.
    pub epochs: usize,
    /// How often an epoch shows each training clip.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub repeat: usize,
    /// Rule that chooses the best epoch.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub best_by: BestBy,
    /// Clips per training step.
    pub batch_size: usize,
    /// Micro-batches per training step.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub accumulate: usize,
    /// Learning rate after the warm-up.
    pub lr: f64,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// Epochs during which the learning rate rises from 0; may be a fraction.
    pub warm_up: f64,
    /// Epochs at which the schedule `steps` divides the learning rate by 10; may be fractions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<f64>,
    /// Factor for the learning rate of the first convolution.
    #[serde(default = "one")]
    pub conv1_lr: f64,
    /// Largest norm of all gradients of a step together; 0 for no limit.
    #[serde(default)]
    pub clip_grad: f64,
    /// Share of the features that training drops before the last layer.
    #[serde(default)]
    pub dropout: f64,
    /// Share of the images for which training drops the branch of the last residual block. Earlier
    /// blocks have a smaller share.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stochastic_depth: f64,
    /// Decay of the running average of the weights. The average is tested and saved; 0 uses the
    /// weights themselves.
    #[serde(default)]
    pub ema: f64,
    /// Number of last epochs whose weights are averaged. The average is tested and saved; 0 uses
    /// the weights themselves.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub swa: usize,
    /// L2 penalty on the weights of the convolutions and of the last layer.
    pub weight_decay: f64,
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// How the network sees clips.
    #[serde(flatten)]
    pub view: View,
    /// Strength of random changes of brightness, contrast and saturation in RGB training views.
    #[serde(default)]
    pub color_jitter: f64,
    /// Whether one random operation of TrivialAugment changes each RGB training view.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trivial_augment: bool,
    /// Probability that training replaces a frame of a flow stack by one without motion.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub frame_dropout: f64,
    /// Parameter of mixup; 0 for no mixup.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mixup: f64,
    /// Parameter of CutMix; 0 for no CutMix.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cutmix: f64,
    /// Whether all batch norms except the first are frozen.
    #[serde(default)]
    pub partial_bn: bool,
    /// Whether batch norms see the clips of all ranks in training.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sync_bn: bool,
    /// Width and height of the network's input in pixels.
    pub input_size: usize,
    /// Training clips that give the statistics of the batch norms before each test pass; 0 uses the
    /// running averages that training leaves.
    #[serde(default)]
    pub precise_bn: usize,
    /// Seed of all random choices: initial weights, order of clips, training views.
    #[serde(with = "seed")]
    pub seed: u64,
    /// Name of the device: `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Number format of the computation. `None` is bf16 on a GPU and f32 on the CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Whether a GPU uses only algorithms that give the same bits in every run. The CPU always
    /// does.
    pub deterministic: bool,
    /// Number of threads that decode and compute.
    pub threads: usize,
    /// Whether other samples replace damaged ones. If not, a damaged sample ends the run.
    #[serde(default)]
    pub skip_damaged: bool,
    /// Minutes between checkpoints within an epoch; 0 for none.
    pub checkpoint_minutes: f64,
    /// Number of last epochs whose networks are kept, in addition to the best one.
    #[serde(default)]
    pub keep_epochs: usize,
}

fn one() -> f64 {
    1.0
}

fn once() -> usize {
    1
}

fn is_once<T: From<u8> + PartialEq>(value: &T) -> bool {
    *value == T::from(1)
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Settings {
    /// Checks every value.
    ///
    /// # Errors
    /// Names the first option whose value is not allowed.
    pub(super) fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            let low = if low > 0.0 && low < 1e-6 { format!("{low:e}") } else { low.to_string() };
            Err(Usage(format!("--{name} {value} is not between {low} and {high}")))
        };
        within("epochs", self.epochs as f64, 1.0, 1e6)?;
        within("repeat", self.repeat as f64, 1.0, 10_000.0)?;
        within("batch-size", self.batch_size as f64, 1.0, 65_536.0)?;
        self.check_accumulate()?;
        within("lr", self.lr, 1e-12, 1e3)?;
        within("input-size", self.input_size as f64, *INPUT_SIZES.start() as f64, *INPUT_SIZES.end() as f64)?;
        within("threads", self.threads as f64, 1.0, 1024.0)?;
        within("checkpoint-minutes", self.checkpoint_minutes, 0.0, 1e6)?;
        within("keep-epochs", self.keep_epochs as f64, 0.0, 1e6)?;
        within("warm-up", self.warm_up, 0.0, 1e6)?;
        if self.warm_up > self.epochs as f64 {
            let (warm_up, epochs) = (self.warm_up, self.epochs);
            bail!(Usage(format!("--warm-up {warm_up} is longer than --epochs {epochs}; use a shorter warm-up")));
        }
        within("val-share", self.val_share, 0.0, 0.9)?;
        if self.val_share > 0.0 && !self.val_groups.is_empty() {
            bail!(Usage("--val-share and --val-groups exclude each other; remove one of them".into()));
        }
        within("weight-decay", self.weight_decay, 0.0, 1.0)?;
        within("label-smoothing", self.label_smoothing, 0.0, 0.99)?;
        within("conv1-lr", self.conv1_lr, 0.0, 1e3)?;
        within("clip-grad", self.clip_grad, 0.0, 1e9)?;
        within("dropout", self.dropout, 0.0, 0.99)?;
        within("stochastic-depth", self.stochastic_depth, 0.0, 0.9)?;
        within("color-jitter", self.color_jitter, 0.0, 1.0)?;
        within("frame-dropout", self.frame_dropout, 0.0, 0.99)?;
        within("mixup", self.mixup, 0.0, 100.0)?;
        within("cutmix", self.cutmix, 0.0, 100.0)?;
        if self.micro_batch() == 1 && (self.mixup > 0.0 || self.cutmix > 0.0) {
            let batch = if self.accumulate == 1 { "batch" } else { "micro-batch" };
            bail!(Usage(format!(
                "--mixup and --cutmix mix the clips of a {batch}, but each {batch} has one clip; use a larger \
                 --batch-size"
            )));
        }
        within("ema", self.ema, 0.0, 0.999_999)?;
        self.check_swa()?;
        for &milestone in &self.milestones {
            within("milestones", milestone, 0.0, 1e6)?;
        }
        if (self.schedule == Schedule::Steps) == self.milestones.is_empty() {
            let fault = if self.milestones.is_empty() {
                "--schedule steps needs --milestones, for example --milestones 20,30"
            } else {
                "--milestones works only with --schedule steps; add --schedule steps, or remove --milestones"
            };
            bail!(Usage(fault.into()));
        }
        if self.color_jitter > 0.0 && self.stream != Stream::Spatial {
            bail!(Usage(
                "--color-jitter applies to the spatial stream only, because the others see motion; remove it".into()
            ));
        }
        if self.trivial_augment && self.stream != Stream::Spatial {
            bail!(Usage(
                "--trivial-augment applies to the spatial stream only, because the others see motion; remove it".into()
            ));
        }
        if self.frame_dropout > 0.0 && self.stream != Stream::Temporal {
            bail!(Usage(
                "--frame-dropout applies to the temporal stream only, because it removes motion from flow; remove it"
                    .into()
            ));
        }
        if self.frame_dropout > 0.0 && self.view.stack(self.stream) == 1 {
            bail!(Usage("--frame-dropout keeps one frame per stack, and --stack is 1; remove one of them".into()));
        }
        if self.partial_bn && self.precise_bn > 0 {
            bail!(Usage(
                "--partial-bn freezes the statistics that --precise-bn computes again; add --precise-bn 0".into()
            ));
        }
        if self.partial_bn && self.weights == weights::NONE {
            bail!(Usage(
                "--partial-bn needs trained statistics, but --weights is none; use --weights imagenet, or a file"
                    .into()
            ));
        }
        self.view.check(self.stream, self.input_size).map_err(|fault| Usage(format!("--{fault}")))?;
        self.check_arch()
    }

    /// Checks that the network supports the other settings.
    fn check_arch(&self) -> Result<()> {
        let (arch, view) = (self.architecture()?, self.view);
        let option = match arch {
            Arch::ResNet(_) => return Ok(()),
            _ if view.temporal_shift => "--temporal-shift",
            _ if self.stochastic_depth > 0.0 => "--stochastic-depth",
            _ => return Ok(()),
        };
        bail!(Usage(format!("{option} works with a ResNet only, but --arch is {arch}; remove one of them")))
    }

    fn check_swa(&self) -> Result<()> {
        let Self { swa, epochs, .. } = *self;
        let fault = if swa == 0 {
            return Ok(());
        } else if swa == 1 {
            "--swa 1 averages nothing; use 2 or more, or 0 for no average".to_owned()
        } else if swa > epochs {
            format!("--swa {swa} is more than --epochs {epochs}; average fewer epochs")
        } else if self.ema > 0.0 {
            "--swa and --ema exclude each other; remove one of them".to_owned()
        } else if self.partial_bn {
            "--swa needs new batch norm statistics, but --partial-bn freezes them; remove one of them".to_owned()
        } else if self.precise_bn == 0 {
            "--swa averages weights, for which the running statistics of the batch norms are wrong; add --precise-bn \
             1000"
                .to_owned()
        } else {
            return Ok(());
        };
        bail!(Usage(fault))
    }

    fn check_accumulate(&self) -> Result<()> {
        let Self { batch_size, accumulate, .. } = *self;
        if accumulate > 0 && batch_size.is_multiple_of(accumulate) {
            return Ok(());
        }
        let cure = match (accumulate, batch_size / accumulate.max(1) * accumulate) {
            (0, _) => "use 1 or more".to_owned(),
            (_, 0) => format!("use --batch-size {accumulate}"),
            (_, below) => format!("use --batch-size {below} or {}", below + accumulate),
        };
        bail!(Usage(format!(
            "--batch-size {batch_size} cannot be split into {accumulate} equal micro-batches (--accumulate, or the \
             number of ranks); {cure}"
        )))
    }

    /// Returns the number of clips in a micro-batch.
    pub fn micro_batch(&self) -> usize {
        self.batch_size / self.accumulate
    }

    /// Returns the number of training steps in an epoch over `clips` training clips.
    pub fn steps(&self, clips: usize) -> usize {
        clips.saturating_mul(self.repeat).div_ceil(self.batch_size)
    }

    /// Returns the architecture of the network.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn architecture(&self) -> Result<Arch> {
        self.arch.parse().map_err(|error: ParseArchError| Usage(format!("--arch: {error}")).into())
    }

    /// Returns the text of `config.toml`, with absolute paths.
    pub fn to_toml(&self) -> Result<String> {
        let (data, weights) = (place::absolute(&self.data), weights::stored(&self.weights));
        let stored = Self { data, weights, ..self.clone() };
        let head = format!(
            "# All settings of this run. To repeat it: ucftrain {} --config config.toml --run NEW_DIR\n",
            self.stream
        );
        Ok(head + &toml::to_string(&stored)?)
    }
}
