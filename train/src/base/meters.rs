//! Means over an epoch, and the loss of a test pass.

use serde::{Deserialize, Serialize};

/// A weighted mean whose state can be stored and restored exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    #[serde(with = "crate::base::float")]
    sum: f64,
    #[serde(with = "crate::base::float")]
    count: f64,
}

impl Mean {
    /// Adds the mean value of `n` samples.
    pub fn add(&mut self, value: f64, n: usize) {
        self.sum += value * n as f64;
        self.count += n as f64;
    }

    /// Increases the last value by `more`, for a measurement that continues.
    pub fn go_on(&mut self, more: f64) {
        self.sum += more;
    }

    /// Returns the sum so far, with each value multiplied by its number of samples.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Returns the mean so far; 0 before the first value.
    pub fn get(&self) -> f64 {
        if self.count == 0.0 { 0.0 } else { self.sum / self.count }
    }
}

/// Loss and accuracies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Mean cross-entropy.
    #[serde(with = "crate::base::float")]
    pub loss: f64,
    /// Top-1 accuracy in percent.
    #[serde(with = "crate::base::float")]
    pub top1: f64,
    /// Top-5 accuracy in percent.
    #[serde(with = "crate::base::float")]
    pub top5: f64,
}

/// Returns the mean cross-entropy of rows of logits `[rows, classes]`. Computes in f64 and
/// subtracts the maximum of each row.
pub fn cross_entropy(logits: &[f32], classes: usize, labels: &[u32]) -> f64 {
    let row_loss = |(row, &label): (&[f32], &u32)| {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
        let sum: f64 = row.iter().map(|&x| (x as f64 - max).exp()).sum();
        sum.ln() + max - row[label as usize] as f64
    };
    logits.chunks_exact(classes).zip(labels).map(row_loss).sum::<f64>() / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_weighs_by_samples() {
        let mut mean = Mean::default();
        mean.add(1.0, 32);
        mean.add(4.0, 1);
        assert!((mean.get() - 36.0 / 33.0).abs() < 1e-15);
    }

    #[test]
    fn cross_entropy_equals_the_formula_and_survives_large_logits() {
        // torch.nn.functional.cross_entropy(torch.tensor([[1., 2, 3], [0, 0, 0]]), torch.tensor([0,
        // 2])) = 1.7531
        let loss = cross_entropy(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0], 3, &[0, 2]);
        assert!((loss - 1.753_109).abs() < 1e-6, "{loss}");
        assert!((cross_entropy(&[1e4, 0.0], 2, &[1]) - 1e4).abs() < 1e-9);
    }
}
