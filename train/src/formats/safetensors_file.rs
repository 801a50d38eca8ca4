//! Safetensors files of ucftrain: tensors, and one metadata entry that describes them.

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

/// Key of the metadata entry, whose value is JSON. There is only one entry, because safetensors
/// writes several in random order.
const METADATA_KEY: &str = "ucftrain";
/// Prefix of the names of a network's tensors in a checkpoint.
pub const MODEL_PREFIX: &str = "model.";

/// Writes tensors and metadata. An older file is replaced only when the new one is complete.
pub fn write<'a>(path: &Path, tensors: impl Iterator<Item = (String, &'a Tensor)>, metadata: &str) -> Result<()> {
    let bytes = to_bytes(tensors, metadata).with_context(|| path.display().to_string())?;
    replace_file(path, &bytes)
}

/// Returns the bytes of a file with tensors and metadata.
pub fn to_bytes<'a>(tensors: impl Iterator<Item = (String, &'a Tensor)>, metadata: &str) -> Result<Vec<u8>> {
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
    Ok(safetensors::serialize(tensors, Some(metadata))?)
}

/// Returns the metadata of ucftrain in a file as JSON; none for files of other programs.
pub fn metadata_of(path: &Path) -> Option<String> {
    header_of(path).ok()?.metadata.remove(METADATA_KEY)
}

/// Largest size of a file that is read. A ResNet-152 with momentum and running average takes 0.7
/// GB.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// Largest size of a header that is read. Checkpoints of UCF101 have headers of 20 KB.
const MAX_HEADER_BYTES: u64 = 100 << 20;

const NOT_SAFETENSORS: &str = "not a safetensors file; restore it or use another file";

/// Reads the metadata of a checkpoint or of a network, without the tensors.
pub fn read_metadata<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let name = || path.display().to_string();
    let header = header_of(path)?;
    let Some(metadata) = header.metadata.get(METADATA_KEY) else {
        bail!(
            "{}: not a file of ucftrain (its metadata has no {METADATA_KEY:?}); \
             convert networks with `ucftrain import`",
            name()
        );
    };
    serde_json::from_str(metadata).with_context(|| format!("{}: invalid metadata", name()))
}

/// The metadata of a safetensors header, without the entries about tensors.
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: HashMap<String, String>,
}

fn header_of(path: &Path) -> Result<Header> {
    let name = || path.display().to_string();
    let header = || -> std::io::Result<Option<Vec<u8>>> {
        let mut file = clipshard::open_regular(path)?;
        let mut start = Vec::new();
        (&mut file).take(9).read_to_end(&mut start)?;
        // A header is the length of a JSON text and that text.
        let Some((&length, b"{")) = start.split_first_chunk::<8>() else {
            return Ok(None);
        };
        let (length, mut header) = (u64::from_le_bytes(length), b"{".to_vec());
        // Reads at most the bytes that exist, because the stated length may be wrong.
        file.take(length.min(MAX_HEADER_BYTES).saturating_sub(1)).read_to_end(&mut header)?;
        Ok(Some(header))
    };
    let header = header().with_context(|| format!("{}: cannot read it", name()))?;
    let Some(header) = header else { bail!("{}: {NOT_SAFETENSORS}", name()) };
    serde_json::from_slice(&header).with_context(|| format!("{}: not a safetensors file of ucftrain", name()))
}

/// Reads the metadata of a file and its floating-point tensors, on the CPU.
pub fn read(path: &Path) -> Result<(String, HashMap<String, Tensor>)> {
    let name = path.display().to_string();
    parse(&clipshard::read_regular(path, MAX_FILE_BYTES).with_context(|| format!("{name}: cannot read it"))?, &name)
}

/// Returns the metadata of ucftrain in the bytes of a file, and its floating-point tensors, on the CPU. Errors
/// call the bytes `name`.
pub fn parse(bytes: &[u8], name: &str) -> Result<(String, HashMap<String, Tensor>)> {
    let name = || name.to_owned();
    if bytes.get(8) != Some(&b'{') {
        bail!("{}: {NOT_SAFETENSORS}", name());
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes)
        .map_err(|e| anyhow!("{}: the file is incomplete or damaged ({e}); restore it or use another file", name()))?;
    let metadata = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let Some(metadata) = metadata else {
        bail!(
            "{}: not a file of ucftrain (its metadata has no {METADATA_KEY:?}); \
             convert networks with `ucftrain import`",
            name()
        );
    };
    let metadata = metadata.clone();
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(|e| anyhow!("{}: {e}", name()))?;
    let mut tensors = HashMap::new();
    for (tensor, view) in file.iter() {
        // Skips other types, such as Booleans, which other programs may have added.
        if matches!(view.dtype(), StoredType::F16 | StoredType::BF16 | StoredType::F32 | StoredType::F64) {
            let loaded = view.load(&Device::Cpu).with_context(|| format!("{}: cannot read its tensors", name()))?;
            tensors.insert(tensor.to_owned(), loaded);
        }
    }
    Ok((metadata, tensors))
}
