//! What is fused, and how.

use crate::scores::Scores;
use crate::scores::fusion::combine::softmax;
use clap::ValueEnum;
use std::path::PathBuf;

/// Samples a clip in the reference code, whose score files do not say so.
pub const SEED_SAMPLES: u32 = 19;

/// What is fused, and how.
#[derive(Clone, Debug)]
pub struct FuseOptions {
    /// Two or more run folders or score files; `+` stands before those of another split.
    pub scores: Vec<PathBuf>,
    /// Where the right classes are: a packed data set, or a folder of official lists. If none, the score files have labels.
    pub labels: Option<PathBuf>,
    /// The split of `labels`. If none, that whose test list has exactly these clips.
    pub split: Option<String>,
    /// Weights of the streams, such as `1:2`. If empty, 1:2 and 2:1 for two streams.
    pub ratio: Vec<String>,
    /// What is combined.
    pub space: Space,
    /// Whether weights are also fitted to the runs' held-out clips.
    pub fit: bool,
    /// Scores of held-out clips, one file a stream. If empty, the runs' own.
    pub held_out: Vec<PathBuf>,
    /// Samples of a clip in score files that do not say it.
    pub samples: u32,
    /// A list of the clips of score files without names.
    pub names: Option<PathBuf>,
    /// Where combined scores are written.
    pub out: Option<PathBuf>,
    /// Which combined scores are written: `average`, `max`, `fitted` or a ratio.
    pub take: String,
}

impl FuseOptions {
    /// Fuses these scores with every option at its default.
    pub fn new(scores: Vec<PathBuf>) -> Self {
        Self {
            scores,
            labels: None,
            split: None,
            ratio: Vec::new(),
            space: Space::default(),
            fit: false,
            held_out: Vec::new(),
            samples: SEED_SAMPLES,
            names: None,
            out: None,
            take: "average".to_owned(),
        }
    }
}

/// What is combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Space {
    /// Sums of logits over the samples, as in the reference run
    #[default]
    Logits,
    /// Means of logits over the samples
    Means,
    /// Softmax of the logits' means
    Softmax,
    /// Softmax of the logits' means, each stream at the temperature that fits its held-out clips best
    Calibrated,
}

impl Space {
    /// Names it in a heading.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Logits => "sums of logits",
            Self::Means => "means of logits",
            Self::Softmax => "softmax of mean logits",
            Self::Calibrated => "softmax of mean logits at fitted temperatures",
        }
    }
}

/// What is combined of one stream, `[clips, classes]`.
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

/// Means over the samples, `[clips, classes]`.
pub(super) fn mean_logits(scores: &Scores, default_samples: u32) -> Vec<f32> {
    let samples = samples_of(scores, default_samples);
    scores.logits.iter().enumerate().map(|(at, sum)| sum / samples[at / scores.classes] as f32).collect()
}
