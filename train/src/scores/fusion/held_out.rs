//! Weights and temperatures from the clips that the runs held out of their training clips.

use super::align::load_aligned;
use super::options::{FuseOptions, mean_logits};
use crate::base::usage::Usage;
use crate::scores::calibration::fit;
use crate::scores::{Scores, clip_key, first_few};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Name of the scores on held-out clips in a run folder.
pub(super) const FILE: &str = "validation_scores.npz";

/// The held-out clips' scores of some streams.
pub(super) struct HeldOut {
    /// `[clips, classes]` of each stream.
    means: Vec<Vec<f32>>,
    classes: usize,
    labels: Vec<u32>,
}

impl HeldOut {
    /// Those of the runs `paths`, or what `--held-out` names; none of them may be one of the clips that are fused.
    pub(super) fn load(options: &FuseOptions, paths: &[PathBuf], fused: &Scores) -> Result<Self> {
        let files = if options.held_out.is_empty() {
            paths.iter().map(|path| of_run(path)).collect::<Result<Vec<_>>>()?
        } else {
            options.held_out.clone()
        };
        if files.len() != paths.len() {
            bail!(Usage(format!("--held-out names {} files for {} streams", files.len(), paths.len())));
        }
        let scores = load_aligned(&files, None)?;
        let first = &scores[0];
        let tested = fused.places();
        let both: Vec<&String> = first.names.iter().filter(|name| tested.contains_key(&clip_key(name))).collect();
        if !both.is_empty() {
            let (n, few) = (both.len(), first_few(&both));
            bail!(
                "{}: {n} of its clips are among those that are fused: {few}; weights must not be fitted on them",
                files[0].display()
            );
        }
        if first.classes != fused.classes {
            let (own, other) = (first.classes, fused.classes);
            bail!("{}: it has scores of {own} classes, the clips to fuse of {other}", files[0].display());
        }
        let labels = scores.iter().find_map(|scores| scores.labels.clone());
        let labels = labels.with_context(|| format!("{}: it has no labels", files[0].display()))?;
        let means = scores.iter().map(|scores| mean_logits(scores, options.samples)).collect();
        Ok(Self { means, classes: first.classes, labels })
    }

    /// Weights of the streams together.
    pub(super) fn weights(&self) -> Vec<f64> {
        let streams: Vec<&[f32]> = self.means.iter().map(Vec::as_slice).collect();
        fit(&streams, self.classes, &self.labels)
    }

    /// Of each stream alone, one over its temperature.
    pub(super) fn inverse_temperatures(&self) -> Vec<f64> {
        self.means.iter().map(|means| fit(&[means], self.classes, &self.labels)[0]).collect()
    }
}

fn of_run(path: &Path) -> Result<PathBuf> {
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let file = dir.join(FILE);
    if !file.is_file() {
        bail!(Usage(format!(
            "{}: no {FILE} there; train with --val-groups, or name scores of held-out clips with --held-out",
            dir.display()
        )));
    }
    Ok(file)
}
