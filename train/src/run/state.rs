//! The state of a run: everything in its checkpoint except for the tensors.

use crate::base::best_by::BestBy;
use crate::base::meters::{Mean, Scored};
use crate::formats::network::Network;
use crate::schedule::plateau::Plateau;
use crate::settings::Deciding;
use clip_loader::Work;
use serde::{Deserialize, Serialize};

/// The next step of a run. If `step` is the number of steps of an epoch, the test pass comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step in the epoch, from 0.
    pub step: usize,
    /// Steps of the whole run so far.
    pub steps_done: u64,
}

/// Meters of the training steps of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainMeters {
    /// Mean loss.
    pub loss: Mean,
    /// Top-1 accuracy in percent.
    pub top1: Mean,
    /// Top-5 accuracy in percent.
    pub top5: Mean,
}

/// Mean times of steps in seconds: with the work of the threads, the only part of the state that
/// differs between repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Time of a step or test batch.
    pub batch: Mean,
    /// Time of waiting for pixels in it.
    pub data: Mean,
    /// Time of waiting for the copy of pixels to the device in it.
    #[serde(default)]
    pub copy: Mean,
}

/// The result of a test pass after an epoch, on the clips that choose the best epoch. In JSON, its
/// key is the name of the subset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evaluated {
    /// The result on the val clips.
    Val(Scored),
    /// The result on the test clips of a run without val clips.
    Test(Scored),
}

impl Evaluated {
    /// Returns loss and accuracy.
    pub fn scored(&self) -> Scored {
        match *self {
            Self::Val(scored) | Self::Test(scored) => scored,
        }
    }

    /// Returns the name of the subset.
    pub fn subset(&self) -> &'static str {
        match self {
            Self::Val(_) => "val",
            Self::Test(_) => "test",
        }
    }
}

/// The result of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochResult {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Learning rate of the first step.
    #[serde(with = "crate::base::float")]
    pub lr: f64,
    /// Loss and accuracy on the training batches, in training mode.
    pub train: Scored,
    /// Loss and accuracy on the clips that choose the best epoch.
    #[serde(flatten)]
    pub eval: Evaluated,
    /// Times of the training steps.
    pub train_seconds: Seconds,
    /// Times of the batches of the test pass.
    pub test_seconds: Seconds,
    /// Work of the decode threads in the training steps.
    #[serde(default, with = "decoding")]
    pub train_decode_seconds: Work,
    /// Work of the decode threads in the test pass.
    #[serde(default, with = "decoding")]
    pub test_decode_seconds: Work,
}

impl EpochResult {
    /// Returns whether the network of this epoch is better than that of an earlier one.
    pub fn is_better_than(&self, earlier: &Self, by: BestBy) -> bool {
        by.prefers(self.eval.scored(), earlier.eval.scored())
    }
}

/// The state of a run, without tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Description of the network.
    pub network: Network,
    /// Settings that decide the result, with which a resumed run must agree; none in checkpoints of
    /// old versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Deciding>,
    /// CRC-32 of the manifest, with which a resumed run must agree.
    pub manifest_crc32: u32,
    /// Next step.
    pub cursor: Cursor,
    /// Base learning rate and the state of its reduction on plateaus.
    pub plateau: Plateau,
    /// Meters of the current epoch.
    pub meters: TrainMeters,
    /// Times of the current epoch.
    pub seconds: Seconds,
    /// Work of the decode threads in the current epoch.
    #[serde(default, with = "decoding")]
    pub decode_seconds: Work,
    /// Number of damaged samples that were replaced so far, in training and test passes.
    #[serde(default)]
    pub damaged: u64,
    /// Rule that chooses the best epoch.
    #[serde(default)]
    pub best_by: BestBy,
    /// Results of the complete epochs.
    pub history: Vec<EpochResult>,
    /// If val clips choose the best epoch: number of complete epochs at the last test on the test
    /// clips, and its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<(usize, Scored)>,
}

impl State {
    /// Returns the best epoch.
    pub fn best(&self) -> Option<&EpochResult> {
        self.history.iter().reduce(|best, other| if other.is_better_than(best, self.best_by) { other } else { best })
    }

    /// Returns the result of the best epoch's network on the test clips. Returns none if val clips
    /// choose the best epoch, and its network has not been tested yet.
    pub fn test(&self) -> Option<Scored> {
        let best = self.best()?;
        match best.eval {
            Evaluated::Test(scored) => Some(scored),
            // A later best epoch makes an earlier test stale.
            Evaluated::Val(_) => self.tested.filter(|&(epochs, _)| best.epoch < epochs).map(|(_, test)| test),
        }
    }
}

