//! Settings that may be left out: a configuration file, or the command line.

use super::place;
use super::recipe::Recipe;
use super::values::Settings;
use crate::base::choice::choice;
use crate::base::usage::Usage;
use crate::compute::device::Precision;
use crate::schedule::Schedule;
use crate::stream::Stream;
use crate::view::{Consensus, FlowRange};
use anyhow::{Context, Result, bail};
use candle_convnet::Depth;
use clip_loader::{Crop, Sampling, TestCrop};
use clipshard::read_regular;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// No configuration file is larger.
const MOST_BYTES: u64 = 1 << 20;

/// Settings that may be left out: a configuration file, or the command line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Given {
    /// Stream of a configuration file; the command names it otherwise.
    #[arg(skip)]
    pub stream: Option<Stream>,
    /// Packed data set (the folder that `ucfpack build` wrote)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Set of defaults to start from [default: seed]
    #[arg(long, value_enum)]
    pub recipe: Option<Recipe>,
    /// Which of the data set's splits to learn from and test on [default: 1]
    #[arg(long, value_name = "N")]
    pub split: Option<String>,
    /// Groups of training clips to hold out, such as g08,g09: they choose the best epoch, and the test clips are seen once, at
    /// the end [default: none; the test clips choose]
    #[arg(long, value_name = "GROUP,GROUP", value_delimiter = ',')]
    pub val_groups: Option<Vec<String>>,
    /// Network: resnet18, resnet34, resnet50, resnet101 or resnet152 [default: resnet18]
    #[arg(long)]
    pub arch: Option<String>,
    /// ImageNet weights to start from (.safetensors or .pth, torchvision's or timm's names), or `none` for a random start
    #[arg(long, value_name = "FILE|none")]
    pub weights: Option<String>,
    /// Epochs to train [default: 500; tsn 40 spatial, 80 temporal]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Clips a step [default: 25 spatial, 32 temporal]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Learning rate to begin with, or behind the warm-up [default: 5e-4 spatial, 1e-2 temporal; tsn 2e-3, 5e-3]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// How the learning rate falls [default: plateau; tsn cosine]
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Epochs over which the learning rate rises from 0 first; parts count [default: 0; tsn 1]
    #[arg(long, value_name = "EPOCHS")]
    pub warm_up: Option<f64>,
    /// Epochs at which --schedule steps lets the learning rate fall to a tenth, such as 20,30; parts count
    #[arg(long, value_name = "EPOCH,EPOCH", value_delimiter = ',')]
    pub milestones: Option<Vec<f64>>,
    /// Factor of the first convolution's learning rate [default: 1]
    #[arg(long, value_name = "X")]
    pub conv1_lr: Option<f64>,
    /// Largest norm of a step's gradients together; larger ones are scaled down to it [default: 0, not at all; tsn 20]
    #[arg(long, value_name = "NORM")]
    pub clip_grad: Option<f64>,
    /// Share of the features that a training view drops in front of the last layer [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub dropout: Option<f64>,
    /// Test and keep a running average of the weights, with this share of the past in it, such as 0.99 [default: 0, the weights]
    #[arg(long, value_name = "SHARE")]
    pub ema: Option<f64>,
    /// L2 penalty of the weights of convolutions and of the last layer [default: 0; tsn 5e-4]
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Share of the target that goes to all classes alike [default: 0]
    #[arg(long, value_name = "X")]
    pub label_smoothing: Option<f64>,
    /// By which rule frames are chosen [default: seed; tsn segments]
    #[arg(long, value_parser = choice::<Sampling>())]
    pub sampling: Option<Sampling>,
    /// Views of a clip in a training step, each a forward pass [default: 3 spatial, 1 temporal; tsn 3]
    #[arg(long, value_name = "N")]
    pub segments: Option<usize>,
    /// How the logits of a clip's views become one [default: sum; tsn mean]
    #[arg(long, value_enum)]
    pub consensus: Option<Consensus>,
    /// Which part of a frame a training view shows [default: random spatial, whole temporal; tsn corners]
    #[arg(long, value_parser = choice::<Crop>())]
    pub crop: Option<Crop>,
    /// Mirror training views half of the time, flow with x reversed [default: true spatial, false temporal; tsn true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub flip: Option<bool>,
    /// Strength of random brightness, contrast and saturation of RGB training views, such as 0.4 [default: 0]
    #[arg(long, alias = "colour-jitter", value_name = "STRENGTH")]
    pub color_jitter: Option<f64>,
    /// Train with all batch norms but the first as the weights to start from have them (partial batch norm)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub partial_bn: Option<bool>,
    /// Samples of a test clip [default: 19; tsn 25]
    #[arg(long, value_name = "N")]
    pub test_samples: Option<usize>,
    /// Which part of a frame a test sample shows [default: whole; tsn center]
    #[arg(long, value_parser = choice::<TestCrop>())]
    pub test_crop: Option<TestCrop>,
    /// What the values of optical flow become [default: unit]
    #[arg(long, value_enum)]
    pub flow_range: Option<FlowRange>,
    /// Side of the network's square input in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    pub input_size: Option<usize>,
    /// Take the batch norms' statistics anew of so many training clips before each test pass [default: 0, not at all; tsn 1000]
    #[arg(long, value_name = "CLIPS")]
    pub precise_bn: Option<usize>,
    /// Decides the random start, the order of clips and every random choice: 0 to 2^64 - 1 [default: 0]
    #[arg(long, value_name = "N")]
    #[serde(default, with = "super::seed::option", skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// auto, cpu or cuda:N [default: auto]
    #[arg(long)]
    pub device: Option<String>,
    /// How precisely to compute [default: bf16 on a card, f32 on the CPU]
    #[arg(long, value_enum)]
    pub precision: Option<Precision>,
    /// On a card, use only what gives the same bits in every run
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub deterministic: Option<bool>,
    /// Threads that decode and compute [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Replace damaged samples by others and count them, instead of ending the run at the first
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub skip_damaged: Option<bool>,
    /// Minutes between checkpoints within an epoch; one is written after each epoch in any case [default: 10]
    #[arg(long, value_name = "MINUTES")]
    pub checkpoint_minutes: Option<f64>,
    /// Keep the networks of the last N epochs too, as epoch-0000.safetensors and so on [default: 0, only the best]
    #[arg(long, value_name = "N")]
    pub keep_epochs: Option<usize>,
}

