//! Checks a packed data set from its manifest to its last pixel.

use std::path::Path;

use clipshard::{Error as FormatError, Manifest, VerifyDepth, VerifyReport};

use crate::error::Result;
use crate::progress::{Progress, Work};

/// Checks the data set in `dir` and lists all damage. A folder without a manifest is an error; a damaged manifest is damage.
pub fn verify(dir: &Path, depth: VerifyDepth, progress: &Progress) -> Result<VerifyReport> {
    let manifest = match Manifest::read(dir) {
        Ok(manifest) => manifest,
        Err(error @ (FormatError::NoManifest { .. } | FormatError::Io { .. })) => return Err(error.into()),
        Err(error) => return Ok(VerifyReport { damage: vec![error.to_string()], ..VerifyReport::default() }),
    };
    let bytes = manifest.streams.iter().flat_map(|stream| &stream.shards).map(|shard| shard.bytes).sum();
    progress.begin("verifying", Work { bytes, ..Work::default() });
    let report = clipshard::verify(dir, depth, &|bytes| progress.add(Work { bytes, ..Work::default() }));
    progress.end();
    Ok(report?)
}
