//! The whole state of a run in one safetensors file, so that it goes on as if it had never stopped: network, optimiser,
//! scheduler, place in the epoch, meters. And the network alone, as other programs read it.

use crate::input::Work;
use crate::meters::Mean;
use crate::plateau::Plateau;
use crate::settings::Deciding;
use crate::stream::Stream;
use crate::view::View;
use crate::whole_file::write_whole;
use anyhow::{Context, Result, anyhow, bail};
use candle_core::{DType, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// Key of the one metadata entry; its value is JSON. One key only: safetensors writes several in hash order.
const METADATA_KEY: &str = "ucftrain";
const MODEL: &str = "model.";
const MOMENTUM: &str = "momentum.";
const AVERAGE: &str = "average.";

/// What a network is, beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// The stream it reads.
    pub stream: Stream,
    /// resnet18 to resnet152.
    pub arch: String,
    /// Class names; a label is a place in this list.
    pub classes: Vec<String>,
    /// Side of its input in pixels.
    pub input_size: usize,
    /// The split that it was trained on.
    pub split: String,
    /// How it sees clips; none in files from before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

impl Network {
    /// How it sees clips.
    pub fn view(&self) -> View {
        self.view.unwrap_or(View::seed(self.stream))
    }
}

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
    #[serde(with = "crate::float")]
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
    #[serde(default)]
    pub train_decode_seconds: Work,
    /// The same of the test pass.
    #[serde(default)]
    pub test_decode_seconds: Work,
}

/// Loss and precisions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Mean cross-entropy.
    #[serde(with = "crate::float")]
    pub loss: f64,
    /// Percent.
    #[serde(with = "crate::float")]
    pub top1: f64,
    /// Percent.
    #[serde(with = "crate::float")]
    pub top5: f64,
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
    #[serde(default)]
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

/// No checkpoint is larger: a ResNet-152 with momentum and average has 700 MB.
const MOST_BYTES: u64 = 64 << 30;

/// Writes a checkpoint, whole or not at all.
pub fn save(path: &Path, state: &State, tensors: &Parts<&[(String, Tensor)]>) -> Result<()> {
    let Parts { model, momentum, average } = tensors;
    let parts = [(MODEL, model), (MOMENTUM, momentum), (AVERAGE, average)];
    let tensors = parts
        .iter()
        .flat_map(|(prefix, part)| part.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor)));
    write(path, tensors, &serde_json::to_string(state)?)
}

/// Writes the network alone, with torchvision's names, whole or not at all.
pub fn save_network(path: &Path, network: &Network, model: &[(String, Tensor)]) -> Result<()> {
    write(path, model.iter().map(|(name, tensor)| (name.clone(), tensor)), &serde_json::to_string(network)?)
}

fn write<'a>(path: &Path, tensors: impl Iterator<Item = (String, &'a Tensor)>, metadata: &str) -> Result<()> {
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    write_whole(path, &bytes)
}

/// Tensors of a checkpoint, by name.
#[derive(Clone, Debug, Default)]
pub struct Parts<T> {
    /// Network, by torchvision's names.
    pub model: T,
    /// Momentum, by the parameters' names.
    pub momentum: T,
    /// Running average of the network; empty where there is none.
    pub average: T,
}

impl Parts<&[(String, Tensor)]> {
    /// The first tensor with a value that is NaN or infinite.
    pub fn not_finite(&self) -> Result<Option<&str>> {
        for (name, tensor) in [self.model, self.momentum, self.average].into_iter().flatten() {
            let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            if !values.iter().all(|value| value.is_finite()) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Reads a checkpoint.
pub fn load(path: &Path) -> Result<(State, Parts<HashMap<String, Tensor>>)> {
    let (mut state, tensors): (State, HashMap<String, Tensor>) = read(path)?;
    state.network.view = Some(state.network.view());
    let mut parts = Parts::<HashMap<String, Tensor>>::default();
    for (name, tensor) in tensors {
        let (part, name) = if let Some(name) = name.strip_prefix(MODEL) {
            (&mut parts.model, name)
        } else if let Some(name) = name.strip_prefix(MOMENTUM) {
            (&mut parts.momentum, name)
        } else if let Some(name) = name.strip_prefix(AVERAGE) {
            (&mut parts.average, name)
        } else {
            bail!("{}: unknown tensor {name}; is it a checkpoint of ucftrain?", path.display());
        };
        part.insert(name.to_owned(), tensor);
    }
    Ok((state, parts))
}

/// Reads a network: `best.safetensors`, or the network of a checkpoint.
pub fn load_network(path: &Path) -> Result<(Network, HashMap<String, Tensor>)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Any {
        Checkpoint(Box<State>),
        Network(Network),
    }
    let (metadata, tensors): (Any, _) = read(path)?;
    Ok(match metadata {
        Any::Network(network) => (network, tensors),
        Any::Checkpoint(state) => {
            let of_model = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(MODEL)?.to_owned(), tensor));
            (state.network, tensors.into_iter().filter_map(of_model).collect())
        }
    })
}

