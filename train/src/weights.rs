//! Weights of PyTorch's, in each of its formats.

use crate::pickle::read_old;
use anyhow::{Context, Result, anyhow};
use candle_convnet::{WeightsError, read_weights};
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// All floating-point tensors of a safetensors file or of a `.pth` of any age, by name, f32 on the CPU; a prefix `module.`
/// (from `DataParallel`) is cut.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>> {
    match read_weights(path) {
        Err(WeightsError::OldPickle { .. }) => {}
        other => return Ok(other?),
    }
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{shown}: cannot read it"))?;
    let tensors = read_old(&bytes).map_err(|fault| anyhow!("{shown}: {fault}"))?;
    let tensor = |(name, shape, values): (String, Vec<usize>, Vec<f32>)| {
        let name = name.strip_prefix("module.").unwrap_or(&name).to_owned();
        Ok((name, Tensor::from_vec(values, shape, &Device::Cpu)?))
    };
    tensors.into_iter().map(tensor).collect()
}
