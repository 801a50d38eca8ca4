//! The predictions of networks for a clip.

use crate::scores::SampleScores;
use crate::scores::fusion::combine::softmax;
use crate::stream::Stream;

/// The prediction of one network for the clip.
pub(super) struct Answer {
    /// Name of the run or of the file.
    pub(super) name: String,
    pub(super) stream: Stream,
    /// Number of images in a view.
    pub(super) stack: usize,
    /// Mean of the samples' logits, `[classes]`.
    pub(super) logits: Vec<f32>,
    pub(super) samples: SampleScores,
}

impl Answer {
    /// Returns the softmax of the mean logits, `[classes]`.
    pub(super) fn probabilities(&self) -> Vec<f32> {
        softmax(&self.logits, self.logits.len(), &[1])
    }
}

/// Returns the probabilities `[classes]` of the mean logits of all networks.
pub(super) fn average(answers: &[Answer]) -> Vec<f32> {
    let mut sum = vec![0_f32; answers[0].logits.len()];
    for answer in answers {
        sum.iter_mut().zip(&answer.logits).for_each(|(sum, logit)| *sum += logit);
    }
    softmax(&sum, sum.len(), &[answers.len() as u32])
}

/// Returns the indices of the `number` greatest values, greatest first.
pub(super) fn greatest(values: &[f32], number: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(number);
    order
}

/// Formats a probability in percent.
pub(super) fn percent(probability: f32) -> String {
    format!("{:.1}", 100.0 * probability)
}

/// Returns for each sample the most likely class, the probabilities, and the number of its first
/// frame, from 1.
pub(super) fn samples(answer: &Answer) -> impl Iterator<Item = (usize, Vec<f32>, u32)> {
    answer.samples.frames_of(0).iter().enumerate().map(|(sample, frame)| {
        let probabilities = softmax(answer.samples.row(0, sample), answer.logits.len(), &[answer.samples.views]);
        (greatest(&probabilities, 1)[0], probabilities, frame + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_of_equals_the_first() {
        assert_eq!(greatest(&[0.1, 0.4, 0.4, -1.0], 3), [1, 2, 0]);
    }
}
