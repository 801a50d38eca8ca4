//! Reads, aligns and combines the scores of several streams, split by split.

use super::align::{find_labels, load_aligned};
use super::combine::{Ratio, Strategy, weighted_by_class};
use super::options::{FuseOptions, Space, in_space, mean_logits};
use super::report::{Outcome, Report};
use super::val::ValScores;
use crate::base::console::note;
use crate::base::usage::Usage;
use crate::scores::accuracy::{Accuracy, accuracy};
use crate::scores::confusion::Confusion;
use crate::scores::{SCORES_FILE, Scores, VAL_SCORES_FILE, read_names};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Largest number of weights per network and class. Their fit needs 32 MB for 2,000 weights, and four
/// times as much for twice as many.
const MOST_CLASS_WEIGHTS: usize = 4000;
/// Separator between the scores of two splits.
const NEXT_SPLIT: &str = "+";

/// Fuses scores as the options say. Writes the combined scores if `options.out` is set.
///
/// # Errors
/// The options contradict each other, a file cannot be read or written, or the scores do not have
/// the same clips.
pub fn fuse(options: &FuseOptions) -> Result<Report> {
    let splits: Vec<&[PathBuf]> = options.scores.split(|path| path.as_os_str() == NEXT_SPLIT).collect();
    let streams = splits[0].len();
    if let Some(few) = splits.iter().map(|split| split.len()).find(|&n| n < 2) {
        let of_split = if splits.len() == 1 { "" } else { " per split" };
        return Err(Usage(format!("name two or more run folders or scores files{of_split}, not {few}")).into());
    }
    if let Some(other) = splits.iter().map(|split| split.len()).find(|&n| n != streams) {
        return Err(Usage(format!(
            "all splits need the same number of SCORES, but one has {streams} and another has {other}"
        ))
        .into());
    }
    if splits.len() == 1 {
        return split_report(options, splits[0]);
    }
    for (typed, option) in [
        (options.out.is_some(), "--out"),
        (!options.val_scores.is_empty(), "--val-scores"),
        (options.split.is_some(), "--split"),
    ] {
        if typed {
            return Err(Usage(format!("{option} works for one split only; fuse each split separately")).into());
        }
    }
    let reports = splits.into_iter().map(|split| split_report(options, split)).collect::<Result<Vec<_>>>()?;
    Ok(Report::mean(reports))
}

