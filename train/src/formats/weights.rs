//! Weights from PyTorch in each of its formats, and from files of ucftrain.

use super::{network_file, safetensors_file};
use anyhow::Result;
use candle_convnet::read_weights;
use candle_core::Tensor;
use std::collections::HashMap;
use std::path::Path;

/// Reads all floating-point tensors of a safetensors or `.pth` file to the CPU, by name. From a
/// file of ucftrain it reads only the network's tensors, with flow channels in natural order.
///
/// # Errors
/// The file cannot be read, or has an unknown format.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    if safetensors_file::metadata_of(path).is_some() {
        return Ok(network_file::load(path)?.1);
    }
    Ok(read_weights(path)?)
}
