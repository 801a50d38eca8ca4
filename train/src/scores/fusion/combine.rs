//! Combines the scores of several streams.
//!
//! The rules are those of the reference run (jeffreyyihuang/two-stream-action-recognition,
//! `average_fusion.py` and similar scripts): sums of logits, no softmax. The arithmetic does the
//! same operations in the same order as numpy on `float32` arrays, so the results are equal to the
//! last bit.

use crate::base::usage::Usage;

/// Weights of the streams, as in `1:2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    weights: Vec<f32>,
    text: String,
}

impl Ratio {
    /// Reads `A:B`, or `A:B:C` and so on for more streams: numbers of 0 or more, not all 0.
    pub fn parse(text: &str) -> Result<Self, Usage> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        // Parses f64 first, as numpy converts Python numbers.
        let weights: Option<Vec<f32>> = parts.iter().map(|part| part.parse::<f64>().ok().map(|w| w as f32)).collect();
        let sound =
            |w: &Vec<f32>| w.len() > 1 && w.iter().all(|w| w.is_finite() && *w >= 0.0) && w.iter().any(|w| *w > 0.0);
        match weights.filter(sound) {
            Some(weights) => Ok(Self { weights, text: parts.join(":") }),
            None => {
                Err(Usage(format!("--ratio {text:?} is invalid; use numbers of 0 or more, not all 0, such as 1:2")))
            }
        }
    }

    /// Returns weight 1 for one stream and 0 for the others.
    fn unit(streams: usize, stream: usize) -> Self {
        let weights: Vec<f32> = (0..streams).map(|i| f32::from(u8::from(i == stream))).collect();
        Self::of_weights(weights)
    }

    fn of_weights(weights: Vec<f32>) -> Self {
        let text = weights.iter().map(ToString::to_string).collect::<Vec<_>>().join(":");
        Self { weights, text }
    }

    /// Returns the text of the ratio, without spaces around the weights.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns one weight per stream.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}

/// A way to combine streams.
#[derive(Clone, Debug, PartialEq)]
pub enum Strategy {
    /// One stream alone, by its index.
    Single(usize),
    /// The sum of all, `s + t`. Dividing it by their number would not change the ranks.
    Average,
    /// The largest score of each class, `max(s, t)`.
    Max,
    /// The weighted sum `a*s + b*t`.
    Weighted(Ratio),
}

impl Strategy {
    /// Returns the strategies of a report on `streams` streams: each alone, average, max, then the
    /// ratios.
    pub fn all(streams: usize, ratios: &[Ratio]) -> Vec<Self> {
        let singles = (0..streams).map(Self::Single);
        singles.chain([Self::Average, Self::Max]).chain(ratios.iter().cloned().map(Self::Weighted)).collect()
    }

    /// Returns the name: `single`, `average`, `max` or `weighted`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Single(_) => "single",
            Self::Average => "average",
            Self::Max => "max",
            Self::Weighted(_) => "weighted",
        }
    }

    /// Returns the weights of the streams; none for max.
    pub fn ratio(&self, streams: usize) -> Option<Ratio> {
        match self {
            Self::Single(stream) => Some(Ratio::unit(streams, *stream)),
            Self::Average => Some(Ratio::of_weights(vec![1.0; streams])),
            Self::Max => None,
            Self::Weighted(ratio) => Some(ratio.clone()),
        }
    }

    /// Combines the scores `[clips, classes]` of streams with the same shape and order. Weighted
    /// sums are added from left to right.
    ///
    /// # Panics
    /// The streams differ in length, or a ratio does not have one weight per stream.
    pub fn combine(&self, streams: &[&[f32]]) -> Vec<f32> {
        let Some((first, rest)) = streams.split_first() else { return Vec::new() };
        let fold = |start: Vec<f32>, join: &dyn Fn(usize, f32, f32) -> f32| {
            rest.iter().enumerate().fold(start, |mut sum, (i, stream)| {
                assert_eq!(sum.len(), stream.len(), "streams of one shape");
                sum.iter_mut().zip(*stream).for_each(|(a, &b)| *a = join(i + 1, *a, b));
                sum
            })
        };
        match self {
            Self::Single(stream) => streams[*stream].to_vec(),
            Self::Average => fold(first.to_vec(), &|_, a, b| a + b),
            Self::Max => fold(first.to_vec(), &|_, a, b| if b > a { b } else { a }),
            Self::Weighted(ratio) => {
                let weights = ratio.weights();
                assert_eq!(weights.len(), streams.len(), "one weight per stream");
                let start = first.iter().map(|score| weights[0] * score).collect();
                fold(start, &|i, a, b| a + weights[i] * b)
            }
        }
    }
}

