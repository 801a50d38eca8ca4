//! The algorithms that a GPU chose for a run's convolutions. The run folder stores them, and a
//! resumed run uses them again: it neither times them again nor gets other results.

use super::backend::{Choices, choices, cudnn_version, follow};
use super::device::Compute;
use crate::base::console::note;
use crate::base::replace_file::replace_file;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Largest size of a file that is read.
const MOST_BYTES: u64 = 16 << 20;

/// Content of the file `algorithms.json`.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Name of the GPU.
    gpu: String,
    cudnn: usize,
    algorithms: Choices,
}

/// Makes a GPU use the algorithms in the file at `path`, if the same model of GPU and the same
/// cuDNN chose them. Otherwise prints a note. Does nothing on the CPU.
pub fn restore(path: &Path, compute: &Compute) -> Result<()> {
    if !compute.device.is_cuda() || !path.is_file() {
        return Ok(());
    }
    let text =
        clipshard::read_regular(path, MOST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
    match serde_json::from_slice::<Stored>(&text) {
        Ok(stored) if stored.gpu == compute.name && stored.cudnn == cudnn_version() => {
            follow(&compute.device, stored.algorithms)?;
        }
        Ok(stored) => {
            let Stored { gpu, cudnn, .. } = stored;
            note(&format!(
                "note: {}: these algorithms are for {gpu} with cuDNN {cudnn}; selecting new ones",
                path.display()
            ));
        }
        Err(e) => note(&format!("warning: {}: cannot read the algorithms: {e}; selecting new ones", path.display())),
    }
    Ok(())
}

/// Writes the algorithms that a GPU has chosen so far to `path`. Does nothing on the CPU.
pub fn store(path: &Path, compute: &Compute) -> Result<()> {
    if !compute.device.is_cuda() {
        return Ok(());
    }
    let algorithms = choices(&compute.device)?;
    let stored = Stored { gpu: compute.name.clone(), cudnn: cudnn_version(), algorithms };
    let text = serde_json::to_string_pretty(&stored)? + "\n";
    replace_file(path, text.as_bytes())
}
