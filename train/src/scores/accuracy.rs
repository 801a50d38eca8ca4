//! Top-1 and top-5 accuracy of scores.

/// Accuracy over clips, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// Percentage of clips whose actual class has the best score.
    pub top1: f64,
    /// Percentage of clips whose actual class is among the five best scores. With five classes or
    /// fewer, all scores count.
    pub top5: f64,
}

/// Computes the accuracy of scores `[clips, classes]` for the labels `[clips]`.
///
/// Among equal scores, the class with the lower number comes first, as in a stable sort
/// (`torch.topk` does not define the order). A label whose score is NaN is never correct.
///
/// # Panics
/// The scores do not have one row per label, or a label is not below `classes`.
pub fn accuracy(scores: &[f32], classes: usize, labels: &[u32]) -> Accuracy {
    assert_eq!(scores.len(), classes * labels.len(), "one row per label");
    let (mut top1, mut top5) = (0_usize, 0_usize);
    for (row, &label) in scores.chunks_exact(classes).zip(labels) {
        let rank = rank(row, label as usize);
        top1 += usize::from(rank < 1);
        top5 += usize::from(rank < 5);
    }
    let percent = |hits: usize| 100.0 * hits as f64 / labels.len() as f64;
    Accuracy { top1: percent(top1), top5: percent(top5) }
}

/// Returns the number of classes that come before the label.
fn rank(row: &[f32], label: usize) -> usize {
    let score = row[label];
    if score.is_nan() {
        return row.len().max(5);
    }
    #[expect(clippy::float_cmp, reason = "a tie is equality to the last bit")]
    let before = |&(class, &other): &(usize, &f32)| other > score || (other == score && class < label);
    row.iter().enumerate().filter(before).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_lower_class_comes_first() {
        let right = |top1, top5| Accuracy { top1, top5 };
        assert_eq!(accuracy(&[1.0, 1.0], 2, &[0]), right(100.0, 100.0));
        assert_eq!(accuracy(&[1.0, 1.0], 2, &[1]), right(0.0, 100.0));
        assert_eq!(accuracy(&[0.0; 7], 7, &[4]), right(0.0, 100.0));
        assert_eq!(accuracy(&[0.0; 7], 7, &[5]), right(0.0, 0.0));
        assert_eq!(accuracy(&[f32::NAN, 1.0, 0.0, 1.0], 2, &[0, 1]), right(50.0, 50.0));
    }
}