/// No header of ours is larger: UCF101's checkpoints have 20 KB of it.
const MAX_HEADER_BYTES: u64 = 100 << 20;

/// The metadata of a checkpoint ([`State`]) or of `best.safetensors` ([`Network`]), without its tensors.
pub fn read_metadata<T: DeserializeOwned>(path: &Path) -> Result<T> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let name = || path.display().to_string();
    let header = || -> std::io::Result<Vec<u8>> {
        let mut file = clipshard::open_regular(path)?;
        let mut length = Vec::new();
        (&mut file).take(8).read_to_end(&mut length)?;
        // A shorter file has no header.
        let length = length.try_into().map_or(0, u64::from_le_bytes);
        let mut header = Vec::new();
        // What is really there is read, whatever length the file states.
        file.take(length.min(MAX_HEADER_BYTES)).read_to_end(&mut header)?;
        Ok(header)
    };
    let header = header().with_context(|| format!("{}: cannot read it", name()))?;
    let header: Header =
        serde_json::from_slice(&header).with_context(|| format!("{}: not a safetensors file of ucftrain", name()))?;
    let Some(metadata) = header.metadata.get(METADATA_KEY) else {
        bail!("{}: not written by ucftrain (it has no {METADATA_KEY:?} entry)", name());
    };
    serde_json::from_str(metadata).with_context(|| format!("{}: unreadable state", name()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, HashMap<String, Tensor>)> {
    let name = || path.display().to_string();
    let bytes = clipshard::read_regular(path, MOST_BYTES).with_context(|| format!("{}: cannot read it", name()))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
        .map_err(|e| anyhow!("{}: not a whole safetensors file ({e}); restore it or start the run again", name()))?;
    let metadata = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let Some(metadata) = metadata else {
        bail!("{}: not written by ucftrain (it has no {METADATA_KEY:?} entry)", name());
    };
    let metadata = serde_json::from_str(metadata).with_context(|| format!("{}: unreadable state", name()))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &candle_core::Device::Cpu)
        .with_context(|| format!("{}: unreadable tensors", name()))?;
    Ok((metadata, tensors))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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

    #[test]
    fn a_state_with_numbers_that_are_none_is_read_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("checkpoint.safetensors");
        let mut state = state_of(&[10.0, 20.0]);
        state.history[0].test.loss = f64::INFINITY;
        state.history[1].train = Scored { loss: f64::NEG_INFINITY, top1: 1.0, top5: 2.0 };
        state.meters.loss.add(f64::INFINITY, 3);
        state.seconds.batch.add(f64::INFINITY, 1);
        state.plateau = Plateau { lr: 1e-3, best: Some(f64::INFINITY), bad_epochs: 1 };
        state.decode_seconds.busy = f64::INFINITY;
        state.tested = Some((2, Scored { loss: f64::INFINITY, top1: 0.0, top5: 0.0 }));
        save(&path, &state, &Parts::default()).unwrap();
        assert_eq!(load(&path).unwrap().0, state);
        assert_eq!(load_network(&path).unwrap().0, state.network);
        assert_eq!(read_metadata::<State>(&path).unwrap(), state);

        // A NaN is not equal to itself: the texts are compared.
        state.history[0].test.loss = f64::NAN;
        state.plateau.lr = f64::NAN;
        save(&path, &state, &Parts::default()).unwrap();
        assert_eq!(serde_json::to_string(&load(&path).unwrap().0).unwrap(), serde_json::to_string(&state).unwrap());
    }

    #[test]
    fn values_that_are_not_finite_are_found_by_name() {
        let tensor = |value: f32| Tensor::new(&[0.0, value], &candle_core::Device::Cpu).unwrap();
        let (good, bad) =
            ([("a".to_owned(), tensor(1.0))], [("a".to_owned(), tensor(1.0)), ("b".to_owned(), tensor(f32::NAN))]);
        let parts = |momentum| Parts { model: &good[..], momentum, average: &[] };
        assert_eq!(parts(&good).not_finite().unwrap(), None);
        assert_eq!(parts(&bad).not_finite().unwrap(), Some("b"));
    }
}
