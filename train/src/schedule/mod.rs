//! Schedules of the learning rate.

pub mod plateau;

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// A schedule of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Divide by 10 when the loss on the val clips (or test clips) stops falling
    Plateau,
    /// Lower step by step to 0 along half a cosine (Loshchilov and Hutter 2017)
    Cosine,
    /// Divide by 10 at each of --milestones
    Steps,
}

/// Position of a step within a run, in fractional epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Position before the step.
    pub now: f64,
    /// Position after the step.
    pub next: f64,
    /// Position after the last step of the run.
    pub end: f64,
}

impl Schedule {
    /// Returns the learning rate of a step. It rises linearly to `lr` during the first `warm_up`
    /// epochs (Goyal et al. 2017). For `Plateau`, `lr` is the rate that the plateau scheduler has
    /// reached. `milestones` are epochs.
    pub fn rate(self, lr: f64, warm_up: f64, milestones: &[f64], place: Place) -> f64 {
        if place.now < warm_up {
            return lr * (place.next / warm_up).min(1.0);
        }
        match self {
            Self::Plateau => lr,
            Self::Steps => {
                let passed = milestones.iter().filter(|&&epoch| epoch <= place.now).count();
                lr * 0.1_f64.powi(passed as i32)
            }
            Self::Cosine => lr * 0.5 * (1.0 + (PI * (place.now - warm_up) / (place.end - warm_up)).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_falls_from_the_full_rate_after_the_warm_up_to_zero() {
        let rate = |now| Schedule::Cosine.rate(0.1, 2.0, &[], Place { now, next: now + 0.25, end: 10.0 });
        let found = [0.0, 1.0, 1.75, 2.0, 4.0, 6.0, 10.0].map(rate);
        let expected = [0.0125, 0.0625, 0.1, 0.1, 0.085_355_339, 0.05, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn a_plateau_keeps_its_rate_after_the_warm_up() {
        let rate = |now| Schedule::Plateau.rate(0.1, 0.5, &[], Place { now, next: now + 0.25, end: 10.0 });
        for (now, expected) in [(0.0, 0.05), (0.25, 0.1), (0.5, 0.1), (9.0, 0.1)] {
            assert!((rate(now) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn steps_divide_the_rate_by_ten_at_each_milestone() {
        let rate = |now| Schedule::Steps.rate(0.1, 0.0, &[2.0, 3.5], Place { now, next: now + 0.25, end: 10.0 });
        for (now, expected) in [(0.0, 0.1), (1.75, 0.1), (2.0, 0.01), (3.25, 0.01), (3.5, 0.001), (9.0, 0.001)] {
            assert!((rate(now) - expected).abs() < 1e-12);
        }
    }
}
