//! The state of a run: everything in its checkpoint except for the tensors.

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
    /// Loss and accuracy on the test clips, or on the held-out clips if the run has some.
    pub test: Scored,
    /// Times of the training steps.
    pub train_seconds: Seconds,
    /// Times of the test batches.
    pub test_seconds: Seconds,
    /// Work of the decode threads in the training steps.
    #[serde(default, with = "decoding")]
    pub train_decode_seconds: Work,
    /// Work of the decode threads in the test pass.
    #[serde(default, with = "decoding")]
    pub test_decode_seconds: Work,
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
    /// Results of the complete epochs.
    pub history: Vec<EpochResult>,
    /// If held-out clips choose the best epoch: number of complete epochs at the test, and its
    /// result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<(usize, Scored)>,
}

impl State {
    /// Returns the epoch with the highest top-1 accuracy in `test`; among equals, the first.
    pub fn best(&self) -> Option<&EpochResult> {
        self.history.iter().reduce(|best, other| if other.test.top1 > best.test.top1 { other } else { best })
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

    /// Returns the state after epochs with these top-1 accuracies.
    pub(crate) fn state_of(top1: &[f64]) -> State {
        let result = |(epoch, &top1)| {
            let scored = Scored { loss: 0.1 + epoch as f64, top1, top5: 100.0 };
            let seconds = Seconds::default();
            EpochResult {
                epoch,
                lr: 0.01,
                train: scored,
                test: scored,
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
            history: top1.iter().enumerate().map(result).collect(),
            tested: None,
        }
    }
}
