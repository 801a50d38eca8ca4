//! Means and their errors over the runs of a split, over splits, and between two groups.

use serde::Serialize;

/// The values of a split: one per run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Number of values, at least 1.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation, with `n - 1` in the denominator; none for one value.
    pub deviation: Option<f64>,
}

impl Sample {
    /// Returns the statistics of these values; none without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { n, mean, deviation: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()) })
    }

    /// Returns the standard error of the mean: the deviation divided by the root of `n`.
    pub fn error(&self) -> Option<f64> {
        Some(self.deviation? / (self.n as f64).sqrt())
    }
}

/// A value with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error; none if the runs are too few to tell.
    pub error: Option<f64>,
}

/// Returns the mean of the means of several splits. Each split counts the same, whatever its number
/// of runs.
///
/// The error is the standard error over the splits; none for one split.
pub fn over_splits(splits: &[Sample]) -> Option<Estimate> {
    let means: Vec<f64> = splits.iter().map(|split| split.mean).collect();
    let all = Sample::of(&means)?;
    Some(Estimate { value: all.mean, error: all.error() })
}

/// Returns the standard deviation within splits: the root of the mean variance, weighted by the
/// degrees of freedom `n - 1` of each split. None if no split has two runs.
pub fn within_splits(splits: &[Sample]) -> Option<f64> {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for split in splits {
        if let Some(deviation) = split.deviation {
            let own = (split.n - 1) as f64;
            squares += own * deviation.powi(2);
            freedom += own;
        }
    }
    (freedom > 0.0).then(|| (squares / freedom).sqrt())
}

/// Returns how far the first of two groups is above the second, as the mean over the splits that
/// both have.
///
/// The error is that of the seeds: a split's difference has the squared error
/// `s1² / n1 + s2² / n2` (Welch), and the mean over `k` splits the root of their sum, divided by
/// `k`. If a split has only one run of a group, the error comes from the spread of the differences
/// over the splits instead. For one such split it is unknown.
pub fn difference(splits: &[(Sample, Sample)]) -> Option<Estimate> {
    let differences: Vec<f64> = splits.iter().map(|(one, other)| one.mean - other.mean).collect();
    let all = Sample::of(&differences)?;
    let squared = |(one, other): &(Sample, Sample)| Some(one.error()?.powi(2) + other.error()?.powi(2));
    let squares: Option<Vec<f64>> = splits.iter().map(squared).collect();
    let of_seeds = squares.map(|squares| squares.iter().sum::<f64>().sqrt() / all.n as f64);
    Some(Estimate { value: all.mean, error: of_seeds.or_else(|| all.error()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::of(values).unwrap()
    }

    fn assert_near(value: Option<f64>, expected: f64) {
        let value = value.unwrap();
        assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
    }

    const A: [&[f64]; 3] = [&[40.3, 41.9, 39.8], &[44.0, 42.5, 43.1], &[38.2, 39.9]];
    const B: [&[f64]; 3] = [&[37.7, 38.4, 40.1], &[41.0, 41.6, 43.0], &[38.0, 36.6, 37.9]];

    fn samples(values: [&[f64]; 3]) -> [Sample; 3] {
        values.map(sample)
    }

    #[test]
    fn a_sample_has_the_mean_and_deviation_of_numpy() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32.
        let known = sample(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((known.n, known.mean), (8, 5.0));
        assert_near(known.deviation, (32.0_f64 / 7.0).sqrt());
        assert_near(known.error(), (4.0_f64 / 7.0).sqrt());
        // numpy.mean(a), numpy.std(a, ddof=1), and the latter divided by numpy.sqrt(3)
        let a = sample(A[0]);
        assert_near(Some(a.mean), 40.666_666_666_666_664);
        assert_near(a.deviation, 1.096_965_511_460_289_9);
        assert_near(a.error(), 0.633_333_333_333_333_9);
    }

    #[test]
    fn one_value_has_no_spread() {
        let one = sample(&[40.0]);
        assert_eq!((one.n, one.mean, one.deviation, one.error()), (1, 40.0, None, None));
        assert_eq!(Sample::of(&[]), None);
        assert_eq!(over_splits(&[]), None);
        assert_eq!(over_splits(&[one]), Some(Estimate { value: 40.0, error: None }));
        assert_eq!(within_splits(&[one, one]), None);
        assert_eq!(difference(&[]), None);
        assert_eq!(difference(&[(one, sample(&[38.0]))]), Some(Estimate { value: 2.0, error: None }));
        // Equal values do have a spread, of 0.
        assert_eq!(sample(&[40.0, 40.0]).deviation, Some(0.0));
    }

    #[test]
    fn splits_count_the_same_and_give_the_error() {
        let estimate = over_splits(&samples(A)).unwrap();
        assert_near(Some(estimate.value), 40.972_222_222_222_22);
        assert_near(estimate.error, 1.207_704_178_479_170_4);
        // One split says nothing about others.
        assert_eq!(over_splits(&samples(A)[..1]).unwrap().error, None);
        assert_near(within_splits(&samples(A)), 0.999_166_319_154_790_4);
        // A split of one run has no say.
        assert_near(within_splits(&[sample(A[0]), sample(&[1.0])]), 1.096_965_511_460_289_9);
    }

    #[test]
    fn a_difference_has_the_error_of_the_seeds_or_else_of_the_splits() {
        let pairs: Vec<(Sample, Sample)> = samples(A).into_iter().zip(samples(B)).collect();
        let all = difference(&pairs).unwrap();
        assert_near(Some(all.value), 1.605_555_555_555_554_3);
        assert_near(all.error, 0.513_791_282_021_679_6);
        // numpy.sqrt(numpy.var(a, ddof=1) / 3 + numpy.var(b, ddof=1) / 3)
        assert_near(difference(&pairs[..1]).unwrap().error, 0.953_356_643_071_673);
        let singles = [(40.0, 38.0), (44.0, 41.0), (39.0, 38.0)].map(|(a, b)| (sample(&[a]), sample(&[b])));
        // Differences 2, 3, 1: deviation 1.
        let of_splits = difference(&singles).unwrap();
        assert_near(Some(of_splits.value), 2.0);
        assert_near(of_splits.error, 1.0 / 3.0_f64.sqrt());
    }
}
