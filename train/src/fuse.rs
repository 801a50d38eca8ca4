//! `ucftrain fuse`: reads the scores of several streams, combines them and says how often each way is right.

use crate::accuracy::{Accuracy, accuracy};
use crate::fusion::{Ratio, Strategy, softmax};
use crate::scores::{Labels, SCORES_FILE, Scores, clip_key, first_few};
use crate::table::table;
use crate::usage::Usage;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Samples a clip in the reference code, whose score files do not say so.
const SEED_SAMPLES: u32 = 19;

/// Combine the scores of several networks, clip by clip
#[derive(Args, Clone, Debug)]
pub struct FuseArgs {
    /// Two or more run folders or score files: npz, or the reference code's pickles
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

    /// What is combined: the sums of logits, or the softmax of their means
    #[arg(long, value_enum, default_value_t = Space::Logits)]
    pub space: Space,

    /// Samples per clip of score files that do not say it, for --space softmax
    #[arg(long, value_name = "N", default_value_t = SEED_SAMPLES, value_parser = clap::value_parser!(u32).range(1..))]
    pub samples: u32,

    /// Print one JSON document in place of the table
    #[arg(long)]
    pub json: bool,
}

/// What is combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Space {
    /// Sums of logits over the samples, as in the reference run.
    #[default]
    Logits,
    /// Softmax of the logits' means over the samples.
    Softmax,
}

/// How right each strategy is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Number of clips.
    pub clips: usize,
    /// Single streams, average, max, then the ratios.
    pub results: Vec<Outcome>,
    /// Where the scores and labels come from, for the table.
    #[serde(skip)]
    heading: String,
    /// Names of the streams.
    #[serde(skip)]
    streams: Vec<String>,
}

/// How right one strategy is, in percent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// `single`, `average`, `max` or `weighted`.
    pub strategy: &'static str,
    /// Weights of the streams; none for max.
    pub ratio: Option<String>,
    /// The label has the best score.
    pub top1: f64,
    /// The label is among the five best.
    pub top5: f64,
}

/// Runs `ucftrain fuse`: results to stdout, warnings to stderr.
pub fn run(args: &FuseArgs) -> Result<()> {
    let report = report(args)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        report.write_table(&mut out)?;
    }
    Ok(out.flush()?)
}

