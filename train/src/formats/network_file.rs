//! Files of one network: `best.safetensors` of a run, exported networks, and the network of a
//! checkpoint.

use super::flow_order::{FlowOrder, natural_order};
use super::network::{Described, Network, describe};
use super::safetensors_file::{self, MODEL_PREFIX};
use anyhow::{Context, Result, anyhow, bail};
use candle_convnet::{Arch, check_values};
use candle_core::Tensor;
use std::collections::HashMap;
use std::path::Path;
use ucfpack::console::escape;

/// Writes a network with torchvision's names. An older file is replaced only when the new one is
/// complete.
pub fn save(path: &Path, network: &Network, model: &[(String, Tensor)]) -> Result<()> {
    safetensors_file::write(
        path,
        model.iter().map(|(name, tensor)| (name.clone(), tensor)),
        &serde_json::to_string(network)?,
    )
}

/// Writes a network and records the order of its flow channels. The tensors of `model` must already
/// have that order.
pub fn save_in_order(path: &Path, network: &Network, order: FlowOrder, model: &[(String, Tensor)]) -> Result<()> {
    if order == FlowOrder::Natural {
        return save(path, network, model);
    }
    let mut metadata = serde_json::to_value(network)?;
    metadata["flow_order"] = serde_json::to_value(order)?;
    safetensors_file::write(path, model.iter().map(|(name, tensor)| (name.clone(), tensor)), &metadata.to_string())
}

/// Reads a network from `best.safetensors`, a checkpoint or an exported file. Flow channels get
/// their natural order.
///
/// # Errors
/// The file cannot be read, or its description or a value of its tensors is invalid.
pub fn load(path: &Path) -> Result<(Network, HashMap<String, Tensor>)> {
    let name = || path.display().to_string();
    let (metadata, mut tensors) = safetensors_file::read(path)?;
    let Described { network, order, is_checkpoint } =
        describe(&metadata).map_err(|e| anyhow!("{}: {}", name(), escape(&e.to_string())))?;
    if is_checkpoint {
        let of_model = |(name, tensor): (String, Tensor)| Some((name.strip_prefix(MODEL_PREFIX)?.to_owned(), tensor));
        tensors = tensors.into_iter().filter_map(of_model).collect();
    }
    let classes = network.classes.len();
    let arch: Arch = network.arch.parse().map_err(|e| anyhow!("{}: {e}", name()))?;
    let last = tensors.get(&format!("{}.weight", arch.last_layer()));
    let known = last.and_then(|weight| weight.dims().first().copied()).unwrap_or_default();
    if known != classes {
        bail!(
            "{}: the metadata has {classes} classes, but the last layer has {known}; restore or export the file again",
            name()
        );
    }
    check_values(path, &tensors)?;
    if order == FlowOrder::Rotated
        && let Some(first) = tensors.get_mut(arch.first_weights())
    {
        *first = natural_order(first).with_context(name)?;
    }
    Ok((network, tensors))
}
