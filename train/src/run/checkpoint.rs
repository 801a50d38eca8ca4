//! The whole state of a run in one safetensors file, so that it goes on as if it had never stopped: network, optimiser,
//! scheduler, place in the epoch, meters. And the network alone, as other programs read it.

use crate::base::meters::Mean;
use crate::base::whole_file::write_whole;
use crate::cli::exchange::{FlowOrder, natural_order};
use crate::formats::metadata::{Described, describe};
use crate::input::Work;
use crate::settings::Deciding;
use crate::stream::Stream;
use crate::training::plateau::Plateau;
use crate::view::View;
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::check_values;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use ucfpack::console::escape;

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
    #[serde(with = "crate::base::float")]
    pub loss: f64,
    /// Percent.
    #[serde(with = "crate::base::float")]
    pub top1: f64,
    /// Percent.
    #[serde(with = "crate::base::float")]
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

/// The same of a network that goes out with its flow channels in another order.
pub(crate) fn save_in_order(
    path: &Path,
    network: &Network,
    order: FlowOrder,
    model: &[(String, Tensor)],
) -> Result<()> {
    if order == FlowOrder::Natural {
        return save_network(path, network, model);
    }
    let mut metadata = serde_json::to_value(network)?;
    metadata["flow_order"] = serde_json::to_value(order)?;
    write(path, model.iter().map(|(name, tensor)| (name.clone(), tensor)), &metadata.to_string())
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

/// Reads a network: `best.safetensors`, the network of a checkpoint, or an exported one, whose flow channels are turned into
/// their natural order. What the file says of it is checked, and so are its numbers.
pub fn load_network(path: &Path) -> Result<(Network, HashMap<String, Tensor>)> {
    let name = || path.display().to_string();
    let (metadata, mut tensors) = read_parts(path)?;
    let Described { network, order, is_checkpoint } =
        describe(&metadata).map_err(|e| anyhow!("{}: {}", name(), escape(&e)))?;
    if is_checkpoint {
        let of_model = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(MODEL)?.to_owned(), tensor));
        tensors = tensors.into_iter().filter_map(of_model).collect();
    }
    let classes = network.classes.len();
    let known = tensors.get("fc.weight").and_then(|fc| fc.dims().first().copied()).unwrap_or_default();
    if known != classes {
        bail!("{}: classes: {classes} names, but the last layer has {known}", name());
    }
    check_values(path, &tensors)?;
    if order == FlowOrder::Rotated
        && let Some(conv1) = tensors.get_mut("conv1.weight")
    {
        *conv1 = natural_order(conv1).with_context(name)?;
    }
    Ok((network, tensors))
}

/// What a file of ours says of its network, as it stands there; none in other files.
pub(crate) fn metadata_of(path: &Path) -> Option<String> {
    header_of(path).ok()?.metadata.remove(METADATA_KEY)
}

/// No file of ours is larger: a ResNet-152 with its momentum and running average takes 0.7 GB.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// No header of ours is larger: UCF101's checkpoints have 20 KB of it.
const MAX_HEADER_BYTES: u64 = 100 << 20;

/// The metadata of a checkpoint ([`State`]) or of `best.safetensors` ([`Network`]), without its tensors.
pub fn read_metadata<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let name = || path.display().to_string();
    let header = header_of(path)?;
    let Some(metadata) = header.metadata.get(METADATA_KEY) else {
        bail!("{}: not written by ucftrain (it has no {METADATA_KEY:?} entry)", name());
    };
    serde_json::from_str(metadata).with_context(|| format!("{}: unreadable state", name()))
}

/// The part of a safetensors header that is not about tensors.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: HashMap<String, String>,
}

fn header_of(path: &Path) -> Result<Header> {
    let name = || path.display().to_string();
    let header = || -> std::io::Result<Vec<u8>> {
        let mut file = clipshard::open_regular(path)?;
        let mut start = Vec::new();
        (&mut file).take(9).read_to_end(&mut start)?;
        // A length, and the JSON text of so many bytes.
        let Some((&length, b"{")) = start.split_first_chunk::<8>() else {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not a safetensors file"));
        };
        let (length, mut header) = (u64::from_le_bytes(length), b"{".to_vec());
        // What is really there is read, whatever length the file states.
        file.take(length.min(MAX_HEADER_BYTES).saturating_sub(1)).read_to_end(&mut header)?;
        Ok(header)
    };
    let header = header().with_context(|| format!("{}: cannot read it", name()))?;
    serde_json::from_slice(&header).with_context(|| format!("{}: not a safetensors file of ucftrain", name()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, HashMap<String, Tensor>)> {
    let (metadata, tensors) = read_parts(path)?;
    let metadata = serde_json::from_str(&metadata).with_context(|| format!("{}: unreadable state", path.display()))?;
    Ok((metadata, tensors))
}

/// The metadata of a file and its floating-point tensors.
fn read_parts(path: &Path) -> Result<(String, HashMap<String, Tensor>)> {
    let name = || path.display().to_string();
    let bytes = clipshard::read_regular(path, MAX_FILE_BYTES).with_context(|| format!("{}: cannot read it", name()))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes)
        .map_err(|e| anyhow!("{}: not a whole safetensors file ({e}); restore it or start the run again", name()))?;
    let metadata = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let Some(metadata) = metadata else {
        bail!("{}: not written by ucftrain (it has no {METADATA_KEY:?} entry)", name());
    };
    let metadata = metadata.clone();
    let file = safetensors::SafeTensors::deserialize(&bytes).map_err(|e| anyhow!("{}: {e}", name()))?;
    let mut tensors = HashMap::new();
    for (tensor, view) in file.iter() {
        // Types that others may have added, such as truth values, are passed over.
        if matches!(view.dtype(), Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64) {
            let loaded = view.load(&Device::Cpu).with_context(|| format!("{}: unreadable tensors", name()))?;
            tensors.insert(tensor.to_owned(), loaded);
        }
    }
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
        let layer = [("fc.weight".to_owned(), Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap())];
        save(&path, &state, &Parts { model: &layer, ..Parts::default() }).unwrap();
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
        let tensor = |value: f32| Tensor::new(&[0.0, value], &Device::Cpu).unwrap();
        let (good, bad) =
            ([("a".to_owned(), tensor(1.0))], [("a".to_owned(), tensor(1.0)), ("b".to_owned(), tensor(f32::NAN))]);
        let parts = |momentum| Parts { model: &good[..], momentum, average: &[] };
        assert_eq!(parts(&good).not_finite().unwrap(), None);
        assert_eq!(parts(&bad).not_finite().unwrap(), Some("b"));
    }
}
