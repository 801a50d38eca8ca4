//! Safetensors files of this program: tensors, and one entry of metadata that says what they are.

use crate::base::replace_file::replace_file;
use anyhow::{Context, Result, anyhow, bail};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::Dtype as StoredType;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// Key of the one metadata entry; its value is JSON. One key only: safetensors writes several in hash order.
const METADATA_KEY: &str = "ucftrain";
/// Names of a network's tensors begin with this in a checkpoint.
pub const MODEL_PREFIX: &str = "model.";

/// Writes tensors and their metadata, whole or not at all.
pub fn write<'a>(path: &Path, tensors: impl Iterator<Item = (String, &'a Tensor)>, metadata: &str) -> Result<()> {
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| anyhow!("{}: {e}", path.display()))?;
    replace_file(path, &bytes)
}

/// Returns the JSON text that ucftrain put into a file; none for files of other programs.
pub fn metadata_of(path: &Path) -> Option<String> {
    header_of(path).ok()?.metadata.remove(METADATA_KEY)
}

/// No file of ours is larger: a ResNet-152 with its momentum and running average takes 0.7 GB.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// No header of ours is larger: UCF101's checkpoints have 20 KB of it.
const MAX_HEADER_BYTES: u64 = 100 << 20;

/// Reads the metadata of a checkpoint or of a network, without the tensors.
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

/// Reads the metadata of a file and its floating-point tensors, on the CPU.
pub fn read(path: &Path) -> Result<(String, HashMap<String, Tensor>)> {
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
        if matches!(view.dtype(), StoredType::F16 | StoredType::BF16 | StoredType::F32 | StoredType::F64) {
            let loaded = view.load(&Device::Cpu).with_context(|| format!("{}: unreadable tensors", name()))?;
            tensors.insert(tensor.to_owned(), loaded);
        }
    }
    Ok((metadata, tensors))
}
