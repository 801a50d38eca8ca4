//! The scores of a network, and the rules that they keep.

use super::fault::ScoreFault;
use super::names::clip_key;
use std::collections::HashMap;

/// The scores of one network on a list of clips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Names of the clips, each once, however spelt (see `clip_key`).
    pub names: Vec<String>,
    /// Number of classes.
    pub classes: usize,
    /// `[clips, classes]`, the last index fastest: sums over the samples of a clip, before any softmax.
    pub logits: Vec<f32>,
    /// The right class of each clip, where known.
    pub labels: Option<Vec<u32>>,
    /// How many samples each clip's sum is of, where known.
    pub samples: Option<Vec<u32>>,
}

impl Scores {
    /// From one row of logits for each clip.
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

    /// Logits of one clip, `[classes]`.
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.logits[clip * self.classes..][..self.classes]
    }

    /// Checks what holds of all scores.
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

    /// Each clip's place, by its `clip_key`.
    pub(super) fn places(&self) -> HashMap<String, usize> {
        self.names.iter().enumerate().map(|(clip, name)| (clip_key(name), clip)).collect()
    }
}
