//! What a build did.

use std::collections::BTreeMap;

use super::estimate::Estimate;
use crate::error::Skipped;

/// What a build did.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// Clips packed.
    pub clips: u64,
    /// Records by stream.
    pub records: BTreeMap<String, u64>,
    /// Shards by stream.
    pub shards: BTreeMap<String, u64>,
    /// Bytes of the source images.
    pub bytes_in: u64,
    /// Bytes of all shards.
    pub bytes_out: u64,
    /// Of a dry run, what the build would take.
    pub estimate: Option<Estimate>,
    /// Time taken.
    pub seconds: f64,
    /// Clips left out, by id.
    pub skipped: Vec<Skipped>,
    /// Things worth a word that are no errors.
    pub notes: Vec<String>,
}