/// Serialisation of the work of decode threads, including numbers that JSON does not have.
mod decoding {
    use clip_loader::Work;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Seconds {
        #[serde(with = "crate::base::float")]
        busy: f64,
        #[serde(with = "crate::base::float")]
        computing: f64,
        #[serde(with = "crate::base::float")]
        there: f64,
    }

    pub fn serialize<S: Serializer>(work: &Work, serializer: S) -> Result<S::Ok, S::Error> {
        let Work { busy, computing, there, .. } = *work;
        Seconds { busy, computing, there }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Work, D::Error> {
        let Seconds { busy, computing, there } = Seconds::deserialize(deserializer)?;
        Ok(Work::new(busy, computing, there))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::stream::Stream;
    use crate::view::View;

    /// Returns the state after epochs with these top-1 accuracies on test clips.
    pub(crate) fn state_of(top1: &[f64]) -> State {
        let result = |(epoch, &top1)| {
            let scored = Scored { loss: 0.1 + epoch as f64, top1, top5: 100.0 };
            let seconds = Seconds::default();
            EpochResult {
                epoch,
                lr: 0.01,
                train: scored,
                eval: Evaluated::Test(scored),
                train_seconds: seconds,
                test_seconds: seconds,
                train_decode_seconds: Work::default(),
                test_decode_seconds: Work::default(),
            }
        };
        State {
            network: Network {
                stream: Stream::Spatial,
                arch: "resnet18".into(),
                classes: vec!["a".into(), "b".into()],
                input_size: 32,
                split: "1".into(),
                view: Some(View::seed(Stream::Spatial)),
            },
            settings: None,
            manifest_crc32: 0,
            cursor: Cursor { epoch: top1.len(), step: 0, steps_done: 0 },
            plateau: Plateau::new(0.01),
            meters: TrainMeters::default(),
            seconds: Seconds::default(),
            decode_seconds: Work::default(),
            damaged: 0,
            best_by: BestBy::Top1,
            history: top1.iter().enumerate().map(result).collect(),
            tested: None,
        }
    }

    #[test]
    fn each_rule_chooses_its_epoch() {
        // Losses: 0.1, 1.1, 2.1.
        let mut state = state_of(&[10.0, 30.0, 20.0]);
        state.history[1].eval = Evaluated::Test(Scored { loss: 0.05, top1: 15.0, top5: 50.0 });
        state.history[0].eval = Evaluated::Test(Scored { loss: 3.0, top1: 20.0, top5: 50.0 });
        for (by, epoch) in [(BestBy::Top1, 0), (BestBy::Loss, 1), (BestBy::Last, 2)] {
            state.best_by = by;
            assert_eq!(state.best().map(|best| best.epoch), Some(epoch), "{by:?}");
        }
    }

    #[test]
    fn a_test_counts_until_a_later_epoch_is_better() {
        let mut state = state_of(&[10.0, 30.0]);
        assert_eq!(state.test(), Some(state.history[1].eval.scored()), "the test clips choose");
        let on_val = |state: &mut State| {
            state.history.iter_mut().for_each(|result| result.eval = Evaluated::Val(result.eval.scored()));
        };
        on_val(&mut state);
        assert_eq!(state.test(), None);
        let test = Scored { loss: 2.0, top1: 55.0, top5: 66.0 };
        state.tested = Some((2, test));
        assert_eq!(state.test(), Some(test));
        let mut longer = state_of(&[10.0, 30.0, 30.0]);
        on_val(&mut longer);
        longer.tested = Some((2, test));
        assert_eq!(longer.test(), Some(test), "epoch 1 is still the best");
        longer.history[2].eval = Evaluated::Val(Scored { top1: 30.5, ..test });
        assert_eq!(longer.test(), None);
    }

    #[test]
    fn the_result_of_an_epoch_names_its_subset() {
        let mut result = state_of(&[10.0]).history[0];
        for (eval, key) in [(Evaluated::Val as fn(Scored) -> Evaluated, "val"), (Evaluated::Test, "test")] {
            result.eval = eval(Scored { loss: f64::NAN, top1: 10.0, top5: 20.0 });
            let json = serde_json::to_value(result).unwrap();
            assert_eq!(json[key], serde_json::json!({ "loss": "NaN", "top1": 10.0, "top5": 20.0 }));
            let read: EpochResult = serde_json::from_value(json).unwrap();
            assert_eq!((read.eval.subset(), read.eval.scored().top5), (key, 20.0));
        }
    }
}
