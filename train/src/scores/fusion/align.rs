//! Alignment of the scores of several files: the same clips in the same order, and their labels.

use super::options::FuseOptions;
use crate::base::console::note;
use crate::scores::{Labels, Scores, clip_key, first_few};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Reads scores files, and reorders their clips as in the first.
pub(super) fn load_aligned(paths: &[PathBuf], names: Option<&[String]>) -> Result<Vec<Scores>> {
    let mut scores: Vec<Scores> = Vec::with_capacity(paths.len());
    for path in paths {
        let next = Scores::load_with_names(path, names)?;
        let aligned = scores.first().map(|first| align(&next, path, first, &paths[0])).transpose()?;
        scores.push(aligned.unwrap_or(next));
    }
    Ok(scores)
}

/// Reorders scores as those of the first file.
///
/// # Errors
/// The two do not have the same clips and number of classes.
pub fn align(scores: &Scores, path: &Path, first: &Scores, first_path: &Path) -> Result<Scores> {
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
        bail!("{first_shown} and {shown} do not have the same clips ({}); use scores of one split", faults.join("; "));
    }
    if scores.classes != first.classes {
        bail!(
            "{first_shown} has {} classes, but {shown} has {}; use scores of the same classes",
            first.classes,
            scores.classes
        );
    }
    let order: Vec<usize> = first.names.iter().map(|name| places[&clip_key(name)]).collect();
    let pick = |values: &Vec<u32>| order.iter().map(|&clip| values[clip]).collect();
    Ok(Scores {
        names: first.names.clone(),
        classes: scores.classes,
        logits: order.iter().flat_map(|&clip| scores.row(clip)).copied().collect(),
        labels: scores.labels.as_ref().map(pick),
        samples: scores.samples.as_ref().map(pick),
        subset: scores.subset.clone(),
    })
}

/// Finds the labels of aligned scores, and returns them with the name of their source.
pub(super) fn find_labels(options: &FuseOptions, paths: &[PathBuf], scores: &[Scores]) -> Result<(Vec<u32>, String)> {
    let names = &scores[0].names;
    let differ = |a: &[u32], b: &[u32]| -> Vec<&str> {
        let pairs = names.iter().zip(a.iter().zip(b));
        pairs.filter(|(_, (a, b))| a != b).map(|(name, _)| name.as_str()).collect()
    };
    let stored = || scores.iter().zip(paths).filter_map(|(s, path)| Some((s.labels.as_ref()?, path.display())));
    if let Some(dir) = &options.labels {
        let found = Labels::find(dir, &scores[0], options.split.as_deref())?;
        if found.unscored > 0 {
            let (n, split, subset) = (found.unscored, &found.split, &found.subset);
            note(&format!("warning: {n} {subset} clips of split {split} have no scores and are ignored"));
        }
        for (labels, path) in stored() {
            let differing = differ(&found.values, labels);
            if !differing.is_empty() {
                let (n, few) = (differing.len(), first_few(&differing));
                let dir = dir.display();
                note(&format!("warning: {n} labels in {path} differ from those in {dir}, which are used: {few}"));
            }
        }
        return Ok((found.values, format!("{}, split {}", dir.display(), found.split)));
    }
    let mut stored = stored();
    let (labels, path) = stored.next().context("the scores files have no labels; add --labels DIR")?;
    for (others, other_path) in stored {
        let differing = differ(labels, others);
        if !differing.is_empty() {
            let (n, few) = (differing.len(), first_few(&differing));
            bail!("{path} and {other_path} have different labels for {n} clips: {few}; add --labels DIR");
        }
    }
    Ok((labels.clone(), path.to_string()))
}