impl Given {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self> {
        let bytes = read_regular(path, MOST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
        let fault = |fault: String| Usage(format!("{}: {fault}", path.display()));
        let text = String::from_utf8(bytes).map_err(|e| fault(e.to_string()))?;
        Ok(Self::from_toml(&text).map_err(|e| fault(e.to_string()))?)
    }

    /// Reads the text of a configuration file.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        let given: Self = toml::from_str(text)?;
        let weights = |typed: String| match typed.as_str() {
            "none" => typed,
            _ => place::nearby(typed.into()).to_string_lossy().into_owned(),
        };
        Ok(Self { data: given.data.map(place::nearby), weights: given.weights.map(weights), ..given })
    }

    /// Whether a setting is given, by the name of its option.
    pub fn has(&self, option: &str) -> Result<bool> {
        Ok(toml::Table::try_from(self)?.contains_key(option))
    }

    /// These settings where they are given, `other`'s where not.
    pub fn over(&self, other: &Self) -> Result<Self> {
        overlaid(other, self)
    }

    /// Fills in the recipe's defaults and checks every value. `weights` may be missing in a dry run only.
    pub fn complete(self, stream: Stream, dry_run: bool) -> Result<Settings> {
        if let Some(other) = self.stream.filter(|&s| s != stream) {
            bail!(Usage(format!("the configuration is of a {other} run; use `ucftrain {other}`")));
        }
        let Some(data) = &self.data else {
            bail!(Usage("which data set? give --data DIR, the folder that `ucfpack build` wrote".into()));
        };
        if data.to_str().is_none() {
            bail!(Usage(format!("--data {}: config.toml cannot hold a path that is not valid UTF-8", data.display())));
        }
        let settings: Settings = overlaid(&self.recipe.unwrap_or(Recipe::Seed).defaults(stream), &self)?;
        if settings.arch.parse::<Depth>().is_err() {
            let arch = settings.arch;
            bail!(Usage(format!("--arch {arch}: there is resnet18, resnet34, resnet50, resnet101 and resnet152")));
        }
        if self.weights.is_none() && !dry_run {
            bail!(Usage(missing_weights(&settings.arch)));
        }
        settings.check()?;
        Ok(settings)
    }
}

/// What `above` has, and what `below` has where `above` leaves it out.
fn overlaid<Below: Serialize, T: DeserializeOwned>(below: &Below, above: &Given) -> Result<T> {
    let mut all = toml::Table::try_from(below)?;
    all.extend(toml::Table::try_from(above)?);
    Ok(all.try_into()?)
}

fn missing_weights(arch: &str) -> String {
    format!(
        "training starts from ImageNet weights, and no --weights is given. Get them once, either way:
  timm's {arch}.*_in1k on huggingface.co: download its model.safetensors and give --weights model.safetensors
  torchvision: python3 -c \"import torch, torchvision; torch.save(torchvision.models.{arch}(weights='DEFAULT').state_dict(), '{arch}.pth')\"
               and give --weights {arch}.pth
or give --weights none for a random start"
    )
}
