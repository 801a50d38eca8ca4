//! Weights of PyTorch's, in each of its formats.

use anyhow::Result;
use candle_convnet::read_weights;
use candle_core::Tensor;
use std::collections::HashMap;
use std::path::Path;

/// All floating-point tensors of a safetensors file or of a `.pth` of any age, by name, f32 on the CPU.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    Ok(read_weights(path)?)
}
