//! Lowers the learning rate when the loss stops falling: PyTorch's `ReduceLROnPlateau` with the
//! parameters of the reference run (mode min, factor 0.1, patience 1, relative threshold 1e-4, eps
//! 1e-8, no lower bound).

use serde::{Deserialize, Serialize};

const FACTOR: f64 = 0.1;
const PATIENCE: u32 = 1;
const THRESHOLD: f64 = 1e-4;
const EPS: f64 = 1e-8;

/// The scheduler with all of its state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// Learning rate of the next step.
    #[serde(with = "crate::base::float")]
    pub lr: f64,
    /// Lowest loss so far; `None` before the first epoch.
    #[serde(with = "crate::base::float::option")]
    pub best: Option<f64>,
    /// Number of epochs without a better loss.
    pub bad_epochs: u32,
}

impl Plateau {
    /// Creates a scheduler with the initial learning rate `lr`.
    pub const fn new(lr: f64) -> Self {
        Self { lr, best: None, bad_epochs: 0 }
    }

    /// Updates the learning rate with the loss of an epoch. NaN counts as a bad epoch, as in
    /// PyTorch.
    pub fn step(&mut self, loss: f64) {
        let is_better = match self.best {
            None => !loss.is_nan(),
            Some(best) => loss < best * (1.0 - THRESHOLD),
        };
        if is_better {
            self.best = Some(loss);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.bad_epochs > PATIENCE {
            self.bad_epochs = 0;
            let lr = self.lr * FACTOR;
            if self.lr - lr > EPS {
                self.lr = lr;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the learning rate of each epoch, given the loss after each.
    fn rates(lr: f64, losses: &[f64]) -> Vec<f64> {
        let mut plateau = Plateau::new(lr);
        let step = |&loss: &f64| {
            let used = plateau.lr;
            plateau.step(loss);
            used
        };
        losses.iter().map(step).collect()
    }

    fn assert_rates(found: &[f64], expected: &[(f64, usize)]) {
        let expected: Vec<f64> = expected.iter().flat_map(|&(lr, n)| std::iter::repeat_n(lr, n)).collect();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-9, "{found}, expected {expected}");
        }
    }

    #[test]
    fn spatial_losses_of_the_reference_run_give_its_learning_rates() {
        let losses = [
            4.49144, 4.11913, 4.22929, 4.04706, 4.22076, 4.30669, 4.29028, 4.31007, 4.38705, 4.24382, 3.84677, 4.35221,
            4.19985, 4.41117, 4.06631, 4.08131, 4.42937,
        ];
        let expected = [(5e-4, 6), (5e-5, 2), (5e-6, 2), (5e-7, 3), (5e-8, 2), (5e-9, 2)];
        assert_rates(&rates(5e-4, &losses), &expected);
    }

    #[test]
    fn temporal_losses_of_the_reference_run_give_its_learning_rates() {
        let losses = [
            35.49867, 28.79473, 19.64432, 25.62677, 22.80713, 9.09272, 8.79861, 8.58299, 9.54057, 8.18187, 8.09869,
            9.50485, 8.69121, 7.98859, 12.74476, 7.88793, 8.51134, 8.26809, 8.27614, 13.62396,
        ];
        assert_rates(&rates(1e-2, &losses), &[(1e-2, 5), (1e-3, 8), (1e-4, 5), (1e-5, 2)]);
    }

    #[test]
    fn the_rate_stays_when_the_change_would_be_below_eps() {
        assert_rates(&rates(5e-9, &[1.0; 6]), &[(5e-9, 6)]);
    }
}
