//! The options of a fusion.

use crate::scores::Scores;
use crate::scores::fusion::combine::softmax;
use clap::ValueEnum;
use std::path::PathBuf;

/// Number of samples per clip in the reference code, whose scores files do not contain it.
pub const SEED_SAMPLES: u32 = 19;

/// The options of a fusion.
#[derive(Clone, Debug)]
pub struct FuseOptions {
    /// Two or more run folders or scores files per split. `+` separates the splits.
    pub scores: Vec<PathBuf>,
    /// Source of the labels: a packed dataset, or a folder with the official lists. If none, the
    /// scores files must have labels.
    pub labels: Option<PathBuf>,
    /// Split of `labels`. If none, the split whose test list has exactly these clips.
    pub split: Option<String>,
    /// Weights of the streams, such as `1:2`. If empty, 1:2 and 2:1 for two streams.
    pub ratio: Vec<String>,
    /// Values that are combined.
    pub space: Space,
    /// Whether to fit weights on val clips, in addition to the other strategies.
    pub fit: bool,
    /// Whether to fit a weight per stream and class on val clips, too.
    pub fit_classes: bool,
    /// Scores of val clips, one file per stream. If empty, those of the runs.
    pub val_scores: Vec<PathBuf>,
    /// Number of samples per clip in scores files that do not contain it.
    pub samples: u32,
    /// List of the clips in scores files without names.
    pub names: Option<PathBuf>,
    /// File to which combined scores are written.
    pub out: Option<PathBuf>,
    /// Combination that is written: `average`, `max`, `fitted`, `fitted-classes` or a ratio.
    pub take: String,
}

impl FuseOptions {
    /// Returns the options with all defaults for these scores.
    pub fn new(scores: Vec<PathBuf>) -> Self {
        Self {
            scores,
            labels: None,
            split: None,
            ratio: Vec::new(),
            space: Space::default(),
            fit: false,
            fit_classes: false,
            val_scores: Vec::new(),
            samples: SEED_SAMPLES,
            names: None,
            out: None,
            take: "average".to_owned(),
        }
    }
}

/// The values that a fusion combines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Space {
    /// Sums of logits over the samples, as in the reference run
    #[default]
    Logits,
    /// Means of logits over the samples
    Means,
    /// Softmax of the logits' means
    Softmax,
    /// Softmax of the logits' means, with a temperature per network that is fitted to val clips
    Calibrated,
}

impl Space {
    /// Returns the name for a heading.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Logits => "sums of logits",
            Self::Means => "means of logits",
            Self::Softmax => "softmax of mean logits",
            Self::Calibrated => "softmax of mean logits at fitted temperatures",
        }
    }
}

/// Returns the values of a stream that are combined, `[clips, classes]`.
pub(super) fn in_space(scores: &Scores, options: &FuseOptions, inverse_temperature: Option<f64>) -> Vec<f32> {
    match options.space {
        Space::Logits => scores.logits.clone(),
        Space::Means => mean_logits(scores, options.samples),
        Space::Softmax => softmax(&scores.logits, scores.classes, &samples_of(scores, options.samples)),
        Space::Calibrated => {
            let scale = inverse_temperature.unwrap_or(1.0);
            let means = mean_logits(scores, options.samples);
            let scaled: Vec<f32> = means.iter().map(|logit| (f64::from(*logit) * scale) as f32).collect();
            softmax(&scaled, scores.classes, &vec![1; scores.names.len()])
        }
    }
}

fn samples_of(scores: &Scores, default: u32) -> Vec<u32> {
    scores.samples.clone().unwrap_or_else(|| vec![default; scores.names.len()])
}

/// Returns the mean logits over the samples, `[clips, classes]`.
pub(super) fn mean_logits(scores: &Scores, default_samples: u32) -> Vec<f32> {
    let samples = samples_of(scores, default_samples);
    scores.logits.iter().enumerate().map(|(at, sum)| sum / samples[at / scores.classes] as f32).collect()
}