/// Returns the sums of the scores `[clips, classes]` of streams, each times its weight in
/// `[streams, classes]`.
pub fn weighted_by_class(streams: &[&[f32]], classes: usize, weights: &[f64]) -> Vec<f32> {
    let clips = streams.first().map_or(0, |stream| stream.len());
    let weighted = |at: usize| {
        let of = |(stream, weights): (&&[f32], &[f64])| f64::from(stream[at]) * weights[at % classes];
        streams.iter().zip(weights.chunks_exact(classes)).map(of).sum::<f64>() as f32
    };
    (0..clips).map(weighted).collect()
}

/// Returns the softmax of the mean logits, `[clips, classes]`: the probabilities of the classes for
/// each clip.
///
/// `sums` are sums of logits `[clips, classes]`, and `samples` the number of terms in the sums of
/// each clip. The computation uses f64 and rounds once.
pub fn softmax(sums: &[f32], classes: usize, samples: &[u32]) -> Vec<f32> {
    let mut probabilities = Vec::with_capacity(sums.len());
    for (row, &samples) in sums.chunks_exact(classes).zip(samples) {
        let mean = |score: &f32| f64::from(*score) / f64::from(samples);
        let greatest = row.iter().map(mean).fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|score| (mean(score) - greatest).exp()).collect();
        let total: f64 = powers.iter().sum();
        probabilities.extend(powers.iter().map(|power| (power / total) as f32));
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ratios_are_read_and_others_refused() {
        let ratio = Ratio::parse("1: 1.5:0").unwrap();
        assert_eq!((ratio.as_str(), ratio.weights()), ("1:1.5:0", [1.0, 1.5, 0.0].as_slice()));
        for text in ["", "1", "1:", ":", "a:b", "1:-2", "0:0", "nan:1", "1:inf", "1e300:1", "1;2"] {
            let message = Ratio::parse(text).unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("1:2"), "{message}");
        }
    }

    #[test]
    fn each_strategy_does_its_arithmetic() {
        let (s, t) = ([1.0, -2.0, 0.5], [0.5, 4.0, 0.25]);
        let combine = |strategy: Strategy| strategy.combine(&[&s, &t]);
        assert_eq!(combine(Strategy::Single(1)), t);
        assert_eq!(combine(Strategy::Average), [1.5, 2.0, 0.75]);
        assert_eq!(combine(Strategy::Max), [1.0, 4.0, 0.5]);
        assert_eq!(combine(Strategy::Weighted(Ratio::parse("2:1").unwrap())), [2.5, 0.0, 1.25]);
    }

    #[test]
    fn weights_per_class_multiply_their_scores() {
        let (s, t) = ([1.0, -2.0, 0.5, 8.0], [0.5, 4.0, 0.25, 2.0]);
        assert_eq!(weighted_by_class(&[&s, &t], 2, &[2.0, 1.0, 4.0, 0.5]), [4.0, 0.0, 2.0, 9.0]);
    }

    #[test]
    fn strategies_come_in_the_order_of_the_report() {
        let ratios = [Ratio::parse("1:2").unwrap()];
        let all = Strategy::all(2, &ratios);
        let shown: Vec<_> = all.iter().map(|s| (s.name(), s.ratio(2).map(|r| r.text))).collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [
            ("single", some("1:0")),
            ("single", some("0:1")),
            ("average", some("1:1")),
            ("max", None),
            ("weighted", some("1:2")),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn softmax_is_a_distribution_whatever_the_scale() {
        let p = softmax(&[2000.0, 0.0, 19.0, 0.0], 2, &[1, 19]);
        assert_eq!(p[..2], [1.0, 0.0]);
        assert!((p[2] - 0.731_058_6).abs() < 1e-7 && (p[2] + p[3] - 1.0).abs() < 1e-7);
    }
}
