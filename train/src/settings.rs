//! The settings of a run: what was typed or written in a file, over the recipe's defaults. `config.toml` holds all of them.

use crate::device::Precision;
use crate::stream::Stream;
use crate::usage::Usage;
use anyhow::{Context, Result, bail};
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
    /// Network: resnet18 to resnet152.
    pub arch: String,
    /// Weights to start from, or `none`.
    pub weights: String,
    /// Epochs.
    pub epochs: usize,
    /// Clips a step.
    pub batch_size: usize,
    /// Learning rate of the first epoch.
    pub lr: f64,
    /// Side of the network's input in pixels.
    pub input_size: usize,
    /// Training clips of which the batch norms' statistics are taken anew before each test pass; 0 tests by the trail that
    /// training leaves.
    #[serde(default)]
    pub precise_bn: usize,
    /// Decides the random start, the order of clips and every random choice.
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
}

/// A named set of defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// The documented run that this project reproduces.
    Seed,
}

/// Settings that may be left out: a configuration file, or the command line.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
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
    /// Network: resnet18, resnet34, resnet50, resnet101 or resnet152 [default: resnet18]
    #[arg(long)]
    pub arch: Option<String>,
    /// ImageNet weights to start from (.safetensors or .pth, torchvision's or timm's names), or `none` for a random start
    #[arg(long, value_name = "FILE|none")]
    pub weights: Option<String>,
    /// Epochs to train [default: 500]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Clips a step [default: 25 spatial, 32 temporal]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Learning rate of the first epoch [default: 5e-4 spatial, 1e-2 temporal]
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// Side of the network's square input in pixels [default: 224]
    #[arg(long, value_name = "PIXELS")]
    pub input_size: Option<usize>,
    /// Take the batch norms' statistics anew of so many training clips before each test pass [default: 0, not at all]
    #[arg(long, value_name = "CLIPS")]
    pub precise_bn: Option<usize>,
    /// Decides the random start, the order of clips and every random choice [default: 0]
    #[arg(long, value_name = "N")]
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
}

