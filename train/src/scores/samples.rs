//! The logits of each sample, before they are summed over a clip.

/// What a network said of each sample of a list of clips.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleScores {
    /// Names of the clips.
    pub names: Vec<String>,
    /// The right class of each clip, where known.
    pub labels: Option<Vec<u32>>,
    /// Number of classes.
    pub classes: usize,
    /// Number of samples of each clip.
    pub samples: usize,
    /// Crops that each sample's logits are the sum of.
    pub views: u32,
    /// `[clips, samples]`: a sample's frame, or the first of its stack, from 0.
    pub frames: Vec<u32>,
    /// `[clips, samples, classes]`, the last index fastest; sums over the crops of a sample.
    pub logits: Vec<f32>,
}

impl SampleScores {
    /// Logits of one sample, `[classes]`.
    pub fn row(&self, clip: usize, sample: usize) -> &[f32] {
        &self.logits[(clip * self.samples + sample) * self.classes..][..self.classes]
    }

    /// Frames of a clip's samples.
    pub fn frames_of(&self, clip: usize) -> &[u32] {
        &self.frames[clip * self.samples..][..self.samples]
    }
}
