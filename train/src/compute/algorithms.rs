//! Which algorithms a card chose for a run's convolutions: kept in the run's folder, and taken again when the run goes on, so
//! that it neither times them again nor computes in another way than before.

use super::backend::{Choices, choices, cudnn_version, follow};
use super::device::Compute;
use crate::base::console::note;
use crate::base::replace_file::replace_file;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// No file of ours is larger.
const MOST_BYTES: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Stored {
    card: String,
    cudnn: usize,
    algorithms: Choices,
}

/// Makes a GPU use the algorithms in the file at `path`, if a GPU and a cuDNN like these chose them. Does nothing on the CPU.
pub fn restore(path: &Path, compute: &Compute) -> Result<()> {
    if !compute.device.is_cuda() || !path.is_file() {
        return Ok(());
    }
    let text =
        clipshard::read_regular(path, MOST_BYTES).with_context(|| format!("{}: cannot read it", path.display()))?;
    match serde_json::from_slice::<Stored>(&text) {
        Ok(stored) if stored.card == compute.name && stored.cudnn == cudnn_version() => {
            follow(&compute.device, stored.algorithms)?;
        }
        Ok(stored) => {
            let Stored { card, cudnn, .. } = stored;
            note(&format!("{}: of {card} with cuDNN {cudnn}; algorithms are timed again", path.display()));
        }
        Err(e) => note(&format!("{}: {e}; algorithms are timed again", path.display())),
    }
    Ok(())
}

/// Writes what a GPU has chosen so far to `path`. Does nothing on the CPU.
pub fn store(path: &Path, compute: &Compute) -> Result<()> {
    if !compute.device.is_cuda() {
        return Ok(());
    }
    let algorithms = choices(&compute.device)?;
    let stored = Stored { card: compute.name.clone(), cudnn: cudnn_version(), algorithms };
    let text = serde_json::to_string_pretty(&stored)? + "\n";
    replace_file(path, text.as_bytes())
}
