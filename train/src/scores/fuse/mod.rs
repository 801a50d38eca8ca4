//! `ucftrain fuse`: reads the scores of several streams, combines them and says how often each way is right.

mod align;
pub mod combine;
mod held_out;
mod report;

pub(crate) use align::align;
pub use report::{Outcome, Report};

use crate::base::console::{document, result};
use crate::base::usage::Usage;
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::scores::confusion::Confusion;
use crate::scores::fuse::combine::{Ratio, Strategy, softmax};
use crate::scores::{SCORES_FILE, Scores, read_names};
use align::{find_labels, load_aligned};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use held_out::HeldOut;
use std::path::{Path, PathBuf};

/// Samples a clip in the reference code, whose score files do not say so.
const SEED_SAMPLES: u32 = 19;
/// Stands between the scores of one split and those of the next.
const NEXT_SPLIT: &str = "+";

/// Combine the scores of several networks, clip by clip
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FuseArgs {
    /// Two or more run folders or score files (npz, csv, the reference code's pickles; npy and mmaction's pickles with
    /// --names); "+" stands before those of another split
    #[arg(required = true, num_args = 1.., value_name = "SCORES")]
    pub scores: Vec<PathBuf>,

    /// Where the right classes are: a packed data set, or a folder with classInd.txt and testlist0N.txt
    /// [default: the labels in the score files]
    #[arg(long, value_name = "DIR")]
    pub labels: Option<PathBuf>,

    /// The split of --labels [default: the one whose test list has exactly these clips]
    #[arg(long, value_name = "N", requires = "labels")]
    pub split: Option<String>,

    /// Weights of the streams, in the order of SCORES; may be repeated [default for two: 1:2 and 2:1]
    #[arg(long, value_name = "A:B")]
    pub ratio: Vec<String>,

    /// What is combined
    #[arg(long, value_enum, default_value_t = Space::Logits)]
    pub space: Space,

    /// Also weigh mean logits so that the runs' held-out clips (training with --val-groups) are told best
    #[arg(long)]
    pub fit: bool,

    /// Scores of held-out clips, one file a stream, in place of the runs' own; for --fit and --space calibrated
    #[arg(long, value_name = "SCORES,...", value_delimiter = ',')]
    pub held_out: Vec<PathBuf>,

    /// Samples per clip of score files that do not say it, where means count
    #[arg(long, value_name = "N", default_value_t = SEED_SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,

    /// The clips of score files without names, in order: a list with one a line, such as testlist01.txt
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,

    /// Also write the sum of the streams, or what --take says, as scores
    #[arg(long, value_name = "FILE.npz|FILE.csv")]
    pub out: Option<PathBuf>,

    /// What --out holds: average, max, fitted or a ratio
    #[arg(long, value_name = "STRATEGY", default_value = "average", requires = "out")]
    pub take: String,

    /// Print one JSON document in place of the table
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "Examples:
  ucftrain fuse runs/spatial runs/temporal
  ucftrain fuse runs/spatial runs/temporal --fit
  ucftrain fuse s1/spatial s1/temporal + s2/spatial s2/temporal + s3/spatial s3/temporal
  ucftrain fuse runs/spatial spatial_video_preds.pickle --labels ucfTrainTestlist";

impl FuseArgs {
    /// These scores with every option at its default.
    pub fn of(scores: Vec<PathBuf>) -> Self {
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
            json: false,
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
    fn describe(self) -> &'static str {
        match self {
            Self::Logits => "sums of logits",
            Self::Means => "means of logits",
            Self::Softmax => "softmax of mean logits",
            Self::Calibrated => "softmax of mean logits at fitted temperatures",
        }
    }
}

/// Runs `ucftrain fuse`: results to stdout, warnings to stderr.
pub fn run(args: &FuseArgs) -> Result<()> {
    let report = report(args)?;
    if args.json {
        document(&serde_json::to_string(&report)?)?;
    } else {
        result(report.table().trim_end())?;
    }
    Ok(())
}

/// Reads, aligns and combines what the arguments name.
pub fn report(args: &FuseArgs) -> Result<Report> {
    let splits: Vec<&[PathBuf]> = args.scores.split(|path| path.as_os_str() == NEXT_SPLIT).collect();
    let streams = splits[0].len();
    if let Some(few) = splits.iter().map(|split| split.len()).find(|&n| n < 2) {
        return Err(Usage(format!("fuse takes two or more SCORES, not {few}")).into());
    }
    if let Some(other) = splits.iter().map(|split| split.len()).find(|&n| n != streams) {
        return Err(Usage(format!(
            "every split has the same streams; here are {streams} in one and {other} in another"
        ))
        .into());
    }
    if splits.len() == 1 {
        return split_report(args, splits[0]);
    }
    for (typed, option) in
        [(args.out.is_some(), "--out"), (!args.held_out.is_empty(), "--held-out"), (args.split.is_some(), "--split")]
    {
        if typed {
            return Err(Usage(format!("{option} is for one split; fuse the splits one by one for that")).into());
        }
    }
    let reports = splits.into_iter().map(|split| split_report(args, split)).collect::<Result<Vec<_>>>()?;
    Ok(Report::mean(reports))
}

/// One split.
fn split_report(args: &FuseArgs, paths: &[PathBuf]) -> Result<Report> {
    let streams = paths.len();
    let ratios = ratios(&args.ratio, streams)?;
    let names = args.names.as_deref().map(read_names).transpose()?;
    let scores = load_aligned(paths, names.as_deref())?;
    let (labels, source) = find_labels(args, paths, &scores)?;
    let first = &scores[0];
    let needs_held_out = args.fit || args.space == Space::Calibrated;
    let held_out = needs_held_out.then(|| HeldOut::load(args, paths, first)).transpose()?;
    let temperatures = held_out.as_ref().map(HeldOut::inverse_temperatures);
    let tables: Vec<Vec<f32>> =
        (0..streams).map(|i| in_space(&scores[i], args, temperatures.as_ref().map(|t| t[i]))).collect();
    let tables: Vec<&[f32]> = tables.iter().map(Vec::as_slice).collect();
    let mut combined: Vec<(&'static str, Option<String>, Vec<f32>)> = Strategy::all(streams, &ratios)
        .into_iter()
        .map(|strategy| {
            let ratio = strategy.ratio(streams).map(|ratio| ratio.as_str().to_owned());
            (strategy.name(), ratio, strategy.combine(&tables))
        })
        .collect();
    if let Some(held_out) = held_out.filter(|_| args.fit) {
        let means: Vec<Vec<f32>> = scores.iter().map(|scores| mean_logits(scores, args.samples)).collect();
        let means: Vec<&[f32]> = means.iter().map(Vec::as_slice).collect();
        let weights = held_out.weights();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            bail!("no stream tells the held-out clips better than chance: there is nothing to weigh");
        }
        let text: Vec<String> = weights.iter().map(|weight| format!("{:.3}", weight / total)).collect();
        let ratio = Ratio::parse(&text.join(":"))?;
        combined.push(("fitted", Some(ratio.as_str().to_owned()), Strategy::Weighted(ratio).combine(&means)));
    }
    let mut results = Vec::new();
    for (strategy, ratio, fused) in &combined {
        if let Some(at) = fused.iter().position(|score| !score.is_finite()) {
            let clip = &first.names[at / first.classes];
            bail!("{strategy}: clip {clip} gets a score of {}; its scores are too large to combine", fused[at]);
        }
        let Accuracy { top1, top5 } = accuracy(fused, first.classes, &labels);
        let mean_class = Confusion::of(fused, first.classes, &labels).mean_class_accuracy().unwrap_or_default();
        results.push(Outcome { strategy, ratio: ratio.clone(), top1, top5, mean_class });
    }
    if let Some(path) = &args.out {
        let is_taken = |(strategy, ratio, _): &&(&str, Option<String>, Vec<f32>)| {
            *strategy == args.take || ratio.as_deref() == Some(args.take.as_str())
        };
        let Some((.., fused)) = combined.iter().find(is_taken) else {
            let have: Vec<&str> = combined
                .iter()
                .filter(|c| c.0 != "single")
                .map(|c| if c.0 == "weighted" { c.1.as_deref().unwrap_or(c.0) } else { c.0 })
                .collect();
            return Err(Usage(format!("--take {}: there is {}", args.take, have.join(", "))).into());
        };
        let fused = Scores { logits: fused.clone(), labels: Some(labels.clone()), samples: None, ..first.clone() };
        fused.write(path)?;
    }
    let heading =
        format!("{} clips, {} classes, {}, labels of {source}", labels.len(), first.classes, args.space.describe());
    let streams = paths.iter().map(|path| stream_name(path)).collect();
    Ok(Report { clips: labels.len(), results, splits: Vec::new(), heading, streams })
}

fn ratios(typed: &[String], streams: usize) -> Result<Vec<Ratio>, Usage> {
    let default = ["1:2".to_owned(), "2:1".to_owned()];
    let typed = if typed.is_empty() && streams == 2 { &default } else { typed };
    let mut ratios = Vec::with_capacity(typed.len());
    for text in typed {
        let ratio = Ratio::parse(text)?;
        let weights = ratio.weights().len();
        if weights != streams {
            return Err(Usage(format!("ratio {text} has {weights} weights for {streams} streams")));
        }
        ratios.push(ratio);
    }
    Ok(ratios)
}

/// What is combined of one stream, `[clips, classes]`.
fn in_space(scores: &Scores, args: &FuseArgs, inverse_temperature: Option<f64>) -> Vec<f32> {
    match args.space {
        Space::Logits => scores.logits.clone(),
        Space::Means => mean_logits(scores, args.samples),
        Space::Softmax => softmax(&scores.logits, scores.classes, &samples_of(scores, args.samples)),
        Space::Calibrated => {
            let scale = inverse_temperature.unwrap_or(1.0);
            let means = mean_logits(scores, args.samples);
            let scaled: Vec<f32> = means.iter().map(|logit| (f64::from(*logit) * scale) as f32).collect();
            softmax(&scaled, scores.classes, &vec![1; scores.names.len()])
        }
    }
}

fn samples_of(scores: &Scores, default: u32) -> Vec<u32> {
    scores.samples.clone().unwrap_or_else(|| vec![default; scores.names.len()])
}

/// Means over the samples, `[clips, classes]`.
fn mean_logits(scores: &Scores, default_samples: u32) -> Vec<f32> {
    let samples = samples_of(scores, default_samples);
    scores.logits.iter().enumerate().map(|(at, sum)| sum / samples[at / scores.classes] as f32).collect()
}

/// The file's name; the run's, where the file is a run's `scores.npz`.
fn stream_name(path: &Path) -> String {
    let run = path.parent().filter(|_| path.file_name().is_some_and(|name| name == SCORES_FILE));
    let named = run.filter(|run| run.file_name().is_some()).unwrap_or(path);
    named.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
