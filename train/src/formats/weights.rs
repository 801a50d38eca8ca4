//! Weights from PyTorch in each of its formats, and from files of ucftrain.

use super::{network_file, safetensors_file};
use crate::stream::Stream;
use crate::view::View;
use anyhow::{Result, anyhow};
use candle_convnet::{Arch, Problem, WeightsError, read_weights};
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

/// Adds to an error about the weights of a network for `stream` that they are weights of another
/// stream, if they are.
pub fn explained(error: WeightsError, stream: Stream, view: View) -> anyhow::Error {
    let WeightsError::Mismatch { problems, .. } = &error else { return error.into() };
    let channels = problems.iter().find_map(|problem| match problem {
        Problem::Shape { name, found, .. } if Arch::ALL.iter().any(|arch| name == arch.first_weights()) => {
            found.get(1).copied()
        }
        _ => None,
    });
    let usual = |stream: Stream| stream.channels(stream.stack());
    let other = Stream::ALL.into_iter().find(|&other| Some(usual(other)) == channels);
    match other.filter(|&other| other != stream) {
        Some(other) => anyhow!(
            "{error}: these are weights of a {other} network with {} input channels, but a {stream} network has {}; \
             use other weights",
            usual(other),
            view.channels(stream)
        ),
        None => error.into(),
    }
}
