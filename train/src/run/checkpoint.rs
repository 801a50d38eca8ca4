//! Checkpoints: the whole state of a run in one safetensors file (network, optimiser, scheduler,
//! place in the epoch, meters). A run that continues from a checkpoint gets the same results as one
//! that never stopped.

use super::state::State;
use crate::base::replace_file::replace_file;
use crate::formats::safetensors_file::{self, MODEL_PREFIX};
use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use std::collections::HashMap;
use std::path::Path;

const MOMENTUM: &str = "momentum.";
const AVERAGE: &str = "average.";

/// Writes a checkpoint. An older one at `path` is replaced only when the new one is complete.
pub fn save(path: &Path, state: &State, tensors: &Parts<&[(String, Tensor)]>) -> Result<()> {
    replace_file(path, &to_bytes(state, tensors).with_context(|| path.display().to_string())?)
}

/// Returns the bytes of a checkpoint.
pub fn to_bytes(state: &State, tensors: &Parts<&[(String, Tensor)]>) -> Result<Vec<u8>> {
    let Parts { model, momentum, average } = tensors;
    let parts = [(MODEL_PREFIX, model), (MOMENTUM, momentum), (AVERAGE, average)];
    let tensors = parts
        .iter()
        .flat_map(|(prefix, part)| part.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor)));
    safetensors_file::to_bytes(tensors, &serde_json::to_string(state)?)
}

/// The tensors of a checkpoint, by name.
#[derive(Clone, Debug, Default)]
pub struct Parts<T> {
    /// Tensors of the network, with torchvision's names.
    pub model: T,
    /// Momentum of the optimiser, with the parameters' names.
    pub momentum: T,
    /// Average of the network's weights; empty if the run has none yet.
    pub average: T,
}

impl Parts<&[(String, Tensor)]> {
    /// Returns the name of the first tensor with a value that is NaN or infinite.
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
///
/// # Errors
/// The file cannot be read, or is not a checkpoint of ucftrain.
pub fn load(path: &Path) -> Result<(State, Parts<HashMap<String, Tensor>>)> {
    of_file(safetensors_file::read(path)?, &path.display().to_string())
}

/// Returns the checkpoint that [`to_bytes`] wrote. Errors call it `name`.
pub fn from_bytes(bytes: &[u8], name: &str) -> Result<(State, Parts<HashMap<String, Tensor>>)> {
    of_file(safetensors_file::parse(bytes, name)?, name)
}

fn of_file(
    (metadata, tensors): (String, HashMap<String, Tensor>),
    file: &str,
) -> Result<(State, Parts<HashMap<String, Tensor>>)> {
    let mut state: State =
        serde_json::from_str(&metadata).with_context(|| format!("{file}: invalid training state"))?;
    state.network.view = Some(state.network.view());
    let mut parts = Parts::<HashMap<String, Tensor>>::default();
    for (name, tensor) in tensors {
        let (part, name) = if let Some(name) = name.strip_prefix(MODEL_PREFIX) {
            (&mut parts.model, name)
        } else if let Some(name) = name.strip_prefix(MOMENTUM) {
            (&mut parts.momentum, name)
        } else if let Some(name) = name.strip_prefix(AVERAGE) {
            (&mut parts.average, name)
        } else {
            bail!("{file}: unknown tensor {name}; use a checkpoint that ucftrain wrote");
        };
        part.insert(name.to_owned(), tensor);
    }
    Ok((state, parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::meters::Scored;
    use crate::formats::network_file;
    use crate::run::state::Evaluated;
    use crate::run::state::tests::state_of;
    use crate::schedule::plateau::Plateau;
    use candle_core::Device;

    #[test]
    fn a_state_with_numbers_that_are_none_is_read_as_it_was_written() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("checkpoint.safetensors");
        let mut state = state_of(&[10.0, 20.0]);
        state.history[0].eval = Evaluated::Val(Scored { loss: f64::INFINITY, top1: 10.0, top5: 100.0 });
        state.history[1].train = Scored { loss: f64::NEG_INFINITY, top1: 1.0, top5: 2.0 };
        state.meters.loss.add(f64::INFINITY, 3);
        state.seconds.batch.add(f64::INFINITY, 1);
        state.plateau = Plateau { lr: 1e-3, best: Some(f64::INFINITY), bad_epochs: 1 };
        state.decode_seconds.busy = f64::INFINITY;
        state.tested = Some((2, Scored { loss: f64::INFINITY, top1: 0.0, top5: 0.0 }));
        let layer = [("fc.weight".to_owned(), Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap())];
        save(&path, &state, &Parts { model: &layer, ..Parts::default() }).unwrap();
        assert_eq!(load(&path).unwrap().0, state);
        assert_eq!(network_file::load(&path).unwrap().0, state.network);
        assert_eq!(safetensors_file::read_metadata::<State>(&path).unwrap(), state);

        // A NaN is not equal to itself: the texts are compared.
        state.history[0].eval = Evaluated::Test(Scored { loss: f64::NAN, top1: 10.0, top5: 100.0 });
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
