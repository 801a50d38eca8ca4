//! The logits of each sample, before they are summed over a clip.

/// The logits of a network for each sample of a list of clips.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleScores {
    /// Names of the clips.
    pub names: Vec<String>,
    /// Actual class of each clip, if known.
    pub labels: Option<Vec<u32>>,
    /// Name of the clips' subset, such as `test`, if known.
    pub subset: Option<String>,
    /// Number of classes.
    pub classes: usize,
    /// Number of samples of each clip.
    pub samples: usize,
    /// Number of crops per sample, whose logits are summed.
    pub views: u32,
    /// Frame of each sample, or the first frame of its stack, from 0: `[clips, samples]`.
    pub frames: Vec<u32>,
    /// Sums over the crops of each sample, `[clips, samples, classes]`, the last index fastest.
    pub logits: Vec<f32>,
}

impl SampleScores {
    /// Returns the logits of a sample, `[classes]`.
    pub fn row(&self, clip: usize, sample: usize) -> &[f32] {
        &self.logits[(clip * self.samples + sample) * self.classes..][..self.classes]
    }

    /// Returns the frames of a clip's samples.
    pub fn frames_of(&self, clip: usize) -> &[u32] {
        &self.frames[clip * self.samples..][..self.samples]
    }
}