/// Reads, aligns and combines what the arguments name.
pub fn report(args: &FuseArgs) -> Result<Report> {
    let streams = args.scores.len();
    if streams < 2 {
        return Err(Usage(format!("fuse takes two or more SCORES, not {streams}")).into());
    }
    let ratios = ratios(&args.ratio, streams)?;
    let mut scores = Vec::with_capacity(streams);
    for path in &args.scores {
        let next = Scores::load(path)?;
        match scores.first() {
            None => scores.push(next),
            Some(first) => scores.push(align(&next, path, first, &args.scores[0])?),
        }
    }
    let (labels, source) = find_labels(args, &scores)?;
    let first = &scores[0];
    let tables: Vec<Vec<f32>> = scores.iter().map(|scores| in_space(scores, args)).collect();
    let tables: Vec<&[f32]> = tables.iter().map(Vec::as_slice).collect();
    let mut results = Vec::new();
    for strategy in Strategy::all(streams, &ratios) {
        let fused = strategy.combine(&tables);
        if let Some(at) = fused.iter().position(|score| !score.is_finite()) {
            let clip = &first.names[at / first.classes];
            bail!(
                "{}: clip {clip} gets a score of {}; its scores are too large to combine",
                strategy.name(),
                fused[at]
            );
        }
        let Accuracy { top1, top5 } = accuracy(&fused, first.classes, &labels);
        let ratio = strategy.ratio(streams).map(|ratio| ratio.as_str().to_owned());
        results.push(Outcome { strategy: strategy.name(), ratio, top1, top5 });
    }
    let space = match args.space {
        Space::Logits => "sums of logits",
        Space::Softmax => "softmax of mean logits",
    };
    let heading = format!("{} clips, {} classes, {space}, labels of {source}", labels.len(), first.classes);
    Ok(Report { clips: labels.len(), results, heading, streams: args.scores.iter().map(|p| stream_name(p)).collect() })
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

/// Brings scores into the order of the first file's, which must have the same clips and classes.
pub(crate) fn align(scores: &Scores, path: &Path, first: &Scores, first_path: &Path) -> Result<Scores> {
    let (shown, first_shown) = (path.display(), first_path.display());
    let (places, first_places) = (scores.places(), first.places());
    let only = |scores: &Scores, other: &std::collections::HashMap<String, usize>| -> Vec<String> {
        scores.names.iter().filter(|name| !other.contains_key(&clip_key(name))).cloned().collect()
    };
    let (here, there) = (only(scores, &first_places), only(first, &places));
    let mut faults = Vec::new();
    for (names, path) in [(there, &first_shown), (here, &shown)] {
        if !names.is_empty() {
            faults.push(format!("{} clips are only in {path}: {}", names.len(), first_few(&names)));
        }
    }
    if !faults.is_empty() {
        bail!("{first_shown} and {shown} are not of the same clips; {}", faults.join("; "));
    }
    if scores.classes != first.classes {
        bail!("{first_shown} has scores of {} classes, {shown} of {}", first.classes, scores.classes);
    }
    let order: Vec<usize> = first.names.iter().map(|name| places[&clip_key(name)]).collect();
    let pick = |values: &Vec<u32>| order.iter().map(|&clip| values[clip]).collect();
    Ok(Scores {
        names: first.names.clone(),
        classes: scores.classes,
        logits: order.iter().flat_map(|&clip| scores.row(clip)).copied().collect(),
        labels: scores.labels.as_ref().map(pick),
        samples: scores.samples.as_ref().map(pick),
    })
}

/// The labels of aligned scores, and where they come from.
fn find_labels(args: &FuseArgs, scores: &[Scores]) -> Result<(Vec<u32>, String)> {
    let names = &scores[0].names;
    let differ = |a: &[u32], b: &[u32]| -> Vec<&str> {
        let pairs = names.iter().zip(a.iter().zip(b));
        pairs.filter(|(_, (a, b))| a != b).map(|(name, _)| name.as_str()).collect()
    };
    let stored = || scores.iter().zip(&args.scores).filter_map(|(s, path)| Some((s.labels.as_ref()?, path.display())));
    if let Some(dir) = &args.labels {
        let found = Labels::find(dir, &scores[0], args.split.as_deref())?;
        if found.unscored > 0 {
            let (n, split) = (found.unscored, &found.split);
            eprintln!("warning: {n} clips of the test list of split {split} have no scores and do not count");
        }
        for (labels, path) in stored() {
            let differing = differ(&found.labels, labels);
            if !differing.is_empty() {
                let (n, few) = (differing.len(), first_few(&differing));
                eprintln!("warning: {n} labels in {path} differ from those of {}, which count: {few}", dir.display());
            }
        }
        return Ok((found.labels, format!("{}, split {}", dir.display(), found.split)));
    }
    let mut stored = stored();
    let (labels, path) = stored.next().context("the score files have no labels; give --labels DIR")?;
    for (others, other_path) in stored {
        let differing = differ(labels, others);
        if !differing.is_empty() {
            let (n, few) = (differing.len(), first_few(&differing));
            bail!("{path} and {other_path} have different labels for {n} clips: {few}; give --labels DIR");
        }
    }
    Ok((labels.clone(), path.to_string()))
}

/// What is combined of one stream, `[clips, classes]`.
fn in_space(scores: &Scores, args: &FuseArgs) -> Vec<f32> {
    match args.space {
        Space::Logits => scores.logits.clone(),
        Space::Softmax => {
            let default = || vec![args.samples; scores.names.len()];
            let samples = scores.samples.clone().unwrap_or_else(default);
            softmax(&scores.logits, scores.classes, &samples)
        }
    }
}

/// The file's name; the run's, where the file is a run's `scores.npz`.
fn stream_name(path: &Path) -> String {
    let run = path.parent().filter(|_| path.file_name().is_some_and(|name| name == SCORES_FILE));
    let named = run.filter(|run| run.file_name().is_some()).unwrap_or(path);
    named.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

impl Report {
    /// An aligned table for people; the best top-1 is marked.
    pub fn write_table(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let name =
            |(at, outcome): (usize, &Outcome)| self.streams.get(at).map_or(outcome.strategy, String::as_str).to_owned();
        let best = self.best();
        let row = |(at, outcome): (usize, &Outcome)| {
            let mark = if Some(at) == best { "best" } else { "" };
            let ratio = outcome.ratio.as_deref().unwrap_or("-");
            let (top1, top5) = (format!("{:.4}", outcome.top1), format!("{:.4}", outcome.top5));
            vec![name((at, outcome)), ratio.into(), top1, top5, mark.into()]
        };
        let rows: Vec<_> = self.results.iter().enumerate().map(row).collect();
        writeln!(out, "{}\n", self.heading)?;
        write!(out, "{}", table(&["strategy", "ratio", "top-1", "top-5", ""], &rows))?;
        Ok(())
    }

    /// The first of those with the highest top-1 and, among these, top-5.
    fn best(&self) -> Option<usize> {
        let key = |at: &usize| (self.results[*at].top1, self.results[*at].top5);
        (0..self.results.len()).rev().max_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal))
    }
}
