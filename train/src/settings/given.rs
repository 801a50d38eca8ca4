//! Settings that may be missing: those of a configuration file or of the command line.

use super::recipe::Recipe;
use super::values::Settings;
use super::{place, weights};
use crate::base::best_by::BestBy;
use crate::base::choice::choice;
use crate::base::heading::{AUGMENTATION, EVALUATION, INPUT, MODEL, OPTIMISATION, RUN};
use crate::base::usage::Usage;
use crate::compute::device::Precision;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::{Consensus, FlowRange};
use anyhow::{Context, Result, bail};
use clip_loader::{Crop, Sampling, TestCrop};
use clipshard::read_regular;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Largest size of a configuration file.
const MOST_BYTES: u64 = 1 << 20;

/// Settings that may be missing: those of a configuration file or of the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Given {
    /// Stream that a configuration file is for. The command names the stream otherwise.
    #[arg(skip)]
    pub stream: Option<Stream>,
    /// Packed dataset: the folder that `ucfpack build` wrote
    ///
    /// Required, except with --resume or if --config names the dataset.
    #[arg(long, value_name = "DIR", help_heading = INPUT)]
    pub data: Option<PathBuf>,
    /// Split to train and test on [default: 1]
    #[arg(long, value_name = "N", help_heading = INPUT)]
    pub split: Option<String>,
    /// Rule that selects the frames of a sample [default: seed; tsn: segments]
    #[arg(long, value_parser = choice::<Sampling>(), help_heading = INPUT)]
    pub sampling: Option<Sampling>,
    /// Views per clip in a training step [default: 3 spatial, 1 temporal; tsn: 3; strong: 1]
    ///
    /// A view is one RGB frame, or a stack of flow frames or differences. Each view has its own
    /// forward pass, except with --temporal-shift.
    #[arg(long, value_name = "N", help_heading = INPUT)]
    pub segments: Option<usize>,
    /// Value range of optical flow [default: unit]
    #[arg(long, value_enum, help_heading = INPUT)]
    pub flow_range: Option<FlowRange>,
    /// Images in a view: flow frames, or RGB differences [default: 10 temporal, 5 difference]
    ///
    /// From 1 to 64. Clips that are shorter repeat their last frame. Not for the spatial stream, whose
    /// views are single frames.
    #[arg(long, value_name = "N", help_heading = INPUT)]
    pub stack: Option<usize>,
    /// Width and height of the network's input in pixels [default: 224]
    ///
    /// From 32 to 1024.
    #[arg(long, value_name = "PIXELS", help_heading = INPUT)]
    pub input_size: Option<usize>,
    /// Replace damaged samples instead of stopping [default: false]
    ///
    /// Without this option the first damaged record ends the run. With it, another sample takes the
    /// place of each damaged one. The run counts and reports them.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = INPUT
    )]
    pub skip_damaged: Option<bool>,
    /// Architecture of the network [default: resnet18]
    ///
    /// resnet18, resnet34, resnet50, resnet101, resnet152 or `mobilenet_v3_small`.
    #[arg(long, value_name = "NET", help_heading = MODEL)]
    pub arch: Option<String>,
    /// Weights to start from: `imagenet`, a file, or `none` for random weights
    ///
    /// Required for a new run. `imagenet` downloads torchvision's weights of --arch once and keeps
    /// them in the folder `$UCFTRAIN_CACHE`, which is ~/.cache/ucftrain by default. A file is a
    /// .safetensors or .pth file with the tensor names of torchvision or timm, or a network that
    /// ucftrain wrote.
    #[arg(long, value_name = "imagenet|FILE|none", help_heading = MODEL)]
    pub weights: Option<String>,
    /// How to combine the logits of a clip's views [default: sum; tsn: mean]
    #[arg(long, value_enum, help_heading = MODEL)]
    pub consensus: Option<Consensus>,
    /// Share of features to drop before the last layer [default: 0]
    ///
    /// From 0 to 0.99. Applies to training only.
    #[arg(long, value_name = "SHARE", help_heading = MODEL)]
    pub dropout: Option<f64>,
    /// Share of images that skip the last residual block [default: 0]
    ///
    /// From 0 to 0.9. Earlier blocks are skipped less often: block l of L by l/L of this share of the
    /// images (stochastic depth). Applies to training only.
    #[arg(long, value_name = "SHARE", help_heading = MODEL)]
    pub stochastic_depth: Option<f64>,
    /// Shift channels between the views of a clip [default: false]
    ///
    /// Temporal Shift Module: each residual block moves an eighth of the channels to the previous
    /// view and an eighth to the next. A test groups --segments samples of a clip. Needs --segments 2
    /// or more, and a multiple of it as --test-samples.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = MODEL
    )]
    pub temporal_shift: Option<bool>,
    /// Freeze all batch norms except the first [default: false]
    ///
    /// The frozen norms keep the values that --weights has. Needs --weights imagenet or a file, and
    /// --precise-bn 0.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = MODEL
    )]
    pub partial_bn: Option<bool>,
    /// Let batch norms see the clips of all ranks in training [default: false]
    ///
    /// Several processes then train as one process with the whole batch, up to rounding. Otherwise,
    /// batch norms see the clips of one process. Use it if each process has few clips. Works on the
    /// CPU, with one micro-batch per rank.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = MODEL
    )]
    pub sync_bn: Option<bool>,
    /// Number of epochs [default: 500; tsn: 40 spatial, 80 temporal]
    #[arg(long, value_name = "N", help_heading = OPTIMISATION)]
    pub epochs: Option<usize>,
    /// Times that an epoch shows each training clip [default: 1; strong: 3]
    ///
    /// Example: 4. Each time shows another view. A test follows each epoch, so this saves tests if
    /// there are few training clips.
    #[arg(long, value_name = "N", help_heading = OPTIMISATION)]
    pub repeat: Option<usize>,
    /// Clips per training step [default: 25 spatial, 32 temporal]
    #[arg(long, value_name = "N", help_heading = OPTIMISATION)]
    pub batch_size: Option<usize>,
    /// Micro-batches per training step [default: 1]
    ///
    /// Splits --batch-size into this number of equal parts, computes one after the other, and adds up their
    /// gradients. Needs less memory. Batch norms see the clips of one part at a time.
    #[arg(long, value_name = "N", help_heading = OPTIMISATION)]
    pub accumulate: Option<usize>,
    /// Learning rate after the warm-up [default: 0.0005 spatial, 0.01 temporal; tsn: 0.002 spatial,
    /// 0.005 temporal; strong: 0.005 spatial, 0.01 temporal]
    #[arg(long, value_name = "X", help_heading = OPTIMISATION)]
    pub lr: Option<f64>,
    /// Schedule of the learning rate [default: plateau; tsn: cosine]
    #[arg(long, value_enum, help_heading = OPTIMISATION)]
    pub schedule: Option<Schedule>,
    /// Epochs during which the learning rate rises from 0 [default: 0; tsn: 1]
    ///
    /// Fractions are allowed, for example 0.5.
    #[arg(long, value_name = "EPOCHS", help_heading = OPTIMISATION)]
    pub warm_up: Option<f64>,
    /// Epochs at which --schedule steps lowers the rate, such as 20,30
    ///
    /// Each one divides the learning rate by 10. Fractions are allowed. Required with --schedule
    /// steps, and an error with the other schedules.
    #[arg(
        long, value_name = "EPOCH,EPOCH", value_delimiter = ',', value_parser = trimmed::<f64>,
        help_heading = OPTIMISATION
    )]
    pub milestones: Option<Vec<f64>>,
    /// Factor for the learning rate of the first convolution [default: 1]
    #[arg(long, value_name = "X", help_heading = OPTIMISATION)]
    pub conv1_lr: Option<f64>,
    /// Largest norm of a step's gradients, 0 for no limit [default: 0; tsn: 20]
    ///
    /// Scales all gradients of a step down if their common norm is larger.
    #[arg(long, value_name = "NORM", help_heading = OPTIMISATION)]
    pub clip_grad: Option<f64>,
    /// L2 penalty on the weights [default: 0; tsn: 0.0005]
    ///
    /// Applies to the convolutions and the last layer, not to biases and batch norms.
    #[arg(long, value_name = "X", help_heading = OPTIMISATION)]
    pub weight_decay: Option<f64>,
    /// Share of the target that is spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = OPTIMISATION)]
    pub label_smoothing: Option<f64>,
    /// Part of a frame that a training view shows [default: random spatial, whole temporal; tsn:
    /// corners]
    #[arg(long, value_parser = choice::<Crop>(), help_heading = AUGMENTATION)]
    pub crop: Option<Crop>,
    /// Mirror half of the training views [default: true spatial, false temporal; tsn: true]
    ///
    /// Mirroring flow also negates its x component.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = AUGMENTATION
    )]
    pub flip: Option<bool>,
    /// Strength of random colour changes, 0 to 1 [default: 0]
    ///
    /// Changes brightness, contrast and saturation of training views, for example with 0.4. Spatial
    /// stream only.
    #[arg(long, alias = "colour-jitter", value_name = "STRENGTH", help_heading = AUGMENTATION)]
    pub color_jitter: Option<f64>,
    /// Change each training view by one random operation [default: false]
    ///
    /// TrivialAugment (Müller and Hutter 2021): shears, translations, rotations, colours, sharpness or
    /// levels, each with a random strength, exactly as torchvision's TrivialAugmentWide. Spatial
    /// stream only.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = AUGMENTATION
    )]
    pub trivial_augment: Option<bool>,
    /// Probability that a flow frame loses its motion [default: 0]
    ///
    /// Example: 0.1. From 0 to 0.99. With this probability, training replaces a frame of a stack by
    /// one without motion. One frame of each stack stays. Temporal stream only.
    #[arg(long, value_name = "SHARE", help_heading = AUGMENTATION)]
    pub frame_dropout: Option<f64>,
    /// Parameter of mixup, 0 for no mixup [default: 0]
    ///
    /// Example: 0.2. From 0 to 100. Mixes each training sample with another one of its batch, and
    /// their losses by the same shares. Each step draws the share from the distribution Beta(ALPHA,
    /// ALPHA).
    #[arg(long, value_name = "ALPHA", help_heading = AUGMENTATION)]
    pub mixup: Option<f64>,
    /// Parameter of CutMix, 0 for no CutMix [default: 0]
    ///
    /// Example: 1. From 0 to 100. Replaces a box of each training sample by the same box of another
    /// sample of its batch, and mixes their losses by area. With --mixup, each step draws one of the
    /// two.
    #[arg(long, value_name = "ALPHA", help_heading = AUGMENTATION)]
    pub cutmix: Option<f64>,
    /// Groups of training clips to use as val clips [default: none]
    ///
    /// For example g08,g09. The run does not train on the clips of these groups. The val clips choose
    /// the best epoch, and the run tests its network on the test clips once, at the end. If the
    /// split has no val clips of its own and neither this option nor --val-share is used, the test
    /// clips choose the best epoch, as in the reference run.
    #[arg(
        long, value_name = "GROUP,GROUP", value_delimiter = ',', value_parser = trimmed::<String>,
        help_heading = EVALUATION
    )]
    pub val_groups: Option<Vec<String>>,
    /// Share of training clips to use as val clips [default: 0]
    ///
    /// From 0 to 0.9, for example 0.15. Holds out whole groups until about this share of each class
    /// are val clips. A group is the one of the lists, or else the source in the names of UCF101,
    /// HMDB51 and JHMDB. All streams and seeds hold out the same groups. Excludes --val-groups.
    #[arg(long, value_name = "SHARE", help_heading = EVALUATION)]
    pub val_share: Option<f64>,
    /// Rule that chooses the best epoch [default: top1]
    #[arg(long, value_enum, help_heading = EVALUATION)]
    pub best_by: Option<BestBy>,
    /// Samples per test clip [default: 19; tsn: 25]
    #[arg(long, value_name = "N", help_heading = EVALUATION)]
    pub test_samples: Option<usize>,
    /// Part of a frame that a test sample shows [default: whole; tsn: center]
    #[arg(long, value_parser = choice::<TestCrop>(), help_heading = EVALUATION)]
    pub test_crop: Option<TestCrop>,
    /// Decay of the average of weights, 0 for no average [default: 0]
    ///
    /// Example: 0.99. Keeps a running average of the weights, and tests and saves that average
    /// instead of the weights.
    #[arg(long, value_name = "SHARE", help_heading = EVALUATION)]
    pub ema: Option<f64>,
    /// Last epochs whose weights are averaged, 0 for no average [default: 0]
    ///
    /// Example: 5. From the second of these epochs on, tests and saves the mean of the weights at
    /// their ends (stochastic weight averaging). Use it with --best-by last. Needs --precise-bn, and
    /// excludes --ema and --partial-bn.
    #[arg(long, value_name = "N", help_heading = EVALUATION)]
    pub swa: Option<usize>,
    /// Clips for new batch norm statistics before a test [default: 0; tsn: 1000]
    ///
    /// Computes the statistics of the batch norms from this number of training clips before each
    /// test pass. 0 uses the running averages that training leaves.
    #[arg(long, value_name = "CLIPS", help_heading = EVALUATION)]
    pub precise_bn: Option<usize>,
    /// Set of defaults [default: seed]
    ///
    /// Defaults that start with "tsn:" in this help belong to --recipe tsn, and also to --recipe strong
    /// unless another one starts with "strong:". The difference stream has the defaults of the
    /// temporal stream, except for --stack. Other options override the recipe.
    #[arg(long, value_enum, help_heading = RUN)]
    pub recipe: Option<Recipe>,
    /// Seed of all random choices [default: 0]
    ///
    /// An integer from 0 to 2^64 - 1. Decides the random weights, the order of clips and the
    /// training views.
    #[arg(long, value_name = "N", help_heading = RUN)]
    #[serde(default, with = "super::seed::option", skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Device to compute on: auto, cpu or cuda:N [default: auto]
    ///
    /// `auto` selects the first GPU, or the CPU on a machine without a GPU.
    #[arg(long, value_name = "DEVICE", help_heading = RUN)]
    pub device: Option<String>,
    /// Number format of the computation [default: bf16 on a GPU, f32 on the CPU]
    #[arg(long, value_enum, help_heading = RUN)]
    pub precision: Option<Precision>,
    /// Use only GPU algorithms with reproducible results [default: false]
    ///
    /// The CPU always gives the same bits in every run.
    #[arg(
        long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false",
        help_heading = RUN
    )]
    pub deterministic: Option<bool>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long, value_name = "N", help_heading = RUN)]
    pub threads: Option<usize>,
    /// Minutes between checkpoints within an epoch [default: 10]
    ///
    /// A checkpoint is also written after each epoch. 0 writes no checkpoints within an epoch.
    #[arg(long, value_name = "MINUTES", help_heading = RUN)]
    pub checkpoint_minutes: Option<f64>,
    /// Networks of the last N epochs to keep [default: 0]
    ///
    /// Saved as epoch-0000.safetensors and so on. The network of the best epoch is always kept.
    #[arg(long, value_name = "N", help_heading = RUN)]
    pub keep_epochs: Option<usize>,
}

