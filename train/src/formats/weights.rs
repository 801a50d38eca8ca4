//! Weights of PyTorch's, in each of its formats.

use super::{network_file, safetensors_file};
use anyhow::Result;
use candle_convnet::read_weights;
use candle_core::Tensor;
use std::collections::HashMap;
use std::path::Path;

/// All floating-point tensors of a safetensors file or of a `.pth` of any age, by name, on the CPU. Of a file of this program
/// they are the network's alone, with flow channels in their natural order.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    if safetensors_file::metadata_of(path).is_some() {
        return Ok(network_file::load(path)?.1);
    }
    Ok(read_weights(path)?)
}