/// Fuses the scores of one split.
fn split_report(options: &FuseOptions, paths: &[PathBuf]) -> Result<Report> {
    let streams = paths.len();
    let ratios = ratios(&options.ratio, streams)?;
    let names = options.names.as_deref().map(read_names).transpose()?;
    let scores = load_aligned(paths, names.as_deref())?;
    let (labels, source) = find_labels(options, paths, &scores)?;
    warn_of_equal(paths, &scores);
    let first = &scores[0];
    let needs_val = options.fit || options.fit_classes || options.space == Space::Calibrated;
    let val = needs_val.then(|| ValScores::load(options, paths, first)).transpose()?;
    let temperatures = val.as_ref().map(ValScores::inverse_temperatures);
    let tables: Vec<Vec<f32>> =
        (0..streams).map(|i| in_space(&scores[i], options, temperatures.as_ref().map(|t| t[i]))).collect();
    let tables: Vec<&[f32]> = tables.iter().map(Vec::as_slice).collect();
    let mut combined: Vec<(&'static str, Option<String>, Vec<f32>)> = Strategy::all(streams, &ratios)
        .into_iter()
        .map(|strategy| {
            let ratio = strategy.ratio(streams).map(|ratio| ratio.as_str().to_owned());
            (strategy.name(), ratio, strategy.combine(&tables))
        })
        .collect();
    if let Some(val) = val.filter(|_| options.fit || options.fit_classes) {
        let means: Vec<Vec<f32>> = scores.iter().map(|scores| mean_logits(scores, options.samples)).collect();
        let means: Vec<&[f32]> = means.iter().map(Vec::as_slice).collect();
        let weights = val.weights();
        let total: f64 = weights.iter().sum();
        if total <= 0.0 {
            bail!(
                "cannot fit weights: no network predicts the val clips better than chance; remove --fit and \
                 --fit-classes"
            );
        }
        let text: Vec<String> = weights.iter().map(|weight| format!("{:.3}", weight / total)).collect();
        let ratio = Ratio::parse(&text.join(":"))?;
        if options.fit {
            combined.push(("fitted", Some(ratio.as_str().to_owned()), Strategy::Weighted(ratio).combine(&means)));
        }
        if options.fit_classes {
            let number = streams * first.classes;
            if number > MOST_CLASS_WEIGHTS {
                bail!(
                    "--fit-classes would fit {number} weights, and at most {MOST_CLASS_WEIGHTS} fit into memory; \
                     use --fit"
                );
            }
            let weights = val.class_weights(&weights);
            combined.push(("fitted-classes", None, weighted_by_class(&means, first.classes, &weights)));
        }
    }
    let mut results = Vec::new();
    for (strategy, ratio, fused) in &combined {
        if let Some(at) = fused.iter().position(|score| !score.is_finite()) {
            let clip = &first.names[at / first.classes];
            bail!(
                "{strategy}: clip {clip} gets the score {}, because its scores are too large; use --space softmax",
                fused[at]
            );
        }
        let Accuracy { top1, top5 } = accuracy(fused, first.classes, &labels);
        let mean_class = Confusion::of(fused, first.classes, &labels).mean_class_accuracy().unwrap_or_default();
        results.push(Outcome { strategy, ratio: ratio.clone(), top1, top5, mean_class });
    }
    if let Some(path) = &options.out {
        let is_taken = |(strategy, ratio, _): &&(&str, Option<String>, Vec<f32>)| {
            *strategy == options.take || ratio.as_deref() == Some(options.take.as_str())
        };
        let Some((.., fused)) = combined.iter().find(is_taken) else {
            let have: Vec<&str> = combined
                .iter()
                .filter(|c| c.0 != "single")
                .map(|c| if c.0 == "weighted" { c.1.as_deref().unwrap_or(c.0) } else { c.0 })
                .collect();
            return Err(
                Usage(format!("--take {}: no such combination; use one of {}", options.take, have.join(", "))).into()
            );
        };
        let fused = Scores { logits: fused.clone(), labels: Some(labels.clone()), samples: None, ..first.clone() };
        fused.write(path)?;
    }
    let subset = first.subset.clone();
    let heading = format!(
        "{} {}clips, {} classes, {}, labels from {source}",
        labels.len(),
        subset.as_ref().map(|subset| format!("{subset} ")).unwrap_or_default(),
        first.classes,
        options.space.describe()
    );
    let streams = paths.iter().map(|path| stream_name(path)).collect();
    Ok(Report { clips: labels.len(), subset, results, splits: Vec::new(), heading, streams })
}

/// Prints a note if two files have the same scores, because their fusion cannot be better than one
/// of them.
fn warn_of_equal(paths: &[PathBuf], scores: &[Scores]) {
    for (i, one) in scores.iter().enumerate() {
        let Some(j) = (0..i).find(|&j| scores[j].logits == one.logits) else { continue };
        let (first, second) = (paths[j].display(), paths[i].display());
        let fault = if paths[j] == paths[i] {
            format!("{first} is named twice")
        } else {
            format!("{first} and {second} have the same scores")
        };
        note(&format!("note: {fault}; name the scores of different networks"));
    }
}

fn ratios(typed: &[String], streams: usize) -> Result<Vec<Ratio>, Usage> {
    let default = ["1:2".to_owned(), "2:1".to_owned()];
    let typed = if typed.is_empty() && streams == 2 { &default } else { typed };
    let mut ratios = Vec::with_capacity(typed.len());
    for text in typed {
        let ratio = Ratio::parse(text)?;
        let weights = ratio.weights().len();
        if weights != streams {
            return Err(Usage(format!(
                "--ratio {text} has {weights} weights, but there are {streams} SCORES; name one weight for each"
            )));
        }
        ratios.push(ratio);
    }
    Ok(ratios)
}

/// Returns the name of a stream: the name of its run folder if the file is a run's `scores.npz` or
/// `val_scores.npz`, otherwise that of the file.
fn stream_name(path: &Path) -> String {
    let run =
        path.parent().filter(|_| path.file_name().is_some_and(|name| name == SCORES_FILE || name == VAL_SCORES_FILE));
    let named = run.filter(|run| run.file_name().is_some()).unwrap_or(path);
    named.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
