//! Weights and temperatures that are fitted on the held-out clips of the runs.

use super::align::load_aligned;
use super::options::{FuseOptions, mean_logits};
use crate::base::usage::Usage;
use crate::scores::calibration::fit;
use crate::scores::{Scores, clip_key, first_few};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Name of the file with the scores of held-out clips in a run folder.
pub(super) const FILE: &str = "validation_scores.npz";

/// The scores of several streams on held-out clips.
pub(super) struct HeldOut {
    /// Mean logits of each stream, `[clips, classes]`.
    means: Vec<Vec<f32>>,
    classes: usize,
    labels: Vec<u32>,
}

impl HeldOut {
    /// Reads the held-out scores of the runs `paths`, or the files in `options.held_out`.
    ///
    /// # Errors
    /// A file is missing, does not match the scores to fuse, or has a clip that is also fused.
    pub(super) fn load(options: &FuseOptions, paths: &[PathBuf], fused: &Scores) -> Result<Self> {
        let files = if options.held_out.is_empty() {
            paths.iter().map(|path| of_run(path)).collect::<Result<Vec<_>>>()?
        } else {
            options.held_out.clone()
        };
        if files.len() != paths.len() {
            bail!(Usage(format!(
                "--held-out names {} files, but there are {} SCORES; name one file for each",
                files.len(),
                paths.len()
            )));
        }
        let scores = load_aligned(&files, None)?;
        let first = &scores[0];
        let tested = fused.places();
        let both: Vec<&String> = first.names.iter().filter(|name| tested.contains_key(&clip_key(name))).collect();
        if !both.is_empty() {
            let (n, few) = (both.len(), first_few(&both));
            bail!(
                "{}: {n} of its clips are also fused: {few}; use held-out clips that are not test clips",
                files[0].display()
            );
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

    /// Fits the temperature of each stream alone, and returns its inverse.
    pub(super) fn inverse_temperatures(&self) -> Vec<f64> {
        self.means.iter().map(|means| fit(&[means], self.classes, &self.labels)[0]).collect()
    }
}

fn of_run(path: &Path) -> Result<PathBuf> {
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let file = dir.join(FILE);
    if !file.is_file() {
        bail!(Usage(format!(
            "{}: no {FILE} {}; train with --val-groups, or name scores of held-out clips with --held-out",
            path.display(),
            if path.is_dir() { "here" } else { "next to it" }
        )));
    }
    Ok(file)
}
