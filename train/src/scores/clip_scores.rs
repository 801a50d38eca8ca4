//! The scores of a network for each clip, and their rules.

use super::fault::ScoreFault;
use super::names::clip_key;
use std::collections::HashMap;

/// The scores of a network for a list of clips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Names of the clips, unique in any spelling (see `clip_key`).
    pub names: Vec<String>,
    /// Number of classes.
    pub classes: usize,
    /// Sums of the logits of a clip's samples, `[clips, classes]`, the last index fastest; no
    /// softmax.
    pub logits: Vec<f32>,
    /// Actual class of each clip, if known.
    pub labels: Option<Vec<u32>>,
    /// Number of samples in each clip's sum, if known.
    pub samples: Option<Vec<u32>>,
    /// Name of the clips' subset, such as `test`, if known.
    pub subset: Option<String>,
}

impl Scores {
    /// Creates scores from one row of logits per clip.
    ///
    /// # Errors
    /// There are no rows, or they differ in length.
    pub(super) fn from_rows(rows: Vec<(String, Vec<f32>)>) -> Result<Self, ScoreFault> {
        let Some((first, row)) = rows.first() else { return Err(ScoreFault::NoClips) };
        let (first, classes) = (first.clone(), row.len());
        let mut scores = Self { classes, ..Self::default() };
        for (name, row) in rows {
            if row.len() != classes {
                let [clip, first] = [name, first].map(|name| name.escape_debug().to_string());
                return Err(ScoreFault::RowLength { clip, scores: row.len(), first, classes });
            }
            scores.names.push(name);
            scores.logits.extend(row);
        }
        Ok(scores)
    }

    /// Sets the name of the clips' subset.
    #[must_use]
    pub fn of_subset(self, subset: &str) -> Self {
        Self { subset: Some(subset.to_owned()), ..self }
    }

    /// Returns the logits of a clip, `[classes]`.
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.logits[clip * self.classes..][..self.classes]
    }

    /// Checks the rules of scores: lengths that match, valid and unique names, finite logits,
    /// labels below the number of classes and at least one sample per clip.
    pub(super) fn check(&self) -> Result<(), ScoreFault> {
        let (clips, classes) = (self.names.len(), self.classes);
        if clips == 0 || classes == 0 {
            return Err(ScoreFault::NoScores { clips, classes });
        }
        if Some(self.logits.len()) != clips.checked_mul(classes) {
            return Err(ScoreFault::LogitCount { logits: self.logits.len(), clips, classes });
        }
        for (what, values) in [("labels", &self.labels), ("samples", &self.samples)] {
            if let Some(values) = values.as_ref().filter(|values| values.len() != clips) {
                return Err(ScoreFault::Count { what, found: values.len(), clips });
            }
        }
        let mut seen = HashMap::with_capacity(clips);
        for (clip, name) in self.names.iter().enumerate() {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(ScoreFault::ClipName(name.clone()));
            }
            if let Some(other) = seen.insert(clip_key(name), name) {
                return Err(ScoreFault::ClipTwice { name: name.clone(), other: other.clone() });
            }
            if let Some(&value) = self.row(clip).iter().find(|value| !value.is_finite()) {
                return Err(ScoreFault::NotFinite { clip: name.clone(), value });
            }
            if let Some(label) = self.labels.as_ref().map(|l| l[clip]).filter(|&label| label as usize >= classes) {
                return Err(ScoreFault::Label { clip: name.clone(), label, classes });
            }
            if self.samples.as_ref().is_some_and(|samples| samples[clip] == 0) {
                return Err(ScoreFault::NoSamples(name.clone()));
            }
        }
        Ok(())
    }

    /// Returns the index of each clip, by its `clip_key`.
    pub(super) fn places(&self) -> HashMap<String, usize> {
        self.names.iter().enumerate().map(|(clip, name)| (clip_key(name), clip)).collect()
    }
}
