//! Weights and temperatures that are fitted on the val clips of the runs.

use super::align::load_aligned;
use super::options::{FuseOptions, mean_logits};
use crate::base::usage::Usage;
use crate::scores::calibration::{fit, fit_per_class};
use crate::scores::{Scores, VAL_SCORES_FILE, clip_key, first_few};
use anyhow::{Context, Result, bail};
use clipshard::Subset;
use std::path::{Path, PathBuf};

/// The scores of several streams on val clips.
pub(super) struct ValScores {
    /// Mean logits of each stream, `[clips, classes]`.
    means: Vec<Vec<f32>>,
    classes: usize,
    labels: Vec<u32>,
}

impl ValScores {
    /// Reads the val scores of the runs `paths`, or the files in `options.val_scores`.
    ///
    /// # Errors
    /// A file is missing, does not match the scores to fuse, has training clips, or has a clip that
    /// is also fused.
    pub(super) fn load(options: &FuseOptions, paths: &[PathBuf], fused: &Scores) -> Result<Self> {
        let files = if options.val_scores.is_empty() {
            paths.iter().map(|path| of_run(path)).collect::<Result<Vec<_>>>()?
        } else {
            options.val_scores.clone()
        };
        if files.len() != paths.len() {
            bail!(Usage(format!(
                "--val-scores names {} files, but there are {} SCORES; name one file for each",
                files.len(),
                paths.len()
            )));
        }
        let scores = load_aligned(&files, None)?;
        let first = &scores[0];
        if first.subset.as_deref() == Some(Subset::Train.name()) {
            bail!(
                "{}: the scores are of training clips, which the networks know; use scores of val clips",
                files[0].display()
            );
        }
        let tested = fused.places();
        let both: Vec<&String> = first.names.iter().filter(|name| tested.contains_key(&clip_key(name))).collect();
        if !both.is_empty() {
            let (n, few) = (both.len(), first_few(&both));
            bail!("{}: {n} of its clips are also fused: {few}; use the scores of other clips", files[0].display());
        }
        if first.classes != fused.classes {
            let (own, other) = (first.classes, fused.classes);
            bail!(
                "{}: the scores have {own} classes, but those to fuse have {other}; use scores of the same networks",
                files[0].display()
            );
        }
        let labels = scores.iter().find_map(|scores| scores.labels.clone());
        let labels = labels
            .with_context(|| format!("{}: the scores have no labels; use a file with labels", files[0].display()))?;
        let means = scores.iter().map(|scores| mean_logits(scores, options.samples)).collect();
        Ok(Self { means, classes: first.classes, labels })
    }

    /// Fits the weights of all streams together.
    pub(super) fn weights(&self) -> Vec<f64> {
        let streams: Vec<&[f32]> = self.means.iter().map(Vec::as_slice).collect();
        fit(&streams, self.classes, &self.labels)
    }

    /// Fits a weight per stream and class, `[streams, classes]`, starting from weights per stream.
    pub(super) fn class_weights(&self, weights: &[f64]) -> Vec<f64> {
        let streams: Vec<&[f32]> = self.means.iter().map(Vec::as_slice).collect();
        fit_per_class(&streams, self.classes, &self.labels, weights)
    }

    /// Fits the temperature of each stream alone, and returns its inverse.
    pub(super) fn inverse_temperatures(&self) -> Vec<f64> {
        self.means.iter().map(|means| fit(&[means], self.classes, &self.labels)[0]).collect()
    }
}

fn of_run(path: &Path) -> Result<PathBuf> {
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let file = dir.join(VAL_SCORES_FILE);
    if !file.is_file() {
        bail!(Usage(format!(
            "{}: no {VAL_SCORES_FILE} {}; train on a split with val clips, or with --val-share; or name scores of val \
             clips with --val-scores",
            path.display(),
            if path.is_dir() { "here" } else { "next to it" }
        )));
    }
    Ok(file)
}