impl Given {
    /// Reads a configuration file.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot read it", path.display()))?;
        toml::from_str(&text).map_err(|e| Usage(format!("{}: {e}", path.display())).into())
    }

    /// These settings where they are given, `other`'s where not.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self {
            stream: self.stream.or(other.stream),
            data: self.data.or(other.data),
            recipe: self.recipe.or(other.recipe),
            split: self.split.or(other.split),
            arch: self.arch.or(other.arch),
            weights: self.weights.or(other.weights),
            epochs: self.epochs.or(other.epochs),
            batch_size: self.batch_size.or(other.batch_size),
            lr: self.lr.or(other.lr),
            input_size: self.input_size.or(other.input_size),
            precise_bn: self.precise_bn.or(other.precise_bn),
            seed: self.seed.or(other.seed),
            device: self.device.or(other.device),
            precision: self.precision.or(other.precision),
            deterministic: self.deterministic.or(other.deterministic),
            threads: self.threads.or(other.threads),
            skip_damaged: self.skip_damaged.or(other.skip_damaged),
            checkpoint_minutes: self.checkpoint_minutes.or(other.checkpoint_minutes),
        }
    }

    /// Fills in the recipe's defaults and checks every value. `weights` may be missing in a dry run only.
    pub fn complete(self, stream: Stream, dry_run: bool) -> Result<Settings> {
        if let Some(other) = self.stream.filter(|&s| s != stream) {
            bail!(Usage(format!("the configuration is of a {other} run; use `ucftrain {other}`")));
        }
        let Some(data) = self.data else {
            bail!(Usage("which data set? give --data DIR, the folder that `ucfpack build` wrote".into()))
        };
        let arch = self.arch.unwrap_or_else(|| "resnet18".into());
        if arch.parse::<Depth>().is_err() {
            bail!(Usage(format!("--arch {arch}: there is resnet18, resnet34, resnet50, resnet101 and resnet152")));
        }
        let weights = match self.weights {
            Some(weights) => weights,
            None if dry_run => "none".into(),
            None => bail!(Usage(missing_weights(&arch))),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (batch_size, lr) = match stream {
            Stream::Spatial => (25, 5e-4),
            Stream::Temporal => (32, 1e-2),
        };
        let settings = Settings {
            stream,
            recipe: self.recipe.unwrap_or(Recipe::Seed),
            data,
            split: self.split.unwrap_or_else(|| "1".into()),
            arch,
            weights,
            epochs: self.epochs.unwrap_or(500),
            batch_size: self.batch_size.unwrap_or(batch_size),
            lr: self.lr.unwrap_or(lr),
            input_size: self.input_size.unwrap_or(224),
            precise_bn: self.precise_bn.unwrap_or(0),
            seed: self.seed.unwrap_or(0),
            device: self.device.unwrap_or_else(|| "auto".into()),
            precision: self.precision,
            deterministic: self.deterministic.unwrap_or(false),
            threads: self.threads.unwrap_or(cores),
            skip_damaged: self.skip_damaged.unwrap_or(false),
            checkpoint_minutes: self.checkpoint_minutes.unwrap_or(10.0),
        };
        settings.check()?;
        Ok(settings)
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Usage(format!("--{name} {value} is not between {low} and {high}")))
        };
        within("epochs", self.epochs as f64, 1.0, 1e6)?;
        within("batch-size", self.batch_size as f64, 1.0, 65_536.0)?;
        within("lr", self.lr, 1e-12, 1e3)?;
        within("input-size", self.input_size as f64, 32.0, 1024.0)?;
        within("threads", self.threads as f64, 1.0, 1024.0)?;
        within("checkpoint-minutes", self.checkpoint_minutes, 0.0, 1e6)?;
        Ok(())
    }

    /// Depth of the network.
    pub fn depth(&self) -> Result<Depth> {
        self.arch.parse().map_err(|_| Usage(format!("--arch {}: unknown network", self.arch)).into())
    }

    /// As `config.toml` holds them.
    pub fn to_toml(&self) -> Result<String> {
        let head = format!(
            "# All settings of this run. Repeat it with: ucftrain {} --config config.toml --run ANOTHER_DIR\n",
            self.stream
        );
        Ok(head + &toml::to_string(self)?)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Given {
        Given { data: Some("d".into()), weights: Some("none".into()), ..Given::default() }
    }

    #[test]
    fn the_seed_recipes_defaults_are_the_seeds() {
        let spatial = given().complete(Stream::Spatial, false).unwrap();
        assert_eq!((spatial.batch_size, spatial.lr, spatial.epochs, spatial.input_size), (25, 5e-4, 500, 224));
        let temporal = given().complete(Stream::Temporal, false).unwrap();
        assert_eq!((temporal.batch_size, temporal.lr), (32, 1e-2));
    }

    #[test]
    fn config_toml_repeats_the_settings_exactly() {
        let settings =
            Given { lr: Some(0.1 + 0.2), seed: Some(7), ..given() }.complete(Stream::Spatial, false).unwrap();
        let read: Given = toml::from_str(&settings.to_toml().unwrap()).unwrap();
        assert_eq!(read.complete(Stream::Spatial, false).unwrap(), settings);
    }

    #[test]
    fn typed_settings_win_over_a_file() {
        let file: Given = toml::from_str("lr = 0.5\nepochs = 3").unwrap();
        let merged = Given { lr: Some(0.25), ..given() }.over(file).complete(Stream::Spatial, false).unwrap();
        assert_eq!((merged.lr, merged.epochs), (0.25, 3));
    }

    #[test]
    fn what_cannot_be_meant_is_wrong_usage() {
        let fails = |given: Given| {
            let error = given.complete(Stream::Spatial, false).unwrap_err();
            assert!(error.is::<Usage>(), "{error}");
            error.to_string()
        };
        assert!(fails(Given { weights: None, ..given() }).contains("--weights"));
        assert!(fails(Given { data: None, ..given() }).contains("--data"));
        assert!(fails(Given { batch_size: Some(0), ..given() }).contains("--batch-size 0"));
        assert!(fails(Given { lr: Some(f64::NAN), ..given() }).contains("--lr"));
        assert!(fails(Given { arch: Some("vgg".into()), ..given() }).contains("resnet152"));
        assert!(fails(Given { stream: Some(Stream::Temporal), ..given() }).contains("ucftrain temporal"));
        assert!(toml::from_str::<Given>("learning-rate = 1").is_err());
    }
}
