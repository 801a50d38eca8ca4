//! How the learning rate rises and falls.

pub mod plateau;

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// To a tenth when the test loss no longer falls
    Plateau,
    /// Along half a cosine to 0, step by step (Loshchilov and Hutter 2017)
    Cosine,
    /// To a tenth at each of --milestones
    Steps,
}

/// Where a run is, in epochs; parts count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Before the step that is to be taken.
    pub now: f64,
    /// Behind that step.
    pub next: f64,
    /// Behind the last one.
    pub end: f64,
}

impl Schedule {
    /// The learning rate of a step. `lr` is that behind the warm-up, for `Plateau` the one that it has fallen to by now; over the
    /// first `warm_up` epochs it rises to that in a straight line (Goyal et al. 2017). `milestones` are epochs too.
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
    fn a_cosine_falls_from_the_whole_rate_behind_the_warm_up_to_nothing() {
        let rate = |now| Schedule::Cosine.rate(0.1, 2.0, &[], Place { now, next: now + 0.25, end: 10.0 });
        let found = [0.0, 1.0, 1.75, 2.0, 4.0, 6.0, 10.0].map(rate);
        let expected = [0.0125, 0.0625, 0.1, 0.1, 0.085_355_339, 0.05, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    #[test]
    fn a_plateau_keeps_its_rate_behind_the_warm_up() {
        let rate = |now| Schedule::Plateau.rate(0.1, 0.5, &[], Place { now, next: now + 0.25, end: 10.0 });
        for (now, expected) in [(0.0, 0.05), (0.25, 0.1), (0.5, 0.1), (9.0, 0.1)] {
            assert!((rate(now) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn steps_fall_to_a_tenth_at_each_milestone() {
        let rate = |now| Schedule::Steps.rate(0.1, 0.0, &[2.0, 3.5], Place { now, next: now + 0.25, end: 10.0 });
        for (now, expected) in [(0.0, 0.1), (1.75, 0.1), (2.0, 0.01), (3.25, 0.01), (3.5, 0.001), (9.0, 0.001)] {
            assert!((rate(now) - expected).abs() < 1e-12);
        }
    }
}
