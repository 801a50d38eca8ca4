//! Where a run is: everything that its checkpoint holds but tensors.

use crate::base::meters::{Mean, Scored};
use crate::formats::network::Network;
use crate::schedule::plateau::Plateau;
use crate::settings::Deciding;
use clip_loader::Work;
use serde::{Deserialize, Serialize};

/// Place in the run: the next step of an epoch. A step that is the number of steps means that the test pass comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step in the epoch, from 0.
    pub step: usize,
    /// Steps of the whole run so far.
    pub steps_done: u64,
}

/// Train meters of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainMeters {
    /// Loss.
    pub loss: Mean,
    /// Percentage of clips whose class came first.
    pub top1: Mean,
    /// Percentage of clips whose class was among the first five.
    pub top5: Mean,
}

/// Seconds, the only part of the state that is not the same in every repetition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// A step (or a test batch), mean.
    pub batch: Mean,
    /// Waiting for pixels in it, mean.
    pub data: Mean,
    /// Bringing pixels to the device, as far as the step waited for it, mean.
    #[serde(default)]
    pub copy: Mean,
}

/// Result of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochResult {
    /// Epoch, from 0.
    pub epoch: usize,
    /// Learning rate of its steps.
    #[serde(with = "crate::base::float")]
    pub lr: f64,
    /// On the training batches, in training mode.
    pub train: Scored,
    /// On the test clips, or those that are held out in their place.
    pub test: Scored,
    /// Times of the training steps.
    pub train_seconds: Seconds,
    /// Times of the test batches.
    pub test_seconds: Seconds,
    /// What the decode threads did in the training steps.
    #[serde(default, with = "decoding")]
    pub train_decode_seconds: Work,
    /// The same of the test pass.
    #[serde(default, with = "decoding")]
    pub test_decode_seconds: Work,
}

/// Everything but tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What the network is.
    pub network: Network,
    /// The settings that decide its result, so that it goes on with no others; none in files from before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Deciding>,
    /// CRC-32 of the manifest that the run reads, so that it does not go on with other data.
    pub manifest_crc32: u32,
    /// Where the run is.
    pub cursor: Cursor,
    /// Learning rate and what decides it.
    pub plateau: Plateau,
    /// Meters of the epoch that is under way.
    pub meters: TrainMeters,
    /// Times of the epoch that is under way.
    pub seconds: Seconds,
    /// What its decode threads did.
    #[serde(default, with = "decoding")]
    pub decode_seconds: Work,
    /// Damaged samples that were replaced so far, in training and test passes.
    #[serde(default)]
    pub damaged: u64,
    /// Epochs that are over.
    pub history: Vec<EpochResult>,
    /// Where held-out clips chose the best epoch: how many epochs were over when the test clips were seen, and the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<(usize, Scored)>,
}

impl State {
    /// The epoch with the highest test top-1, the first among equals.
    pub fn best(&self) -> Option<&EpochResult> {
        self.history.iter().reduce(|best, other| if other.test.top1 > best.test.top1 { other } else { best })
    }
}

/// The work of decode threads, with numbers that JSON does not have.
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

    /// A state behind epochs with these top-1 precisions.
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