/// Parses an item of a list on the command line, such as `20, 30`.
fn trimmed<T: FromStr>(text: &str) -> Result<T, T::Err> {
    text.trim().parse()
}

impl Given {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or holds an unknown key or a value of a wrong type.
    pub fn from_file(path: &Path) -> Result<Self> {
        let bytes = read_regular(path, MOST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
        let fault = |fault: String| Usage(format!("{}: invalid settings: {fault}", path.display()));
        let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8 text".into()))?;
        Ok(Self::from_toml(&text).map_err(|e| fault(e.to_string()))?)
    }

    /// Parses the text of a configuration file.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let given: Self = toml::from_str(text)?;
        Ok(Self { data: given.data.map(place::nearby), weights: given.weights.map(weights::nearby), ..given })
    }

    /// Returns whether a setting is given. `option` is the name of its option, without dashes.
    pub fn has(&self, option: &str) -> Result<bool> {
        Ok(toml::Table::try_from(self)?.contains_key(option))
    }

    /// Returns these settings, with those of `other` where these are missing.
    pub fn over(&self, other: &Self) -> Result<Self> {
        overlaid(other, self)
    }

    /// Fills in the recipe's defaults and checks every value. Only a dry run may lack `weights`.
    ///
    /// # Errors
    /// A required setting is missing, or a value is not allowed.
    pub fn complete(self, stream: Stream, dry_run: bool) -> Result<Settings> {
        if let Some(other) = self.stream.filter(|&s| s != stream) {
            bail!(Usage(format!("the settings are for a {other} run; use `ucftrain {other}`")));
        }
        let Some(data) = &self.data else {
            bail!(Usage("--data DIR is missing: name the dataset folder that `ucfpack build` wrote".into()));
        };
        if data.to_str().is_none() {
            bail!(Usage(format!(
                "--data {}: the path is not valid UTF-8, so config.toml cannot store it; rename the folder",
                data.display()
            )));
        }
        let mut settings: Settings = overlaid(&self.recipe.unwrap_or(Recipe::Seed).defaults(stream), &self)?;
        if stream != Stream::Spatial {
            settings.view.stack = settings.view.stack.filter(|&stack| stack != stream.stack());
        }
        settings.architecture()?;
        if self.weights.is_none() && !dry_run {
            bail!(Usage(missing_weights(&settings.arch)));
        }
        settings.check()?;
        Ok(settings)
    }
}

/// Merges two sets of settings; those of `above` win.
fn overlaid<Below: Serialize, T: DeserializeOwned>(below: &Below, above: &Given) -> Result<T> {
    let mut all = toml::Table::try_from(below)?;
    all.extend(toml::Table::try_from(above)?);
    Ok(all.try_into()?)
}

fn missing_weights(arch: &str) -> String {
    format!(
        "--weights is missing; use one of these values:
  --weights imagenet   downloads the ImageNet weights of torchvision for {arch} once
  --weights FILE       reads a file of torchvision or timm, such as model.safetensors of a {arch}.*_in1k model
  --weights none       starts from random weights"
    )
}
