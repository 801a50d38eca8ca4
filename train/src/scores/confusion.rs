//! The confusion matrix: predicted and actual classes of the test clips.

use std::collections::HashMap;

/// Counts of clips by actual and predicted class.
#[derive(Clone, Debug, PartialEq)]
pub struct Confusion {
    classes: usize,
    /// Counts `[actual class, predicted class]`.
    counts: Vec<u32>,
}

/// Clips of one class that were predicted as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Actual class.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// Number of clips.
    pub clips: u32,
}

/// Returns the class with the best score. Among equal scores, the lower class number wins, as in
/// [`crate::scores::accuracy`].
pub fn predicted(row: &[f32]) -> usize {
    let better = |best: usize, class: usize| if row[class] > row[best] || row[best].is_nan() { class } else { best };
    (0..row.len()).reduce(better).unwrap_or(0)
}

impl Confusion {
    /// Counts the predictions of scores `[clips, classes]` for the labels `[clips]`.
    ///
    /// # Panics
    /// A label is not below `classes`.
    pub fn of(scores: &[f32], classes: usize, labels: &[u32]) -> Self {
        let mut counts = vec![0; classes * classes];
        for (row, &label) in scores.chunks_exact(classes).zip(labels) {
            counts[label as usize * classes + predicted(row)] += 1;
        }
        Self { classes, counts }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Returns the number of clips of class `truth` that were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u32 {
        self.counts[truth * self.classes + predicted]
    }

    /// Returns the number of clips of a class.
    pub fn clips(&self, truth: usize) -> u32 {
        self.counts[truth * self.classes..][..self.classes].iter().sum()
    }

    /// Returns the percentage of the clips of class `truth` that were predicted as `predicted`;
    /// none without clips.
    pub fn percent(&self, truth: usize, predicted: usize) -> Option<f64> {
        let clips = self.clips(truth);
        (clips > 0).then(|| 100.0 * f64::from(self.count(truth, predicted)) / f64::from(clips))
    }

    /// Returns the percentage of a class's clips that were predicted correctly; none without clips.
    pub fn accuracy(&self, class: usize) -> Option<f64> {
        self.percent(class, class)
    }

    /// Returns the mean of the accuracies of all classes with clips, in percent; each class has the
    /// same weight.
    pub fn mean_class_accuracy(&self) -> Option<f64> {
        let known: Vec<f64> = (0..self.classes).filter_map(|class| self.accuracy(class)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// Returns the pairs of classes that were confused, those with the most clips first. Among
    /// equals, the pair with the larger share of its actual class comes first, then the lower class
    /// number.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for truth in 0..self.classes {
            for predicted in (0..self.classes).filter(|&predicted| predicted != truth) {
                let clips = self.count(truth, predicted);
                if clips > 0 {
                    pairs.push(Pair { truth, predicted, clips });
                }
            }
        }
        pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.clips), self.clips(pair.truth)));
        pairs
    }

    /// Returns all classes, those with the lowest accuracy first and those without clips last.
    pub fn by_accuracy(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.classes).collect();
        let key = |&class: &usize| self.accuracy(class).unwrap_or(f64::INFINITY);
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        order
    }

    /// Returns all classes in an order that puts confused classes next to each other, the largest
    /// groups first.
    ///
    /// The method is single linkage: it joins chains of classes end to end, beginning with the most
    /// similar pair. Each time it turns the chains so that the two classes that meet are as similar
    /// as possible.
    pub fn by_likeness(&self) -> Vec<usize> {
        let likeness = |a: usize, b: usize| self.percent(a, b).unwrap_or(0.0) + self.percent(b, a).unwrap_or(0.0);
        let mut links: Vec<(usize, usize)> = Vec::new();
        for a in 0..self.classes {
            links.extend((a + 1..self.classes).filter(|&b| self.count(a, b) + self.count(b, a) > 0).map(|b| (a, b)));
        }
        links.sort_by(|x, y| likeness(y.0, y.1).total_cmp(&likeness(x.0, x.1)));
        let mut chain_of: Vec<usize> = (0..self.classes).collect();
        let mut chains: HashMap<usize, Vec<usize>> = (0..self.classes).map(|class| (class, vec![class])).collect();
        for (a, b) in links {
            let (into, from) = (chain_of[a], chain_of[b]);
            if into == from {
                continue;
            }
            let (Some(mut left), Some(mut right)) = (chains.remove(&into), chains.remove(&from)) else { continue };
            let ends = |chain: &[usize]| (chain[0], chain[chain.len() - 1]);
            let ((left_first, left_last), (right_first, right_last)) = (ends(&left), ends(&right));
            let turns = [
                (false, false, likeness(left_last, right_first)),
                (false, true, likeness(left_last, right_last)),
                (true, false, likeness(left_first, right_first)),
                (true, true, likeness(left_first, right_last)),
            ];
            let best = turns.into_iter().reduce(|best, turn| if turn.2 > best.2 { turn } else { best });
            let (turn_left, turn_right, _) = best.unwrap_or_default();
            if turn_left {
                left.reverse();
            }
            if turn_right {
                right.reverse();
            }
            for &class in &right {
                chain_of[class] = into;
            }
            left.extend(right);
            chains.insert(into, left);
        }
        let mut chains: Vec<Vec<usize>> = chains.into_values().collect();
        chains.sort_by_key(|chain| (std::cmp::Reverse(chain.len()), chain.iter().min().copied()));
        chains.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the confusion of clips with these (actual, predicted) classes.
    fn confusion(classes: usize, clips: &[(u32, usize)]) -> Confusion {
        let row =
            |&(_, predicted): &(u32, usize)| (0..classes).map(move |class| f32::from(u8::from(class == predicted)));
        let scores: Vec<f32> = clips.iter().flat_map(row).collect();
        let labels: Vec<u32> = clips.iter().map(|clip| clip.0).collect();
        Confusion::of(&scores, classes, &labels)
    }

    #[test]
    fn clips_are_counted_by_true_and_predicted_class() {
        // Class 0: 3 clips, 2 correct; class 1: 2 clips, none correct; class 2: 4 clips, 3 correct;
        // class 3: no clips.
        let clips = [(0, 0), (0, 0), (0, 1), (1, 2), (1, 2), (2, 2), (2, 2), (2, 2), (2, 0)];
        let confusion = confusion(4, &clips);
        let rows: Vec<Vec<u32>> = (0..4).map(|t| (0..4).map(|p| confusion.count(t, p)).collect()).collect();
        assert_eq!(rows, [[2, 1, 0, 0], [0, 0, 2, 0], [1, 0, 3, 0], [0, 0, 0, 0]]);
        assert_eq!([0, 1, 2, 3].map(|class| confusion.clips(class)), [3, 2, 4, 0]);
        let accuracy = [0, 1, 2, 3].map(|class| confusion.accuracy(class));
        assert_eq!(accuracy, [Some(200.0 / 3.0), Some(0.0), Some(75.0), None]);
        let mean = confusion.mean_class_accuracy().unwrap();
        assert!((mean - (200.0 / 3.0 + 0.0 + 75.0) / 3.0).abs() < 1e-12, "{mean}");
        assert_eq!(confusion.by_accuracy(), [1, 0, 2, 3]);
        let pair = |truth, predicted, clips| Pair { truth, predicted, clips };
        // Of the two pairs with one clip, that of the smaller class comes first.
        assert_eq!(confusion.pairs(), [pair(1, 2, 2), pair(0, 1, 1), pair(2, 0, 1)]);
    }

    #[test]
    fn of_equal_scores_the_lower_class_is_predicted() {
        assert_eq!(predicted(&[0.5, 1.0, 1.0]), 1);
        assert_eq!(predicted(&[0.0, 0.0]), 0);
        assert_eq!(predicted(&[f32::NAN, -1.0, 0.0]), 2);
        let scores = [1.0, 1.0, 0.0, 2.0];
        assert_eq!(Confusion::of(&scores, 2, &[1, 1]).count(1, 0), 1);
    }

    #[test]
    fn classes_that_are_confused_stand_together() {
        // 0 and 4 are confused most, 4 and 2 less, 1 and 3 not at all.
        let clips = [(0, 4), (0, 4), (4, 0), (4, 4), (2, 4), (2, 2), (2, 2), (1, 1), (3, 3)];
        let order = confusion(5, &clips).by_likeness();
        assert!([[0, 4, 2], [2, 4, 0]].iter().any(|group| order[..3] == *group), "{order:?}");
        assert_eq!(order[3..], [1, 3]);
        // The order has every class once, for any confusions.
        let clips: Vec<(u32, usize)> = (0..400).map(|i: usize| ((i * 7 % 23) as u32, i * i % 23)).collect();
        let mut order = confusion(23, &clips).by_likeness();
        order.sort_unstable();
        assert_eq!(order, (0..23).collect::<Vec<_>>());
    }
}
